"""Distances between two samples in many dimensions: pure functions of matrices.

Matrices have shape (events, features), finite, with one row per event; features on a common scale.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hepgen.errors import UsageError

FloatArray = NDArray[np.float64]

_CHUNK = 1000  # rows of distances at a time
_BLOCK = 500_000  # values of a kernel at a time: what a core keeps near it


def frechet_distance(first: ArrayLike, second: ArrayLike) -> float:
    """Squared Frechet distance of the Gaussians with the samples' means and covariances.

    |mu1 - mu2|^2 + Tr(C1 + C2 - 2 (C1 C2)^(1/2)), arXiv 2211.10295. Biased upwards by the finite size of the samples.

    Raises:
        UsageError: with fewer than two events on a side.

    Example:
        >>> frechet_distance([[-1.0], [1.0]], [[1.0], [3.0]])
        4.0
    """
    x, y = np.asarray(first, dtype=np.float64), np.asarray(second, dtype=np.float64)
    if min(len(x), len(y)) < 2:
        raise UsageError("a Frechet distance needs at least two events on a side")
    difference = x.mean(axis=0) - y.mean(axis=0)
    cov_x, cov_y = np.atleast_2d(np.cov(x, rowvar=False)), np.atleast_2d(np.cov(y, rowvar=False))
    # Tr (C1 C2)^(1/2) is the sum of the singular values of C1^(1/2) C2^(1/2): symmetric, never complex
    root = np.linalg.svd(_symmetric_root(cov_x) @ _symmetric_root(cov_y), compute_uv=False).sum()
    return float(max(difference @ difference + np.trace(cov_x) + np.trace(cov_y) - 2.0 * root, 0.0))


def _symmetric_root(matrix: FloatArray) -> FloatArray:
    values, vectors = np.linalg.eigh(matrix)
    return np.asarray((vectors * np.sqrt(np.clip(values, 0.0, None))) @ vectors.T)


def frechet_extrapolated(
    first: ArrayLike,
    second: ArrayLike,
    rng: np.random.Generator,
    *,
    min_samples: int = 10_000,
    max_samples: int = 50_000,
    points: int = 10,
    repeats: int = 20,
) -> tuple[float, float]:
    """Frechet distance extrapolated linearly in 1/N to N = infinity, and the error of the fit.

    As jetnet's ``fpd`` (arXiv 2211.10295): sizes regular in 1/N, each value the mean over batches drawn with
    replacement, slope and intercept not negative.
    """
    from scipy.optimize import curve_fit

    x, y = np.asarray(first, dtype=np.float64), np.asarray(second, dtype=np.float64)
    sizes = (1.0 / np.linspace(1.0 / min_samples, 1.0 / max_samples, points)).astype(int)
    values = [
        np.mean(
            [
                frechet_distance(x[rng.integers(len(x), size=size)], y[rng.integers(len(y), size=size)])
                for _ in range(repeats)
            ]
        )
        for size in sizes
    ]

    def line(inverse: FloatArray, slope: float, intercept: float) -> FloatArray:
        return intercept + slope * inverse

    fitted, covariance = curve_fit(line, 1.0 / sizes, values, bounds=([0.0, 0.0], [np.inf, np.inf]))
    return float(fitted[1]), float(np.sqrt(covariance[1, 1]))


def frechet_intercept(first: ArrayLike, second: ArrayLike, *, smallest: int, points: int = 6) -> tuple[float, float]:
    """Frechet distance at infinitely many events, and the error of the fit: no event is used twice at any size.

    A straight line in 1/N through means over disjoint pieces of N events, for sizes regular in 1/N between ``smallest``
    and all. Copies of events, which drawing with replacement makes, would be taken for a narrower distribution.

    Raises:
        UsageError: with fewer than twice ``smallest`` events on a side.
    """
    x, y = np.asarray(first, dtype=np.float64), np.asarray(second, dtype=np.float64)
    size = min(len(x), len(y))
    if size < 2 * smallest:
        raise UsageError(f"{size} events a side are too few to extrapolate from {smallest}")
    sizes = np.unique((1.0 / np.linspace(1.0 / smallest, 1.0 / size, points)).astype(int))
    means, errors = [], []
    for count in sizes.tolist():
        pieces = [slice(start, start + count) for start in range(0, size - count + 1, count)]
        values = [frechet_distance(x[piece], y[piece]) for piece in pieces]
        means.append(float(np.mean(values)))
        if len(values) > 1:
            errors.append(float(np.std(values, ddof=1) / np.sqrt(len(values))))
    # every size takes all events, so all means have about the same error
    weights = np.full(len(sizes), 1.0 / max(float(np.median(errors)), 1e-12))
    coefficients, covariance = np.polyfit(1.0 / sizes, means, 1, w=weights, cov="unscaled")
    return float(max(coefficients[1], 0.0)), float(np.sqrt(covariance[1, 1]))


def squared_mmd(first: FloatArray, second: FloatArray) -> float:
    """Unbiased estimate of the squared maximum mean discrepancy with the kernel (x.y/d + 1)^4 (arXiv 2211.10295).

    Example:
        >>> squared_mmd(np.full((50, 2), 2.0), np.zeros((50, 2)))
        624.0
    """
    x, y = np.asarray(first, dtype=np.float64), np.asarray(second, dtype=np.float64)
    within = [(_kernel_sum(one, one) - _kernel_trace(one)) / (len(one) * (len(one) - 1)) for one in (x, y)]
    return float(sum(within) - 2.0 * _kernel_sum(x, y) / (len(x) * len(y)))


def _kernel_sum(first: FloatArray, second: FloatArray) -> float:
    """Sum of (x.y/d + 1)^4 over all pairs, a block of rows at a time."""
    rows = max(1, _BLOCK // len(second))
    total = 0.0
    for start in range(0, len(first), rows):
        values = first[start : start + rows] @ (second.T / first.shape[1])
        values += 1.0
        values *= values
        total += float(np.vdot(values, values))
    return total


def _kernel_trace(events: FloatArray) -> float:
    return float(((np.square(events).sum(axis=1) / events.shape[1] + 1.0) ** 4).sum())


def kernel_distance(
    first: ArrayLike, second: ArrayLike, rng: np.random.Generator, *, batches: int = 10, batch_size: int = 5_000
) -> tuple[float, float]:
    """Kernel physics distance: median of unbiased squared MMDs with the kernel (x.y/d + 1)^4, and its spread.

    As jetnet's ``kpd`` (arXiv 2211.10295); the spread is half of the 16-84 % range. Batches are drawn without
    replacement.
    """
    x, y = np.asarray(first, dtype=np.float64), np.asarray(second, dtype=np.float64)
    size = min(batch_size, len(x), len(y))
    values = [squared_mmd(x[rng.permutation(len(x))[:size]], y[rng.permutation(len(y))[:size]]) for _ in range(batches)]
    low, high = np.percentile(values, [16.275, 83.725])
    return float(np.median(values)), float((high - low) / 2)


def correlation_distance(first: ArrayLike, second: ArrayLike) -> float:
    """Frobenius norm of the difference of the two matrices of linear correlations; a constant feature has none.

    Example:
        >>> x = [[0.0, 0.0], [1.0, 1.0], [2.0, 2.0]]
        >>> correlation_distance(x, [[0.0, 2.0], [1.0, 1.0], [2.0, 0.0]])
        2.8284271
    """
    return float(np.linalg.norm(_correlations(first) - _correlations(second)))


def _correlations(values: ArrayLike) -> FloatArray:
    x = np.asarray(values, dtype=np.float64)
    centred = x - x.mean(axis=0)
    width = np.sqrt(np.square(centred).sum(axis=0))
    scaled = centred / np.where(width > 0, width, 1.0)
    return np.asarray(scaled.T @ scaled)


def sliced_wasserstein(first: ArrayLike, second: ArrayLike, rng: np.random.Generator, *, slices: int = 128) -> float:
    """Mean Wasserstein-1 distance of the projections on random directions (arXiv 2409.16336), of samples of one size.

    Raises:
        UsageError: if the samples have different sizes.

    Example:
        >>> sliced_wasserstein([[0.0], [1.0]], [[1.0], [2.0]], np.random.default_rng(0))
        1.0
    """
    x, y = np.asarray(first, dtype=np.float64), np.asarray(second, dtype=np.float64)
    if len(x) != len(y):
        raise UsageError(f"sliced distances need samples of one size, not {len(x)} and {len(y)} events")
    directions = rng.normal(size=(x.shape[1], slices))
    directions /= np.sqrt(np.square(directions).sum(axis=0))
    return float(np.abs(np.sort(x @ directions, axis=0) - np.sort(y @ directions, axis=0)).mean())


def energy_distance(
    first: ArrayLike, second: ArrayLike, rng: np.random.Generator | None = None, *, permutations: int = 200
) -> tuple[float, float]:
    """Energy distance 2 E|x - y| - E|x - x'| - E|y - y'|, unbiased, and its p-value by permutations of the labels.

    Székely and Rizzo, 2004. Memory does not grow with the square of the number of events, time does.

    Args:
        rng: of the permutations; without one the p-value is nan.

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
    label = (np.arange(len(both)) < len(x)).astype(np.float64)
    orders = [] if rng is None else [rng.permutation(label) for _ in range(permutations)]
    labels = np.stack([label, *orders], axis=1)
    within, rows = np.zeros(labels.shape[1]), np.empty(len(both))
    crossed = np.zeros(labels.shape[1])
    for start in range(0, len(both), _CHUNK):
        part = slice(start, start + _CHUNK)
        distances = np.sqrt(squared_distances(both[part], both))
        rows[part] = distances.sum(axis=1)
        near = distances @ labels
        within += (labels[part] * near).sum(axis=0)
        crossed += ((1 - labels[part]) * near).sum(axis=0)
    n, m = len(x), len(y)
    other = rows.sum() - within - 2 * crossed
    values = 2 * crossed / (n * m) - within / (n * (n - 1)) - other / (m * (m - 1))
    p_value = float("nan") if rng is None else (1 + int((values[1:] >= values[0]).sum())) / len(values)
    return float(values[0]), p_value


