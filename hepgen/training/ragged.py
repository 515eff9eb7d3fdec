"""Cached tensors with an axis of constituents, without their padding: in memory, or in a file read row by row."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from hepgen.errors import TrainingError
from hepgen.representations.base import Tensors
from hepgen.training.files import output_errors

Rows = NDArray[np.int64]


def constituent_record(padded: Tensors) -> np.dtype[Any]:
    """What is stored of one constituent, from tensors of shape (events, constituents, ...)."""
    fields = [(name, tensor.cpu().numpy().dtype, tuple(tensor.shape[2:])) for name, tensor in padded.items()]
    return np.dtype(fields, align=False)


def without_padding(padded: Tensors, lengths: Rows, record: np.dtype[Any]) -> NDArray[Any]:
    """The constituents of some events behind each other, as records, shape (constituents,)."""
    table = np.empty(int(lengths.sum()), dtype=record)
    for name, tensor in padded.items():
        table[name] = tensor.detach().cpu().numpy()[_there(lengths, tensor.shape[1])]
    return table


def _there(lengths: Rows, width: int) -> NDArray[np.bool_]:
    return np.arange(width) < lengths[:, None]


class Constituents:
    """The constituents of all events behind each other, of which those of some events are gathered and padded with 0.

    Args:
        lengths: number of constituents of each event, shape (events,).
        table: records of all constituents, or None where they stand in a file.
        record: what is stored of a constituent.
        handle: of the file.
    """

    def __init__(
        self, lengths: Rows, table: NDArray[Any] | None, record: np.dtype[Any], handle: int | None = None
    ) -> None:
        self.lengths = lengths
        self.record = record
        self._offsets = np.concatenate([[0], np.cumsum(lengths)])
        self._table = table
        self._handle = handle

    def gather(self, rows: Rows) -> Tensors:
        """Tensors of shape (rows, constituents of the longest, ...).

        Raises:
            TrainingError: if the file is cut short.
        """
        lengths = self.lengths[rows]
        there = _there(lengths, int(lengths.max(initial=0)))
        found = np.empty(int(lengths.sum()), dtype=self.record)
        ends = np.cumsum(lengths)
        for row, length, end in zip(rows.tolist(), lengths.tolist(), ends.tolist(), strict=True):
            found[end - length : end] = self._read(row, length)
        tensors: Tensors = {}
        for name in self.record.names or ():
            padded = np.zeros((*there.shape, *self.record[name].shape), dtype=self.record[name].base)
            padded[there] = found[name]
            tensors[name] = torch.from_numpy(padded)
        return tensors

    def _read(self, row: int, length: int) -> NDArray[Any]:
        start = int(self._offsets[row])
        if self._table is not None:
            return self._table[start : start + length]
        if self._handle is None:
            raise ValueError("the cache is closed")
        size = self.record.itemsize
        data = os.pread(self._handle, length * size, start * size)
        if len(data) != length * size:
            raise TrainingError("the cache of encoded events is cut short", hint="run again with --force")
        return np.frombuffer(data, dtype=self.record)

    def close(self) -> None:
        if self._handle is not None:
            os.close(self._handle)
            self._handle = None


class InMemory:
    """Collects constituents in pieces, and joins them at the end without ever holding them twice."""

    def __init__(self, record: np.dtype[Any]) -> None:
        self._record = record
        self._pieces: list[NDArray[Any]] = []

    def write(self, table: NDArray[Any]) -> None:
        self._pieces.append(table)

    def finish(self, lengths: Rows) -> Constituents:
        table = np.empty(int(lengths.sum()), dtype=self._record)
        start = 0
        for place, piece in enumerate(self._pieces):
            table[start : start + len(piece)] = piece
            start += len(piece)
            self._pieces[place] = piece[:0].copy()
        return Constituents(lengths, table, self._record)


class InFile:
    """Appends constituents to a file; their numbers go into a second one."""

    def __init__(self, record: np.dtype[Any], path: Path) -> None:
        self._record = record
        self._path = path
        with output_errors(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            self._file = path.open("wb")

    def write(self, table: NDArray[Any]) -> None:
        with output_errors(self._path):
            self._file.write(table.view(np.uint8).data)

    def finish(self, lengths: Rows) -> Constituents:
        with output_errors(self._path):
            self._file.flush()
            os.fsync(self._file.fileno())
            self._file.close()
            np.save(_lengths_of(self._path), lengths)
        return Constituents(lengths, None, self._record, os.open(self._path, os.O_RDONLY))


def complete_file(path: Path, record: np.dtype[Any], events: int) -> Constituents:
    """The constituents that an earlier process left in a file.

    Raises:
        OSError: if it is not there.
        ValueError: if it does not hold as many events and constituents as it should.
    """
    lengths: Rows = np.load(_lengths_of(path))
    if lengths.shape != (events,) or path.stat().st_size != int(lengths.sum()) * record.itemsize:
        raise ValueError("not the file that was begun")
    return Constituents(lengths, None, record, os.open(path, os.O_RDONLY))


def _lengths_of(path: Path) -> Path:
    return path.with_suffix(".lengths.npy")
