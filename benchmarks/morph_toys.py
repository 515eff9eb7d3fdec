"""Samples whose morph is looked at by eye or known by formula: planes of the literature, conditional planes, Gaussians.

The planes are those of flows for flows (arXiv 2211.02487, 2309.06472) and of density estimation before them, within about
four units of the origin; each is a function of a number of events and a generator of random numbers.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]
Plane = Callable[[int, np.random.Generator], FloatArray]
"""(events, rng) -> (events, 2)."""


def checkerboard(events: int, rng: np.random.Generator) -> FloatArray:
    """Every second of the 16 fields of a board of side 8."""
    x = rng.uniform(-4, 4, events)
    y = rng.uniform(0, 2, events) - 4 * rng.integers(0, 2, events)
    return np.stack([x, y + 2 * (np.floor(x / 2) % 2)], axis=1)


def star(events: int, rng: np.random.Generator) -> FloatArray:
    """Eight arms of width 0.15 from the origin."""
    angle = rng.integers(0, 8, events) * np.pi / 4
    along, across = rng.uniform(0.5, 4, events), rng.normal(0, 0.15, events)
    return np.stack(
        [along * np.cos(angle) - across * np.sin(angle), along * np.sin(angle) + across * np.cos(angle)], axis=1
    )


def rings(events: int, rng: np.random.Generator) -> FloatArray:
    """Four concentric rings of radius 1 to 4, as many events in each."""
    return _polar(rng.integers(1, 5, events) + rng.normal(0, 0.08, events), rng.uniform(0, 2 * np.pi, events))


def spirals(events: int, rng: np.random.Generator) -> FloatArray:
    """Two spirals of one turn and a half, one the other's point reflection."""
    turn = 3 * np.pi * np.sqrt(rng.uniform(0, 1, events))
    sign = rng.choice([-1.0, 1.0], events)
    return sign[:, None] * _polar(4 * turn / (3 * np.pi), turn) + rng.normal(0, 0.1, (events, 2))


def four_circles(events: int, rng: np.random.Generator) -> FloatArray:
    """Circles of radius 1 around (+-2, +-2)."""
    centres = 2 * rng.choice([-1.0, 1.0], (events, 2))
    return centres + _polar(1 + rng.normal(0, 0.06, events), rng.uniform(0, 2 * np.pi, events))


PLANES: dict[str, Plane] = {
    "checkerboard": checkerboard,
    "star": star,
    "rings": rings,
    "spirals": spirals,
    "four_circles": four_circles,
}


def _polar(radius: FloatArray, angle: FloatArray) -> FloatArray:
    return np.stack([radius * np.cos(angle), radius * np.sin(angle)], axis=1)


def rotated(points: FloatArray, condition: FloatArray, largest: float = np.pi / 4) -> FloatArray:
    """Points (events, 2) turned by condition (events,) times the largest angle.

    Example:
        >>> rotated(np.array([[1.0, 0.0]]), np.array([1.0]), np.pi / 2).round(6).tolist()
        [[0.0, 1.0]]
    """
    cosine, sine = np.cos(largest * condition), np.sin(largest * condition)
    return np.stack([cosine * points[:, 0] - sine * points[:, 1], sine * points[:, 0] + cosine * points[:, 1]], axis=1)


def scaled(points: FloatArray, condition: FloatArray, smallest: float = 0.5) -> FloatArray:
    """Points (events, 2) drawn towards the origin: by nothing at condition 0, to this share of their distance at 1.

    Example:
        >>> scaled(np.array([[1.0, 0.0], [1.0, 0.0]]), np.array([0.0, 1.0]))[:, 0].tolist()
        [1.0, 0.5]
    """
    return np.asarray(points * (1 - (1 - smallest) * condition)[:, None])


def gaussian_pair(dimensions: int) -> tuple[tuple[FloatArray, FloatArray], tuple[FloatArray, FloatArray]]:
    """Means and covariances of two correlated Gaussians, always the same of these dimensions.

    Means differ by about half a width in every column, widths by up to a factor of 1.5.
    """
    rng = np.random.default_rng(dimensions)
    found = []
    for _ in range(2):
        axes, _ = np.linalg.qr(rng.normal(size=(dimensions, dimensions)))
        found.append(
            (rng.uniform(-0.5, 0.5, dimensions), axes @ np.diag(rng.uniform(0.4, 1.6, dimensions) ** 2) @ axes.T)
        )
    return found[0], found[1]


def gaussian(mean: FloatArray, covariance: FloatArray, events: int, rng: np.random.Generator) -> FloatArray:
    """A sample (events, dimensions)."""
    return np.asarray(mean + rng.normal(size=(events, len(mean))) @ np.linalg.cholesky(covariance).T)


def bures_wasserstein(
    source: tuple[FloatArray, FloatArray], target: tuple[FloatArray, FloatArray], widths: FloatArray | None = None
) -> tuple[FloatArray, FloatArray]:
    """The map x -> A x + b of one Gaussian onto another that moves least in the mean square, as (A, b).

    A = C1^(-1/2) (C1^(1/2) C2 C1^(1/2))^(1/2) C1^(-1/2) (Givens and Shortt, Michigan Math. J. 31 (1984) 231).

    Args:
        source, target: mean (dimensions,) and covariance (dimensions, dimensions).
        widths: units of the columns in which the movement is measured; the map is of columns as they are.

    Example:
        >>> bures_wasserstein((np.zeros(1), np.eye(1)), (np.ones(1), 4 * np.eye(1)))
        (array([[2.]]), array([1.]))
    """
    unit = np.ones(len(source[0])) if widths is None else widths
    first, second = (covariance / np.outer(unit, unit) for _, covariance in (source, target))
    root = symmetric_root(first)
    inverse = np.linalg.inv(root)
    matrix = inverse @ symmetric_root(root @ second @ root) @ inverse
    matrix = matrix * np.outer(unit, 1 / unit)
    return matrix, target[0] - matrix @ source[0]


def symmetric_root(matrix: FloatArray) -> FloatArray:
    """The positive square root of a symmetric matrix."""
    values, vectors = np.linalg.eigh(matrix)
    return np.asarray((vectors * np.sqrt(np.clip(values, 0, None))) @ vectors.T)
