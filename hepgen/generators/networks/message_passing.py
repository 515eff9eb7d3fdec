"""Message passing on graphs in which every constituent of an event is tied to every other (MPGAN, arXiv:2106.11535)."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from hepgen.generators.networks.dropout import Dropout
from hepgen.generators.networks.mlp import dense

SLOPE = 0.2


class MessagePassingLayer(nn.Module):
    """Each constituent gets a message from every one, itself among them, and from their sum new features (eq. 1 and 2).

    Args:
        inputs, outputs: features of a constituent.
        conditions: numbers of the event, which both networks are given; may be 0.
        messages: widths of the network of messages, the last of them the size of a message.
        updates: widths of the hidden layers of the network that makes the new features.
        dropout: probability, in training.
    """

    def __init__(
        self, inputs: int, conditions: int, outputs: int, messages: Sequence[int], updates: Sequence[int],
        *, dropout: float = 0.0,
    ) -> None:  # fmt: skip
        super().__init__()
        # The first layer of the messages is linear in both ends: done once per constituent, not once per pair.
        self.receive = nn.Linear(inputs + conditions, messages[0])
        self.send = nn.Linear(inputs, messages[0], bias=False)
        first = [nn.LeakyReLU(SLOPE), Dropout(dropout)] if dropout > 0 else [nn.LeakyReLU(SLOPE)]
        self.message = nn.Sequential(*first, *dense(messages, slope=SLOPE, dropout=dropout))
        self.update = dense([messages[-1] + inputs + conditions, *updates], slope=SLOPE, dropout=dropout)
        self.end = nn.Linear(updates[-1], outputs)

    def forward(self, x: Tensor, condition: Tensor, mask: Tensor | None = None) -> Tensor:
        """(events, N, inputs), (events, conditions) and mask (events, N) to (events, N, outputs)."""
        known = torch.cat([x, condition.unsqueeze(1).expand(-1, x.shape[1], -1)], 2)
        pairs = self.message(self.receive(known).unsqueeze(2) + self.send(x).unsqueeze(1))
        total = pairs.sum(2) if mask is None else torch.einsum("enms,em->ens", pairs, mask.to(pairs.dtype))
        found: Tensor = self.end(self.update(torch.cat([total, known], 2)))
        return found


class MessagePassing(nn.Module):
    """Clouds to clouds: equivariant under permutations of the constituents, blind to padding.

    The cost grows with the square of the number of constituents.

    Args:
        inputs, outputs: features of a constituent.
        conditions: numbers of the event; may be 0.
        node: features of a constituent between the layers.
        iterations: number of layers.
        messages, updates, dropout: see ``MessagePassingLayer``.

    References:
        MPGAN, Kansal et al., arXiv:2106.11535; the sizes of its networks are the defaults.

    Example:
        >>> network = MessagePassing(32, 1, 3)
        >>> network(torch.zeros(2, 5, 32), torch.zeros(2, 1), torch.ones(2, 5, dtype=torch.bool)).shape
        torch.Size([2, 5, 3])
    """

    def __init__(
        self, inputs: int, conditions: int, outputs: int, *, node: int = 32, iterations: int = 2,
        messages: Sequence[int] = (96, 160, 192), updates: Sequence[int] = (256, 256), dropout: float = 0.0,
    ) -> None:  # fmt: skip
        super().__init__()
        sizes = [inputs, *[node] * (iterations - 1), outputs]
        self.layers = nn.ModuleList(
            MessagePassingLayer(sizes[i], conditions, sizes[i + 1], messages, updates, dropout=dropout)
            for i in range(iterations)
        )

    def forward(self, x: Tensor, condition: Tensor, mask: Tensor | None = None) -> Tensor:
        """(events, N, inputs), (events, conditions) and mask (events, N) to (events, N, outputs); padding gives 0."""
        for layer in self.layers:
            x = layer(x, condition, mask)
        return x if mask is None else x * mask.unsqueeze(2)


class MessagePassingCritic(nn.Module):
    """Message passing, the sum over the constituents, and one linear layer.

    Args:
        inputs: features of a constituent.
        conditions: numbers of the event; may be 0.
        node, messages, updates, dropout: see ``MessagePassing``.
    """

    def __init__(
        self, inputs: int, conditions: int, *, node: int = 32, messages: Sequence[int] = (96, 160, 192),
        updates: Sequence[int] = (256, 256), dropout: float = 0.5,
    ) -> None:  # fmt: skip
        super().__init__()
        self.network = MessagePassing(
            inputs, conditions, node, node=node, messages=messages, updates=updates, dropout=dropout
        )
        self.end = nn.Linear(node + conditions, 1)

    def forward(self, x: Tensor, condition: Tensor, mask: Tensor) -> Tensor:
        """(events, N, inputs), (events, conditions) and mask (events, N) to (events,)."""
        judged: Tensor = self.end(torch.cat([self.network(x, condition, mask).sum(1), condition], 1))
        return judged.squeeze(1)
