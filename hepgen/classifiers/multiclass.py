"""Classifiers of several samples at once, which give the log-posterior of each (arXiv:2410.21611)."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor, nn

from hepgen.classifiers.base import Array, FloatArray, LabelledEvents
from hepgen.classifiers.calibration import multinomial
from hepgen.classifiers.fitting import EventNetwork
from hepgen.classifiers.trees import BoostedTrees, TreeOptions
from hepgen.errors import UsageError

SMALLEST = 1e-7
"""No probability of trees is below: an event in a leaf without a class is no proof that the class has none like it."""


class CalibratedPosterior(ABC):
    """A classifier of several samples that is calibrated on the watched part."""

    def __init__(self) -> None:
        self._calibrate: Callable[[FloatArray], FloatArray] | None = None

    def fit(self, train: LabelledEvents, watch: LabelledEvents, seed: int) -> None:
        """Train on the first part; the second stops the training or chooses the epoch, and calibrates.

        Raises:
            UsageError: if a part is empty, or a network is given a feature that is not finite.
        """
        self._train(train, watch, seed)
        self._calibrate = multinomial(self._raw(watch.features), watch.labels, watch.weights)

    def log_posterior(self, features: Array) -> FloatArray:
        """Logarithm of the probability of each class, (events, classes).

        Raises:
            UsageError: before ``fit``.
        """
        if self._calibrate is None:
            raise UsageError("a classifier must be trained before it predicts")
        return self._calibrate(self._raw(features))

    @abstractmethod
    def _train(self, train: LabelledEvents, watch: LabelledEvents, seed: int) -> None:
        """Before the calibration."""

    @abstractmethod
    def _raw(self, features: Array) -> FloatArray:
        """Log-posteriors before the calibration, (events, classes)."""


class NetworkPosterior(CalibratedPosterior):
    """Softmax over the classes and cross-entropy on any network of events.

    The epoch of the lowest loss is kept, since the log-posterior is judged, which an overconfident network gets wrong; for
    the same reason it is calibrated on the watched part.

    Args:
        network: untrained.
    """

    def __init__(self, network: EventNetwork) -> None:
        super().__init__()
        self._network = network

    def _train(self, train: LabelledEvents, watch: LabelledEvents, seed: int) -> None:
        classes = round(float(train.labels.max(initial=0.0))) + 1
        self._network.fit(train, watch, seed, outputs=classes, loss=_cross_entropy, score=_log_likelihood)

    def _raw(self, features: Array) -> FloatArray:
        return np.asarray(torch.log_softmax(self._network.outputs(features).double(), dim=1).numpy(), dtype=np.float64)


class TreePosterior(CalibratedPosterior):
    """Histogram gradient boosting over the classes, with one tree per class and round, calibrated on the watched part.

    Args:
        options: of the trees.
    """

    def __init__(self, options: TreeOptions | None = None) -> None:
        super().__init__()
        self._trees = BoostedTrees(options or TreeOptions())

    def _train(self, train: LabelledEvents, watch: LabelledEvents, seed: int) -> None:
        self._trees.fit(train, watch, seed)

    def _raw(self, features: Array) -> FloatArray:
        return np.asarray(np.log(np.maximum(self._trees.probabilities(features), SMALLEST)), dtype=np.float64)


def _cross_entropy(logits: Tensor, labels: Tensor, weights: Tensor) -> Tensor:
    return (weights * nn.functional.cross_entropy(logits, labels.long(), reduction="none")).mean()


def _log_likelihood(logits: Tensor, labels: Tensor, weights: Tensor) -> Tensor:
    return -_cross_entropy(logits, labels, weights)
