"""Flow matching along straight paths (arXiv:2210.02747), of vectors and of clouds (EPiC-FM, arXiv:2310.00049)."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, ClassVar

import torch
from torch import Tensor, nn

from hepgen.generators.base import Generator, NoiseSpec, Objective, StageBatch
from hepgen.generators.chunks import in_chunks
from hepgen.generators.networks.epic import EpicNetwork
from hepgen.generators.networks.per_feature import TOLD, PerFeature
from hepgen.generators.networks.residual import ResidualMLP
from hepgen.generators.networks.transformer import TransformerNetwork
from hepgen.generators.networks.waves import with_waves
from hepgen.generators.solvers import evaluations, integrate

if TYPE_CHECKING:
    from hepgen.config.families import MatchingOptions, VelocityOptions

_HUBER = 0.1
_FEATURES_AT_A_TIME = 16  # of an event, in what a chunk is given room for: each has a layer of its own for a moment


class VelocityNetwork(nn.Module):
    """The velocity of an event or of a cloud at a place, given times and conditions.

    Of a cloud it also sees the number of constituents, as a share of ``points``. Features may have their waves beside them:
    a product of the waves of two constituents depends on how far apart they are, which is what attention needs to find the
    prongs of a jet.

    Args:
        features, conditions, points: see ``Generator``.
        options: of the network.
        times: number of times that it is given.

    Attributes:
        width, tiles: of ``in_chunks``.
    """

    def __init__(self, features: int, conditions: int, points: int, options: VelocityOptions, times: int = 1) -> None:
        super().__init__()
        self.points = points
        self.frequencies = options.frequencies
        self.waves = options.waves
        seen = features * (1 + 2 * options.waves)
        given = conditions + times * options.frequencies + (points > 0)
        layers, hidden = options.layers, options.hidden
        self.network: nn.Module
        self.width = hidden
        self.tiles = EpicNetwork.tiles if points and options.network == "epic" else 1
        if points == 0:
            each = 1 + TOLD if options.per_feature else 1
            self.network = ResidualMLP(seen, given, each * features, layers=layers, hidden=hidden)
            if options.per_feature:
                self.network = PerFeature(self.network, features, given, options.per_feature)
                self.width = max(hidden, features * options.per_feature // _FEATURES_AT_A_TIME)
        elif options.network == "epic":
            self.network = EpicNetwork(
                seen, given, features, layers=layers, hidden=hidden, latent=options.latent, every_layer=True
            )
        else:
            self.network = TransformerNetwork(seen, given, features, layers=layers, hidden=hidden, heads=options.heads)

    def begin_at_rest(self) -> None:
        """Make all velocities of vectors 0, before a training."""
        for module in self.network.modules():
            if isinstance(module, ResidualMLP | PerFeature):
                nn.init.zeros_(module.end.weight)
                nn.init.zeros_(module.end.bias)

    def forward(self, x: Tensor, times: Tensor, condition: Tensor, mask: Tensor | None = None) -> Tensor:
        """x (events, features) or (events, N, features), times (events, times), to the shape of x; padding gives 0."""
        waves = math.pi * torch.arange(1, self.frequencies + 1, dtype=x.dtype, device=x.device)
        given = [torch.cos(times.unsqueeze(2) * waves).flatten(1), condition]
        if self.points > 0:
            counts = condition.new_full((len(x), 1), x.shape[1]) if mask is None else mask.sum(1, keepdim=True)
            given.append(counts / self.points)
        seen = with_waves(x, self.waves)
        found: Tensor = self.network(seen, torch.cat(given, 1), *([] if self.points == 0 else [mask]))
        return found


class FlowMatching(Generator):
    """A network learns the velocity of straight paths from noise to events; sampling follows it by a solver.

    A path is x_t = (1 - (1 - sigma) t) x0 + t x1 from normal noise x0 to an event x1, and its velocity
    x1 - (1 - sigma) x0 (arXiv:2210.02747, eq. 22 and 23). Sampling takes ``evaluations`` passes through the network.

    The loss of an event is the mean over its constituents and features. So a jet counts as one jet however many
    constituents it has, as its weight says, and batches of long and of short jets take steps of one size; the best
    velocity is the same, because the network knows the number of constituents. With ``huber`` it is
    sqrt(mean + c^2) - c, c = 0.1.

    References:
        Lipman et al., arXiv:2210.02747. EPiC-FM: Buhmann et al., arXiv:2310.00049. Logit-normal times: arXiv:2403.03206.

    Example:
        >>> from hepgen.config.families import MatchingOptions
        >>> flow = FlowMatching(3, 1, MatchingOptions(layers=2, hidden=16, steps=4), points=5)
        >>> flow.evaluations
        8
        >>> mask = torch.ones(2, 5, dtype=torch.bool)
        >>> flow.sample({"x0": torch.zeros(2, 5, 3)}, torch.zeros(2, 1), mask).shape
        torch.Size([2, 5, 3])
    """

    family: ClassVar[str] = "matching"

    def __init__(
        self, features: int, conditions: int, options: MatchingOptions, observables: int = 0, points: int = 0
    ) -> None:
        super().__init__(features, conditions, points)
        self.options = options
        self.velocity = VelocityNetwork(features, conditions, points, options)

    @property
    def evaluations(self) -> int:
        """Passes through the network that sampling takes."""
        return evaluations(self.options.solver, self.options.steps)

    def noise_spec(self) -> tuple[NoiseSpec, ...]:
        return (NoiseSpec("x0", (self.features,), points=self.points > 0),)

    def sample(self, noise: Mapping[str, Tensor], condition: Tensor, mask: Tensor | None = None) -> Tensor:
        return in_chunks(
            self._flow, self.noise_spec(), noise, condition, mask, self.velocity.width, self.velocity.tiles
        )

    def _flow(self, noise: Mapping[str, Tensor], condition: Tensor, mask: Tensor | None) -> Tensor:
        def velocity(x: Tensor, t: float) -> Tensor:
            slope: Tensor = self.velocity(x, x.new_full((len(x), 1), t), condition, mask)
            return slope

        return integrate(velocity, noise["x0"], self.options.solver, self.options.steps)

    def _loss(self, batch: StageBatch, noise: Mapping[str, Tensor]) -> Tensor:
        t, x0 = trained_times(noise["t"], self.options.times), noise["x0"]
        at = per_event(t, batch.x)
        rest = 1 - self.options.sigma
        found = self.velocity((1 - rest * at) * x0 + at * batch.x, t.unsqueeze(1), batch.condition, batch.mask)
        return event_loss(found - (batch.x - rest * x0), batch.mask, self.options.loss)

    def objectives(self) -> list[Objective]:
        noise = (*self.noise_spec(), NoiseSpec("t", (2,), "uniform"))
        return [Objective("matching", list(self.parameters()), self._loss, noise=noise)]


def event_loss(error: Tensor, mask: Tensor | None, loss: str) -> Tensor:
    """Loss of each event from the error of its velocity, (events, features) or (events, N, features), to (events,).

    Example:
        >>> event_loss(torch.tensor([[[1.0], [9.0]]]), torch.tensor([[True, False]]), "squared").tolist()
        [1.0]
    """
    squared = error.square().mean(-1)
    if mask is not None:
        squared = (squared * mask).sum(1) / mask.sum(1).clamp(min=1)
    return squared if loss == "squared" else (squared + _HUBER**2).sqrt() - _HUBER


def stratified(draws: Tensor) -> Tensor:
    """Uniform numbers that cover [0, 1] evenly, one in each of as many equal parts: (events, 2) uniform to (events,).

    The order of the first numbers deals out the parts, the second is the place within.

    Example:
        >>> stratified(torch.tensor([[0.7, 0.5], [0.2, 0.0]])).tolist()
        [0.75, 0.0]
    """
    part = draws[:, 0].argsort().argsort()
    return (part + draws[:, 1]) / len(draws)


def trained_times(draws: Tensor, law: str) -> Tensor:
    """Times in [0, 1] of a batch by the law, (events, 2) uniform to (events,)."""
    t = stratified(draws)
    return t if law == "uniform" else torch.sigmoid(torch.special.ndtri(t))


def per_event(t: Tensor, x: Tensor) -> Tensor:
    """(events,) with as many axes as x."""
    return t.view(-1, *[1] * (x.ndim - 1))
