"""Multivariate distances of the samples on their high-level features: Frechet, kernel, nearest neighbours."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from hepgen.errors import UsageError
from hepgen.evaluation.domain import Array, FloatArray
from hepgen.evaluation.metrics import frechet_distance, frechet_extrapolated, kernel_distance, neighbour_scores
from hepgen.evaluation.report import ScoreBook
from hepgen.evaluation.splits import Split


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
