"""Exact optimal transport of a few thousand events, and its extension to all others."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import torch
from torch import Tensor

from hepgen.errors import TrainingError, UsageError
from hepgen.generators.base import StageBatch
from hepgen.morphing.base import Transport, optional
from hepgen.morphing.nearest import nearest
from hepgen.morphing.pairing import Array, refuse_negative_weights, shared_out, transport_cost

if TYPE_CHECKING:
    from hepgen.config.morph_options import OptimalTransportOptions

_CHUNK = 1000  # events whose distances to all that were fitted are held at a time
_ITERATIONS = 10_000_000
_TINY = 1e-12
_POSITIVE = "method: optimal_transport", "take method: matching with coupling: independent, or quantile"
_TABLES = ("places", "movements", "slope")


class OptimalTransport(Transport):
    """The plan that moves a sample of the source onto one of the target at the least sum of squares, exactly.

    Each event of the fitted source moves to the mean of where its plan sends it (the barycentric projection). Any other
    event moves by the affine map that fits these movements best, and by the mean of what its ``neighbours`` nearest ones
    move beside that, weighted by the inverse of the squared distance; so an event that was fitted moves as it did there.
    Without the affine map tails would move as the events at their inner side do. With conditions, events of the source are weighted such that
    their conditions follow the target's, and ``condition_cost`` enters the plan and the distances; an event keeps its
    condition.

    The map has no inverse: neighbours of an event after it moved are not those from before.

    References:
        The network simplex of POT (Bonneel et al., 2011). Barycentric projection: Ferradans et al., arXiv:1307.5551, who
        extend it by the movement of the nearest event; the affine part is the optimal map where both laws are normal.

    Example:
        >>> from hepgen.config.morph_options import OptimalTransportOptions
        >>> morph = OptimalTransport(1, 0, OptimalTransportOptions(neighbours=1))
        >>> one = StageBatch(torch.tensor([[0.0], [1.0]]), torch.empty(2, 0))
        >>> two = StageBatch(torch.tensor([[5.0], [3.0]]), torch.empty(2, 0))
        >>> morph.fit(one, two, np.random.default_rng(0))
        >>> morph(torch.tensor([[0.5], [1.0]]), torch.empty(2, 0), torch.empty(2, 0), {}).tolist()
        [[4.0], [5.0]]
    """

    method: ClassVar[str] = "optimal_transport"
    invertible: ClassVar[bool] = False
    places: Tensor
    movements: Tensor
    slope: Tensor

    def __init__(self, features: int, conditions: int, options: OptimalTransportOptions) -> None:
        super().__init__(features, conditions)
        self.options = options
        width = features + conditions
        sizes = {"places": (1, width), "movements": (1, features), "slope": (width + 1, features)}
        self.load({name: torch.zeros(size) for name, size in sizes.items()})

    def load(self, tensors: Mapping[str, Tensor]) -> None:
        for name in _TABLES:
            self.register_buffer(name, tensors[name])

    def require(self) -> None:
        _library()

    @property
    def moves_masses(self) -> bool:
        return True

    def fit(self, source: StageBatch, target: StageBatch, random: np.random.Generator) -> None:
        """Store the movement of at most ``events`` events, drawn at random.

        Raises:
            UsageError: if weights are negative.
            TrainingError: if the solver does not come to an end.
        """
        refuse_negative_weights((source, target), *_POSITIVE)
        x, condition, weight = _drawn(source, self.options.events, random)
        y, wanted, mass = _drawn(target, self.options.events, random)
        if self.conditions:
            weight = mass @ shared_out(wanted, condition, weight)
        there = weight > _TINY * weight.max()
        x, condition, weight = x[there], condition[there], weight[there]
        cost = transport_cost(x, y, condition, wanted, self.options.condition_cost)
        movement = _plan(weight / weight.sum(), mass / mass.sum(), cost) @ y - x
        places = np.concatenate([x, self._factor * condition], axis=1)
        level = np.concatenate([places, np.ones((len(x), 1))], axis=1)
        root = np.sqrt(weight)[:, None]
        slope = np.linalg.lstsq(root * level, root * movement, rcond=None)[0]
        found = {"places": places, "movements": movement - level @ slope, "slope": slope}
        self.load({name: torch.from_numpy(array).float().contiguous() for name, array in found.items()})

    @property
    def _factor(self) -> float:
        """What conditions are multiplied by, so that square distances are costs, but for the number of features."""
        return math.sqrt(self.features * self.options.condition_cost)

    def forward(self, x: Tensor, condition: Tensor, wanted: Tensor, noise: Mapping[str, Tensor]) -> Tensor:
        """Events of the source to events like those of the target.

        Raises:
            UsageError: if another condition is asked for than that of the events.
        """
        del noise
        if wanted is not condition and not torch.equal(wanted, condition):
            raise UsageError(
                f"the method '{self.method}' leaves conditions as they are, and another one is asked for",
                hint="take method: matching with change_condition: true",
            )
        places = torch.cat([x, self._factor * condition], 1).split(_CHUNK)
        return x + torch.cat([self._movement(part) for part in places])

    def _movement(self, places: Tensor) -> Tensor:
        """The affine movement, and the mean of what the nearest events that were fitted move beside it, (events, features)."""
        rows, square = self._nearest(places)
        share = 1 / square.clamp(min=_TINY)
        beside = ((share / share.sum(1, keepdim=True)).unsqueeze(2) * self.movements[rows]).sum(1)
        return places @ self.slope[:-1] + self.slope[-1] + beside

    def _nearest(self, places: Tensor) -> tuple[Tensor, Tensor]:
        """Rows of the neighbours of events among those that were fitted, and square distances, (events, neighbours)."""
        count = min(self.options.neighbours, len(self.places))
        if places.device.type == "cpu":
            rows, square = nearest(places.numpy(), self.places.T.contiguous().numpy(), count)
            return torch.from_numpy(rows), torch.from_numpy(square)
        distance = torch.cdist(places, self.places, compute_mode="use_mm_for_euclid_dist")
        beside = distance.topk(count, dim=1, largest=False, sorted=False).indices
        return beside, (self.places[beside] - places[:, None]).square().sum(2)  # exact where the product is rounded


def _drawn(side: StageBatch, most: int, random: np.random.Generator) -> tuple[Array, Array, Array]:
    """Features, conditions and weights of at most so many events, float64, in their order."""
    rows = np.sort(random.choice(len(side.x), min(most, len(side.x)), replace=False))
    x, condition = (array.double().cpu().numpy()[rows] for array in (side.x, side.condition))
    weight = np.ones(len(rows)) if side.weight is None else side.weight.double().cpu().numpy()[rows]
    return x, condition, weight


def _plan(source: Array, target: Array, cost: Array) -> Array:
    """The optimal plan of two laws, (source, target), each row divided by its sum."""
    plan, log = _library().emd(source, target, cost, numItermax=_ITERATIONS, log=True)
    if log["warning"] is not None:
        raise TrainingError(
            f"optimal transport did not come to an end: {log['warning']}",
            where="options.optimal_transport.events",
            hint="take fewer events",
        )
    shares: Array = plan / plan.sum(axis=1, keepdims=True)
    return shares


def _library() -> Any:
    return optional("ot", "pot", "method: optimal_transport", "take method: matching or quantile")
