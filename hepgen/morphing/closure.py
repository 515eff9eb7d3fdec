"""The closure test: what a method moves where there is nothing to move."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import awkward as ak
import numpy as np
from numpy.typing import NDArray
from scipy.stats import norm

from hepgen.events.select import WEIGHT as EVENT_WEIGHT
from hepgen.events.source import EventSource
from hepgen.morphing.apply import OLD, WEIGHT, Morphing
from hepgen.morphing.held_out import drawn
from hepgen.morphing.model import MorphModel
from hepgen.morphing.moving import encoded
from hepgen.morphing.wanted import KeptConditions
from hepgen.morphing.weighting import effective_sample_size

RARE = 0.003
"""Chance with which one of all shifts would be as large by the statistics of the two halves alone."""
TIMES = 3.0
"""How many times as far as the quantiles of the two halves are apart events may move: a map follows more than quantiles."""
_MOST_PAIRED = 20  # columns of which pairs are looked at
_QUANTILES = 50_000


@dataclass
class Closure:
    """What a map between two halves of one sample did to the first.

    Attributes:
        events: of the half that was moved, as many as were looked at.
        distance: mean distance of a move, in widths of the features; NaN for weights.
        apart: the mean distance that makes the quantiles of each column of one half those of the other: what lies between
            two such samples by their statistics. NaN for weights.
        shifts: by column, and by what else there is, the change of a mean (of a width, of a correlation) in units of its
            statistical error with two such halves.
    """

    events: int
    distance: float
    apart: float = math.nan
    shifts: dict[str, float] = field(default_factory=dict)

    @property
    def worst(self) -> tuple[str, float]:
        """What is shifted most, and by how many standard deviations."""
        return max(self.shifts.items(), key=lambda one: abs(one[1]), default=("", 0.0))

    @property
    def limit(self) -> float:
        """Standard deviations that the largest of so many shifts has by chance in 3 of 1000 samples."""
        return float(norm.isf(RARE / 2 / max(1, len(self.shifts))))

    @property
    def holds(self) -> bool:
        """Whether nothing moved by more than its statistics: no mean, width or correlation, nor events on average."""
        return not self.distance > TIMES * self.apart and abs(self.worst[1]) <= self.limit

    def words(self) -> list[str]:
        """What to say of it."""
        name, worst = self.worst
        moved = []
        if not math.isnan(self.distance):
            allowed = f"the quantiles of the halves are {self.apart:.3g} apart, {TIMES:.0f} times as much is allowed"
            moved = [f"mean distance {self.distance:.3g} widths of the features ({allowed})"]
        if name:
            moved.append(
                f"largest of {len(self.shifts)} shifts: {name}, {worst:+.1f} standard deviations of {self.limit:.1f} allowed"
            )
        verdict = "no more than its statistics" if self.holds else "MORE than its statistics"
        return [f"closure, one half of the source onto the other: {'; '.join(moved)}", f"it moves {verdict}"]

    def to_dict(self) -> dict[str, Any]:
        """As JSON."""
        distance, apart = (None if math.isnan(one) else one for one in (self.distance, self.apart))
        return {
            "events": self.events, "distance": distance, "apart": apart, "shifts": self.shifts, "holds": self.holds,
            "words": self.words(),
        }  # fmt: skip


def closure_of(model: MorphModel, half: EventSource, other: EventSource, seed: int, *, most: int = 100_000) -> Closure:
    """Apply a map that was learned between two halves of a sample to the first half.

    A mean that was learned from n events on either side fluctuates by sqrt(2 / n) of the column's width, whatever the
    method, and so do means of squares and of products (widths and correlations); a method that moves one by more adds
    something of its own. On average events have to go about as far as the quantiles of the halves are apart, and somewhat
    further where a map follows more than quantiles: a method that moves them by several times that, for instance because
    it makes them anew, moves them for no reason that lies in the samples.

    Args:
        model: trained with ``closure: true``.
        half, other: the events that it was trained to move, and those that it was trained to move them onto; ``_weight``
            among their columns where there are weights.
        seed: of random numbers.
        most: events to look at.
    """
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
    before, after = (
        {name: np.concatenate(one[name]) if one[name] else np.ones(0) for name in names} for one in (old, found)
    )
    return Closure(
        morphing.events, morphing.distance, _between_quantiles(model, half, other, seed) if model.moves else math.nan,
        _shifts(before, after, weights),
    )  # fmt: skip


def _shifts(
    before: dict[str, NDArray[np.float64]],
    after: dict[str, NDArray[np.float64]],
    weights: Sequence[NDArray[np.float64]],
) -> dict[str, float]:
    """Changes of means, widths and correlations over their errors; a column of one value has none."""
    scaled: dict[str, tuple[NDArray[np.float64], NDArray[np.float64]]] = {}
    for name, values in before.items():
        there = np.isfinite(values)
        if there.any() and values[there].std() > 0:
            middle, width = values[there].mean(), values[there].std()
            # of long tails one event is most of a square
            scaled[name] = tuple(np.clip((one[name] - middle) / width, -5, 5) for one in (before, after))
    found = {name: _shift(*pair, *weights) for name, pair in scaled.items()}
    for name, (was, now) in scaled.items():
        found[f"width of {name}"] = _shift(was**2, now**2, *weights)
    for one, other in itertools.combinations(list(scaled)[:_MOST_PAIRED], 2):
        products = (scaled[one][side] * scaled[other][side] for side in (0, 1))
        found[f"{one} with {other}"] = _shift(*products, *weights)
    return found


def _between_quantiles(model: MorphModel, half: EventSource, other: EventSource, seed: int) -> float:
    """Mean distance, in the features, between the quantiles of two samples, as of all their events.

    Quantiles of n events fluctuate by 1 / sqrt(n): those of fewer are scaled.
    """
    sides = half, other
    size = min(_QUANTILES, *(side.num_events for side in sides))
    features = model.space.stage.features
    ours, theirs = (
        np.sort(_in_features(model, one, size, seed, side)[:, :features], axis=0) for side, one in enumerate(sides)
    )
    rows = min(len(ours), len(theirs))
    apart = np.abs(ours[:rows] - theirs[:rows])
    # an event's columns have ranks of their own: of each column the mean square counts
    mean = float(np.sqrt((apart**2).mean(axis=0).sum()))
    return mean * math.sqrt(rows / min(side.num_events for side in sides))


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
