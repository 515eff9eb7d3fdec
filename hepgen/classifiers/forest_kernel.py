"""Sums over the leaves of many trees, compiled for the processor."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from hepgen.physics.compiling import compiled

_STEP = 512  # events that go through a tree together: their features, nodes and sums stay in the cache


@compiled(error_model="numpy")
def sums_of_leaves(
    x: NDArray[np.float32],
    feature: NDArray[np.uint64],
    threshold: NDArray[np.float32],
    left: NDArray[np.uint64],
    right: NDArray[np.uint64],
    value: NDArray[np.float32],
    depth: NDArray[np.int64],
) -> NDArray[np.float64]:
    """The values of the leaves that events reach, summed tree by tree in float64.

    All events of a step go down one level of one tree before any goes further. Their ways do not depend on each other, and
    both children of a node are read: the processor waits neither for the node before nor for a branch that it did not guess.

    Args:
        x: (events, features).
        feature, threshold, left, right, value: (trees, nodes), see ``hepgen.classifiers.forest.Forest``. Unsigned, because
            a sign would have to be looked at for each index; none is checked.
        depth: (trees,), steps from the root to the deepest leaf.

    Returns:
        (events,)

    Example:
        >>> index, value = (lambda *row: np.array([row], np.uint64)), (lambda *row: np.array([row], np.float32))
        >>> stump = index(0, 0, 0), value(0.5, 0, 0), index(1, 1, 2), index(2, 1, 2), value(0, -1, 3)
        >>> sums_of_leaves(np.float32([[0.5], [0.6], [np.nan]]), *stump, np.array([1])).tolist()
        [-1.0, 3.0, 3.0]
    """
    total = np.zeros(len(x), dtype=np.float64)
    place = np.empty(_STEP, dtype=np.uint64)
    for first in range(0, len(x), _STEP):
        events, sums = x[first : first + _STEP], total[first : first + _STEP]
        for tree in range(len(value)):
            at, edge, low, high, leaf = feature[tree], threshold[tree], left[tree], right[tree], value[tree]
            place[:] = 0
            for _ in range(depth[tree]):
                for event in range(len(events)):
                    node = place[event]
                    place[event] = low[node] if events[event, at[node]] <= edge[node] else high[node]
            for event in range(len(events)):
                sums[event] += leaf[place[event]]
    return total
