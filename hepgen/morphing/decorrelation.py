"""Decorrelation of discriminants from protected columns: their cumulative distribution at fixed values of those."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, cast

import torch
from torch import Tensor, nn

from hepgen.config.families import CouplingOptions
from hepgen.errors import ConfigError
from hepgen.generators.base import Objective, StageBatch, Trainable
from hepgen.generators.coupling_layers import SplineCoupling
from hepgen.generators.networks.waves import with_waves

if TYPE_CHECKING:
    from hepgen.config.decorrelate import DecorrelationOptions

# From here on the cumulative normal gives way to a tail that falls slowly: float64 has no number between Phi(8.3) and 1.
_EDGE = 5.0
_BEYOND = 0.5 * math.erfc(_EDGE / math.sqrt(2))
_TOGETHER = 16  # events: whole vectors of any processor
_STEEPNESS = math.exp(-0.5 * _EDGE**2) / math.sqrt(2 * math.pi) / _BEYOND


class Decorrelation(Trainable):
    """Each discriminant through a rational-quadratic spline that the protected columns choose, onto one law at all of them.

    Trained on background by its likelihood; what comes out is the cumulative distribution of the discriminant at the
    event's protected values. At fixed protected values the map is strictly increasing, so that no decision between two
    such events changes: the larger score stays the larger, and the ROC curve is what it was. Several discriminants are
    decorrelated independently of each other. The networks see waves of the protected columns: a classifier that has cut on one
    of them steps where it did.

    Args:
        columns: number of discriminants.
        conditions: number of protected columns, standardised.
        options: see there.

    Raises:
        ConfigError: without protected columns.

    References:
        Decorrelation with conditional normalizing flows, arXiv:2211.02486.

    Example:
        >>> from hepgen.config.decorrelate import DecorrelationOptions
        >>> flow = Decorrelation(1, 1, DecorrelationOptions(hidden=[8]))
        >>> flow(torch.tensor([[-9.0], [0.0], [9.0]]), torch.zeros(3, 1)).flatten().tolist()
        [1.3e-08, 0.5, 1.0]
    """

    def __init__(self, columns: int, conditions: int, options: DecorrelationOptions) -> None:
        super().__init__()
        if not conditions:
            raise ConfigError(
                "a decorrelation needs protected columns", hint="name those that the score must not follow"
            )
        self.columns = columns
        self.conditions = conditions
        self.options = options
        coupling = CouplingOptions(
            hidden=options.hidden,
            bins=options.bins,
            bound=options.bound,
            dropout=options.dropout,
            activation=options.activation,
        )
        seen = conditions * (1 + 2 * options.waves)
        self.layers = nn.ModuleList(SplineCoupling(0, columns, seen, coupling) for _ in range(options.layers))

    def objectives(self) -> list[Objective]:
        def likelihood(batch: StageBatch, noise: Mapping[str, Tensor]) -> Tensor:
            del noise
            return -self.log_prob(batch.x, batch.condition)

        return [Objective("likelihood", list(self.parameters()), likelihood)]

    def log_prob(self, x: Tensor, condition: Tensor) -> Tensor:
        """log p(discriminants | protected columns), (events,), as of independent ones."""
        z, log_det = self._mapped(x, condition)
        return log_det - 0.5 * (z * z).sum(1) - 0.5 * self.columns * math.log(2 * math.pi)

    def forward(self, x: Tensor, condition: Tensor) -> Tensor:
        """Decorrelated discriminants, (events, columns), in float64: above 1 - 6e-8 float32 knows no ranks.

        What is equal stays equal, to the last bit.

        Args:
            x: discriminants, (events, columns), standardised as those of the training.
            condition: protected columns, (events, conditions).
        """
        # The last few numbers of an array are not computed in vectors, and differ from others in the last bit.
        more = -len(x) % _TOGETHER
        x, condition = (torch.cat([one, one[-1:].expand(more, -1)]) for one in (x, condition))
        z = self._mapped(x.double(), condition)[0][: len(x) - more]
        return z if self.options.output == "normal" else cumulative_normal(z)

    def _mapped(self, x: Tensor, condition: Tensor) -> tuple[Tensor, Tensor]:
        """Standard normal values, and log|det J| of shape (events,); events last inside."""
        values, protected = x.T.contiguous(), with_waves(condition, self.options.waves).T.contiguous()
        log_det = x.new_zeros(len(x))
        for layer in self.layers:
            values, change = cast("SplineCoupling", layer)(protected[:0], values, protected)
            log_det = log_det + change
        return values.T, log_det


def cumulative_normal(z: Tensor) -> Tensor:
    """The cumulative standard normal in float64, strictly inside (0, 1).

    Beyond 5 deviations, where 3e-7 of the events lie, a rational tail with the same value and slope there takes its
    place, which goes on increasing where float64 would have rounded to 1: neighbours in float32 are told apart up to
    about 20 deviations, and none change places anywhere.

    Example:
        >>> cumulative_normal(torch.tensor([-1.0, 0.0, 5.0, 12.0]).double()).tolist()
        [0.15866, 0.5, 0.9999997, 0.99999999]
    """
    tail = _BEYOND / (1 + _STEEPNESS * (z.abs() - _EDGE).clamp(min=0))
    middle = torch.special.ndtr(z.clamp(-_EDGE, _EDGE))
    return torch.where(z > _EDGE, 1 - tail, torch.where(z < -_EDGE, tail, middle))
