"""The energy mover's distance of jets (arXiv:1902.02346): the work that turns the constituents of one into another's."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from hepgen.evaluation.domain import Array, FloatArray
from hepgen.evaluation.jet_features import Blocks
from hepgen.evaluation.mass_transport import least_cost
from hepgen.physics.compiling import compiled


def energy_movers_distance(first: FloatArray, second: FloatArray, *, radius: float = 1.0) -> float:
    """min sum_ij f_ij theta_ij / R + |sum pt - sum pt'|, exactly, by shortest ways.

    Args:
        first, second: (constituents, 3), pt above 0, eta, phi.
        radius: R, what it costs to move over an angle against making pt from nothing.

    Example:
        >>> energy_movers_distance(np.array([[1.0, 0.0, 0.0]]), np.array([[1.5, 0.3, 0.4]]))
        1.0
    """
    return float(_distance(np.ascontiguousarray(first), np.ascontiguousarray(second), radius))


@compiled()
def _distance(first: FloatArray, second: FloatArray, radius: float) -> float:
    totals = first[:, 0].sum(), second[:, 0].sum()
    if min(totals) <= 0:
        return float(max(totals))
    # a constituent that is not there gives what one jet lacks, at the cost of 1 for its pt
    n, m = len(first) + (totals[0] < totals[1]), len(second) + (totals[1] < totals[0])
    have, want, cost = np.zeros(n), np.zeros(m), np.ones((n, m))
    have[: len(first)], want[: len(second)] = first[:, 0], second[:, 0]
    have[-1] += max(0.0, totals[1] - totals[0])
    want[-1] += max(0.0, totals[0] - totals[1])
    for i in range(len(first)):
        for j in range(len(second)):
            cost[i, j] = np.hypot(first[i, 1] - second[j, 1], first[i, 2] - second[j, 2]) / radius
    return float(least_cost(have, want, cost))


def distance_matrix(first: Blocks, second: Blocks, *, radius: float = 1.0) -> FloatArray:
    """Distances of all pairs of jets, relative constituents: (jets of the first, jets of the second)."""
    left, right = _points(first), _points(second)
    return np.array([[_distance(x, y, radius) for y in right] for x in left])


def _points(jets: Blocks) -> list[FloatArray]:
    stacked = np.stack([jets.ptrel, jets.etarel, jets.phirel], axis=-1).astype(np.float64)
    return [jet[jet[:, 0] > 0] for jet in stacked]


def coverage_and_mmd(distances: Array) -> tuple[float, float]:
    """Coverage and minimum matching distance of generated jets (arXiv:2106.11535).

    Args:
        distances: (generated, real).

    Returns:
        The share of real jets that are the nearest of a generated one, and the mean distance of a real jet to the nearest
        generated one.

    Example:
        >>> coverage_and_mmd(np.array([[0.0, 1.0], [0.5, 2.0]]))
        (0.5, 0.5)
    """
    nearest: NDArray[np.int64] = np.argmin(distances, axis=1)
    return len(np.unique(nearest)) / distances.shape[1], float(np.min(distances, axis=0).mean())
