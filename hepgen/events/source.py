"""Where batches of events come from."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import awkward as ak
import numpy as np
from numpy.typing import NDArray

from hepgen.errors import InputFileError, RowError
from hepgen.events.copied import CopiedColumn
from hepgen.events.schema import Schema

Array = NDArray[Any]


@runtime_checkable
class EventSource(Protocol):
    """A re-iterable stream of record batches of one schema; nothing holds a whole file.

    ``batches`` may be called any number of times and gives the same events in the same order each time.
    """

    @property
    def schema(self) -> Schema: ...

    @property
    def num_events(self) -> int:
        """Number of events that ``batches`` gives in all."""
        ...

    def batches(self, columns: Sequence[str] | None = None) -> Iterator[ak.Array]:
        """Yield non-empty record arrays with the given columns (all of the schema where None), in the file's order."""
        ...


@dataclass(frozen=True)
class NumberedBatch:
    """A batch whose rows remember where they come from.

    Attributes:
        events: record array of length n.
        entry: (n,) int64, the number of the event in the input files, counted through all of them.
        file: (n,) int32, the index of the input file.
    """

    events: ak.Array
    entry: Array
    file: Array

    def __len__(self) -> int:
        return len(self.entry)

    def keep(self, mask: Array) -> NumberedBatch:
        """The rows where the boolean mask is set."""
        if mask.all():
            return self
        return NumberedBatch(self.events[mask], self.entry[mask], self.file[mask])

    def with_events(self, events: ak.Array) -> NumberedBatch:
        """The same rows with other columns."""
        return NumberedBatch(events, self.entry, self.file)


@runtime_checkable
class NumberedSource(EventSource, Protocol):
    """A source whose rows remember their entry in the input, so that a split is the same before and after a cut.

    Attributes:
        files: the input files, in the order of ``NumberedBatch.file``.
        copied: columns that are no numbers; ``batches`` gives them where they are named, beside those of the schema.
        skipped: columns that the files hold and that cannot be read, each with the reason.
        starts: the entry with which each file begins.
    """

    @property
    def files(self) -> tuple[str, ...]: ...

    @property
    def starts(self) -> tuple[int, ...]: ...

    @property
    def copied(self) -> tuple[CopiedColumn, ...]: ...

    @property
    def skipped(self) -> Mapping[str, str]: ...

    def numbered_batches(self, columns: Sequence[str] | None = None) -> Iterator[NumberedBatch]: ...


class SourceBase(ABC):
    """What every numbered source shares: batches are numbered batches without their numbers, counted once.

    A subclass sets ``schema``, ``files``, ``skipped`` and ``starts``, ``copied`` where it gives such columns, and defines
    ``numbered_batches``.
    """

    schema: Schema
    files: tuple[str, ...]
    starts: tuple[int, ...]
    copied: tuple[CopiedColumn, ...] = ()
    skipped: Mapping[str, str]
    _counted: int | None = None

    @abstractmethod
    def numbered_batches(self, columns: Sequence[str] | None = None) -> Iterator[NumberedBatch]: ...

    @property
    def num_events(self) -> int:
        if self._counted is None:
            self._counted = sum(len(batch) for batch in self.numbered_batches(()))
        return self._counted

    def batches(self, columns: Sequence[str] | None = None) -> Iterator[ak.Array]:
        for batch in self.numbered_batches(columns):
            yield batch.events

    def _named(self, columns: Sequence[str] | None) -> list[str]:
        """The columns that are asked for, all of the schema where None; each must be of the schema, or copied.

        Raises:
            InputFileError: naming the first that is neither.
        """
        beside = {one.name for one in self.copied}
        wanted = self.schema.names if columns is None else columns
        return [name if name in beside else self.schema[name].name for name in wanted]

    def __len__(self) -> int:
        return self.num_events

    def __repr__(self) -> str:
        names = ", ".join(self.files[:3]) + (", ..." if len(self.files) > 3 else "")
        return f"<{type(self).__name__} of {len(self.schema.columns)} columns from {names or 'memory'}>"


