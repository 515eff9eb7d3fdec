"""Dropout whose random numbers are cheap on a CPU."""

from __future__ import annotations

import torch
from torch import Tensor, nn

_LEVELS = 2**16


class Dropout(nn.Module):
    """Drops each number with a given probability in training and scales the others up (arXiv 1207.0580).

    The same law as ``torch.nn.Dropout``, with the probability rounded to a multiple of 2**-16. On a CPU the masks of a
    small network cost more than its matrix products where each number takes a draw of its own; here one draw of 64 bits
    serves four.

    What a network has learnt with dropout is not what it samples without. So dropout fades with the learning rate (as in
    annealed dropout, Rennie et al. 2014), and the last fifth of a training goes without.

    Args:
        probability: of being dropped at full strength, in [0, 1).

    Attributes:
        strength: factor of the probability, in quarters, so that a compiled network is compiled a few times only.

    Example:
        >>> dropout = Dropout(0.5)
        >>> sorted(set(dropout(torch.ones(1000)).tolist()))
        [0.0, 2.0]
        >>> dropout.eval()(torch.ones(2)).tolist()
        [1.0, 1.0]
    """

    def __init__(self, probability: float) -> None:
        super().__init__()
        self.probability = probability
        self.strength = 1.0

    def fade(self, factor: float) -> None:
        """Set the strength to the nearest quarter of a factor in [0, 1]."""
        self.strength = round(4 * factor) / 4

    def forward(self, x: Tensor) -> Tensor:
        """x of any shape."""
        dropped = round(self.probability * self.strength * _LEVELS)
        if not self.training or dropped == 0:
            return x
        if x.device.type != "cpu" or torch.compiler.is_compiling():
            return nn.functional.dropout(x, dropped / _LEVELS)
        draws = torch.empty((x.numel() + 3) // 4, dtype=torch.int64).random_(-(2**63), None)
        numbers = draws.view(torch.int16)[: x.numel()].view(x.shape)
        kept = (numbers >= dropped - _LEVELS // 2).to(x.dtype)
        return x * kept.mul_(_LEVELS / (_LEVELS - dropped))

    def extra_repr(self) -> str:
        return f"{self.probability}"
