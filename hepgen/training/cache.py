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
from hepgen.events.source import EventSource
from hepgen.representations.base import Representation, Tensors
from hepgen.training.files import output_errors, write_atomic

WEIGHT = "_weight"
"""Name of the column and of the cached tensor that hold the weights of events."""

Rows = NDArray[np.int64]


class EncodedCache:
    """Named tensors of all events of a part, gathered by row number.

    Attributes:
        size: number of events.
    """

    def __init__(self, size: int, tensors: Tensors | None, handle: int | None, record: np.dtype[Any] | None) -> None:
        self.size = size
        self._tensors = tensors
        self._handle = handle
        self._record = record

    @property
    def in_memory(self) -> bool:
        return self._tensors is not None

    def gather(self, rows: Rows) -> Tensors:
        """The cached tensors of the given rows, each of shape (rows, ...)."""
        if self._tensors is not None:
            index = torch.from_numpy(rows)
            return {name: tensor.index_select(0, index) for name, tensor in self._tensors.items()}
        if self._record is None or self._handle is None:
            raise ValueError("the cache is closed")
        size = self._record.itemsize
        data = bytearray(size * len(rows))
        view = memoryview(data)
        for position, row in enumerate(rows.tolist()):
            if os.preadv(self._handle, [view[position * size : (position + 1) * size]], row * size) != size:
                raise TrainingError("the cache of encoded events is cut short", hint="run again with --force")
        table = np.frombuffer(data, dtype=self._record)
        return {name: torch.from_numpy(np.ascontiguousarray(table[name])) for name in self._record.names or ()}

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
        visit: called with the physical tensors of each batch and their row numbers.

    Raises:
        InputFileError: if there are no events.
        TrainingError: if an encoded value is not finite.
        OutputError: if the file cannot be written.
    """
    size = source.num_events
    if size == 0:
        raise InputFileError("no events are left to train on", hint="look at the cut, the split and the input files")
    writer: _Memory | _File | None = None
    start = 0
    for encoded, physical in _encoded_batches(source, representation):
        count = len(next(iter(encoded.values())))
        if start + count > size:
            raise InputFileError("the input files changed while they were read", hint="start again")
        if visit is not None:
            visit(physical, np.arange(start, start + count))
        _refuse_non_finite(encoded, start)
        if writer is None:
            record = _record(encoded)
            writer = _Memory(size) if record.itemsize * size <= memory else _File(path, record, fingerprint)
        writer.write(encoded, start)
        start += count
    if writer is None or start != size:
        raise InputFileError("the input files changed while they were read", hint="start again")
    return writer.finish(size)


def _encoded_batches(source: EventSource, representation: Representation) -> Iterator[tuple[Tensors, Tensors]]:
    for batch in source.batches():
        physical = representation.pack(batch)
        encoded = dict(representation.encode(physical))
        if WEIGHT in batch.fields:
            encoded[WEIGHT] = torch.from_numpy(np.asarray(batch[WEIGHT], dtype=np.float32))
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

    def finish(self, size: int) -> EncodedCache:
        return EncodedCache(size, self._tensors, None, None)


class _File:
    """Appends records to a file; a complete one of the same fingerprint is left alone."""

    def __init__(self, path: Path, record: np.dtype[Any], fingerprint: str) -> None:
        self._path = path
        self._record = record
        self._note = path.with_name(path.name + ".json")
        self._content = {"fingerprint": fingerprint, "record": str(record)}
        with output_errors(path):
            path.parent.mkdir(parents=True, exist_ok=True)
        self._complete = self._is_complete()
        if not self._complete:
            self._note.unlink(missing_ok=True)
        self._handle = None if self._complete else path.open("wb")

    def _is_complete(self) -> bool:
        try:
            return bool(json.loads(self._note.read_text()) == self._content) and self._path.exists()
        except (OSError, ValueError):
            return False

    def write(self, encoded: Tensors, start: int) -> None:
        if self._handle is None:
            return
        table = np.empty(len(next(iter(encoded.values()))), dtype=self._record)
        for name, tensor in encoded.items():
            table[name] = tensor.detach().cpu().numpy()
        with output_errors(self._path):
            self._handle.write(table.tobytes())

    def finish(self, size: int) -> EncodedCache:
        if self._handle is not None:
            with output_errors(self._path):
                self._handle.flush()
                os.fsync(self._handle.fileno())
                self._handle.close()
            write_atomic(self._note, json.dumps(self._content))
        return EncodedCache(size, None, os.open(self._path, os.O_RDONLY), self._record)
