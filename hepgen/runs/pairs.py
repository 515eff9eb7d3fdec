"""Two samples as one, and the two halves of one; and what makes two samples unfit to be moved onto each other."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial

import awkward as ak
import numpy as np

from hepgen.config.representation import CalorimeterRecipe
from hepgen.errors import ConfigError, InputFileError, ModelError, leaving_out, suggest
from hepgen.events.casts import checked_cast
from hepgen.events.schema import Column
from hepgen.events.select import WEIGHT, select_events, weighted
from hepgen.events.source import Array, EventSource, NumberedBatch, SourceBase, as_numbered
from hepgen.events.split import uniform_hash
from hepgen.morphing.ranges import overlap
from hepgen.physics.jets import TURN
from hepgen.representations.column_kinds import called_angle
from hepgen.runs.data import RunData

FEWEST = 100
_LEAST_OVERLAP = 0.01
_SMALL_OVERLAP = 0.1
_LOOKED_AT = 20_000
_HALVES = 0x6861


class ConcatenatedSource(SourceBase):
    """Several sources of the same columns, one after the other; where one has weights, those of the others are 1.

    Rows keep the entries that they have in their own files.

    Args:
        sources: the first gives the schema.
    """

    def __init__(self, sources: Sequence[EventSource]) -> None:
        if any(WEIGHT in source.schema for source in sources):
            sources = [source if WEIGHT in source.schema else weighted(source, None) for source in sources]
        self._sources = [as_numbered(source) for source in sources]
        self.schema = self._sources[0].schema
        self.files = tuple(itertools.chain.from_iterable(source.files for source in self._sources))
        self.starts = tuple(itertools.chain.from_iterable(source.starts for source in self._sources))
        self.skipped = {}

    @property
    def num_events(self) -> int:
        return sum(source.num_events for source in self._sources)

    def numbered_batches(self, columns: Sequence[str] | None = None) -> Iterator[NumberedBatch]:
        names = list(self.schema.names) if columns is None else list(columns)
        before = 0
        for source in self._sources:
            for batch in source.numbered_batches(names):
                yield NumberedBatch(batch.events, batch.entry, batch.file + before)
            before += len(source.files)


def halves(source: EventSource, half: int) -> EventSource:
    """One of two halves of a source, 0 or 1, by a hash of the number of each event."""
    return select_events(source, keep=partial(_in_half, half))


def _in_half(half: int, entry: Array, events: ak.Array) -> Array:
    del events
    chosen: Array = (uniform_hash(entry, _HALVES) < 0.5) == (half == 0)
    return chosen


@contextmanager
def naming_side(which: str) -> Iterator[None]:
    """Errors of opening one of two samples say which of them it is."""
    try:
        yield
    except (ConfigError, InputFileError) as error:
        error.where = f"the {which}: {error.where}" if error.where else f"the {which}"
        raise


def check_weights(which: str, data: RunData, train: EventSource) -> float:
    """Refuse training events whose weights are nothing together; the share of those with negative weights.

    Raises:
        InputFileError: with the sum, and how many there are.
    """
    if WEIGHT not in train.schema:
        return 0.0
    total, events, zeros, negative = 0.0, 0, 0, 0
    for batch in train.batches([WEIGHT]):
        weights = np.asarray(batch[WEIGHT], dtype=np.float64)
        total, events = total + float(weights.sum()), events + len(weights)
        zeros, negative = zeros + int((weights == 0).sum()), negative + int((weights < 0).sum())
    if events and not total > 0:
        each = "all of them are 0" if zeros == events else f"{negative} of them are negative, {zeros} are 0"
        raise InputFileError(
            f"the weights of the {which} add up to {total:g} over {events} training events, and {each}",
            where=", ".join(str(file["path"]) for file in data.inputs),
            hint=f"look at {which}.weight, {which}.file_weights and {which}.cut",
        )
    return negative / max(1, events)


def refuse_counters(data: RunData) -> None:
    """Refuse to learn a column that counts the elements of lists which are copied: they would not agree any more.

    Raises:
        ConfigError: naming the column and a list.
    """
    for column in data.learned:
        lists = [one.name for one in data.events.schema if one.jagged and one.counter == column.name]
        lists += [one.name for one in as_numbered(data.events).copied if one.counter == column.name]
        if lists and not any(name in data.learned for name in lists):
            raise ConfigError(
                f"'{column.name}' counts the elements of '{lists[0]}', a list that is copied as it is",
                where="columns", hint=leaving_out(column.name),
            )  # fmt: skip


def check_pair(source: RunData, target: RunData) -> None:
    """Refuse two samples of other columns, kinds of columns, types or units, and ones with too few events.

    Raises:
        InputFileError: naming the column and what each side says of it.
    """
    ours, theirs = source.learned, target.learned
    for have, lack, which in ((ours, theirs, "target"), (theirs, ours, "source")):
        missing = [name for name in have.names if name not in lack]
        if missing:
            listed = ", ".join(missing[:5]) + (f" and {len(missing) - 5} more" if len(missing) > 5 else "")
            close = suggest(missing[0], lack.names)
            raise InputFileError(
                f"the {which} has no column {listed}", where=f"{which}.files, tree '{lack.tree}'",
                hint=f"{close}; " * bool(close) + "name the columns that both samples have: columns: [...]",
            )  # fmt: skip
    for one in ours:
        other = theirs[one.name]
        if (one.shape, one.jagged) != (other.shape, other.jagged):
            showers = isinstance(source.recipe.representation, CalorimeterRecipe)
            raise InputFileError(
                f"'{one.name}' has another shape in the target", where=f"{one.shape} and {other.shape}",
                hint="both samples need showers of one binning" if showers else leaving_out(one.name),
            )  # fmt: skip
        refuse_units(one, other, ", ".join(str(file["path"]) for file in [*source.inputs, *target.inputs]))
    for data, which in ((source, "source"), (target, "target")):
        if (events := data.train.num_events) < FEWEST:
            raise InputFileError(
                f"the {which} has {events} training events, at least {FEWEST} are needed",
                where=", ".join(str(file["path"]) for file in data.inputs),
                hint="look at the cut and the split, or add files",
            )  # fmt: skip
    refuse_narrow_types(source, target)


def refuse_units(one: Column, other: Column, where: str) -> None:
    """Refuse a column that is in one unit in the source and in another one in the target.

    Raises:
        InputFileError: naming both units.
    """
    if one.unit and other.unit and one.unit != other.unit:
        raise InputFileError(
            f"'{one.name}' is in {one.unit} in the source and in {other.unit} in the target", where=where,
            hint="bring both to one unit first; hepgen moves numbers as they are",
        )  # fmt: skip


def refuse_narrow_types(source: RunData, target: RunData) -> None:
    """Refuse whole numbers of the source whose type does not hold what the target has: moved events have that type.

    Raises:
        InputFileError: naming the column, its type, and what the target has.
    """
    ours, theirs = source.learned, target.learned
    narrow = [
        one.name for one in ours
        if np.dtype(one.dtype).kind in "biu" and not np.can_cast(theirs[one.name].dtype, one.dtype) and not one.jagged
    ]  # fmt: skip
    for batch in target.events.batches(narrow) if narrow else ():
        for name in narrow:
            values = ak.to_numpy(batch[name])
            finite = values[np.isfinite(values)]
            try:
                checked_cast(finite, Column(name, ours[name].dtype))
            except ModelError as error:
                raise InputFileError(
                    f"{error.what} in the target", where=f"the source has '{name}' as {ours[name].dtype}, the target as "
                    f"{theirs[name].dtype}", hint=f"write it in a wider type in the source, or {leaving_out(name)}",
                ) from None  # fmt: skip


def refuse_strangers(
    source: EventSource, target: EventSource, kept: Sequence[str], conditions: Sequence[str]
) -> list[str]:
    """Refuse two samples that have less than a hundredth in common in one of their numbers.

    Looks at the first 20,000 events of both.

    Args:
        kept: conditions that an event keeps.
        conditions: all of them; those that are not kept may differ.

    Returns:
        What to say of columns that have little in common, a sentence each.

    Raises:
        InputFileError: naming the column and what it spans in either sample.
    """
    free = {WEIGHT, *conditions} - {*kept}
    names = [one.name for one in source.schema if not one.jagged and not one.shape and one.name not in free]
    ours, theirs = (_first(side, names) for side in (source, target))
    notes = []
    for name in names:
        one, two = (values[np.isfinite(values)] for values in (ours[name], theirs[name]))
        refuse_turns(name, one, two)
        if not len(one) or not len(two) or (common := overlap(one, two)) >= _SMALL_OVERLAP:
            continue
        spans = f"{one.min():g} to {one.max():g} in the source, {two.min():g} to {two.max():g} in the target"
        if common >= _LEAST_OVERLAP:
            doubt = "events keep it: elsewhere the map is made up" if name in kept else "are the units the same?"
            notes.append(f"the samples have {100 * common:.3g} % of '{name}' in common ({spans}): {doubt}")
            continue
        raise InputFileError(
            f"'{name}' has {f'{100 * common:.3g} %' if common else 'nothing'} in common in the two samples: {spans}",
            where="a condition, which events keep" if name in kept else "a column to move",
            hint="are the units the same? Else take samples that share it"
            + (", or a method that changes the condition" if name in kept else f", or {leaving_out(name)}"),
        )
    return notes


def refuse_turns(name: str, one: Array, two: Array) -> None:
    """Refuse an azimuth in two conventions, or in radians and degrees: events would be moved by turns."""
    spans = [_span_of_azimuth(side) for side in (one, two)]
    if called_angle(name) and all(spans) and spans[0] != spans[1]:
        raise InputFileError(
            f"'{name}' runs from {spans[0]} in the source and from {spans[1]} in the target",
            where="a column of both samples", hint="write both in one convention first",
        )  # fmt: skip


def _span_of_azimuth(values: Array) -> str:
    """The convention that values of an azimuth show, empty where they show none."""
    if not len(values):
        return ""
    low, high = float(values.min()), float(values.max())
    if low >= -np.pi - 1e-3 and high <= TURN:
        if low < -1e-3:
            return "" if high > np.pi + 1e-3 else "-pi to pi"
        return "0 to 2 pi" if high > np.pi + 1e-3 else ""
    degrees = low >= -360.5 and high <= 360.5 and max(-low, high) > 90
    return ("-180 to 180" if low < 0 else "0 to 360") if degrees else ""


def _first(source: EventSource, names: Sequence[str]) -> dict[str, Array]:
    """Values of the first events by column, float64."""
    found: dict[str, list[Array]] = {name: [] for name in names}
    count = 0
    for batch in source.batches(list(names)):
        for name in names:
            found[name].append(np.asarray(batch[name], dtype=np.float64))
        count += len(batch)
        if count >= _LOOKED_AT:
            break
    return {name: np.concatenate(parts)[:_LOOKED_AT] if parts else np.empty(0) for name, parts in found.items()}
