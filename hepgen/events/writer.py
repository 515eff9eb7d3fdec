"""Write events: a file appears whole or not at all, and holds the schema that came in."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol, Self

import awkward as ak
import numpy as np

from hepgen.errors import ModelError, UsageError, suggest
from hepgen.events.casts import checked_values
from hepgen.events.copied import CopiedColumn, flattened, plain_lists
from hepgen.events.failures import writing
from hepgen.events.layout import FORMATS, Layout, plan_layout
from hepgen.events.records import RunRecord
from hepgen.events.schema import Schema
from hepgen.events.source import record

#: A basket holds 1 to 8 MB of the widest branch; the buffers of all branches together stay below the second number.
BASKET_BYTES = 4 << 20
BUFFER_BYTES = 64 << 20


class Backend(Protocol):
    """One output format; it is never handed an empty batch."""

    def append(self, columns: Mapping[str, Any], counts: Mapping[str, Any]) -> None:
        """Add events: values by column, and the length of every list by counter."""
        ...

    def finish(self, records: list[RunRecord]) -> None:
        """Write what follows the events and close the file."""
        ...

    def abandon(self) -> None:
        """Close the file, whatever its state."""
        ...


class EventWriter:
    """Writes batches of one schema to one file; use it as a context manager.

    The file is written beside its final place as ``NAME.part-PID``, flushed to the disk and renamed at the end. When
    anything goes wrong, an interrupt too, the part file is removed.

    Attributes:
        notes: what is written in another way than it was read, one sentence each.
        num_events: number of events so far.
    """

    def __init__(
        self,
        path: str | Path,
        schema: Schema,
        *,
        format: str,
        copied: Sequence[CopiedColumn] = (),
        force: bool = False,
        drop_unwritable: bool = False,
        keep_nonfinite: bool = False,
        metadata: Mapping[str, Any] | None = None,
    ) -> None:
        self.path = Path(path)
        self.schema = schema
        self._format = format
        self._force = force
        self._keep_nonfinite = keep_nonfinite
        self._metadata = dict(metadata or {})
        self._layout = plan_layout(schema, format, copied=copied, drop_unwritable=drop_unwritable)
        self.notes: list[str] = list(self._layout.notes)
        self.num_events = 0
        self._part = self.path.with_name(f"{self.path.name}.part-{os.getpid()}")
        self._records: list[RunRecord] = []
        self._held: list[dict[str, Any]] = []
        self._held_counts: list[dict[str, Any]] = []
        self._held_bytes: dict[str, int] = {}
        self._backend: Backend | None = None
        _refuse_existing(self.path, force)

    def __enter__(self) -> Self:
        with self._guarded():
            self._backend = _open_backend(self._part, self._format, self.schema, self._layout, self._metadata)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is not None:
            self._discard()
            return
        with self._guarded():
            self._flush()
            self._started().finish(self._records)
            with writing(self.path):
                _settle(self._part, self.path, self._force)

    def write(self, batch: ak.Array) -> None:
        """Add the events of a batch; an empty one changes nothing.

        Raises:
            ModelError: if a value does not fit its column, or lists that share a counter differ in length.
            OutputError: if the file system refuses.
        """
        rows = len(batch)
        if rows == 0:
            return
        size = max(1, int(rows * BASKET_BYTES / max(_widest(batch, self._layout), 1)))
        for start in range(0, rows, size):
            self._write_part(batch[start : start + size])

    def add_run_record(self, values: Mapping[str, Any]) -> None:
        """Add a row to ``hepgen_runs``; see `hepgen.events.records.RunRecord` for its fields."""
        self._records.append(RunRecord.from_mapping(values))

    def _write_part(self, batch: ak.Array) -> None:
        flat = {
            name: lists for one in self._layout.flattened for name, lists in flattened(one, batch[one.name]).items()
        }
        if flat:
            batch = record({**{name: batch[name] for name in batch.fields}, **flat}, len(batch))
        missing = [column.name for column in self._layout.columns if column.name not in batch.fields]
        if missing:
            raise ModelError(
                f"the events have no column '{missing[0]}'",
                where=str(self.path),
                hint=suggest(missing[0], batch.fields),
            )
        columns = {
            column.name: checked_values(batch[column.name], column, keep_nonfinite=self._keep_nonfinite)
            for column in self._layout.columns
        }
        counts = self._counts(columns, batch)
        for one in self._layout.copied:
            columns[one.name] = batch[one.name] if one.is_text else plain_lists(batch[one.name])
        for name, values in columns.items():
            self._held_bytes[name] = self._held_bytes.get(name, 0) + int(values.nbytes)
        self._held.append(columns)
        self._held_counts.append(counts)
        self.num_events += len(batch)
        if max(self._held_bytes.values()) >= BASKET_BYTES or sum(self._held_bytes.values()) >= BUFFER_BYTES:
            with self._guarded():
                self._flush()

    def _counts(self, columns: Mapping[str, Any], batch: ak.Array) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for column in self._layout.columns:
            if not column.jagged or column.counter not in self._layout.counters:
                continue
            lengths = np.asarray(ak.num(columns[column.name]))
            given = found.get(column.counter)
            if given is None and column.counter in batch.fields:
                given = np.asarray(batch[column.counter])
            if given is not None and not np.array_equal(given, lengths):
                raise ModelError(
                    f"the lists of '{column.name}' are not as long as '{column.counter}' says",
                    where=str(self.path),
                    hint="lists that share a counter must have equal lengths",
                )
            found[column.counter] = lengths.astype(np.int32)
        return found

    def _flush(self) -> None:
        if not self._held:
            return
        names = list(self._held[0])
        columns = {name: _joined([held[name] for held in self._held]) for name in names}
        counts = {name: _joined([held[name] for held in self._held_counts]) for name in self._layout.counters}
        self._held, self._held_counts, self._held_bytes = [], [], {}
        with writing(self.path):
            self._started().append(columns, counts)

    def _started(self) -> Backend:
        if self._backend is None:
            raise UsageError("the writer is not open", where=str(self.path), hint="use it in a `with` statement")
        return self._backend

    def _discard(self) -> None:
        backend, self._backend = self._backend, None
        try:
            if backend is not None:
                backend.abandon()
        finally:
            self._part.unlink(missing_ok=True)

    @contextmanager
    def _guarded(self) -> Iterator[None]:
        """Leave no part file behind, whatever happens."""
        try:
            with writing(self.path):
                yield
        except BaseException:
            self._discard()
            raise


def create_writer(
    path: str | Path,
    schema: Schema,
    *,
    format: str | None = None,
    copied: Sequence[CopiedColumn] = (),
    force: bool = False,
    drop_unwritable: bool = False,
    keep_nonfinite: bool = False,
    metadata: Mapping[str, Any] | None = None,
) -> EventWriter:
    """A writer of events, to be used as a context manager.

    Args:
        path: the file; it must not exist unless ``force``.
        schema: its columns, tree name, units and convention are written.
        format: ``ttree``, ``rntuple`` or ``hdf5``; by the suffix where None.
        copied: columns beside those of the schema that are no numbers; lists of lists become lists where the format has
            no others.
        force: replace an existing file.
        drop_unwritable: leave out columns that the format cannot hold instead of refusing them.
        keep_nonfinite: write NaN and infinities of float columns as they are; they are refused otherwise.
        metadata: a JSON object that is kept in the file.

    Raises:
        UsageError: for an existing file, an unknown format or suffix, or a column that cannot be written.
    """
    return EventWriter(
        path,
        schema,
        format=_format_of(Path(path), format),
        copied=copied,
        force=force,
        drop_unwritable=drop_unwritable,
        keep_nonfinite=keep_nonfinite,
        metadata=metadata,
    )


def _format_of(path: Path, format: str | None) -> str:
    if format is not None:
        if format not in FORMATS:
            raise UsageError(f"no format '{format}'", hint=suggest(format, FORMATS) or f"one of {', '.join(FORMATS)}")
        return format
    by_suffix = {".root": "ttree", ".h5": "hdf5", ".hdf5": "hdf5", ".hdf": "hdf5"}
    if path.suffix.lower() not in by_suffix:
        raise UsageError(f"no format is known for '{path.name}'", hint="end the name in .root, .h5 or .hdf5")
    return by_suffix[path.suffix.lower()]


def _open_backend(path: Path, format: str, schema: Schema, layout: Layout, metadata: dict[str, Any]) -> Backend:
    if format == "hdf5":
        from hepgen.events.hdf5_writer import Hdf5Backend

        return Hdf5Backend(path, schema, layout, metadata)
    from hepgen.events.root_writer import RootBackend

    return RootBackend(path, schema, layout, metadata, ntuple=format == "rntuple")


def _refuse_existing(path: Path, force: bool) -> None:
    if path.is_dir():
        raise UsageError("this is a folder", where=str(path), hint="name a file in it")
    if path.exists() and not force:
        raise UsageError("the file exists already", where=str(path), hint="add --force to replace it, or name another")
    if not path.parent.is_dir():
        raise UsageError("the folder does not exist", where=str(path.parent), hint="make it first")


def _settle(part: Path, path: Path, force: bool) -> None:
    """Make sure that the part file is on the disk, then give it its name."""
    with part.open("rb") as file:
        os.fsync(file.fileno())
    if force:
        os.replace(part, path)  # noqa: PTH105 (the same call, spelled as the manual page)
    else:
        try:
            os.link(part, path)
        except FileExistsError:
            raise UsageError("another job has made the file meanwhile", where=str(path), hint="name another") from None
        except OSError:
            part.replace(path)
        part.unlink(missing_ok=True)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _widest(batch: ak.Array, layout: Layout) -> int:
    names = {column.name for column in layout.columns} | {one.name for one in (*layout.copied, *layout.flattened)}
    names &= set(batch.fields)
    return max((int(batch[name].nbytes) for name in names), default=1)


def _joined(parts: list[Any]) -> Any:
    if len(parts) == 1:
        return parts[0]
    return np.concatenate(parts) if isinstance(parts[0], np.ndarray) else ak.concatenate(parts)
