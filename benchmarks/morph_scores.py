"""How good a morph is: pure functions of tables before and after it."""

from __future__ import annotations

import numpy as np
from morph_toys import FloatArray

from hepgen.classifiers.judging import Verdict, judge
from hepgen.classifiers.trees import TreeClassifier
from hepgen.evaluation.metrics import effective_events, kolmogorov_distance
from hepgen.evaluation.scores import Score

FOLDS, PARTS, BINS = 5, 10, 20


def auc_and_error(
    reference: FloatArray, tested: FloatArray, seed: int, weights: FloatArray | None = None
) -> tuple[float, float | None]:
    """AUC of boosted trees, each event judged by trees that have not seen it, and its error by parts that share none.

    Args:
        reference, tested: (events, columns), as many events each.
        weights: of the tested events, (events,).
    """
    judgement = judge(TreeClassifier, reference, tested, seed, None, weights, folds=FOLDS)
    measured = judgement.measure(Verdict.auc, PARTS)
    score = Score.from_splits([[(value, None) for value in measured]], len(reference))
    return float("nan") if score.value is None else score.value, score.error


def distances(
    names: tuple[str, ...], reference: FloatArray, tested: FloatArray, weights: FloatArray | None = None
) -> dict[str, float]:
    """Kolmogorov distance of each column."""
    columns = zip(names, reference.T, tested.T, strict=True)
    return {name: kolmogorov_distance(one, other, None, weights) for name, one, other in columns}


def widths(first: FloatArray, second: FloatArray) -> FloatArray:
    """Standard deviations of the columns of both samples together, each with the same weight, (columns,)."""
    means, squares = (
        (function(first) + function(second)) / 2
        for function in (lambda x: x.mean(axis=0), lambda x: np.square(x).mean(axis=0))
    )
    return np.asarray(np.sqrt(squares - np.square(means)))


def movement(before: FloatArray, after: FloatArray, unit: FloatArray) -> tuple[float, float]:
    """Mean distance of events, and its root mean square, with each column in a unit of its own.

    Example:
        >>> movement(np.zeros((2, 2)), np.array([[3.0, 8.0], [0.0, 0.0]]), np.array([1.0, 2.0]))
        (2.5, 3.5355339)
    """
    moved = np.linalg.norm((after - before) / unit, axis=1)
    return float(moved.mean()), float(np.sqrt(np.square(moved).mean()))


def matching_weights(source: FloatArray, target: FloatArray, bins: int = BINS) -> FloatArray:
    """Weights of events of the source, of mean 1, that give a condition its distribution in the target.

    By bins of equal content of both together.

    Example:
        >>> matching_weights(np.array([0.0, 0.0, 1.0]), np.array([0.0, 1.0, 1.0]), 2).tolist()
        [0.5, 0.5, 2.0]
    """
    pooled = np.concatenate([source, target])
    edges = np.unique(np.quantile(pooled, np.linspace(0, 1, bins + 1)[1:-1]))
    places = [np.searchsorted(edges, one, side="right") for one in (source, target)]
    counts = [np.bincount(one, minlength=len(edges) + 1) / len(one) for one in places]
    weights = (counts[1] / np.where(counts[0] > 0, counts[0], 1.0))[places[0]]
    return np.asarray(weights / weights.mean())


def effective(weights: FloatArray | None, events: int) -> float:
    """Effective number of events by weights."""
    return float(events) if weights is None else effective_events(weights)
