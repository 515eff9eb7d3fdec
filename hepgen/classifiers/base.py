"""What every classifier of two samples offers, and how its events are divided."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from hepgen.errors import UsageError

Array = NDArray[np.floating]
FloatArray = NDArray[np.float64]

FOLDS = 5
"""Parts of the events: one is judged, one is watched, the classifier is trained on the others; and so in turn."""


@dataclass(frozen=True)
class LabelledEvents:
    """Features with their labels: 1 for the reference, 0 for the sample under test; several samples count from 0 on.

    Attributes:
        features: (events, features).
        labels: (events,), whole numbers.
        weights: (events,), may be negative.
    """

    features: Array
    labels: FloatArray
    weights: FloatArray

    def __len__(self) -> int:
        return len(self.labels)

    def take(self, rows: NDArray[np.int64]) -> LabelledEvents:
        return LabelledEvents(self.features[rows], self.labels[rows], self.weights[rows])


class SampleClassifier(Protocol):
    """A classifier that is trained on one part of the events and watched on a second."""

    def fit(self, train: LabelledEvents, watch: LabelledEvents, seed: int) -> None:
        """Train; the same seed and events give the same classifier."""
        ...

    def predict(self, features: Array) -> FloatArray:
        """Probability of label 1, (events,)."""
        ...


class ClassPosterior(Protocol):
    """A classifier of several samples, labelled 0, 1, 2 and so on, that says how probable each is for an event."""

    def fit(self, train: LabelledEvents, watch: LabelledEvents, seed: int) -> None:
        """Train; the same seed and events give the same classifier."""
        ...

    def log_posterior(self, features: Array) -> FloatArray:
        """Logarithm of the probability of each label, (events, labels)."""
        ...


def label(
    reference: Array, generated: Array, reference_weights: Array | None = None, generated_weights: Array | None = None
) -> LabelledEvents:
    """Stack two samples; the weights of each class are scaled to a mean of 1, so that the classes are balanced.

    Example:
        >>> events = label(np.zeros((2, 1)), np.ones((3, 1)))
        >>> events.labels.tolist()
        [1.0, 1.0, 0.0, 0.0, 0.0]
    """

    def balanced(weights: Array | None, count: int) -> FloatArray:
        if weights is None:
            return np.ones(count)
        total = float(np.sum(weights, dtype=np.float64))
        return np.asarray(weights, dtype=np.float64) * (count / total) if total > 0 else np.ones(count)

    first, second = len(reference), len(generated)
    return LabelledEvents(
        np.concatenate([reference, generated]),
        np.concatenate([np.ones(first), np.zeros(second)]),
        np.concatenate([balanced(reference_weights, first), balanced(generated_weights, second)]),
    )


def label_classes(samples: Sequence[Array], weights: Sequence[Array]) -> LabelledEvents:
    """Stack several samples, labelled 0, 1, 2 and so on; the weights of all are scaled to the same sum.

    Args:
        samples: (events, features) each.
        weights: (events,) each.

    Example:
        >>> events = label_classes([np.zeros((1, 1)), np.ones((3, 1))], [np.ones(1), np.ones(3)])
        >>> events.labels.tolist(), events.weights.round(2).tolist()
        ([0.0, 1.0, 1.0, 1.0], [2.0, 0.67, 0.67, 0.67])
    """
    share = sum(map(len, samples)) / len(samples)
    scaled = [np.asarray(one, dtype=np.float64) for one in weights]
    totals = [float(one.sum()) for one in scaled]
    return LabelledEvents(
        np.concatenate(list(samples)),
        np.repeat(np.arange(len(samples), dtype=np.float64), [len(one) for one in samples]),
        np.concatenate(
            [one * (share / total if total > 0 else 1.0) for one, total in zip(scaled, totals, strict=True)]
        ),
    )


def stratified_folds(labels: FloatArray, count: int, rng: np.random.Generator) -> list[NDArray[np.int64]]:
    """Random rows in ``count`` parts that share none, each with the same share of either label, in random order.

    Example:
        >>> folds = stratified_folds(np.array([1.0, 1.0, 0.0, 0.0]), 2, np.random.default_rng(0))
        >>> sorted(np.concatenate(folds).tolist()), [len(fold) for fold in folds]
        ([0, 1, 2, 3], [2, 2])
    """
    pieces = [np.array_split(rng.permutation(np.flatnonzero(labels == value)), count) for value in np.unique(labels)]
    return [rng.permutation(np.concatenate(of_labels)) for of_labels in zip(*pieces, strict=True)]


def rotation(
    folds: list[NDArray[np.int64]], number: int
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Rows to train on, to watch and to judge where fold ``number`` is judged; the next one is watched.

    Raises:
        UsageError: with fewer than three folds.

    Example:
        >>> [part.tolist() for part in rotation([np.array([0]), np.array([1]), np.array([2])], 2)]
        [[1], [0], [2]]
    """
    if len(folds) < 3:
        raise UsageError(f"{len(folds)} folds leave nothing to train on", hint="make three or more")
    held, watched = number % len(folds), (number + 1) % len(folds)
    train = [fold for index, fold in enumerate(folds) if index not in (held, watched)]
    return np.concatenate(train), folds[watched], folds[held]
