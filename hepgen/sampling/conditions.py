"""The conditions of generated events: from a file, set on the command line, or as in the training."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

import awkward as ak
import numpy as np
from numpy.typing import NDArray

from hepgen.errors import ConditionRangeError, InputFileError, UsageError, suggest, suggest_or_list
from hepgen.events.source import EventSource
from hepgen.representations.base import ConditionRange
from hepgen.sampling.seeds import condition_stream
from hepgen.surrogate.surrogate import Surrogate

Rows = NDArray[np.float64]

_TOLERANCE = 1e-5


class Conditions(Protocol):
    """Gives the conditions of blocks, in increasing order of the blocks."""

    def block(self, block: int, first: int, count: int) -> tuple[Rows, ak.Array | None]:
        """Conditions of the events from ``first``, (count, conditions) or more rows, and columns to keep beside them, or None.

        Rows behind the first ``count`` only fill the block.
        """
        ...


@dataclass(frozen=True)
class ConditionLaw:
    """What ``--set-condition`` says of one condition: a value, or a range with a uniform or log-uniform law."""

    name: str
    low: float
    high: float
    logarithmic: bool = False

    def draw(self, random: np.random.Generator, count: int, known: ConditionRange | None = None) -> Rows:
        """So many values of a condition: of the kinds that lie in the range, all alike, where there are any; whole ones."""
        share = random.random(count)
        if self.low == self.high:
            return np.full(count, self.low)
        if known is not None and (inside := self.inside(known.kinds)):
            return np.array(inside)[(share * len(inside)).astype(np.int64)]
        if known is not None and known.whole and not self.logarithmic:
            return np.minimum(np.floor(self.low + share * (self.high - self.low + 1)), self.high)
        found = self._between(share)
        return np.rint(found) if known is not None and known.whole else found

    def _between(self, share: Rows) -> Rows:
        if self.logarithmic:
            drawn: Rows = np.exp(math.log(self.low) + share * (math.log(self.high) - math.log(self.low)))
            return np.clip(drawn, self.low, self.high)
        return self.low + share * (self.high - self.low)

    def ends(self, known: ConditionRange) -> Rows:
        """The lowest and the highest value, (2, 1); those of the kinds that lie in the range, where there are any."""
        inside = self.inside(known.kinds) or [self.low, self.high]
        return np.array([[inside[0]], [inside[-1]]])

    def inside(self, kinds: Sequence[float]) -> list[float]:
        """Those of the kinds that lie in the range."""
        return [one for one in kinds if self.low <= one <= self.high]


def parse_law(text: str, where: str = "--set-condition") -> ConditionLaw:
    """Read ``NAME=VALUE``, ``NAME=LOW:HIGH`` or ``NAME=log:LOW:HIGH``; ``where`` it stands, for the message.

    Raises:
        UsageError: if it is none of these.

    Example:
        >>> parse_law("incident_energy=log:1000:16000")
        ConditionLaw(name='incident_energy', low=1000.0, high=16000.0, logarithmic=True)
    """
    name, equals, law = text.partition("=")
    logarithmic = law.startswith("log:")
    words = law.removeprefix("log:").split(":")
    try:
        numbers = [float(word) for word in words]
    except ValueError:
        numbers = []
    good = bool(name) and bool(equals) and len(numbers) in ({2} if logarithmic else {1, 2})
    if (
        not good
        or not all(map(math.isfinite, numbers))
        or numbers[0] > numbers[-1]
        or (logarithmic and numbers[0] <= 0)
    ):
        raise UsageError(
            f"'{text}' does not set a condition",
            where=where,
            hint="write NAME=VALUE, NAME=LOW:HIGH or NAME=log:LOW:HIGH, such as pt=log:100:1000",
        )
    return ConditionLaw(name, numbers[0], numbers[-1], logarithmic)


def check_range(rows: Rows, ranges: Sequence[ConditionRange], first: int = 0, where: str = "") -> None:
    """Refuse conditions outside the validity range, and kinds that were not in the training.

    Args:
        rows: (events, conditions).
        ranges: of every condition.
        first: number of the first event, for the message.
        where: what to say instead of the number of the event.

    Raises:
        ConditionRangeError: naming the condition, its value, and the range or the kinds.
    """
    check_kinds(rows, ranges, first, where)
    for column, one in enumerate(ranges):
        slack = _TOLERANCE * max(abs(one.low), abs(one.high))
        values = rows[:, column]
        bad = ~((values >= one.low - slack) & (values <= one.high + slack)) & ~_missing(values, one)
        if bad.any():
            row = int(np.flatnonzero(bad)[0])
            raise ConditionRangeError(
                f"{one.name} = {values[row]:g} is outside the range of the training, {one.low:g} to {one.high:g} {one.unit}".rstrip(),
                where=where or f"event {first + row}",
                hint="stay within the range, or say --extrapolate at your own risk",
            )


def check_kinds(
    rows: Rows, ranges: Sequence[ConditionRange], first: int = 0, where: str = "", option: str = "--extrapolate"
) -> None:
    """Refuse kinds that were not in the training, and fractions of whole numbers.

    Args:
        rows, ranges, first, where: see ``check_range``.
        option: that allows it all the same, for the message.

    Raises:
        ConditionRangeError: naming the condition, its value, and the kinds.
    """
    for column, one in enumerate(ranges):
        values = rows[:, column]
        if one.kinds:
            bad = ~np.isin(values, one.kinds) & ~_missing(values, one)
            what = f"was not in the training, which had {', '.join(f'{kind:g}' for kind in one.kinds)}"
            hint = f"take one of these, or say {option} at your own risk"
        elif one.whole:
            bad = (values != np.rint(values)) & ~np.isnan(values)
            what, hint = "is no whole number, as all were in the training", "take whole numbers"
        else:
            continue
        if bad.any():
            row = int(np.flatnonzero(bad)[0])
            place = where or f"event {first + row}"
            raise ConditionRangeError(f"{one.name} = {values[row]:g} {what}", where=place, hint=hint)


def _missing(values: Rows, one: ConditionRange) -> NDArray[np.bool_]:
    """Which values are missing as all were in the training, (events,)."""
    return np.isnan(values) & math.isnan(one.low)


def unseen_values(surrogate: Surrogate, settings: Sequence[str]) -> list[str]:
    """What to say of settings that lie between the discrete values of the training, such as beam energies.

    Between them the surrogate interpolates, which nobody has checked: allowed, because it is often what is wanted, but
    not silently. A file of conditions is the user's own choice, row by row, and is only held to the range.

    Args:
        settings: as those of ``--set-condition``.

    Raises:
        UsageError: for a text that is not a setting.
    """
    ranges = {one.name: one for one in surrogate.representation.validity}
    words = []
    for law in map(parse_law, settings):
        one = ranges.get(law.name)
        if one is None or not one.values or one.kinds or law.low < one.low or law.high > one.high:
            continue
        if law.low == law.high and np.isclose(law.low, one.values, rtol=_TOLERANCE, atol=0.0).any():
            continue
        known = ", ".join(f"{value:g}" for value in one.values)
        words.append(f"{law.name} had only the values {known} in the training: between them the surrogate interpolates")
    return words


class DrawnConditions:
    """Conditions as in the training, with laws of ``--set-condition`` in the place of some.

    Rows of the training sample are drawn with replacement, so that conditions keep their correlations; a single
    continuous condition is interpolated between them instead, so that no value comes twice.

    Raises:
        UsageError: if a law names no condition.
        ConditionRangeError: if a law leaves the validity range, unless ``extrapolate``.
    """

    def __init__(
        self, surrogate: Surrogate, seed: int, laws: Sequence[ConditionLaw] = (), *, extrapolate: bool = False
    ) -> None:
        self._names = surrogate.representation.condition_names
        self._table = surrogate.conditions
        self._seed = seed
        self._size = surrogate.block_size
        self._laws: list[tuple[int, ConditionLaw]] = []
        ranges = surrogate.representation.validity
        for law in laws:
            if law.name not in self._names:
                known = f"known: {', '.join(self._names) or 'none'}"
                raise UsageError(
                    f"no condition '{law.name}'", where="--set-condition", hint=suggest(law.name, self._names) or known
                )
            column = self._names.index(law.name)
            one = ranges[column]
            if not extrapolate:
                check_range(law.ends(one), [one], where="--set-condition")
            self._laws.append((column, law))
        self._ranges = ranges
        self._interpolated = len(ranges) == 1 and ranges[0].values is None and bool(np.isfinite(self._table).all())

    def block(self, block: int, first: int, count: int) -> tuple[Rows, ak.Array | None]:
        """See ``Conditions``; those of the whole block, so that no event depends on ``count``."""
        del first
        random = condition_stream(self._seed, block)
        size = max(self._size, count)
        if self._interpolated:
            ordered = np.sort(self._table[:, 0])
            rows = np.interp(random.random(size) * (len(ordered) - 1), np.arange(len(ordered)), ordered)[:, None]
        elif len(self._table):
            rows = self._table[random.integers(0, len(self._table), size=size)]
        else:
            rows = np.empty((size, len(self._names)))
        for column, law in self._laws:
            rows[:, column] = law.draw(random, size, self._ranges[column])
        return rows, None


class RowReader:
    """Rows of a source by number, asked for in increasing order; holds one batch or two."""

    def __init__(self, source: EventSource, columns: Sequence[str]) -> None:
        self._source = source
        self._columns = list(columns) or list(source.schema.names[:1])
        self._batches: Iterator[ak.Array] | None = None
        self._held: ak.Array | None = None
        self._start = 0

    def rows(self, number: NDArray[np.int64]) -> ak.Array:
        """The rows of these numbers, which increase."""
        begin, end = int(number[0]), int(number[-1]) + 1
        if self._batches is None or begin < self._start:
            self._batches, self._held, self._start = self._source.batches(self._columns), None, 0
        while self._held is None or self._start + len(self._held) < end:
            fresh = next(self._batches)
            if self._held is None or self._start + len(self._held) <= begin:
                self._start += 0 if self._held is None else len(self._held)
                self._held = fresh
            else:
                rest = self._held[begin - self._start :]
                self._held, self._start = ak.concatenate([rest, fresh]), begin
        return self._held[number - self._start]


class SourceConditions:
    """One event (or ``per_condition`` events) per row of a source, in its order.

    Args:
        keep: columns of the source to write beside what is generated.

    Raises:
        InputFileError: if the source lacks a condition, or a column to keep.
        ConditionRangeError: if some condition is outside the validity range, unless ``extrapolate``; the whole source
            is looked at before the first event is made.
    """

    def __init__(
        self,
        source: EventSource,
        surrogate: Surrogate,
        *,
        per_condition: int = 1,
        keep: Sequence[str] = (),
        extrapolate: bool = False,
    ) -> None:
        if per_condition < 1:
            raise UsageError("at least one event per condition is needed", where="--per-condition")
        self._elements = [_element(name, source) for name in surrogate.representation.condition_names]
        self._keep = [_column(name, source, "--keep") for name in keep]
        self._repeat = per_condition
        self.events = source.num_events * per_condition
        columns = list(dict.fromkeys(column for column, _ in self._elements))
        if not extrapolate and columns:
            start = 0
            for batch in source.batches(columns):
                check_range(self._conditions(batch), surrogate.representation.validity, start)
                start += len(batch)
        self._reader = RowReader(source, list(dict.fromkeys([*columns, *self._keep])))

    def _conditions(self, batch: ak.Array) -> Rows:
        rows = np.empty((len(batch), len(self._elements)))
        for position, (column, index) in enumerate(self._elements):
            values = np.ma.filled(np.ma.asarray(ak.to_numpy(batch[column])).astype(np.float64), np.nan)
            rows[:, position] = values if index is None else values.reshape(len(batch), -1)[:, index]
        return rows

    def block(self, block: int, first: int, count: int) -> tuple[Rows, ak.Array | None]:
        """See ``Conditions``."""
        del block
        chosen = self._reader.rows(np.arange(first, first + count) // self._repeat)
        return self._conditions(chosen), chosen[self._keep] if self._keep else None


def _element(name: str, source: EventSource) -> tuple[str, int | None]:
    """Column of a condition in a source, and its place in it: ``p[2]`` is an element of a fixed-size column."""
    match = re.fullmatch(r"(.+?)((?:\[\d+\])+)", name)
    if name in source.schema or match is None or match[1] not in source.schema:
        return _column(name, source, "--conditions"), None
    column = source.schema[match[1]]
    place = tuple(int(index) for index in re.findall(r"\d+", match[2]))
    return column.name, int(np.ravel_multi_index(place, column.shape))


def _column(name: str, source: EventSource, option: str) -> str:
    if name not in source.schema:
        hint = suggest_or_list(name, source.schema.names)
        raise InputFileError(f"no column '{name}'", where=f"{option}, tree '{source.schema.tree}'", hint=hint)
    return name
