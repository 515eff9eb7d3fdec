"""HDF5 output: columnar, or in the layout of the CaloChallenge where the events came in it."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

import awkward as ak
import h5py
import numpy as np

from hepgen.events.hdf5 import CALO_TREE, COUNTER, INCIDENT, TOP_LEVEL, TREE, UNIT, VOXELS
from hepgen.events.layout import Layout
from hepgen.events.records import RUN_COLUMNS, RunRecord
from hepgen.events.rootfile import METADATA_KEY, RUNS_TREE
from hepgen.events.schema import Column, Schema

_CHUNK_BYTES = 1 << 20


class _LastingFile(io.FileIO):
    """A file that keeps its first failure and takes every further write as done.

    HDF5 writes what it still holds when it is closed, cannot be closed where the disk is full, and would bring the
    whole process down when it ends.
    """

    failure: OSError | None = None

    def write(self, data: Any) -> int:
        view = memoryview(data).cast("B")
        start = 0
        while start < len(view) and self.failure is None:
            try:
                start += super().write(view[start:]) or 0
            except OSError as error:
                self.failure = error
        return len(view)

    def truncate(self, size: int | None = None) -> int:
        try:
            return super().truncate(size) if self.failure is None else 0
        except OSError as error:
            self.failure = error
            return 0

    def check(self) -> None:
        """Raise the first failure, if there was one."""
        if self.failure is not None:
            raise self.failure


class Hdf5Backend:
    """Extendable, compressed datasets, one per column.

    Showers of the CaloChallenge convention become ``incident_energies`` (N, 1) and ``showers`` (N, voxels) at the top
    of the file, where those of Par04, the jets of JetNet and what stood there before stand as well; everything else is a
    group with the name of the tree.
    """

    def __init__(self, path: Path, schema: Schema, layout: Layout, metadata: Mapping[str, Any]) -> None:
        self._disk = _LastingFile(path, "w+")
        self._file = h5py.File(self._disk, "w")
        names = {column.name for column in layout.columns}
        self._calo = schema.tree == CALO_TREE and {INCIDENT, VOXELS} <= names
        top = self._calo or schema.convention in TOP_LEVEL or schema.top
        self._group = self._file if top else self._file.require_group(schema.tree)
        if top:
            self._file.attrs[TREE] = schema.tree
        if metadata:
            self._file.attrs[METADATA_KEY] = json.dumps(dict(metadata))
        self._layout = layout
        for counter in layout.counters:
            self._create(counter, schema[counter] if counter in schema else Column(counter, "int32"))
        for column in layout.columns:
            self._create(self._name(column.name), column)
        for text in layout.copied:
            self._extendable(text.name, h5py.string_dtype())

    def _name(self, column: str) -> str:
        return {INCIDENT: "incident_energies", VOXELS: "showers"}.get(column, column) if self._calo else column

    def _create(self, name: str, column: Column) -> None:
        shape = (1,) if self._calo and column.name == INCIDENT else column.shape
        dtype = np.dtype(column.dtype)
        dataset = self._extendable(name, dtype, shape)
        if column.unit:
            dataset.attrs[UNIT] = column.unit
        if column.jagged:
            dataset.attrs[COUNTER] = column.counter

    def _extendable(self, name: str, dtype: np.dtype[Any], shape: tuple[int, ...] = ()) -> Any:
        rows = max(1, min(1 << 16, _CHUNK_BYTES // max(1, int(np.prod(shape)) * dtype.itemsize)))
        return self._group.create_dataset(
            name.replace("/", "."),
            shape=(0, *shape),
            maxshape=(None, *shape),
            chunks=(rows, *shape),
            dtype=dtype,
            compression="gzip",
            compression_opts=1,
            shuffle=True,
        )

    def append(self, columns: Mapping[str, Any], counts: Mapping[str, Any]) -> None:
        """Add events to every dataset."""
        text = {column.name for column in self._layout.copied}
        for name, values in {**counts, **columns}.items():
            if name in text:
                flat = np.array(values.to_list(), dtype=object)
            else:
                flat = np.asarray(ak.flatten(values, axis=1)) if isinstance(values, ak.Array) else values
            dataset = self._group[self._name(name).replace("/", ".")]
            start = len(dataset)
            dataset.resize(start + len(flat), axis=0)
            dataset[start:] = flat.reshape(len(flat), *dataset.shape[1:])
        self._disk.check()

    def finish(self, records: list[RunRecord]) -> None:
        """Write the table of jobs and close the file."""
        if records:
            group = self._file.create_group(RUNS_TREE)
            rows = [asdict(record) for record in records]
            for name, kind in RUN_COLUMNS.items():
                values = [row[name] for row in rows]
                group.create_dataset(name, data=values, dtype=h5py.string_dtype() if kind == "string" else kind)
        self._file.close()
        self._disk.close()
        self._disk.check()

    def abandon(self) -> None:
        """Close the file, whatever its state; what it still holds is not written."""
        self._disk.failure = self._disk.failure or OSError("abandoned")
        with suppress(OSError, RuntimeError):
            self._file.close()
        self._disk.close()
