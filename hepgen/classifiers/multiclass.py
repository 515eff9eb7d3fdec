"""Classifiers of several samples at once, which give the log-posterior of each (arXiv:2410.21611)."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from hepgen.classifiers.base import Array, FloatArray, LabelledEvents
from hepgen.classifiers.fitting import EventNetwork
from hepgen.classifiers.trees import BoostedTrees, TreeOptions

SMALLEST = 1e-7
"""No probability of trees is below: an event in a leaf without a class is no proof that the class has none like it."""


class NetworkPosterior:
    """Softmax over the classes and cross-entropy on any network of events.

    The epoch of the lowest loss is kept: the log-posterior is judged, which an overconfident network gets wrong.

    Args:
        network: untrained.
    """

    def __init__(self, network: EventNetwork) -> None:
        self._network = network

    def fit(self, train: LabelledEvents, watch: LabelledEvents, seed: int) -> None:
        """Train on the first part; the second chooses the epoch.

        Raises:
            UsageError: if a part is empty or a feature is not finite.
        """
        classes = round(float(train.labels.max(initial=0.0))) + 1
        self._network.fit(train, watch, seed, outputs=classes, loss=_cross_entropy, score=_log_likelihood)

    def log_posterior(self, features: Array) -> FloatArray:
        """Logarithm of the probability of each class, (events, classes).

        Raises:
            UsageError: before ``fit``.
        """
        outputs = self._network.outputs(features).double()
        return np.asarray(torch.log_softmax(outputs, dim=1).numpy(), dtype=np.float64)


class TreePosterior:
    """Histogram gradient boosting over the classes, with one tree per class and round.

    Args:
        options: of the trees.
    """

    def __init__(self, options: TreeOptions | None = None) -> None:
        self._trees = BoostedTrees(options or TreeOptions())

    def fit(self, train: LabelledEvents, watch: LabelledEvents, seed: int) -> None:
        """Train on the first part; the loss on the second stops the training.

        Raises:
            UsageError: if a part is empty.
        """
        self._trees.fit(train, watch, seed)

    def log_posterior(self, features: Array) -> FloatArray:
        """Logarithm of the probability of each class, (events, classes).

        Raises:
            UsageError: before ``fit``.
        """
        return np.asarray(np.log(np.maximum(self._trees.probabilities(features), SMALLEST)), dtype=np.float64)


def _cross_entropy(logits: Tensor, labels: Tensor, weights: Tensor) -> Tensor:
    return (weights * nn.functional.cross_entropy(logits, labels.long(), reduction="none")).mean()


def _log_likelihood(logits: Tensor, labels: Tensor, weights: Tensor) -> Tensor:
    return -_cross_entropy(logits, labels, weights)
