"""Quantiles of the truth as a ruler: the quantile mean squared error of a sample, and the true events that it is worth.

With N_q quantiles of a truth sample and x_j the share of another sample in quantile j, arXiv 2008.06545 takes
qMSE = (1/N_q) sum_j (x_j - 1/N_q)^2. For N true events against quantiles of N_A others it is on average
(1/N_q) (1 - 1/N_q) (1/N + 1/N_A): the second term is how far the quantiles themselves are off.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hepgen.evaluation.domain import FloatArray
from hepgen.evaluation.metrics import effective_events

RESOLVED = 2.0  # errors by which the qMSE must exceed what the finite reference gives, for more than a lower bound
_LAGS = 4
_PAIR_EVENTS = 50_000
IndexArray = NDArray[np.int16]


def expected_qmse(quantiles: int, events: float, reference_events: float = np.inf) -> float:
    """Mean qMSE of true events against the quantiles of a truth sample.

    Args:
        quantiles: N_q.
        events: N, of the sample.
        reference_events: N_A, behind the quantiles.

    Example:
        >>> round(expected_qmse(50, 1000, 1000), 8), round(expected_qmse(50, 1000), 8)
        (3.92e-05, 1.96e-05)
    """
    return (1.0 - 1.0 / quantiles) / quantiles * (1.0 / events + 1.0 / reference_events)


def quantile_edges(values: FloatArray, weights: FloatArray, count: int) -> FloatArray:
    """Inner edges of ``count`` quantiles of equal weight, at most ``(count - 1,)``; an edge belongs to what is below it.

    Edges that coincide, because many events share a value, are one: their quantiles are merged. Where weights are
    negative the cumulative sum may cross a level several times; the first crossing counts.

    Example:
        >>> quantile_edges(np.array([3.0, 1.0, 2.0, 4.0]), np.ones(4), 2).tolist()
        [2.0]
        >>> quantile_edges(np.array([0.0, 0.0, 0.0, 1.0, 2.0, 3.0]), np.ones(6), 6).tolist()
        [0.0, 1.0, 2.0]
    """
    order = np.argsort(values, kind="stable")
    share = np.maximum.accumulate(np.cumsum(weights[order])) / weights.sum()
    places = np.searchsorted(share, np.arange(1, count) / count - 1e-12)
    edges = np.unique(values[order][np.minimum(places, len(order) - 1)])
    inner: FloatArray = edges[edges < values.max()]
    return inner


def place(values: FloatArray, edges: Sequence[FloatArray]) -> IndexArray:
    """Quantile of each value, (events, observables); -1 where it is not a number."""
    index = np.full(values.shape, -1, dtype=np.int16)
    for column, inner in enumerate(edges):
        present = ~np.isnan(values[:, column])
        index[present, column] = np.searchsorted(inner, values[present, column])
    return index


@dataclass(frozen=True)
class Measurement:
    """The quantile mean squared error of a sample, averaged over observables; nan where one has no events.

    Attributes:
        qmse: against the quantiles of half A.
        error: its statistical error, of the sample and of half A, with the correlations between observables.
        own_error: the part of the sample alone, for half A as it is.
        events: effective number of the sample.
        sampling: what so many events alone contribute to qmse.
        excess: qmse without the contribution of the finite half A; may be negative.
        unit: expected qmse of true events times their number.
    """

    qmse: float
    error: float
    own_error: float
    events: float
    sampling: float
    excess: float
    unit: float

    @property
    def resolved(self) -> bool:
        """Whether the sample differs from infinitely many true events; else there is only a lower bound."""
        return self.excess > RESOLVED * self.error

    @property
    def bound(self) -> bool:
        """Whether ``equivalent`` is a lower bound."""
        return bool(np.isfinite(self.excess)) and not self.resolved

    @property
    def equivalent(self) -> float:
        """Size of a sample of true events with the same qmse; a lower bound where it is not resolved."""
        return self.unit / (self.excess if self.resolved else max(self.excess, 0.0) + RESOLVED * self.error)

    @property
    def equivalent_error(self) -> float | None:
        """Statistical error of ``equivalent``; None of a bound."""
        return self.equivalent * self.error / self.excess if self.resolved else None


class Ruler:
    """The quantiles of observables by half A of the reference, and what half A can resolve.

    Args:
        edges: of the quantiles of each observable.
        index: quantiles of the events of half A, as ``place`` gives them.
        weights: (events,), of half A.
    """

    def __init__(self, edges: Sequence[FloatArray], index: IndexArray, weights: FloatArray) -> None:
        self.edges, self.index, self.weights = tuple(edges), index, weights
        self.bins = np.array([len(one) + 1 for one in edges])
        self.scale = 1.0 / (len(self.edges) * self.bins)
        self.events = effective_events(weights)
        self.shares, noise = self._shares(index, weights)
        self.noise = float(noise.mean())
        self.unit = float(self.scale @ np.sum(self.shares * (1.0 - self.shares), axis=1))
        self._overlap = self._pair_overlap()

    def only(self, column: int) -> Ruler:
        """The ruler of a single observable."""
        return Ruler(self.edges[column : column + 1], self.index[:, column : column + 1], self.weights)

    @property
    def resolution(self) -> float:
        """The largest number of equivalent events that half A tells from infinitely many, if all else were exact."""
        return self.unit * self.events / (RESOLVED * float(np.sqrt(2.0 * self._overlap)))

    def measure(self, index: IndexArray, weights: FloatArray) -> Measurement:
        """Compare a sample, as ``place`` gives it, with half A.

        The error is that of a quadratic form of nearly Gaussian shares: 2 tr M^2 + 4 d M d, with the covariance M of the
        differences d of the shares. The measured d holds noise, which adds tr M^2 to d M d and is taken out again.
        """
        shares, noise = self._shares(index, weights)
        difference = shares - self.shares
        qmse = float(self.scale @ np.square(difference).sum(axis=1))
        events = effective_events(weights)
        own = self._linear(index, weights, difference)
        both = own + self._linear(self.index, self.weights, difference)
        return Measurement(
            qmse=qmse,
            error=self._error(both, 1.0 / events + 1.0 / self.events),
            own_error=self._error(own, 1.0 / events),
            events=events,
            sampling=float(noise.mean()),
            excess=qmse - self.noise,
            unit=self.unit,
        )

    def of_pieces(self, index: IndexArray, weights: FloatArray, size: int) -> FloatArray:
        """qMSE of each of the disjoint pieces of ``size`` events, (pieces,); what is left over is not used."""
        pieces = len(index) // size
        piece = np.repeat(np.arange(pieces), size)
        width = int(self.bins.max()) + 1  # the first cell takes events without a value
        found = np.zeros(pieces)
        for column, scale in enumerate(self.scale):
            cells = piece * width + index[: pieces * size, column] + 1
            counts = np.bincount(cells, weights[: pieces * size], pieces * width).reshape(pieces, width)[:, 1:]
            total = counts.sum(axis=1, keepdims=True)
            difference = counts / np.where(total > 0, total, np.nan) - self.shares[column]
            found += scale * np.square(difference).sum(axis=1)
        return found

    def _shares(self, index: IndexArray, weights: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Shares of a sample, (observables, quantiles), and the mean variance of those of each observable."""
        width = int(self.bins.max()) + 1
        counts, squares = (
            np.array([np.bincount(column + 1, weight, width)[1:] for column in index.T])
            for weight in (weights, np.square(weights))
        )
        total = counts.sum(axis=1, keepdims=True)
        total = np.where(total > 0, total, np.nan)
        shares = counts / total
        variance = (squares * (1.0 - 2.0 * shares) + np.square(shares) * squares.sum(axis=1, keepdims=True)) / total**2
        return shares, variance.sum(axis=1) / self.bins

    def _linear(self, index: IndexArray, weights: FloatArray, difference: FloatArray) -> float:
        """Variance of the scaled shares of a sample along their differences."""
        direction = np.pad(self.scale[:, None] * difference, ((0, 0), (0, 1)))
        along = np.zeros(len(index))
        for column, slopes in enumerate(direction):
            along += slopes[index[:, column]]
        total = weights.sum()
        return float(np.sum(np.square(weights * (along - weights @ along / total))) / total**2)

    def _error(self, linear: float, per_event: float) -> float:
        trace = self._overlap * per_event**2
        return float(np.sqrt(max(4.0 * linear - 2.0 * trace, 2.0 * trace)))

    def _pair_overlap(self) -> float:
        """tr C^2 of the covariance C of which quantiles an event is in, scaled, over all observables.

        It is the mean square of the product of two independent events, so pairs of events of half A estimate it without
        bias and without the matrix: for equal quantiles, the variance of the number of quantiles that two events share.
        """
        index, squares = self.index[:_PAIR_EVENTS], np.square(self.weights[:_PAIR_EVENTS])
        constant = np.square(self.shares).sum(axis=1)
        above = below = 0.0
        for lag in range(1, _LAGS + 1):
            product = np.zeros(len(index))
            for column, share in enumerate(self.shares):
                first = index[:, column]
                second = np.roll(first, lag)
                centred = (first == second) - share[first] - share[second] + constant[column]
                product += self.scale[column] * np.where((first >= 0) & (second >= 0), centred, 0.0)
            pair = squares * np.roll(squares, lag)
            above += float(pair @ np.square(product))
            below += float(pair.sum())
        return above / below
