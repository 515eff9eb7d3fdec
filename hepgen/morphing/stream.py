"""What is written beside the columns of a file: block by block, every other column as it was, in bounded memory."""

from __future__ import annotations

import math
import time
from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import awkward as ak
import numpy as np
import torch
from numpy.typing import NDArray

import hepgen
from hepgen.errors import InputFileError, UsageError, suggest
from hepgen.events.copied import CopiedColumn
from hepgen.events.schema import Column, Schema
from hepgen.events.source import EventSource, NumberedSource, record
from hepgen.events.writer import create_writer
from hepgen.training.progress import Progress
from hepgen.training.signals import StopFlag

Flags = NDArray[np.bool_]
"""One yes or no an event, (events,)."""


def any_of(flags: Mapping[str, Flags], size: int) -> Flags:
    """Which of so many events have one of these flags, (events,)."""
    found = np.zeros(size, dtype=bool)
    for one in flags.values():
        found |= one
    return found


def blocks(source: EventSource, size: int, columns: Sequence[str] | None = None) -> Iterator[ak.Array]:
    """The events of a source in batches of exactly ``size``, the last one as it comes.

    Example:
        >>> from hepgen.events.schema import schema_of
        >>> from hepgen.events.source import MemorySource
        >>> events = ak.Array({"x": np.arange(7)})
        >>> source = MemorySource(events, schema_of(events), batch_size=2)
        >>> [batch.x.to_list() for batch in blocks(source, 3)]
        [[0, 1, 2], [3, 4, 5], [6]]
    """
    waiting: list[ak.Array] = []
    count = 0
    for batch in source.batches(columns):
        start = 0
        while start < len(batch):
            part = batch[start : start + size - count]
            waiting.append(part)
            count += len(part)
            start += len(part)
            if count == size:
                yield waiting[0] if len(waiting) == 1 else ak.concatenate(waiting)
                waiting, count = [], 0
    if waiting:
        yield waiting[0] if len(waiting) == 1 else ak.concatenate(waiting)


def copied_blocks(source: NumberedSource, size: int) -> Iterator[ak.Array]:
    """The events of a source in `blocks`, with all that can be copied."""
    return blocks(source, size, [*source.schema.names, *(one.name for one in source.copied)])


def as_written(columns: Mapping[str, Any], schema: Schema, copied: Sequence[CopiedColumn], size: int) -> ak.Array:
    """Columns of so many events as a record, in the order of a schema, and what is copied behind them."""
    return record({name: columns[name] for name in (*schema.names, *(one.name for one in copied))}, size)


def require_columns(names: Iterable[str], schema: Schema) -> None:
    """Refuse a file without a column that a model needs.

    Raises:
        InputFileError: naming the first that is not there, and the nearest one that is.
    """
    for name in names:
        if name not in schema:
            raise InputFileError(
                f"no column '{name}', which the model needs", where=f"tree '{schema.tree}'",
                hint=suggest(name, schema.names),
            )  # fmt: skip


def require_same_kind(known: Schema, given: Schema) -> None:
    """Refuse columns of another unit or shape than those of the training.

    Raises:
        InputFileError: naming the column.
    """
    for one in known:
        other = given[one.name]
        if one.unit and other.unit and one.unit != other.unit:
            raise InputFileError(
                f"'{one.name}' is in {other.unit}, the model was trained in {one.unit}", where=f"tree '{given.tree}'"
            )
        if (one.shape, one.jagged) != (other.shape, other.jagged):
            raise InputFileError(f"'{one.name}' has another shape than in the training", where=f"tree '{given.tree}'")


def with_columns(schema: Schema, new: Sequence[Column], hint: str) -> Schema:
    """A schema with further columns at its end.

    Raises:
        UsageError: if one of them is there already.
    """
    for column in new:
        if column.name in schema:
            raise UsageError(f"the file has a column '{column.name}' already", where=f"tree '{schema.tree}'", hint=hint)
    return schema.replace([*schema, *new])


def write_stream(
    batches: Generator[ak.Array, None, None],
    schema: Schema,
    copied: Sequence[CopiedColumn],
    path: str | Path,
    *,
    verb: str,
    total: int,
    seed: str,
    block_size: int,
    model_sha256: str,
    progress: Progress,
    format: str | None = None,
    force: bool = False,
    drop_unwritable: bool = False,
    threads: int | None = None,
) -> tuple[int, float, tuple[str, ...]]:
    """Write batches of a schema, one a block; the file appears whole or not at all.

    Args:
        batches: closed at the end, whatever it is.
        copied: columns of the batches beside those of the schema, which are no numbers.
        verb: what is done, for the progress.
        total: number of events that are expected.
        seed, block_size, model_sha256: for the record in the file.
        threads: of torch.

    Returns:
        events, seconds, and notes of the writer.

    Raises:
        UsageError, OutputError: see ``create_writer``.
        Interrupted: after a signal; nothing is left.
    """
    begun = time.perf_counter()
    if threads is not None:
        torch.set_num_threads(threads)
    events = 0
    writer = create_writer(
        path, schema, format=format, copied=copied, force=force, drop_unwritable=drop_unwritable, keep_nonfinite=True,
        metadata={"seed": seed, "model_sha256": model_sha256},
    )  # fmt: skip
    with StopFlag() as stop, writer, closing(batches):
        for batch in batches:
            writer.write(batch)
            events += len(batch)
            progress.update(verb, events, total, math.nan, events / max(1e-9, time.perf_counter() - begun))
            stop.leave()
        writer.add_run_record(
            {
                "events": events, "seed": seed, "first_block": 0, "last_block": max(0, -(-events // block_size) - 1),
                "model_sha256": model_sha256, "recipe": "", "version": hepgen.__version__, "complete": 1,
            }
        )  # fmt: skip
    return events, time.perf_counter() - begun, tuple(writer.notes)
