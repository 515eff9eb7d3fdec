"""What no true event does: the range of every observable, and columns that never exceed another one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hepgen.evaluation.domain import FloatArray
from hepgen.evaluation.histograms import Observable

_REACH = 10.0
_RANK = 10
_EDGE = 100
_ROUNDING = 1e-6
_ORDER_ROWS = 4096
_LEAST_OVERLAP = 0.05  # how often independent columns would break an order before it says anything


@dataclass(frozen=True)
class Limits:
    """Ranges and orders of a reference sample.

    The range ends behind the extreme value by ten times its distance from the tenth most extreme one: at an edge, where
    events are dense, close behind it; in a tail, where the next sample may well reach further, far behind it. Where ten
    events share the extreme value, as whole numbers do, it ends one step behind it, and there where a hundred do.

    Attributes:
        observables: (observables) of the sample.
        low, high: (observables,), nan where an observable has no value.
        orders: pairs of observables, by number, of which the first never exceeds the second.
    """

    observables: tuple[Observable, ...]
    low: FloatArray
    high: FloatArray
    orders: tuple[tuple[int, int], ...] = ()

    @classmethod
    def fit(cls, values: FloatArray, observables: Sequence[Observable], *, ordered: bool) -> Limits:
        """From a reference, (events, observables); nan where an event has no value.

        Args:
            values: of the reference.
            observables: of the columns.
            ordered: whether to look for columns that never exceed another of the same unit.
        """
        ends = [_range(column[~np.isnan(column)]) for column in values.T]
        low, high = (np.array([end[side] for end in ends]) for side in (0, 1))
        return cls(tuple(observables), low, high, _orders(values, observables) if ordered else ())

    def flags(self, values: FloatArray) -> dict[str, NDArray[np.bool_]]:
        """Flags of the events that leave the range or break an order, (events,), by a name in words."""
        found = {}
        with np.errstate(invalid="ignore"):
            for index, observable in enumerate(self.observables):
                column, low, high = values[:, index], self.low[index], self.high[index]
                outside = np.asarray((column < low) | (column > high))
                if outside.any():
                    where = f"{low:.4g} to {high:.4g}{' ' if observable.unit else ''}{observable.unit}"
                    found[f"{observable.name} outside the range of true events, {where}"] = outside
            for child, parent in self.orders:
                broken = np.asarray(values[:, child] > values[:, parent])
                if broken.any():
                    names = (self.observables[index].name for index in (child, parent))
                    found["{} above {}, which no true event has".format(*names)] = broken
        return found


def _range(values: FloatArray) -> tuple[float, float]:
    if not len(values):
        return float("nan"), float("nan")
    low, high = float(values.min()), float(values.max())
    rounding = _ROUNDING * (high - low)
    return low - _margin(values - low) - rounding, high + _margin(high - values) + rounding


def _margin(depths: FloatArray) -> float:
    """How far behind the end of a range the next sample may reach, by the distances of events from that end, (events,)."""
    rank = min(_RANK, len(depths)) - 1
    reach = _REACH * float(np.partition(depths, rank)[rank])
    inside = depths[depths > 0]
    if reach > 0 or not len(inside) or len(depths) - len(inside) >= _EDGE:
        return reach
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
