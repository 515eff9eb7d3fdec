"""Gradient-boosted trees that tell two tables apart."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from hepgen.classifiers.base import Array, FloatArray, LabelledEvents
from hepgen.classifiers.forest import Forest, Tree
from hepgen.errors import UsageError


@dataclass(frozen=True)
class TreeOptions:
    """Options of scikit-learn's ``HistGradientBoostingClassifier``; ``l2`` is its ``l2_regularization``."""

    rounds: int = 300
    learning_rate: float = 0.1
    leaves: int = 31
    min_leaf: int = 40
    patience: int = 20
    depth: int | None = None
    l2: float = 0.0


class BoostedTrees:
    """Histogram gradient boosting with early stopping on the watched part; missing values (NaN) are a value of their own.

    Args:
        options: of the trees.
    """

    def __init__(self, options: TreeOptions) -> None:
        self.options = options
        self._trees: Any = None
        self._edges: list[FloatArray] = []
        self._missing: list[float] = []

    def fit(self, train: LabelledEvents, watch: LabelledEvents, seed: int) -> None:
        """Train on the first part; the loss on the second stops the training.

        Raises:
            UsageError: if a part is empty.
        """
        from sklearn.ensemble import HistGradientBoostingClassifier

        if not len(train) or not len(watch):
            raise UsageError("a classifier needs events to train on and events to watch")
        self._edges = [_quantile_edges(column) for column in train.features.T]
        # scikit-learn cannot bin a column without any value
        self._missing = [-1.0 if np.isnan(column).all() else np.nan for column in train.features.T]
        self._trees = HistGradientBoostingClassifier(
            max_iter=self.options.rounds,
            learning_rate=self.options.learning_rate,
            max_leaf_nodes=self.options.leaves,
            max_depth=self.options.depth,
            l2_regularization=self.options.l2,
            min_samples_leaf=self.options.min_leaf,
            early_stopping=True,
            n_iter_no_change=self.options.patience,
            random_state=short_seed(seed),
        )
        self._trees.fit(
            self._binned(train.features),
            train.labels,
            sample_weight=train.weights,
            X_val=self._binned(watch.features),
            y_val=watch.labels,
            sample_weight_val=watch.weights,
        )

    def probabilities(self, features: Array) -> FloatArray:
        """Of each label, in ascending order, (events, labels).

        Raises:
            UsageError: before ``fit``.
        """
        if self._trees is None:
            raise UsageError("a classifier must be trained before it predicts")
        return np.asarray(self._trees.predict_proba(self._binned(features)), dtype=np.float64)

    def forest(self) -> Forest:
        """The log odds of label 1 against label 0, the only other one, as plain arrays of numbers.

        Raises:
            UsageError: before ``fit``, or with more labels than two.
        """
        if self._trees is None or len(self._trees.classes_) != 2:
            raise UsageError("only trees that were trained on two labels have log odds")
        # scikit-learn keeps its trees to itself; a test compares what comes of them with what it predicts.
        trees = []
        for (grown,) in self._trees._predictors:
            nodes = grown.nodes
            inner = nodes["is_leaf"] == 0
            edges = [self._below(int(node["feature_idx"]), node["num_threshold"]) for node in nodes[inner]]
            threshold = np.zeros(len(nodes))
            threshold[inner] = edges
            left, right = (np.where(inner, nodes[side].astype(np.int64), -1) for side in ("left", "right"))
            trees.append(Tree(nodes["feature_idx"].astype(np.int64), threshold, left, right, nodes["value"]))
        return Forest.of(trees, float(np.ravel(self._trees._baseline_prediction)[0]))

    def _below(self, feature: int, bin_threshold: float) -> float:
        """The largest value that lies in a bin at or below this threshold: just under the upper edge of the bin."""
        edges = self._edges[feature]
        last = int(min(np.floor(bin_threshold), len(edges)))  # infinite where only what is missing goes right
        return float(np.nextafter(edges[last], -np.inf)) if last < len(edges) else np.inf

    def _binned(self, features: Array) -> FloatArray:
        """Number of the quantile bin of each value, nan where it is missing.

        scikit-learn would bin by weighted percentiles, which take longer than the training and do not know negative
        weights; with at most 255 distinct values it takes them as they are.
        """
        columns = []
        for column, edges, missing in zip(features.T, self._edges, self._missing, strict=True):
            bins = np.searchsorted(edges, column, side="right").astype(np.float64)
            columns.append(np.where(np.isnan(column), missing, bins))
        return np.stack(columns, axis=1)


class TreeClassifier:
    """Boosted trees that tell two samples apart."""

    def __init__(self, options: TreeOptions | None = None) -> None:
        self.options = options or TreeOptions()
        self._trees = BoostedTrees(self.options)

    def fit(self, train: LabelledEvents, watch: LabelledEvents, seed: int) -> None:
        """Train on the first part; the second stops the training.

        Raises:
            UsageError: if a part is empty.
        """
        self._trees.fit(train, watch, seed)

    def predict(self, features: Array) -> FloatArray:
        """Probability of label 1, (events,).

        Raises:
            UsageError: before ``fit``.
        """
        return self._trees.probabilities(features)[:, 1]


def _quantile_edges(column: Array) -> FloatArray:
    """At most 253 edges of equally filled bins; between the values where there are few of them."""
    distinct = np.unique(column[~np.isnan(column)]).astype(np.float64)
    if len(distinct) <= 254:
        return (distinct[1:] + distinct[:-1]) / 2
    return np.unique(np.nanquantile(column.astype(np.float64), np.linspace(0.0, 1.0, 255)[1:-1]))


def short_seed(seed: int) -> int:
    """A seed as scikit-learn takes it, of 32 bits, by a master seed, which has 64.

    Example:
        >>> short_seed(7), short_seed(2**64 - 1) < 2**32
        (7, True)
    """
    return seed % 2**32
