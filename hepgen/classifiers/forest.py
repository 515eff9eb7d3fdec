"""Fitted trees as plain arrays: what a bundle can hold without pickle, evaluated without the library that grew them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from hepgen.classifiers.base import FloatArray
from hepgen.classifiers.forest_kernel import sums_of_leaves
from hepgen.errors import ModelError

_CHUNK = 2**21  # numbers per step, where tensors are gathered: (events, trees)


@dataclass(frozen=True)
class Tree:
    """A binary tree; all arrays have one entry per node, the root is the first.

    Attributes:
        feature: the feature that a node looks at.
        threshold: a value at or below it goes left, in float64.
        left, right: the next node; -1 at a leaf.
        value: what a leaf gives.
    """

    feature: NDArray[np.int64]
    threshold: FloatArray
    left: NDArray[np.int64]
    right: NDArray[np.int64]
    value: FloatArray


class Forest(nn.Module):
    """A sum of trees.

    Args:
        trees: (trees, nodes) each: ``feature``, ``threshold``, ``left``, ``right`` and ``value``; a leaf is its own successor.
        baseline: added to the sum, (1,).

    Raises:
        ModelError: if the arrays differ in shape, or a node leads to none that is there, or back to itself.

    Example:
        >>> stump = Tree(np.zeros(3, int), np.array([0.5, 0, 0]), np.array([1, -1, -1]), np.array([2, -1, -1]), np.array([0, -1, 1]))
        >>> Forest.of([stump, stump], 0.25)(torch.tensor([[0.5], [0.6]])).tolist()
        [-1.75, 2.25]
    """

    feature: Tensor
    threshold: Tensor
    left: Tensor
    right: Tensor
    value: Tensor
    baseline: Tensor

    NAMES = ("feature", "threshold", "left", "right", "value", "baseline")

    def __init__(self, **arrays: Tensor) -> None:
        super().__init__()
        for name in self.NAMES:
            self.register_buffer(name, arrays[name])
        shapes = {tuple(arrays[name].shape) for name in self.NAMES[:-1]}
        if len(shapes) > 1:
            raise ModelError(f"the arrays of the trees have the shapes {sorted(shapes)}, and not one of them")
        self._inputs = _inputs(self.feature)
        self._depths = _depths(self.left, self.right)

    @classmethod
    def of(cls, trees: Sequence[Tree], baseline: float = 0.0) -> Forest:
        """From trees of any numbers of nodes."""
        nodes = max((len(tree.value) for tree in trees), default=1)
        shape = (len(trees), nodes)
        feature, threshold, value = np.zeros(shape, np.int64), np.zeros(shape, np.float32), np.zeros(shape, np.float32)
        left, right = (np.tile(np.arange(nodes), (len(trees), 1)) for _ in range(2))
        for row, tree in enumerate(trees):
            inner, size = tree.left >= 0, len(tree.value)
            feature[row, :size] = np.where(inner, tree.feature, 0)
            threshold[row, :size] = np.where(inner, below(tree.threshold), 0)
            left[row, :size] = np.where(inner, tree.left, np.arange(size))
            right[row, :size] = np.where(inner, tree.right, np.arange(size))
            value[row, :size] = tree.value
        arrays = {"feature": feature, "threshold": threshold, "left": left, "right": right, "value": value}
        tensors = {name: torch.from_numpy(array) for name, array in arrays.items()}
        return cls(**tensors, baseline=torch.tensor([baseline]))

    def forward(self, x: Tensor) -> Tensor:
        """(events, features) to (events,); values are compared as float32, as those are that trees are grown on.

        Raises:
            ValueError: if there are fewer features than the trees look at.
        """
        if not len(self.value) or not len(x):
            return self.baseline.to(x.dtype).expand(len(x)).clone()
        if x.shape[1] < self._inputs:
            raise ValueError(f"the trees look at {self._inputs} features, and the events have {x.shape[1]}")
        sums = self._walked if x.device.type == "cpu" else self._gathered
        return (sums(x.float()) + self.baseline.double()).to(x.dtype)

    def _walked(self, x: Tensor) -> Tensor:
        """Sums of the leaves' values, (events,), on the processor."""
        feature, left, right = (getattr(self, name).numpy().view(np.uint64) for name in ("feature", "left", "right"))
        events = x.detach().contiguous().numpy()
        sums = sums_of_leaves(events, feature, self.threshold.numpy(), left, right, self.value.numpy(), self._depths)
        return torch.from_numpy(sums)

    def _gathered(self, x: Tensor) -> Tensor:
        """The same on any device."""
        rows = max(1, _CHUNK // len(self.value))
        return torch.cat([self._gathered_at_once(part) for part in x.split(rows)])

    def _gathered_at_once(self, x: Tensor) -> Tensor:
        trees, nodes = self.value.shape
        first = torch.arange(trees, device=x.device) * nodes
        place = first.expand(len(x), trees)
        feature, threshold, left, right, value = (
            getattr(self, name).flatten() for name in ("feature", "threshold", "left", "right", "value")
        )
        for _ in range(self._depths.max()):
            goes_left = x.gather(1, feature[place]) <= threshold[place]
            place = first + torch.where(goes_left, left[place], right[place])
        total: Tensor = value[place].double().sum(1)
        return total


def below(threshold: FloatArray) -> NDArray[np.float32]:
    """The largest float32 that is not above a float64: a float32 is at or below the one where it is at or below the other.

    Example:
        >>> float(below(np.array([0.1]))[0]) <= 0.1
        True
    """
    nearest = threshold.astype(np.float32)
    lower = np.nextafter(nearest, np.float32(-np.inf))
    return np.where(nearest.astype(np.float64) > threshold, lower, nearest)


def _inputs(feature: Tensor) -> int:
    """How many features the nodes look at: one more than the last of them.

    Raises:
        ModelError: if one has a negative number.
    """
    numbers = feature.cpu().numpy()
    if (numbers < 0).any():
        raise ModelError("a node of a tree looks at no feature")
    return int(numbers.max(initial=-1)) + 1


def _depths(left: Tensor, right: Tensor) -> NDArray[np.int64]:
    """The longest way from the root to a leaf, of each tree, (trees,).

    Raises:
        ModelError: if a node leads to none that is there, or back to itself: the compiled walk checks no index.
    """
    nexts = [side.cpu().numpy() for side in (left, right)]
    trees, nodes = left.shape
    if any(((side < 0) | (side >= nodes)).any() for side in nexts):
        raise ModelError("a node of a tree leads to one that is not there")
    leaf = (np.stack(nexts) == np.arange(nodes)).all(0)
    inner = ~leaf
    inner[:, 1:] = False
    depths = np.zeros(trees, dtype=np.int64)
    for _ in range(nodes):
        depths += inner.any(1)
        rows, places = np.nonzero(inner)
        reached = np.zeros_like(leaf)
        for side in nexts:
            reached[rows, side[rows, places]] = True
        inner = reached & ~leaf
        if not inner.any():
            return depths
    raise ModelError("a node of a tree leads back to itself")
