"""Weights of a network as its compiled passes take them: packed once, and again when they change."""

from __future__ import annotations

from collections.abc import Callable
from operator import attrgetter
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray
from torch import nn

Weights = NDArray[np.float32]
Module = TypeVar("Module", bound=nn.Module)
_PAGE = 2**21
_VERSION = attrgetter("_version")  # how often torch has changed a tensor in place


class Packing:
    """What ``in_order(network)`` gives, kept.

    It is made at the first call, and again when a weight has changed in place, which torch counts, or when others took
    their place or they were moved, all together. A change through ``Tensor.data`` is not seen. A copy of the network packs
    its own.

    Args:
        network: whose weights are taken; it keeps this as an attribute called ``packing``.
        in_order: puts them one behind the other.

    Attributes:
        fixed: whether nobody changes the weights any more, see ``frozen``: what is packed is then not looked at again.

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
        self.fixed = False
        self._forget()

    def __getstate__(self) -> dict[str, Any]:
        """Without what was packed of these very weights."""
        return {"_network": self._network, "_in_order": self._in_order, "fixed": self.fixed}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._forget()

    def _forget(self) -> None:
        self._parameters: list[nn.Parameter] = []
        self._known: tuple[int, int] | None = None
        self._weights: Weights

    def __call__(self) -> Weights:
        if self._known is None or not (self.fixed or self._known == self._state()):
            self._parameters = list(self._network.parameters())
            if any(one.is_inference() for one in self._parameters):  # their changes are not counted
                self._known = None
                return self._in_order(self._network)
            known = self._state()
            self._weights = _in_large_pages(self._in_order(self._network))
            self._known = known  # last: other threads look at it
        return self._weights

    def _state(self) -> tuple[int, int]:
        """Where the weights are, and how often they have changed: each count only grows."""
        return self._parameters[-1].data_ptr(), sum(map(_VERSION, self._parameters))


def _in_large_pages(weights: Weights) -> Weights:
    """The same numbers where pages of 2 MB begin, of which numpy asks for from 4 MB on (Linux): fewer addresses to look up."""
    if weights.nbytes < _PAGE // 4:
        return weights
    room = np.empty(max(weights.nbytes + _PAGE, 2 * _PAGE), np.uint8)  # what is not written takes no memory
    begin = -room.ctypes.data % _PAGE
    found = room[begin : begin + weights.nbytes].view(np.float32)
    found[:] = weights
    return found


def frozen(module: Module) -> Module:
    """A module as one that was read from its bundle: evaluated, without gradients, and nobody changes its weights any more.

    A compiled pass of a few events takes as long as the question whether one of its weights has changed.
    """
    for one in module.modules():
        packing = getattr(one, "packing", None)
        if isinstance(packing, Packing):
            packing.fixed = True
    return module.eval().requires_grad_(False)
