"""How empty voxels are told to networks: as noise below the threshold that joins on to the hits, or apart from these."""

from __future__ import annotations

import math

import torch
from torch import Tensor

# An empty voxel at a twentieth of the threshold: so far below the least hit that a small error does not make it one.
STILL = 0.95  # of the noise below the threshold
_FAR = 3.0
_WIDTH = 0.35  # of the logarithm of an empty voxel that is told apart
_LEAST = 1e-6  # noise that a normal number is made of


def noise_below(values: Tensor, noise: Tensor, threshold: float) -> Tensor:
    """Energies in which what is empty lies between 0 and the threshold, by uniform noise of the same shape.

    Example:
        >>> noise_below(torch.tensor([5.0, 0.0]), torch.tensor([0.3, 0.75]), 2.0).tolist()
        [5.0, 0.5]
    """
    # (1 - noise) lies in (0, 1], its logarithm is finite.
    return torch.where(values > 0, values, (1 - noise) * threshold)


def noise_apart(values: Tensor, noise: Tensor, threshold: float) -> Tensor:
    """The same where the logarithm of what is empty is normal about ``_FAR`` below that of the threshold."""
    return torch.where(values > 0, values, (_WIDTH * _normal(noise) - _FAR).exp() * threshold)


def log_det_apart(values: Tensor, noise: Tensor, threshold: float) -> Tensor:
    """Logarithms of energies of hits, and in their place of empty voxels what noise has a law of its own for.

    That law stands in the place of the even one below the threshold, so that no noise is left in a density.
    """
    law = -0.5 * _normal(noise).square() - math.log(_WIDTH * math.sqrt(2 * math.pi))
    return torch.where(values > 0, noise_apart(values, noise, threshold).log(), law + math.log(threshold))


def _normal(noise: Tensor) -> Tensor:
    found: Tensor = torch.special.ndtri(noise.clamp(_LEAST, 1 - _LEAST))
    return found
