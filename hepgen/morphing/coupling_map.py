"""A coupling flow between two samples: how it sees conditions, and what it costs that it moves events."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from hepgen.errors import UsageError
from hepgen.generators.coupling_layers import CouplingStack, SplineCoupling

if TYPE_CHECKING:
    from hepgen.config.morph_options import MapOptions


# Factor of the learning rate at which a penalty that fades is gone: what is learned after it undoes what it distorts.
_GONE = 0.5


class CouplingMap(nn.Module):
    """The invertible map T of a sample onto another, conditional on where an event is and where it is to go.

    Both directions take the condition of the event as it is in the source, ``begin``, and in the target, ``end``.

    Args:
        features: number of features.
        conditions: number of conditioning features.
        options: sizes of the flow, ``condition`` and ``identity``.

    Example:
        >>> from hepgen.config.morph_options import MapOptions
        >>> moved = CouplingMap(2, 1, MapOptions())
        >>> x, c = torch.tensor([[0.5, -1.0]]), torch.zeros(1, 1)
        >>> moved.apply_to(x, c, c).tolist()
        [[0.5, -1.0]]
    """

    def __init__(self, features: int, conditions: int, options: MapOptions) -> None:
        super().__init__()
        self.options = options
        self.mode = options.condition
        self.strength = 1.0  # of a penalty that fades: the factor of the learning rate
        seen = 2 * conditions if self.mode == "concatenated" else conditions
        self.stack = CouplingStack(features, seen, options.top)
        if not options.identity:
            for module in self.stack.modules():
                if isinstance(module, SplineCoupling):
                    module.randomise()

    def forward(self, x: Tensor, begin: Tensor, end: Tensor, *, inverse: bool = False) -> tuple[Tensor, Tensor]:
        """Events (events, features) of the source to the target, or back if ``inverse``, and log|det J|, (events,)."""
        mapped: tuple[Tensor, Tensor] = self.stack(x, self._seen(begin, end), inverse=inverse)
        return mapped

    def apply_to(self, x: Tensor, begin: Tensor, end: Tensor, *, inverse: bool = False) -> Tensor:
        """As ``forward``, without the Jacobian and fast for many events.

        Raises:
            UsageError: if the map cannot move an event from one condition to another and is asked to.
        """
        if self.mode == "same" and begin is not end and not torch.equal(begin, end):
            raise UsageError(
                "this morph was trained with 'condition: same': events keep their condition",
                hint="train with 'condition: delta' or 'condition: concatenated' to ask for another one",
            )
        return self.stack.mapped(x, self._seen(begin, end), inverse=inverse)

    def penalty(self, x: Tensor, y: Tensor) -> Tensor:
        """What it costs to move events, (events,); if it fades, nothing where a map is judged and not trained."""
        options = self.options
        if options.penalty == "none":
            return x.new_zeros(len(x))
        share = 1.0
        if options.penalty_fades:
            share = max(0.0, self.strength - _GONE) / (1.0 - _GONE) if self.training else 0.0
        return options.penalty_weight * share * movement(x, y, options.penalty)

    def drawn_ends(self, condition: Tensor, other: Tensor) -> Tensor:
        """The condition at the far end of events in training: that of the other sample's event at the same place."""
        return condition if self.mode == "same" else other

    def _seen(self, begin: Tensor, end: Tensor) -> Tensor:
        if self.mode == "same":
            return begin
        return end - begin if self.mode == "delta" else torch.cat([begin, end], dim=1)


def movement(x: Tensor, y: Tensor, norm: str) -> Tensor:
    """How far each event moves, (events,): the sum over the features of \\|y - x\\| (``l1``) or its square (``l2``).

    Example:
        >>> movement(torch.tensor([[0.0, 1.0]]), torch.tensor([[2.0, 0.0]]), "l2").item()
        5.0
    """
    step = y - x
    return step.abs().sum(1) if norm == "l1" else step.square().sum(1)
