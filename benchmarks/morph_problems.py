"""Pairs of samples for the benchmark of morphing: toys, Gaussians, dijets, and jets by the numbers of a jet."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import awkward as ak
import numpy as np
from morph_toys import PLANES, FloatArray, bures_wasserstein, gaussian, gaussian_pair, rotated, scaled
from numpy.typing import NDArray

from hepgen.events.reader import open_events
from hepgen.physics.jets import n_subjettiness, wrapped

EVENTS = 12_000
"""Of each sample of a toy; half of them train."""
CONDITION = "condition"
SIX = ("m_jj", "m_j1", "delta_m", "tau21_1", "tau21_2", "delta_R")
JET = ("jet_pt", "jet_mass", "multiplicity", "girth", "dispersion", "tau21")
WRONG_SCALE = {"m_jj": 1.03, "m_j1": 1.25, "delta_m": 1.15, "tau21_1": 1.2, "tau21_2": 1.2, "delta_R": 1.05}
WRONG_WIDTH = {"m_jj": 0.04, "m_j1": 0.15, "delta_m": 0.15, "tau21_1": 0.2, "tau21_2": 0.2, "delta_R": 0.08}

Table = dict[str, NDArray[Any]]
"""Columns by name, (events,) each; of whole numbers where they are counts."""
Best = Callable[[FloatArray, FloatArray], FloatArray]
"""(events of the source, widths of the columns) -> events that have moved least."""


@dataclass(frozen=True)
class Places:
    """Folders: of the data of the project, and of what takes long to make and is kept.

    Attributes:
        data: with ``events`` and ``jets``; toys need none.
        work: where something may be kept, or None.
    """

    data: Path | None = None
    work: Path | None = None

    def needed(self) -> Path:
        """The folder of the data."""
        if self.data is None:
            raise SystemExit("this problem is of real data: say where it lies with --data FOLDER")
        return self.data


@dataclass(frozen=True)
class Samples:
    """A source and a target, in random order.

    Attributes:
        source, target: columns by name, of any number of events.
        best: the map of least mean square movement, where it is known.
        train: the share of events that trains.
    """

    source: Table
    target: Table
    best: Best | None = None
    train: float = 0.5


@dataclass(frozen=True)
class Problem:
    """What is moved onto what.

    Attributes:
        columns: that are moved.
        make: samples by a seed.
        conditions: columns that are not moved.
        spectra_differ: whether the conditions of both samples follow laws of their own, so that the source is weighted to
            that of the target before it is judged.
    """

    columns: tuple[str, ...]
    make: Callable[[int, Places], Samples]
    conditions: tuple[str, ...] = ()
    spectra_differ: bool = False


def _as_table(points: FloatArray, **more: FloatArray) -> Table:
    return {**{f"x{place}": column for place, column in enumerate(points.T)}, **more}


def _plane_pair(first: str, second: str, seed: int, places: Places) -> Samples:
    del places
    rng = np.random.default_rng(seed)
    return Samples(*(_as_table(PLANES[name](EVENTS, rng)) for name in (first, second)))


def _conditional(
    plane: str, change: Callable[[FloatArray, FloatArray], FloatArray], seed: int, places: Places
) -> Samples:
    """A plane, and the same changed by a condition that is uniform in both samples."""
    del places
    rng = np.random.default_rng(seed)
    source, target = (PLANES[plane](EVENTS, rng) for _ in range(2))
    old, new = (rng.uniform(0, 1, EVENTS) for _ in range(2))
    return Samples(_as_table(source, **{CONDITION: old}), _as_table(change(target, new), **{CONDITION: new}))


def _gaussians(dimensions: int, seed: int, places: Places) -> Samples:
    del places
    rng = np.random.default_rng(seed)
    pair = gaussian_pair(dimensions)

    def best(events: FloatArray, widths: FloatArray) -> FloatArray:
        matrix, shift = bures_wasserstein(*pair, widths)
        return np.asarray(events @ matrix.T + shift)

    return Samples(*(_as_table(gaussian(*one, EVENTS, rng)) for one in pair), best)


def read_columns(path: Path, columns: tuple[str, ...]) -> Table:
    """Columns of a flat file, float64."""
    events = ak.concatenate(list(open_events(path).batches(list(columns))))
    return {name: ak.to_numpy(events[name]).astype(np.float64) for name in columns}


def rows(table: Table, chosen: np.ndarray) -> Table:
    """Some events, by their numbers or by flags."""
    return {name: column[chosen] for name, column in table.items()}


def _shuffled(table: Table, rng: np.random.Generator) -> Table:
    return rows(table, rng.permutation(len(next(iter(table.values())))))


def _dijets(target: str, seed: int, places: Places) -> Samples:
    rng = np.random.default_rng(seed)
    folder = places.needed() / "events"
    files = (folder / f"{name}.root" for name in ("dijets_qcd", target))
    return Samples(*(_shuffled(read_columns(path, SIX), rng) for path in files))


def mismeasured(table: Table, rng: np.random.Generator) -> Table:
    """Dijets whose masses, angles and shapes are off by a factor, and smeared by a share of their value."""
    return {
        name: column * WRONG_SCALE[name] * (1 + WRONG_WIDTH[name] * rng.normal(size=len(column)))
        for name, column in table.items()
    }


def _mismeasured(seed: int, places: Places) -> Samples:
    rng = np.random.default_rng(seed)
    events = _shuffled(read_columns(places.needed() / "events" / "dijets_qcd.root", SIX), rng)
    half = len(events["m_jj"]) // 2
    source, target = (
        {name: column[part] for name, column in events.items()} for part in (slice(half), slice(half, None))
    )
    return Samples(mismeasured(source, rng), target)


def jet_numbers(path: Path) -> Table:
    """Numbers of each jet: momentum, mass, multiplicity, girth, dispersion of the momenta (p_T D) and tau21."""
    names = ("jet_pt", "jet_eta", "jet_phi", "jet_mass", "part_pt", "part_eta", "part_phi")
    jets = ak.concatenate(list(open_events(path).batches(list(names))))
    count = ak.to_numpy(ak.num(jets["part_pt"]))
    pt, eta, phi = (
        np.asarray(ak.fill_none(ak.pad_none(jets[name], int(count.max()), clip=True), 0.0), dtype=np.float64)
        for name in ("part_pt", "part_eta", "part_phi")
    )
    axis = {name: ak.to_numpy(jets[name]).astype(np.float64) for name in names[:4]}
    eta, phi = eta - axis["jet_eta"][:, None], wrapped(phi - axis["jet_phi"][:, None])
    total = pt.sum(axis=1)
    tau = n_subjettiness(pt, eta, phi, 2)
    found = (
        axis["jet_pt"],
        axis["jet_mass"],
        count,
        (pt * np.hypot(eta, phi)).sum(axis=1) / total,
        np.sqrt(np.square(pt).sum(axis=1)) / total,
        tau[:, 1] / tau[:, 0],
    )
    return dict(zip(JET, found, strict=True))


def _of_jets(kind: str, places: Places) -> Table:
    """The numbers of all jets of a kind; half a minute the first time, so that they are kept."""
    kept = None if places.work is None else places.work / f"{kind}_numbers.npz"
    if kept is not None and kept.exists():
        with np.load(kept) as found:
            return {name: found[name] for name in JET}
    parts = [jet_numbers(places.needed() / "jets" / f"{kind}_{part}.root") for part in ("train", "test")]
    table = {name: np.concatenate([part[name] for part in parts]) for name in JET}
    if kept is not None:
        np.savez(kept, **table)
    return table


def _jets(seed: int, places: Places) -> Samples:
    rng = np.random.default_rng(seed)
    source, target = (_shuffled(_of_jets(kind, places), rng) for kind in ("quark", "gluon"))
    return Samples(source, target, train=2 / 3)  # as the files have it: 12,000 jets to train on, 6,000 to test


_PAIRS = (("checkerboard", "star"), ("rings", "four_circles"), ("spirals", "rings"), ("four_circles", "checkerboard"))

PROBLEMS: dict[str, Problem] = {
    **{f"{first}-{second}": Problem(("x0", "x1"), partial(_plane_pair, first, second)) for first, second in _PAIRS},
    "rotated-four_circles": Problem(("x0", "x1"), partial(_conditional, "four_circles", rotated), (CONDITION,)),
    "scaled-star": Problem(("x0", "x1"), partial(_conditional, "star", scaled), (CONDITION,)),
    **{
        f"gaussians-{number}d": Problem(tuple(f"x{place}" for place in range(number)), partial(_gaussians, number))
        for number in (2, 4, 8)
    },
    "dijets-hard": Problem(SIX, partial(_dijets, "dijets_qcd_hard")),
    "dijets-hard-by-mass": Problem(SIX[1:], partial(_dijets, "dijets_qcd_hard"), SIX[:1], spectra_differ=True),
    "dijets-vincia": Problem(SIX, partial(_dijets, "dijets_qcd_vincia")),
    "dijets-vincia-by-mass": Problem(SIX[1:], partial(_dijets, "dijets_qcd_vincia"), SIX[:1], spectra_differ=True),
    "dijets-mismeasured": Problem(SIX, _mismeasured),
    "quark-gluon": Problem(JET, _jets),
}
