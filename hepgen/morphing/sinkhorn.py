"""A coupling flow whose output a transport distance compares with the target: CURTAINs, the predecessor of flows for flows."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, ClassVar

import torch
from torch import Tensor

from hepgen.generators.base import Objective, StageBatch
from hepgen.morphing.base import Transport, two_samples, weighted_mean
from hepgen.morphing.coupling_map import CouplingMap
from hepgen.morphing.sinkhorn_divergence import sinkhorn_divergence

if TYPE_CHECKING:
    from hepgen.config.morph_options import SinkhornOptions


class SinkhornMap(Transport):
    """A map T that takes batches of the source to where a debiased Sinkhorn divergence sees them as batches of the target.

    Events are compared together with their conditions, times ``condition_scale``: conditional laws are to agree, not only
    the law of all events. It needs no density, and so no phases; large batches help, since a distance between batches is a
    noisy one between laws.

    Warning:
        Weights may not be negative. With ``condition: same`` both samples should have about one law of the conditions,
        or else the map pays for a difference that it cannot mend; ``delta`` and ``concatenated`` draw them alike.

    References:
        CURTAINs, arXiv:2203.09470.

    Example:
        >>> from hepgen.config.morph_options import SinkhornOptions
        >>> method = SinkhornMap(2, 0, SinkhornOptions())
        >>> x, nothing = torch.tensor([[0.5, -1.0]]), torch.empty(1, 0)
        >>> method(x, nothing, nothing, {}).tolist()
        [[0.5, -1.0]]
    """

    method: ClassVar[str] = "sinkhorn"

    def __init__(self, features: int, conditions: int, options: SinkhornOptions) -> None:
        super().__init__(features, conditions)
        self.options = options
        self.map = CouplingMap(features, conditions, options)

    def forward(self, x: Tensor, condition: Tensor, wanted: Tensor, noise: Mapping[str, Tensor]) -> Tensor:
        del noise
        return self.map.apply_to(x, condition, wanted)

    def inverse(self, y: Tensor, condition: Tensor, wanted: Tensor, noise: Mapping[str, Tensor]) -> Tensor:
        del noise
        return self.map.apply_to(y, wanted, condition, inverse=True)

    def anneal(self, factor: float) -> None:
        super().anneal(factor)
        self.map.strength = factor

    @property
    def moves_masses(self) -> bool:
        return True

    def objectives(self) -> list[Objective]:
        def divergence(batch: StageBatch, noise: Mapping[str, Tensor]) -> Tensor:
            del noise
            source, target = two_samples(batch)
            loss = self._divergence(source, target, inverse=False)
            return loss + self._divergence(target, source, inverse=True) if self.options.two_way else loss

        return [Objective("divergence", list(self.map.parameters()), divergence)]

    def _divergence(self, sample: StageBatch, other: StageBatch, *, inverse: bool) -> Tensor:
        """Between a sample moved to the other side and the sample that is there, with the penalty.

        Where the map sees two conditions, event i of either sample has the pair of both events i: the conditions of both
        clouds are the same numbers, and independent of the features that come in.
        """
        far = self.map.drawn_ends(sample.condition, other.condition)
        begin, end = (far, sample.condition) if inverse else (sample.condition, far)
        moved, _ = self.map(sample.x, begin, end, inverse=inverse)
        keeps = self.options.condition == "same"
        here = sample.condition if keeps else torch.cat([sample.condition, other.condition], dim=1)
        there = other.condition if keeps else here
        weight, other_weight = sample.weight, other.weight
        if not keeps:
            weight = other_weight = _product(sample.weight, other.weight)
        scale = self.options.condition_scale
        with torch.autocast(moved.device.type, enabled=False):  # differences of large costs want all digits
            distance = sinkhorn_divergence(
                torch.cat([moved, scale * here], dim=1),
                torch.cat([other.x, scale * there], dim=1),
                weight,
                other_weight,
                epsilon=self.options.blur**2,
            )
        return distance + weighted_mean(self.map.penalty(sample.x, moved), sample.weight)


def _product(one: Tensor | None, two: Tensor | None) -> Tensor | None:
    """Product of weights; None stands for 1. One that is negative stays so, whatever the other is."""
    if one is None or two is None:
        return two if one is None else one
    product = one.abs() * two.abs()
    return torch.where((one < 0) | (two < 0), -product, product)
