"""Isotonic calibration, and what calibrated classifiers say of two samples."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from scipy.optimize import minimize
from scipy.special import log_softmax

from hepgen.classifiers.base import FloatArray


def isotonic(probability: FloatArray, labels: FloatArray, weights: FloatArray) -> Callable[[FloatArray], FloatArray]:
    """A monotone map of a classifier's output to the fraction of label 1, fitted on events it was not trained on.

    Events of negative weight do not take part in the fit.

    Example:
        >>> calibrate = isotonic(np.array([0.2, 0.4, 0.6]), np.array([0.0, 1.0, 1.0]), np.ones(3))
        >>> calibrate(np.array([0.1, 0.5])).tolist()
        [0.0, 1.0]
    """
    from sklearn.isotonic import IsotonicRegression

    use = weights > 0
    regression = IsotonicRegression(out_of_bounds="clip", y_min=0.0, y_max=1.0)
    regression.fit(probability[use], labels[use], sample_weight=weights[use])

    def calibrate(values: FloatArray) -> FloatArray:
        return np.asarray(regression.predict(values), dtype=np.float64)

    return calibrate


def logistic(probability: FloatArray, labels: FloatArray, weights: FloatArray) -> Callable[[FloatArray], FloatArray]:
    """A smooth map of a classifier's output to the fraction of label 1: sigmoid(a logit(p) + b) (Platt, 1999).

    For density ratios: the last steps of an isotonic map hang on single events, and their ratios are without bounds.
    Events of negative weight do not take part in the fit.

    Example:
        >>> p = np.linspace(0.1, 0.9, 9)
        >>> repeated, labels = np.repeat(p, 10), (np.tile(np.arange(10), 9) < np.repeat(np.arange(1, 10), 10)).astype(float)
        >>> logistic(repeated, labels, np.ones(90))(np.array([0.2, 0.8])).round(3).tolist()
        [0.2, 0.8]
    """
    from sklearn.linear_model import LogisticRegression

    def logit(values: FloatArray) -> FloatArray:
        p = np.clip(values, 1e-6, 1 - 1e-6)
        return np.asarray(np.log(p) - np.log1p(-p))[:, None]

    use = weights > 0
    if len(np.unique(labels[use] > 0.5)) < 2:  # nothing to calibrate on
        return lambda values: np.asarray(values, dtype=np.float64)
    fit = LogisticRegression(C=np.inf).fit(logit(probability[use]), labels[use] > 0.5, sample_weight=weights[use])

    def calibrate(values: FloatArray) -> FloatArray:
        return np.asarray(fit.predict_proba(logit(values))[:, 1], dtype=np.float64)

    return calibrate


def multinomial(logs: FloatArray, labels: FloatArray, weights: FloatArray) -> Callable[[FloatArray], FloatArray]:
    """A map of log-posteriors to calibrated ones: one slope for all classes, and an intercept for each.

    What ``logistic`` is for two classes. Events of negative weight do not take part in the fit, and of n events one in
    n + 2 counts as one of any class, so that classes that never meet do not make the map certain of everything (Platt, 1999).

    Args:
        logs: (events, classes), of events that the classifier was not trained on.
        labels: number of the class, (events,).
        weights: (events,).

    Example:
        >>> timid, labels = np.log([[0.6, 0.4]] * 10 + [[0.4, 0.6]] * 10), np.array([0] * 9 + [1] * 10 + [0])
        >>> np.exp(multinomial(timid, labels, np.ones(20))(timid[:1])).round(2).tolist()
        [[0.88, 0.12]]
    """
    use = weights > 0
    x, share = logs[use], weights[use] / weights[use].sum()
    classes = logs.shape[1]
    doubt = 1 / (len(x) + 2)
    target = (1 - doubt) * (labels[use, None] == np.arange(classes)) + doubt / classes

    def mapped(values: FloatArray, parameters: FloatArray) -> FloatArray:
        return np.asarray(log_softmax(parameters[0] * values + parameters[1:], axis=1), dtype=np.float64)

    def loss(parameters: FloatArray) -> tuple[float, FloatArray]:
        found = mapped(x, parameters)
        slope = share[:, None] * (np.exp(found) - target)
        gradient = np.concatenate([[np.sum(slope * x)], slope.sum(axis=0)])
        return float(-np.sum(share[:, None] * target * found)), gradient

    best = minimize(loss, np.concatenate([[1.0], np.zeros(classes)]), jac=True, method="L-BFGS-B").x
    return lambda values: mapped(values, best)


def area_under_curve(score: FloatArray, labels: FloatArray, weights: FloatArray | None = None) -> float:
    """Area under the ROC curve: the probability that an event of label 1 scores above one of label 0, ties count half.

    Weights may be negative. Nan where a label is absent.

    Example:
        >>> area_under_curve(np.array([0.9, 0.5, 0.5, 0.1]), np.array([1.0, 1.0, 0.0, 0.0]))
        0.875
    """
    weight = np.ones(len(score)) if weights is None else weights
    _, group = np.unique(score, return_inverse=True)
    signal = np.bincount(group, weights=weight * (labels > 0.5))
    background = np.bincount(group, weights=weight * (labels <= 0.5))
    total = signal.sum() * background.sum()
    below = np.cumsum(background) - background
    return float(np.sum(signal * (below + background / 2)) / total) if total else float("nan")


def jensen_shannon(probability: FloatArray, labels: FloatArray, weights: FloatArray | None = None) -> float:
    """Jensen-Shannon divergence in units of ln 2 by a calibrated classifier: (ln 2 - cross-entropy) / ln 2.

    0 for equal samples (noise can bring it below), 1 for disjoint ones. A probability of 0 or 1 says no more than that none
    of n events was otherwise: it counts as 1 of n + 2.

    Example:
        >>> jensen_shannon(np.array([0.5, 0.5]), np.array([1.0, 0.0]))
        0.0
    """
    weight = np.ones(len(labels)) if weights is None else weights
    margin = 1 / (len(labels) + 2)
    p = np.clip(probability, margin, 1 - margin)
    sums = [float(np.sum(weight * (np.round(labels) == label))) for label in (0, 1)]
    if min(sums) <= 0:
        return float("nan")
    # both classes count alike, whatever their numbers
    odds = p / (1 - p) * (sums[0] / sums[1])
    p = odds / (1 + odds)
    weight = weight / np.where(labels > 0.5, sums[1], sums[0])
    entropy = -np.sum(weight * (labels * np.log(p) + (1 - labels) * np.log1p(-p))) / np.sum(weight)
    return float((np.log(2.0) - entropy) / np.log(2.0))


def log_ratio(probability: FloatArray, labels: FloatArray, weights: FloatArray | None = None) -> FloatArray:
    """Logarithm of the density of label 1 over that of label 0, by a calibrated classifier, (events,).

    A probability of 0 or 1 says no more than that none of n events was otherwise: it counts as 1 of n + 2.

    Example:
        >>> log_ratio(np.array([0.5, 1.0]), np.array([1.0, 0.0])).round(3).tolist()
        [0.0, 1.099]
    """
    weight = np.ones(len(labels)) if weights is None else weights
    margin = 1 / (len(labels) + 2)
    p = np.clip(probability, margin, 1 - margin)
    prior = np.log(np.sum(weight * (labels <= 0.5)) / np.sum(weight * (labels > 0.5)))
    return np.asarray(np.log(p) - np.log1p(-p) + prior)


DIVERGENCES = ("kl", "kl_reverse", "chi2", "hellinger")
"""What `divergences` gives."""


def divergences(probability: FloatArray, labels: FloatArray, weights: FloatArray | None = None) -> dict[str, float]:
    """f-divergences between the laws of label 1 (the truth) and label 0 by a calibrated classifier.

    With r the density ratio: ``kl`` = E_1[log r], ``kl_reverse`` = E_0[-log r], ``chi2`` = E_0[(r - 1)^2], and
    ``hellinger`` = 1 - E[sqrt] the squared Hellinger distance, where E[sqrt] is the mean of E_0[r^1/2] and E_1[r^-1/2].
    All are 0 for equal laws (noise can bring the first two below).

    Example:
        >>> found = divergences(np.array([0.5, 0.5]), np.array([1.0, 0.0]))
        >>> sorted(found), max(map(abs, found.values()))
        (['chi2', 'hellinger', 'kl', 'kl_reverse'], 0.0)
    """
    weight = np.ones(len(labels)) if weights is None else weights
    log = log_ratio(probability, labels, weights)

    def mean(values: FloatArray, label: int) -> float:
        use = weight * (np.round(labels) == label)
        return float(np.sum(use * values) / np.sum(use))

    return {
        "kl": mean(log, 1),
        "kl_reverse": mean(-log, 0),
        "chi2": mean(np.square(np.expm1(log)), 0),
        "hellinger": 1 - (mean(np.exp(log / 2), 0) + mean(np.exp(-log / 2), 1)) / 2,
    }
