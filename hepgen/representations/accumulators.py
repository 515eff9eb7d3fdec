"""Summaries of a stream of rows: ``update`` with a batch, ``merge`` with another worker's, ``result``.

Each keeps bounded memory and gives, for the same rows, the same answer however the rows were cut into batches (moments
up to rounding). Rows are arrays of shape (events, columns); a NaN is a missing value.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, Self, TypeVar

import numpy as np
from numpy.typing import NDArray

Rows = NDArray[np.float64]
Result_co = TypeVar("Result_co", covariant=True)


class Accumulator(Protocol[Result_co]):
    """What every summary of a stream offers."""

    def update(self, rows: Rows, weights: Rows | None = None) -> None: ...

    def merge(self, other: Self) -> None: ...

    def result(self) -> Result_co: ...


@dataclass(frozen=True)
class MomentsResult:
    """Moments of the values that are finite, each of shape (columns,); NaN where a column has none.

    ``low`` and ``high`` are extremes, ``missing`` counts NaN, ``infinite`` counts both infinities, and ``integral``
    says whether all finite values are whole numbers.
    """

    rows: int
    weight: Rows
    mean: Rows
    std: Rows
    low: Rows
    high: Rows
    missing: Rows
    infinite: Rows
    integral: NDArray[np.bool_]


class Moments:
    """Weighted mean and standard deviation, extremes and counts per column.

    Partial sums are combined with the pairwise update of Chan, Golub and LeVeque (1979), which does not cancel.

    Example:
        >>> import numpy as np
        >>> moments = Moments(1)
        >>> moments.update(np.array([[1.0], [3.0]]))
        >>> moments.update(np.array([[np.nan], [5.0]]))
        >>> result = moments.result()
        >>> float(result.mean[0]), float(result.high[0]), int(result.missing[0])
        (3.0, 5.0, 1)
    """

    def __init__(self, columns: int) -> None:
        self._rows = 0
        self._weight = np.zeros(columns)
        self._mean = np.zeros(columns)
        self._square = np.zeros(columns)
        self._low = np.full(columns, np.inf)
        self._high = np.full(columns, -np.inf)
        self._missing = np.zeros(columns)
        self._infinite = np.zeros(columns)
        self._integral = np.ones(columns, dtype=np.bool_)

    def update(self, rows: Rows, weights: Rows | None = None) -> None:
        if len(rows) == 0:
            return
        finite = np.isfinite(rows)
        filled = np.where(finite, rows, 0.0)
        weight = np.where(finite, 1.0 if weights is None else weights[:, None], 0.0)
        total = weight.sum(0)
        mean = np.divide((weight * filled).sum(0), total, out=np.zeros_like(total), where=total != 0)
        square = (weight * (filled - mean) ** 2).sum(0)
        self._rows += len(rows)
        self._combine(total, mean, square)
        self._low = np.minimum(self._low, np.where(finite, rows, np.inf).min(0))
        self._high = np.maximum(self._high, np.where(finite, rows, -np.inf).max(0))
        self._missing += np.isnan(rows).sum(0)
        self._infinite += np.isinf(rows).sum(0)
        self._integral &= (filled == np.floor(filled)).all(0)

    def _combine(self, weight: Rows, mean: Rows, square: Rows) -> None:
        total = self._weight + weight
        share = np.divide(weight, total, out=np.zeros_like(total), where=total != 0)
        step = mean - self._mean
        self._square = self._square + square + step**2 * self._weight * share
        self._mean = self._mean + step * share
        self._weight = total

    def merge(self, other: Self) -> None:
        self._rows += other._rows
        self._combine(other._weight, other._mean, other._square)
        self._low = np.minimum(self._low, other._low)
        self._high = np.maximum(self._high, other._high)
        self._missing = self._missing + other._missing
        self._infinite = self._infinite + other._infinite
        self._integral = self._integral & other._integral

    def result(self) -> MomentsResult:
        some = np.isfinite(self._low)
        nothing = np.full_like(self._mean, np.nan)
        variance = np.divide(self._square, self._weight, out=nothing.copy(), where=some & (self._weight != 0))
        return MomentsResult(
            rows=self._rows,
            weight=self._weight,
            mean=np.where(some, self._mean, nothing),
            std=np.sqrt(np.maximum(variance, 0.0)),
            low=np.where(some, self._low, nothing),
            high=np.where(some, self._high, nothing),
            missing=self._missing,
            infinite=self._infinite,
            integral=self._integral & some,
        )


@dataclass(frozen=True)
class Distinct:
    """Distinct values of a column in ascending order, and how many rows have each."""

    values: Rows
    counts: Rows


class DistinctValues:
    """The distinct finite values of each column, as long as there are at most ``limit`` of them.

    Example:
        >>> import numpy as np
        >>> distinct = DistinctValues(2, limit=2)
        >>> distinct.update(np.array([[0.0, 1.0], [1.0, 2.0], [0.0, 3.0]]))
        >>> distinct.result()[0].counts.tolist(), distinct.result()[1]
        ([2.0, 1.0], None)
    """

    def __init__(self, columns: int, limit: int) -> None:
        self._limit = limit
        self._found: list[Distinct | None] = [Distinct(np.empty(0), np.empty(0)) for _ in range(columns)]

    def update(self, rows: Rows, weights: Rows | None = None) -> None:
        for index, known in enumerate(self._found):
            if known is None:
                continue
            finite = np.isfinite(rows[:, index])
            values, inverse = np.unique(rows[finite, index], return_inverse=True)
            counts = np.bincount(inverse, None if weights is None else weights[finite], minlength=len(values))
            self._found[index] = self._join(known, Distinct(values, counts.astype(np.float64)))

    def _join(self, one: Distinct, two: Distinct) -> Distinct | None:
        values, inverse = np.unique(np.concatenate([one.values, two.values]), return_inverse=True)
        if len(values) > self._limit:
            return None
        counts = np.bincount(inverse, np.concatenate([one.counts, two.counts]), minlength=len(values))
        return Distinct(values, counts.astype(np.float64))

    def merge(self, other: Self) -> None:
        pairs = zip(self._found, other._found, strict=True)
        self._found = [None if one is None or two is None else self._join(one, two) for one, two in pairs]

    def result(self) -> list[Distinct | None]:
        return list(self._found)


@dataclass(frozen=True)
class DistinctRowsResult:
    """Distinct rows of shape (rows, columns), in ascending order; how many there are of each; the sum of their weights."""

    rows: Rows
    counts: Rows
    weights: Rows


class DistinctRows:
    """The distinct rows, without missing values, as long as there are at most ``limit`` of them.

    Example:
        >>> import numpy as np
        >>> distinct = DistinctRows(2, limit=2)
        >>> distinct.update(np.array([[0.0, 1.0], [1.0, 2.0], [0.0, 1.0]]))
        >>> distinct.result().rows.tolist(), distinct.result().counts.tolist()
        ([[0.0, 1.0], [1.0, 2.0]], [2.0, 1.0])
    """

    def __init__(self, columns: int, limit: int) -> None:
        self._limit = limit
        self._found: DistinctRowsResult | None = DistinctRowsResult(np.empty((0, columns)), np.empty(0), np.empty(0))

    def update(self, rows: Rows, weights: Rows | None = None) -> None:
        ones = np.ones(len(rows))
        self._join(DistinctRowsResult(rows, ones, ones if weights is None else weights))

    def merge(self, other: Self) -> None:
        if other._found is None:
            self._found = None
        else:
            self._join(other._found)

    def _join(self, other: DistinctRowsResult) -> None:
        one = self._found
        if one is None:
            return
        rows, place = np.unique(np.concatenate([one.rows, other.rows]), axis=0, return_inverse=True)
        place, number = place.ravel(), len(rows)
        if number > self._limit:
            self._found = None
            return
        columns = ((one.counts, other.counts), (one.weights, other.weights))
        counts, weights = (np.bincount(place, np.concatenate(pair), number).astype(np.float64) for pair in columns)
        self._found = DistinctRowsResult(rows, counts, weights)

    def result(self) -> DistinctRowsResult | None:
        return self._found


class RowSample:
    """A uniform sample of whole rows with their weights: the quantile sketch, and a sample to look for relations in.

    Every row gets a pseudo-random rank, a hash (SplitMix64, Steele, Lea and Flood 2014) of its number in the stream;
    the ``capacity`` rows with the lowest ranks are kept. So the sample depends on the rows only, not on the batches.
    A quantile of it is good to about 0.5 / sqrt(capacity) in probability.

    Args:
        columns: number of columns of a row.
        capacity: number of rows that are kept.
        first_row: number of the first row in the whole stream, so that the parts of several workers can be merged.

    Example:
        >>> import numpy as np
        >>> sample = RowSample(columns=1, capacity=1000)
        >>> sample.update(np.arange(101.0)[:, None])
        >>> sample.quantiles(0, [0.0, 0.5, 1.0]).tolist()
        [0.0, 50.0, 100.0]
    """

    def __init__(self, columns: int, capacity: int, first_row: int = 0) -> None:
        self._capacity = capacity
        self._next_row = first_row
        # Some room above the capacity: the rows are sorted out when it is full, not at every batch.
        room = capacity + max(1, capacity // 4)
        self._ranks = np.empty(room, dtype=np.uint64)
        self._rows = np.empty((room, columns))
        self._weights = np.empty(room)
        self._held = 0
        self._highest = np.uint64(2**64 - 1)

    def update(self, rows: Rows, weights: Rows | None = None) -> None:
        ranks = _splitmix64(np.arange(self._next_row, self._next_row + len(rows), dtype=np.uint64))
        self._next_row += len(rows)
        self._add(ranks, rows, np.ones(len(rows)) if weights is None else weights)

    def _add(self, ranks: NDArray[np.uint64], rows: Rows, weights: Rows) -> None:
        start = 0
        while start < len(ranks):
            chosen = start + np.flatnonzero(ranks[start:] <= self._highest)  # most rows of a long stream stop here
            chosen = chosen[: len(self._ranks) - self._held]
            place = slice(self._held, self._held + len(chosen))
            self._ranks[place], self._rows[place], self._weights[place] = ranks[chosen], rows[chosen], weights[chosen]
            self._held = place.stop
            if self._held < len(self._ranks):
                return
            start = int(chosen[-1]) + 1
            self._sort_out()

    def _sort_out(self) -> None:
        """Keep the rows of the lowest ranks, in their order."""
        kept = np.argsort(self._ranks[: self._held], kind="stable")[: self._capacity]
        self._held = len(kept)
        self._ranks[: self._held] = self._ranks[kept]
        self._weights[: self._held] = self._weights[kept]
        for column in self._rows.T:  # one by one: a copy of the whole sample would be large
            column[: self._held] = column[kept]
        if self._held == self._capacity:
            self._highest = self._ranks[self._held - 1]

    def merge(self, other: Self) -> None:
        self._next_row = max(self._next_row, other._next_row)
        held = slice(other._held)
        self._add(other._ranks[held], other._rows[held], other._weights[held])

    def result(self) -> tuple[Rows, Rows]:
        """Rows (events, columns) and their weights (events,), in pseudo-random order."""
        self._sort_out()
        return self._rows[: self._held], self._weights[: self._held]

    def quantiles(self, column: int, probabilities: list[float] | Rows) -> Rows:
        """Quantiles of one column; rows count with the absolute value of their weight, missing ones not at all."""
        rows, weights = self.result()
        values, weights = rows[:, column], np.abs(weights)
        kept = ~np.isnan(values) & (weights > 0)
        return weighted_quantiles(values[kept], weights[kept], probabilities)


def weighted_quantiles(values: Rows, weights: Rows, probabilities: list[float] | Rows) -> Rows:
    """Quantiles of a sample of shape (events,) whose weights are not negative; each value stands for its middle."""
    order = np.argsort(values, kind="stable")
    values, weights = values[order], weights[order]
    centres = np.cumsum(weights) - 0.5 * weights
    found: Rows = np.interp(np.asarray(probabilities) * weights.sum(), centres, values)
    return found


def _splitmix64(counter: NDArray[np.uint64]) -> NDArray[np.uint64]:
    mixed = (counter + np.uint64(1)) * np.uint64(0x9E3779B97F4A7C15)
    mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return mixed ^ (mixed >> np.uint64(31))
