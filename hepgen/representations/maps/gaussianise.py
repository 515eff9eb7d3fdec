"""Every column through its own cumulative distribution to a standard normal, atoms spread by noise, and back."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from hepgen.representations.maps.distribution import Distribution

_LOG_SQRT_TAU = 0.5 * math.log(2 * math.pi)
_MARGIN = 1e-7  # probability kept free at both ends of a noisy interval: the rounding of z to float32 stays inside it
_TINY = 1e-300


@dataclass(frozen=True)
class Interval:
    """Where values lie in cumulative probability; all of shape (events, columns), float64.

    Attributes:
        low: lower end; the value itself where the width is 0.
        width: probability that noise has to be spread over: 0 in a continuum.
        log_slope: log of probability per unit of the column (continuum, integer) or of the probability itself (atom).
    """

    low: Tensor
    width: Tensor
    log_slope: Tensor

    def noised(self, noise: Tensor) -> Tensor:
        """z of shape (events, columns) from noise in [0, 1) of the same shape."""
        return spread(self.low, self.width, noise)


def spread(low: Tensor, width: Tensor, noise: Tensor) -> Tensor:
    """z = probit(low + width * noise), kept a little away from the ends of the interval; any one shape, float64."""
    margin = torch.clamp(0.25 * width, max=_MARGIN)
    z: Tensor = torch.special.ndtri(low + margin + (width - 2 * margin) * noise)
    return z


def log_normal(z: Tensor) -> Tensor:
    """Log density of the standard normal, element by element."""
    return -0.5 * z * z - _LOG_SQRT_TAU


class Gaussianise(nn.Module):
    """Columns to standard normals by their cumulative distributions, and back by the generalised inverse.

    Forward is z = probit(F(x)), where F jumps at an atom and the noise says where in the jump. So every column, be it
    smooth, spiked, whole-numbered or discrete, becomes a standard normal, and the order of the values is kept.
    The inverse never leaves the range of the knots, whatever z.

    Knots are found by a descent over powers of two, each step one comparison added up: no searchsorted, no branches.
    Everything runs in float64; z of at most 5 survives a rounding to float32 with 1e-6 relative in x.

    Warning:
        Values outside the knots are taken for the nearest end, values of a discrete column for the nearest atom.

    Args:
        distributions: one per column.

    Example:
        >>> import torch
        >>> from hepgen.representations.maps.distribution import Distribution
        >>> uniform = Distribution("continuous", (0.0, 10.0), (0.01, 0.99), (None,), centre=5.0, scale=1e6)
        >>> gaussianise = Gaussianise([uniform])
        >>> z = gaussianise(torch.tensor([[5.0], [7.5]]), torch.zeros(2, 1))
        >>> gaussianise.inverse(z).squeeze(1).tolist()
        [5.0, 7.5]
    """

    ends: Tensor
    thresholds: Tensor
    levels: Tensor
    lower: Tensor
    rise: Tensor
    start: Tensor
    run: Tensor
    reach: Tensor
    atoms: Tensor
    is_integer: Tensor
    centre: Tensor
    scale: Tensor

    def __init__(self, distributions: Sequence[Distribution]) -> None:
        super().__init__()
        self.distributions = every = tuple(distributions)
        most = max((len(distribution.atoms) for distribution in every), default=1)
        self._depth = max(1, math.ceil(math.log2(most)))
        segments = 2**self._depth

        def keep(name: str, rows: Sequence[Sequence[float] | Tensor], width: int, fill: float) -> None:
            table = torch.full((len(rows), width), fill, dtype=torch.float64)
            for index, row in enumerate(rows):
                table[index, : len(row)] = torch.as_tensor(row, dtype=torch.float64)
            self.register_buffer(name, table)

        centre = torch.tensor([distribution.centre for distribution in every], dtype=torch.float64)
        scale = torch.tensor([distribution.scale for distribution in every], dtype=torch.float64)
        knots = [torch.tensor(distribution.knots, dtype=torch.float64) for distribution in every]
        stretched = [torch.asinh((x - c) / s) for x, c, s in zip(knots, centre, scale, strict=True)]
        heights = [torch.tensor(distribution.probabilities, dtype=torch.float64) for distribution in every]
        keep("thresholds", [x[1:-1] for x in knots], segments - 1, math.inf)
        keep("levels", [height[1:-1] for height in heights], segments - 1, math.inf)
        keep("lower", [height[:-1] for height in heights], segments, 0.0)
        keep("rise", [height.diff() for height in heights], segments, 1.0)
        keep("start", [t[:-1] for t in stretched], segments, 0.0)
        keep("run", [t.diff().clamp(min=_TINY) for t in stretched], segments, 1.0)
        keep("reach", [x.diff() for x in knots], segments, 1.0)
        atoms = [[math.nan if atom is None else atom for atom in distribution.atoms] for distribution in every]
        keep("atoms", atoms, segments, math.nan)
        self.register_buffer("is_integer", torch.tensor([d.kind == "integer" for d in every], dtype=torch.bool))
        self.register_buffer("centre", centre)
        self.register_buffer("scale", scale)
        last = [x[-1] - float(d.kind == "integer") for x, d in zip(knots, every, strict=True)]
        ends = [
            [float(x[0]), float(top), float(h[0]), float(h[-1])] for x, top, h in zip(knots, last, heights, strict=True)
        ]
        self.register_buffer("ends", torch.tensor(ends, dtype=torch.float64).reshape(-1, 4).T.contiguous())

    @property
    def noisy(self) -> tuple[bool, ...]:
        """For each column whether its forward map takes noise."""
        return tuple(distribution.noisy for distribution in self.distributions)

    def _segment(self, table: Tensor, x: Tensor) -> Tensor:
        """Where the segment of x lies in the flat tables of segments, shape (events, columns).

        It is the number of entries of the column's ascending ``table`` that are <= x, plus the column's offset.
        """
        column = torch.arange(table.shape[0], device=x.device)
        place = (column * table.shape[1] - 1).expand(x.shape)
        for power in range(self._depth - 1, -1, -1):
            ahead = place + 2**power
            place = torch.where(x >= torch.take(table, ahead), ahead, place)
        return place + (column + 1)

    def interval(self, x: Tensor) -> Interval:
        """Interval of cumulative probability of each value x of shape (events, columns)."""
        x = torch.clamp(x.double(), self.ends[0], self.ends[1])
        segment = self._segment(self.thresholds, x)
        rise, run, reach = (torch.take(table, segment) for table in (self.rise, self.run, self.reach))
        atom = ~torch.isnan(torch.take(self.atoms, segment))
        away = x - self.centre
        place = torch.clamp((torch.asinh(away / self.scale) - torch.take(self.start, segment)) / run, 0.0, 1.0)
        width = torch.where(atom, rise, torch.where(self.is_integer, rise / reach, 0.0))
        stretch = torch.where(self.is_integer, reach, run * torch.sqrt(away * away + self.scale * self.scale))
        slope = torch.where(atom, rise, rise / stretch)
        low = torch.take(self.lower, segment) + torch.where(atom, 0.0, place * rise)
        return Interval(low, width, torch.log(torch.clamp(slope, min=_TINY)))

    def forward(self, x: Tensor, noise: Tensor) -> Tensor:
        """z of x and of noise in [0, 1), all of shape (events, columns)."""
        return self.interval(x).noised(noise)

    def log_abs_det(self, x: Tensor, noise: Tensor) -> Tensor:
        """log|dz/dx|, for an atom log of its probability over the density of z: shape (events,)."""
        interval = self.interval(x)
        return (interval.log_slope - log_normal(interval.noised(noise))).sum(1)

    def inverse(self, z: Tensor) -> Tensor:
        """x of z, shape (events, columns), float64."""
        probability = torch.clamp(torch.special.ndtr(z.double()), self.ends[2], self.ends[3])
        segment = self._segment(self.levels, probability)
        place = (probability - torch.take(self.lower, segment)) / torch.take(self.rise, segment)
        stretched = torch.take(self.start, segment) + torch.clamp(place, 0.0, 1.0) * torch.take(self.run, segment)
        x = self.centre + self.scale * torch.sinh(stretched)
        x = torch.clamp(torch.where(self.is_integer, torch.floor(x), x), self.ends[0], self.ends[1])
        atom = torch.take(self.atoms, segment)
        return torch.where(torch.isnan(atom), x, atom)

    def state(self) -> list[dict[str, Any]]:
        """The distributions as JSON-able plain numbers."""
        return [distribution.to_dict() for distribution in self.distributions]

    @classmethod
    def from_state(cls, state: Sequence[dict[str, Any]]) -> Gaussianise:
        return cls([Distribution.from_dict(one) for one in state])
