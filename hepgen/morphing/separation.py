"""How well trees tell moved (or weighted) events from those of the target, beside what they did before; what to say of it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hepgen.classifiers.judging import Judgement, Verdict, judge
from hepgen.classifiers.trees import TreeClassifier
from hepgen.morphing.weighting import effective_sample_size

FEWEST = 200
"""Events of either side, and effective ones by their weights, below which trees see too little to say anything."""
SURE = 2.0
"""Standard deviations above which two AUC are said to differ."""
HARMFUL = 3.0
"""Standard deviations of the difference above which a map is said to make things worse: a word that stops a user."""
_FOLDS, _PARTS = 5, 10
_LARGEST_RATIO = 20.0

FloatArray = NDArray[np.float64]


@dataclass(frozen=True)
class Sample:
    """What is judged of some events.

    Attributes:
        features: (events, columns), NaN where a value is absent.
        conditions: how many of the columns, the first ones, are conditions.
        weights: (events,), may be negative.
    """

    features: FloatArray
    conditions: int
    weights: FloatArray

    def __len__(self) -> int:
        return len(self.features)

    def take(self, rows: slice) -> Sample:
        return Sample(self.features[rows], self.conditions, self.weights[rows])


@dataclass(frozen=True)
class Area:
    """An AUC and its statistical error."""

    value: float
    error: float

    def __str__(self) -> str:
        return f"{self.value:.3f} +- {self.error:.3f}"

    def above(self, other: Area) -> bool:
        """Whether it is larger by more than the errors, of independent events, explain."""
        return self.value - other.value > SURE * math.hypot(self.error, other.error)


@dataclass(frozen=True)
class Separation:
    """How well held-out events of the source are told from held-out ones of the target.

    Attributes:
        reason: why nothing was measured; empty where it was.
        verb: ``moved`` or ``weighted``.
        before, after: AUC of the events of the source as they are, and moved or weighted, against the target.
        floor: AUC of one half of the target against the other.
        worse: whether ``after`` is larger than ``before`` by more than ``HARMFUL`` errors of the difference, which is known
            better than either, since both are of the same events; and larger than the floor by more than ``SURE`` errors.
            Below 0.5 nothing is told, and how far below says nothing.
        events, floor_events: of either side.
        effective: what the source's events are worth by their weights ``after``.
        seen: what the trees saw, in words.
        matched: AUC of the conditions alone, where events keep them and they differ: the source's were weighted to the
            conditions of the target then.
        seconds: that this took.
    """

    reason: str = ""
    verb: str = "moved"
    before: Area | None = None
    after: Area | None = None
    floor: Area | None = None
    worse: bool = False
    events: int = 0
    floor_events: int = 0
    effective: float = 0.0
    seen: str = ""
    matched: float | None = None
    seconds: float = 0.0

    @property
    def remains(self) -> bool:
        """Whether the source is still told from the target by more than the errors."""
        return self.after is not None and self.floor is not None and self.after.above(self.floor)

    def words(self) -> list[str]:
        """What to say of it, a line each; ``warning`` is not among them."""
        if self.reason:
            return [f"held-out events are not judged: {self.reason}"]
        worth = f", worth {self.effective:.0f}" if self.effective < 0.99 * self.events else ""
        areas = f"{self.verb} {self.after}, as they were {self.before}, target against target {self.floor}"
        sizes = f"{self.events} events a side{worth}, {self.floor_events} for the target against itself"
        return [
            f"held-out events, AUC of trees against the target: {areas}",
            f"(by {self.seen}; {sizes}; {self.seconds:.0f} s, which --budget does not count)",
            *self.remarks(),
        ]

    def remarks(self) -> list[str]:
        """What has to be said beside the figures, a sentence each."""
        found = []
        if self.matched is not None:
            found.append(
                f"the samples differ in their conditions (AUC {self.matched:.3f}), which events keep: for this, those of "
                "the source were weighted to the target's conditions"
            )
        if self.remains and not self.worse:
            found.append(f"{self.verb} events are still told from the target: longer training may bring them closer")
        return found

    @property
    def warning(self) -> str:
        """What a user must not miss; empty where there is nothing."""
        if not self.worse:
            return ""
        return (
            f"{self.verb} events are told from the target BETTER than before, AUC {self.after} and {self.before}: this is "
            "worse than doing nothing; train longer (--budget) if it is trained, or take another method, and check what it makes with "
            "'hepgen evaluate TARGET OUT'"
        )

    def to_dict(self) -> dict[str, Any]:
        """As JSON."""
        return asdict(self)

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> Separation:
        """What ``to_dict`` gave."""
        areas = {
            name: None if content[name] is None else Area(**content[name]) for name in ("before", "after", "floor")
        }
        return cls(**{**content, **areas})


def separation_of(
    target: Sample, before: Sample, after: Sample, seed: int, *, most: int, verb: str = "moved", matched: bool = False
) -> Separation:
    """Judge held-out events by trees that have not seen them, as many of either side.

    Args:
        target: in random order; up to twice ``most`` of them are of use.
        before, after: the same events of the source, in random order, as they are, and moved or weighted.
        seed: of divisions and trainings.
        most: events of either side.
        verb: what became of the events.
        matched: events keep their conditions: where those of the two samples differ, no map can make them alike, and
            the source's events get weights that do.

    Example:
        >>> random = np.random.default_rng(0)
        >>> def normals(mean): return Sample(random.normal(mean, 1, (1000, 1)), 0, np.ones(1000))
        >>> found = separation_of(normals(1), normals(0), normals(1), 0, most=1000)
        >>> found.before.value > 0.7, found.after.value < 0.55, found.worse, found.floor_events
        (True, True, False, 500)
    """
    size = min(most, len(target), len(before))
    if size < FEWEST:
        return Separation(
            f"the source has {len(before)} of them, the target {len(target)}, and {FEWEST} are needed of either; "
            "a larger share of validation events (split) gives more"
        )
    half = min(size, len(target) // 2)
    first, second = target.take(slice(half)), target.take(slice(half, 2 * half))
    target, before, after = (one.take(slice(size)) for one in (target, before, after))
    worth = min(effective_sample_size(one.weights) for one in (target, before, after))
    if min(float(one.weights.sum()) for one in (target, before, after, first, second)) <= 0 or worth < FEWEST:
        return Separation(f"by their weights they are worth {worth:.0f} events a side, and {FEWEST} are needed")
    differ: float | None = None
    if matched and target.conditions:
        differ, ratio = _matching(target, before, seed)
        before, after = (Sample(one.features, one.conditions, one.weights * ratio) for one in (before, after))
        worth = min(effective_sample_size(one.weights) for one in (before, after))
        if worth < FEWEST:
            apart = f"the samples differ in their conditions (AUC {differ:.3f}), which events keep"
            return Separation(
                f"{apart}: at those of the target the source's are worth {worth:.0f}, and {FEWEST} are needed"
            )
    was, found, at_floor = (
        _measured(_judged(target, before, seed), size),
        _measured(_judged(target, after, seed), size),
        _measured(_judged(first, second, seed), half),
    )
    change = _area([one - other for one, other in zip(found, was, strict=True)])
    harm = Area(min(change.value, found[0] - 0.5), change.error)
    return Separation(
        verb=verb,
        before=_area(was),
        after=_area(found),
        floor=_area(at_floor),
        worse=harm.value > HARMFUL * harm.error and _area(found).above(_area(at_floor)),
        events=size,
        floor_events=half,
        effective=effective_sample_size(after.weights),
        matched=differ,
    )


def _judged(reference: Sample, tested: Sample, seed: int) -> Judgement:
    return judge(
        TreeClassifier, reference.features, tested.features, seed, reference.weights, tested.weights, folds=_FOLDS
    )


def _measured(judgement: Judgement, size: int) -> list[float]:
    """AUC of all events, then of parts that share none: the same events in the same parts for samples of one size."""
    return judgement.measure(Verdict.auc, _PARTS if size >= FEWEST else _FOLDS)


def _area(measured: list[float]) -> Area:
    """The spread of parts over the root of their number is the error of the whole."""
    parts = np.array(measured[1:])
    return Area(measured[0], float(parts.std(ddof=1) / math.sqrt(len(parts))))


def _matching(target: Sample, source: Sample, seed: int) -> tuple[float | None, FloatArray]:
    """Weights of the source's events, (events,), that give their conditions the law of the target's.

    Ratios by trees that have not seen the event. All 1 where the trees do not tell the conditions apart, and the AUC of
    the conditions is None then.
    """
    ones = np.ones(len(source))
    ours, theirs = (Sample(one.features[:, : one.conditions], one.conditions, one.weights) for one in (source, target))
    judgement = _judged(theirs, ours, seed)
    apart = _area(_measured(judgement, len(source)))
    if not apart.above(Area(0.5, 0.0)):
        return None, ones
    every = judgement.whole()
    chosen = every.labels < 0.5
    chance = np.clip(every.smooth[chosen], 1e-9, 1 - 1e-9)
    ratio = np.empty(len(source))
    ratio[every.rows[chosen] - len(target)] = np.minimum(chance / (1 - chance), _LARGEST_RATIO)
    return apart.value, ratio
