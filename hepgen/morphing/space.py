"""The space in which events are moved: the features of all stages of a representation side by side, clouds apart."""

from __future__ import annotations

import torch
from torch import Tensor

from hepgen.representations.base import Representation, Stage, Tensors

STAGE = "events"
"""Name of the stage of the joined features."""


class JoinedSpace:
    """One vector an event: the features of a representation's stages, given the event's own conditions alone.

    A generator makes stage after stage, each given those before it. A map moves an event as a whole: columns of a table
    with its flags and counts, a shower's energies with its shapes. It stands in the place of the representation where
    batches are made for a training.

    A stage of clouds stays a stage of its own, given the event that they belong to.

    Args:
        representation: fitted.
    """

    def __init__(self, representation: Representation) -> None:
        self.representation = representation
        self._parts = tuple(stage for stage in representation.stages if not stage.points)

    @property
    def stage(self) -> Stage:
        """That of the joined features."""
        first = self._parts[0]
        return Stage(
            STAGE,
            sum(one.features for one in self._parts),
            first.conditions,
            noise=sum(one.noise for one in self._parts),
            unnoise=sum(one.unnoise for one in self._parts),
        )

    @property
    def clouds(self) -> Stage | None:
        """The stage of the constituents, where events have any."""
        return next((stage for stage in self.representation.stages if stage.points), None)

    @property
    def stages(self) -> tuple[Stage, ...]:
        return (self.stage,) if self.clouds is None else (self.stage, self.clouds)

    def mask(self, stage: str, tensors: Tensors) -> Tensor | None:
        return None if stage == STAGE else self.representation.mask(stage, tensors)

    def augment(self, cached: Tensors, noise: Tensor) -> Tensors:
        return self.representation.augment(cached, noise)

    def observables(self, stage: str, x: Tensor, cached: Tensors) -> Tensor:
        del stage, cached
        return x.new_empty(len(x), 0)

    def features(self, stage: str, cached: Tensors, noise: Tensor) -> tuple[Tensor, Tensor]:
        """Features of all stages, (events, features), and the conditions of the first, (events, conditions); or of clouds."""
        if stage != STAGE:
            return self.representation.features(stage, cached, noise)
        noises = noise.split([one.noise for one in self._parts], dim=1)
        found = [
            self.representation.features(one.name, cached, part) for one, part in zip(self._parts, noises, strict=True)
        ]
        return torch.cat([x for x, _ in found], dim=1), found[0][1]

    def condition(self, physical: Tensor) -> Tensor:
        """Physical conditions, (events, conditions), as a method sees them."""
        return self.representation.stage_condition(self._parts[0].name, self.representation.start(physical)).float()

    def decode(self, x: Tensor, physical: Tensor, noise: Tensor) -> Tensors:
        """Features (events, features) and physical conditions to physical tensors; noise (events, stage.unnoise)."""
        tensors = self.representation.start(physical)
        features = x.split([one.features for one in self._parts], dim=1)
        noises = noise.split([one.unnoise for one in self._parts], dim=1)
        for one, part, unnoise in zip(self._parts, features, noises, strict=True):
            tensors = self.representation.decode(one.name, part, tensors, unnoise)
        return tensors
