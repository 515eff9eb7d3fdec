"""The closure test: what a method moves where there is nothing to move."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

import awkward as ak
import numpy as np
from numpy.typing import NDArray
from scipy.spatial.distance import cdist

from hepgen.events.select import WEIGHT as EVENT_WEIGHT
from hepgen.events.select import select_events
from hepgen.events.source import EventSource
from hepgen.morphing.apply import OLD, WEIGHT, Morphing
from hepgen.morphing.held_out import drawn
from hepgen.morphing.model import MorphModel
from hepgen.morphing.moving import encoded
from hepgen.morphing.pairing import assigned
from hepgen.morphing.wanted import KeptConditions
from hepgen.morphing.weighting import effective_sample_size

LARGE = 3.0
"""Standard deviations above which a shift is more than the statistics of the two halves explain."""
_MATCHED = 2000
"""Events of either half that are matched one to one."""


@dataclass
class Closure:
    """What a map between two halves of one sample did to the first.

    Attributes:
        events: of the half that was moved, as many as were looked at.
        distance: mean distance of a move, in widths of the features; NaN for weights.
        apart: the same for the least movement that makes events of one half those of the other, one to one: what lies
            between two such samples by their statistics. NaN for weights.
        shifts: by column, the change of its mean in units of its statistical error with two such halves.
    """

    events: int
    distance: float
    apart: float = math.nan
    shifts: dict[str, float] = field(default_factory=dict)

    @property
    def worst(self) -> tuple[str, float]:
        """The column whose mean is shifted most, and by how many standard deviations."""
        return max(self.shifts.items(), key=lambda one: abs(one[1]), default=("", 0.0))

    @property
    def holds(self) -> bool:
        """Whether nothing moved by more than its statistics: no mean, and events no further than the halves are apart."""
        return not self.distance > self.apart and all(abs(value) <= LARGE for value in self.shifts.values())

    def words(self) -> list[str]:
        """What to say of it."""
        name, worst = self.worst
        moved = []
        if not math.isnan(self.distance):
            moved = [
                f"mean distance {self.distance:.3g} widths of the features, {self.apart:.3g} lie between the halves"
            ]
        if name:
            moved.append(f"largest shift of a mean: {name}, {worst:+.1f} standard deviations")
        verdict = "no more than its statistics" if self.holds else "MORE than its statistics"
        return [f"closure, one half of the source onto the other: {'; '.join(moved)}", f"it moves {verdict}"]

    def to_dict(self) -> dict[str, Any]:
        """As JSON."""
        distance, apart = (None if math.isnan(one) else one for one in (self.distance, self.apart))
        return {
            "events": self.events, "distance": distance, "apart": apart, "shifts": self.shifts, "holds": self.holds,
        }  # fmt: skip


def closure_of(model: MorphModel, half: EventSource, other: EventSource, seed: int, *, most: int = 100_000) -> Closure:
    """Apply a map that was learned between two halves of a sample to the first half.

    A mean that was learned from n events on either side fluctuates by sqrt(2 / n) of the column's width, whatever the
    method; a method that moves it by more adds something of its own. Nor does an event have to go further than to the
    one of the other half that the least movement of all assigns to it: a method that moves events by more on average,
    for instance because it makes them anew, moves them for no reason that lies in the samples.

    Args:
        model: trained with ``closure: true``.
        half, other: the events that it was trained to move, and those that it was trained to move them onto; ``_weight``
            among their columns where there are weights.
        seed: of random numbers.
        most: events to look at.
    """
    column = model.facts.get("weighting", {}).get("column")
    if column is not None:  # the training has given it another name
        half = select_events(half, derived={column: EVENT_WEIGHT})
    morphing = Morphing(model, half, seed=seed, old_values=model.moves, policy="morph")
    names = [
        one.name for one in half.schema
        if one.name in model.moved and not one.jagged and not one.shape
    ]  # fmt: skip
    found: dict[str, list[NDArray[np.float64]]] = {name: [] for name in names}
    old: dict[str, list[NDArray[np.float64]]] = {name: [] for name in names}
    given: list[NDArray[np.float64]] = []
    new: list[NDArray[np.float64]] = []
    for batch in morphing.batches():
        for name in names:
            found[name].append(_numbers(batch, name))
            old[name].append(_numbers(batch, name + OLD) if model.moves else found[name][-1])
        given.append(_numbers(batch, EVENT_WEIGHT) if EVENT_WEIGHT in batch.fields else np.ones(len(batch)))
        new.append(given[-1] if model.moves else _numbers(batch, WEIGHT))
        if morphing.events >= most:
            break
    weights = [np.concatenate(one) if one else np.ones(0) for one in (given, new)]
    shifts = {name: _shift(np.concatenate(old[name]), np.concatenate(found[name]), *weights) for name in names}
    apart = _least_movement(model, half, other, seed) if model.moves else math.nan
    return Closure(morphing.events, morphing.distance, apart, shifts)


def _least_movement(model: MorphModel, half: EventSource, other: EventSource, seed: int) -> float:
    """Mean distance in the features between events of two samples, matched one to one at the least sum of squares.

    Events keep their conditions, which count as much as the features.
    """
    size = min(_MATCHED, half.num_events, other.num_events)
    ours, theirs = (_in_features(model, one, size, seed, side) for side, one in enumerate((half, other)))
    theirs = theirs[assigned(cdist(ours, theirs, "sqeuclidean"))]
    features = model.space.stage.features
    return float(np.linalg.norm((ours - theirs)[:, :features], axis=1).mean())


def _in_features(model: MorphModel, source: EventSource, size: int, seed: int, side: int) -> NDArray[np.float64]:
    """Features and conditions of so many events, as the method sees them, (events, features + conditions)."""
    found = []
    for block, batch in enumerate(drawn(model, source, size, seed, side)):
        events = encoded(model, block, batch[list(model.schema.names)], KeptConditions(), seed)
        found.append(np.concatenate([events.x.double().numpy(), events.condition.double().numpy()], axis=1))
    return np.concatenate(found)


def _numbers(batch: ak.Array, name: str) -> NDArray[np.float64]:
    return np.asarray(batch[name], dtype=np.float64)


def _shift(
    before: NDArray[np.float64], after: NDArray[np.float64], given: NDArray[np.float64], new: NDArray[np.float64]
) -> float:
    """Change of a mean over its statistical error, from values and weights (events,); missing values do not count."""
    there = np.isfinite(before) & np.isfinite(after)
    events = effective_sample_size(given[there])
    if events < 2 or before[there].std() == 0:
        return 0.0
    change = np.average(after[there], weights=new[there]) - np.average(before[there], weights=given[there])
    return float(change / (before[there].std() * math.sqrt(2 / events)))
