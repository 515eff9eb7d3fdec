"""Multivariate distances of the samples on their high-level features: Frechet, kernel, nearest neighbours."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hepgen.errors import UsageError
from hepgen.evaluation.domain import Array, FloatArray
from hepgen.evaluation.metrics import UNWEIGHTED
from hepgen.evaluation.multivariate import (
    correlation_distance,
    frechet_distance,
    frechet_extrapolated,
    frechet_intercept,
    kernel_distance,
    neighbour_scores,
    squared_mmd,
)
from hepgen.evaluation.scores import ScoreBook
from hepgen.evaluation.splits import Split
from hepgen.evaluation.transport import energy_distance, sliced_wasserstein

_ENERGY_EVENTS = 4000
_KERNEL_EVENTS = 4000
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


@dataclass(frozen=True)
class Features:
    """Scaled features of a sample, (events, features), and weights, (events,), or None where all are 1."""

    values: FloatArray
    weights: FloatArray | None = None

    def take(self, rows: NDArray[np.int64]) -> tuple[FloatArray, FloatArray | None]:
        """Of some events."""
        return self.values[rows], None if self.weights is None else self.weights[rows]


Distance = Callable[..., float]


def _of_pair(distance: Distance, reference: Features, others: tuple[Features, Features], split: Split) -> list[float]:
    """The distance of generated events and of half B from half A."""
    a, weights = reference.take(split.a)
    found = []
    for other, rows in zip(others, (split.generated, split.b), strict=True):
        values, other_weights = other.take(rows)
        found.append(distance(a, values, first_weights=weights, second_weights=other_weights))
    return found


def add_frechet(book: ScoreBook, reference: Features, generated: Features, split: Split, parts: int) -> None:
    """Add ``fpd``, the plain Frechet distance at the size of the split, of scaled features."""
    others = generated, reference
    pairs = [_of_pair(frechet_distance, reference, others, one) for one in (split, *split.parts(parts))]
    book.add_parts("fpd", [(value, floor) for value, floor in pairs], split.size)


def add_frechet_intercept(book: ScoreBook, reference: Features, generated: Features, split: Split) -> None:
    """Add ``fpd_intercept``, the Frechet distance extrapolated to infinitely many events, without drawing any twice."""
    smallest = max(_SMALLEST_FRECHET, _EVENTS_PER_FEATURE * reference.values.shape[1])
    if split.size < 2 * smallest:
        return
    a, weights = reference.take(split.a)
    fits = []
    for other, rows in ((generated, split.generated), (reference, split.b)):
        values, other_weights = other.take(rows)
        fits.append(frechet_intercept(a, values, weights, other_weights, smallest=smallest))
    book.add_fit("fpd_intercept", fits[0], fits[1], split.size)


def add_kernel_distance(book: ScoreBook, reference: Features, generated: Features, split: Split, parts: int) -> None:
    """Add ``kpd``, the unbiased squared MMD with the kernel (x.y/d + 1)^4, of at most 4,000 events a side, without weights."""
    few = Split(split.a[:_KERNEL_EVENTS], split.b[:_KERNEL_EVENTS], split.generated[:_KERNEL_EVENTS])
    pairs: list[tuple[float, float | None]] = []
    for one in (few, *few.parts(parts)):
        a = reference.values[one.a]
        others = generated.values[one.generated], reference.values[one.b]
        value, floor = (squared_mmd(a, other) for other in others)
        pairs.append((value, floor))
    book.add_parts("kpd", pairs, few.size)
    if reference.weights is not None or generated.weights is not None:
        book.comment("kpd", UNWEIGHTED)


def add_correlations(
    book: ScoreBook, reference: Features, generated: Features, split: Split, parts: int, seed: int
) -> None:
    """Add ``correlation``, ``sliced_w1`` and ``energy_distance``, of standardised features.

    All scores of a name use the same directions. The energy distance takes at most 4,000 events a side; its p-value, by
    200 permutations, is ``energy_distance.p``, and has no error.
    """
    few = Split(split.a[:_ENERGY_EVENTS], split.b[:_ENERGY_EVENTS], split.generated[:_ENERGY_EVENTS])
    others = generated, reference

    def sliced(first: FloatArray, second: FloatArray, **weights: Any) -> float:
        return sliced_wasserstein(first, second, np.random.default_rng(seed), **weights)

    def energy(first: FloatArray, second: FloatArray, **weights: Any) -> float:
        return energy_distance(first, second, None, **weights)[0]

    def energy_p(first: FloatArray, second: FloatArray, **weights: Any) -> float:
        return energy_distance(first, second, np.random.default_rng(seed), **weights)[1]

    scores: tuple[tuple[str, Distance, Split], ...] = (
        ("correlation", correlation_distance, split),
        ("sliced_w1", sliced, split),
        ("energy_distance", energy, few),
    )
    for name, distance, chosen in scores:
        pairs = [_of_pair(distance, reference, others, one) for one in (chosen, *chosen.parts(parts))]
        book.add_parts(name, [(value, floor) for value, floor in pairs], chosen.size)
    value, floor = _of_pair(energy_p, reference, others, few)
    book.add("energy_distance.p", value, floor, few.size)
    book.comment("energy_distance.p", "probability of as large a distance between samples of one law; floor: of truth")


def add_published_distances(
    book: ScoreBook, reference: Features, generated: Features, splits: Sequence[Split], rng: np.random.Generator
) -> None:
    """Add ``fpd_extrapolated`` and ``kpd_median`` with the settings of the CaloChallenge (at least 10,000 events a side).

    These draw their own batches of a fixed size, which no part of a split can give: errors are the spread over repeats.
    """
    for split in splits:
        a, b, made = reference.values[split.a], reference.values[split.b], generated.values[split.generated]
        value, floor = (frechet_extrapolated(a, other, rng)[0] for other in (made, b))
        book.add("fpd_extrapolated", value, floor, split.size)
        value, floor = (kernel_distance(a, other, rng, batch_size=10_000)[0] for other in (made, b))
        book.add("kpd_median", value, floor, split.size)
    if reference.weights is not None or generated.weights is not None:
        for name in ("fpd_extrapolated", "kpd_median"):
            book.comment(name, UNWEIGHTED)


def add_neighbours(
    book: ScoreBook, reference: Features, generated: Features, split: Split, parts: int, size: int, k: int = 5
) -> None:
    """Add ``precision``, ``recall``, ``density`` and ``coverage`` of at most ``size`` events a side."""
    found = []
    chosen = Split(split.a[:size], split.b[:size], split.generated[:size])
    for one in (chosen, *(part for part in chosen.parts(parts) if part.size > 2 * k)):
        a = reference.values[one.a]
        others = generated.values[one.generated], reference.values[one.b]
        found.append([neighbour_scores(a, x, k) for x in others])
    for name in ("precision", "recall", "density", "coverage"):
        pairs = [(getattr(value, name), getattr(floor, name)) for value, floor in found]
        book.add_parts(name, pairs, chosen.size)
        if reference.weights is not None or generated.weights is not None:
            book.comment(name, f"{UNWEIGHTED}, which neighbours cannot have")
