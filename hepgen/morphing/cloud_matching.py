"""Flow matching between clouds of two samples, each given what both its events are."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import TYPE_CHECKING, ClassVar, NamedTuple

import numpy as np
import torch
from scipy.spatial.distance import cdist
from torch import Tensor, nn
from torch.nn import functional

from hepgen.errors import UsageError
from hepgen.generators.base import NoiseSpec, Objective, StageBatch
from hepgen.generators.chunks import in_chunks
from hepgen.generators.matching import VelocityNetwork, event_loss, trained_times
from hepgen.generators.solvers import integrate
from hepgen.morphing.base import CloudTransport, two_samples, weighted_mean
from hepgen.morphing.pairing import (
    TAKE_INDEPENDENT,
    Rows,
    assigned,
    drawn_by_weight,
    refuse_negative_weights,
)

if TYPE_CHECKING:
    from hepgen.config.morph_options import MatchingMorphOptions

_PAIRING = 256


class CloudPairs(NamedTuple):
    """Clouds at both ends of their paths, (events, N, features), with one mask, what both events are, weights of pairs."""

    x: Tensor
    y: Tensor
    mask: Tensor
    given: Tensor
    weight: Tensor | None


class CloudMatching(CloudTransport):
    """A network learns the velocity along straight paths from clouds of the source to clouds of the target.

    A pair is an event of either sample, and the network sees what both are: c of the source's, c' of the target's. Pairs
    are chosen by c and c' alone, so that at each (c, c') the paths lead from all of p(x | c) to all of p(y | c'). So the map
    is right for an event that comes with c and was moved to c' before, whichever map did so, as long as such pairs were
    seen: they are those of the least sum of squares of c' - c, as the map of the events has them.

    A cloud begins with the first constituents of the source, as many as the target has, and normal noise in the place of
    those that it has too few of. Which constituent goes where is an assignment of least squares, which makes paths short
    and nearly straight (arXiv:2306.15030), and changes no law: the network knows no order of constituents.

    Negative weights take independent pairs, as in ``MatchingMorph``.

    The way back is another network, if any, trained on the same events with the samples exchanged: the flow itself cannot
    lead back to constituents that were cut away, nor tell those that were noise.

    References:
        Lipman et al., arXiv:2210.02747; Tong et al., arXiv:2302.00482; EPiC-FM: Buhmann et al., arXiv:2310.00049.

    Example:
        >>> from hepgen.config.morph_options import MatchingMorphOptions
        >>> morph = CloudMatching(3, 1, MatchingMorphOptions(layers=1, hidden=8), 4)
        >>> mask, there = torch.ones(2, 4, dtype=torch.bool), torch.ones(2, 3, dtype=torch.bool)
        >>> c = torch.zeros(2, 1)
        >>> morph(torch.zeros(2, 4, 3), mask, c, c, there, {"more": torch.zeros(2, 3, 3)}).shape
        torch.Size([2, 3, 3])
    """

    method: ClassVar[str] = "matching"

    def __init__(self, features: int, conditions: int, options: MatchingMorphOptions, points: int) -> None:
        super().__init__(features, conditions, points)
        self.options = options
        self.velocity = VelocityNetwork(features, 2 * conditions, points, options)
        self.back = VelocityNetwork(features, 2 * conditions, points, options) if options.inverse else None

    @property
    def invertible(self) -> bool:
        return self.back is not None

    def noise_spec(self) -> tuple[NoiseSpec, ...]:
        return (NoiseSpec("more", (self.features,), points=True),)

    def objectives(self) -> list[Objective]:
        noise = (NoiseSpec("t", (2,), "uniform"), NoiseSpec("places", (2,), "uniform"), *self.noise_spec())
        return [Objective("matching", list(self.parameters()), self._loss, noise=noise)]

    def _loss(self, batch: StageBatch, noise: Mapping[str, Tensor]) -> Tensor:
        loss = self._misfit(self.velocity, batch, noise)
        if self.back is None:
            return loss
        source, target = two_samples(batch)
        exchanged = dataclasses.replace(source, source=dataclasses.replace(target, source=None))
        return loss + self._misfit(self.back, exchanged, noise)

    def _misfit(self, velocity: nn.Module, batch: StageBatch, noise: Mapping[str, Tensor]) -> Tensor:
        """Of a velocity from the batch's source to its events."""
        pairs = self.pairs(batch, noise["places"], noise["more"])
        t = trained_times(noise["t"], self.options.times)[:, None]
        found = velocity(torch.lerp(pairs.x, pairs.y, t[:, :, None]), t, pairs.given, pairs.mask)
        return weighted_mean(event_loss(found - (pairs.y - pairs.x), pairs.mask, self.options.loss), pairs.weight)

    @property
    def moves_masses(self) -> bool:
        return self.options.coupling == "optimal_transport"

    @torch.compiler.disable  # type: ignore[untyped-decorator]  # numpy and scipy
    def pairs(self, batch: StageBatch, places: Tensor, more: Tensor) -> CloudPairs:
        """As many pairs as the batch has events.

        Args:
            places: (events, 2), uniform.
            more: (events, constituents, features), normal, at least as many as the target has.

        Raises:
            UsageError: if the batch is of one sample, or weights are negative and the coupling is not independent.
        """
        source, target = two_samples(batch)
        if source.mask is None or target.mask is None:
            raise UsageError("these events are no clouds")
        found = [
            torch.from_numpy(np.stack(self._paired(source, target, chosen, places))) + chosen[0]
            for chosen in torch.arange(len(target.x)).split(self.options.pairing or _PAIRING)
        ]
        rows, columns = torch.cat(found, 1).to(target.x.device)
        weight = None
        if self.options.coupling == "independent":
            for side, events in ((source, rows), (target, columns)):
                if side.weight is not None:
                    weight = side.weight[events] if weight is None else weight * side.weight[events]
        mask = target.mask[columns]
        x = resized(source.x[rows], source.mask[rows], mask, more)
        y = matched(x, target.x[columns], mask)
        return CloudPairs(x, y, mask, torch.cat([source.condition[rows], target.condition[columns]], 1), weight)

    def _paired(self, source: StageBatch, target: StageBatch, chosen: Tensor, places: Tensor) -> tuple[Rows, Rows]:
        """Rows of the source and of the target among those that are chosen."""
        rows = columns = np.arange(len(chosen))
        if self.options.coupling == "independent":
            return rows, columns
        refuse_negative_weights((source, target), *TAKE_INDEPENDENT)
        comb = places[chosen[0]].double().cpu().numpy()
        if source.weight is not None:
            rows = drawn_by_weight(source.weight[chosen].double().cpu().numpy(), comb[0])
        if target.weight is not None:
            columns = drawn_by_weight(target.weight[chosen].double().cpu().numpy(), comb[1])
        ours, theirs = (side.condition[chosen].double().cpu().numpy() for side in (source, target))
        if not self.conditions:
            return rows, columns
        return rows, columns[assigned(cdist(ours[rows], theirs[columns], "sqeuclidean"))]

    def forward(
        self, x: Tensor, mask: Tensor, condition: Tensor, wanted: Tensor, there: Tensor, noise: Mapping[str, Tensor]
    ) -> Tensor:
        """Clouds of the source, the hardest constituents first, to clouds like those of the target."""
        return self._moved(self.velocity, x, mask, condition, wanted, there, noise)

    def inverse(
        self, y: Tensor, mask: Tensor, condition: Tensor, wanted: Tensor, there: Tensor, noise: Mapping[str, Tensor]
    ) -> Tensor:
        """Clouds of the target, the hardest constituents first, to clouds like those of the source."""
        if self.back is None:
            return super().inverse(y, mask, condition, wanted, there, noise)
        return self._moved(self.back, y, mask, condition, wanted, there, noise)

    def _moved(
        self, network: VelocityNetwork, x: Tensor, mask: Tensor, condition: Tensor, wanted: Tensor, there: Tensor,
        noise: Mapping[str, Tensor],
    ) -> Tensor:  # fmt: skip
        def flow(begin: Mapping[str, Tensor], given: Tensor, mask: Tensor | None) -> Tensor:
            def velocity(place: Tensor, t: float) -> Tensor:
                slope: Tensor = network(place, place.new_full((len(place), 1), t), given, mask)
                return slope

            return integrate(velocity, begin["x"], self.options.solver, self.options.steps)

        begin = {"x": resized(x, mask, there, noise["more"])}
        spec = NoiseSpec("x", (self.features,), points=True)
        given, tiles = torch.cat([condition, wanted], 1), network.tiles
        return in_chunks(flow, (spec,), begin, given, there, self.options.hidden, tiles)


def resized(x: Tensor, mask: Tensor, there: Tensor, more: Tensor) -> Tensor:
    """Clouds (events, N, features) cut to the constituents that shall be there, or filled up: (events, M, features).

    Args:
        mask: (events, N), the constituents that there are.
        there: (events, M), those that there shall be.
        more: (events, M or more, features), what stands in the place of those that are missing.

    Example:
        >>> x, mask = torch.tensor([[[1.0], [2.0]]]), torch.tensor([[True, True]])
        >>> resized(x, mask, torch.tensor([[True, True, True]]), torch.full((1, 3, 1), 9.0)).flatten().tolist()
        [1.0, 2.0, 9.0]
        >>> resized(x, mask, torch.tensor([[True, False]]), torch.full((1, 2, 1), 9.0)).flatten().tolist()
        [1.0, 0.0]
    """
    width = there.shape[1]
    more = more[:, :width]
    missing = max(0, width - x.shape[1])
    known = functional.pad(x, (0, 0, 0, missing))[:, :width]
    kept = functional.pad(mask, (0, missing))[:, :width]
    return torch.where(kept[..., None], known, more) * there[..., None]


def matched(x: Tensor, y: Tensor, mask: Tensor) -> Tensor:
    """The constituents of each ``y`` in the order in which those of ``x`` come nearest to them, all (events, N, features).

    Example:
        >>> mask = torch.tensor([[True, True, False]])
        >>> matched(torch.tensor([[[1.0], [5.0], [0.0]]]), torch.tensor([[[6.0], [2.0], [0.0]]]), mask).flatten().tolist()
        [2.0, 6.0, 0.0]
    """
    ours, theirs = x.double().cpu().numpy(), y.double().cpu().numpy()
    order = np.tile(np.arange(x.shape[1]), (len(x), 1))
    for event, count in enumerate(mask.sum(1).tolist()):
        order[event, :count] = assigned(cdist(ours[event, :count], theirs[event, :count], "sqeuclidean"))
    index = torch.from_numpy(order).to(y.device)
    return y.gather(1, index[..., None].expand_as(y))
