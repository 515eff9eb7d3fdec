"""Rows of a table to standard normals and back: relations, absent values, then one distribution per column."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from hepgen.representations.base import Tensors
from hepgen.representations.column_kinds import ColumnFacts
from hepgen.representations.maps.gaussianise import Gaussianise, Interval, log_normal, spread
from hepgen.representations.relations import Relation, relation_from_state

_CHUNK = 4096  # rows at once: intermediate arrays stay in the processor's cache


class ColumnBlock(nn.Module):
    """Some columns of a table and their maps; columns that are absent together share one indicator.

    The latent vector holds one standard normal per column, then one per group of absent values. A column that is absent
    in an event is noise there, so that nothing has to be learnt of it.

    Args:
        facts: of the columns.
        groups: columns, by their place in ``facts``, whose values are absent in the same events.
        gaussianise: maps of the columns, then of the indicators (0 present, 1 absent).
    """

    absent: Tensor
    group_of: Tensor

    def __init__(self, facts: Sequence[ColumnFacts], groups: Sequence[Sequence[int]], gaussianise: Gaussianise) -> None:
        super().__init__()
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
        self.noisy = [int(place) for place in torch.nonzero(noisy).flatten()]
        self.smooth = [int(place) for place in torch.nonzero(~noisy).flatten()]
        self.order = torch.argsort(torch.tensor(self.smooth + self.noisy)).tolist()

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
        }

    @classmethod
    def from_state(cls, state: dict[str, Any]) -> ColumnBlock:
        facts = [ColumnFacts.from_dict(fact) for fact in state["facts"]]
        return cls(facts, state["groups"], Gaussianise.from_state(state["maps"]))


class TableTransform(nn.Module):
    """Physical values of conditions and columns to latent space, with the inverse and log|det J|.

    Args:
        conditions: block of the conditions; they are encoded without noise.
        columns: block of the columns that are modelled.
        relations: parents before children; indices count the conditions first, then the columns.
    """

    low: Tensor
    high: Tensor

    def __init__(self, conditions: ColumnBlock, columns: ColumnBlock, relations: Sequence[Relation]) -> None:
        super().__init__()
        self.conditions = conditions
        self.columns = columns
        self.relations = tuple(relations)
        self.register_buffer("low", torch.tensor([fact.low for fact in columns.facts], dtype=torch.float64))
        self.register_buffer("high", torch.tensor([fact.high for fact in columns.facts], dtype=torch.float64))

    def encode_condition(self, condition: Tensor) -> Tensor:
        """Latent values of conditions, (events, conditions) to (events, latent conditions), float32, without noise."""
        block = self.conditions
        condition = condition.double()
        interval = block.interval(condition, block.is_absent(condition))
        return interval.noised(torch.full_like(interval.low, 0.5)).float()

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
        """What a cache holds, float32: z of smooth columns; of noisy ones the interval, its low end in two parts."""
        parts = [self._encode(*part) for part in _chunks(condition, columns)]
        return {name: torch.cat([part[name] for part in parts]) for name in parts[0]}

    def _encode(self, condition: Tensor, columns: Tensor) -> Tensors:
        reduced, log_slope = self.reduce(condition, columns)
        interval = self.columns.interval(reduced, self.columns.is_absent(columns.double()))
        low = interval.low[:, self.columns.noisy]
        base = low.float()
        return {
            "condition": self.encode_condition(condition),
            "z": torch.special.ndtri(interval.low[:, self.columns.smooth]).float(),
            "low": base,
            "low_rest": (low - base.double()).float(),
            "width": interval.width[:, self.columns.noisy].float(),
            "log_slope": (interval.log_slope.sum(1) + log_slope).float(),
        }

    def forward(self, cached: Tensors, noise: Tensor) -> Tensor:
        """Latent vector (events, size), float32, from what ``encode`` gave and noise (events, noisy) in [0, 1)."""
        low = cached["low"].double() + cached["low_rest"].double()
        noisy = spread(low, cached["width"].double(), noise.double())
        return torch.cat([cached["z"], noisy.to(cached["z"].dtype)], dim=1)[:, self.columns.order]

    def log_abs_det(self, cached: Tensors, noise: Tensor) -> Tensor:
        """log|det J| of the latent vector with respect to the physical columns, (events,); see ``Gaussianise``."""
        return cached["log_slope"] - log_normal(self.forward(cached, noise)).sum(1)

    def inverse(self, z: Tensor, condition: Tensor) -> Tensor:
        """Physical columns (events, columns), float64, from the latent vector and physical conditions."""
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
        }

    @classmethod
    def from_state(cls, state: dict[str, Any]) -> TableTransform:
        relations = [relation_from_state(relation) for relation in state["relations"]]
        conditions, columns = (ColumnBlock.from_state(state[name]) for name in ("conditions", "columns"))
        return cls(conditions, columns, relations)


def _chunks(first: Tensor, second: Tensor) -> Iterator[tuple[Tensor, Tensor]]:
    for start in range(0, max(len(first), 1), _CHUNK):
        yield first[start : start + _CHUNK], second[start : start + _CHUNK]
