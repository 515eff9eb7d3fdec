"""Object mode: events with lists of generated objects, nested as the input was."""

from __future__ import annotations

from collections.abc import Sequence

import awkward as ak
import numpy as np
import torch
from numpy.typing import NDArray

from hepgen.errors import InputFileError, UsageError
from hepgen.events.objects import nest
from hepgen.events.source import EventSource, record
from hepgen.sampling.blocks import Draws, sample_block
from hepgen.sampling.conditions import RowReader, check_range, parse_law
from hepgen.sampling.seeds import condition_stream
from hepgen.surrogate.surrogate import Surrogate


class ObjectBlocks:
    """Blocks of events whose objects are generated.

    How many objects an event has, and what they are given, comes from a file, event by event, or is drawn from events
    of the training.

    Args:
        source: events with the collection (for its counts) and the given columns, or None.
        per_condition: generated events for each of the source.
        keep: columns of the source to copy.
        set_conditions: values or ranges of given event columns, where there is no source.

    Raises:
        UsageError: for a law of something that is not a given event column.
        InputFileError: if the source lacks the collection or a given column.
    """

    def __init__(
        self,
        surrogate: Surrogate,
        seed: int,
        source: EventSource | None,
        *,
        per_condition: int = 1,
        keep: Sequence[str] = (),
        set_conditions: Sequence[str] = (),
        extrapolate: bool = False,
        draws: Draws | None = None,
    ) -> None:
        self._surrogate = surrogate
        self._seed = seed
        self._extrapolate = extrapolate
        self._draws = draws
        self._repeat = per_condition
        self._keep = list(keep)
        data = surrogate.data["objects"]
        self._elements: list[str] = data["elements"]
        self._given: list[str] = data["given"]
        self._counter: str = data["counter"]
        self._laws = [parse_law(text) for text in set_conditions]
        for law in self._laws:
            if law.name not in self._given or law.name == self._counter:
                raise UsageError(f"'{law.name}' is not a column that the objects are given", where="--set-condition")
        self.events: int | None = None
        self._reader: RowReader | None = None
        if source is not None:
            self.events = source.num_events * per_condition
            self._count_by = self._countable(source)
            self._reader = RowReader(source, [*dict.fromkeys([self._count_by, *self._given_from(source), *keep])])
        table = data["events"]
        self._table_counts = np.array(table["counts"], dtype=np.int64)
        self._table = ak.Array({name: table["given"][name] for name in self._given}) if self._given else None

    def _countable(self, source: EventSource) -> str:
        for name in (*self._elements, self._counter):
            if name and name in source.schema:
                return name
        raise InputFileError(
            f"no column '{self._counter or self._elements[0]}' to count the objects by",
            where=f"tree '{source.schema.tree}'",
            hint="the conditions need the counter or a column of the collection",
        )

    def _given_from(self, source: EventSource) -> list[str]:
        return [source.schema[name].name for name in self._given if name != self._counter]

    def _events(self, block: int, first: int, count: int) -> tuple[NDArray[np.int64], dict[str, ak.Array], ak.Array]:
        """Counts, given columns and kept columns of events."""
        if self._reader is not None:
            rows = self._reader.rows(np.arange(first, first + count) // self._repeat)
            values = rows[self._count_by]
            counts = np.asarray(ak.num(values) if values.ndim > 1 else values, dtype=np.int64)
            given = {name: rows[name] for name in self._given if name != self._counter}
            return counts, given, rows[self._keep] if self._keep else None
        random = condition_stream(self._seed, block)
        size = self._surrogate.block_size
        chosen = random.integers(0, len(self._table_counts), size=size)
        counts = self._table_counts[chosen][:count]
        given = {} if self._table is None else {n: self._table[n][chosen][:count] for n in self._given}
        given.pop(self._counter, None)
        known = {one.name: one for one in self._surrogate.representation.validity}
        for law in self._laws:
            given[law.name] = ak.Array(law.draw(random, size, known.get(law.name))[:count])
        return counts, given, None

    def block(self, block: int, first: int, count: int) -> tuple[ak.Array, ak.Array | None]:
        """Events ``first`` to ``first + count`` with their lists, and the columns to keep beside them."""
        counts, given, kept = self._events(block, first, count)
        if self._counter:
            given[self._counter] = ak.Array(counts)
        representation = self._surrogate.representation
        names = representation.condition_names
        rows = int(counts.sum())
        condition = np.empty((rows, len(names)))
        for place, name in enumerate(names):
            values = given[name]
            condition[:, place] = ak.flatten(values) if values.ndim > 1 else np.repeat(ak.to_numpy(values), counts)
        if not self._extrapolate and rows:
            check_range(condition, representation.validity)
        size = self._surrogate.block_size
        parts = [
            sample_block(self._surrogate, block, condition[start : start + size], self._seed, part=start // size,
                         draws=self._draws)
            for start in range(0, max(rows, 1), size)
            if rows
        ]  # fmt: skip
        lists = self._no_lists(count)
        if parts:
            tensors = {name: torch.cat([part[name] for part in parts]) for name in parts[0]}
            lists = nest(representation.unpack(tensors), counts, self._elements)
        columns = {**given, **{name: lists[name] for name in lists.fields}}
        return record(columns, count), kept

    def _no_lists(self, count: int) -> ak.Array:
        schema = self._surrogate.schema
        empty = {name: np.empty(0, dtype=schema[name].dtype) for name in self._elements}
        return nest(record({name: ak.Array(values) for name, values in empty.items()}, 0), np.zeros(count, np.int64))
