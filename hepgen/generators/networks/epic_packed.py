"""The weights of an EPiC network as the compiled kernel takes them, and its events shared out over the threads."""

from __future__ import annotations

from operator import attrgetter
from typing import TYPE_CHECKING, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from hepgen.generators.networks.epic_kernel import make_events
from hepgen.generators.networks.small_products import padded, panels
from hepgen.generators.tiles import for_each_tile

if TYPE_CHECKING:
    from hepgen.generators.networks.epic import EpicLayer, EpicNetwork


_VERSION = attrgetter("_version")  # how often torch has changed a tensor in place


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
        self._known: tuple[int, int] | None = None
        self._weights: NDArray[np.float32]
        self._outputs, self._hidden = network.point_end.out_features, network.hidden
        layers = len(network.layers.layers)
        sizes = layers, self._hidden, network.latent, network.every_layer
        self._arguments = *sizes, np.float32(slope), np.float32(network.sum_scale)

    def __call__(self, points: Tensor, counts: Tensor | None, given: Tensor) -> Tensor:
        """Constituents of all events (constituents, inputs) to (constituents, outputs).

        Args:
            counts: (events,), constituents of each event; None where all have as many.
            given: (events, conditions).
        """
        total, events = len(points), len(given)
        made = np.empty((total, self._outputs), np.float32)
        x, condition, weights = points.contiguous().numpy(), given.contiguous().numpy(), self._packed()
        if events == 1:  # a jet by itself takes little more than the calls around it
            make_events(x, np.array((0, total)), condition, weights, *self._arguments, made)
            return torch.from_numpy(made)
        if counts is None:
            offsets = np.arange(events + 1) * (total // max(events, 1))
        else:
            offsets = np.concatenate([[0], np.cumsum(counts.numpy())])

        def make(first: int, last: int) -> None:
            ends, few = offsets[first : last + 1], condition[first:last]
            make_events(x, ends, few, weights, *self._arguments, made)

        def work(part: slice) -> None:
            # an event belongs to the part of its first constituent
            begin, end = -(-part.start // self._hidden), -(-part.stop // self._hidden)
            make(*np.searchsorted(offsets[:-1], (begin, end)).tolist())

        for_each_tile(work, total * self._hidden)
        return torch.from_numpy(made)

    def _packed(self) -> NDArray[np.float32]:
        place = self._network.point_end.bias.data_ptr()
        if self._known != (place, sum(map(_VERSION, self._parameters))):  # each only grows
            self._parameters = list(self._network.parameters())
            if any(one.is_inference() for one in self._parameters):  # their changes are not counted
                self._known = None
                return _in_order(self._network)
            versions = sum(map(_VERSION, self._parameters))
            self._weights = _in_order(self._network)
            self._known = place, versions  # last: other threads look at it
        return self._weights


def _in_order(network: EpicNetwork) -> NDArray[np.float32]:
    """Weights in panels and biases of all linear layers, one behind the other."""
    hidden = network.hidden
    wide = padded(hidden)
    parts = [
        _packed(network.event_start),
        _packed(network.event_latent, inputs=wide),
        _packed(network.point_start),
        _packed(network.point_end, inputs=wide),
    ]
    for layer in cast("list[EpicLayer]", list(network.layers.layers)):
        weight, bias = layer.point_in.weight, layer.point_in.bias
        parts += [_packed(layer.event_in), _packed(layer.event_out, inputs=wide)]
        parts += [_flat(weight[:, hidden:], bias), _flat(weight[:, :hidden], torch.zeros_like(bias), wide)]
        parts.append(_packed(layer.point_out, inputs=wide))
    return np.concatenate(parts)


def _packed(layer: nn.Linear, inputs: int = 0) -> NDArray[np.float32]:
    return _flat(layer.weight, layer.bias, inputs)


def _flat(weight: Tensor, bias: Tensor, inputs: int = 0) -> NDArray[np.float32]:
    """Weights (outputs, inputs) of so many inputs at least, and biases, with zeros to whole panels."""
    outputs, given = weight.shape
    more = max(inputs - given, 0)
    rows = functional.pad(weight.detach().t(), (0, 0, 0, more)).numpy()
    return np.concatenate([panels(rows).ravel(), functional.pad(bias.detach(), (0, padded(outputs) - outputs)).numpy()])