class _CountedSource(SourceBase):
    """Numbers the rows of a source that does not do so itself."""

    def __init__(self, source: EventSource) -> None:
        self._source = source
        self.schema = source.schema
        self.files, self.starts = (), ()
        self.skipped = {}

    @property
    def num_events(self) -> int:
        return self._source.num_events

    def numbered_batches(self, columns: Sequence[str] | None = None) -> Iterator[NumberedBatch]:
        first = 0
        for events in self._source.batches(columns if columns is None or len(columns) else self.schema.names[:1]):
            size = len(events)
            yield NumberedBatch(events, np.arange(first, first + size), np.zeros(size, dtype=np.int32))
            first += size


def as_numbered(source: EventSource) -> NumberedSource:
    """The source itself where it numbers its rows, else one that counts them."""
    return source if isinstance(source, NumberedSource) else _CountedSource(source)


class MemorySource(SourceBase):
    """A source over one record array in memory, in slices of ``batch_size`` rows.

    Example:
        >>> from hepgen.events.schema import schema_of
        >>> events = ak.Array({"x": np.arange(5.0)})
        >>> [len(batch) for batch in MemorySource(events, schema_of(events), batch_size=2).batches()]
        [2, 2, 1]
    """

    def __init__(self, events: ak.Array, schema: Schema, *, batch_size: int = 65536, name: str = "memory") -> None:
        self._events = events
        self._batch_size = batch_size
        self.schema = schema
        self.files, self.starts = (name,), (0,)
        self.skipped = {}
        self._counted = len(events)

    def numbered_batches(self, columns: Sequence[str] | None = None) -> Iterator[NumberedBatch]:
        names = list(self.schema.names if columns is None else columns)
        for start in range(0, len(self._events), self._batch_size):
            part = self._events[start : start + self._batch_size]
            entry = np.arange(start, start + len(part))
            yield NumberedBatch(record({name: part[name] for name in names}, len(part)), entry, entry.astype("i4") * 0)


@contextmanager
def naming_entries(source: NumberedSource, batch: NumberedBatch) -> Iterator[None]:
    """Turn an error that knows the row of a batch into one that names its file and its entry there.

    Raises:
        InputFileError: in place of a `RowError`.
    """
    try:
        yield
    except RowError as error:
        raise InputFileError(error.what, where=place_of(source, batch, error.row), hint=error.hint) from None


def place_of(source: NumberedSource, batch: NumberedBatch, row: int) -> str:
    """A row of a batch as the entry of its file, in words."""
    entry, file = int(batch.entry[row]), int(batch.file[row])
    return f"entry {entry - source.starts[file]} of {source.files[file]}" if source.files else f"entry {entry}"


def numbered_pieces(source: NumberedSource, columns: Sequence[str] | None = None) -> Iterator[NumberedBatch]:
    """The batches of a source in `pieces`."""
    for batch in source.numbered_batches(columns):
        start = 0
        for events in pieces(batch.events):
            stop = start + len(events)
            yield NumberedBatch(events, batch.entry[start:stop], batch.file[start:stop])
            start = stop


def pieces(batch: ak.Array, size: int = 2 << 20) -> Iterator[ak.Array]:
    """The batch in slices of about ``size`` bytes, without a copy.

    Reading wants large batches, since every branch costs a call; working on them wants small ones, since each step of a
    calculation takes its own array, often of a wider type.

    Example:
        >>> [len(piece) for piece in pieces(ak.Array({"x": np.arange(5.0)}), size=16)]
        [2, 2, 1]
    """
    rows = max(1, len(batch) * size // max(1, batch.nbytes))
    for start in range(0, len(batch), rows):
        yield batch[start : start + rows]


def record(columns: Mapping[str, Any], length: int) -> ak.Array:
    """A record array of columns as they are (nothing is broadcast); it may have no column at all.

    Example:
        >>> len(record({}, 3))
        3
    """
    contents = [ak.to_layout(values) for values in columns.values()]
    return ak.Array(ak.contents.RecordArray(contents, list(columns), length=length))
