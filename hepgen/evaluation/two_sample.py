"""Classifier two-sample tests: the score, its floor, and a control that shows whether the classifier can see at all."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from hepgen.classifiers.base import Array
from hepgen.classifiers.calibration import DIVERGENCES
from hepgen.classifiers.judging import Judgement, Verdict, judge
from hepgen.evaluation.domain import ClassifierTest, Pool
from hepgen.evaluation.scores import ScoreBook
from hepgen.evaluation.splits import ConditionBin, Split, permuted_at_equal_condition

BLIND_BELOW = 0.9
MIN_EVENTS = 50


@dataclass(frozen=True)
class ClassifierResult:
    """What a classifier test found: the verdicts on half A against the generated events, and against half B."""

    test: ClassifierTest
    generated: Judgement
    floor: Judgement

    def without(self, split: Split, reference: np.ndarray, generated: np.ndarray) -> ClassifierResult:
        """Without flagged events of the pools among those that are judged; the classifiers stay as they are."""
        a, b, made = ~reference[split.a], ~reference[split.b], ~generated[split.generated]
        return replace(
            self,
            generated=self.generated.chosen(np.concatenate([a, made])),
            floor=self.floor.chosen(np.concatenate([a, b])),
        )


def add_classifier_test(
    book: ScoreBook,
    test: ClassifierTest,
    reference: Pool,
    generated: Pool,
    split: Split,
    bins: Sequence[ConditionBin],
    seed: int,
    *,
    folds: int,
    parts: int,
) -> ClassifierResult:
    """Add ``auc``, ``jsd`` and the other divergences with their floors, per bin of the condition too, and the control.

    Generated against half A gives the score, half B against half A the floor. Every event is judged by a classifier that
    was not trained on it; errors come from parts of the judged events that share none. The control is half B with a part
    permuted at equal condition against half A; below 0.9 the AUC is marked "blind".

    Args:
        book: where the scores go.
        test: features and classifier.
        reference, generated: pools; the split numbers rows that have raw values.
        split: the halves.
        bins: of the conditions.
        seed: of divisions and trainings.
        folds: classifiers behind each score, of at most five.
        parts: of the judged events, at least, behind each error.
    """
    a = test.features(reference.raw[split.a], reference.conditions[split.a])
    found = []
    for pool, rows in ((generated, split.generated), (reference, split.b)):
        features = test.features(pool.raw[rows], pool.conditions[rows])
        weights = reference.weights[split.a], pool.weights[rows]
        found.append(judge(test.classifier, a, features, seed, *weights, folds=folds))
    result = ClassifierResult(test, *found)
    add_verdicts(book, result, reference, generated, split, bins, parts=parts)
    control = _add_control(book, test, reference, split, a, seed, parts)
    verdict = "control" if control >= BLIND_BELOW else "blind: control"
    book.comment(test.score("auc"), f"{verdict} {control:.3f}")
    return result


def add_verdicts(
    book: ScoreBook,
    result: ClassifierResult,
    reference: Pool,
    generated: Pool,
    split: Split,
    bins: Sequence[ConditionBin],
    *,
    parts: int,
) -> None:
    """Add the scores of classifiers that are trained: ``auc``, per bin too, ``jsd`` and the other divergences."""
    found, test = (result.generated, result.floor), result.test
    scores: dict[str, Callable[[Verdict], float]] = {"auc": Verdict.auc, "jsd": Verdict.jsd}
    scores |= {name: _divergence(name) for name in DIVERGENCES}
    for name, score in scores.items():
        pairs = zip(*(one.measure(score, parts) for one in found), strict=True)
        book.add_parts(test.score(name), list(pairs), split.size)
    for one in bins:
        here = [
            judgement.chosen(one.rows(np.concatenate([reference.conditions[split.a], pool.conditions[rows]])))
            for judgement, pool, rows in zip(found, (generated, reference), (split.generated, split.b), strict=True)
        ]
        smallest = min(min(judgement.whole().sides()) for judgement in here)
        if smallest >= MIN_EVENTS and all(min(fold.sides()) for judgement in here for fold in judgement.folds):
            pairs = zip(*(judgement.measure(Verdict.auc, parts) for judgement in here), strict=True)
            book.add_parts(f"{test.score('auc')}@{one.label}", list(pairs), smallest)


def _divergence(name: str) -> Callable[[Verdict], float]:
    return lambda verdict: verdict.divergences()[name]


def _add_control(
    book: ScoreBook, test: ClassifierTest, reference: Pool, split: Split, a: Array, seed: int, parts: int
) -> float:
    """Half B with a part permuted against half A; the error is of parts of the fifth that one classifier judges."""
    conditions = reference.conditions[split.b]
    broken = permuted_at_equal_condition(
        reference.raw[split.b], conditions, test.part, np.random.default_rng(seed), present=test.present
    )
    weights = reference.weights[split.a], reference.weights[split.b]
    judgement = judge(test.classifier, a, test.features(broken, conditions), seed, *weights)
    measured = judgement.measure(Verdict.auc, parts)
    name = f"control.{test.score('auc')}"
    book.add_parts(name, [(value, None) for value in measured], split.size)
    book.comment(name, f"truth with {test.control}")
    return measured[0]
