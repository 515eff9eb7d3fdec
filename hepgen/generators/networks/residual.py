"""Residual perceptrons for vectors."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional


class ResidualBlock(nn.Module):
    """A perceptron with one hidden layer, given the condition, added to what comes in."""

    def __init__(self, hidden: int, conditions: int) -> None:
        super().__init__()
        self.inner = nn.Linear(hidden, hidden)
        self.given = nn.Linear(conditions, hidden, bias=False)
        self.outer = nn.Linear(hidden, hidden)

    def forward(self, x: Tensor, condition: Tensor) -> Tensor:
        """(events, hidden) and (events, conditions) to (events, hidden)."""
        inside = self.inner(functional.silu(x)) + self.given(condition)
        result: Tensor = x + self.outer(functional.silu(inside))
        return result


class ResidualMLP(nn.Module):
    """Residual blocks, each of which is given the condition.

    Args:
        inputs, outputs: features of an event.
        conditions: numbers of the condition, at least 1.
        layers: number of blocks, of two linear layers each.
        hidden: their width.

    Example:
        >>> ResidualMLP(3, 2, 4, layers=2, hidden=8)(torch.zeros(5, 3), torch.zeros(5, 2)).shape
        torch.Size([5, 4])
    """

    def __init__(self, inputs: int, conditions: int, outputs: int, *, layers: int = 3, hidden: int = 128) -> None:
        super().__init__()
        self.start = nn.Linear(inputs + conditions, hidden)
        self.blocks = nn.ModuleList(ResidualBlock(hidden, conditions) for _ in range(layers))
        self.end = nn.Linear(hidden, outputs)

    def forward(self, x: Tensor, condition: Tensor) -> Tensor:
        """(events, inputs) and (events, conditions) to (events, outputs)."""
        x = self.start(torch.cat([x, condition], 1))
        for block in self.blocks:
            x = block(x, condition)
        found: Tensor = self.end(functional.silu(x))
        return found
