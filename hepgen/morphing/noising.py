"""Events turned to noise, partly or wholly, and back as events of the target (Drapes, arXiv:2312.10130)."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, ClassVar

import torch
from torch import Tensor

from hepgen.generators.base import NoiseSpec, Objective, StageBatch
from hepgen.generators.chunks import in_chunks
from hepgen.generators.matching import VelocityNetwork, event_loss, per_event, trained_times
from hepgen.generators.solvers import integrate
from hepgen.morphing.base import Transport, weighted_mean

if TYPE_CHECKING:
    from hepgen.config.morph_options import NoisingOptions


class Noising(Transport):
    """A generative model of the target, flow matching from noise at the event's condition, begun at the events that come in.

    Along x_t = (1 - t) z + t y from normal noise z to events y of the target (arXiv:2210.02747), a map begins at
    t = 1 - ``start`` with the incoming event in the place of y, at the condition that is asked for (SDEdit,
    arXiv:2108.01073). With ``start`` 1 that is pure noise: events are new ones of the target, and only their condition is
    kept. The smaller ``start``, the more of an event is left, and of the difference between the samples. No event of the
    source is needed in training; there is no inverse.

    Example:
        >>> from hepgen.config.morph_options import NoisingOptions
        >>> morph = Noising(2, 1, NoisingOptions(layers=1, hidden=8, start=0.25))
        >>> x, condition = torch.zeros(3, 2), torch.zeros(3, 1)
        >>> morph(x, condition, condition, {"z": torch.zeros(3, 2)}).shape
        torch.Size([3, 2])
    """

    method: ClassVar[str] = "noising"
    invertible: ClassVar[bool] = False

    def __init__(self, features: int, conditions: int, options: NoisingOptions) -> None:
        super().__init__(features, conditions)
        self.options = options
        self.velocity = VelocityNetwork(features, conditions, 0, options)

    def noise_spec(self) -> tuple[NoiseSpec, ...]:
        return (NoiseSpec("z", (self.features,)),)

    def objectives(self) -> list[Objective]:
        noise = (*self.noise_spec(), NoiseSpec("t", (2,), "uniform"))
        return [Objective("noising", list(self.parameters()), self._loss, noise=noise)]

    def _loss(self, batch: StageBatch, noise: Mapping[str, Tensor]) -> Tensor:
        t, z = trained_times(noise["t"], self.options.times), noise["z"]
        found = self.velocity(torch.lerp(z, batch.x, per_event(t, batch.x)), t.unsqueeze(1), batch.condition)
        return weighted_mean(event_loss(found - (batch.x - z), None, self.options.loss), batch.weight)

    def forward(self, x: Tensor, condition: Tensor, wanted: Tensor, noise: Mapping[str, Tensor]) -> Tensor:
        """Events of the source to events like those of the target at the condition that is asked for."""
        begin = 1 - self.options.start
        steps = math.ceil(self.options.start * self.options.steps)

        def flow(places: Mapping[str, Tensor], given: Tensor, mask: Tensor | None) -> Tensor:
            del mask

            def velocity(place: Tensor, t: float) -> Tensor:
                slope: Tensor = self.velocity(place, place.new_full((len(place), 1), t), given)
                return slope

            return integrate(velocity, places["x"], self.options.solver, steps, begin)

        return in_chunks(flow, (), {"x": torch.lerp(noise["z"], x, begin)}, wanted, None, self.velocity.width)
