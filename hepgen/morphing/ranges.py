"""What a sample spans: the range of each of its numbers, and how much two samples have in common."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

import awkward as ak
import numpy as np
from numpy.typing import NDArray

from hepgen.events.source import EventSource
from hepgen.morphing.quantities import Quantity, QuantityRange, QuantityRanges, is_list, rows_of

_FEWEST_BINS, _MOST_BINS = 20, 400
_EVENTS_A_BIN = 50


class Ranges:
    """An accumulator of the lowest and the highest finite value of each column with one number an event.

    Args:
        names: of such columns.
        quantities: of columns with many numbers an event.

    Example:
        >>> ranges = Ranges(["x"])
        >>> ranges.update(ak.Array({"x": [1.0, float("nan"), 3.0]}))
        >>> ranges.result()
        {'x': [1.0, 3.0]}
    """

    def __init__(self, names: Sequence[str], quantities: Sequence[Quantity] = ()) -> None:
        self._found = {name: [np.inf, -np.inf] for name in names}
        self._quantities = QuantityRanges(quantities)
        self._missing = dict.fromkeys([*names, *(one.column for one in quantities)], False)

    def update(self, batch: ak.Array) -> None:
        for name, bounds in self._found.items():
            values = np.asarray(batch[name], dtype=np.float64)
            finite = values[np.isfinite(values)]
            if len(finite):
                bounds[0], bounds[1] = min(bounds[0], float(finite.min())), max(bounds[1], float(finite.max()))
        self._quantities.update(batch)
        for name, known in self._missing.items():
            self._missing[name] = known or bool(_any_element(np.isnan, batch[name]).any())

    def result(self) -> dict[str, list[float]]:
        """Lowest and highest value by column; columns without a finite value are left out."""
        return {name: [float(low), float(high)] for name, (low, high) in self._found.items() if low <= high}

    @property
    def quantities(self) -> list[QuantityRange]:
        """Where the quantities lay."""
        return self._quantities.result()

    @property
    def complete(self) -> list[str]:
        """Columns in which no value was missing (NaN), with those that the quantities are of."""
        return [name for name, missing in self._missing.items() if not missing]


def ranges_of(source: EventSource, names: Sequence[str], quantities: Sequence[Quantity] = ()) -> Ranges:
    """The ranges of these columns, and of quantities of others, of a source."""
    found = Ranges(names, quantities)
    columns = dict.fromkeys([*names, *(name for one in quantities for name in one.columns)])
    if columns:
        for batch in source.batches(list(columns)):
            found.update(batch)
    return found


def outside(
    batch: ak.Array, ranges: Mapping[str, Sequence[float]], complete: Collection[str] = ()
) -> dict[str, NDArray[np.bool_]]:
    """Which events lie outside of the range of a column, by column, (events,).

    A missing value (NaN) is outside where none was missing: in the columns that are complete.

    Example:
        >>> events = ak.Array({"x": [0.5, 2.0, float("nan")]})
        >>> outside(events, {"x": [0.0, 1.0]})["x"].tolist(), outside(events, {"x": [0.0, 1.0]}, ["x"])["x"].tolist()
        ([False, True, False], [False, True, True])
    """
    found = {}
    for name, (low, high) in ranges.items():
        values = np.asarray(batch[name], dtype=np.float64)
        found[name] = (values < low) | (values > high) | np.isinf(values)
        if name in complete:
            found[name] |= np.isnan(values)
    return found


def missing(batch: ak.Array, names: Collection[str], complete: Collection[str]) -> NDArray[np.bool_]:
    """Which events have a value that no method knows what to do with, (events,): infinite, or NaN in a complete column.

    Args:
        names: of numbers, arrays and lists.
        complete: those in which no value was missing in the training.

    Example:
        >>> events = ak.Array({"x": [[1.0], [], [2.0, float("inf")], [float("nan")]]})
        >>> missing(events, ["x"], []).tolist(), missing(events, ["x"], ["x"]).tolist()
        ([False, False, True, False], [False, False, True, True])
    """
    found = np.zeros(len(batch), dtype=np.bool_)
    for name in names:
        found |= _any_element(np.isinf, batch[name])
        if name in complete:
            found |= _any_element(np.isnan, batch[name])
    return found


def _any_element(test: np.ufunc, column: Any) -> NDArray[np.bool_]:
    """Of which events a number, or any element of an array or a list, passes a test, (events,)."""
    values = ak.Array(column)
    if is_list(values):
        return np.asarray(ak.any(test(values), axis=1), dtype=np.bool_)
    return np.asarray(test(rows_of(ak.to_numpy(values))).any(axis=1))


def overlap(first: NDArray[Any], second: NDArray[Any]) -> float:
    """The common part of two one-dimensional samples, in [0, 1]: the sum of the smaller contents of 20 to 400 bins.

    The bins have equal content of both samples together; the more events, the narrower, since two samples that only touch
    share one bin.

    Example:
        >>> overlap(np.arange(100.0), np.arange(100.0) + 50) > 0.4
        True
        >>> overlap(np.arange(100.0), np.arange(100.0) + 100)
        0.0
    """
    if len(first) and len(second) and (first.max() < second.min() or second.max() < first.min()):
        return 0.0
    pooled = np.concatenate([first, second])
    bins = int(np.clip(len(pooled) // _EVENTS_A_BIN, _FEWEST_BINS, _MOST_BINS))
    edges = np.unique(np.quantile(pooled, np.linspace(0, 1, bins + 1)))
    if len(edges) < 2:
        return 1.0 if len(first) and len(second) and first[0] == second[0] else 0.0
    one, two = (np.histogram(values, bins=edges)[0] / max(1, len(values)) for values in (first, second))
    return float(np.minimum(one, two).sum())
