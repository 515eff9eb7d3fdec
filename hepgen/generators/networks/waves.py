"""Sines and cosines of numbers, by which a network sees what is finer than it would bend by itself (arXiv:2006.10739)."""

from __future__ import annotations

import torch
from torch import Tensor


def with_waves(x: Tensor, waves: int) -> Tensor:
    """Numbers (..., n) with their waves behind them, of periods 2 pi, pi, ...: (..., n (1 + 2 waves)).

    The periods are those of standardised numbers, which are about as wide as a normal one.

    Example:
        >>> with_waves(torch.zeros(1, 1), 2).tolist()
        [[0.0, 0.0, 0.0, 1.0, 1.0]]
    """
    if waves == 0:
        return x
    angles = x.unsqueeze(-1) * 2.0 ** torch.arange(waves, dtype=x.dtype, device=x.device)
    return torch.cat([x, angles.sin().flatten(-2), angles.cos().flatten(-2)], -1)
