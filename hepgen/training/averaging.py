"""The exponential moving average of the weights that sampling uses."""

from __future__ import annotations

import copy

import torch
from torch import Tensor

from hepgen.generators.base import Trainable


class AveragedGenerator:
    """A second copy of a generator whose sampling tensors follow those of the first (Polyak averaging).

    The decay warms up as min(decay, (1 + t) / (10 + t)), so that the first weights are forgotten; with decay 0 the copy
    equals the last weights. Integer tensors are copied.

    Attributes:
        generator: the copy, in evaluation mode.
    """

    def __init__(self, source: Trainable, decay: float) -> None:
        self._decay = decay
        self.generator = copy.deepcopy(source).eval().requires_grad_(False)
        names = source.sampling_parameters()
        followed, following = source.state_dict(), self.generator.state_dict()
        floating = [name for name in names if followed[name].is_floating_point()]
        # The tensors of state_dict share memory with the modules', so these lists stay valid.
        self._source = [followed[name].detach() for name in floating]
        self._target = [following[name] for name in floating]
        self._copied = [(followed[name], following[name]) for name in names if name not in set(floating)]

    def update(self, step: int) -> None:
        """Follow one step; ``step`` counts from 0."""
        decay = min(self._decay, (1 + step) / (10 + step)) if self._decay > 0 else 0.0
        with torch.no_grad():
            torch._foreach_lerp_(self._target, self._source, 1.0 - decay)
            for source, target in self._copied:
                target.copy_(source)

    def tensors(self) -> dict[str, Tensor]:
        """The averaged sampling tensors by name (the tensors themselves, not copies)."""
        state = self.generator.state_dict()
        return {name: state[name] for name in self.generator.sampling_parameters()}
