"""Equivariant point cloud layers (EPiC): every constituent talks to all others through a few numbers of the event.

The cost grows linearly with the number of constituents (arXiv:2301.08128; with a condition in every layer 2310.00049).
"""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils.parametrizations import weight_norm

from hepgen.generators.networks.epic_packed import PackedEpic, in_order
from hepgen.generators.networks.packing import Packing

SLOPE = 0.01
SUM_SCALE = 0.01


def pooled(x: Tensor, mask: Tensor | None = None, sum_scale: float = SUM_SCALE) -> Tensor:
    """Mean and scaled sum over the constituents of each event: (events, N, features) to (events, 2 features).

    Args:
        mask: (events, N), true for constituents; None where all are. An event without constituents gives zeros.
        sum_scale: factor of the sum, about one over a typical number of constituents.

    Example:
        >>> pooled(torch.tensor([[[1.0], [3.0], [9.0]]]), torch.tensor([[True, True, False]]), 0.5).tolist()
        [[2.0, 2.0]]
    """
    if mask is None:
        total = x.sum(1)
        mean = total / max(x.shape[1], 1)
    else:
        there = mask.to(x.dtype)
        total = torch.bmm(there.unsqueeze(1), x).squeeze(1)
        mean = total / there.sum(1, keepdim=True).clamp(min=1)
    return torch.cat([mean, total * sum_scale], 1)


