"""Encoded events at hand: in memory where they fit, else in one file of which single rows are read.

Events are decoded from their file, packed and encoded once, not once per epoch; of clouds without their padding. The file is read with ``os.pread``,
one row at a time, never mapped: pages of a mapped file would count as memory of the job.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Protocol

import awkward as ak
import numpy as np
import torch

from hepgen.errors import InputFileError, TrainingError
from hepgen.events.source import EventSource, as_numbered, naming_entries, numbered_pieces
from hepgen.representations.base import COUNT, Tensors
from hepgen.training import ragged
from hepgen.training.files import output_errors, write_atomic
from hepgen.training.ragged import Constituents, Rows

WEIGHT = "_weight"
"""Name of the column and of the cached tensor that hold the weights of events."""


class Encoder(Protocol):
    """What events are encoded by: a fitted representation, or what stands for one."""

    @property
    def ragged(self) -> tuple[str, ...]: ...

    def pack(self, batch: ak.Array) -> Tensors: ...

    def encode(self, tensors: Tensors) -> Tensors: ...


class EncodedCache:
    """Named tensors of all events of a part, gathered by row number.

    Attributes:
        size: number of events.
        mean_weight: mean of the weights of events; 1 where there are none.
        constituents: what is cached of the constituents where events are clouds.
    """

    def __init__(
        self,
        size: int,
        tensors: Tensors | None,
        handle: int | None = None,
        record: np.dtype[Any] | None = None,
        mean_weight: float = 1.0,
        constituents: Constituents | None = None,
    ) -> None:
        self.size = size
        self.mean_weight = mean_weight
        self.constituents = constituents
        self._tensors = tensors
        self._handle = handle
        self.record = record

    @property
    def in_memory(self) -> bool:
        return self._tensors is not None

    def gather(self, rows: Rows) -> Tensors:
        """The cached tensors of the given rows, each of shape (rows, ...), or (rows, constituents, ...)."""
        tensors = self._fixed(rows)
        return tensors if self.constituents is None else {**tensors, **self.constituents.gather(rows)}

    def _fixed(self, rows: Rows) -> Tensors:
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
        return {name: torch.from_numpy(table[name].copy()) for name in self.record.names or ()}

    @property
    def lengths(self) -> Rows | None:
        """Numbers of constituents, shape (events,), where events are clouds."""
        return None if self.constituents is None else self.constituents.lengths

    def close(self) -> None:
        if self._handle is not None:
            os.close(self._handle)
            self._handle = None
        if self.constituents is not None:
            self.constituents.close()


def encode_source(
    source: EventSource,
    representation: Encoder,
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
    points: ragged.InMemory | ragged.InFile | None = None
    lengths: list[Rows] = []
    start, weights = 0, 0.0
    for encoded, physical in _encoded_batches(source, representation):
        count = len(next(iter(encoded.values())))
        if start + count > size:
            raise InputFileError("the input files changed while they were read", hint="start again")
        if visit is not None:
            visit(physical, np.arange(start, start + count))
        _refuse_non_finite(encoded, start)
        padded = {name: encoded.pop(name) for name in representation.ragged}
        counts = encoded[COUNT].numpy() if padded else np.zeros(1, dtype=np.int64)
        if writer is None:
            record, each = _record(encoded), ragged.constituent_record(padded)
            in_memory = (record.itemsize + each.itemsize * float(counts.mean())) * size <= memory
            writer = _Memory(size) if in_memory else _File(path, record)
            if padded:
                points = ragged.InMemory(each) if in_memory else ragged.InFile(each, _points(path))
        writer.write(encoded, start)
        if points is not None:
            points.write(ragged.without_padding(padded, counts, each))
            lengths.append(counts)
        start += count
        weights += float(encoded[WEIGHT].double().sum()) if WEIGHT in encoded else count
    if writer is None or start != size:
        raise InputFileError("the input files changed while they were read", hint="start again")
    if weights <= 0:
        raise InputFileError(
            f"the weights of {size} events add up to {weights:g}, which is not positive",
            hint="look at the weight column",
        )
    cache = writer.finish(size, weights / size)
    cache.constituents = None if points is None else points.finish(np.concatenate(lengths))
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
        each = np.dtype([(name, kind, tuple(shape)) for name, kind, shape in note["constituent"]])
        points = ragged.complete_file(_points(path), each, note["size"]) if each.names else None
        return EncodedCache(note["size"], None, os.open(path, os.O_RDONLY), record, note["mean_weight"], points)
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _mark_complete(path: Path, fingerprint: str, cache: EncodedCache) -> None:
    each = None if cache.constituents is None else cache.constituents.record
    note = {
        "fingerprint": fingerprint,
        "record": _written(cache.record),
        "constituent": _written(each),
        "size": cache.size,
        "mean_weight": cache.mean_weight,
    }
    write_atomic(_note(path), json.dumps(note))


def _written(record: np.dtype[Any] | None) -> list[tuple[str, str, list[int]]]:
    fields: Any = {} if record is None else record.fields or {}
    return [(name, kind.base.str, list(kind.shape)) for name, (kind, *_) in fields.items()]


def _points(path: Path) -> Path:
    return path.with_suffix(".constituents")


def _note(path: Path) -> Path:
    return path.with_name(path.name + ".json")


def _encoded_batches(source: EventSource, representation: Encoder) -> Iterator[tuple[Tensors, Tensors]]:
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
                hint="look at this event with 'hepgen inspect', or cut it away",
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
