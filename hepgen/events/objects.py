"""Object mode: the elements of jagged columns as rows, and rows as jagged columns again."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import awkward as ak
import numpy as np

from hepgen.errors import ConfigError, InputFileError, suggest
from hepgen.events.schema import Column, Schema
from hepgen.events.source import Array, EventSource, NumberedBatch, SourceBase, as_numbered, record


class ExplodedSource(SourceBase):
    """One row per object; made by `explode`.

    Attributes:
        elements: the columns whose elements became rows, in the order of the input.
        given: the columns that each row is given: of its event, or of the like object of another collection.
        counter: name of the column that counts the objects of an event, empty where the file has none.
        event_schema: the schema of the events that the rows came from.
    """

    def __init__(self, source: EventSource, collection: str, given: Sequence[str]) -> None:
        self._source = as_numbered(source)
        self.event_schema = self._source.schema
        elements = collection_columns(self.event_schema, collection)
        self.elements = tuple(column.name for column in elements)
        self.counter = next((column.counter for column in elements if column.counter), "") or ""
        chosen = self.event_schema.select(given) if given else self.event_schema.replace(())
        self.given = tuple(name for name in chosen.names if name not in self.elements)
        columns = [*(self.event_schema[name] for name in self.given), *elements]
        self.schema = self.event_schema.replace(replace(column, jagged=False, counter=None) for column in columns)
        self.files = self._source.files
        self.skipped = self._source.skipped
        self.starts = self._source.starts

    def numbered_batches(self, columns: Sequence[str] | None = None) -> Iterator[NumberedBatch]:
        wanted = [self.schema[name].name for name in (self.schema.names if columns is None else columns)]
        below = list(dict.fromkeys([*wanted, self.elements[0]]))
        for batch in self._source.numbered_batches(below):
            counts = object_counts(batch.events, self.elements[0])
            lists = [name for name in wanted if self.event_schema[name].jagged]
            _check_counts(batch, lists, counts, self.elements[0])
            rows = int(counts.sum())
            found = {name: _row_values(batch.events[name], counts, name in lists) for name in wanted}
            if rows:
                entry, file = np.repeat(batch.entry, counts), np.repeat(batch.file, counts)
                yield NumberedBatch(record(found, rows), entry, file)


def explode(source: EventSource, collection: str, given: Sequence[str] = ()) -> ExplodedSource:
    """Make every object of a collection one row.

    Args:
        source: events with jagged columns.
        collection: ``Jet`` for the columns ``Jet_*`` that are jagged, or a counter such as ``nJet`` for all that it
            counts, or the name of a single jagged column.
        given: patterns of further columns: those of the event are repeated for each of its objects, jagged ones must
            have as many elements as the collection.

    A row keeps the entry of its event, so that a split never parts the objects of an event.

    Raises:
        ConfigError: if there is no such collection.
        InputFileError: if lists differ in length, with the entry.

    Example:
        >>> from hepgen.events.reader import open_events
        >>> muons = explode(open_events("tests/data/muons.root"), "Muon", ["nMuon"])
        >>> muons.schema.names[:3], muons.num_events
        (('nMuon', 'Muon_pt', 'Muon_eta'), 2372)
    """
    return ExplodedSource(source, collection, given)


def collection_columns(schema: Schema, collection: str) -> list[Column]:
    """The jagged columns of a collection, in the order of the schema.

    Raises:
        ConfigError: if there are none.
    """
    named = [
        column
        for column in schema
        if column.jagged and (column.name == collection or column.name.startswith((f"{collection}_", f"{collection}.")))
    ]
    found = named or [column for column in schema if column.jagged and column.counter == collection]
    if not found:
        known = {column.name.partition("_")[0] for column in schema if column.jagged}
        hint = suggest(collection, known) or f"there are {', '.join(sorted(known)) or 'no lists at all'}"
        raise ConfigError(f"no jagged columns '{collection}_*'", where=f"tree '{schema.tree}'", hint=hint)
    counters = {column.counter for column in found if column.counter}
    shared = [column for column in schema if column.jagged and column.counter in counters and column not in found]
    return [column for column in schema if column in found or column in shared]


def object_counts(events: ak.Array, column: str) -> Array:
    """Number of objects of each event, (n,) int64."""
    return np.asarray(ak.num(events[column], axis=1), dtype=np.int64)


def nest(rows: ak.Array, counts: Array, columns: Sequence[str] | None = None) -> ak.Array:
    """The inverse of `explode`: rows become lists, ``counts[i]`` of them for event i.

    Args:
        rows: one record per object, in the order of the events.
        counts: (events,) number of objects of each event.
        columns: the columns that become lists; all where None.

    Raises:
        InputFileError: if the counts do not add up to the rows.

    Example:
        >>> nest(ak.Array({"pt": [3.0, 2.0, 1.0]}), np.array([2, 0, 1])).pt.to_list()
        [[3.0, 2.0], [], [1.0]]
    """
    lengths = np.asarray(counts, dtype=np.int64)
    if (len(lengths) and lengths.min() < 0) or int(lengths.sum()) != len(rows):
        raise InputFileError(
            f"{len(rows)} objects do not make the {int(lengths.sum())} that the events count",
            hint="nest the rows of the same events that gave the counts",
        )
    names = rows.fields if columns is None else columns
    return record({name: ak.unflatten(rows[name], lengths) for name in names}, len(lengths))


def nested_schema(exploded: ExplodedSource, keep: Sequence[str] = ()) -> Schema:
    """The schema of the nested output: the lists of the collection and the event columns that are kept."""
    wanted = {*exploded.elements, *keep}
    if exploded.counter in exploded.event_schema:
        wanted.add(exploded.counter)
    return exploded.event_schema.replace(column for column in exploded.event_schema if column.name in wanted)


def _row_values(values: ak.Array, counts: Array, jagged: bool) -> Any:
    if jagged:
        return ak.flatten(values, axis=1)
    return np.repeat(ak.to_numpy(values, allow_missing=False), counts, axis=0)


def _check_counts(batch: NumberedBatch, lists: Sequence[str], counts: Array, first: str) -> None:
    for name in lists:
        other = object_counts(batch.events, name)
        if not np.array_equal(other, counts):
            row = int(np.flatnonzero(other != counts)[0])
            raise InputFileError(
                f"'{name}' has {other[row]} elements where '{first}' has {counts[row]}",
                where=f"entry {int(batch.entry[row])}",
                hint="only lists of equal length can make one row",
            )


def joined(events: Mapping[str, Any] | ak.Array, lists: ak.Array) -> ak.Array:
    """Event columns and nested lists as one batch."""
    names = events.fields if isinstance(events, ak.Array) else list(events)
    columns = {name: events[name] for name in names if name not in lists.fields}
    return record({**columns, **{name: lists[name] for name in lists.fields}}, len(lists))
