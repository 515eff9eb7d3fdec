"""What no true event does: ranges of observables, values that many events share, columns that exceed another one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hepgen.evaluation.domain import FloatArray
from hepgen.evaluation.histograms import Observable
from hepgen.evaluation.quantity_names import is_energy

_FAR = 10.0
_DECADES = 3
_STEEP, _HEAVY = 0.5, 3.0
_CAUTION = 1.3  # for what ten and a hundred events say of a tail
_EDGE = 100
_ROUNDING = 1e-6
_SHARED = 10
_ORDER_ROWS = 4096
_LEAST_OVERLAP = 0.05  # how often independent columns would break an order before it says anything

Flags = NDArray[np.bool_]


@dataclass(frozen=True)
class Range:
    """Smallest and largest value of each observable that truth may have, (observables,), nan where it has none."""

    low: FloatArray
    high: FloatArray

    @classmethod
    def fit(cls, values: FloatArray, *, tight: bool = False) -> Range:
        """From a reference, (events, observables).

        The range ends behind the extreme value by ten times its distance from the tenth most extreme one: at an edge, where
        events are dense, close behind it; in a tail, which the next sample may well follow further, far behind it. A tight
        one ends where the tail will reach in three more decades of events, judged by the distances between the first, the
        tenth and the hundredth most extreme one. Where ten events share the extreme value, as whole numbers do, it ends one
        step behind it, and there where a hundred do.
        """
        ends = [_ends(column[~np.isnan(column)], tight) for column in values.T]
        return cls(*(np.array([end[side] for end in ends]) for side in (0, 1)))

    def outside(self, values: FloatArray) -> Flags:
        """Flags of the values outside, (events, observables); what is not a number is not."""
        with np.errstate(invalid="ignore"):
            return np.asarray((values < self.low) | (values > self.high))


@dataclass(frozen=True)
class Limits:
    """Ranges, shares and orders of a reference sample.

    Attributes:
        observables: of the sample.
        ranges: of every observable.
        shared: how many true events share one value of each observable, at most, (observables,).
        events: of the reference.
        orders: pairs of observables, by number, of which the first never exceeds the second.
        positive: energies, transverse momenta and masses, by number, of which no true one is negative.
    """

    observables: tuple[Observable, ...]
    ranges: Range
    shared: NDArray[np.int64]
    events: int
    orders: tuple[tuple[int, int], ...] = ()
    positive: tuple[int, ...] = ()

    @classmethod
    def fit(cls, values: FloatArray, observables: Sequence[Observable], *, ordered: bool = False) -> Limits:
        """From a reference.

        Args:
            values: (events, observables); nan where an event has no value.
            observables: of the columns.
            ordered: whether to look for columns that never exceed another of the same unit.
        """
        shared = np.array([0 if one.integer else _most_shared(x) for one, x in zip(observables, values.T, strict=True)])
        orders = _orders(values, observables) if ordered else ()
        lowest = np.min(values, axis=0, where=~np.isnan(values), initial=np.inf)
        positive = (index for index, one in enumerate(observables) if is_energy(one) and lowest[index] >= 0)
        return cls(tuple(observables), Range.fit(values), shared, len(values), orders, tuple(positive))

    def flags(self, values: FloatArray) -> dict[str, Flags]:
        """Flags of the events with a negative energy, that leave a range or break an order, (events,), by a name in words."""
        found = {}
        for index in self.positive:
            negative = np.asarray(values[:, index] < 0)
            if negative.any():
                found[f"negative {self.observables[index].name}, which no true event has"] = negative
        outside = self.ranges.outside(values)
        for index in np.flatnonzero(outside.any(axis=0)).tolist():
            one = self.observables[index]
            ends = f"{self.ranges.low[index]:.4g} to {self.ranges.high[index]:.4g}{' ' if one.unit else ''}{one.unit}"
            found[f"{one.name} outside the range of true events, {ends}"] = outside[:, index]
        for child, parent in self.orders:
            with np.errstate(invalid="ignore"):
                broken = np.asarray(values[:, child] > values[:, parent])
            if broken.any():
                names = (self.observables[index].name for index in (child, parent))
                found["{} above {}, which no true event has".format(*names)] = broken
        return found

    def spikes(self, values: FloatArray) -> dict[str, Flags]:
        """Flags of the events that share one value of a continuous observable with more events than true ones do."""
        found = {}
        for observable, most, column in zip(self.observables, self.shared, values.T, strict=True):
            if observable.integer:
                continue
            distinct, group, counts = np.unique(column, return_inverse=True, return_counts=True, equal_nan=True)
            expected = most * len(values) / max(self.events, 1)
            crowded = (counts > _SHARED + 3 * expected) & ~np.isnan(distinct)
            if crowded.any():
                words = ", ".join(f"{value:.6g}" for value in distinct[crowded][:3])
                found[f"{observable.name} has one value in many events, {words}"] = np.asarray(crowded[group])
        return found


def _most_shared(column: FloatArray) -> int:
    """How many events share the most frequent value."""
    known = column[~np.isnan(column)]
    return int(np.unique(known, return_counts=True)[1].max()) if len(known) else 0


def _ends(values: FloatArray, tight: bool) -> tuple[float, float]:
    if not len(values):
        return float("nan"), float("nan")
    low, high = float(values.min()), float(values.max())
    rounding = _ROUNDING * (high - low)
    return low - _margin(values - low, tight) - rounding, high + _margin(high - values, tight) + rounding


def _margin(depths: FloatArray, tight: bool) -> float:
    """How far behind the end of a range the next sample may reach, by the distances of events from that end, (events,)."""
    ranks = [min(rank, len(depths)) - 1 for rank in (10, 100)]
    tenth, hundredth = np.partition(depths, ranks)[ranks].tolist()
    if tenth > 0 and not tight:
        return float(_FAR * tenth)
    if tenth > 0:
        growth = tenth / (hundredth - tenth) if hundredth > tenth else _HEAVY
        growth = _CAUTION * min(max(growth, _STEEP), _HEAVY)
        return float(tenth * sum(growth**decade for decade in range(1, _DECADES + 1)))
    inside = depths[depths > 0]
    if not len(inside) or len(depths) - len(inside) >= _EDGE:
        return 0.0
    return float(inside.min())


def _orders(values: FloatArray, observables: Sequence[Observable]) -> tuple[tuple[int, int], ...]:
    """For each continuous column those of the same unit that it comes near to and never exceeds."""
    smooth = [index for index, one in enumerate(observables) if not one.integer]
    rows = values[:_ORDER_ROWS]
    shuffled = np.roll(rows, 1, axis=0)
    found = []
    with np.errstate(invalid="ignore"):
        for child in smooth:
            for parent in smooth:
                if child == parent or observables[child].unit != observables[parent].unit:
                    continue
                if (rows[:, child] > rows[:, parent]).any() or (values[:, child] > values[:, parent]).any():
                    continue
                if (shuffled[:, child] > rows[:, parent]).mean() >= _LEAST_OVERLAP:
                    found.append((child, parent))
    return tuple(found)
