"""Normal laws whose optimal transport is known, for tests of methods."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from hepgen.evaluation.transport import energy_distance


def root_of(matrix: Tensor) -> Tensor:
    values, vectors = torch.linalg.eigh(matrix)
    return vectors @ torch.diag(values.clamp(min=0).sqrt()) @ vectors.T


def normal_sample(mean: Tensor, covariance: Tensor, size: int, seed: int) -> Tensor:
    random = torch.Generator().manual_seed(seed)
    return mean + torch.randn(size, len(mean), generator=random) @ root_of(covariance)


def optimal_map(x: Tensor, source: tuple[Tensor, Tensor], target: tuple[Tensor, Tensor]) -> Tensor:
    """The map of least square movement between two normal laws of (mean, covariance): that of Bures and Wasserstein."""
    root = root_of(source[1])
    inverse = torch.linalg.inv(root)
    matrix = inverse @ root_of(root @ target[1] @ root) @ inverse
    return target[0] + (x - source[0]) @ matrix.T


def some_law(features: int, seed: int) -> tuple[Tensor, Tensor]:
    random = torch.Generator().manual_seed(seed)
    axes = torch.linalg.qr(torch.randn(features, features, generator=random)).Q
    widths = 0.3 + torch.rand(features, generator=random)
    return 0.7 * torch.randn(features, generator=random), axes @ torch.diag(widths) @ axes.T


def distance(x: Tensor, y: Tensor) -> float:
    """Energy distance of 2,000 events of either sample; 0 within about 0.003 where the laws are one."""
    return energy_distance(x[:2000].numpy().astype(np.float64), y[:2000].numpy().astype(np.float64), None)[0]


def moved_by(x: Tensor, y: Tensor) -> float:
    return (y - x).norm(dim=1).mean().item()
