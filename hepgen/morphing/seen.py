"""What the training of a morph saw of one of its samples, and which events lie beyond it."""

from __future__ import annotations

from functools import cached_property

import awkward as ak
import numpy as np

from hepgen.errors import InputFileError
from hepgen.events.expressions import Expression
from hepgen.events.select import apply_derived
from hepgen.events.source import EventSource
from hepgen.morphing.model import MorphModel
from hepgen.morphing.quantities import QuantityRange
from hepgen.morphing.ranges import missing, outside
from hepgen.morphing.stream import Flags, any_of

_CUT = "the cut of the recipe"


class Seen:
    """What the training saw of one of its samples: the ranges of numbers, of quantities of arrays and lists, and the cut.

    Args:
        model: which keeps it among its facts; a bundle of before 2026-11-23 has no quantities.
        side: ``source`` or ``target``.
    """

    def __init__(self, model: MorphModel, side: str) -> None:
        facts = model.facts
        self._names = model.schema.names
        self._lists = [one.name for one in model.schema if one.jagged]
        self._ranges: dict[str, list[float]] = facts["ranges"][side]
        self._complete = frozenset(facts.get("complete", {}).get(side, ()))
        stored = map(QuantityRange.from_dict, facts.get("quantities", {}).get(side, ()))
        self._quantities = {str(one.quantity): one for one in stored}
        self._cut_of = facts["cut"][side]

    @cached_property
    def _cut(self) -> tuple[dict[str, Expression], Expression] | None:
        if self._cut_of["expression"] is None:
            return None
        define = {name: Expression.parse(text) for name, text in self._cut_of["define"].items()}
        return define, Expression.parse(self._cut_of["expression"])

    def missing(self, batch: ak.Array) -> Flags:
        """Which events no method can take, (events,): with infinite values, or missing ones where none were, or empty lists."""
        found = missing(batch, self._names, self._complete)
        for name in self._lists:
            found |= np.asarray(ak.num(batch[name])) == 0
        return found

    def strange(self, batch: ak.Array) -> dict[str, Flags]:
        """Which events the training did not see the like of, by the reason, (events,)."""
        found = {f"'{name}'": flags for name, flags in outside(batch, self._ranges, self._complete).items()}
        for name in self._names:
            if name not in self._ranges:
                found[f"values of '{name}' that are infinite or missing"] = missing(batch, [name], self._complete)
        found |= {words: one.outside(batch) for words, one in self._quantities.items()}
        if self._cut is not None:
            define, cut = self._cut
            found[_CUT] = ~np.asarray(cut.mask(apply_derived(batch, define)), dtype=bool)
        return found

    def refuse(self, source: EventSource) -> None:
        """Refuse a file with events beyond; reads the columns that are learned.

        Raises:
            InputFileError: saying how many there are, and what most of them are beyond of.
        """
        needed = set(self._names)
        if self._cut is not None:
            define, cut = self._cut
            needed |= set(cut.names).union(*(one.names for one in define.values())) - set(define)
        counts: dict[str, int] = {}
        total = events = 0
        for batch in source.batches([name for name in source.schema.names if name in needed]):
            strange = self.strange(batch)
            for reason, flags in strange.items():
                counts[reason] = counts.get(reason, 0) + int(flags.sum())
            total += int(any_of(strange, len(batch)).sum())
            events += len(batch)
        if total:
            worst = max(counts, key=lambda reason: counts[reason])
            raise InputFileError(
                f"{total} of {events} events are outside of what the training saw, {counts[worst]} by {worst}{self._span(worst)}",
                where="--outside refuse",
                hint="--outside keep leaves them as they are, --outside morph moves them; both flag them",
            )

    def _span(self, reason: str) -> str:
        """What the training saw of that by which events are strange, in words, where it is a number."""
        ends = {f"'{name}'": (low, high) for name, (low, high) in self._ranges.items()}
        ends |= {words: (one.low, one.high) for words, one in self._quantities.items()}
        return "" if reason not in ends else ", which was {:g} to {:g}".format(*ends[reason])
