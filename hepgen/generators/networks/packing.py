"""Weights of a network as its compiled passes take them: packed once, and again when they change."""

from __future__ import annotations

from collections.abc import Callable
from operator import attrgetter

import numpy as np
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from hepgen.generators.networks.small_products import padded, panels

Weights = NDArray[np.float32]
_VERSION = attrgetter("_version")  # how often torch has changed a tensor in place


class Packing:
    """What ``in_order(network)`` gives, kept.

    It is made at the first call, and again when a weight has changed in place, which torch counts, or when others took
    their place or they were moved, all together. A change through ``Tensor.data`` is not seen.

    Args:
        network: whose weights are taken.
        in_order: puts them one behind the other.

    Example:
        >>> layer = nn.Linear(1, 1, bias=False)
        >>> packing = Packing(layer, lambda network: network.weight.detach().numpy().ravel().copy())
        >>> _ = nn.init.constant_(layer.weight, 2.0)
        >>> packing().tolist()
        [2.0]
        >>> _ = nn.init.constant_(layer.weight, 3.0)
        >>> packing().tolist()
        [3.0]
    """

    def __init__(self, network: nn.Module, in_order: Callable[[nn.Module], Weights]) -> None:
        self._network = network
        self._in_order = in_order
        self._parameters: list[nn.Parameter] = []
        self._known: tuple[int, int] | None = None
        self._weights: Weights

    def __call__(self) -> Weights:
        if self._known is None or self._known != self._state():
            self._parameters = list(self._network.parameters())
            if any(one.is_inference() for one in self._parameters):  # their changes are not counted
                self._known = None
                return self._in_order(self._network)
            known = self._state()
            self._weights = self._in_order(self._network)
            self._known = known  # last: other threads look at it
        return self._weights

    def _state(self) -> tuple[int, int]:
        """Where the weights are, and how often they have changed: each count only grows."""
        return self._parameters[-1].data_ptr(), sum(map(_VERSION, self._parameters))


def linear_weights(layer: nn.Linear, inputs: int = 0) -> Weights:
    """Weights in panels, then the bias; see ``in_panels``."""
    return in_panels(layer.weight, layer.bias, inputs)


def in_panels(weight: Tensor, bias: Tensor, inputs: int = 0) -> Weights:
    """Weights (outputs, inputs) in panels and the bias (outputs,), filled up with zeros to whole panels.

    Args:
        inputs: rows of the panels at least, zeros where the layer has no input.
    """
    outputs, given = weight.shape
    rows = functional.pad(weight.detach().t(), (0, 0, 0, max(inputs - given, 0))).numpy()
    return np.concatenate([panels(rows).ravel(), functional.pad(bias.detach(), (0, padded(outputs) - outputs)).numpy()])
