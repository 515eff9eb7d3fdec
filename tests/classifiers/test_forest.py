"""Trees as arrays give what the library gives that grew them."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from hepgen.classifiers.base import LabelledEvents
from hepgen.classifiers.forest import Forest, Tree, below
from hepgen.classifiers.trees import BoostedTrees, TreeOptions
from hepgen.errors import ModelError, UsageError


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


def _grown(random: np.random.Generator, leaves: int, features: int) -> Tree:
    """A tree of any form: node after node, a leaf is divided. Thresholds are few; sums of the values are exact."""
    feature, threshold, left, right = [0], [0.0], [-1], [-1]
    for _ in range(leaves - 1):
        node = int(random.choice(np.flatnonzero(np.array(left) < 0)))
        feature[node] = int(random.integers(features))
        threshold[node] = float(random.choice([-np.inf, -1, 0.1, 1, np.inf]))
        left[node], right[node] = (int(one) for one in random.permutation(2) + len(left))
        for column, new in ((feature, 0), (threshold, 0.0), (left, -1), (right, -1)):
            column += [new, new]
    value = random.integers(-64, 65, size=len(left)) / 16
    return Tree(*(np.array(column) for column in (feature, threshold, left, right)), value)


def _values(random: np.random.Generator, events: int, features: int) -> torch.Tensor:
    """Numbers, thresholds, both infinities and what is missing."""
    edges = random.choice([-np.inf, -1, 0.1, 1, np.inf, np.nan], size=(events, features))
    return torch.from_numpy(np.where(random.random((events, features)) < 0.5, edges, random.normal(size=edges.shape)))


def _by_hand(tree: Tree, row: list[float]) -> float:
    """The value of the leaf that an event reaches, node after node."""
    node = 0
    while tree.left[node] >= 0:
        goes_left = float(np.float32(row[tree.feature[node]])) <= tree.threshold[node]
        node = int((tree.left if goes_left else tree.right)[node])
    return float(tree.value[node])


@given(seed=st.integers(0, 10**6), trees=st.integers(1, 12), features=st.integers(1, 5), events=st.integers(1, 30))
@settings(max_examples=60, deadline=None)
def test_the_compiled_walk_reaches_the_leaves_of_the_trees(seed: int, trees: int, features: int, events: int) -> None:
    random = np.random.default_rng(seed)
    grown = [_grown(random, int(random.integers(1, 20)), features) for _ in range(trees)]
    forest, x = Forest.of(grown, 0.25), _values(random, events, features)
    expected = [0.25 + sum(_by_hand(tree, row) for tree in grown) for row in x.tolist()]
    assert forest(x).tolist() == expected
    assert forest(x.float()).tolist() == expected
    assert (forest._gathered(x.float()) + 0.25).tolist() == expected


@pytest.mark.parametrize("events", [511, 512, 513, 5000])
def test_an_event_does_not_depend_on_those_beside_it(events: int) -> None:
    random = np.random.default_rng(1)
    forest = Forest.of([_grown(random, 8, 6) for _ in range(50)])
    x = _values(random, events, 6).float()
    whole = forest(x)
    assert torch.equal(whole.double(), forest._gathered(x))
    assert torch.equal(whole[-3:], forest(x[-3:]))
    assert torch.equal(whole, forest(x.T.contiguous().T))  # columns of a table lie behind each other
    assert torch.equal(whole[::2], forest(x[::2]))


def test_grown_trees_give_what_tensors_give() -> None:
    trees = BoostedTrees(TreeOptions(rounds=60, min_leaf=20))
    trees.fit(_events(3000, 0), _events(500, 1), 0)
    forest, x = trees.forest(), torch.from_numpy(_events(3000, 2).features)
    x[::7, 0] = torch.nan
    torch.testing.assert_close(forest._walked(x), forest._gathered(x), rtol=0, atol=1e-13)  # in another order
    torch.testing.assert_close(forest(x), (forest._gathered(x) + forest.baseline).float(), rtol=2e-7, atol=0)


def test_events_that_carry_gradients_are_summed() -> None:
    forest = Forest.of([_grown(np.random.default_rng(0), 5, 2)])
    x = torch.zeros(3, 2)
    with torch.inference_mode():
        expected = forest(x)
    assert torch.equal(forest(x.requires_grad_()), expected)


def _stump(feature: int) -> Tree:
    children = np.array([1, -1, -1]), np.array([2, -1, -1])
    return Tree(np.array([feature, 0, 0]), np.zeros(3), *children, np.array([0.0, 1.0, 2.0]))


def test_too_few_features_are_refused() -> None:
    with pytest.raises(ValueError, match="look at 3 features, and the events have 2"):
        Forest.of([_stump(2)])(torch.zeros(1, 2))


@pytest.mark.parametrize(
    ("name", "row", "what"),
    [
        ("feature", [-1, 0, 0], "looks at no feature"),
        ("left", [3, 1, 2], "not there"),
        ("right", [-1, 1, 2], "not there"),
        ("right", [2, 1, 0], "back to itself"),
        ("left", [0, 1, 2], "back to itself"),
        ("right", [2, 1], "shapes"),
    ],
)
def test_damaged_trees_are_refused(name: str, row: list[int], what: str) -> None:
    sound = Forest.of([_stump(0)]).state_dict()
    with pytest.raises(ModelError, match=what):
        Forest(**{**sound, name: torch.tensor([row])})
