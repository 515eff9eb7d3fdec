"""Jets whose columns stand in different units: MeV beside GeV, or relative constituents that are none."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from hepgen.errors import InputFileError, RowError
from hepgen.events.jets import JetColumns
from hepgen.events.schema import Schema
from hepgen.physics.jets import Momentum

FloatArray = NDArray[np.float64]

_FEWEST = 10
"""Jets that a statement on most of them takes."""
_MANY = 0.01
"""Share of such jets that is no accident: files of two units merged into one."""
_SAME = 0.4  # in the decimal logarithm: files list the charged constituents only, or the hardest
_GAP = 30.0
"""Factor between the pt of jets, with nothing in between, from which on they are of two kinds."""
_RELATIVE = 10.0
"""What ptrel adds up to at most: to 1 where all constituents are there."""

UNITS = "a factor of 1000 looks like MeV and GeV: bring all columns of the jets to one unit"


def check_units(schema: Schema, columns: JetColumns) -> None:
    """Refuse jets for which the file itself names different units.

    Raises:
        InputFileError: naming two columns.

    Example:
        >>> from hepgen.events.schema import Column
        >>> schema = Schema((Column("jet_pt", "f4", unit="MeV"), Column("part_pt", "f4", jagged=True, unit="GeV")), "t")
        >>> check_units(schema, JetColumns(pt="part_pt", jet_pt="jet_pt"))
        Traceback (most recent call last):
        ...
        hepgen.errors.InputFileError: 'part_pt' is in GeV and 'jet_pt' in MeV (tree 't'): bring all columns to one unit
    """
    inside = () if columns.relative else (columns.pt, columns.px, columns.py, columns.pz, columns.energy, columns.mass)
    names = [name for name in (*inside, columns.jet_pt, columns.jet_mass, columns.jet_energy) if name]
    known = [name for name in names if schema[name].unit]
    for name in known[1:]:
        if schema[name].unit != schema[known[0]].unit:
            raise InputFileError(
                f"'{known[0]}' is in {schema[known[0]].unit} and '{name}' in {schema[name].unit}",
                where=f"tree '{schema.tree}'",
                hint="bring all columns to one unit",
            )


def refuse_mixed_units(
    total: Momentum, jet: Momentum, columns: JetColumns, constituents: Mapping[str, FloatArray]
) -> None:
    """Refuse jets of which more than a hundredth are a thousand times what their constituents add up to, or a thousandth.

    A single such jet is no matter of units. Less than ten jets say nothing. Jets of which some have a thousand times the
    pt of the others, with nothing in between, are refused, too: such files hold jets of two units.

    Args:
        total: sums of the constituents, each (jets,).
        jet: the jets of the file.
        columns: where they are.
        constituents: as the file gives them, (jets, constituents), by their roles.

    Raises:
        RowError: naming the columns, with the first row.
    """
    if columns.relative:
        _refuse_absolute(total, columns)
    else:
        pt = columns.pt or f"{columns.px}, {columns.py}"
        if columns.jet_pt:
            _compare(f"'{columns.jet_pt}'", jet.pt, f"the sum of '{pt}'", total.pt)
        if columns.jet_mass and (columns.energy or columns.mass):
            _compare(f"'{columns.jet_mass}'", jet.mass, "the mass of the constituents' sum", total.mass)
        if columns.energy:
            energy, momentum = constituents["energy"][:, :1], _momentum(constituents)[:, :1]
            _compare(f"'{columns.energy}'", energy.ravel(), f"the momentum by '{pt}'", momentum.ravel())
    if columns.features:
        relative = jet.mass / np.where(jet.pt > 0, jet.pt, 1.0)
        _compare("mass / pt of the jets", relative, "the mass of the relative constituents", total.mass)
    _refuse_two_scales(jet.pt if columns.jet_pt or columns.features else total.pt, columns)


def like_units(one: float, other: float) -> bool:
    """Whether two numbers are about a factor of 1000 apart.

    Example:
        >>> like_units(600.0, 7e5), like_units(20.0, 1000.0)
        (True, False)
    """
    return bool(abs(abs(np.log10(one / other)) - 3) < _SAME)


def _refuse_two_scales(pt: FloatArray, columns: JetColumns) -> None:
    """Refuse jets of two groups in pt, a thousand times apart with nothing in between, of a hundredth of them at least."""
    with np.errstate(invalid="ignore"):
        known = np.flatnonzero(np.isfinite(pt) & (pt > 0))
    if len(known) < _FEWEST:
        return
    order = known[np.argsort(pt[known])]
    steps = np.diff(np.log10(pt[order]))
    after = int(steps.argmax())
    fewest = max(2, _MANY * len(order))
    if steps[after] > np.log10(_GAP) and min(after + 1, len(order) - after - 1) >= fewest:
        low, high = pt[order[after]], pt[order[after + 1]]
        middles = [float(np.median(pt[side])) for side in (order[: after + 1], order[after + 1 :])]
        if not like_units(*middles):
            return
        name = columns.jet_pt or columns.features or columns.pt or columns.px
        words = (
            f"the pt of jets, by '{name}', is up to {low:.4g} in {after + 1} jets and {high:.4g} or more in the others"
        )
        raise RowError(words, int(order[-1]), hint=UNITS)


def _momentum(values: Mapping[str, FloatArray]) -> FloatArray:
    with np.errstate(over="ignore", invalid="ignore"):
        if "px" in values:
            return np.asarray(np.sqrt(sum(values[name] ** 2 for name in ("px", "py", "pz"))))
        return np.asarray(values["pt"] * np.cosh(values["eta"]))


def _compare(name: str, values: FloatArray, other: str, others: FloatArray) -> None:
    with np.errstate(invalid="ignore"):
        known = np.flatnonzero(np.isfinite(values) & np.isfinite(others) & (values > 0) & (others > 0))
    if len(known) < _FEWEST:
        return
    apart = np.abs(np.abs(np.log10(values[known] / others[known])) - 3) < _SAME
    if apart.mean() > _MANY:
        row = int(known[np.flatnonzero(apart)[0]])
        so = f"and so in {'most' if apart.mean() > 0.5 else f'{100 * apart.mean():.0f} % of the'} jets"
        words = f"{name} is {values[row]:.4g} where {other} is {others[row]:.4g}, {so}"
        raise RowError(words, row, hint=UNITS)


def _refuse_absolute(total: Momentum, columns: JetColumns) -> None:
    known = np.flatnonzero(np.isfinite(total.pt) & (total.pt > 0))
    large = total.pt[known] > _RELATIVE
    if len(known) >= _FEWEST and large.mean() > 0.5:
        row = int(known[np.flatnonzero(large)[0]])
        words = f"'{columns.pt or columns.particles}' adds up to {total.pt[row]:.4g}, and so in most jets"
        hint = "relative pt is that of the constituents over that of their jet, and adds up to 1"
        raise RowError(words, row, hint=hint)
