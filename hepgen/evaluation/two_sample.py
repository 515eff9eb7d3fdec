"""Classifier two-sample tests: the score, its floor, and a control that shows whether the classifier can see at all."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from hepgen.classifiers.base import Array, FloatArray, SampleClassifier, divide, label
from hepgen.classifiers.calibration import area_under_curve, divergences, isotonic, jensen_shannon, logistic
from hepgen.evaluation.domain import ClassifierTest, Pool
from hepgen.evaluation.report import ScoreBook
from hepgen.evaluation.splits import ConditionBin, Split, permuted_at_equal_condition

BLIND_BELOW = 0.9
FRACTIONS = (0.6, 0.2)
"""Shares of the events for training and for the choice of the epoch and the calibration; the rest is judged."""

MIN_EVENTS = 50


@dataclass(frozen=True)
class Judgement:
    """Calibrated output of a classifier on the events of the third part.

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

    def auc(self, chosen: np.ndarray | None = None) -> float:
        """Area under the ROC curve, of the chosen events only where given."""
        use = slice(None) if chosen is None else chosen
        return area_under_curve(self.probability[use], self.labels[use], self.weights[use])


def judge(
    classifier: SampleClassifier,
    reference: Array,
    tested: Array,
    seed: int,
    reference_weights: FloatArray | None = None,
    tested_weights: FloatArray | None = None,
) -> Judgement:
    """Train on 60 % of the events, choose and calibrate on 20 %, and give the verdict on the last 20 %.

    Args:
        classifier: untrained.
        reference, tested: features, (events, features), about as many events each.
        seed: of the division and of the training.
        reference_weights, tested_weights: (events,).
    """
    events = label(reference, tested, reference_weights, tested_weights)
    train, watch, held = divide(events.labels, FRACTIONS, np.random.default_rng(seed))
    watched = events.take(watch)
    classifier.fit(events.take(train), watched, seed)
    seen, judged = (classifier.predict(x) for x in (watched.features, events.features[held]))
    steps, smooth = (fit(seen, watched.labels, watched.weights)(judged) for fit in (isotonic, logistic))
    return Judgement(steps, smooth, events.labels[held], events.weights[held], held)


def add_classifier_test(
    book: ScoreBook,
    test: ClassifierTest,
    reference: Pool,
    generated: Pool,
    splits: Sequence[Split],
    bins: Sequence[ConditionBin],
    seeds: Sequence[int],
) -> Judgement:
    """Add ``auc``, ``jsd`` and the other divergences with their floors, per bin of the condition too, and the control.

    For each split: generated against half A gives the score, half B against half A the floor. The control, once, is
    half B with a part permuted at equal condition against half A; below 0.9 the AUC is marked "blind".

    Args:
        book: where the scores go.
        test: features and classifier.
        reference, generated: pools; the splits number rows that have raw values.
        splits: one per repeat.
        bins: of the conditions.
        seeds: one per repeat.

    Returns:
        What the first classifier says of the first half A and the generated events.
    """
    judgements: list[Judgement] = []
    auc, jsd = test.score("auc"), test.score("jsd")
    for repeat, (split, seed) in enumerate(zip(splits, seeds, strict=True)):
        a = test.features(reference.raw[split.a], reference.conditions[split.a])
        made = test.features(generated.raw[split.generated], generated.conditions[split.generated])
        truth = test.features(reference.raw[split.b], reference.conditions[split.b])
        weights_a, weights_b = reference.weights[split.a], reference.weights[split.b]
        weights_made = generated.weights[split.generated]
        value = judge(test.classifier(), a, made, seed, weights_a, weights_made)
        floor = judge(test.classifier(), a, truth, seed, weights_a, weights_b)
        book.add(auc, value.auc(), floor.auc(), split.size)
        judgements.append(value)
        shannon = [jensen_shannon(x.probability, x.labels, x.weights) for x in (value, floor)]
        book.add(jsd, shannon[0], shannon[1], split.size)
        both = [divergences(x.smooth, x.labels, x.weights) for x in (value, floor)]
        for name in both[0]:
            book.add(test.score(name), both[0][name], both[1][name], split.size)
        conditions_a = reference.conditions[split.a]
        stacked = np.concatenate([conditions_a, generated.conditions[split.generated]])
        stacked_floor = np.concatenate([conditions_a, reference.conditions[split.b]])
        for one in bins:
            inside = one.rows(stacked)[value.rows]
            inside_floor = one.rows(stacked_floor)[floor.rows]
            smallest = min(int(np.sum(inside & (value.labels == side))) for side in (0, 1))
            if smallest >= MIN_EVENTS:
                book.add(f"{auc}@{one.label}", value.auc(inside), floor.auc(inside_floor), smallest)
        if repeat == 0:
            _add_control(book, test, reference, split, a, seed)
    control = book.mean(f"control.{auc}")
    verdict = "control" if control >= BLIND_BELOW else "blind: control"
    book.comment(auc, f"{verdict} {control:.3f}")
    return judgements[0]


def _add_control(book: ScoreBook, test: ClassifierTest, reference: Pool, split: Split, a: Array, seed: int) -> None:
    conditions = reference.conditions[split.b]
    rng = np.random.default_rng(seed)
    broken = permuted_at_equal_condition(reference.raw[split.b], conditions, test.part, rng)
    result = judge(
        test.classifier(),
        a,
        test.features(broken, conditions),
        seed,
        reference.weights[split.a],
        reference.weights[split.b],
    )
    name = f"control.{test.score('auc')}"
    book.add(name, result.auc(), None, split.size)
    book.comment(name, f"truth with {test.control}")
