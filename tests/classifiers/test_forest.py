"""Trees as arrays give what the library gives that grew them."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from hepgen.classifiers.base import LabelledEvents
from hepgen.classifiers.forest import Forest, Tree, below
from hepgen.classifiers.trees import BoostedTrees, TreeOptions
from hepgen.errors import UsageError


def _events(size: int, seed: int, labels: int = 2) -> LabelledEvents:
    random = np.random.default_rng(seed)
    label = random.integers(labels, size=size).astype(float)
    x = random.normal(size=(size, 3)).astype(np.float32) + label[:, None] * np.array([0.5, 0.0, -0.3], np.float32)
    x[:, 1] = np.round(x[:, 1] * 2)  # few distinct values: edges between them
    return LabelledEvents(x.astype(np.float32), label, random.uniform(-0.1, 1, size))


def test_log_odds_are_those_of_scikit_learn() -> None:
    trees = BoostedTrees(TreeOptions(rounds=40, min_leaf=20))
    trees.fit(_events(3000, 0), _events(500, 1), 0)
    x = np.concatenate([_events(2000, 2).features, np.array([[-50, 9, 50], [0, 0.5, 0]], np.float32)])
    # the values where a bin ends
    x = np.concatenate([x, np.stack([edges[:3] for edges in trees._edges], 1).astype(np.float32)])
    p = trees.probabilities(x)
    np.testing.assert_allclose(trees.forest()(torch.from_numpy(x)), np.log(p[:, 1] / p[:, 0]), atol=1e-6, rtol=0)


def test_three_labels_have_no_log_odds() -> None:
    trees = BoostedTrees(TreeOptions(rounds=2))
    with pytest.raises(UsageError, match="two labels"):
        trees.forest()
    trees.fit(_events(600, 0, 3), _events(300, 1, 3), 0)
    with pytest.raises(UsageError, match="two labels"):
        trees.forest()


@given(value=st.floats(-1024, 1024, width=32), threshold=st.floats(-1024, 1024), steps=st.integers(-2, 2))
def test_rounded_thresholds_divide_float32_alike(value: float, threshold: float, steps: int) -> None:
    near = np.float32(threshold)
    for _ in range(abs(steps)):
        near = np.nextafter(near, np.float32(np.sign(steps) * np.inf))
    for x in (np.float32(value), near):
        assert (x <= below(np.array([threshold]))[0]) == (np.float64(x) <= threshold)


def test_trees_of_different_sizes_stand_side_by_side() -> None:
    leaf = Tree(np.zeros(1, int), np.zeros(1), np.array([-1]), np.array([-1]), np.array([2.0]))
    deep = Tree(
        np.array([0, 0, 1, 0, 0]),
        np.array([1.0, 0.0, 0.0, 0.0, 0.0]),
        np.array([1, -1, 3, -1, -1]),
        np.array([2, -1, 4, -1, -1]),
        np.array([0.0, 10.0, 0.0, 20.0, 30.0]),
    )
    x = torch.tensor([[0.0, 5.0], [2.0, -1.0], [2.0, 1.0]])
    assert Forest.of([leaf, deep], 0.5)(x).tolist() == [12.5, 22.5, 32.5]
    assert Forest.of([])(x).tolist() == [0.0, 0.0, 0.0]
    assert Forest.of([deep])(x[:0]).shape == (0,)
