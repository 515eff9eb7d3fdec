"""The protocol of a representation: events to tensors and back, in named stages.

The road of one event through a representation::

    batch --pack--> physical tensors --encode--> cached (noise-free) --features(noise)--> generator space
    batch <--unpack-- physical tensors <------------decode--------------------------------- generator space
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Protocol, runtime_checkable

import awkward as ak
from torch import Tensor

from hepgen.events.source import EventSource

Tensors = dict[str, Tensor]
"""Named tensors that share their first axis, the events."""
COUNT = "count"
"""Name of the cached tensor that holds the number of constituents of each event, (events,)."""


@dataclass(frozen=True)
class Stage:
    """One step of generation.

    Attributes:
        name: ``energies``, ``shapes``, ``columns``, ...
        features: number of features that the generator of this stage models, of an event or of each constituent.
        conditions: number of conditioning features it is given.
        noise: number of uniform random numbers per event (or constituent) that dequantise the features in training.
        unnoise: number of uniform random numbers per event that decoding takes (0 where decoding is deterministic).
        still: the random number in the place of all that dequantise, for generators that learn exact values as such.
        observables: number of observables, see ``Representation.observables``.
        points: the largest number of constituents that was seen, where an event is a cloud of them; else 0.
    """

    name: str
    features: int
    conditions: int
    noise: int = 0
    unnoise: int = 0
    still: float = 0.5
    observables: int = 0
    points: int = 0

    @property
    def size(self) -> float:
        """How much there is to learn, for the share of the training time: one number without conditions is soon known."""
        if self.points:
            return self.features * self.points
        return self.features if self.features > 1 or self.conditions else 0.01


@dataclass(frozen=True)
class ConditionRange:
    """The validity range of one condition: what the training saw.

    ``values`` lists the distinct values where there are at most 64 of them (discrete beam energies), else is None.
    ``whole`` says that it holds whole numbers, ``labels`` that these name kinds, such as particle codes, so that nothing
    lies between two of them.
    """

    name: str
    low: float
    high: float
    unit: str = ""
    values: tuple[float, ...] | None = None
    labels: bool = False
    whole: bool = False

    @property
    def kinds(self) -> tuple[float, ...]:
        """The only values that there are, empty where any number in the range makes sense."""
        return self.values or () if self.labels else ()


class Vectors:
    """What a representation says whose every stage makes one vector an event."""

    ordered: bool = False

    @property
    def ragged(self) -> tuple[str, ...]:
        return ()

    def mask(self, stage: str, tensors: Tensors) -> Tensor | None:
        """None: no stage makes clouds."""
        del stage, tensors
        return None

    def scored(self, tensors: Tensors) -> Tensors:
        """The physical tensors themselves."""
        return tensors


@runtime_checkable
class Representation(Protocol):
    """Events to tensors and back; fitted once, then plain numbers.

    Shapes: ``pack`` gives physical tensors, among them ``condition`` of shape (events, conditions) in physical units
    (possibly with zero columns). ``encode`` gives float32 tensors, noise-free, one or more per stage, that a cache may
    hold. ``features`` maps cached tensors and noise of shape (events, stage.noise) in [0, 1) to the generator's space.
    ``ordered`` is set before the fit where events will be moved: each feature then grows with what it stands for.

    A stage of clouds has features of shape (events, constituents, stage.features), noise of (events, constituents,
    stage.noise), and a ``mask``. Cached tensors that ``ragged`` names have an axis of constituents, padded, behind
    the events, and the cached tensor ``count`` says how many there are.
    """

    kind: ClassVar[str]
    ordered: bool = False

    @property
    def stages(self) -> tuple[Stage, ...]: ...

    @property
    def condition_names(self) -> tuple[str, ...]: ...

    @property
    def validity(self) -> tuple[ConditionRange, ...]: ...

    def fit(self, source: EventSource) -> None:
        """Fit every map, streaming over the source."""
        ...

    def pack(self, batch: ak.Array) -> Tensors: ...

    def unpack(self, tensors: Tensors) -> ak.Array: ...

    def encode(self, tensors: Tensors) -> Tensors: ...

    @property
    def ragged(self) -> tuple[str, ...]:
        """Cached tensors with an axis of constituents; the cached tensor ``count`` says how many of them there are."""
        ...

    def mask(self, stage: str, tensors: Tensors) -> Tensor | None:
        """Which constituents of a cloud there are, (events, constituents), from cached tensors or what was decoded so far.

        None for a stage in which an event is one vector.
        """
        ...

    def augment(self, cached: Tensors, noise: Tensor) -> Tensors:
        """Apply a random symmetry of the detector; noise has shape (events,), uniform. Identity where there is none."""
        ...

    def features(self, stage: str, cached: Tensors, noise: Tensor) -> tuple[Tensor, Tensor]:
        """Generator-space features (events, stage.features) and conditions (events, stage.conditions)."""
        ...

    def observables(self, stage: str, x: Tensor, cached: Tensors) -> Tensor:
        """What physics looks at in features of events with the conditions of ``cached``: (events, stage.observables).

        Differentiable in x and of about unit width, for networks that judge features and would not see it in them.
        """
        ...

    def scored(self, tensors: Tensors) -> Tensors:
        """Physical tensors in the form in which a physics score compares them, column by column, (events, columns)."""
        ...

    def log_abs_det(self, stage: str, cached: Tensors, noise: Tensor) -> Tensor:
        """log|det J| of ``features`` with respect to the stage's physical quantities, per event, shape (events,).

        Raises:
            TypeError: for a stage that has none.
        """
        ...

    def start(self, condition: Tensor) -> Tensors:
        """Begin a generated event from physical conditions of shape (events, conditions)."""
        ...

    def stage_condition(self, stage: str, tensors: Tensors) -> Tensor:
        """Conditions of a stage from what has been decoded so far, the same numbers as ``features`` gives."""
        ...

    def decode(self, stage: str, x: Tensor, tensors: Tensors, noise: Tensor) -> Tensors:
        """Turn generator-space features of one stage into physical tensors, added to those decoded so far.

        ``noise`` has shape (events, stage.unnoise), uniform in [0, 1).
        """
        ...

    def state(self) -> dict[str, Any]:
        """Everything that was fitted, as JSON-able plain numbers."""
        ...

    @classmethod
    def from_state(cls, state: dict[str, Any]) -> Representation: ...
