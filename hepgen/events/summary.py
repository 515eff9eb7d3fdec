"""What a stream of events holds, column by column: types, ranges, means, values that are not finite."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import awkward as ak
import numpy as np
from awkward.contents import ListOffsetArray, NumpyArray

from hepgen.events.copied import CopiedColumn
from hepgen.events.schema import Column, Schema
from hepgen.events.source import Array, EventSource, as_numbered

DISTINCT_LIMIT = 64


@dataclass
class ColumnSummary:
    """An accumulator over the batches of one column.

    Attributes:
        column: the column that is summed up.
        low, high: least and greatest finite value; infinities where there is none.
        total: sum of the finite values.
        non_finite: number of values that are NaN or infinite.
        values: number of values in all.
        lengths: shortest and longest event of a jagged column.
        distinct: the distinct finite values, None as soon as there are more than ``distinct_limit``.

    Example:
        >>> summary = ColumnSummary(Column("x", "float64"))
        >>> summary.update(ak.Array([1.0, 3.0, np.nan]))
        >>> summary.low, summary.high, summary.mean, summary.non_finite, summary.distinct
        (1.0, 3.0, 2.0, 1, {1.0, 3.0})
    """

    column: Column
    low: float = math.inf
    high: float = -math.inf
    total: float = 0.0
    non_finite: int = 0
    values: int = 0
    lengths: list[int] = field(default_factory=list)
    distinct: set[Any] | None = field(default_factory=set)
    distinct_limit: int = DISTINCT_LIMIT

    def update(self, array: ak.Array) -> None:
        """Add the values of one batch, shape (events, ...), jagged or not."""
        counts, flat = _flat(array, self.column.jagged)
        if counts is not None and counts.size:
            bounds = [*self.lengths, int(counts.min()), int(counts.max())]
            self.lengths = [min(bounds), max(bounds)]
        self.values += flat.size
        if flat.dtype.kind == "f":
            finite = np.isfinite(flat)
            if not finite.all():
                self.non_finite += int(flat.size - np.count_nonzero(finite))
                flat = flat[finite]
        if flat.size:
            self.low = min(self.low, flat.min().item())
            self.high = max(self.high, flat.max().item())
            self.total += float(flat.sum(dtype=np.float64))
            self._note_distinct(flat)

    def _note_distinct(self, flat: Array) -> None:
        if self.distinct is None:
            return
        for part in (flat[: 4 * self.distinct_limit], flat):
            self.distinct.update(np.unique(part).tolist())
            if len(self.distinct) > self.distinct_limit:
                self.distinct = None
                return

    @property
    def mean(self) -> float:
        """Mean of the finite values, NaN where there is none."""
        finite = self.values - self.non_finite
        return self.total / finite if finite else math.nan

    def merge(self, other: ColumnSummary) -> None:
        """Add what another accumulator of the same column has seen."""
        self.low, self.high = min(self.low, other.low), max(self.high, other.high)
        self.total += other.total
        self.non_finite += other.non_finite
        self.values += other.values
        bounds = self.lengths + other.lengths
        self.lengths = [min(bounds), max(bounds)] if bounds else []
        known = None if self.distinct is None or other.distinct is None else self.distinct | other.distinct
        self.distinct = known if known is not None and len(known) <= self.distinct_limit else None

    def result(self) -> dict[str, Any]:
        """JSON-able; ``low``, ``high`` and ``mean`` are None where no finite value was seen."""
        seen = self.low <= self.high
        column = self.column
        return {
            "name": column.name,
            "type": column.dtype,
            "shape": list(column.shape),
            "jagged": column.jagged,
            "lengths": self.lengths or None,
            "unit": column.unit,
            "counter": column.counter,
            "stored_as": column.stored_as,
            "low": self.low if seen else None,
            "high": self.high if seen else None,
            "mean": self.mean if seen else None,
            "non_finite": self.non_finite,
            "distinct": len(self.distinct) if self.distinct is not None else None,
            "values": self.values,
        }


def _flat(array: ak.Array, jagged: bool) -> tuple[Array | None, Array]:
    """Elements of each event, None where every event has as many, and all the values one after the other.

    The functions of awkward take a millisecond for each column, whatever its size, so that lists as they are read are
    taken apart here.
    """
    layout = array.layout
    if jagged and isinstance(layout, ListOffsetArray) and isinstance(layout.content, NumpyArray):
        offsets = np.asarray(layout.offsets.data)
        return np.diff(offsets), layout.content.data[offsets[0] : offsets[-1]].reshape(-1)
    if isinstance(layout, NumpyArray):
        return None, np.asarray(layout.data).reshape(-1)
    return np.asarray(ak.num(array, axis=1)) if jagged else None, np.asarray(ak.flatten(array, axis=None))


@dataclass(frozen=True)
class Description:
    """What one pass over a tree found.

    Attributes:
        schema: its columns.
        events: number of events read.
        columns: one accumulator per column, in the order of the schema.
        copied: columns that are no numbers, which a morph leaves as they are.
        skipped: columns that cannot be read, each with the reason.
    """

    schema: Schema
    events: int
    columns: tuple[ColumnSummary, ...]
    copied: tuple[CopiedColumn, ...] = ()
    skipped: Mapping[str, str] = field(default_factory=dict)

    @property
    def counters(self) -> frozenset[str]:
        """Names of the columns that count the elements of lists."""
        return frozenset(one.counter for one in (*self.schema, *self.copied) if one.counter)

    def __getitem__(self, name: str) -> ColumnSummary:
        return self.columns[[summary.column.name for summary in self.columns].index(self.schema[name].name)]

    def result(self) -> dict[str, Any]:
        """JSON-able."""
        return {
            "name": self.schema.tree,
            "format": self.schema.format,
            "convention": self.schema.convention or None,
            "entries": self.events,
            "columns": [column.result() for column in self.columns],
            "copied": {one.name: one.stored_as or one.type for one in self.copied},
            "unreadable": dict(self.skipped),
        }


def describe(
    source: EventSource,
    report: Callable[[int, int], None] | None = None,
    *,
    columns: Sequence[str] | None = None,
    distinct_limit: int = DISTINCT_LIMIT,
) -> Description:
    """One streaming pass over a source.

    Args:
        source: the events.
        report: told the events read and the events in all, after every batch.
        columns: patterns of the columns to look at, all where None.
        distinct_limit: how many distinct values of a column are kept.
    """
    schema = source.schema if columns is None else source.schema.select(columns)
    summaries = tuple(ColumnSummary(column, distinct_limit=distinct_limit) for column in schema)
    done = 0
    for batch in source.batches(schema.names):
        for summary in summaries:
            summary.update(batch[summary.column.name])
        done += len(batch)
        if report is not None:
            report(done, source.num_events)
    numbered = as_numbered(source)
    return Description(schema, done, summaries, numbered.copied, dict(numbered.skipped))
