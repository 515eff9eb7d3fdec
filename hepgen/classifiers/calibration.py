"""Isotonic calibration, and what calibrated classifiers say of two samples."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

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

    0 for equal samples (noise can bring it below), 1 for disjoint ones.

    Example:
        >>> jensen_shannon(np.array([0.5, 0.5]), np.array([1.0, 0.0]))
        0.0
    """
    weight = np.ones(len(labels)) if weights is None else weights
    p = np.clip(probability, 1e-7, 1 - 1e-7)
    entropy = -np.sum(weight * (labels * np.log(p) + (1 - labels) * np.log1p(-p))) / np.sum(weight)
    return float((np.log(2.0) - entropy) / np.log(2.0))
