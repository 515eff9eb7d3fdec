"""Sliced Wasserstein and energy distance of two samples in many dimensions, with event weights.

Matrices have shape (events, features), finite, with one row per event; features on a common scale.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from hepgen.errors import UsageError
from hepgen.evaluation.metrics import wasserstein_distance
from hepgen.evaluation.multivariate import FloatArray, squared_distances

_CHUNK = 1000  # rows of distances at a time


def sliced_wasserstein(
    first: ArrayLike,
    second: ArrayLike,
    rng: np.random.Generator,
    first_weights: ArrayLike | None = None,
    second_weights: ArrayLike | None = None,
    *,
    slices: int = 128,
) -> float:
    """Mean Wasserstein-1 distance of the projections on random directions (arXiv 2409.16336).

    Raises:
        UsageError: if the samples have different sizes, and no weights.

    Example:
        >>> sliced_wasserstein([[0.0], [1.0]], [[1.0], [2.0]], np.random.default_rng(0))
        1.0
    """
    x, y = np.asarray(first, dtype=np.float64), np.asarray(second, dtype=np.float64)
    directions = rng.normal(size=(x.shape[1], slices))
    directions /= np.sqrt(np.square(directions).sum(axis=0))
    if first_weights is not None or second_weights is not None:
        projected = zip((x @ directions).T, (y @ directions).T, strict=True)
        return float(np.mean([wasserstein_distance(*pair, first_weights, second_weights) for pair in projected]))
    if len(x) != len(y):
        raise UsageError(f"sliced distances need samples of one size, not {len(x)} and {len(y)} events")
    return float(np.abs(np.sort(x @ directions, axis=0) - np.sort(y @ directions, axis=0)).mean())


def energy_distance(
    first: ArrayLike,
    second: ArrayLike,
    rng: np.random.Generator | None = None,
    first_weights: ArrayLike | None = None,
    second_weights: ArrayLike | None = None,
    *,
    permutations: int = 200,
) -> tuple[float, float]:
    """Energy distance 2 E|x - y| - E|x - x'| - E|y - y'|, unbiased, and its p-value by permutations of the labels.

    Székely and Rizzo, 2004. Weights of each sample are scaled to a mean of 1, and stay with their events when the labels are
    permuted. Memory does not grow with the square of the number of events, time does.

    Args:
        first, second: (events, features).
        rng: of the permutations; without one the p-value is nan.
        first_weights, second_weights: (events,), which may be negative.
        permutations: their number.

    Raises:
        UsageError: with fewer than two events on a side.

    Example:
        >>> value, p = energy_distance([[0.0], [1.0]], [[10.0], [11.0]])
        >>> value
        18.0
    """
    x, y = np.asarray(first, dtype=np.float64), np.asarray(second, dtype=np.float64)
    if min(len(x), len(y)) < 2:
        raise UsageError("an energy distance needs at least two events on a side")
    both = np.concatenate([x, y])
    weight = np.concatenate([_scaled(first_weights, len(x)), _scaled(second_weights, len(y))])
    label = np.arange(len(both)) < len(x)
    orders = [] if rng is None else [rng.permutation(label) for _ in range(permutations)]
    ours = weight[:, None] * np.stack([label, *orders], axis=1)
    theirs = weight[:, None] - ours
    within, crossed, everything = np.zeros(ours.shape[1]), np.zeros(ours.shape[1]), 0.0
    for start in range(0, len(both), _CHUNK):
        part = slice(start, start + _CHUNK)
        distances = np.sqrt(squared_distances(both[part], both))
        everything += float(weight[part] @ (distances @ weight))
        near = distances @ ours
        within += (ours[part] * near).sum(axis=0)
        crossed += (theirs[part] * near).sum(axis=0)
    others = everything - within - 2 * crossed
    sums = [one.sum(axis=0) for one in (ours, theirs)]
    pairs = [total**2 - np.square(one).sum(axis=0) for total, one in zip(sums, (ours, theirs), strict=True)]
    values = 2 * crossed / (sums[0] * sums[1]) - within / pairs[0] - others / pairs[1]
    p_value = float("nan") if rng is None else (1 + int((values[1:] >= values[0]).sum())) / len(values)
    return float(values[0]), p_value


def _scaled(weights: ArrayLike | None, count: int) -> FloatArray:
    """Weights with a mean of 1, (events,)."""
    if weights is None:
        return np.ones(count)
    values = np.asarray(weights, dtype=np.float64)
    total = values.sum()
    return np.asarray(values * (count / total)) if total > 0 else np.full(count, np.nan)
