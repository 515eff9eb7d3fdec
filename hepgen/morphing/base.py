"""The protocols of a morphing method: a map between two samples in the space of a representation, or weights."""

from __future__ import annotations

import importlib
from abc import abstractmethod
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from torch import Tensor

from hepgen.errors import ConfigError, UsageError
from hepgen.generators.base import NoiseSpec, Objective, StageBatch, Trainable

if TYPE_CHECKING:
    from hepgen.morphing.space import JoinedSpace


class Method(Trainable):
    """What ``task: morph`` trains: on a source sample and a target sample, both in the space of one representation.

    Batches of training have the target's events as ``x``, ``condition`` and ``weight``, and as many events of the
    source, drawn independently, as ``source``. Features are standard normal, roughly, over both samples together.
    A loss gives one scalar: the weights of the two samples are its own business (``weighted_mean``).

    A method that differentiates nothing has no objectives; its ``fit`` is handed both samples whole.

    Args:
        features: number of features of an event.
        conditions: number of conditioning features; may be 0.
        options: the method's options, an instance of its pydantic model in ``hepgen.config.morph_options``.
    """

    method: ClassVar[str]
    # Methods that are fitted, not trained by gradients, take at most so many events of either sample.
    most_events: int = 1_000_000
    # Whether it learns from samples of different conditions: events may change theirs, or be weighted to another one; set by
    # the options.
    changes_condition: bool = False
    # Whether it learns what is right at conditions that no event had, as far as the recipe sets the range of them.
    carries_on: ClassVar[bool] = False

    def __init__(self, features: int, conditions: int) -> None:
        super().__init__()
        self.features = features
        self.conditions = conditions

    def require(self) -> None:
        """Refuse to begin a fit without an optional library that it needs; what was fitted is applied without it.

        Raises:
            ConfigError: naming the library and how to get it.
        """

    def objectives(self) -> list[Objective]:
        return []

    def meet(self, space: JoinedSpace) -> None:
        """Told before a training what its features stand for; most methods need not know."""
        del space

    @property
    def moves_masses(self) -> bool:
        """Whether weights are masses to it, and cannot be negative."""
        return False

    def fit(self, source: StageBatch, target: StageBatch, random: np.random.Generator) -> None:
        """Fit a method that has no objectives."""
        del source, target, random

    def load(self, tensors: Mapping[str, Tensor]) -> None:
        """Take the tensors of a bundle; a method whose shapes depend on what was fitted makes room for them first."""
        self.load_state_dict(dict(tensors))


class Transport(Method):
    """A map of events of the source to events of the target.

    ``forward`` and ``inverse`` are pure functions of events, conditions and explicit noise. An event keeps its condition
    unless it is asked for another one: ``condition`` is that of the event that comes in, ``wanted`` that of the event that
    goes out, both (events, conditions), the same tensor where nothing is asked for.
    """

    # Whether ``inverse`` exists.
    invertible: ClassVar[bool] = True

    def noise_spec(self) -> tuple[NoiseSpec, ...]:
        """The random numbers that a map takes; most take none."""
        return ()

    @abstractmethod
    def forward(self, x: Tensor, condition: Tensor, wanted: Tensor, noise: Mapping[str, Tensor]) -> Tensor:
        """Events of the source, (events, features), to events like those of the target."""

    def inverse(self, y: Tensor, condition: Tensor, wanted: Tensor, noise: Mapping[str, Tensor]) -> Tensor:
        """Events of the target to events like those of the source.

        Raises:
            UsageError: where the method has no inverse.
        """
        raise UsageError(f"the method '{self.method}' has no inverse", hint="train with source and target exchanged")


class CloudTransport(Method):
    """A map of clouds of constituents, of the source to those of the target, each given what both its events are.

    What is of the event is moved before (by a ``Transport``): ``condition`` is what it was, ``wanted`` what it has become,
    and with it the number of constituents. What was cut away or filled up with noise is gone: an inverse is a map of its
    own, from clouds of the target to those of the source.

    Args:
        points: the largest number of constituents in the training events.
    """

    def __init__(self, features: int, conditions: int, points: int) -> None:
        super().__init__(features, conditions)
        self.points = points

    def noise_spec(self) -> tuple[NoiseSpec, ...]:
        """The random numbers that a map takes, those of constituents as many as go out."""
        return ()

    @abstractmethod
    def forward(
        self, x: Tensor, mask: Tensor, condition: Tensor, wanted: Tensor, there: Tensor, noise: Mapping[str, Tensor]
    ) -> Tensor:
        """Clouds (events, N, features) with ``mask`` (events, N) to (events, M, features) with ``there`` (events, M)."""

    @property
    def invertible(self) -> bool:
        """Whether ``inverse`` was learned."""
        return False

    def inverse(
        self, y: Tensor, mask: Tensor, condition: Tensor, wanted: Tensor, there: Tensor, noise: Mapping[str, Tensor]
    ) -> Tensor:
        """Clouds of the target to clouds of the source; arguments as those of ``forward``.

        Raises:
            UsageError: where none was learned.
        """
        raise UsageError("this map of constituents has no inverse")


class Reweighting(Method):
    """Weights that make the source look like the target; no event moves."""

    @abstractmethod
    def log_ratio(self, x: Tensor, condition: Tensor) -> Tensor:
        """log of p_target / p_source of events of the source, (events,); not normalised, not clipped.

        The condition is that of the event, or, where ``changes_condition``, any that the target shall have.
        """


def optional(module: str, extra: str, where: str, instead: str) -> Any:
    """A module of an optional library.

    Args:
        extra: the extra of hepgen that installs it.
        where: the key of the recipe that asks for it.
        instead: what to take where it cannot be installed.

    Raises:
        ConfigError: if it cannot be imported.

    Example:
        >>> optional("math", "", "", "").pi
        3.14
    """
    try:
        return importlib.import_module(module)
    except ImportError as error:
        hint = f"pip install 'hepgen[{extra}]', or {instead}"
        raise ConfigError(f"{extra} is not here ({error})", where=where, hint=hint) from error


def weighted_mean(values: Tensor, weight: Tensor | None) -> Tensor:
    """Mean of one value per event, (events,), times its weight, a scalar.

    Example:
        >>> import torch
        >>> weighted_mean(torch.tensor([1.0, 3.0]), torch.tensor([0.5, 1.5])).item()
        2.5
    """
    return values.mean() if weight is None else (values * weight).mean()


def two_samples(batch: StageBatch) -> tuple[StageBatch, StageBatch]:
    """Source and target of a batch of training.

    Raises:
        UsageError: if the batch is of one sample only.
    """
    if batch.source is None:
        raise UsageError("a morph is trained on two samples, this batch is of one", hint="train on PairBatches")
    return batch.source, batch


def build_method(name: str, features: int, conditions: int, options: Mapping[str, Any], points: int = 0) -> Method:
    """An untrained method of ``hepgen.config.methods``.

    Args:
        points: the largest number of constituents where events are clouds, else 0.

    Raises:
        ConfigError: if there is no such method, or it moves no clouds where ``points`` are given.
    """
    import importlib

    from hepgen.config.methods import find_clouds, find_method

    found = find_method(name)
    module, _, kind = (find_clouds(name) if points else found.path).partition(":")
    given = (points,) if points else ()
    method: Method = getattr(importlib.import_module(module), kind)(
        features, conditions, found.options.model_validate(dict(options)), *given
    )
    return method
