"""The exact least cost of moving masses to places, compiled: many small problems, such as the constituents of two jets."""

from __future__ import annotations

import numpy as np

from hepgen.evaluation.domain import FloatArray
from hepgen.physics.compiling import compiled

#: Of the whole mass; what rounding leaves over is not moved.
_TINY = 1e-14


@compiled()
def least_cost(supply: FloatArray, demand: FloatArray, cost: FloatArray) -> float:
    """min sum_ij f_ij cost_ij over flows f >= 0 with these sums of rows and columns, exactly.

    Successive shortest paths with potentials: from each place in turn, Dijkstra over reduced costs until a place with
    room is found, and as much as the way allows is sent along it (Jonker and Volgenant, 1987, with masses in the place of
    ones). Each way is O(n m) at most, and far less in most cases.

    Args:
        supply: (n,) masses, none negative.
        demand: (m,) masses of the same sum, but for rounding.
        cost: (n, m).

    Example:
        >>> least_cost(np.array([0.5, 0.5]), np.array([0.25, 0.75]), np.array([[0.0, 1.0], [3.0, 0.0]]))
        0.25
    """
    n, m = cost.shape
    tiny = _TINY * supply.sum()
    left, room = supply.copy(), demand.copy()
    flow = np.zeros((n, m))
    row, column = np.zeros(n), np.zeros(m)  # potentials: cost - row - column is 0 where something flows, else not below
    distance, through = np.empty(m), np.empty(m, dtype=np.int64)
    done, reached = np.empty(m, dtype=np.bool_), np.empty(n, dtype=np.bool_)
    source_distance, entered = np.empty(n), np.empty(n, dtype=np.int64)
    queue = np.empty(n, dtype=np.int64)
    for j in range(m):
        column[j] = cost[:, j].min()
    for start in range(n):
        while left[start] > tiny:
            distance[:] = np.inf
            done[:] = False
            reached[:] = False
            reached[start] = True
            source_distance[start] = 0.0
            queue[0], waiting, level, last = start, 1, 0.0, -1
            while True:
                for k in range(waiting):
                    i = queue[k]
                    for j in range(m):
                        if not done[j]:
                            further = level + (cost[i, j] - row[i] - column[j])
                            if further < distance[j]:
                                distance[j], through[j] = further, i
                waiting = 0
                best, level = -1, np.inf
                for j in range(m):
                    if not done[j] and distance[j] < level:
                        best, level = j, distance[j]
                if best < 0:
                    break
                done[best] = True
                if room[best] > tiny:
                    last = best
                    break
                for i in range(n):
                    if flow[i, best] > 0 and not reached[i]:
                        reached[i] = True
                        source_distance[i], entered[i] = level, best
                        queue[waiting] = i
                        waiting += 1
            if last < 0:  # no room is left anywhere: the rest is rounding
                break
            for i in range(n):
                if reached[i]:
                    row[i] += level - source_distance[i]
            for j in range(m):
                if done[j]:
                    column[j] -= level - distance[j]
            amount = min(left[start], room[last])
            i = through[last]
            while i != start:
                amount = min(amount, flow[i, entered[i]])
                i = through[entered[i]]
            room[last] -= amount
            left[start] -= amount
            i = through[last]
            flow[i, last] += amount
            while i != start:
                j = entered[i]
                flow[i, j] -= amount
                i = through[j]
                flow[i, j] += amount
    return float((flow * cost).sum())
