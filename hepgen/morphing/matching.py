"""Flow matching between two samples, in pairs of minibatch optimal transport (arXiv:2302.00482)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, ClassVar, NamedTuple

import numpy as np
import torch
from torch import Tensor

from hepgen.errors import UsageError
from hepgen.generators.base import NoiseSpec, Objective, StageBatch
from hepgen.generators.chunks import in_chunks
from hepgen.generators.matching import VelocityNetwork, event_loss, trained_times
from hepgen.generators.solvers import integrate
from hepgen.morphing.base import Transport, weighted_mean
from hepgen.morphing.pairing import (
    TAKE_INDEPENDENT,
    Array,
    assigned,
    drawn_by_condition,
    drawn_by_weight,
    refuse_negative_weights,
    transport_cost,
)

if TYPE_CHECKING:
    from hepgen.config.morph_options import MatchingMorphOptions

_PAIRING = 64  # 256 came no nearer to the optimal map of normal laws in 2 and 6 features, and took four times as long
_PAIRING_CONDITIONED = 256  # enough events at about one condition
_CORRECTIONS = 3
_EDGE = 1e-3  # a bridge's velocity is infinite at both ends


class Pairs(NamedTuple):
    """Events of the source and of the target, the condition at both ends of the path between them, weights of pairs."""

    x: Tensor
    y: Tensor
    begin: Tensor
    end: Tensor
    weight: Tensor | None


class MatchingMorph(Transport):
    """A network learns the velocity along straight paths from events of the source to events of the target.

    A path is x_t = (1 - t) x + t y + s sqrt(t (1 - t)) z, where s is ``bridge``, and z normal (arXiv:2302.00482, eq. 15 for
    s = 0, and the Brownian bridge of section 3.2.4). The pairs (x, y) are those of the least sum of squares among
    ``pairing`` events that are drawn by their weights, or independent ones. Either gives the target's law; the former moves
    events little, so that the paths hardly cross, are nearly straight, and a few steps follow them.

    With conditions, events of the source are drawn at about the conditions that the target has in the batch, and a
    difference of conditions costs ``condition_cost``: pairs have nearly one condition, and the network sees the one between.
    Asked for another condition, such a map has no answer, because it never learned how events change with their condition.
    With ``change_condition`` the network sees the condition on the way in and on the way out; each event is given a partner
    condition of the other sample, independent of it, and optimal transport goes over both.

    Negative weights take independent pairs: the loss is linear in the product of the two weights of a pair.

    ``inverse`` follows the paths backwards, and then corrects x by what forward and backward differ by, so that it undoes
    ``forward`` with the error of neither.

    References:
        Tong et al., arXiv:2302.00482. Conditional transport: arXiv:2403.18705, 2404.04240.

    Example:
        >>> from hepgen.config.morph_options import MatchingMorphOptions
        >>> morph = MatchingMorph(2, 0, MatchingMorphOptions(layers=1, hidden=8))
        >>> nothing = torch.empty(1, 0)
        >>> morph(torch.tensor([[1.0, -1.0]]), nothing, nothing, {}).tolist()  # before any training nothing moves
        [[1.0, -1.0]]
    """

    method: ClassVar[str] = "matching"

    def __init__(self, features: int, conditions: int, options: MatchingMorphOptions) -> None:
        super().__init__(features, conditions)
        self.options = options
        self.velocity = VelocityNetwork(features, conditions * (1 + options.change_condition), 0, options)
        self.velocity.begin_at_rest()

    @property
    def moves_masses(self) -> bool:
        return self.options.coupling == "optimal_transport"

    def objectives(self) -> list[Objective]:
        noise = [NoiseSpec("t", (2,), "uniform"), NoiseSpec("places", (4,), "uniform")]
        if self.options.bridge:
            noise.append(NoiseSpec("z", (self.features,)))
        return [Objective("matching", list(self.parameters()), self._loss, noise=tuple(noise))]

    def _loss(self, batch: StageBatch, noise: Mapping[str, Tensor]) -> Tensor:
        pairs = self.pairs(batch, noise["places"])
        t = trained_times(noise["t"], self.options.times)[:, None]
        slope = pairs.y - pairs.x
        place = pairs.x + t * slope
        if self.options.bridge:
            t = t.clamp(_EDGE, 1 - _EDGE)
            width = self.options.bridge * (t * (1 - t)).sqrt()
            place = torch.lerp(pairs.x, pairs.y, t) + width * noise["z"]
            slope = slope + self.options.bridge**2 * (1 - 2 * t) / (2 * width) * noise["z"]
        found = self.velocity(place, t, torch.lerp(pairs.begin, pairs.end, t))
        return weighted_mean(event_loss(found - slope, None, self.options.loss), pairs.weight)

    @torch.compiler.disable  # type: ignore[untyped-decorator]  # numpy and scipy
    def pairs(self, batch: StageBatch, places: Tensor) -> Pairs:
        """As many pairs as the batch has events; ``places`` (events, 4) are uniform numbers.

        Raises:
            UsageError: if there is no source, or weights are negative and the coupling is not independent.
        """
        if batch.source is None:
            raise UsageError("a morph is trained on batches of two samples, and this one has no source")
        if self.options.coupling == "optimal_transport":
            refuse_negative_weights((batch.source, batch), *TAKE_INDEPENDENT)
        found: list[Tensor] = []
        size = self.options.pairing or (_PAIRING_CONDITIONED if self.conditions else _PAIRING)
        for chosen in torch.arange(len(batch.x)).split(size):
            pair = self._paired(_side(batch.source, chosen), _side(batch, chosen), _numpy(places[chosen]))
            found.append(torch.from_numpy(np.stack(pair)) + chosen[0])
        rows, columns, others_in, others_out = torch.cat(found, 1).to(batch.x.device)
        source, weight = batch.source, None
        begin, end = source.condition[rows], batch.condition[columns]
        if self.options.change_condition:
            begin = torch.cat([begin, batch.condition[others_in]], 1)
            end = torch.cat([source.condition[others_out], end], 1)
        if self.options.coupling == "independent":
            for side, events in ((source, rows), (batch, columns)):
                if side.weight is not None:
                    weight = side.weight[events] if weight is None else weight * side.weight[events]
        return Pairs(source.x[rows], batch.x[columns], begin, end, weight)

    def _paired(self, source: _Side, target: _Side, places: Array) -> tuple[np.ndarray, ...]:
        """Rows of the source, of the target, and those whose condition of the other sample each is given, (4, events)."""
        every = np.arange(len(target.x))
        rows, columns = every, every
        changes = self.options.change_condition and self.conditions > 0
        optimal = self.options.coupling == "optimal_transport"
        if optimal and target.weighted:
            columns = drawn_by_weight(target.weight, places[0, 0])
        if self.conditions and not changes:
            weight = source.weight if optimal else np.ones_like(source.weight)
            rows = drawn_by_condition(target.condition[columns], source.condition, weight, places[:, 1])
        elif optimal and source.weighted:
            rows = drawn_by_weight(source.weight, places[0, 1])
        if not optimal:
            return rows, columns, columns, rows
        begin, end = source.condition[rows], target.condition[columns]
        others_in, others_out = columns, rows
        if changes:
            others_in, others_out = columns[places[:, 2].argsort()], rows[places[:, 3].argsort()]
            begin = np.concatenate([begin, target.condition[others_in]], axis=1)
            end = np.concatenate([source.condition[others_out], end], axis=1)
        partner = assigned(transport_cost(source.x[rows], target.x[columns], begin, end, self.options.condition_cost))
        return rows, columns[partner], others_in, others_out[partner]

    def forward(self, x: Tensor, condition: Tensor, wanted: Tensor, noise: Mapping[str, Tensor]) -> Tensor:
        """Events of the source to events like those of the target.

        Raises:
            UsageError: if another condition is asked for than the map was trained for.
        """
        del noise
        return self._along(x, self._given(condition, wanted), 0.0, 1.0)

    def inverse(self, y: Tensor, condition: Tensor, wanted: Tensor, noise: Mapping[str, Tensor]) -> Tensor:
        """Events of the target to events like those of the source; takes seven times the time of ``forward``.

        Raises:
            UsageError: if another condition is asked for than the map was trained for.
        """
        del noise
        given = self._given(wanted, condition)
        back = self._along(y, given, 1.0, 0.0)
        x = back
        for _ in range(_CORRECTIONS):
            x = x + (back - self._along(self._along(x, given, 0.0, 1.0), given, 1.0, 0.0))
        return x

    def _along(self, x: Tensor, given: Tensor, begin: float, end: float) -> Tensor:
        def flow(noise: Mapping[str, Tensor], condition: Tensor, mask: Tensor | None) -> Tensor:
            del mask

            def velocity(place: Tensor, t: float) -> Tensor:
                slope: Tensor = self.velocity(place, place.new_full((len(place), 1), t), condition)
                return slope

            return integrate(velocity, noise["x"], self.options.solver, self.options.steps, begin, end)

        return in_chunks(flow, (), {"x": x}, given, None, self.velocity.width)

    def _given(self, first: Tensor, last: Tensor) -> Tensor:
        """What the network sees of the condition in the source and of that in the target."""
        if self.options.change_condition:
            return torch.cat([first, last], 1)
        if first is not last and not torch.equal(first, last):
            raise UsageError(
                "this morph was trained for events that keep their condition, and another one is asked for",
                where="options.matching.change_condition",
                hint="train with change_condition: true",
            )
        return first


class _Side(NamedTuple):
    """Events of one sample, float64; ``weighted`` where their weights are not all 1."""

    x: Array
    condition: Array
    weight: Array
    weighted: bool


def _side(side: StageBatch, rows: Tensor) -> _Side:
    weight = np.ones(len(rows)) if side.weight is None else _numpy(side.weight[rows])
    return _Side(_numpy(side.x[rows]), _numpy(side.condition[rows]), weight, side.weight is not None)


def _numpy(array: Tensor) -> Array:
    return array.detach().double().cpu().numpy()
