"""Coupling flows with rational-quadratic splines (neural spline flows, arXiv:1906.04032; CaloINN, arXiv:2312.09290)."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, ClassVar, cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from hepgen.errors import ConfigError, ModelError
from hepgen.generators.base import Generator, NoiseSpec, Objective, StageBatch
from hepgen.generators.networks.mlp import MLP
from hepgen.generators.splines import inverse_spline, num_parameters, spline

if TYPE_CHECKING:
    from hepgen.config.families import CouplingOptions

# Any number does: a bundle holds the permutations themselves.
PERMUTATION_SEED = 1906
# Sampling goes through the events in chunks whose spline parameters stay near the processor.
_CACHED_NUMBERS = 2**19
_SMALLEST_CHUNK = 128
# A cloud is one long vector to a flow: its first and last layers grow with the number of places.
MOST_POINTS = 64


class SplineCoupling(nn.Module):
    """One coupling layer: the features that pass choose the splines that map the others.

    Args:
        passed: number of features that pass.
        moved: number of features that are mapped.
        conditions: number of conditioning features.
        options: bins, bound, hidden widths.
    """

    def __init__(self, passed: int, moved: int, conditions: int, options: CouplingOptions) -> None:
        super().__init__()
        self.bound = options.bound
        self.moved = moved
        self.num_parameters = num_parameters(options.bins)
        self.network = MLP(
            passed + conditions, options.hidden, moved * self.num_parameters,
            activation=options.activation, dropout=options.dropout, zero_last=True,
        )  # fmt: skip

    def _splines(self, passed: Tensor, condition: Tensor) -> Tensor:
        raw = self.network.events_last(torch.cat([passed, condition]))
        return raw.view(self.num_parameters, self.moved, -1)

    def forward(self, passed: Tensor, moved: Tensor, condition: Tensor) -> tuple[Tensor, Tensor]:
        """Data to latent: the mapped features and log|det J| of shape (events,). All arguments have events last."""
        y, log_slope = spline(moved, self._splines(passed, condition), self.bound)
        return y, log_slope.sum(0)

    def inverse(self, passed: Tensor, moved: Tensor, condition: Tensor) -> Tensor:
        """Latent to data."""
        return inverse_spline(moved, self._splines(passed, condition), self.bound)[0]


class CouplingPair(nn.Module):
    """A permutation of the features and two coupling layers, so that every feature is mapped once.

    Args:
        order: permutation of the features, shape (features,); its first half passes in the first layer.
        conditions: number of conditioning features.
        options: see ``SplineCoupling``.
    """

    order: Tensor
    restore: Tensor

    def __init__(self, order: Tensor, conditions: int, options: CouplingOptions) -> None:
        super().__init__()
        passed = len(order) // 2
        moved = len(order) - passed
        self.sizes = [passed, moved]
        self.register_buffer("order", order)
        self.register_buffer("restore", order.argsort())
        self.first = SplineCoupling(passed, moved, conditions, options)
        # A single feature has no other half to map.
        self.second = SplineCoupling(moved, passed, conditions, options) if len(order) > 1 else None

    def forward(self, x: Tensor, condition: Tensor) -> tuple[Tensor, Tensor]:
        """Data to latent: (features, events) and log|det J| of shape (events,)."""
        a, b = torch.split(x[self.order], self.sizes)
        b, log_det = self.first(a, b, condition)
        if self.second is not None:
            a, change = self.second(b, a, condition)
            log_det = log_det + change
        return torch.cat([a, b])[self.restore], log_det

    def inverse(self, z: Tensor, condition: Tensor) -> Tensor:
        """Latent to data."""
        a, b = torch.split(z[self.order], self.sizes)
        if self.second is not None:
            a = self.second.inverse(b, a, condition)
        b = self.first.inverse(a, b, condition)
        return torch.cat([a, b])[self.restore]


class CouplingFlow(Generator):
    """A normalizing flow of spline coupling layers, fast in both directions.

    The base law is the standard normal. Training minimises -log p(x | condition).

    A cloud is one long vector with a place for each of its constituents in the order in which they are given (as in
    JetFlow, arXiv:2211.13630). A place without one holds a number beyond the bound, which every spline leaves as it is:
    the likelihood is exactly that of the constituents that there are, and the networks see which places are empty.

    Warning:
        Features are mapped on [-bound, bound] only and pass unchanged outside: standardise them first.

    Raises:
        ConfigError: if a cloud has more than ``MOST_POINTS`` constituents.

    References:
        Neural spline flows, Durkan et al., arXiv:1906.04032. For calorimeters: CaloINN, arXiv:2312.09290.

    Example:
        >>> from hepgen.config.families import CouplingOptions
        >>> flow = CouplingFlow(3, 1, CouplingOptions(layers=2, hidden=[16], bins=4))
        >>> flow.sample({"z": torch.zeros(5, 3)}, torch.zeros(5, 1)).shape
        torch.Size([5, 3])
    """

    family: ClassVar[str] = "coupling"

    def __init__(
        self, features: int, conditions: int, options: CouplingOptions, observables: int = 0, points: int = 0
    ) -> None:
        super().__init__(features, conditions, points)
        if points > MOST_POINTS:
            raise ConfigError(
                f"a coupling flow makes clouds of {MOST_POINTS} constituents at most, here there are up to {points}",
                hint=f"set representation.max_constituents to {MOST_POINTS} or less, or take another family",
            )
        self.places = features * max(points, 1)
        self._empty = options.bound + 1.0
        shuffle = torch.Generator().manual_seed(PERMUTATION_SEED)
        orders = [torch.randperm(self.places, generator=shuffle) for _ in range((options.layers + 1) // 2)]
        self.pairs = nn.ModuleList(CouplingPair(order, conditions, options) for order in orders)
        width = (self.places - self.places // 2) * num_parameters(options.bins)
        self._chunk = max(_SMALLEST_CHUNK, _CACHED_NUMBERS // width)

    def noise_spec(self) -> tuple[NoiseSpec, ...]:
        return (NoiseSpec("z", (self.places,)),)

    def latent(self, x: Tensor, condition: Tensor) -> tuple[Tensor, Tensor]:
        """Data to latent, (events, places), and log|det J| per event."""
        x, condition = x.T.contiguous(), condition.T.contiguous()
        log_det = x.new_zeros(x.shape[1])
        for pair in self.pairs:
            x, change = pair(x, condition)
            log_det = log_det + change
        return x.T, log_det

    def log_prob(self, x: Tensor, condition: Tensor, mask: Tensor | None = None) -> Tensor:
        if mask is None:
            z, log_det = self.latent(x, condition)
            return log_det - 0.5 * (z * z).sum(1) - 0.5 * self.places * math.log(2 * math.pi)
        filled = self._filled(mask)
        rows = _with_points(x, self.points).flatten(1).masked_fill(~filled, self._empty)
        z, log_det = self.latent(rows, condition)
        return log_det - 0.5 * ((z * z + math.log(2 * math.pi)) * filled).sum(1)

    def sample(self, noise: Mapping[str, Tensor], condition: Tensor, mask: Tensor | None = None) -> Tensor:
        filled = None if mask is None else self._filled(mask)
        start = noise["z"] if filled is None else noise["z"].masked_fill(~filled, self._empty)
        parts = zip(start.split(self._chunk), condition.split(self._chunk), strict=True)
        x = torch.cat([self._inverse(z.T.contiguous(), c.T.contiguous()).T for z, c in parts])
        if mask is None or filled is None:
            return x
        return _with_points(x.masked_fill(~filled, 0.0).unflatten(1, (self.points, self.features)), mask.shape[1])

    def _filled(self, mask: Tensor) -> Tensor:
        """Which places hold a constituent, (events, places).

        Raises:
            ModelError: if an event has more constituents than there are places.
        """
        if mask.shape[1] > self.points and bool(mask[:, self.points :].any()):
            most = int(mask.sum(1).max())
            raise ModelError(
                f"an event of {most} constituents is asked for, the flow has places for {self.points}",
                hint="a coupling flow makes no more than the training events had: sample fewer, or train on more",
            )
        return _with_points(mask.unsqueeze(2), self.points).expand(-1, -1, self.features).flatten(1)

    def _inverse(self, x: Tensor, condition: Tensor) -> Tensor:
        for pair in reversed(list(self.pairs)):
            x = cast("CouplingPair", pair).inverse(x, condition)
        return x

    def objectives(self) -> list[Objective]:
        def likelihood(batch: StageBatch, noise: Mapping[str, Tensor]) -> Tensor:
            del noise
            return -self.log_prob(batch.x, batch.condition, batch.mask)

        return [Objective("likelihood", list(self.parameters()), likelihood)]


def _with_points(x: Tensor, points: int) -> Tensor:
    """(events, any number of points, ...) padded with 0, or cut, to so many points."""
    return functional.pad(x, (0, 0, 0, points - x.shape[1]))
