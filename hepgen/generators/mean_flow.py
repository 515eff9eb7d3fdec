"""Average velocities: flow matching that samples in one to four network evaluations (MeanFlow, arXiv:2505.13447)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, ClassVar

import torch
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel

from hepgen.generators.base import Generator, NoiseSpec, Objective, StageBatch
from hepgen.generators.chunks import in_chunks
from hepgen.generators.matching import VelocityNetwork, event_loss, per_event, trained_times

if TYPE_CHECKING:
    from hepgen.config.families import MeanFlowOptions


class MeanFlow(Generator):
    """A network learns the average velocity u(x, t, s) of the flow on its way from time t to s.

    Sampling goes x_s = x_t + (s - t) u in a few steps of one length, one network evaluation each. From the definition,
    (s - t) u = integral of the velocity v from t to s, follows u = v + (s - t) du/dt along the path (arXiv:2505.13447,
    eq. 6, whose time runs from data to noise); the right side, with the velocity x1 - x0 of straight paths and the
    derivative by forward-mode differentiation, is what the network is trained to give. Some of the events have s = t,
    which is flow matching.

    The loss of an event is as for ``FlowMatching``.

    References:
        Geng et al., arXiv:2505.13447.

    Example:
        >>> from hepgen.config.families import MeanFlowOptions
        >>> flow = MeanFlow(3, 1, MeanFlowOptions(layers=2, hidden=16))
        >>> flow.evaluations
        2
        >>> flow.sample({"x0": torch.zeros(5, 3)}, torch.zeros(5, 1)).shape
        torch.Size([5, 3])
    """

    family: ClassVar[str] = "mean_flow"

    def __init__(
        self, features: int, conditions: int, options: MeanFlowOptions, observables: int = 0, points: int = 0
    ) -> None:
        super().__init__(features, conditions, points)
        self.options = options
        self.velocity = VelocityNetwork(features, conditions, points, options, times=2)

    @property
    def evaluations(self) -> int:
        """Passes through the network that sampling takes."""
        return self.options.steps

    def noise_spec(self) -> tuple[NoiseSpec, ...]:
        return (NoiseSpec("x0", (self.features,), points=self.points > 0),)

    def sample(self, noise: Mapping[str, Tensor], condition: Tensor, mask: Tensor | None = None) -> Tensor:
        return in_chunks(
            self._flow, self.noise_spec(), noise, condition, mask, self.velocity.width, self.velocity.tiles
        )

    def _flow(self, noise: Mapping[str, Tensor], condition: Tensor, mask: Tensor | None) -> Tensor:
        x, step = noise["x0"], 1 / self.options.steps
        for number in range(self.options.steps):
            # the network sees t and the length of the piece
            times = x.new_tensor([number * step, step]).expand(len(x), 2)
            x = x + step * self.velocity(x, times, condition, mask)
        return x

    def _loss(self, batch: StageBatch, noise: Mapping[str, Tensor]) -> Tensor:
        draws = noise["times"]
        one, other = (trained_times(draws[:, 2 * k : 2 * k + 2], self.options.times) for k in (0, 1))
        t = torch.minimum(one, other)
        pieces = draws[:, 4] < self.options.pieces
        t = torch.where(pieces, t, one)
        length = torch.where(pieces, torch.maximum(one, other) - t, 0.0)
        at = per_event(t, batch.x)
        v = batch.x - noise["x0"]

        def average(x: Tensor, t: Tensor, length: Tensor) -> Tensor:
            velocity: Tensor = self.velocity(x, torch.stack([t, length], 1), batch.condition, batch.mask)
            return velocity

        # Along the path x moves by v, t by 1, and the piece, whose end stays, loses 1. The fused kernels of attention
        # have no forward-mode derivative.
        with sdpa_kernel(SDPBackend.MATH):
            start = (1 - at) * noise["x0"] + at * batch.x
            u, change = torch.func.jvp(  # type: ignore[misc]
                average, (start, t, length), (v, torch.ones_like(t), -torch.ones_like(length))
            )
        target = v + per_event(length, batch.x) * change.detach()
        return event_loss(u - target, batch.mask, self.options.loss)

    def objectives(self) -> list[Objective]:
        noise = (*self.noise_spec(), NoiseSpec("times", (5,), "uniform"))
        return [Objective("mean_flow", list(self.parameters()), self._loss, noise=noise)]
