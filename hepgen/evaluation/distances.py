"""Multivariate distances of the samples on their high-level features: Frechet, kernel, nearest neighbours."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hepgen.errors import UsageError
from hepgen.evaluation.discrepancies import Kernel, left_out_discrepancies, nearness, polynomial
from hepgen.evaluation.domain import Array, FloatArray
from hepgen.evaluation.jackknife import pseudo_values
from hepgen.evaluation.metrics import UNWEIGHTED
from hepgen.evaluation.multivariate import (
    correlation_distance,
    frechet_distances,
    frechet_extrapolated,
    frechet_intercept,
    kernel_distance,
    neighbour_scores,
)
from hepgen.evaluation.scores import Pair, ScoreBook
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


def _of_splits(
    measure: Callable[[Split], Sequence[float]], splits: Sequence[Split], parts: int
) -> tuple[list[list[Pair]], int]:
    """Score and floor of every split and of its parts, and the events on each side of the smallest split."""
    found = [[measure(one) for one in (split, *split.parts(parts))] for split in splits]
    return [[(value, floor) for value, floor in pairs] for pairs in found], min(split.size for split in splits)


def add_frechet(book: ScoreBook, reference: Features, generated: Features, splits: Sequence[Split], parts: int) -> None:
    """Add ``fpd``, the plain Frechet distance at the size of the splits, of scaled features."""

    def measure(one: Split) -> Sequence[float]:
        return frechet_distances(reference.take(one.a), (generated.take(one.generated), reference.take(one.b)))

    found = np.array([[measure(one) for one in (split, *split.all_but_each(parts))] for split in splits])
    book.add_splits("fpd", pseudo_values(found).tolist(), min(split.size for split in splits))


def intercept_events(features: int) -> int:
    """Events a side that ``fpd_intercept`` of so many features needs.

    Example:
        >>> intercept_events(20), intercept_events(100)
        (1000, 2000)
    """
    return 2 * max(_SMALLEST_FRECHET, _EVENTS_PER_FEATURE * features)


def add_frechet_intercept(book: ScoreBook, reference: Features, generated: Features, split: Split) -> None:
    """Add ``fpd_intercept``, the Frechet distance extrapolated to infinitely many events, without drawing any twice."""
    smallest = intercept_events(reference.values.shape[1]) // 2
    if split.size < 2 * smallest:
        return
    a, weights = reference.take(split.a)
    fits = []
    for other, rows in ((generated, split.generated), (reference, split.b)):
        values, other_weights = other.take(rows)
        fits.append(frechet_intercept(a, values, weights, other_weights, smallest=smallest))
    book.add_fit("fpd_intercept", fits[0], fits[1], split.size)


def add_kernel_distance(
    book: ScoreBook, reference: Features, generated: Features, splits: Sequence[Split], parts: int
) -> None:
    """Add ``kpd``, the unbiased squared MMD with the kernel (x.y/d + 1)^4, of at most 4,000 events a side, without weights."""
    few = [split.first(_KERNEL_EVENTS) for split in splits]
    _add_discrepancy(book, "kpd", polynomial, Features(reference.values), Features(generated.values), few, parts)
    if reference.weights is not None or generated.weights is not None:
        book.comment("kpd", UNWEIGHTED)


def _add_discrepancy(
    book: ScoreBook,
    name: str,
    kernel: Kernel,
    reference: Features,
    generated: Features,
    splits: Sequence[Split],
    parts: int,
) -> None:
    """Add a mean over pairs of events, which is quadratic in the difference: its error is that of the jackknife."""
    found = [
        left_out_discrepancies(
            reference.take(one.a), [generated.take(one.generated), reference.take(one.b)], kernel, parts
        )
        for one in splits
    ]
    book.add_splits(name, pseudo_values(np.array(found)).tolist(), min(one.size for one in splits))


def add_correlations(
    book: ScoreBook,
    reference: Features,
    generated: Features,
    splits: Sequence[Split],
    parts: int,
    seed: int,
    dear: int = 1,
) -> None:
    """Add ``correlation``, ``sliced_w1`` and ``energy_distance``, of standardised features.

    All scores of a name use the same directions. The energy distance takes the first ``dear`` splits and at most 4,000
    events a side; its p-value, by 200 permutations of the first split, is ``energy_distance.p``, and has no error.
    """
    few = [split.first(_ENERGY_EVENTS) for split in splits[:dear]]
    others = generated, reference

    def sliced(first: FloatArray, second: FloatArray, **weights: Any) -> float:
        return sliced_wasserstein(first, second, np.random.default_rng(seed), **weights)

    def energy_p(first: FloatArray, second: FloatArray, **weights: Any) -> float:
        return energy_distance(first, second, np.random.default_rng(seed), **weights)[1]

    scores: tuple[tuple[str, Distance], ...] = (("correlation", correlation_distance), ("sliced_w1", sliced))
    for name, distance in scores:
        book.add_splits(name, *_of_splits(partial(_of_pair, distance, reference, others), splits, parts))
    _add_discrepancy(book, "energy_distance", nearness, reference, generated, few, parts)
    value, floor = _of_pair(energy_p, reference, others, few[0])
    book.add("energy_distance.p", value, floor, few[0].size)
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
    book: ScoreBook,
    reference: Features,
    generated: Features,
    splits: Sequence[Split],
    parts: int,
    size: int,
    k: int = 5,
) -> None:
    """Add ``precision``, ``recall``, ``density`` and ``coverage`` of at most ``size`` events a side."""
    found = []
    chosen = [split.first(size) for split in splits]
    for split in chosen:
        pieces = (split, *(part for part in split.parts(parts) if part.size > 2 * k))
        sides = [(reference.values[x.a], generated.values[x.generated], reference.values[x.b]) for x in pieces]
        found.append([[neighbour_scores(a, other, k) for other in others] for a, *others in sides])
    for name in ("precision", "recall", "density", "coverage"):
        pairs: list[list[Pair]] = [[(getattr(value, name), getattr(floor, name)) for value, floor in x] for x in found]
        book.add_splits(name, pairs, min(split.size for split in chosen))
        if reference.weights is not None or generated.weights is not None:
            book.comment(name, f"{UNWEIGHTED}, which neighbours cannot have")
