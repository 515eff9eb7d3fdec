"""The nearest of a few thousand events, compiled for the processor."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from hepgen.physics.compiling import FAST, compiled

Floats = NDArray[np.float32]


@compiled(**FAST)
def nearest(events: Floats, places: Floats, count: int) -> tuple[NDArray[np.int64], Floats]:
    """Rows of the nearest places of each event, and their square distances, in no order.

    All distances of an event are calculated side by side in the cache: of a few thousand places in many dimensions a tree
    looks at most of them as well, one by one.

    Args:
        events: (n, d).
        places: (d, m), one row a dimension.
        count: of places for each event, m at most.

    Returns:
        (n, count) rows of places, and square distances.

    Example:
        >>> rows, square = nearest(np.float32([[0.0], [3.0]]), np.float32([[1.0, 2.5, -0.5]]), 1)
        >>> rows.tolist(), square.tolist()
        ([[2], [1]], [[0.25], [0.25]])
    """
    dimensions, size = places.shape
    rows = np.empty((len(events), count), dtype=np.int64)
    found = np.empty((len(events), count), dtype=np.float32)
    square = np.empty(size, dtype=np.float32)
    for event in range(len(events)):
        value = events[event, 0]
        for j in range(size):
            square[j] = (places[0, j] - value) * (places[0, j] - value)
        for k in range(1, dimensions):
            value = events[event, k]
            for j in range(size):
                square[j] += (places[k, j] - value) * (places[k, j] - value)
        for j in range(count):
            rows[event, j], found[event, j] = j, square[j]
        farthest = np.argmax(found[event])
        limit = found[event, farthest]
        for j in range(count, size):
            if square[j] < limit:
                rows[event, farthest], found[event, farthest] = j, square[j]
                farthest = np.argmax(found[event])
                limit = found[event, farthest]
    return rows, found
