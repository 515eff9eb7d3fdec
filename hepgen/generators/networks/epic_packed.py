"""The weights of an EPiC network as the compiled kernel takes them, and its events shared out over the threads."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import numpy as np
import torch
from torch import Tensor, nn

from hepgen.generators.networks.epic_kernel import make_event, make_events
from hepgen.generators.networks.packing import Weights
from hepgen.generators.networks.panels import in_panels, linear_weights
from hepgen.generators.networks.small_products import padded
from hepgen.generators.tiles import for_each_rows

if TYPE_CHECKING:
    from hepgen.generators.networks.epic import EpicLayer, EpicNetwork


class PackedEpic:
    """A network without gradients, float32 on a CPU: events one behind the other, without padding.

    Args:
        network: whose sizes and packed weights are taken.
        slope: of the leaky rectification.
    """

    def __init__(self, network: EpicNetwork, slope: float) -> None:
        self._weights = network.packing
        self._outputs, self._hidden = network.point_end.out_features, network.hidden
        layers = len(network.layers.layers)
        sizes = layers, self._hidden, network.latent, network.every_layer
        self._arguments = *sizes, np.float32(slope), np.float32(network.sum_scale)

    def alone(self, points: Tensor, given: Tensor) -> Tensor:
        """An event by itself, which takes little more than the calls around it: (1, N, inputs) to (1, N, outputs).

        Args:
            given: (1, conditions).
        """
        x, condition = points.contiguous().numpy(), given.contiguous().numpy()
        return torch.from_numpy(make_event(x, condition, self._weights(), *self._arguments, self._outputs))

    def __call__(self, points: Tensor, counts: Tensor | None, given: Tensor) -> Tensor:
        """Constituents of all events (constituents, inputs) to (constituents, outputs).

        Args:
            counts: (events,), constituents of each event; None where all have as many.
            given: (events, conditions).
        """
        total, events = len(points), len(given)
        made = np.empty((total, self._outputs), np.float32)
        x, condition, weights = points.contiguous().numpy(), given.contiguous().numpy(), self._weights()
        if counts is None:
            offsets = np.arange(events + 1) * (total // max(events, 1))
        else:
            offsets = np.concatenate([[0], np.cumsum(counts.numpy())])

        def work(begin: int, end: int) -> None:
            # an event belongs to the part of its first constituent
            first, last = np.searchsorted(offsets[:-1], (begin, end)).tolist()
            ends, few = offsets[first : last + 1], condition[first:last]
            make_events(x, ends, few, weights, *self._arguments, made)

        for_each_rows(work, total, self._hidden)
        return torch.from_numpy(made)


def in_order(module: nn.Module) -> Weights:
    """Weights in panels and biases of all linear layers, one behind the other."""
    network = cast("EpicNetwork", module)
    hidden = network.hidden
    wide = padded(hidden)
    parts = [
        linear_weights(network.event_start),
        linear_weights(network.event_latent, inputs=wide),
        linear_weights(network.point_start),
        linear_weights(network.point_end, inputs=wide),
    ]
    for layer in cast("list[EpicLayer]", list(network.layers.layers)):
        weight, bias = layer.point_in.weight, layer.point_in.bias
        parts += [linear_weights(layer.event_in), linear_weights(layer.event_out, inputs=wide)]
        parts += [in_panels(weight[:, hidden:], bias), in_panels(weight[:, :hidden], torch.zeros_like(bias), wide)]
        parts.append(linear_weights(layer.point_out, inputs=wide))
    return np.concatenate(parts)
