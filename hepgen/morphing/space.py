"""The space in which events are moved: the features of all stages of a representation side by side."""

from __future__ import annotations

import torch
from torch import Tensor

from hepgen.errors import ConfigError
from hepgen.representations.base import Representation, Stage, Tensors

STAGE = "events"
"""Name of the one stage of a joined space."""


class JoinedSpace:
    """One vector an event: the features of a representation's stages, given the event's own conditions alone.

    A generator makes stage after stage, each given those before it. A map moves an event as a whole: columns of a table
    with its flags and counts, a shower's energies with its shapes. It stands in the place of the representation where
    batches are made for a training.

    Args:
        representation: fitted.

    Raises:
        ConfigError: if a stage makes clouds.
    """

    def __init__(self, representation: Representation) -> None:
        self.representation = representation
        self._parts = representation.stages
        for stage in self._parts:
            if stage.points:
                raise ConfigError(
                    "constituents of jets are not moved by this version", where="representation.kind",
                    hint="move the numbers of the jets: kind table with their columns",
                )  # fmt: skip

    @property
    def stage(self) -> Stage:
        first = self._parts[0]
        return Stage(
            STAGE,
            sum(one.features for one in self._parts),
            first.conditions,
            noise=sum(one.noise for one in self._parts),
            unnoise=sum(one.unnoise for one in self._parts),
        )

    @property
    def stages(self) -> tuple[Stage, ...]:
        return (self.stage,)

    def mask(self, stage: str, tensors: Tensors) -> Tensor | None:
        del stage, tensors
        return None

    def augment(self, cached: Tensors, noise: Tensor) -> Tensors:
        return self.representation.augment(cached, noise)

    def observables(self, stage: str, x: Tensor, cached: Tensors) -> Tensor:
        del stage, cached
        return x[:, :0]

    def features(self, stage: str, cached: Tensors, noise: Tensor) -> tuple[Tensor, Tensor]:
        """Features of all stages, (events, features), and the conditions of the first, (events, conditions)."""
        del stage
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
