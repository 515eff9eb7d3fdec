"""TTree and RNTuple output through uproot, made by name: assigning a dict would choose the format by itself."""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

import awkward as ak
import numpy as np
import uproot

from hepgen.events.layout import Layout
from hepgen.events.records import RUN_COLUMNS, RunRecord
from hepgen.events.rootfile import COUNTERS_KEY, METADATA_KEY, RUNS_TREE, UNITS_KEY
from hepgen.events.schema import Column, Schema

_ZSTD_LEVEL = 5
_FIRST_BASKETS, _MORE_BASKETS = 50, 4.0


class RootBackend:
    """One tree or ntuple of events, the table of jobs, units and metadata as JSON.

    Every `append` makes one basket (page cluster) per branch, so it must be large; `EventWriter` sees to that. An
    empty one would corrupt the file for ROOT, though not for uproot.
    """

    def __init__(
        self, path: Path, schema: Schema, layout: Layout, metadata: Mapping[str, Any], *, ntuple: bool = False
    ) -> None:
        self._file = uproot.recreate(path, compression=uproot.ZSTD(_ZSTD_LEVEL))
        self._schema, self._layout, self._metadata, self._ntuple = schema, layout, dict(metadata), ntuple
        types = {column.name: _type_of(column) for column in layout.columns}
        types |= {column.name: column.type for column in layout.copied}
        if ntuple:
            folder, _, name = schema.tree.rpartition("/")
            place = self._file.mkdir(folder) if folder else self._file
            self._tree = place.mkrntuple(name, types)
        else:
            counters = {column.name: column.counter for column in layout.columns if column.jagged}
            self._tree = self._file.mktree(
                schema.tree,
                types,
                counter_name=lambda column: counters[column],
                initial_basket_capacity=_FIRST_BASKETS,
                resize_factor=_MORE_BASKETS,
            )

    def append(self, columns: Mapping[str, Any], counts: Mapping[str, Any]) -> None:
        """Add events as one basket per branch; the counters follow from the lists."""
        if len(next(iter(columns.values()))) == 0:
            return
        packed = {name: ak.to_packed(v) if isinstance(v, ak.Array) else v for name, v in columns.items()}
        self._tree.extend(ak.zip(packed, depth_limit=1) if self._ntuple else packed)

    def finish(self, records: list[RunRecord]) -> None:
        """Write the table of jobs, the units and the metadata, and close the file."""
        if records:
            self._write_records(records)
        units = {column.name: column.unit for column in self._schema if column.unit}
        counters = {column.name: column.counter for column in self._schema if column.counter and self._ntuple}
        for key, content in ((UNITS_KEY, units), (COUNTERS_KEY, counters), (METADATA_KEY, self._metadata)):
            if content:
                self._file[key] = json.dumps(content)
        self._file.close()

    def abandon(self) -> None:
        """Close the file, whatever its state."""
        with suppress(OSError):
            self._file.close()

    def _write_records(self, records: list[RunRecord]) -> None:
        rows = [asdict(record) for record in records]
        types = {name: "string" if kind == "string" else kind for name, kind in RUN_COLUMNS.items()}
        table = self._file.mktree(RUNS_TREE, types)
        columns: dict[str, Any] = {}
        for name, kind in RUN_COLUMNS.items():
            values = [row[name] for row in rows]
            columns[name] = ak.Array(values) if kind == "string" else np.array(values, dtype=kind)
        table.extend(columns)


def _type_of(column: Column) -> Any:
    """The type of a column for uproot, which would parse a thousand datashapes for many seconds.

    Example:
        >>> print(_type_of(Column("hits", "float32", (3,), jagged=True)))
        var * 3 * float32
    """
    kind: ak.types.Type = ak.types.NumpyType(column.dtype)
    for size in reversed(column.shape):
        kind = ak.types.RegularType(kind, size)
    if column.jagged:
        return ak.types.ListType(kind)
    return kind if column.shape else np.dtype(column.dtype)
