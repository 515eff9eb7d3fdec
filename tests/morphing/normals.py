"""Samples of normal laws, whose ratios of densities are known."""

from __future__ import annotations

import torch
from torch import Tensor

from hepgen.generators.base import StageBatch


def shifted(size: int, shift: float, seed: int, features: int = 2) -> StageBatch:
    """Unit normals at ``shift`` in every feature, without conditions."""
    random = torch.Generator().manual_seed(seed)
    x = torch.randn(size, features, generator=random) + shift
    return StageBatch(x, x[:, :0])


def with_signs(sample: StageBatch, at: float, seed: int) -> StageBatch:
    """The same law as a sum of weights of both signs: as many events again at ``at``, and their like with -1."""
    count = len(sample.x)
    random = torch.Generator().manual_seed(seed)
    more = torch.randn(2 * count // 4, sample.x.shape[1], generator=random) + at
    sign = torch.cat([torch.ones(len(more) // 2), -torch.ones(len(more) - len(more) // 2)])
    x = torch.cat([sample.x, more])
    weight = torch.cat([torch.ones(count), sign])
    return StageBatch(x, torch.cat([sample.condition, sample.condition[: len(more)]]), weight / weight.mean())


def log_ratio_of(x: Tensor, shift: float) -> Tensor:
    """Of a normal at ``shift`` in every feature to one at -``shift``."""
    return 2 * shift * x.sum(1)
