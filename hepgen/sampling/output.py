"""From what a representation gives to the columns of the file that the surrogate was trained on."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

import awkward as ak
import numpy as np
from numpy.typing import NDArray

from hepgen.errors import UsageError
from hepgen.events.conversion import EVENT, Conversion, as_root_tree
from hepgen.events.jetnet import from_jetnet
from hepgen.events.schema import LUMI_COLUMNS, RUN_COLUMNS, Column, Schema, is_identity
from hepgen.events.select import apply_derived
from hepgen.events.source import NumberedBatch, record
from hepgen.sampling.seeds import event_numbers, run_number
from hepgen.surrogate.surrogate import Surrogate

_HIT_TYPES = {"hit_layer": "int32"}
_HITS = ("hit_energy", "hit_layer", "hit_r", "hit_alpha", "hit_x", "hit_y", "hit_z")


class OutputColumns:
    """The columns of an output file, and how a block of generated events becomes them.

    Columns that were learned come from the representation; ``derived`` ones are computed from them; the weight is the
    same for every event; ``run``, ``luminosityBlock`` and ``event`` number the events so that no two of any seed or job
    are the same. Showers of an HDF5 file become the tree ``showers`` in ROOT, with an ``event`` number in front.

    Args:
        surrogate: what is sampled.
        seed: master seed.
        total: number of events over all jobs, for the weight.
        format: ``ttree``, ``rntuple`` or ``hdf5``.
        hits: whether to add the voxels above 0 as hits under the counter ``nhit``.
        sumw: sum of the weights, where not that of the training input.
        kept: columns of the conditions file that are copied.

    Raises:
        UsageError: for ``hits`` of something without voxels, ``sumw`` without a weight column, or a kept column that
            has the name of a generated one.
    """

    def __init__(
        self,
        surrogate: Surrogate,
        *,
        seed: int,
        total: int,
        format: str,
        hits: bool = False,
        sumw: float | None = None,
        kept: Sequence[Column] = (),
    ) -> None:
        self._surrogate = surrogate
        self._seed = seed
        data = surrogate.data
        weight = data.get("weight") or {}
        self._weight_column: str | None = weight.get("column")
        if sumw is not None and self._weight_column is None:
            raise UsageError("this surrogate has no weight column", where="--sumw", hint="name one in data.weight")
        self._weight = (weight.get("sum", 0.0) if sumw is None else sumw) / max(1, total)
        self._kept = self._allowed(kept)
        self._hits_of: Callable[[ak.Array], dict[str, ak.Array]] | None = None
        if hits:
            self._hits_of = getattr(surrogate.representation, "hits", None)
            if self._hits_of is None:
                raise UsageError("this surrogate has no hits", where="--hits", hint="only calorimeters have")
        self._lists: Conversion | None = None  # of jets of JetNet, where ROOT is to read them
        self.schema = self._schema(format)

    def _allowed(self, kept: Sequence[Column]) -> list[Column]:
        conditions = set(self._surrogate.representation.condition_names)
        allowed = []
        for column in kept:
            if column.name in conditions:
                continue
            if column.name in self._surrogate.schema and not is_identity(self._surrogate.schema[column.name]):
                raise UsageError(f"'{column.name}' is generated and cannot be kept", where="--keep")
            allowed.append(column)
        return allowed

    def _schema(self, format: str) -> Schema:
        schema = self._surrogate.schema
        kept = {column.name: column for column in self._kept}
        schema = schema.replace([kept.pop(column.name, column) for column in schema])
        if format != "hdf5" and schema.convention == "jetnet":
            self._lists = from_jetnet(schema.replace([*schema, *kept.values()]), format)
            return self._lists.schema
        if format != "hdf5":
            schema = as_root_tree(schema, kept)
        columns = [*schema, *kept.values()]
        if self._hits_of is not None:
            units = getattr(self._surrogate.representation, "hit_units", {})
            columns += [
                Column(name, _HIT_TYPES.get(name, "float32"), (), True, units.get(name, ""), "nhit") for name in _HITS
            ]
        return dataclasses.replace(schema.replace(columns), format=format)

    def assemble(self, events: ak.Array, block: int, first: int, kept: ak.Array | None) -> ak.Array:
        """Columns of the schema for generated ``events`` of a block, the first of which has the number ``first``."""
        count = len(events)
        columns = {name: events[name] for name in events.fields}
        if derived := self._surrogate.derived:
            computed = apply_derived(events, derived, self.schema)
            columns.update({name: computed[name] for name in derived})
        for column in self.schema:
            if kept is not None and column.name in kept.fields:
                columns[column.name] = kept[column.name]
            elif column.name == self._weight_column:
                columns[column.name] = np.full(count, self._weight, dtype=column.dtype)
            elif column.name not in columns and is_identity(column):
                columns[column.name] = self._numbers(column, block, first, count)
        if self._hits_of is not None:
            columns.update(self._hits_of(events))
        if self._lists is not None:
            columns |= self._as_lists(self._lists, columns, kept, first, count)
        return record({column.name: columns[column.name] for column in self.schema}, count)

    @staticmethod
    def _as_lists(
        lists: Conversion, columns: dict[str, Any], kept: ak.Array | None, first: int, count: int
    ) -> dict[str, ak.Array]:
        """Jets of JetNet as lists of constituents, without their numbers."""
        given = columns if kept is None else {**columns, **{name: kept[name] for name in kept.fields}}
        rows = NumberedBatch(record(given, count), np.arange(first, first + count), np.zeros(count, dtype=np.int32))
        made = lists.apply(rows).events
        return {name: made[name] for name in made.fields if name != EVENT}

    def _numbers(self, column: Column, block: int, first: int, count: int) -> NDArray[Any]:
        limit = np.iinfo(column.dtype).max
        if column.name in RUN_COLUMNS:
            return np.full(count, run_number(self._seed) % (int(limit) + 1), dtype=column.dtype)
        if column.name in LUMI_COLUMNS:
            return np.full(count, (block + 1) % (int(limit) + 1), dtype=column.dtype)
        has_run = any(name in RUN_COLUMNS for name in self.schema.names)
        if has_run or limit < 2**63 - 1:
            numbers = np.arange(first, first + count, dtype=np.uint64)
        else:
            numbers = event_numbers(self._seed, first, count)
        return (numbers % np.uint64(int(limit) + 1) if limit < 2**64 - 1 else numbers).astype(column.dtype)
