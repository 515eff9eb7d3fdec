"""Kolmogorov and Wasserstein distances of all events of two samples, however many: sums in narrow cells, no event is kept."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hepgen.evaluation.domain import Pool
from hepgen.evaluation.scores import ScoreBook

FloatArray = NDArray[np.float64]
EDGES = 10_000


def sketch_edges(first: ArrayLike, second: ArrayLike, most: int = EDGES) -> FloatArray:
    """Edges for a sketch of two samples, from a part of each: every value, or quantiles where there are too many.

    Whole numbers, and all columns of few events, thus have an edge at each of their values.

    Example:
        >>> sketch_edges([3.0, 1.0, np.nan], [1.0, 2.0]).tolist()
        [1.0, 2.0, 3.0]
    """
    merged = np.concatenate([np.asarray(first, dtype=np.float64), np.asarray(second, dtype=np.float64)])
    values = np.unique(merged[~np.isnan(merged)])
    if len(values) <= most:
        return values
    return np.unique(np.quantile(merged[~np.isnan(merged)], np.linspace(0, 1, most), method="nearest"))


def empty_sketches(reference: FloatArray, generated: FloatArray) -> tuple[list[Sketch], list[Sketch]]:
    """Sketches of every observable of both samples, with edges by a part of each, (events, observables)."""
    edges = [sketch_edges(*pair) for pair in zip(reference.T, generated.T, strict=True)]
    return [Sketch.empty(one) for one in edges], [Sketch.empty(one) for one in edges]


@dataclass
class Sketch:
    """A weighted cumulative distribution, filled batch by batch: sums at and between edges.

    Attributes:
        edges: (edges,), ascending.
        at: (edges,), weight of the values that are equal to an edge.
        between: (edges + 1,), weight of the values below the first edge, between two, and above the last.
        below: (edges + 1,), sum over these of weight times the distance to the edge above (above the last: to the last,
            negative), which is what they add to the area under the cumulative distribution before that edge.
    """

    edges: FloatArray
    at: FloatArray
    between: FloatArray
    below: FloatArray

    @classmethod
    def empty(cls, edges: FloatArray) -> Sketch:
        size = len(edges)
        return cls(edges, np.zeros(size), np.zeros(size + 1), np.zeros(size + 1))

    def fill(self, values: FloatArray, weights: FloatArray) -> None:
        """Add events; values that are not a number are left out."""
        known = ~np.isnan(values)
        x, weight = values[known], weights[known]
        size = len(self.edges)
        if not size:
            return
        place = np.searchsorted(self.edges, x)
        edge = self.edges[np.minimum(place, size - 1)]
        equal = x == edge
        self.at += np.bincount(place[equal], weights=weight[equal], minlength=size)
        cell, mass = place[~equal], weight[~equal]
        self.between += np.bincount(cell, weights=mass, minlength=size + 1)
        self.below += np.bincount(cell, weights=mass * (edge - x)[~equal], minlength=size + 1)

    @property
    def total(self) -> float:
        """Sum of the weights."""
        return float(self.at.sum() + self.between.sum())

    def cumulative(self) -> tuple[FloatArray, FloatArray]:
        """Share of the weight below each edge, and up to and with it, each (edges,)."""
        upper = np.cumsum(self.at + self.between[:-1])
        return (upper - self.at) / self.total, upper / self.total


def sketch_distances(first: Sketch, second: Sketch) -> tuple[float, float]:
    """Kolmogorov and Wasserstein-1 distance of two sketches of the same edges.

    Exact where every value is an edge. Else the Kolmogorov distance misses what lies between edges, at most the share of
    a cell; the Wasserstein distance is exact but for cells in which the distributions cross.

    Example:
        >>> sketches = [Sketch.empty(np.array([0.0, 1.0])) for _ in range(2)]
        >>> for sketch, values in zip(sketches, ([0.0, 0.0, 1.0, 1.0], [0.0, 1.0, 1.0, 3.0]), strict=True):
        ...     sketch.fill(np.array(values), np.ones(4))
        >>> sketch_distances(*sketches)
        (0.25, 0.75)
    """
    if first.total == 0 or second.total == 0:
        return float("nan"), float("nan")
    (lower_1, upper_1), (lower_2, upper_2) = first.cumulative(), second.cumulative()
    lower, upper = lower_1 - lower_2, upper_1 - upper_2
    kolmogorov = max(float(np.abs(lower).max()), float(np.abs(upper).max()))
    areas = first.below / first.total - second.below / second.total
    areas[1:-1] += upper[:-1] * np.diff(first.edges)
    return kolmogorov, float(np.abs(areas).sum())


def add_all_events(
    book: ScoreBook,
    reference: Sequence[Sketch],
    generated: Sequence[Sketch],
    pool: FloatArray,
    events: tuple[int, int],
) -> None:
    """Add ``ks.max.all`` and ``w1.max.all``: the largest distances of all events of both samples; they have no floor.

    Args:
        book: takes the scores.
        reference, generated: one sketch per observable.
        pool: (rows, observables) of the reference; its standard deviations are the units of the Wasserstein distances.
        events: of the two samples.
    """
    deviations = np.array([_deviation(column) for column in pool.T])
    distances = np.array([sketch_distances(*pair) for pair in zip(reference, generated, strict=True)])
    scaled = distances[:, 1] / np.where(deviations > 0, deviations, np.nan)
    for name, values in (("ks.max.all", distances[:, 0]), ("w1.max.all", scaled)):
        known = values[np.isfinite(values)]
        book.add(name, float(known.max()) if len(known) else float("nan"), None, min(events))
        book.comment(name, f"{events[0]} reference against {events[1]} generated events, no floor")


def add_all_pooled(book: ScoreBook, reference: Pool, generated: Pool) -> None:
    """The same of two pools."""
    pools = reference, generated
    sketches = empty_sketches(reference.observables, generated.observables)
    for pool, of_sample in zip(pools, sketches, strict=True):
        for values, sketch in zip(pool.observables.T, of_sample, strict=True):
            sketch.fill(values, pool.weights)
    add_all_events(book, *sketches, reference.observables, (len(reference), len(generated)))


def _deviation(values: FloatArray) -> float:
    known = values[~np.isnan(values)]
    return float(known.std()) if len(known) else 0.0
