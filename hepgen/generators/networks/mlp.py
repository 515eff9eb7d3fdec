"""Plain multi-layer perceptrons."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn

from hepgen.generators.networks.dropout import Dropout

ACTIVATIONS: dict[str, type[nn.Module]] = {
    "relu": nn.ReLU,
    "silu": nn.SiLU,
    "gelu": nn.GELU,
    "leaky_relu": nn.LeakyReLU,
}


class MLP(nn.Module):
    """A perceptron with one activation between its linear layers.

    Args:
        inputs: number of input features; may be 0.
        hidden: widths of the hidden layers.
        outputs: number of output features.
        activation: name in ``ACTIVATIONS``.
        dropout: probability with which hidden units are dropped in training.
        zero_last: start with a last layer of zeros, so that the network gives zeros.

    Example:
        >>> MLP(3, [8], 2)(torch.zeros(5, 3)).shape
        torch.Size([5, 2])
    """

    def __init__(
        self, inputs: int, hidden: Sequence[int], outputs: int, *,
        activation: str = "relu", dropout: float = 0.0, zero_last: bool = False,
    ) -> None:  # fmt: skip
        super().__init__()
        layers: list[nn.Module] = []
        # One feature without conditions: the network is a constant, learned through an input that is always 1.
        self._constant = inputs == 0
        inputs = max(inputs, 1)
        for width in hidden:
            layers += [nn.Linear(inputs, width), ACTIVATIONS[activation]()]
            if dropout > 0:
                layers.append(Dropout(dropout))
            inputs = width
        last = nn.Linear(inputs, outputs)
        if zero_last:
            nn.init.zeros_(last.weight)
            nn.init.zeros_(last.bias)
        self.layers = nn.Sequential(*layers, last)

    def forward(self, x: Tensor) -> Tensor:
        """(events, inputs) to (events, outputs)."""
        return self.events_last(x.T).T

    def events_last(self, x: Tensor) -> Tensor:
        """(inputs, events) to (outputs, events): the same network where events run fastest in memory."""
        if self._constant:
            x = x.new_ones(1, x.shape[1])
        for layer in self.layers:
            x = torch.addmm(layer.bias.unsqueeze(1), layer.weight, x) if isinstance(layer, nn.Linear) else layer(x)
        return x


def dense(widths: Sequence[int], *, slope: float = 0.2, dropout: float = 0.0) -> nn.Sequential:
    """Linear layers, each followed by a leaky rectification and dropout, for (..., widths[0]) to (..., widths[-1]).

    Example:
        >>> dense([3, 8, 2])(torch.zeros(5, 7, 3)).shape
        torch.Size([5, 7, 2])
    """
    layers: list[nn.Module] = []
    for inputs, outputs in pairwise(widths):
        layers += [nn.Linear(inputs, outputs), nn.LeakyReLU(slope)]
        if dropout > 0:
            layers.append(Dropout(dropout))
    return nn.Sequential(*layers)
