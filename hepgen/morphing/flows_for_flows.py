"""Flows for flows: a flow between two samples, trained by maximum likelihood under flows of the samples themselves."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, ClassVar, cast

import torch
from torch import Tensor, nn

from hepgen.generators.base import Objective, StageBatch
from hepgen.generators.coupling import CouplingFlow
from hepgen.morphing.base import Transport, two_samples, weighted_mean
from hepgen.morphing.coupling_map import CouplingMap

if TYPE_CHECKING:
    from hepgen.config.morph_options import FlowsForFlowsOptions


class FlowsForFlows(Transport):
    """A map whose target has a density that is learned first, so that it can be trained by maximum likelihood.

    Phase 0 trains the densities of the samples ("bases"). In phase 1 they are frozen, and the map T is trained in both
    directions (``two_way``):

        -E_source[log p_target(T(x)) + log|det J_T(x)|] - E_target[log p_source(T^-1(y)) + log|det J_T^-1(y)|],

    or in the second alone (``unidirectional``, which needs the density of the source only). ``base_transfer`` has no T:
    events go through the normal law that both bases share, however far that leads.

    References:
        Klein, Raine, Golling, arXiv:2211.02487; with movement penalties, Golling et al., arXiv:2309.06472; from side-band
        to side-band, arXiv:2305.04646.

    Example:
        >>> from hepgen.config.morph_options import FlowsForFlowsOptions
        >>> method = FlowsForFlows(2, 0, FlowsForFlowsOptions())
        >>> x, nothing = torch.tensor([[0.5, -1.0]]), torch.empty(1, 0)
        >>> method(x, nothing, nothing, {}).tolist()
        [[0.5, -1.0]]
    """

    method: ClassVar[str] = "flows_for_flows"

    def __init__(self, features: int, conditions: int, options: FlowsForFlowsOptions) -> None:
        super().__init__(features, conditions)
        self.options = options
        sides = ("source",) if options.variant == "unidirectional" else ("source", "target")
        self.bases = nn.ModuleDict({side: CouplingFlow(features, conditions, options.base) for side in sides})
        self.map = None if options.variant == "base_transfer" else CouplingMap(features, conditions, options)

    def forward(self, x: Tensor, condition: Tensor, wanted: Tensor, noise: Mapping[str, Tensor]) -> Tensor:
        del noise
        if self.map is None:
            return self._transferred(x, ("source", condition), ("target", wanted))
        return self.map.apply_to(x, condition, wanted)

    def inverse(self, y: Tensor, condition: Tensor, wanted: Tensor, noise: Mapping[str, Tensor]) -> Tensor:
        del noise
        if self.map is None:
            return self._transferred(y, ("target", condition), ("source", wanted))
        return self.map.apply_to(y, wanted, condition, inverse=True)

    def _transferred(self, x: Tensor, begin: tuple[str, Tensor], end: tuple[str, Tensor]) -> Tensor:
        z = self._base(begin[0]).pairs.mapped(x, begin[1])
        return self._base(end[0]).pairs.mapped(z, end[1], inverse=True)

    def _base(self, side: str) -> CouplingFlow:
        return cast("CouplingFlow", self.bases[side])

    def objectives(self) -> list[Objective]:
        bases = Objective("bases", list(self.bases.parameters()), self._bases_loss)
        if self.map is None:
            return [bases]
        transport = self.map

        def likelihood(batch: StageBatch, noise: Mapping[str, Tensor]) -> Tensor:
            del noise
            return self._map_loss(transport, batch)

        return [bases, Objective("map", list(transport.parameters()), likelihood, phase=1)]

    def _bases_loss(self, batch: StageBatch, noise: Mapping[str, Tensor]) -> Tensor:
        del noise
        samples = dict(zip(("source", "target"), two_samples(batch), strict=True))
        losses = [
            weighted_mean(-self._base(side).log_prob(samples[side].x, samples[side].condition), samples[side].weight)
            for side in self.bases
        ]
        return torch.stack(losses).sum()

    def _map_loss(self, transport: CouplingMap, batch: StageBatch) -> Tensor:
        source, target = two_samples(batch)
        with _evaluated(self.bases):
            loss = self._misfit(transport, target, source.condition, inverse=True)
            if self.options.variant == "two_way":
                loss = loss + self._misfit(transport, source, target.condition, inverse=False)
        return loss

    def _misfit(self, transport: CouplingMap, sample: StageBatch, other: Tensor, *, inverse: bool) -> Tensor:
        """-log of the density of a sample, with the penalty, where it is that of the other side moved here."""
        far = transport.drawn_ends(sample.condition, other)
        begin, end = (far, sample.condition) if inverse else (sample.condition, far)
        moved, log_det = transport(sample.x, begin, end, inverse=inverse)
        density = self._base("source" if inverse else "target").log_prob(moved, far)
        return weighted_mean(transport.penalty(sample.x, moved) - density - log_det, sample.weight)

    def anneal(self, factor: float) -> None:
        super().anneal(factor)
        if self.map is not None:
            self.map.strength = factor


@contextmanager
def _evaluated(module: nn.Module) -> Iterator[None]:
    """In evaluation mode for a while: without dropout."""
    before = module.training
    module.eval()
    try:
        yield
    finally:
        module.train(before)
