"""The critic of EPiC-GAN (arXiv:2301.08128)."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import leaky_relu

from hepgen.generators.networks.epic import SLOPE, EpicLayer, linear, pooled


class EpicCritic(nn.Module):
    """Judges clouds, whatever the order of their constituents.

    Args:
        inputs: features of a constituent.
        conditions: numbers of the event, which join it before the first layer; may be 0.
        layers: number of EPiC layers.
        hidden: features of a constituent in the network.
        latent: features of the event in the network.
        sum_scale: factor of sums over constituents.

    References:
        Buhmann et al., arXiv:2301.08128, fig. 2; the sizes of its networks are the defaults.

    Example:
        >>> critic = EpicCritic(3, 0)
        >>> sum(parameter.numel() for parameter in critic.parameters())
        313170
        >>> critic(torch.zeros(2, 5, 3), torch.zeros(2, 0), torch.ones(2, 5, dtype=torch.bool)).shape
        torch.Size([2])
    """

    def __init__(
        self, inputs: int, conditions: int, *, layers: int = 3, hidden: int = 128, latent: int = 10,
        sum_scale: float = 1.0,
    ) -> None:  # fmt: skip
        super().__init__()
        self.sum_scale = sum_scale
        self.point_in = linear(inputs, hidden, normalised=True)
        self.point_out = linear(hidden, hidden, normalised=True)
        self.event_in = linear(2 * hidden + conditions, hidden, normalised=True)
        self.event_out = linear(hidden, latent, normalised=True)
        self.layers = nn.ModuleList(
            EpicLayer(hidden, latent, normalised=True, sum_scale=sum_scale) for _ in range(layers)
        )
        self.end_in = linear(2 * hidden + latent, hidden, normalised=True)
        self.end_out = linear(hidden, hidden, normalised=True)
        self.end = linear(hidden, 1, normalised=True)

    def forward(self, x: Tensor, condition: Tensor, mask: Tensor) -> Tensor:
        """(events, N, inputs), (events, conditions) and mask (events, N) to (events,)."""
        points = leaky_relu(self.point_in(x), SLOPE)
        points = leaky_relu(self.point_out(points) + points, SLOPE)
        event = torch.cat([pooled(points, mask, self.sum_scale), condition], 1)
        event = leaky_relu(self.event_out(leaky_relu(self.event_in(event), SLOPE)), SLOPE)
        for layer in self.layers:
            points, event = layer(points, event, None, mask)
        found = leaky_relu(self.end_in(torch.cat([pooled(points, mask, self.sum_scale), event], 1)), SLOPE)
        found = leaky_relu(self.end_out(found) + found, SLOPE)
        judged: Tensor = self.end(found)
        return judged.squeeze(1)
