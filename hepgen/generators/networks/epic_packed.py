"""The weights of an EPiC network as the compiled kernel takes them, and its events shared out over the threads."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from hepgen.generators.networks.epic_kernel import LINE, make_events
from hepgen.generators.tiles import for_each_tile

if TYPE_CHECKING:
    from hepgen.generators.networks.epic import EpicLayer, EpicNetwork


class PackedEpic:
    """A network without gradients, float32 on a CPU: events one behind the other, without padding.

    The weights are put in order at the first call, and again when any has changed in place, which torch counts, or when
    others took their place or they were moved, all together. A change through ``Tensor.data`` is not seen.

    Args:
        network: whose weights are taken.
        slope: of the leaky rectification.
    """

    def __init__(self, network: EpicNetwork, slope: float) -> None:
        self._network = network
        self._parameters: list[nn.Parameter] = []
        self._known: tuple[int, list[int]] | None = None
        self._weights: NDArray[np.float32]
        self._outputs, self._hidden = network.point_end.out_features, network.hidden
        layers = len(network.layers.layers)
        self._sizes = (layers, self._hidden, network.latent, network.every_layer)
        self._factors = np.float32(slope), np.float32(network.sum_scale)

    def __call__(self, points: Tensor, counts: Tensor | None, given: Tensor) -> Tensor:
        """Constituents of all events (constituents, inputs) to (constituents, outputs).

        Args:
            counts: (events,), constituents of each event; None where all have as many.
            given: (events, conditions).
        """
        (total, _), (events, _) = points.shape, given.shape
        if counts is None:
            offsets = np.arange(events + 1) * (total // max(events, 1))
        else:
            offsets = np.concatenate([[0], np.cumsum(counts.numpy())])
        made = np.empty((total, self._outputs), np.float32)
        x, condition, weights = points.contiguous().numpy(), given.contiguous().numpy(), self._packed()

        def make(first: int, last: int) -> None:
            ends, few = offsets[first : last + 1], condition[first:last]
            make_events(x, ends, few, weights, *self._sizes, *self._factors, made)

        if events == 1:
            make(0, 1)
            return torch.from_numpy(made)

        def work(part: slice) -> None:
            # an event belongs to the part of its first constituent
            begin, end = -(-part.start // self._hidden), -(-part.stop // self._hidden)
            make(*np.searchsorted(offsets[:-1], (begin, end)).tolist())

        for_each_tile(work, total * self._hidden)
        return torch.from_numpy(made)

    def _packed(self) -> NDArray[np.float32]:
        place = self._network.point_end.bias.data_ptr()
        if self._known is None or self._known != (place, [one._version for one in self._parameters]):
            self._parameters = list(self._network.parameters())
            if any(one.is_inference() for one in self._parameters):  # their changes are not counted
                return _in_order(self._network)
            versions = [one._version for one in self._parameters]
            self._weights = _in_order(self._network)
            self._known = place, versions  # last: other threads look at it
        return self._weights


def _in_order(network: EpicNetwork) -> NDArray[np.float32]:
    """Weights (inputs, outputs) and biases of all linear layers, one behind the other."""
    hidden = network.hidden
    parts = [
        _flat(one.weight, one.bias)
        for one in (network.event_start, network.event_latent, network.point_start, network.point_end)
    ]
    for layer in cast("list[EpicLayer]", list(network.layers.layers)):
        weight, bias = layer.point_in.weight, layer.point_in.bias
        parts += [_flat(one.weight, one.bias) for one in (layer.event_in, layer.event_out)]
        parts += [_flat(weight[:, hidden:], bias), _flat(weight[:, :hidden], torch.zeros_like(bias))]
        parts.append(_flat(layer.point_out.weight, layer.point_out.bias))
    return torch.cat(parts).detach().numpy()


def _flat(weight: Tensor, bias: Tensor) -> Tensor:
    size = weight.numel() + len(bias)
    return torch.cat([weight.t().flatten(), bias, bias.new_zeros(-size % LINE)])
