"""Columns, cuts, derived columns and weights of a source, as a source again."""

from __future__ import annotations

import fnmatch
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import awkward as ak
import numpy as np

from hepgen.errors import ConfigError, InputFileError, suggest
from hepgen.events.expressions import Expression
from hepgen.events.schema import Column, Schema, column_of_form
from hepgen.events.source import Array, EventSource, NumberedBatch, SourceBase, as_numbered, place_of, record

WEIGHT = "_weight"
Keep = Callable[[Array, ak.Array], Array]


class SelectedSource(SourceBase):
    """A source with some columns, some of the events, and derived columns; made by `select_events`."""

    def __init__(
        self,
        source: EventSource,
        columns: Sequence[str] | None,
        cut: Expression | None,
        derived: Mapping[str, Expression],
        keep: Keep | None,
        keep_columns: Sequence[str],
    ) -> None:
        self._source = as_numbered(source)
        self._cut, self._derived, self._keep = cut, dict(derived), keep
        self._keep_columns = tuple(keep_columns)
        full = _with_derived(self._source.schema, self._derived)
        if cut is not None:
            cut.check(full.names)
        self._full = full
        self.schema = full if columns is None else full.select(columns)
        self.files = self._source.files
        self.copied = self._source.copied
        self.skipped = self._source.skipped
        self.starts = self._source.starts
        if cut is None and keep is None:
            self._counted = self._source.num_events

    def numbered_batches(self, columns: Sequence[str] | None = None) -> Iterator[NumberedBatch]:
        wanted = self._named(columns)
        tested = [*(self._cut.names if self._cut else ()), *self._keep_columns]
        for batch in self._source.numbered_batches(self._needed([*wanted, *tested])):
            events = apply_derived(batch.events, self._needed_derived([*wanted, *tested]), self._full)
            kept = batch.with_events(events)
            if self._keep is not None:
                kept = kept.keep(np.asarray(self._keep(kept.entry, kept.events), dtype=bool))
            if self._cut is not None:
                kept = kept.keep(self._cut.mask(kept.events))
            if len(kept):
                yield kept.with_events(record({name: kept.events[name] for name in wanted}, len(kept)))

    def _needed_derived(self, wanted: Sequence[str]) -> dict[str, Expression]:
        needed = set(wanted)
        for name in reversed(list(self._derived)):
            if name in needed:
                needed.update(self._derived[name].names)
        return {name: expression for name, expression in self._derived.items() if name in needed}

    def _needed(self, wanted: Sequence[str]) -> list[str]:
        """The columns of the source below that these columns are made of, in its order."""
        needed = set(wanted)
        for expression in self._needed_derived(wanted).values():
            needed.update(expression.names)
        names = (*self._source.schema.names, *(one.name for one in self.copied))
        return [name for name in names if name in needed]


def select_events(
    source: EventSource,
    *,
    columns: Sequence[str] | None = None,
    cut: str | None = None,
    derived: Mapping[str, str] | None = None,
    keep: Keep | None = None,
    keep_columns: Sequence[str] = (),
) -> SelectedSource:
    """Choose columns and events, lazily and as a stream.

    Args:
        source: where the events come from.
        columns: patterns such as ``Jet_*`` or ``!met``; all columns where None.
        cut: an expression with one value per event; it may use derived columns and columns that are not chosen.
        derived: name to expression of other columns or of derived columns above it; a name that the source has already
            is computed anew, in its type.
        keep: function of the entry numbers (n,) and the events to a boolean (n,); called before the cut.
        keep_columns: columns that ``keep`` reads beside those chosen.

    Raises:
        ConfigError: for an expression that cannot be parsed or names an unknown column.
        InputFileError: for a pattern that matches no column.
    """
    parsed = {name: Expression.parse(text) for name, text in (derived or {}).items()}
    chosen = Expression.parse(cut) if cut else None
    return SelectedSource(source, columns, chosen, parsed, keep, keep_columns)


def apply_derived(events: ak.Array, derived: Mapping[str, Expression], schema: Schema | None = None) -> ak.Array:
    """Compute derived columns, each in its type of the schema where it is there.

    Example:
        >>> events = ak.Array({"x": [3.0], "y": [4.0]})
        >>> apply_derived(events, {"r": Expression.parse("hypot(x, y)")}).r.to_list()
        [5.0]
    """
    found = {name: events[name] for name in events.fields}
    for name, expression in derived.items():
        values = expression.evaluate(found)
        if schema is not None and name in schema:
            values = _as_type(values, schema[name].dtype)
        found[name] = values
    return record(found, len(events)) if derived else events


