"""Applying a decorrelation to a file: new columns beside the scores, everything else as it was, in bounded memory."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import awkward as ak
import numpy as np

from hepgen.errors import InputFileError
from hepgen.events.expressions import Expression
from hepgen.events.schema import Column, Schema
from hepgen.events.select import apply_derived
from hepgen.events.source import EventSource, as_numbered
from hepgen.morphing.decorrelator import DecorrelationModel
from hepgen.morphing.stream import (
    Flags,
    any_of,
    as_written,
    copied_blocks,
    require_columns,
    require_same_kind,
    with_columns,
    write_stream,
)
from hepgen.surrogate.provenance import peak_memory
from hepgen.training.progress import Progress, Silent

SUFFIX, OUTSIDE = "_decorrelated", "decorrelate_outside"

Policy = Literal["refuse", "missing", "nearest"]


@dataclass(frozen=True)
class DecorrelationSummary:
    """What a decorrelation did.

    Attributes:
        events: number of events written.
        outside: events whose protected values the training did not span.
        missing: events with a decorrelated score that is not a number.
        columns: names of the new scores.
    """

    path: str
    events: int
    outside: int
    missing: int
    columns: tuple[str, ...]
    seconds: float
    events_per_second: float
    peak_memory: int
    notes: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """As JSON."""
        return {**asdict(self), "columns": list(self.columns), "notes": list(self.notes)}


class Decorrelating:
    """A decorrelation that has been checked and can begin.

    The scores are written in float64: float32 has no room above 0.99999994, where the signal is.

    Args:
        model: what is applied.
        source: the events, with every column that shall be copied.
        policy: what becomes of events whose protected values lie beyond those of the training: an error, no score, or the
            score at the nearest value that was seen; flagged in any case.

    Raises:
        UsageError: if a column of the output is there already.
        InputFileError: if a column that the model needs is not there, or, where they are refused, events are outside.
    """

    def __init__(self, model: DecorrelationModel, source: EventSource, *, policy: Policy = "nearest") -> None:
        self.model = model
        self._source = as_numbered(source)
        self.copied = self._source.copied
        self._policy = policy
        self._define = {name: Expression.parse(text) for name, text in model.facts["define"].items()}
        self.outside = 0
        self.missing = 0
        require_columns(model.schema.names, source.schema)
        require_same_kind(model.schema, source.schema)
        new = [*(Column(name, "float64") for name in self.columns), Column(OUTSIDE, "bool")]
        self.schema: Schema = with_columns(
            source.schema, new, "decorrelate the file as it was before, or rename the column"
        )
        if policy == "refuse":
            self._refuse()

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of the new scores."""
        return tuple(name + SUFFIX for name in self.model.discriminants)

    def batches(self) -> Generator[ak.Array, None, None]:
        """The events, one batch a block, with the columns of ``schema``."""
        for batch in copied_blocks(self._source, self.model.block_size):
            yield self._block(batch)

    def _block(self, batch: ak.Array) -> ak.Array:
        columns = {name: batch[name] for name in batch.fields}
        values = apply_derived(batch, self._define)
        strange = any_of(self._strange(values), len(batch))
        physical = self.model.space.pack(values)
        low, high = np.array([self.model.facts["ranges"][name] for name in self.model.protected]).T
        physical["condition"].numpy().clip(low, high, out=physical["condition"].numpy())
        scores = self.model.scores(physical).numpy()
        if self._policy == "missing":
            scores[strange] = np.nan
        self.outside += int(strange.sum())
        self.missing += int(np.isnan(scores).any(axis=1).sum())
        columns.update(zip(self.columns, scores.T, strict=True))
        columns[OUTSIDE] = strange
        return as_written(columns, self.schema, self.copied, len(batch))

    def _strange(self, values: ak.Array) -> dict[str, Flags]:
        """Which events have a protected value that the training did not span, by column."""
        found = {}
        for name in self.model.protected:
            low, high = self.model.facts["ranges"][name]
            column = np.asarray(values[name], dtype=np.float64)
            found[name] = ~((column >= low) & (column <= high))  # not a number is outside, too
        return found

    def _refuse(self) -> None:
        """Refuse a file with events outside, before anything is written."""
        needed = [name for name in self._source.schema.names if name in self.model.schema]
        counts = dict.fromkeys(self.model.protected, 0)
        total = events = 0
        for batch in self._source.batches(needed):
            strange = self._strange(apply_derived(batch, self._define))
            for name, flags in strange.items():
                counts[name] += int(flags.sum())
            total += int(any_of(strange, len(batch)).sum())
            events += len(batch)
        if total:
            worst = max(counts, key=lambda name: counts[name])
            low, high = self.model.facts["ranges"][worst]
            raise InputFileError(
                f"{total} of {events} events are outside of what the training saw, {counts[worst]} by '{worst}', "
                f"which was {low:g} to {high:g}",
                where="--outside refuse",
                hint="--outside nearest takes the nearest value of the training, --outside missing gives no score; "
                "both flag them",
            )


def decorrelate_to_file(
    model: DecorrelationModel,
    source: EventSource,
    path: str | Path,
    *,
    policy: Policy = "nearest",
    format: str | None = None,
    force: bool = False,
    drop_unwritable: bool = False,
    threads: int | None = None,
    progress: Progress | None = None,
) -> DecorrelationSummary:
    """Write the events of a source with decorrelated scores; the file appears whole or not at all.

    Args:
        format: ``ttree``, ``rntuple`` or ``hdf5``; by the suffix where None.
        threads: of torch.

    Raises:
        UsageError, InputFileError, OutputError: see ``Decorrelating`` and ``create_writer``.
    """
    work = Decorrelating(model, source, policy=policy)
    events, seconds, notes = write_stream(
        work.batches(), work.schema, work.copied, path, verb="decorrelate", total=source.num_events, seed="",
        block_size=model.block_size, model_sha256=model.model_sha256, progress=progress or Silent(), format=format,
        force=force, drop_unwritable=drop_unwritable, threads=threads,
    )  # fmt: skip
    rate = events / max(1e-9, seconds)
    return DecorrelationSummary(
        str(path), events, work.outside, work.missing, work.columns, seconds, rate, peak_memory(), notes
    )