class EpicLayer(nn.Module):
    """The event learns from its constituents, then each constituent from the event (arXiv:2301.08128, eq. 2 and 3).

    What is of the event enters the layers of the constituents through its own part of the weights, once per event,
    instead of being copied to every constituent.

    Args:
        hidden: features of a constituent.
        latent: features of the event.
        context: further numbers of the event that the layer is given, such as the time of a flow; may be 0.
        normalised: weight normalisation (arXiv:1602.07868).
        sum_scale: see ``pooled``.
    """

    def __init__(
        self, hidden: int, latent: int, context: int = 0, *, normalised: bool = False, sum_scale: float = SUM_SCALE
    ) -> None:
        super().__init__()
        self.hidden = hidden
        self.sum_scale = sum_scale
        self.event_in = linear(2 * hidden + latent + context, hidden, normalised=normalised)
        self.event_out = linear(hidden, latent, normalised=normalised)
        self.point_in = linear(hidden + latent + context, hidden, normalised=normalised)
        self.point_out = linear(hidden, hidden, normalised=normalised)

    def forward(
        self, x: Tensor, event: Tensor, context: Tensor | None = None, mask: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """Constituents (events, N, hidden) and event (events, latent) to the same."""
        given = () if context is None else (context,)
        found = torch.cat([pooled(x, mask, self.sum_scale), event, *given], 1)
        event = _activate(self.event_out(_activate(self.event_in(found))) + event)
        weight = self.point_in.weight
        told = functional.linear(torch.cat([event, *given], 1), weight[:, self.hidden :], self.point_in.bias)
        near = functional.linear(x, weight[:, : self.hidden])
        return _activate(self.point_out(_activate(near + told.unsqueeze(1))) + x), event


class EpicLayers(nn.Module):
    """A stack of EPiC layers; the start is added to what comes out of each.

    Args:
        layers: number of layers.
        hidden, latent, context, normalised, sum_scale: see ``EpicLayer``.
    """

    def __init__(
        self, layers: int, hidden: int, latent: int, context: int = 0,
        *, normalised: bool = False, sum_scale: float = SUM_SCALE,
    ) -> None:  # fmt: skip
        super().__init__()
        self.layers = nn.ModuleList(
            EpicLayer(hidden, latent, context, normalised=normalised, sum_scale=sum_scale) for _ in range(layers)
        )

    def forward(
        self, x: Tensor, event: Tensor, context: Tensor | None = None, mask: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """Constituents (events, N, hidden) and event (events, latent) to the same."""
        start, start_event = x, event
        for layer in self.layers:
            x, event = layer(x, event, context, mask)
            x, event = x + start, event + start_event
        return x, event


class EpicNetwork(nn.Module):
    """Clouds to clouds: equivariant under permutations of the constituents, blind to padding.

    With 3 inputs, 10 conditions (the noise of the event), 3 outputs and ``normalised`` it is the generator of EPiC-GAN
    with its 424,850 parameters.

    Args:
        inputs, outputs: features of a constituent.
        conditions: numbers of the event; may be 0.
        layers: number of EPiC layers.
        hidden: features of a constituent in the network.
        latent: features of the event in the network.
        every_layer: give the condition to every layer (arXiv:2310.00049) and not to the first one only.
        normalised, sum_scale: see ``EpicLayer``.

    Attributes:
        tiles: what ``in_chunks`` gives a CPU at once, in tiles that stay in the cache: the compiled network divides it.

    References:
        EPiC-GAN, Buhmann et al., arXiv:2301.08128. EPiC-FM, Buhmann et al., arXiv:2310.00049.

    Example:
        >>> network = EpicNetwork(3, 10, 3, normalised=True)
        >>> sum(parameter.numel() for parameter in network.parameters())
        424850
        >>> network(torch.zeros(2, 5, 3), torch.zeros(2, 10), torch.ones(2, 5, dtype=torch.bool)).shape
        torch.Size([2, 5, 3])
    """

    tiles: ClassVar[int] = 8

    def __init__(
        self, inputs: int, conditions: int, outputs: int, *, layers: int = 6, hidden: int = 128, latent: int = 10,
        every_layer: bool = False, normalised: bool = False, sum_scale: float = SUM_SCALE,
    ) -> None:  # fmt: skip
        super().__init__()
        self._constant = conditions == 0  # the event then starts from a learned constant
        conditions = max(conditions, 1)
        self.hidden, self.latent = hidden, latent
        self.every_layer = every_layer
        self.sum_scale = sum_scale
        self.point_start = linear(inputs, hidden, normalised=normalised)
        self.event_start = linear(conditions, hidden, normalised=normalised)
        self.event_latent = linear(hidden, latent, normalised=normalised)
        context = conditions if every_layer else 0
        self.layers = EpicLayers(layers, hidden, latent, context, normalised=normalised, sum_scale=sum_scale)
        self.point_end = linear(hidden, outputs, normalised=normalised)
        self.packing = Packing(self, in_order)
        self._compiled = PackedEpic(self, SLOPE)

    def forward(self, x: Tensor, condition: Tensor, mask: Tensor | None = None) -> Tensor:
        """(events, N, inputs) and (events, conditions) to (events, N, outputs); padding gives 0."""
        if self._constant:
            condition = x.new_ones(len(x), 1)
        if x.is_cpu and x.dtype == torch.float32 and torch.is_inference_mode_enabled():
            return self._packed(x, condition, mask)
        event = _activate(self.event_latent(_activate(self.event_start(condition))))
        context = condition if self.every_layer else None
        points, _ = self.layers(_activate(self.point_start(x)), event, context, mask)
        found: Tensor = self.point_end(points)
        return found if mask is None else found * mask.unsqueeze(2)

    def _packed(self, x: Tensor, condition: Tensor, mask: Tensor | None) -> Tensor:
        """The same without padding."""
        if mask is None and len(x) == 1:
            return self._compiled.alone(x, condition)
        rows = x.flatten(0, 1) if mask is None else x[mask]
        counts = None if mask is None else mask.sum(1)
        found = self._compiled(rows, counts, condition)
        if mask is None:
            return found.view(*x.shape[:2], -1)
        padded = x.new_zeros(*x.shape[:2], found.shape[1])
        padded[mask] = found
        return padded


def linear(inputs: int, outputs: int, *, normalised: bool = False) -> nn.Linear:
    """A linear layer, with weight normalisation if wanted."""
    layer = nn.Linear(inputs, outputs)
    return weight_norm(layer) if normalised else layer


def _activate(x: Tensor) -> Tensor:
    """Leaky rectification, in place where nobody wants a gradient: ``x`` must be new."""
    if torch.is_inference_mode_enabled():
        return functional.leaky_relu_(x, SLOPE)
    return functional.leaky_relu(x, SLOPE)
