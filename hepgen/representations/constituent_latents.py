"""Constituents to latent space and back: a table whose distance from the axis is a vector on the plane of eta and phi.

The distance goes through its cumulative distribution to that of a normal vector in two dimensions, which keeps its direction:
a rotation about the axis is a rotation of latent vectors.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import awkward as ak
import torch
from torch import Tensor

from hepgen.events.source import EventSource
from hepgen.representations.base import Tensors
from hepgen.representations.cloud_axis import DISTANCE
from hepgen.representations.maps.gaussianise import Gaussianise
from hepgen.representations.table import TableRepresentation

ENCODED = ("z", "low", "low_rest", "width", "direction")
_LEAST = 1e-30


class ConstituentLatents:
    """A table of constituents, one of whose columns is the distance from the axis.

    Latent values of a constituent: those of the table but for the distance, then the vector on the plane.

    Args:
        table: of the constituents, all in one table.
    """

    def __init__(self, table: TableRepresentation) -> None:
        self.table = table

    @property
    def features(self) -> int:
        """Number of latent values of a constituent."""
        block = self.table.transform.columns
        return block.discrete_size + len(block.rest) + 1

    @property
    def noise(self) -> int:
        """Number of random numbers that spread its discrete values."""
        block = self.table.transform.columns
        return block.discrete_size + len(block.mixed)

    @property
    def names(self) -> tuple[str, ...]:
        """Columns that vary."""
        return tuple(fact.name for fact in self.table.transform.columns.facts)

    def ring(self, away: Tensor) -> Tensor:
        """Vectors from the axis (..., 2), in radians, to where constituents there lie in latent space."""
        distance = torch.linalg.vector_norm(away.double(), dim=-1, keepdim=True)
        block = self.table.transform.columns
        one = Gaussianise([block.gaussianise.distributions[self.names.index(DISTANCE)]])
        z = one.interval(distance.reshape(-1, 1)).noised(torch.tensor(0.5, dtype=torch.float64)).view(distance.shape)
        ring: Tensor = (_radius(z) * away / distance.clamp(min=_LEAST)).float()
        return ring

    @property
    def _place(self) -> int:
        """Of the distance among the latent values of the table."""
        block = self.table.transform.columns
        return block.discrete_size + block.rest.index(self.names.index(DISTANCE))

    def fit(self, source: EventSource) -> None:
        self.table.fit(source)

    def encode(self, rows: ak.Array, direction: Tensor) -> Tensors:
        """What a cache holds of constituents, and the direction from the axis, (constituents, 2)."""
        encoded = {**self.table.encode(self.table.pack(rows)), "direction": direction.float()}
        return {name: encoded[name] for name in ENCODED}

    def latent(self, encoded: Tensors, noise: Tensor, turn: Tensor | None = None) -> Tensor:
        """Latent values (events, constituents, features) of what ``encode`` gave, with an axis of events in front.

        Args:
            noise: (events, constituents, noise), in [0, 1).
            turn: (events, 2, 2), rotations and reflections of the events.
        """
        direction = encoded["direction"]
        events, points = direction.shape[:2]
        flat = {name: encoded[name].reshape(events * points, -1) for name in ENCODED}
        noise = noise.reshape(events * points, -1)
        if turn is not None:
            direction = torch.einsum("epi,eji->epj", direction, turn)
        transform, place = self.table.transform, self._place
        first = transform.columns.discrete_size
        z = torch.cat([transform.discrete(flat, noise[:, :first]), transform.rest(flat, noise[:, first:])], dim=1)
        radius = _radius(z[:, place])[:, None]
        x = torch.cat([z[:, :place], z[:, place + 1 :], radius * direction.reshape(-1, 2)], dim=1)
        return x.view(events, points, -1)

    def decode(self, latent: Tensor) -> tuple[ak.Array, Tensor]:
        """Rows of the table and directions (constituents, 2), from latent values (constituents, features)."""
        ring, place = latent[:, -2:].double(), self._place
        radius = torch.linalg.vector_norm(ring, dim=1)
        distance = -torch.special.ndtri(torch.exp(-0.5 * radius.square()).clamp(min=_LEAST))
        z = torch.cat([latent[:, :place], distance[:, None].float(), latent[:, place:-2]], dim=1)
        transform = self.table.transform
        first = transform.columns.discrete_size
        nothing = torch.empty(len(z), 0, dtype=torch.float64)
        columns = transform.inverse(transform.columns.settle(z[:, :first]), z[:, first:], nothing)
        away = torch.where(radius[:, None] > 0, ring / radius[:, None], torch.tensor([1.0, 0.0], dtype=torch.float64))
        return self.table.unpack({"condition": nothing, "columns": columns}), away


def _radius(z: Tensor) -> Tensor:
    """A standard normal to the length of a normal vector in two dimensions, by their cumulative distributions."""
    return torch.sqrt(-2 * torch.special.log_ndtr(-z))


def turns(noise: Tensor, mirrored: Sequence[int], *, rotate: bool) -> Tensor:
    """Random reflections, and rotations, of the plane of eta and phi: (events, 2, 2) from uniform noise (events,).

    Args:
        mirrored: axes (0 for eta, 1 for phi) that may be reflected; the n-th by the n-th bit of the number that
            ``TableTransform.mirror`` draws from the same noise.
        rotate: whether to rotate, too.

    Example:
        >>> turns(torch.tensor([0.1, 0.6]), [0], rotate=False)[:, 0, 0].tolist()
        [1.0, -1.0]
    """
    scaled = noise * 2 ** len(mirrored)
    chosen = scaled.long().clamp(max=2 ** len(mirrored) - 1)
    turn = torch.eye(2).repeat(len(noise), 1, 1)
    for place, axis in enumerate(mirrored):
        turn[:, axis, axis] = torch.where(chosen // 2**place % 2 == 1, -1.0, 1.0)
    if not rotate:
        return turn
    angle = 2 * math.pi * (scaled - chosen)
    cosine, sine = torch.cos(angle), torch.sin(angle)
    return turn @ torch.stack([torch.stack([cosine, -sine], 1), torch.stack([sine, cosine], 1)], 1)
