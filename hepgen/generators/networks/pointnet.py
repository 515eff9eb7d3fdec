"""PointNet-Mix: a critic that looks at each constituent alone, then at maxima and means over them (arXiv:2006.07029)."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from hepgen.generators.networks.epic import pooled
from hepgen.generators.networks.mlp import dense


class PointNetMix(nn.Module):
    """Judges clouds, whatever the order of their constituents.

    Args:
        inputs: features of a constituent.
        conditions: numbers of the event; may be 0.
        each: widths of the network of one constituent.
        hidden: widths of the hidden layers of the network of the event.

    References:
        Wang et al., arXiv:2006.07029. For jets, with the sizes that are the defaults here: arXiv:2106.11535.

    Example:
        >>> critic = PointNetMix(3, 1)
        >>> critic(torch.zeros(2, 5, 3), torch.zeros(2, 1), torch.ones(2, 5, dtype=torch.bool)).shape
        torch.Size([2])
    """

    def __init__(
        self, inputs: int, conditions: int, *, each: Sequence[int] = (64, 128, 1024), hidden: Sequence[int] = (512,)
    ) -> None:
        super().__init__()
        self.each = dense([inputs, *each])
        self.event = dense([2 * each[-1] + conditions, *hidden])
        self.end = nn.Linear(hidden[-1], 1)

    def forward(self, x: Tensor, condition: Tensor, mask: Tensor) -> Tensor:
        """(events, N, inputs), (events, conditions) and mask (events, N) to (events,)."""
        points = self.each(x)
        mean = pooled(points, mask)[:, : points.shape[2]]
        judged: Tensor = self.end(self.event(torch.cat([highest(points, mask), mean, condition], 1)))
        return judged.squeeze(1)


def highest(x: Tensor, mask: Tensor) -> Tensor:
    """Largest number of each feature over the constituents of an event: (events, N, features) to (events, features).

    An event without constituents gives zeros.

    Example:
        >>> highest(torch.tensor([[[1.0], [9.0]], [[5.0], [5.0]]]), torch.tensor([[True, False], [False, False]])).tolist()
        [[1.0], [0.0]]
    """
    if x.shape[1] == 0:
        return x.new_zeros(len(x), x.shape[2])
    most = x.masked_fill(~mask.unsqueeze(2), float("-inf")).amax(1)
    return most.masked_fill(~mask.any(1, keepdim=True), 0.0)
