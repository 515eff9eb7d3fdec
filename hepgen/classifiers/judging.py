"""Two samples before a classifier: each event judged by one that has not seen it, calibrated, with its scores."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from hepgen.classifiers.base import (
    FOLDS,
    Array,
    FloatArray,
    LabelledEvents,
    SampleClassifier,
    label,
    rotation,
    stratified_folds,
)
from hepgen.classifiers.calibration import area_under_curve, divergences, isotonic, jensen_shannon, logistic

_MIN_OF_PART = 10


@dataclass(frozen=True)
class Verdict:
    """Calibrated output of a classifier on events that it has not been trained on.

    Attributes:
        probability: of being reference, (events,), by isotonic calibration.
        smooth: the same by logistic calibration, for density ratios.
        labels: 1 for the reference, (events,).
        weights: (events,).
        rows: number of each event in the stack of reference and tested sample, (events,).
    """

    probability: FloatArray
    smooth: FloatArray
    labels: FloatArray
    weights: FloatArray
    rows: np.ndarray

    def __len__(self) -> int:
        return len(self.labels)

    def take(self, chosen: np.ndarray) -> Verdict:
        return Verdict(*(getattr(self, name)[chosen] for name in self.__dataclass_fields__))

    def auc(self) -> float:
        """Area under the ROC curve."""
        return area_under_curve(self.probability, self.labels, self.weights)

    def jsd(self) -> float:
        """Jensen-Shannon divergence in units of ln 2."""
        return jensen_shannon(self.probability, self.labels, self.weights)

    def divergences(self) -> dict[str, float]:
        """The f-divergences by the density ratio."""
        return divergences(self.smooth, self.labels, self.weights)

    def sides(self) -> tuple[int, int]:
        """Numbers of events of the tested sample and of the reference."""
        true = int(np.sum(self.labels > 0.5))
        return len(self) - true, true


@dataclass(frozen=True)
class Judgement:
    """The verdicts of several classifiers, each on a fold of its own, so that no event is judged twice."""

    folds: tuple[Verdict, ...]

    def whole(self) -> Verdict:
        """All verdicts behind one another."""
        names = Verdict.__dataclass_fields__
        return Verdict(*(np.concatenate([getattr(fold, name) for fold in self.folds]) for name in names))

    def chosen(self, rows: np.ndarray) -> Judgement:
        """Of some events only: flags by the number of an event in the stack."""
        return Judgement(tuple(fold.take(rows[fold.rows]) for fold in self.folds))

    def measure(self, score: Callable[[Verdict], float], parts: int) -> list[float]:
        """The mean of a score over the folds, and its value in at least ``parts`` parts of them that share no event."""
        pieces = -(-parts // len(self.folds))
        found = [float(np.mean([score(fold) for fold in self.folds]))]
        for fold in self.folds:
            for piece in range(pieces):
                part = fold.take(np.arange(piece, len(fold), pieces))
                found.append(score(part) if min(part.sides()) >= _MIN_OF_PART else float("nan"))
        return found


def judge(
    make: Callable[[], SampleClassifier],
    reference: Array,
    tested: Array,
    seed: int,
    reference_weights: FloatArray | None = None,
    tested_weights: FloatArray | None = None,
    *,
    folds: int = 1,
) -> Judgement:
    """Train on three fifths of the events, choose and calibrate on one, and judge the last; so in turn for some folds.

    Args:
        make: makes an untrained classifier.
        reference, tested: features, (events, features), about as many events each.
        seed: of the division and of the training.
        reference_weights, tested_weights: (events,).
        folds: how many of the five are judged.
    """
    events = label(reference, tested, reference_weights, tested_weights)
    divided = stratified_folds(events.labels, FOLDS, np.random.default_rng(seed))
    return Judgement(tuple(_verdict(make(), events, *rotation(divided, number), seed) for number in range(folds)))


def _verdict(
    classifier: SampleClassifier,
    events: LabelledEvents,
    train: np.ndarray,
    watch: np.ndarray,
    held: np.ndarray,
    seed: int,
) -> Verdict:
    watched = events.take(watch)
    classifier.fit(events.take(train), watched, seed)
    seen, judged = (classifier.predict(x) for x in (watched.features, events.features[held]))
    steps, smooth = (fit(seen, watched.labels, watched.weights)(judged) for fit in (isotonic, logistic))
    return Verdict(steps, smooth, events.labels[held], events.weights[held], held)
