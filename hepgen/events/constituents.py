"""Jets of a batch as padded arrays of constituents, with flags of what is wrong with them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import awkward as ak
import numpy as np
from numpy.typing import NDArray

from hepgen.errors import RowError
from hepgen.events.jet_units import refuse_mixed_units
from hepgen.events.jets import JetColumns
from hepgen.physics.jets import TURN, Momentum, jet_momentum, wrapped

FloatArray = NDArray[np.float64]
Flags = NDArray[np.bool_]

_TOLERANCE = 1e-3  # of the momentum of the jet
_TIED = 1e-6  # px and py of float32 say no more about which of two constituents is harder


@dataclass(frozen=True)
class Jets:
    """Jets as arrays: constituents by falling pt, pt 0 for padding.

    Attributes:
        pt, eta, phi: (jets, constituents), in the file's unit and radians, or relative to the jet.
        mass: (jets, constituents), 0 where the file has none; -m where E^2 - p^2 is -m^2, which rounding makes.
        jet: four-momenta as the file gives them, else the sums of the constituents, each (jets,). Relative constituents of
            a file without columns of the jet have pt 1 and eta 0.
        multiplicity: (jets,), constituents of pt above 0.
        relative: whether pt, eta and phi are relative to the jet.
        problems: (jets,) flags of what is wrong, by a name in words.
    """

    pt: FloatArray
    eta: FloatArray
    phi: FloatArray
    mass: FloatArray
    jet: Momentum
    multiplicity: NDArray[np.int64]
    relative: bool
    problems: dict[str, Flags]

    def __len__(self) -> int:
        return len(self.pt)

    def in_jets(self) -> Jets:
        """The same with constituents relative to the jet: pt and mass over its pt, differences of eta and of phi.

        phi lies between -pi and pi.
        """
        if self.relative:
            return replace(self, phi=np.where(np.abs(self.phi) > np.pi, wrapped(self.phi), self.phi))
        there = self.pt > 0
        scale = np.where(self.jet.pt > 0, self.jet.pt, 1.0)[:, None]
        eta = np.where(there, self.eta - self.jet.eta[:, None], 0.0)
        phi = np.where(there, wrapped(self.phi - self.jet.phi[:, None]), 0.0)
        return replace(self, pt=self.pt / scale, eta=eta, phi=phi, mass=self.mass / scale, relative=True)


def read_jets(batch: ak.Array, columns: JetColumns, width: int | None = None) -> Jets:
    """The jets of a batch.

    What is not finite, and constituents of pt 0 or less, are flagged and do not count; constituents that are not in the
    order of pt are flagged and sorted. Jets without constituents are flagged, and so are multiplicities of JetNet's
    ``jet_features`` that are negative or not the number of constituents; the constituents count.

    Args:
        batch: records with the columns.
        columns: where the jets are.
        width: constituents of the arrays, the hardest of longer jets; those of the longest jet where None.

    Raises:
        InputFileError: if columns of a jet differ in length, with the row, and if most jets have their constituents in
            another unit, or relative ones that are none.

    Example:
        >>> events = ak.Array({"pt": [[1.0, 3.0], []], "eta": [[0.1, 0.2], []], "phi": [[0.0, 0.0], []]})
        >>> jets = read_jets(events, JetColumns(pt="pt", eta="eta", phi="phi"))
        >>> jets.pt.tolist(), jets.multiplicity.tolist(), [name for name, flags in jets.problems.items() if flags.any()]
        ([[3.0, 1.0], [0.0, 0.0]], [2, 0], ['no constituent', 'constituents not in the order of pt'])
    """
    values, within = _padded(batch, columns)
    finite = np.all([np.isfinite(one) for one in values.values()], axis=0)
    pt, eta, phi, mass = _kinematics(values, columns)
    with np.errstate(invalid="ignore"):
        problems = {
            "constituents that are not finite": (within & ~finite).any(axis=1),
            "constituents of negative pt": (within & (pt < 0)).any(axis=1),
            "constituents of negative energy": (within & (values.get("energy", np.zeros(1)) < 0)).any(axis=1),
            "constituents of pt 0": (within & (pt == 0)).any(axis=1),
        }
        counts = within & finite & (pt > 0)
        turns = (counts & (np.abs(phi) > TURN)).any(axis=1)
    pt, eta, phi, mass = (np.where(counts, one, 0.0) for one in (pt, eta, phi, mass))
    problems["no constituent"] = ~counts.any(axis=1)
    unsorted = (pt[:, 1:] > pt[:, :-1] * (1 + _TIED)).any(axis=1)
    problems["constituents not in the order of pt"] = unsorted
    if unsorted.any():
        order = np.argsort(-pt[unsorted], axis=1, kind="stable")
        for one in (pt, eta, phi, mass):
            one[unsorted] = np.take_along_axis(one[unsorted], order, axis=1)
    total = jet_momentum(pt, eta, phi, mass)
    jet = _given(batch, columns, total)
    known = np.all([np.isfinite(one) for one in vars(jet).values()], axis=0)
    problems["jets that are not finite"] = ~known
    problems["azimuths beyond a turn, as of degrees"] = turns | (known & (np.abs(jet.phi) > TURN))
    problems |= _multiplicity_problems(batch, columns, within)
    problems["jets of no pt"] = known & (jet.pt == 0) & ~problems["no constituent"]
    refuse_mixed_units(total, jet, columns, values)
    if columns.jet_pt and columns.jet_eta and columns.jet_phi and not columns.relative:
        energy = bool((columns.jet_mass or columns.jet_energy) and (columns.energy or columns.mass))
        apart = _differ(total, jet, energy=energy)
        problems["constituents that do not add up to the jet"] = apart & finite.all(axis=1) & known
    if width is not None:
        pt, eta, phi, mass = (of_width(one, width) for one in (pt, eta, phi, mass))
    return Jets(pt, eta, phi, mass, jet, (pt > 0).sum(axis=1), columns.relative, problems)


def _padded(batch: ak.Array, columns: JetColumns) -> tuple[dict[str, FloatArray], Flags]:
    """The columns of the constituents by their roles, (jets, constituents), and which of these are constituents."""
    if columns.particles:
        table = ak.to_numpy(batch[columns.particles]).astype(np.float64)
        values = {"eta": table[..., 0], "phi": table[..., 1], "pt": table[..., 2]}
        mask = table[..., 3] > 0 if table.shape[-1] > 3 else (table != 0).any(axis=-1)
        return values, np.asarray(mask)
    roles = ("pt", "eta", "phi", "px", "py", "pz", "energy", "mass", "mask")
    names = {role: getattr(columns, role) for role in roles if getattr(columns, role)}
    first = next(iter(names.values()))
    if batch[first].layout.purelist_isregular:
        values = {role: ak.to_numpy(batch[name]).astype(np.float64) for role, name in names.items()}
        _check_lengths({names[role]: np.full(len(one), one.shape[1]) for role, one in values.items()})
        mask = values.pop("mask") > 0 if "mask" in names else np.any([one != 0 for one in values.values()], axis=0)
        return values, np.asarray(mask)
    counts = {name: np.asarray(ak.num(batch[name], axis=1)) for name in names.values()}
    _check_lengths(counts)
    within = np.arange(max(counts[first].max(initial=0), 1)) < counts[first][:, None]
    values = {}
    for role, name in names.items():
        values[role] = np.zeros(within.shape)
        values[role][within] = ak.to_numpy(ak.flatten(batch[name], axis=1))
    return values, within & (values.pop("mask") > 0) if "mask" in names else within


def _check_lengths(counts: Mapping[str, NDArray[np.int64]]) -> None:
    (first, expected), *others = counts.items()
    for name, found in others:
        if (found != expected).any():
            row = int(np.flatnonzero(found != expected)[0])
            words = f"'{name}' has {found[row]} constituents where '{first}' has {expected[row]}"
            raise RowError(words, row, hint="every constituent needs every column")


def _kinematics(values: Mapping[str, FloatArray], columns: JetColumns) -> tuple[FloatArray, ...]:
    """pt, eta, phi and mass, each (jets, constituents)."""
    with np.errstate(invalid="ignore", over="ignore"):
        if columns.px:
            x, y, z = (values[name] for name in ("px", "py", "pz"))
            pt = np.hypot(x, y)
            eta, phi = np.arcsinh(z / np.where(pt > 0, pt, 1.0)), np.arctan2(y, x)
            momentum = np.hypot(pt, z)
        else:
            pt, eta, phi = (values[name] for name in ("pt", "eta", "phi"))
            momentum = pt * np.cosh(eta)
        if columns.energy:
            square = (values["energy"] - momentum) * (values["energy"] + momentum)
            return pt, eta, phi, np.sign(square) * np.sqrt(np.abs(square))
    return pt, eta, phi, values.get("mass", np.zeros_like(pt))


def _given(batch: ak.Array, columns: JetColumns, total: Momentum) -> Momentum:
    """The jets of the file, with the sums in the place of what it does not say."""
    if columns.features:
        pt, eta, mass = ak.to_numpy(batch[columns.features]).astype(np.float64).T[:3]
        return Momentum(pt, eta, np.zeros_like(pt), mass)
    names = {"pt": columns.jet_pt, "eta": columns.jet_eta, "phi": columns.jet_phi, "mass": columns.jet_mass}
    known = {role: ak.to_numpy(batch[name]).astype(np.float64) for role, name in names.items() if name}
    if columns.relative:
        pt = known.get("pt", np.ones_like(total.pt))
        rest = Momentum(pt, np.zeros_like(pt), np.zeros_like(pt), pt * total.mass)
    else:
        rest = total
    jet = replace(rest, **known)
    if columns.jet_energy and not columns.jet_mass:
        energy = ak.to_numpy(batch[columns.jet_energy]).astype(np.float64)
        with np.errstate(invalid="ignore", over="ignore"):
            jet = replace(jet, mass=np.sqrt(np.maximum(energy**2 - (jet.pt * np.cosh(jet.eta)) ** 2, 0.0)))
    return jet


def _multiplicity_problems(batch: ak.Array, columns: JetColumns, within: Flags) -> dict[str, Flags]:
    """Flags of the multiplicities that JetNet gives; one above the size of full arrays counts what was cut off."""
    if not columns.features:
        return {}
    given = ak.to_numpy(batch[columns.features]).astype(np.float64)[:, 3]
    found = within.sum(axis=1)
    cut = (found == within.shape[1]) & (given > found)
    with np.errstate(invalid="ignore"):
        negative = given < 0
    return {
        "negative multiplicities": negative,
        "multiplicities that are not the number of constituents": ~negative & ~cut & (given != found),
    }


def _differ(total: Momentum, jet: Momentum, *, energy: bool) -> Flags:
    """Jets whose constituents add up to something else, beyond the rounding of files."""
    with np.errstate(invalid="ignore", over="ignore"):
        pairs = []
        for one in (total, jet):
            z, transverse = one.pt * np.sinh(one.eta), one.pt
            e = np.sqrt(transverse**2 + z**2 + one.mass**2)
            parts = [transverse * np.cos(one.phi), transverse * np.sin(one.phi), z]
            pairs.append(np.stack([*parts, e] if energy else parts))
        return np.asarray(np.abs(pairs[0] - pairs[1]).max(axis=0) > _TOLERANCE * np.abs(jet.pt * np.cosh(jet.eta)))


def of_width(values: FloatArray, width: int) -> FloatArray:
    """The first ``width`` constituents of arrays (jets, constituents), padded with 0.

    Example:
        >>> of_width(np.array([[3.0, 2.0]]), 3).tolist(), of_width(np.array([[3.0, 2.0]]), 1).tolist()
        ([[3.0, 2.0, 0.0]], [[3.0]])
    """
    return np.pad(values[:, :width], ((0, 0), (0, max(0, width - values.shape[1]))))
