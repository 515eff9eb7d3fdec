"""Sampling to a file: blocks one after the other, written as they come, in bounded memory."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import awkward as ak
import torch

import hepgen
from hepgen.errors import UsageError
from hepgen.events.source import EventSource
from hepgen.events.writer import create_writer
from hepgen.sampling.blocks import Draws, sample_block
from hepgen.sampling.conditions import Conditions, DrawnConditions, SourceConditions, parse_law
from hepgen.sampling.objects import ObjectBlocks
from hepgen.sampling.output import OutputColumns
from hepgen.surrogate.provenance import peak_memory
from hepgen.surrogate.surrogate import Surrogate
from hepgen.training.progress import Progress, Silent
from hepgen.training.seeds import fresh_seed
from hepgen.training.signals import StopFlag


@dataclass(frozen=True)
class SampleSummary:
    """What a sampling did.

    Attributes:
        events: number of events written.
        seed: the master seed.
        seconds, cpu_seconds_per_event: wall time of all, processor time of each.
        peak_memory: largest resident memory of the process, bytes.
        redrawn: events that had to be drawn again because they were not finite.
        notes: what the file holds in another way than the training file.
    """

    path: str
    events: int
    seed: int
    seconds: float
    events_per_second: float
    cpu_seconds_per_event: float
    peak_memory: int
    redrawn: int
    first_block: int
    last_block: int
    notes: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """As JSON; the seed as text, because it may be larger than a double holds."""
        return {**asdict(self), "seed": str(self.seed), "notes": list(self.notes)}


class Sampling:
    """A sampling that has been checked and can begin.

    Args:
        surrogate: what is sampled.
        number: events to generate; with a conditions file all its rows where None.
        seed: master seed; drawn where None.
        conditions: source of conditions, one row per event.
        per_condition: events per row.
        set_conditions: ``NAME=VALUE``, ``NAME=LOW:HIGH``, ``NAME=log:LOW:HIGH``.
        keep: columns of the conditions file to copy.
        extrapolate: allow conditions outside the validity range.
        shard: (i, n) makes the i-th of n parts of the blocks.
        format: of the output; decides on the columns of showers.
        hits, sumw: see ``OutputColumns``.

    Raises:
        UsageError: for a number that is missing or larger than the file gives, or options that contradict each other.
        ConditionRangeError: for conditions outside the validity range.
    """

    def __init__(
        self,
        surrogate: Surrogate,
        number: float | None,
        *,
        seed: int | None = None,
        conditions: EventSource | None = None,
        per_condition: int = 1,
        set_conditions: Sequence[str] = (),
        keep: Sequence[str] = (),
        extrapolate: bool = False,
        shard: tuple[int, int] = (0, 1),
        format: str = "ttree",
        hits: bool = False,
        sumw: float | None = None,
    ) -> None:
        self.surrogate = surrogate
        self.seed = fresh_seed() if seed is None else seed
        self.draws = Draws()
        self._objects: ObjectBlocks | None = None
        if conditions is None and (keep or per_condition != 1):
            raise UsageError("--keep and --per-condition need --conditions", where="hepgen sample")
        if conditions is not None and set_conditions:
            raise UsageError("--conditions and --set-condition exclude each other", where="hepgen sample")
        kept = [conditions.schema[name] for name in keep] if conditions is not None else []
        available: int | None = None
        if surrogate.data.get("objects"):
            self._objects = ObjectBlocks(
                surrogate, self.seed, conditions, per_condition=per_condition, keep=keep, set_conditions=set_conditions,
                extrapolate=extrapolate, draws=self.draws,
            )  # fmt: skip
            available = self._objects.events
        else:
            self._conditions, available = self._supply(conditions, per_condition, set_conditions, keep, extrapolate)
        self.total = _total(number, available)
        blocks = -(-self.total // surrogate.block_size)
        part, parts = shard
        if not 0 <= part < parts:
            raise UsageError(f"there is no shard {part} of {parts}", where="--shard", hint="shards count from 0")
        self.blocks = range(part * blocks // parts, (part + 1) * blocks // parts)
        self.columns = OutputColumns(
            surrogate, seed=self.seed, total=self.total, format=format, hits=hits, sumw=sumw, kept=kept
        )

    def _supply(
        self,
        source: EventSource | None,
        per_condition: int,
        set_conditions: Sequence[str],
        keep: Sequence[str],
        extrapolate: bool,
    ) -> tuple[Conditions, int | None]:
        if source is None:
            laws = [parse_law(text) for text in set_conditions]
            return DrawnConditions(self.surrogate, self.seed, laws, extrapolate=extrapolate), None
        given = SourceConditions(
            source, self.surrogate, per_condition=per_condition, keep=keep, extrapolate=extrapolate
        )
        return given, given.events

    @property
    def events(self) -> int:
        """Events that this part makes."""
        size = self.surrogate.block_size
        return max(0, min(self.blocks.stop * size, self.total) - self.blocks.start * size)

    def batches(self) -> Iterator[ak.Array]:
        """The events, one batch per block, with the columns of ``columns.schema``."""
        size = self.surrogate.block_size
        for block in self.blocks:
            first = block * size
            count = min(size, self.total - first)
            if self._objects is not None:
                events, kept = self._objects.block(block, first, count)
            else:
                rows, kept = self._conditions.block(block, first, count)
                tensors = sample_block(self.surrogate, block, rows, self.seed, count=count, draws=self.draws)
                events = self.surrogate.representation.unpack(tensors)
            yield self.columns.assemble(events, block, first, kept)


def _total(number: float | None, available: int | None) -> int:
    if number is None:
        if available is None:
            raise UsageError("how many events?", where="hepgen sample", hint="say -n N, such as -n 1e5")
        return available
    if number < 0 or number != math.floor(number):
        raise UsageError(f"'{number:g}' is not a number of events", where="-n")
    if available is not None and number > available:
        raise UsageError(
            f"{int(number)} events are asked for, but the conditions give {available}",
            where="-n",
            hint="leave -n out, or use --per-condition",
        )
    return int(number)


def sample_events(surrogate: Surrogate, number: float | None, **options: Any) -> Iterator[ak.Array]:
    """Generate events in memory, block by block; options as those of ``Sampling``."""
    return Sampling(surrogate, number, **options).batches()


def sample_to_file(
    surrogate: Surrogate,
    path: str | Path,
    number: float | None,
    *,
    format: str | None = None,
    force: bool = False,
    drop_unwritable: bool = False,
    threads: int | None = None,
    progress: Progress | None = None,
    solver_steps: int | None = None,
    **options: Any,
) -> SampleSummary:
    """Generate events and write them; the file appears whole or not at all.

    Args:
        format: ``ttree``, ``rntuple`` or ``hdf5``; by the suffix where None.
        threads: of torch.
        solver_steps: of flows, in the place of the recipe's (``Surrogate.with_solver_steps``).
        options: see ``Sampling``.

    Raises:
        UsageError, ConditionRangeError, ModelError, OutputError: see ``Sampling`` and ``create_writer``.
    """
    watcher = progress or Silent()
    wall, cpu = time.perf_counter(), time.process_time()
    if threads is not None:
        torch.set_num_threads(threads)
    chosen = format or ("hdf5" if Path(path).suffix.lower() in {".h5", ".hdf5", ".hdf"} else "ttree")
    if solver_steps is not None:
        surrogate = surrogate.with_solver_steps(solver_steps)
    sampling = Sampling(surrogate, number, format=chosen, **options)
    if options.get("seed") is None:
        watcher.message(f"seed {sampling.seed}")
    writer = create_writer(
        path, sampling.columns.schema, format=format, force=force, drop_unwritable=drop_unwritable,
        # a table's missing values are NaN, as they were in the training file
        keep_nonfinite=surrogate.representation.kind == "table",
        metadata={
            "seed": str(sampling.seed),
            "model_sha256": surrogate.model_sha256,
            **({} if solver_steps is None else {"solver_steps": str(solver_steps)}),
        },
    )  # fmt: skip
    done = 0
    with StopFlag() as stop, writer:
        for batch in sampling.batches():
            writer.write(batch)
            done += len(batch)
            rate = done / max(1e-9, time.perf_counter() - wall)
            watcher.update("sample", done, sampling.events, math.nan, rate)
            stop.leave()  # nothing is kept of an unfinished file: the part file goes with the exception
        blocks = sampling.blocks
        writer.add_run_record(
            {
                "events": done,
                "seed": str(sampling.seed),
                "first_block": blocks.start,
                "last_block": max(blocks.start, blocks.stop - 1),
                "model_sha256": surrogate.model_sha256,
                "recipe": json.dumps(surrogate.recipe),
                "version": hepgen.__version__,
                "complete": 1,
            }
        )
    if sampling.draws.redrawn:
        watcher.message(f"{sampling.draws.redrawn} events were not finite and were drawn again")
    if surrogate.acceptance is not None and done:
        drawn = sampling.draws.passes * surrogate.block_size
        watcher.message(f"{drawn / done:.1f} rows were drawn for each that was accepted")
    seconds = time.perf_counter() - wall
    return SampleSummary(
        str(path), done, sampling.seed, seconds, done / max(1e-9, seconds),
        (time.process_time() - cpu) / max(1, done), peak_memory(), sampling.draws.redrawn,
        blocks.start, max(blocks.start, blocks.stop - 1), tuple(writer.notes),
    )  # fmt: skip
