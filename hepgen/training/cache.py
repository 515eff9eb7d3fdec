"""Encoded events at hand: in memory where they fit, else in one file of which single rows are read.

Events are decoded from their file, packed and encoded once, not once per epoch. The file is read with ``os.pread``,
one row at a time, never mapped: pages of a mapped file would count as memory of the job.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from hepgen.errors import InputFileError, TrainingError
from hepgen.events.source import EventSource, as_numbered, naming_entries, numbered_pieces
from hepgen.representations.base import Representation, Tensors
from hepgen.training.files import output_errors, write_atomic

WEIGHT = "_weight"
"""Name of the column and of the cached tensor that hold the weights of events."""

Rows = NDArray[np.int64]


class EncodedCache:
    """Named tensors of all events of a part, gathered by row number.

    Attributes:
        size: number of events.
        mean_weight: mean of the weights of events; 1 where there are none.
        lengths: numbers of constituents where events are clouds, shape (events,); else empty.
    """

    def __init__(
        self,
        size: int,
        tensors: Tensors | None,
        handle: int | None = None,
        record: np.dtype[Any] | None = None,
        mean_weight: float = 1.0,
        lengths: Rows | None = None,
    ) -> None:
        self.size = size
        self.mean_weight = mean_weight
        self.lengths = np.empty(0, dtype=np.int64) if lengths is None else lengths
        self._tensors = tensors
        self._handle = handle
        self.record = record

    @property
    def in_memory(self) -> bool:
        return self._tensors is not None

    def gather(self, rows: Rows) -> Tensors:
        """The cached tensors of the given rows, each of shape (rows, ...)."""
        if self._tensors is not None:
            index = torch.from_numpy(rows)
            return {name: tensor.index_select(0, index) for name, tensor in self._tensors.items()}
        if self.record is None or self._handle is None:
            raise ValueError("the cache is closed")
        size = self.record.itemsize
        data = bytearray(size * len(rows))
        view = memoryview(data)
        for position, row in enumerate(rows.tolist()):
            if os.preadv(self._handle, [view[position * size : (position + 1) * size]], row * size) != size:
                raise TrainingError("the cache of encoded events is cut short", hint="run again with --force")
        table = np.frombuffer(data, dtype=self.record)
        return {name: torch.from_numpy(np.ascontiguousarray(table[name])) for name in self.record.names or ()}

    def close(self) -> None:
        if self._handle is not None:
            os.close(self._handle)
            self._handle = None


def encode_source(
    source: EventSource,
    representation: Representation,
    *,
    memory: int,
    path: Path,
    fingerprint: str,
    visit: Callable[[Tensors, Rows], None] | None = None,
) -> EncodedCache:
    """Encode every event of a source once.

    Args:
        source: the events; a column ``_weight`` becomes the weights.
        representation: fitted.
        memory: bytes that the encoded events may take in memory; if they take more they go to ``path``.
        path: the file, with a ``.json`` beside it that is written when it is complete.
        fingerprint: what the content depends on; a complete file with the same fingerprint is used as it is.
        visit: called with the physical tensors of each batch and their row numbers, while they are encoded.

    Raises:
        InputFileError: if there are no events.
        TrainingError: if an encoded value is not finite.
        OutputError: if the file cannot be written.
    """
    size = source.num_events
    if size == 0:
        raise InputFileError("no events are left to train on", hint="look at the cut, the split and the input files")
    if (found := _complete_file(path, fingerprint)) is not None:
        return found
    writer: _Memory | _File | None = None
    start, weights = 0, 0.0
    for encoded, physical in _encoded_batches(source, representation):
        count = len(next(iter(encoded.values())))
        if start + count > size:
            raise InputFileError("the input files changed while they were read", hint="start again")
        if visit is not None:
            visit(physical, np.arange(start, start + count))
        _refuse_non_finite(encoded, start)
        if writer is None:
            record = _record(encoded)
            writer = _Memory(size) if record.itemsize * size <= memory else _File(path, record)
        writer.write(encoded, start)
        start += count
        weights += float(encoded[WEIGHT].double().sum()) if WEIGHT in encoded else count
    if writer is None or start != size:
        raise InputFileError("the input files changed while they were read", hint="start again")
    if weights <= 0:
        raise InputFileError("the event weights do not add up to a positive number", hint="look at data.weight")
    cache = writer.finish(size, weights / size)
    if not cache.in_memory:
        _mark_complete(path, fingerprint, cache)
    return cache


def _complete_file(path: Path, fingerprint: str) -> EncodedCache | None:
    """The cache that an earlier process left in a file, if it is of the same content."""
    try:
        note = json.loads(_note(path).read_text())
        if note["fingerprint"] != fingerprint:
            return None
        record = np.dtype([(name, kind, tuple(shape)) for name, kind, shape in note["record"]])
        if path.stat().st_size != record.itemsize * note["size"]:
            return None
        return EncodedCache(note["size"], None, os.open(path, os.O_RDONLY), record, note["mean_weight"])
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _mark_complete(path: Path, fingerprint: str, cache: EncodedCache) -> None:
    fields: Any = {} if cache.record is None else cache.record.fields or {}
    record = [(name, kind.base.str, list(kind.shape)) for name, (kind, *_) in fields.items()]
    note = {"fingerprint": fingerprint, "record": record, "size": cache.size, "mean_weight": cache.mean_weight}
    write_atomic(_note(path), json.dumps(note))


def _note(path: Path) -> Path:
    return path.with_name(path.name + ".json")


def _encoded_batches(source: EventSource, representation: Representation) -> Iterator[tuple[Tensors, Tensors]]:
    numbered = as_numbered(source)
    for piece in numbered_pieces(numbered):
        with naming_entries(numbered, piece):
            physical = representation.pack(piece.events)
        encoded = dict(representation.encode(physical))
        if WEIGHT in piece.events.fields:
            encoded[WEIGHT] = torch.from_numpy(np.asarray(piece.events[WEIGHT], dtype=np.float32))
        yield encoded, physical


def _refuse_non_finite(encoded: Tensors, start: int) -> None:
    for name, tensor in encoded.items():
        if tensor.is_floating_point() and not bool(torch.isfinite(tensor).all()):
            place = torch.nonzero(~torch.isfinite(tensor))[0].tolist()
            column = f", column {place[1]}" if len(place) > 1 else ""
            raise TrainingError(
                f"the encoded '{name}' of event {start + place[0]} of the training part is not finite{column}",
                hint="look at this event with 'hepgen inspect', or cut it away with data.cut",
            )


def _record(encoded: Tensors) -> np.dtype[Any]:
    return np.dtype(
        [(name, tensor.cpu().numpy().dtype, tuple(tensor.shape[1:])) for name, tensor in encoded.items()], align=False
    )


class _Memory:
    """Fills tensors of the final size, so that the peak is the size itself."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._tensors: Tensors = {}

    def write(self, encoded: Tensors, start: int) -> None:
        for name, tensor in encoded.items():
            if name not in self._tensors:
                self._tensors[name] = torch.empty((self._size, *tensor.shape[1:]), dtype=tensor.dtype)
            self._tensors[name][start : start + len(tensor)] = tensor.detach().cpu()

    def finish(self, size: int, mean_weight: float) -> EncodedCache:
        return EncodedCache(size, self._tensors, mean_weight=mean_weight)


class _File:
    """Appends records to a file."""

    def __init__(self, path: Path, record: np.dtype[Any]) -> None:
        self._path = path
        self.record = record
        with output_errors(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            _note(path).unlink(missing_ok=True)
            self._handle = path.open("wb")

    def write(self, encoded: Tensors, start: int) -> None:
        del start
        table = np.empty(len(next(iter(encoded.values()))), dtype=self.record)
        for name, tensor in encoded.items():
            table[name] = tensor.detach().cpu().numpy()
        with output_errors(self._path):
            self._handle.write(table.view(np.uint8).data)

    def finish(self, size: int, mean_weight: float) -> EncodedCache:
        with output_errors(self._path):
            self._handle.flush()
            os.fsync(self._handle.fileno())
            self._handle.close()
        return EncodedCache(size, None, os.open(self._path, os.O_RDONLY), self.record, mean_weight)
