"""Residual perceptrons for vectors."""

from __future__ import annotations

from typing import cast

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from hepgen.generators.networks.packing import Packing, Weights
from hepgen.generators.networks.panels import in_panels, linear_weights
from hepgen.generators.networks.residual_kernel import make_events
from hepgen.generators.networks.small_products import padded
from hepgen.generators.tiles import for_each_rows


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
        self.hidden = hidden
        self.start = nn.Linear(inputs + conditions, hidden)
        self.blocks = nn.ModuleList(ResidualBlock(hidden, conditions) for _ in range(layers))
        self.end = nn.Linear(hidden, outputs)
        self.packing = Packing(self, _in_order)

    def forward(self, x: Tensor, condition: Tensor) -> Tensor:
        """(events, inputs) and (events, conditions) to (events, outputs)."""
        if x.is_cpu and x.dtype == torch.float32 and torch.is_inference_mode_enabled():
            return self._compiled(x, condition)
        x = self.start(torch.cat([x, condition], 1))
        for block in self.blocks:
            x = block(x, condition)
        found: Tensor = self.end(functional.silu(x))
        return found

    def _compiled(self, x: Tensor, condition: Tensor) -> Tensor:
        """The same in one compiled function, a few events at a time."""
        made = np.empty((len(x), self.end.out_features), np.float32)
        events, given, weights = x.contiguous().numpy(), condition.contiguous().numpy(), self.packing()
        sizes = len(self.blocks), self.hidden

        def work(begin: int, end: int) -> None:
            make_events(events, given, weights, *sizes, begin, end, made)

        for_each_rows(work, len(x), self.hidden)
        return torch.from_numpy(made)


def _in_order(module: nn.Module) -> Weights:
    """Weights in panels and biases of all linear layers, one behind the other; what a block is given, with its own inputs."""
    network = cast("ResidualMLP", module)
    wide = padded(network.hidden)
    parts = [linear_weights(network.start)]
    for block in cast("list[ResidualBlock]", list(network.blocks)):
        inner = functional.pad(block.inner.weight, (0, wide - network.hidden))
        parts.append(in_panels(torch.cat([inner, block.given.weight], 1), block.inner.bias))
        parts.append(linear_weights(block.outer, inputs=wide))
    return np.concatenate([*parts, linear_weights(network.end, inputs=wide)])
