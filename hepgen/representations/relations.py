"""Relations between columns that make the other's distribution simple: angles, orderings, sums of whole numbers.

Each replaces one column, the child, by a number that says the same given its parents, is exactly invertible, and keeps
a constraint that a generative model would only hold approximately.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor

_TINY = 1e-12


class Relation(ABC):
    """A column expressed through others; ``x`` is the matrix of all physical columns, shape (events, elements)."""

    kind: ClassVar[str]
    child: int

    @property
    @abstractmethod
    def sources(self) -> tuple[int, ...]:
        """Columns that have to be known before the child."""

    @abstractmethod
    def reduce(self, x: Tensor) -> Tensor:
        """What stands for the child, shape (events,)."""

    @abstractmethod
    def restore(self, reduced: Tensor, x: Tensor) -> Tensor:
        """The child, shape (events,)."""

    def log_slope(self, x: Tensor) -> Tensor:
        """log|d reduced / d child| with the parents held fixed, shape (events,)."""
        return torch.zeros_like(x[:, self.child])

    def state(self) -> dict[str, Any]:
        return {"kind": self.kind, **asdict(self)}  # type: ignore[call-overload]


@dataclass(frozen=True)
class CyclicDifference(Relation):
    """An angle relative to another, (child - parent - cut) mod period, cut open where the fewest events are.

    A rotation of the event changes the parent only.
    """

    kind: ClassVar[str] = "cyclic difference"
    child: int
    parent: int
    period: float
    origin: float
    cut: float

    @property
    def sources(self) -> tuple[int, ...]:
        return (self.parent,)

    def reduce(self, x: Tensor) -> Tensor:
        return torch.remainder(x[:, self.child] - x[:, self.parent] - self.cut, self.period)

    def restore(self, reduced: Tensor, x: Tensor) -> Tensor:
        turned = reduced + self.cut + x[:, self.parent] - self.origin
        return self.origin + torch.remainder(turned, self.period)


@dataclass(frozen=True)
class OrderedShare(Relation):
    """A column that never exceeds its parent, as its share (child - low) / (parent - low) of the room it has.

    With ``logarithmic`` the same of the logarithms, log(child / low) / log(parent / low). The share lies in [0, 1], so
    the order of the two (transverse momenta of sorted jets, masses of nested systems) holds in every generated event.
    """

    kind: ClassVar[str] = "ordered share"
    child: int
    parent: int
    low: float
    logarithmic: bool

    @property
    def sources(self) -> tuple[int, ...]:
        return (self.parent,)

    def _above(self, values: Tensor) -> Tensor:
        above = torch.log(torch.clamp(values, min=self.low) / self.low) if self.logarithmic else values - self.low
        return torch.clamp(above, min=_TINY)

    def reduce(self, x: Tensor) -> Tensor:
        return torch.clamp(self._above(x[:, self.child]) / self._above(x[:, self.parent]), max=1.0)

    def restore(self, reduced: Tensor, x: Tensor) -> Tensor:
        above = reduced * self._above(x[:, self.parent])
        restored = self.low * torch.exp(above) if self.logarithmic else self.low + above
        return torch.minimum(restored, x[:, self.parent])

    def log_slope(self, x: Tensor) -> Tensor:
        slope = -torch.log(self._above(x[:, self.parent]))
        return slope - torch.log(x[:, self.child]) if self.logarithmic else slope


@dataclass(frozen=True)
class WholeRemainder(Relation):
    """A whole number less the whole-numbered combination of others that explains most of it (a sum of flags)."""

    kind: ClassVar[str] = "whole remainder"
    child: int
    parents: tuple[int, ...]
    factors: tuple[int, ...]

    @property
    def sources(self) -> tuple[int, ...]:
        return self.parents

    def _explained(self, x: Tensor) -> Tensor:
        factors = torch.tensor(self.factors, dtype=x.dtype, device=x.device)
        return (x[:, list(self.parents)] * factors).sum(1)

    def reduce(self, x: Tensor) -> Tensor:
        return x[:, self.child] - self._explained(x)

    def restore(self, reduced: Tensor, x: Tensor) -> Tensor:
        return reduced + self._explained(x)


_KINDS: dict[str, type[CyclicDifference | OrderedShare | WholeRemainder]] = {
    kind.kind: kind for kind in (CyclicDifference, OrderedShare, WholeRemainder)
}


def relation_from_state(state: dict[str, Any]) -> Relation:
    values: dict[str, Any] = {
        name: tuple(v) if isinstance(v, list) else v for name, v in state.items() if name != "kind"
    }
    return _KINDS[state["kind"]](**values)


def in_order(relations: Sequence[Relation]) -> list[Relation]:
    """The relations sorted so that parents come before their children.

    Raises:
        ValueError: if a column depends on itself.
    """
    waiting = list(relations)
    ordered: list[Relation] = []
    while waiting:
        open_children = {relation.child for relation in waiting}
        ready = [relation for relation in waiting if open_children.isdisjoint(relation.sources)]
        if not ready:
            raise ValueError(f"columns {sorted(open_children)} depend on themselves")
        ordered += ready
        waiting = [relation for relation in waiting if relation not in ready]
    return ordered
