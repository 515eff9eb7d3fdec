"""Normal laws whose optimal map is known (Bures and Wasserstein)."""

from __future__ import annotations

import numpy as np
import torch
from scipy.linalg import sqrtm

from hepgen.generators.base import StageBatch

NOTHING: dict[str, torch.Tensor] = {}
FIRST = np.array([[1.0, 0.6], [0.6, 0.8]])
SECOND = np.array([[0.7, -0.3], [-0.3, 1.3]])
SHIFT = np.array([0.5, -0.3])


def normal(size: int, law: np.ndarray = FIRST, shift: np.ndarray | float = 0.0, seed: int = 0) -> StageBatch:
    """Events of a normal law without conditions."""
    root = np.linalg.cholesky(law)
    x = np.random.default_rng(seed).normal(size=(size, len(law))) @ root.T + shift
    return events(x)


def events(x: np.ndarray, condition: np.ndarray | None = None, weight: np.ndarray | None = None) -> StageBatch:
    given = np.empty((len(x), 0)) if condition is None else condition
    return StageBatch(
        torch.from_numpy(x).float(),
        torch.from_numpy(given).float(),
        None if weight is None else torch.from_numpy(weight).float(),
    )


def optimal(x: torch.Tensor) -> torch.Tensor:
    """The optimal map of N(0, FIRST) to N(SHIFT, SECOND)."""
    root = np.real(sqrtm(FIRST))
    back = np.linalg.inv(root)
    linear = back @ np.real(sqrtm(root @ SECOND @ root)) @ back
    return torch.from_numpy(x.numpy() @ linear.T + SHIFT).float()


def movement(before: torch.Tensor, after: torch.Tensor) -> float:
    """Mean distance between an event before and after."""
    return float((after - before).norm(dim=1).mean())


def clump(side: StageBatch, size: int, place: float, weight: float, against: float = 0.0) -> StageBatch:
    """``size`` more events in one place, of this weight; with ``against`` as many again, of that weight."""
    more = torch.full((size, side.x.shape[1]), place)
    x = torch.cat([side.x, more, more]) if against else torch.cat([side.x, more])
    parts = [torch.ones(len(side.x)), torch.full((size,), weight)] + ([torch.full((size,), against)] if against else [])
    total = torch.cat(parts)
    order = torch.randperm(len(x), generator=torch.Generator().manual_seed(0))
    return StageBatch(x[order], x[:, :0], (total / total.mean())[order])
