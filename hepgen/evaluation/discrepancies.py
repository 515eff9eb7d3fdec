"""Distances that are means over all pairs of events: of two samples whole, and without each of their parts.

The kernel and the energy distance are both the maximum mean discrepancy of a kernel k, E k(x, x') + E k(y, y') - 2 E k(x, y).
Sums over pairs of parts give it of the whole and of all but each part in one pass over the pairs.

Matrices have shape (events, features), finite, with one row per event; features on a common scale.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from hepgen.evaluation.multivariate import FloatArray, squared_distances

Kernel = Callable[[FloatArray, FloatArray], FloatArray]
"""k of every pair of events of two samples, (events of the first, events of the second)."""

Sample = tuple[FloatArray, FloatArray | None]
"""Events and their weights, (events,), which may be negative, or None where all are 1."""


def polynomial(first: FloatArray, second: FloatArray) -> FloatArray:
    """The kernel (x.y/d + 1)^4 of the kernel physics distance (arXiv 2211.10295)."""
    values = first @ (second.T / first.shape[1])
    values += 1.0
    values *= values
    values *= values
    return np.asarray(values)


def nearness(first: FloatArray, second: FloatArray) -> FloatArray:
    """The kernel -|x - y|, whose discrepancy is the energy distance 2 E|x - y| - E|x - x'| - E|y - y'| (Székely and Rizzo)."""
    return np.asarray(-np.sqrt(squared_distances(first, second)))


def left_out_discrepancies(first: Sample, others: Sequence[Sample], kernel: Kernel, parts: int) -> FloatArray:
    """Unbiased discrepancies of several samples from one: of all events, and of all but each of ``parts`` parts of both.

    Returns:
        (1 + parts, others); nan where the weights of a side cancel.

    Example:
        >>> x, y = np.array([[0.0], [1.0], [2.0]]), np.array([[10.0], [11.0], [12.0]])
        >>> left_out_discrepancies((x, None), [(y, None)], nearness, 3).ravel().tolist()
        [17.33333, 18.0, 16.0, 18.0]
    """
    ours = _Parts.of(first, parts)
    within = ours.mean_within(kernel)
    found = []
    for other in others:
        theirs = _Parts.of(other, parts)
        found.append(within + theirs.mean_within(kernel) - 2.0 * ours.mean_across(theirs, kernel))
    return np.stack(found, axis=1)


@dataclass(frozen=True)
class _Parts:
    """A sample in parts: events and weights of each, sums of the weights and of their squares of all and of all but each."""

    events: list[FloatArray]
    weights: list[FloatArray]
    totals: FloatArray
    squares: FloatArray

    @classmethod
    def of(cls, sample: Sample, parts: int) -> _Parts:
        values, weights = sample
        weights = np.ones(len(values)) if weights is None else weights
        pieces = np.array_split(weights, parts)
        totals, squares = (np.array([one.sum() for one in each]) for each in (pieces, map(np.square, pieces)))
        return cls(np.array_split(values, parts), pieces, _left(totals), _left(squares))

    def mean_within(self, kernel: Kernel) -> FloatArray:
        """The mean of the kernel over pairs of different events, (1 + parts,)."""
        count = len(self.events)
        sums, same = np.zeros((count, count)), np.zeros(count)
        for i in range(count):
            for j in range(i + 1):
                values = kernel(self.events[i], self.events[j])
                sums[i, j] = sums[j, i] = self.weights[i] @ values @ self.weights[j]
                if i == j:
                    same[i] = np.square(self.weights[i]) @ np.diagonal(values)
        return _divided(_left_pairs(sums) - _left(same), np.square(self.totals) - self.squares, self.totals)

    def mean_across(self, other: _Parts, kernel: Kernel) -> FloatArray:
        """The mean of the kernel over pairs of an event of each sample, (1 + parts,)."""
        sums = np.array(
            [
                [mine @ kernel(x, y) @ theirs for y, theirs in zip(other.events, other.weights, strict=True)]
                for x, mine in zip(self.events, self.weights, strict=True)
            ]
        )
        return _divided(_left_pairs(sums), self.totals * other.totals, np.minimum(self.totals, other.totals))


def _left(sums: FloatArray) -> FloatArray:
    """The sum over all parts, then over all but each."""
    whole = sums.sum(keepdims=True)
    return np.concatenate([whole, whole - sums])


def _left_pairs(sums: FloatArray) -> FloatArray:
    """The sum over all pairs of parts, then over those without each."""
    whole = sums.sum()
    return np.concatenate([[whole], whole - sums.sum(axis=0) - sums.sum(axis=1) + np.diagonal(sums)])


def _divided(sums: FloatArray, pairs: FloatArray, weight: FloatArray) -> FloatArray:
    """A mean over pairs; nan where there are none, or where the weights of a side cancel."""
    there = (weight > 0) & (pairs > 0)
    return np.where(there, sums / np.where(there, pairs, 1.0), np.nan)
