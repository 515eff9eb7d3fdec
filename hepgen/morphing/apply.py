"""Applying a morph to a file: block by block, every other column as it was, in bounded memory."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Generator
from contextlib import closing
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import awkward as ak
import numpy as np
import torch
from numpy.typing import NDArray

from hepgen.errors import InputFileError, UsageError
from hepgen.events.expressions import Expression
from hepgen.events.schema import Column, Schema
from hepgen.events.select import WEIGHT as EVENT_WEIGHT
from hepgen.events.select import apply_derived, matches_file, weighted
from hepgen.events.source import EventSource, NumberedSource, as_numbered
from hepgen.morphing.base import Reweighting
from hepgen.morphing.in_order import in_order
from hepgen.morphing.model import MorphModel
from hepgen.morphing.moving import encoded, moved, replaced, weighed
from hepgen.morphing.seen import Seen
from hepgen.morphing.stream import (
    any_of,
    as_written,
    copied_blocks,
    require_columns,
    require_same_kind,
    with_columns,
    write_stream,
)
from hepgen.morphing.summary import MorphSummary
from hepgen.morphing.wanted import KeptConditions, Wanted, beyond
from hepgen.morphing.weighting import WeightScale, WeightTally, scale_of
from hepgen.surrogate.provenance import peak_memory
from hepgen.training.progress import Progress, Silent
from hepgen.training.seeds import fresh_seed

DISTANCE, OUTSIDE, WEIGHT, OLD = "morph_distance", "morph_outside", "morph_weight", "_before"

Policy = Literal["refuse", "keep", "morph"]


@dataclass(frozen=True)
class _Block:
    """The columns of a block; the rows that the method has moved, or weighted; how far, or by which log ratio; and how many
    it was given and found nothing finite for."""

    columns: dict[str, Any]
    rows: NDArray[np.int64]
    found: NDArray[np.float64]
    failed: int


class Morphing:
    """A morphing that has been checked and can begin.

    Args:
        model: what is applied.
        source: the events, with every column that shall be copied.
        inverse: lead from the target to the source.
        wanted: which conditions the events shall have; each its own where None.
        policy: what becomes of events beyond what the training saw: an error, as they were, or moved; flagged in any case.
        old_values: write the values before beside the new ones, as NAME_before.
        seed: master seed; drawn where None.

    Raises:
        UsageError: if the model cannot do what is asked for, or a column of the output is there already.
        InputFileError: if a column that the model needs is not there, or, where they are refused, events are outside.
    """

    def __init__(
        self,
        model: MorphModel,
        source: EventSource,
        *,
        inverse: bool = False,
        wanted: Wanted | None = None,
        policy: Policy = "keep",
        old_values: bool = False,
        seed: int | None = None,
    ) -> None:
        self.model = model
        self.seed = fresh_seed() if seed is None else seed
        self._source = as_numbered(source)
        self.copied = self._source.copied
        self.notes: tuple[str, ...] = ()
        self._inverse = inverse
        self._wanted = wanted or KeptConditions()
        self._policy = policy
        self._old = old_values
        self._seen = Seen(model, "target" if inverse else "source")
        self.outside = 0
        self.unmoved = 0
        self.failed = 0
        self._distance = 0.0
        self.tally = WeightTally()
        self.events = 0
        self._check()
        self._read = self._source if model.moves else self._weighted()
        self.schema = self._schema()
        if policy == "refuse":
            self._seen.refuse(self._source)

    @property
    def distance(self) -> float:
        """Mean distance of the events so far."""
        return self._distance / max(1, self.events) if self.model.moves else math.nan

    @property
    def effective(self) -> float:
        """Effective number of events so far, by their new weights."""
        return math.nan if self.model.moves else self.tally.effective

    def _check(self) -> None:
        method = self.model.method
        if isinstance(method, Reweighting) and self._inverse:
            raise UsageError(f"the method '{method.method}' gives weights: it has no inverse", where="--inverse")
        if isinstance(method, Reweighting) and not (
            method.changes_condition or isinstance(self._wanted, KeptConditions)
        ):
            raise UsageError(
                f"the method '{method.method}' weights events at the condition that they have", where="--to-condition",
                hint="ask for another one of a classifier with ratio: parametrised",
            )  # fmt: skip
        if self._inverse and not self.model.invertible:
            clouds = self.model.clouds is not None
            what = "this map of jets with constituents" if clouds else f"the method '{method.method}'"
            also = f"--set options.{method.method}.inverse=true, or with " * clouds
            raise UsageError(
                f"{what} has no inverse", where="--inverse", hint=f"train with {also}source and target exchanged"
            )
        schema = self._source.schema
        weight = None if EVENT_WEIGHT in schema else self.model.facts.get("weighting", {}).get("column")
        require_columns([*self.model.schema.names, *([weight] if weight else [])], schema)
        require_same_kind(self.model.schema, schema)
        left = [one for one in schema if one.jagged and one.counter in self._counted and one.name not in self._changed]
        if left:
            raise InputFileError(
                f"'{left[0].name}' has a value for each constituent, and the model does not move it",
                where=f"tree '{schema.tree}'", hint="train with it: name it among the columns of the recipe",
            )  # fmt: skip

    def _weighted(self) -> NumberedSource:
        """The source with the weight of each event: its column, times the weight that the recipe gave its file."""
        if EVENT_WEIGHT in self._source.schema:
            return self._source
        known = self.model.facts["weighting"]
        patterns = known.get("file_weights", {})
        strange = [file for file in self._source.files if not any(matches_file(file, one) for one in patterns)]
        if patterns and strange:
            named = ", ".join(strange[:3]) + ", ..." * (len(strange) > 3)
            self.notes += (f"the recipe has no file weight for {named}: events count with 1 there",)
        return weighted(self._source, known["column"], patterns, others=1.0)

    @cached_property
    def _counted(self) -> dict[str, str]:
        """A list that moves, by the column that counts its elements."""
        lists = [self._source.schema[name] for name in self._changed if self._source.schema[name].jagged]
        return {one.counter: one.name for one in lists if one.counter is not None}

    def _schema(self) -> Schema:
        """Columns of the output: those of the source, and what is written beside them."""
        schema = self._source.schema
        new: list[Column] = []
        if self._old:
            new += [_before(schema[name]) for name in self._changed]
        new.append(Column(DISTANCE, "float32") if self.model.moves else Column(WEIGHT, "float64"))
        new.append(Column(OUTSIDE, "bool"))
        stale = [one.name for one in new if one.name in {DISTANCE, OUTSIDE} and one.name in schema]
        if stale:
            self.notes += (f"the file was morphed before: {' and '.join(stale)} are those of this morph now",)
            schema = schema.replace(one for one in schema if one.name not in stale)
        return with_columns(schema, new, "morph the file as it was before, or rename the column")

    @cached_property
    def _changed(self) -> tuple[str, ...]:
        """Columns of the source that change."""
        first = [*(self.model.moved if self.model.moves else ()), *self._wanted.names]
        every = dict.fromkeys([*first, *self._recomputed] if first else [])
        return tuple(name for name in every if name in self._source.schema)

    @cached_property
    def _recomputed(self) -> dict[str, Expression]:
        """Derived columns of the recipe that the file has, with the helpers that they need."""
        found = {name: Expression.parse(text) for name, text in self.model.facts["derived"].items()}
        return found if any(name in self._source.schema for name in found) else {}

    def batches(self) -> Generator[ak.Array, None, None]:
        """The events, one batch a block, with the columns of ``schema``; blocks side by side on the threads of torch."""
        # Constituents take their memory and their threads inside a block; another device takes one block at a time.
        alone = self.model.clouds is not None or self.model.device.type != "cpu"
        found = copied_blocks(self._read, self.model.block_size)
        made = in_order(self._block, enumerate(found), threads=1 if alone else torch.get_num_threads())
        with closing(made):
            for block in made:
                yield self._finished(block)

    def _block(self, block: int, batch: ak.Array) -> _Block:
        """What becomes of a block, by itself: it may run beside others."""
        size = len(batch)
        strange = any_of(self._seen.strange(batch), size)
        idle = strange.copy() if self._policy == "keep" else self._seen.missing(batch)
        columns = {name: batch[name] for name in self._source.schema.names}
        old = {name + OLD: columns[name] for name in self._changed} if self._old else {}
        values: Any = None
        found = np.zeros(size)
        if not idle.all():
            given = batch[list(self.model.schema.names)]
            if idle.any():
                # What stays as it is may be nothing that could be encoded: another event stands in its place.
                given = given[np.where(idle, np.flatnonzero(~idle)[0], np.arange(size))]
            events = encoded(self.model, block, given, self._wanted, self.seed)
            if events.asked is not None:
                asked = beyond(self.model, events.asked)
                strange |= asked
                idle |= asked & (self._policy == "keep")
            if self.model.moves:
                values, found = moved(self.model, block, events, self.seed, inverse=self._inverse)
            else:
                values, found = weighed(self.model, events)
        rows = np.flatnonzero(~idle & ~np.isnan(found))
        for name in (name for name in self._changed if values is not None and name not in self._recomputed):
            columns[name] = replaced(name, columns[name], values[name], rows)
        for counter, name in self._counted.items():
            if counter in columns:
                columns[counter] = np.asarray(ak.num(columns[name], axis=1))
        if values is not None and self._recomputed:
            derived = apply_derived(ak.Array(columns), self._recomputed, self._source.schema)
            columns.update({name: derived[name] for name in self._recomputed if name in self._source.schema})
        columns.update(old)
        columns |= {one.name: batch[one.name] for one in self.copied}
        columns[OUTSIDE] = strange
        if not self.model.moves:
            columns[EVENT_WEIGHT] = batch[EVENT_WEIGHT]
        return _Block(columns, rows, found[rows], int((~idle).sum()) - len(rows))

    def _finished(self, block: _Block) -> ak.Array:
        """A block with its distances or weights, counted; block after block, because sums go on through all of them."""
        columns, rows = block.columns, block.rows
        size = len(columns[OUTSIDE])
        if self.model.moves:
            columns[DISTANCE] = np.zeros(size, dtype=np.float32)
            columns[DISTANCE][rows] = block.found
            self._distance += float(columns[DISTANCE].sum(dtype=np.float64))
        else:
            weight = np.asarray(columns[EVENT_WEIGHT], dtype=np.float64)
            columns[WEIGHT] = weight.copy()  # an event that is kept as it is keeps its weight
            columns[WEIGHT][rows] = self.tally.update(block.found, weight[rows], self._scale)
        self.events += size
        self.outside += int(columns[OUTSIDE].sum())
        self.unmoved += size - len(rows)
        self.failed += block.failed
        return as_written(columns, self.schema, self.copied, size)

    @cached_property
    def _scale(self) -> WeightScale:
        return scale_of(self.model.facts["weighting"])


def _before(column: Column) -> Column:
    """The column of the old values; lists of it are counted for themselves."""
    counter = None if column.counter is None else column.counter + OLD
    return dataclasses.replace(column, name=column.name + OLD, counter=counter)


def morph_to_file(
    model: MorphModel,
    source: EventSource,
    path: str | Path,
    *,
    format: str | None = None,
    force: bool = False,
    drop_unwritable: bool = False,
    threads: int | None = None,
    progress: Progress | None = None,
    **options: Any,
) -> MorphSummary:
    """Morph the events of a source and write them; the file appears whole or not at all.

    Args:
        format: ``ttree``, ``rntuple`` or ``hdf5``; by the suffix where None.
        threads: of torch, on which blocks of events that are no clouds are moved side by side.
        options: see ``Morphing``.

    Raises:
        UsageError, InputFileError, OutputError: see ``Morphing`` and ``create_writer``.
    """
    watcher = progress or Silent()
    morphing = Morphing(model, source, **options)
    if options.get("seed") is None:
        watcher.message(f"seed {morphing.seed}")
    events, seconds, notes = write_stream(
        morphing.batches(), morphing.schema, morphing.copied, path, verb="morph", total=source.num_events, seed=str(morphing.seed),
        block_size=model.block_size, model_sha256=model.model_sha256, progress=watcher, format=format, force=force,
        drop_unwritable=drop_unwritable, threads=threads,
    )  # fmt: skip
    return MorphSummary(
        str(path), events, morphing.outside, morphing.unmoved, morphing.failed, morphing.distance, morphing.effective,
        morphing.seed, seconds, events / max(1e-9, seconds), peak_memory(),
        (*morphing.notes, *notes, *(() if model.moves else morphing.tally.doubts())),
    )  # fmt: skip
