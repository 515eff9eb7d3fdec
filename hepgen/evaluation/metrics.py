"""Distances between two samples: pure functions of arrays.

One-dimensional ones take event weights, which may be negative. Multivariate ones take matrices of shape
(events, features), finite, with one row per event.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hepgen.errors import UsageError

FloatArray = NDArray[np.float64]


def separation_power(first: ArrayLike, second: ArrayLike) -> float:
    """0.5 sum (h1 - h2)^2 / (h1 + h2) of two histograms scaled to unit sum (arXiv 2009.03796, eq. 15).

    0 for equal histograms, 1 for disjoint ones; nan where one of them is empty.

    Example:
        >>> separation_power([1, 1], [1, 3])
        0.0666667
        >>> separation_power([1, 0], [0, 5])
        1.0
    """
    h1, h2 = np.asarray(first, dtype=np.float64), np.asarray(second, dtype=np.float64)
    if h1.sum() == 0 or h2.sum() == 0:
        return float("nan")
    h1, h2 = h1 / h1.sum(), h2 / h2.sum()
    total = h1 + h2
    safe = np.where(np.abs(total) > 1e-16, total, 1.0)
    return float(0.5 * np.sum(np.where(np.abs(total) > 1e-16, (h1 - h2) ** 2 / safe, 0.0)))


def cdf_distances(values: FloatArray, first: FloatArray, second: FloatArray) -> tuple[float, float]:
    """Kolmogorov and Wasserstein-1 distance of two weightings of the same sorted values.

    Args:
        values: (events,), ascending, both samples together.
        first: (events,), weight of each event in the first sample, 0 where it is in the other.
        second: the same for the second sample.
    """
    if first.sum() == 0 or second.sum() == 0:
        return float("nan"), float("nan")
    difference = np.cumsum(first) / first.sum() - np.cumsum(second) / second.sum()
    steps = np.diff(values)
    inner = difference[:-1]
    kolmogorov = float(np.max(np.abs(np.where(steps > 0, inner, 0.0)), initial=0.0))
    return kolmogorov, float(np.sum(np.abs(inner) * steps))


def _both(
    first: ArrayLike, second: ArrayLike, first_weights: ArrayLike | None, second_weights: ArrayLike | None
) -> tuple[float, float]:
    x, y = np.asarray(first, dtype=np.float64), np.asarray(second, dtype=np.float64)
    wx = np.ones(len(x)) if first_weights is None else np.asarray(first_weights, dtype=np.float64)
    wy = np.ones(len(y)) if second_weights is None else np.asarray(second_weights, dtype=np.float64)
    values = np.concatenate([x, y])
    order = np.argsort(values, kind="stable")
    mass_x = np.concatenate([wx, np.zeros(len(y))])[order]
    mass_y = np.concatenate([np.zeros(len(x)), wy])[order]
    return cdf_distances(values[order], mass_x, mass_y)


def kolmogorov_distance(
    first: ArrayLike, second: ArrayLike, first_weights: ArrayLike | None = None, second_weights: ArrayLike | None = None
) -> float:
    """Largest distance of the two cumulative distributions; exact on tied (integer) values.

    Example:
        >>> kolmogorov_distance([0, 0, 1, 1], [0, 1, 1, 1])
        0.25
    """
    return _both(first, second, first_weights, second_weights)[0]


def wasserstein_distance(
    first: ArrayLike, second: ArrayLike, first_weights: ArrayLike | None = None, second_weights: ArrayLike | None = None
) -> float:
    """Wasserstein-1 (earth mover's) distance: the area between the cumulative distributions, in the values' unit.

    Example:
        >>> wasserstein_distance([0.0, 1.0], [2.0, 3.0])
        2.0
    """
    return _both(first, second, first_weights, second_weights)[1]


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


def squared_mmd(first: FloatArray, second: FloatArray) -> float:
    """Unbiased estimate of the squared maximum mean discrepancy with the kernel (x.y/d + 1)^4 (arXiv 2211.10295).

    Example:
        >>> squared_mmd(np.full((50, 2), 2.0), np.zeros((50, 2)))
        624.0
    """
    aa, bb, ab = (((u @ v.T) / u.shape[1] + 1.0) ** 4 for u, v in ((first, first), (second, second), (first, second)))
    within = [(one.sum() - np.trace(one)) / (len(one) * (len(one) - 1)) for one in (aa, bb)]
    return float(sum(within) - 2.0 * ab.mean())


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
