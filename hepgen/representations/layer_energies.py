"""Layer energies as u-variables (CaloFlow, arXiv:2106.05285, sec. III) and voxels that keep to them."""

from __future__ import annotations

import torch
from torch import Tensor

# A voxel at the threshold must not fall below it when it is rounded to float32.
_MARGIN = 1e-6
_TINY = 1e-37


def to_fractions(energies: Tensor, incident: Tensor) -> Tensor:
    """Positive layer energies to unbounded features: log u_0 and logit u_i.

    u_0 = E_tot / E_inc and u_i = E_{i-1} / sum_{k >= i-1} E_k, so that logit u_i = log(E_{i-1} / sum_{k >= i} E_k).
    log|det| of the map is minus the sum of log E_l.

    Args:
        energies: (events, layers), all above 0, in the unit of ``incident``.
        incident: (events,).

    Returns:
        (events, layers).
    """
    rest = energies.flip(1).cumsum(1).flip(1)
    first = rest[:, :1] / incident.unsqueeze(1)
    return torch.cat([first.log(), energies[:, :-1].log() - rest[:, 1:].log()], 1)


def from_fractions(features: Tensor, incident: Tensor) -> Tensor:
    """The inverse of ``to_fractions``.

    Example:
        >>> e = torch.tensor([[1.0, 2.0, 3.0]])
        >>> from_fractions(to_fractions(e, torch.tensor([5.0])), torch.tensor([5.0])).round(decimals=5).tolist()
        [[1.0, 2.0, 3.0]]
    """
    rest = features[:, 0].exp() * incident
    parts = []
    for layer in range(1, features.shape[1]):
        # Both shares from their own sigmoid: 1 - u would lose what little a last layer has.
        parts.append(rest * features[:, layer].sigmoid())
        rest = rest * (-features[:, layer]).sigmoid()
    return torch.stack([*parts, rest], 1)


def share_out(weights: Tensor, energies: Tensor, layer_slices: tuple[slice, ...], threshold: float) -> Tensor:
    """Share the energy of each layer among its voxels, none of which ends between 0 and the threshold.

    Voxels below the threshold are dropped, the others scaled to the layer's energy; where that pushes some below the
    threshold they are dropped too and the rest is scaled up, after which none can be below. A layer in which none
    survives gives all to its hottest voxel, and a layer with less than the threshold is empty.

    Args:
        weights: (events, voxels), finite and not negative, roughly voxel energies already.
        energies: (events, layers), not negative.
        layer_slices: voxels of each layer.
        threshold: energy of the smallest voxel that is read out.

    Returns:
        (events, voxels); each layer sums to its energy to 1e-6 relative, or to 0.
    """
    cut = threshold * (1 + _MARGIN)
    parts = []
    for layer, part in enumerate(layer_slices):
        total = energies[:, layer : layer + 1].double()
        total = total * (total >= cut)
        voxels = weights[:, part]
        for _ in range(2):
            highest, hottest = voxels.max(1, keepdim=True)
            # One voxel always survives: where all are below the threshold, the hottest is lifted to it.
            kept = (voxels >= cut).to(voxels.dtype).scatter_(1, hottest, 1.0)
            voxels = voxels * kept * (cut / highest.clamp(min=_TINY)).clamp(min=1)
            scale = total / voxels.sum(1, keepdim=True, dtype=torch.float64).clamp(min=_TINY)
            voxels = voxels * scale.to(voxels.dtype)
        parts.append(voxels)
    return torch.cat(parts, 1)