def _as_type(values: Any, dtype: str) -> Any:
    if np.dtype(dtype).kind in "iu":
        values = np.rint(values)
    return ak.values_astype(values, dtype) if isinstance(values, ak.Array) else values.astype(dtype)


def _with_derived(schema: Schema, derived: Mapping[str, Expression]) -> Schema:
    """The schema with derived columns; a new one takes the type that its expression gives."""
    columns = {column.name: column for column in schema}
    for name, expression in derived.items():
        expression.check(columns)
        if name not in columns:
            sample = {other: _sample(columns[other]) for other in expression.names}
            layout = ak.to_layout(expression.evaluate(sample) if sample else np.ones(1))
            column = column_of_form(name, layout.form)
            if column is None:
                raise ConfigError(f"'{name}' is no number per event or list element", where=expression.text)
            columns[name] = column
    return schema.replace(columns.values())


def _sample(column: Column) -> Any:
    ones = np.ones((1, *column.shape), dtype=column.dtype)
    return ak.unflatten(ones, [1]) if column.jagged else ones


class WeightedSource(SourceBase):
    """A source with the column ``_weight``; made by `weighted`."""

    def __init__(
        self,
        source: EventSource,
        column: str | None,
        per_file: Mapping[str, float],
        refuse: bool = True,
        others: float | None = None,
    ) -> None:
        self._source = as_numbered(source)
        self._column = self._source.schema[column].name if column is not None else None
        self._factors = _file_factors(self._source.files, per_file, others)
        self._refuse = refuse
        self.schema = self._source.schema.replace((*self._source.schema, Column(WEIGHT, "float64")))
        self.files = self._source.files
        self.copied = self._source.copied
        self.skipped = self._source.skipped
        self.starts = self._source.starts

    @property
    def num_events(self) -> int:
        return self._source.num_events

    def numbered_batches(self, columns: Sequence[str] | None = None) -> Iterator[NumberedBatch]:
        wanted = list(self.schema.names if columns is None else columns)
        below = [name for name in wanted if name != WEIGHT]
        further = [self._column] if self._column and self._column not in below and WEIGHT in wanted else []
        for batch in self._source.numbered_batches([*below, *further]):
            found = {name: batch.events[name] for name in below}
            if WEIGHT in wanted:
                weight = self._factors[batch.file]
                if self._column is not None:
                    weight = weight * np.asarray(batch.events[self._column], dtype=np.float64)
                if self._refuse and not np.isfinite(weight).all():
                    row = int(np.flatnonzero(~np.isfinite(weight))[0])
                    where = f"column '{self._column}', {place_of(self._source, batch, row)}"
                    raise InputFileError("a weight is not finite", where=where, hint="cut such events away")
                found[WEIGHT] = weight
            yield batch.with_events(record({name: found[name] for name in wanted}, len(batch)))


def weighted(
    source: EventSource,
    column: str | None,
    per_file: Mapping[str, float] | None = None,
    *,
    refuse: bool = True,
    others: float | None = None,
) -> WeightedSource:
    """Add the column ``_weight`` (float64): the event's weight, which may be negative, times that of its file.

    Args:
        source: where the events come from.
        column: the column of event weights; 1 where None.
        per_file: glob of file names to a factor, such as a cross-section over a number of events; every file must be
            matched, the first match counts.
        refuse: weights that are not finite, when they are read; they are given as they are otherwise.
        others: the factor of files that none matches, which are refused where None, as are globs that match no file.

    Raises:
        InputFileError: for an unknown column, a glob that matches no file, or a file without a factor.
    """
    return WeightedSource(source, column, per_file or {}, refuse, others)


def _file_factors(files: Sequence[str], per_file: Mapping[str, float], others: float | None) -> Array:
    factors = np.full(max(len(files), 1), 1.0 if others is None else others)
    used = set()
    for index, name in enumerate(files):
        found = [pattern for pattern in per_file if matches_file(name, pattern)]
        if per_file and not found and others is None:
            raise InputFileError("no file weight for a file", where=name, hint="give a weight to every file")
        if found:
            factors[index] = per_file[found[0]]
            used.update(found)
    for pattern in per_file if others is None else ():
        if pattern not in used:
            raise InputFileError(f"the file weight '{pattern}' matches no file", hint=suggest(pattern, files))
    return factors


def matches_file(name: str, pattern: str) -> bool:
    """Whether a path, or its last part, matches a glob.

    Example:
        >>> matches_file("data/run3.root", "run*"), matches_file("data/run3.root", "data/*.root")
        (True, True)
    """
    return fnmatch.fnmatch(name, pattern) or fnmatch.fnmatch(name.rpartition("/")[2], pattern)
