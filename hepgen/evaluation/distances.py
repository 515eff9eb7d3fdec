"""Multivariate distances of the samples on their high-level features: Frechet, kernel, nearest neighbours."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from hepgen.errors import UsageError
from hepgen.evaluation.domain import Array, FloatArray
from hepgen.evaluation.multivariate import (
    correlation_distance,
    energy_distance,
    frechet_distance,
    frechet_extrapolated,
    frechet_intercept,
    kernel_distance,
    neighbour_scores,
    sliced_wasserstein,
)
from hepgen.evaluation.report import ScoreBook
from hepgen.evaluation.splits import Split

_ENERGY_EVENTS = 4000
_SMALLEST_FRECHET = 500
_EVENTS_PER_FEATURE = 10


@dataclass(frozen=True)
class Scale:
    """Brings features to a common scale, by the reference.

    ``maximum`` divides by the largest absolute value (the convention of published Frechet distances), ``deviation``
    standardises, ``none`` leaves as is. Missing values become the reference's mean.
    """

    shift: FloatArray
    factor: FloatArray
    missing: FloatArray

    @classmethod
    def fit(cls, reference: Array, how: str) -> Scale:
        """Fit on the reference, (events, features).

        Raises:
            UsageError: for an unknown way of scaling.
        """
        values = np.asarray(reference, dtype=np.float64)
        present = ~np.isnan(values)
        count = np.maximum(present.sum(axis=0), 1)
        mean = np.where(present, values, 0.0).sum(axis=0) / count
        filled = np.where(present, values, mean)
        if how == "maximum":
            shift, factor = np.zeros(len(mean)), np.abs(filled).max(axis=0)
        elif how == "deviation":
            shift, factor = mean, filled.std(axis=0)
        elif how == "none":
            shift, factor = np.zeros(len(mean)), np.ones(len(mean))
        else:
            raise UsageError(f"no scale '{how}'", hint="maximum, deviation or none")
        return cls(shift, np.where(factor > 0, factor, 1.0), mean)

    def __call__(self, features: Array) -> FloatArray:
        values = np.asarray(features, dtype=np.float64)
        return (np.where(np.isnan(values), self.missing, values) - self.shift) / self.factor


def add_frechet(book: ScoreBook, reference: FloatArray, generated: FloatArray, split: Split, parts: int) -> None:
    """Add ``fpd``, the plain Frechet distance at the size of the split, of scaled features."""
    pairs: list[tuple[float, float | None]] = []
    for one in (split, *split.parts(parts)):
        a, b, made = reference[one.a], reference[one.b], generated[one.generated]
        pairs.append((frechet_distance(a, made), frechet_distance(a, b)))
    book.add_parts("fpd", pairs, split.size)


def add_frechet_intercept(book: ScoreBook, reference: FloatArray, generated: FloatArray, split: Split) -> None:
    """Add ``fpd_intercept``, the Frechet distance extrapolated to infinitely many events, without drawing any twice."""
    smallest = max(_SMALLEST_FRECHET, _EVENTS_PER_FEATURE * reference.shape[1])
    if split.size < 2 * smallest:
        return
    a = reference[split.a]
    fits = [frechet_intercept(a, x, smallest=smallest) for x in (generated[split.generated], reference[split.b])]
    book.add_fit("fpd_intercept", fits[0], fits[1], split.size)


def add_correlations(
    book: ScoreBook, reference: FloatArray, generated: FloatArray, split: Split, parts: int, seed: int
) -> None:
    """Add ``correlation``, ``sliced_w1`` and ``energy_distance``, of standardised features.

    All scores of a name use the same directions. The energy distance takes at most 4,000 events a side; its p-value, by
    200 permutations, is ``energy_distance.p``, and has no error.
    """
    few = Split(split.a[:_ENERGY_EVENTS], split.b[:_ENERGY_EVENTS], split.generated[:_ENERGY_EVENTS])
    found: dict[str, list[tuple[float, float | None]]] = {"correlation": [], "sliced_w1": [], "energy_distance": []}
    p_values: list[float] = []
    for large, small in zip((split, *split.parts(parts)), (few, *few.parts(parts)), strict=True):
        a, others = reference[large.a], (generated[large.generated], reference[large.b])
        value, floor = (correlation_distance(a, other) for other in others)
        found["correlation"].append((value, floor))
        value, floor = (sliced_wasserstein(a, other, np.random.default_rng(seed)) for other in others)
        found["sliced_w1"].append((value, floor))
        near, others = reference[small.a], (generated[small.generated], reference[small.b])
        randoms = (np.random.default_rng(seed) if small is few else None for _ in others)
        energies = [energy_distance(near, other, rng) for other, rng in zip(others, randoms, strict=True)]
        found["energy_distance"].append((energies[0][0], energies[1][0]))
        p_values = p_values or [p for _, p in energies]
    for name, pairs in found.items():
        book.add_parts(name, pairs, few.size if name == "energy_distance" else split.size)
    book.add("energy_distance.p", p_values[0], p_values[1], few.size)
    book.comment("energy_distance.p", "probability of as large a distance between samples of one law; floor: of truth")


def add_published_distances(
    book: ScoreBook, reference: FloatArray, generated: FloatArray, splits: Sequence[Split], rng: np.random.Generator
) -> None:
    """Add ``fpd_extrapolated`` and ``kpd`` with the settings of the CaloChallenge (at least 10,000 events a side).

    These draw their own batches of a fixed size, which no part of a split can give: errors are the spread over repeats.
    """
    for split in splits:
        a, b, made = reference[split.a], reference[split.b], generated[split.generated]
        value, floor = (frechet_extrapolated(a, other, rng)[0] for other in (made, b))
        book.add("fpd_extrapolated", value, floor, split.size)
        value, floor = (kernel_distance(a, other, rng, batch_size=10_000)[0] for other in (made, b))
        book.add("kpd", value, floor, split.size)


def add_neighbours(
    book: ScoreBook, reference: FloatArray, generated: FloatArray, split: Split, parts: int, size: int, k: int = 5
) -> None:
    """Add ``precision``, ``recall``, ``density`` and ``coverage`` of at most ``size`` events a side."""
    found = []
    chosen = Split(split.a[:size], split.b[:size], split.generated[:size])
    for one in (chosen, *(part for part in chosen.parts(parts) if part.size > 2 * k)):
        a = reference[one.a]
        found.append([neighbour_scores(a, x, k) for x in (generated[one.generated], reference[one.b])])
    for name in ("precision", "recall", "density", "coverage"):
        pairs = [(getattr(value, name), getattr(floor, name)) for value, floor in found]
        book.add_parts(name, pairs, chosen.size)
