"""Rows of a table to standard normals and back: relations, absent values, then one distribution per column.

The latent vector is made in two parts. What is *discrete* (columns with a few values, and which values are absent) comes
first; the rest is made knowing it. A flow in one piece has to bend a continuum around every step of the discrete ones.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from hepgen.representations.base import Tensors
from hepgen.representations.column_kinds import ColumnFacts
from hepgen.representations.maps.combinations import Combinations
from hepgen.representations.maps.gaussianise import Gaussianise, Interval, spread
from hepgen.representations.relations import Relation, relation_from_state

_HALF = torch.tensor(0.5, dtype=torch.float64)
_CHUNK = 4096  # rows at once: intermediate arrays stay in the processor's cache


class ColumnBlock(nn.Module):
    """Some columns of a table and their maps; columns that are absent together share one indicator.

    The latent vector holds one standard normal per column, then one per group of absent values. A column that is absent
    in an event is noise there, so that nothing has to be learnt of it.

    Attributes:
        discrete: places in the latent vector whose distribution has nothing but atoms. They are settled first, all in
            one number where their combinations are known.
        rest: the other places.
        mixed: of the rest, those that take noise (whole numbers, spikes in a continuum, columns that can be absent).
        smooth: of the rest, those that take none.

    Args:
        facts: of the columns.
        groups: columns, by their place in ``facts``, whose values are absent in the same events.
        gaussianise: maps of the columns, then of the indicators (0 present, 1 absent).
        combinations: all combinations of the discrete values that occur, where they are generated as one.
    """

    absent: Tensor
    group_of: Tensor

    def __init__(
        self, facts: Sequence[ColumnFacts], groups: Sequence[Sequence[int]], gaussianise: Gaussianise,
        combinations: Combinations | None = None,
    ) -> None:  # fmt: skip
        super().__init__()
        self.combinations = combinations
        self.facts = tuple(facts)
        self.groups = tuple(tuple(group) for group in groups)
        self.gaussianise = gaussianise
        group_of = [len(self.groups)] * len(self.facts)
        for index, group in enumerate(self.groups):
            for column in group:
                group_of[column] = index
        values = [math.nan if fact.absent is None else fact.absent for fact in self.facts]
        self.register_buffer("absent", torch.tensor(values, dtype=torch.float64))
        self.register_buffer("group_of", torch.tensor(group_of, dtype=torch.int64))
        grouped = torch.tensor([place < len(self.groups) for place in group_of], dtype=torch.bool)
        noisy = torch.tensor(gaussianise.noisy, dtype=torch.bool)
        noisy[: len(self.facts)] |= grouped
        distributions = gaussianise.distributions
        self.discrete = [place for place, one in enumerate(distributions) if one.kind == "discrete"]
        self.rest = [place for place, one in enumerate(distributions) if one.kind != "discrete"]
        self.mixed = [place for place in self.rest if noisy[place]]
        self.smooth = [place for place in self.rest if not noisy[place]]
        self.rest_order = torch.argsort(torch.tensor(self.smooth + self.mixed)).tolist()
        self.order = torch.argsort(torch.tensor(self.discrete + self.rest)).tolist()
        self.atoms = Gaussianise([distributions[place] for place in self.discrete])
        # discrete columns that can be absent, each with its indicator, by their places among the discrete ones
        self._hidden_by = [
            (index, self.discrete.index(len(self.facts) + group_of[place]))
            for index, place in enumerate(self.discrete)
            if place < len(self.facts) and grouped[place]
        ]

    @property
    def size(self) -> int:
        """Number of latent dimensions."""
        return len(self.facts) + len(self.groups)

    def is_absent(self, x: Tensor) -> Tensor:
        """Which physical values (events, columns) stand for a missing one."""
        return torch.isnan(x) | (x == self.absent)

    def interval(self, reduced: Tensor, absent: Tensor) -> Interval:
        """Intervals of all latent dimensions, of shape (events, size); an absent value has the whole unit interval."""
        indicators = [absent[:, group[0]].double() for group in self.groups]
        filled = torch.where(absent, 0.0, reduced)
        found = self.gaussianise.interval(torch.cat([filled, *[one[:, None] for one in indicators]], dim=1))
        hidden = torch.cat(
            [absent, torch.zeros(len(absent), len(self.groups), dtype=torch.bool, device=absent.device)], 1
        )
        low, width, log_slope = found.low, found.width, found.log_slope
        zero = torch.zeros_like(low)
        return Interval(
            torch.where(hidden, zero, low), torch.where(hidden, zero + 1, width), torch.where(hidden, zero, log_slope)
        )

    @property
    def discrete_size(self) -> int:
        """Number of latent dimensions that settle the discrete values."""
        return len(self.discrete) if self.combinations is None else 1

    def middles(self, interval: Interval) -> Tensor:
        """The middle of the atoms, (events, discrete), float32, of the interval of all latent dimensions.

        It is what the atoms are called where others are conditioned on them: 0 for a value that is absent.
        """
        return spread(interval.low[:, self.discrete], interval.width[:, self.discrete], _HALF).float()

    def settle(self, z: Tensor) -> Tensor:
        """The middle of the atoms (events, discrete) that any latent values (events, discrete_size) stand for."""
        if self.combinations is not None:
            return self.combinations.inverse(z)
        values = self.atoms.inverse(z)
        middle = self.atoms.interval(values).noised(_HALF)
        for place, indicator in self._hidden_by:
            middle[:, place] = torch.where(values[:, indicator] > 0.5, 0.0, middle[:, place])
        return middle.float()

    def inverse(self, z: Tensor) -> tuple[Tensor, Tensor]:
        """Reduced values and what is absent, both of shape (events, columns)."""
        values = self.gaussianise.inverse(z)
        columns = len(self.facts)
        nothing = torch.zeros(len(z), 1, dtype=values.dtype, device=values.device)
        indicators = torch.cat([values[:, columns:], nothing], dim=1)
        return values[:, :columns], torch.index_select(indicators, 1, self.group_of) > 0.5

    def state(self) -> dict[str, Any]:
        return {
            "facts": [fact.to_dict() for fact in self.facts],
            "groups": [list(group) for group in self.groups],
            "maps": self.gaussianise.state(),
            "combinations": None if self.combinations is None else self.combinations.state(),
        }

    @classmethod
    def from_state(cls, state: dict[str, Any]) -> ColumnBlock:
        facts = [ColumnFacts.from_dict(fact) for fact in state["facts"]]
        known = state["combinations"]
        combinations = None if known is None else Combinations.from_state(known)
        return cls(facts, state["groups"], Gaussianise.from_state(state["maps"]), combinations)


class TableTransform(nn.Module):
    """Physical values of conditions and columns to latent space, with the inverse and log|det J|.

    Args:
        conditions: block of the conditions; they are encoded without noise.
        columns: block of the columns that are modelled.
        relations: parents before children; indices count the conditions first, then the columns.
        mirrors: groups of columns, by their place in ``columns``, that may change their sign together. Their
            distributions are symmetric, so that the mirror changes the sign of their latent values.
    """

    low: Tensor
    high: Tensor
    signs: Tensor

    def __init__(
        self, conditions: ColumnBlock, columns: ColumnBlock, relations: Sequence[Relation],
        mirrors: Sequence[Sequence[int]] = (),
    ) -> None:  # fmt: skip
        super().__init__()
        self.conditions = conditions
        self.columns = columns
        self.relations = tuple(relations)
        self.mirrors = tuple(tuple(group) for group in mirrors)
        # one row for every combination of mirrors, of the signs of the latent values
        signs = torch.ones(2 ** len(self.mirrors), len(columns.rest))
        for index, group in enumerate(self.mirrors):
            turned = torch.arange(len(signs)) // 2**index % 2 == 1
            for place in group:
                signs[turned, columns.rest.index(place)] *= -1
        self.register_buffer("signs", signs)
        self.register_buffer("low", torch.tensor([fact.low for fact in columns.facts], dtype=torch.float64))
        self.register_buffer("high", torch.tensor([fact.high for fact in columns.facts], dtype=torch.float64))

    def encode_condition(self, condition: Tensor) -> Tensor:
        """Latent values of conditions, (events, conditions) to (events, latent conditions), float32, without noise."""
        block = self.conditions
        condition = condition.double()
        absent = block.is_absent(condition)
        encoded = block.interval(condition, absent).noised(_HALF)
        for place, fact in enumerate(block.facts):
            if fact.affine is not None:  # not held at the ends of what was seen
                mean, width = fact.affine
                encoded[:, place] = torch.where(absent[:, place], 0.0, (condition[:, place] - mean) / width)
        return encoded.float()

    def reduce(self, condition: Tensor, columns: Tensor) -> tuple[Tensor, Tensor]:
        """Columns with related ones replaced, and log of the slope of the replacements, summed, (events,)."""
        every = torch.cat([condition, columns], dim=1).double()
        first = condition.shape[1]
        reduced = list(every[:, first:].unbind(1))
        log_slope = torch.zeros(len(every), dtype=torch.float64, device=every.device)
        for relation in self.relations:
            reduced[relation.child - first] = relation.reduce(every)
            log_slope = log_slope + relation.log_slope(every)
        return torch.stack(reduced, dim=1), log_slope

    def encode(self, condition: Tensor, columns: Tensor) -> Tensors:
        """What a cache holds, float32: z of smooth columns; of the others the interval, its low end in two parts."""
        parts = [self._encode(*part) for part in _chunks(condition, columns)]
        return {name: torch.cat([part[name] for part in parts]) for name in parts[0]}

    def _encode(self, condition: Tensor, columns: Tensor) -> Tensors:
        block = self.columns
        reduced, log_slope = self.reduce(condition, columns)
        interval = block.interval(reduced, block.is_absent(columns.double()))
        settled = block.middles(interval)
        if block.combinations is None:
            low, width, slope = (x[:, block.discrete] for x in (interval.low, interval.width, interval.log_slope))
        else:
            known = block.combinations.interval(settled)
            low, width, slope = known.low, known.width, known.log_slope
        low = torch.cat([low, interval.low[:, block.mixed]], dim=1)
        base = low.float()
        return {
            "condition": self.encode_condition(condition),
            "z": torch.special.ndtri(interval.low[:, block.smooth]).float(),
            "low": base,
            "low_rest": (low - base.double()).float(),
            "width": torch.cat([width, interval.width[:, block.mixed]], dim=1).float(),
            "settled": settled,
            "log_slope_discrete": slope.sum(1).float(),
            "log_slope": (interval.log_slope[:, block.rest].sum(1) + log_slope).float(),
        }

    def discrete(self, cached: Tensors, noise: Tensor) -> Tensor:
        """Latent values (events, discrete_size), float32, from what ``encode`` gave and noise of that shape in [0, 1)."""
        return self._spread(cached, slice(0, self.columns.discrete_size), noise)

    def rest(self, cached: Tensors, noise: Tensor) -> Tensor:
        """Latent values (events, rest), float32, from what ``encode`` gave and noise (events, mixed) in [0, 1)."""
        mixed = self._spread(cached, slice(self.columns.discrete_size, None), noise)
        z = torch.cat([cached["z"], mixed], dim=1)[:, self.columns.rest_order]
        return z * cached["signs"] if "signs" in cached else z

    def mirror(self, cached: Tensors, noise: Tensor) -> Tensors:
        """What ``encode`` gave with each event turned by a random combination of the mirrors; noise (events,)."""
        if not self.mirrors:
            return cached
        chosen = (noise * len(self.signs)).long().clamp(max=len(self.signs) - 1)
        return {**cached, "signs": self.signs[chosen]}

    @staticmethod
    def _spread(cached: Tensors, places: slice, noise: Tensor) -> Tensor:
        low = cached["low"][:, places].double() + cached["low_rest"][:, places].double()
        return spread(low, cached["width"][:, places].double(), noise.double()).float()

    def inverse(self, settled: Tensor, rest: Tensor, condition: Tensor) -> Tensor:
        """Physical columns (events, columns), float64, from the settled and the other latent values and conditions."""
        z = torch.cat([settled, rest], dim=1)[:, self.columns.order]
        return torch.cat([self._inverse(*part) for part in _chunks(z, condition.double())])

    def _inverse(self, z: Tensor, condition: Tensor) -> Tensor:
        reduced, absent = self.columns.inverse(z)
        first = condition.shape[1]
        every = torch.cat([condition, reduced], dim=1)
        for relation in self.relations:
            place = relation.child - first
            restored = relation.restore(every[:, relation.child], every)
            every[:, relation.child] = torch.clamp(restored, self.low[place], self.high[place])
        values = torch.clamp(every[:, first:], self.low, self.high)
        return torch.where(absent, self.columns.absent, values)

    def state(self) -> dict[str, Any]:
        return {
            "conditions": self.conditions.state(),
            "columns": self.columns.state(),
            "relations": [relation.state() for relation in self.relations],
            "mirrors": [list(group) for group in self.mirrors],
        }

    @classmethod
    def from_state(cls, state: dict[str, Any]) -> TableTransform:
        relations = [relation_from_state(relation) for relation in state["relations"]]
        conditions, columns = (ColumnBlock.from_state(state[name]) for name in ("conditions", "columns"))
        return cls(conditions, columns, relations, state["mirrors"])


def _chunks(first: Tensor, second: Tensor) -> Iterator[tuple[Tensor, Tensor]]:
    for start in range(0, max(len(first), 1), _CHUNK):
        yield first[start : start + _CHUNK], second[start : start + _CHUNK]
