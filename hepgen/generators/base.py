"""The protocol of a generator: a model of one stage, and the objectives that train it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

from torch import Tensor, nn

from hepgen.generators.networks.dropout import Dropout


@dataclass(frozen=True)
class NoiseSpec:
    """One named array of random numbers: its shape without the events axis, and its law.

    Attributes:
        shape: of an event; of a constituent where ``points`` is set.
        law: ``normal``, or ``uniform`` on [0, 1).
        points: whether there is one for each constituent of a cloud: the array is (events, constituents, *shape).
    """

    name: str
    shape: tuple[int, ...]
    law: str = "normal"
    points: bool = False


def _nothing(x: Tensor) -> Tensor:
    return x[:, :0]


@dataclass
class StageBatch:
    """What a generator is trained on.

    Attributes:
        x: (events, features), generator space; of a cloud (events, constituents, features).
        condition: (events, conditions).
        weight: (events,), mean 1 over the training sample; may be negative.
        observe: features of these events, true or made, to their observables, (events, observables), differentiable.
        mask: (events, constituents), true for constituents and false for padding, which stands behind them; None where
            an event is one vector.
        source: as many events of another sample, where a map from that sample to this one is trained.
    """

    x: Tensor
    condition: Tensor
    weight: Tensor | None = None
    observe: Callable[[Tensor], Tensor] = _nothing
    mask: Tensor | None = None
    source: StageBatch | None = None

    @property
    def points(self) -> int:
        """The largest number of constituents that events of any sample are padded to; 0 where an event is one vector."""
        own = 0 if self.mask is None else self.mask.shape[1]
        return own if self.source is None else max(own, self.source.points)


@dataclass
class Objective:
    """A loss, the parameters that it trains, and how many steps of it make a round.

    ``loss(batch, noise)`` gives one value per event, shape (events,), or a scalar; the training loop applies the
    event weights to the former. ``noise`` holds the arrays of ``noise_spec``, with the events axis in front.
    """

    name: str
    parameters: list[nn.Parameter]
    loss: Callable[[StageBatch, Mapping[str, Tensor]], Tensor]
    steps: int = 1
    noise: tuple[NoiseSpec, ...] = ()
    optimizer: dict[str, Any] = field(
        default_factory=dict
    )  # overrides: kind (adam, rmsprop), learning_rate, betas, weight_decay
    phase: int = 0


class Trainable(nn.Module, ABC):
    """What the training loop trains: objectives over batches of one stage."""

    # Whether a checkpoint is chosen by a physics score on held-out events rather than by the validation loss.
    select_by_score: ClassVar[bool] = False
    # Whether exact values (voxels of 0, whole numbers) are spread by noise in training, as a likelihood needs them; if
    # not, all stand at the stage's ``still``.
    dequantised: bool = True

    @abstractmethod
    def objectives(self) -> list[Objective]:
        """What training minimises, in the order of a round."""

    def anneal(self, factor: float) -> None:
        """Told before every step the factor of the learning rate, in [0, 1]: dropout fades with it."""
        for module in self.modules():
            if isinstance(module, Dropout):
                module.fade(factor)

    def sampling_parameters(self) -> list[str]:
        """Names of the tensors of ``state_dict`` that sampling needs: what the bundle and the EMA hold."""
        return list(self.state_dict())


class Generator(Trainable):
    """A generative model of one stage: of vectors, or of clouds of constituents in no order.

    Args:
        features: number of features of an event, or of a constituent of a cloud.
        conditions: number of conditioning features, columns of condition; may be 0.
        options: the family's options, an instance of its pydantic model in ``hepgen.config.families``.
        observables: number of observables that a batch gives; most families have no use for them.
        points: the largest number of constituents of a cloud in the training events; 0 where an event is one vector.
    """

    family: ClassVar[str]

    def __init__(self, features: int, conditions: int, points: int = 0) -> None:
        super().__init__()
        self.features = features
        self.conditions = conditions
        self.points = points

    @abstractmethod
    def noise_spec(self) -> tuple[NoiseSpec, ...]:
        """The random numbers that ``sample`` takes."""

    @abstractmethod
    def sample(self, noise: Mapping[str, Tensor], condition: Tensor, mask: Tensor | None = None) -> Tensor:
        """A pure function of noise (events, ...) and condition (events, conditions) to x (events, features).

        A cloud has a mask (events, constituents) and gives (events, constituents, features); padding is 0.
        """

    def log_prob(self, x: Tensor, condition: Tensor, mask: Tensor | None = None) -> Tensor:
        """log p(x | condition), shape (events,), where the family has one."""
        raise TypeError(f"the family '{self.family}' has no likelihood")