@dataclass(frozen=True)
class NeighbourScores:
    """Precision, recall, density and coverage of a generated against a real sample; each 1 at best."""

    precision: float
    recall: float
    density: float
    coverage: float


def neighbour_scores(real: ArrayLike, generated: ArrayLike, k: int = 5) -> NeighbourScores:
    """Precision, recall (arXiv 1904.06991), density and coverage (arXiv 2002.09797) by k-nearest-neighbour balls.

    Memory grows as the square of the number of events: meant for a few thousand a side.

    Raises:
        UsageError: with k events or fewer on a side.
    """
    x, y = np.asarray(real, dtype=np.float32), np.asarray(generated, dtype=np.float32)
    if min(len(x), len(y)) <= k:
        raise UsageError(f"nearest-neighbour scores need more than {k} events on a side")
    radius_x = np.partition(squared_distances(x, x), k, axis=1)[:, k]
    radius_y = np.partition(squared_distances(y, y), k, axis=1)[:, k]
    cross = squared_distances(x, y)
    inside = cross < radius_x[:, None]
    return NeighbourScores(
        precision=float(inside.any(axis=0).mean()),
        recall=float((cross < radius_y[None, :]).any(axis=1).mean()),
        density=float(inside.sum(axis=0).mean() / k),
        coverage=float((cross.min(axis=1) < radius_x).mean()),
    )


def squared_distances(first: NDArray[np.floating], second: NDArray[np.floating]) -> NDArray[np.floating]:
    """Squared Euclidean distances, (events of the first, events of the second)."""
    squares = (first**2).sum(axis=1)[:, None] + (second**2).sum(axis=1)[None, :]
    return np.asarray(np.maximum(squares - 2.0 * (first @ second.T), 0.0))
