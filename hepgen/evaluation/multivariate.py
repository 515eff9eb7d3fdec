"""Distances between two samples in many dimensions: pure functions of matrices.

Matrices have shape (events, features), finite, with one row per event; features on a common scale.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hepgen.errors import UsageError

FloatArray = NDArray[np.float64]

_BLOCK = 500_000  # values of a kernel at a time: what a core keeps near it


def frechet_distance(
    first: ArrayLike, second: ArrayLike, first_weights: ArrayLike | None = None, second_weights: ArrayLike | None = None
) -> float:
    """Squared Frechet distance of the Gaussians with the samples' means and covariances.

    |mu1 - mu2|^2 + Tr(C1 + C2 - 2 (C1 C2)^(1/2)), arXiv 2211.10295. Biased upwards by the finite size of the samples. Nan
    where the weights of a sample cancel.

    Raises:
        UsageError: with fewer than two events on a side.

    Example:
        >>> frechet_distance([[-1.0], [1.0]], [[1.0], [3.0]])
        4.0
    """
    return frechet_distances((first, first_weights), [(second, second_weights)])[0]


def frechet_distances(
    first: tuple[ArrayLike, ArrayLike | None], others: Sequence[tuple[ArrayLike, ArrayLike | None]]
) -> list[float]:
    """Frechet distances of several samples from one; each is its events and weights, or None."""
    (mean_x, cov_x), found = _moments(*first), []
    root_x = None if np.isnan(mean_x).any() else _symmetric_root(cov_x)
    for mean_y, cov_y in (_moments(*one) for one in others):
        difference = mean_x - mean_y
        if root_x is None or np.isnan(difference).any():
            found.append(float("nan"))
            continue
        # Tr (C1 C2)^(1/2) is the sum of the singular values of C1^(1/2) C2^(1/2): symmetric, never complex
        root = np.linalg.svd(root_x @ _symmetric_root(cov_y), compute_uv=False).sum()
        found.append(float(max(difference @ difference + np.trace(cov_x) + np.trace(cov_y) - 2.0 * root, 0.0)))
    return found


def _moments(values: ArrayLike, weights: ArrayLike | None) -> tuple[FloatArray, FloatArray]:
    """Mean and unbiased covariance, (features,) and (features, features); weights may be negative."""
    x = np.asarray(values, dtype=np.float64)
    if len(x) < 2:
        raise UsageError("a Frechet distance needs at least two events on a side")
    w = np.ones(len(x)) if weights is None else np.asarray(weights, dtype=np.float64)
    total = w.sum()
    scale = total - np.square(w).sum() / total if total > 0 else 0.0
    if scale <= 0:  # weights that cancel say nothing of a covariance
        return np.full(x.shape[1], np.nan), np.full((x.shape[1], x.shape[1]), np.nan)
    mean = w @ x / total
    centred = x - mean
    return mean, (centred * w[:, None]).T @ centred / scale


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


def frechet_intercept(
    first: ArrayLike,
    second: ArrayLike,
    first_weights: ArrayLike | None = None,
    second_weights: ArrayLike | None = None,
    *,
    smallest: int,
    points: int = 6,
) -> tuple[float, float]:
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
    weights = [
        np.ones(len(one)) if w is None else np.asarray(w, dtype=np.float64)
        for one, w in ((x, first_weights), (y, second_weights))
    ]
    sizes = np.unique((1.0 / np.linspace(1.0 / smallest, 1.0 / size, points)).astype(int))
    means, errors = [], []
    for count in sizes.tolist():
        pieces = [slice(start, start + count) for start in range(0, size - count + 1, count)]
        values = [frechet_distance(x[piece], y[piece], weights[0][piece], weights[1][piece]) for piece in pieces]
        means.append(float(np.mean(values)))
        if len(values) > 1:
            errors.append(float(np.std(values, ddof=1) / np.sqrt(len(values))))
    # every size takes all events, so all means have about the same error
    trust = np.full(len(sizes), 1.0 / max(float(np.median(errors)), 1e-12))
    coefficients, covariance = np.polyfit(1.0 / sizes, means, 1, w=trust, cov="unscaled")
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


def correlation_distance(
    first: ArrayLike, second: ArrayLike, first_weights: ArrayLike | None = None, second_weights: ArrayLike | None = None
) -> float:
    """Frobenius norm of the difference of the two matrices of linear correlations; a constant feature has none.

    Example:
        >>> x = [[0.0, 0.0], [1.0, 1.0], [2.0, 2.0]]
        >>> correlation_distance(x, [[0.0, 2.0], [1.0, 1.0], [2.0, 0.0]])
        2.8284271
    """
    return float(np.linalg.norm(_correlations(first, first_weights) - _correlations(second, second_weights)))


def _correlations(values: ArrayLike, weights: ArrayLike | None) -> FloatArray:
    x = np.asarray(values, dtype=np.float64)
    w = np.ones(len(x)) if weights is None else np.asarray(weights, dtype=np.float64)
    if w.sum() <= 0:
        return np.full((x.shape[1], x.shape[1]), np.nan)
    centred = x - w @ x / w.sum()
    width = np.sqrt(np.maximum(w @ np.square(centred), 0.0))
    scaled = centred / np.where(width > 0, width, 1.0)
    return np.asarray((scaled * w[:, None]).T @ scaled)


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
