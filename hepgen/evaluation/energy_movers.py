"""The energy mover's distance of jets (arXiv:1902.02346): the work that turns the constituents of one into another's."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from hepgen.evaluation.domain import Array, FloatArray
from hepgen.evaluation.jet_features import Blocks


def energy_movers_distance(first: FloatArray, second: FloatArray, *, radius: float = 1.0) -> float:
    """min sum_ij f_ij theta_ij / R + |sum pt - sum pt'|, exactly, by the network simplex of POT.

    Args:
        first, second: (constituents, 3), pt above 0, eta, phi.
        radius: R, what it costs to move over an angle against making pt from nothing.

    Example:
        >>> energy_movers_distance(np.array([[1.0, 0.0, 0.0]]), np.array([[1.5, 0.3, 0.4]]))
        1.0
    """
    import ot

    totals = first[:, 0].sum(), second[:, 0].sum()
    largest = max(totals)
    if min(totals) <= 0:
        return float(largest)
    apart = first[:, None, 1:] - second[None, :, 1:]
    cost = np.hypot(apart[..., 0], apart[..., 1]) / radius
    have, want = first[:, 0], second[:, 0]
    # a constituent that is not there gives what one jet lacks, at the cost of 1 for its pt
    if totals[0] < totals[1]:
        have, cost = np.append(have, totals[1] - totals[0]), np.append(cost, np.ones((1, len(second))), axis=0)
    elif totals[1] < totals[0]:
        want, cost = np.append(want, totals[0] - totals[1]), np.append(cost, np.ones((len(first), 1)), axis=1)
    moved = ot.emd2(have / have.sum(), want / want.sum(), cost, center_dual=False)
    return float(moved) * float(largest)


def distance_matrix(first: Blocks, second: Blocks, *, radius: float = 1.0) -> FloatArray:
    """Distances of all pairs of jets, relative constituents: (jets of the first, jets of the second)."""
    left, right = _points(first), _points(second)
    return np.array([[energy_movers_distance(x, y, radius=radius) for y in right] for x in left])


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
