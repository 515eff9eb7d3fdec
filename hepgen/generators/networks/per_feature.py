"""A small perceptron for each feature of a vector, given what a network of all of them says of it."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

TOLD = 6
"""Numbers that the network of all features says of each."""


class PerFeature(nn.Module):
    """The sum of what a network of all features says of each, and of one perceptron for all that sees each by itself.

    Where most features are nearly always one thing and sometimes another (a pixel that is hit or not), their velocity near
    the end of a path is a step at a place of its own for each; a network of a few hundred units cannot make so many.

    Args:
        network: of all features, from (events, inputs) and (events, conditions) to (events, features * (1 + TOLD)).
        features: of an event; the first ones of what the network sees.
        conditions: numbers of the condition.
        width: of the perceptron.

    Example:
        >>> from hepgen.generators.networks.residual import ResidualMLP
        >>> inner = ResidualMLP(3, 2, 3 * (1 + TOLD), layers=1, hidden=8)
        >>> PerFeature(inner, 3, 2, 16)(torch.zeros(5, 3), torch.zeros(5, 2)).shape
        torch.Size([5, 3])
    """

    def __init__(self, network: nn.Module, features: int, conditions: int, width: int) -> None:
        super().__init__()
        self.network = network
        self.features = features
        self.start = nn.Linear(1 + TOLD, width)
        self.given = nn.Linear(conditions, width, bias=False)
        self.inner = nn.Linear(width, width)
        self.end = nn.Linear(width, 1)

    def forward(self, x: Tensor, condition: Tensor) -> Tensor:
        """(events, inputs) and (events, conditions) to (events, features)."""
        told = self.network(x, condition).view(len(x), self.features, 1 + TOLD)
        seen = torch.cat([x[:, : self.features, None], told[..., 1:]], 2)
        inside = functional.silu(self.start(seen) + self.given(condition)[:, None])
        found: Tensor = self.end(functional.silu(self.inner(inside)))[..., 0] + told[..., 0]
        return found
