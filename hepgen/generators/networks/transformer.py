"""Transformers on point clouds: attention among the constituents, no position, the condition through the normalisation."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional


class TransformerBlock(nn.Module):
    """Attention, then a perceptron for each constituent, both between adaptive layer norms (arXiv:2212.09748).

    Args:
        hidden: features of a constituent; a multiple of ``heads``.
        heads: number of attention heads.
    """

    def __init__(self, hidden: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.attend = nn.Linear(hidden, 3 * hidden)
        self.attended = nn.Linear(hidden, hidden)
        self.widen = nn.Linear(hidden, 2 * hidden)
        self.narrow = nn.Linear(2 * hidden, hidden)
        self.modulate = nn.Linear(hidden, 6 * hidden)
        nn.init.zeros_(self.modulate.weight)  # every block begins as the identity
        nn.init.zeros_(self.modulate.bias)

    def forward(self, x: Tensor, event: Tensor, allowed: Tensor | None) -> Tensor:
        """(events, N, hidden) to the same; ``event`` (events, hidden), ``allowed`` (events, 1, 1, N) keys."""
        shift, scale, gate, shift_wide, scale_wide, gate_wide = self.modulate(event).unsqueeze(1).chunk(6, 2)
        shape = (*x.shape[:2], 3, self.heads, -1)
        query, key, value = self.attend(_normal(x) * (1 + scale) + shift).view(shape).permute(2, 0, 3, 1, 4)
        found = functional.scaled_dot_product_attention(query, key, value, attn_mask=allowed)
        x = x + gate * self.attended(found.transpose(1, 2).reshape(x.shape))
        wide = functional.gelu(self.widen(_normal(x) * (1 + scale_wide) + shift_wide))
        result: Tensor = x + gate_wide * self.narrow(wide)
        return result


class TransformerNetwork(nn.Module):
    """Clouds to clouds: equivariant under permutations of the constituents, blind to padding.

    One more token stands for the event, made of its condition; it also keeps the attention of an event without
    constituents defined.

    Args:
        inputs, outputs: features of a constituent.
        conditions: numbers of the event; may be 0.
        layers: number of blocks.
        hidden: features of a constituent in the network; a multiple of ``heads``.
        heads: number of attention heads.

    Example:
        >>> network = TransformerNetwork(3, 2, 3, layers=2, hidden=16, heads=4)
        >>> network(torch.zeros(2, 5, 3), torch.zeros(2, 2), torch.ones(2, 5, dtype=torch.bool)).shape
        torch.Size([2, 5, 3])
    """

    def __init__(
        self, inputs: int, conditions: int, outputs: int, *, layers: int = 4, hidden: int = 128, heads: int = 8
    ) -> None:
        super().__init__()
        self._constant = conditions == 0  # the event is then a learned constant
        self.start = nn.Linear(inputs, hidden)
        self.event = nn.Sequential(nn.Linear(max(conditions, 1), hidden), nn.SiLU(), nn.Linear(hidden, hidden))
        self.blocks = nn.ModuleList(TransformerBlock(hidden, heads) for _ in range(layers))
        self.modulate = nn.Linear(hidden, 2 * hidden)
        self.end = nn.Linear(hidden, outputs)

    def forward(self, x: Tensor, condition: Tensor, mask: Tensor | None = None) -> Tensor:
        """(events, N, inputs) and (events, conditions) to (events, N, outputs); padding gives 0."""
        event = self.event(x.new_ones(len(x), 1) if self._constant else condition)
        tokens = torch.cat([event.unsqueeze(1), self.start(x)], 1)
        allowed = None if mask is None else functional.pad(mask, (1, 0), value=True)[:, None, None]
        given = functional.silu(event)
        for block in self.blocks:
            tokens = block(tokens, given, allowed)
        shift, scale = self.modulate(given).unsqueeze(1).chunk(2, 2)
        found: Tensor = self.end(_normal(tokens[:, 1:]) * (1 + scale) + shift)
        return found if mask is None else found * mask.unsqueeze(2)


def _normal(x: Tensor) -> Tensor:
    return functional.layer_norm(x, x.shape[-1:])
