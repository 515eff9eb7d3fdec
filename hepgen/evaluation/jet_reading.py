"""Jets of a batch for the evaluation: arrays of one width, whatever the longest jet, and what is wrong with them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import fields, replace

import awkward as ak
import numpy as np
from numpy.typing import NDArray

from hepgen.errors import RowError
from hepgen.evaluation.sanity import AZIMUTHS, LONG
from hepgen.events.constituents import Jets, of_width, read_jets
from hepgen.events.jets import JetColumns
from hepgen.events.source import EventSource
from hepgen.physics.jets import Momentum

USUAL = 0.99
ROOM = 2
LEAST = 128
"""Jets are judged by twice as many constituents as 99 % of the reference have at most, and by 128 or more."""

_CELLS = 1 << 19  # constituents, with padding, of long jets that are read together
_CIRCLE = 2 * np.pi * (1 + 1e-3)


def common_width(
    sources: Sequence[EventSource], columns: Sequence[JetColumns], max_constituents: int | None = None
) -> tuple[int, list[int]]:
    """Constituents of the arrays of all samples, and of the longest jet of each; by a pass over one column of each.

    Those of the longest jet, but not more than twice as many as 99 % of the jets of the first sample have: a single jet of
    thousands of constituents would widen every row. Arrays of a fixed size count as they are.

    Args:
        sources: the reference first.
        columns: where the jets of each are.
        max_constituents: the largest width.
    """
    counts = [_multiplicities(source, own) for source, own in zip(sources, columns, strict=True)]
    longest = [len(one) - 1 for one in counts]
    usual = 0 if not counts else int(np.searchsorted(np.cumsum(counts[0]), USUAL * counts[0].sum()))
    width = min(max(longest, default=0), max(LEAST, ROOM * usual))
    return max(1, width if max_constituents is None else min(width, max_constituents)), longest


def _multiplicities(source: EventSource, columns: JetColumns) -> NDArray[np.int64]:
    """Number of jets of 0, 1, 2, ... constituents."""
    name = columns.constituents[0]
    column = source.schema[name]
    if not column.jagged:
        found = np.zeros(column.shape[0] + 1, dtype=np.int64)
        found[-1] = 1
        return found
    found = np.zeros(1, dtype=np.int64)
    for batch in source.batches([name]):
        here = np.bincount(np.asarray(ak.num(batch[name], axis=1)), minlength=len(found))
        here[: len(found)] += found
        found = here
    return found


def jets_of_width(batch: ak.Array, columns: JetColumns, width: int, max_constituents: int | None = None) -> Jets:
    """The jets of a batch in arrays of a width: of longer ones the hardest constituents, with the true multiplicity.

    Jets with more are flagged, and so are those with a negative energy or mass, or with azimuths beyond 2 pi. Long jets are
    read apart from the others, so that these are not padded to their length.

    Args:
        batch: records with the columns.
        columns: where the jets are.
        width: constituents of the arrays.
        max_constituents: softer ones than so many do not even count.

    Raises:
        InputFileError: if columns of a jet differ in length, with the row.
    """
    first = batch[columns.constituents[0]]
    regular = first.layout.purelist_isregular
    counts = np.zeros(len(batch), dtype=np.int64) if regular else np.asarray(ak.num(first, axis=1))
    if (counts <= width).all():
        found = _cut(read_jets(batch, columns), width, max_constituents)
        return replace(found, problems={**found.problems, **_negative(batch, columns)})
    groups = list(_groups(counts, width))
    parts = [_cut(_rows(batch, columns, rows), width, max_constituents) for rows in groups]
    found = _joined(parts, np.argsort(np.concatenate(groups), kind="stable"))
    return replace(found, problems={**found.problems, **_negative(batch, columns)})


def _groups(counts: NDArray[np.int64], width: int) -> Iterator[NDArray[np.int64]]:
    """Rows that are read together: all that fit into the width, then the longer ones by length, in pieces."""
    if (counts <= width).any():
        yield np.flatnonzero(counts <= width)
    order = np.argsort(counts, kind="stable")
    long = order[counts[order] > width]
    start = 0
    while start < len(long):
        cells = counts[long[start:]] * np.arange(1, len(long) - start + 1)
        size = max(1, int(np.searchsorted(cells, _CELLS, side="right")))
        yield long[start : start + size]
        start += size


def _rows(batch: ak.Array, columns: JetColumns, rows: NDArray[np.int64]) -> Jets:
    try:
        return read_jets(batch[rows], columns)
    except RowError as error:
        raise RowError(error.what, int(rows[error.row]), hint=error.hint) from None


def _cut(jets: Jets, width: int, most: int | None) -> Jets:
    """With a width, and with what is wrong beside what `read_jets` says."""
    multiplicity = jets.multiplicity if most is None else np.minimum(jets.multiplicity, most)
    with np.errstate(invalid="ignore"):
        problems = {
            **jets.problems,
            AZIMUTHS: (np.abs(jets.phi) > _CIRCLE).any(axis=1) | (np.abs(jets.jet.phi) > _CIRCLE),
            LONG: multiplicity > width,
            "jets of negative pt": jets.jet.pt < 0,
            "jets of negative mass": jets.jet.mass < 0,
        }
    pt, eta, phi, mass = (of_width(one, width) for one in (jets.pt, jets.eta, jets.phi, jets.mass))
    return Jets(pt, eta, phi, mass, jets.jet, multiplicity, jets.relative, problems)


def _negative(batch: ak.Array, columns: JetColumns) -> dict[str, NDArray[np.bool_]]:
    """Flags of negative energies, which `read_jets` turns into masses, (jets,)."""
    found = {}
    if columns.energy:
        found["constituents of negative energy"] = np.asarray(ak.any(batch[columns.energy] < 0, axis=1))
    if columns.jet_energy:
        found["jets of negative energy"] = np.asarray(ak.to_numpy(batch[columns.jet_energy]) < 0)
    return found


def _joined(parts: Sequence[Jets], order: NDArray[np.int64]) -> Jets:
    """Jets behind one another, in another order."""

    def rows(values: Sequence[NDArray[np.float64]]) -> NDArray[np.float64]:
        return np.concatenate(values)[order]

    blocks = {name: rows([getattr(part, name) for part in parts]) for name in ("pt", "eta", "phi", "mass")}
    jet = Momentum(*(rows([getattr(part.jet, one.name) for part in parts]) for one in fields(Momentum)))
    multiplicity = np.concatenate([part.multiplicity for part in parts])[order]
    problems = {name: np.concatenate([part.problems[name] for part in parts])[order] for name in parts[0].problems}
    return Jets(**blocks, jet=jet, multiplicity=multiplicity, relative=parts[0].relative, problems=problems)
