"""Coupling flows with rational-quadratic splines (neural spline flows, arXiv:1906.04032; CaloINN, arXiv:2312.09290)."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, ClassVar

from torch import Tensor
from torch.nn import functional

from hepgen.errors import ConfigError, ModelError
from hepgen.generators.base import Generator, NoiseSpec, Objective, StageBatch
from hepgen.generators.coupling_layers import CouplingStack

if TYPE_CHECKING:
    from hepgen.config.families import CouplingOptions

# A cloud is one long vector to a flow: its first and last layers grow with the number of places.
MOST_POINTS = 64


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
        >>> import torch
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
        self.pairs = CouplingStack(self.places, conditions, options)

    def noise_spec(self) -> tuple[NoiseSpec, ...]:
        return (NoiseSpec("z", (self.places,)),)

    def latent(self, x: Tensor, condition: Tensor) -> tuple[Tensor, Tensor]:
        """Data to latent, (events, places), and log|det J| per event."""
        z, log_det = self.pairs(x, condition)
        return z, log_det

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
        x = self.pairs.mapped(start, condition, inverse=True)
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

    def objectives(self) -> list[Objective]:
        def likelihood(batch: StageBatch, noise: Mapping[str, Tensor]) -> Tensor:
            del noise
            return -self.log_prob(batch.x, batch.condition, batch.mask)

        return [Objective("likelihood", list(self.parameters()), likelihood)]


def _with_points(x: Tensor, points: int) -> Tensor:
    """(events, any number of points, ...) padded with 0, or cut, to so many points."""
    return functional.pad(x, (0, 0, 0, points - x.shape[1]))
