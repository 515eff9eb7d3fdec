"""Distances between two samples in one dimension: pure functions of arrays, with event weights, which may be negative."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

FloatArray = NDArray[np.float64]

UNWEIGHTED = "without event weights"
"""Comment on a score that does not take the weights that the events have."""


def separation_power(first: ArrayLike, second: ArrayLike) -> float:
    """0.5 sum (h1 - h2)^2 / (h1 + h2) of two histograms scaled to unit sum (arXiv 2009.03796, eq. 15).

    0 for equal histograms, 1 for disjoint ones; nan where one of them is empty.

    Example:
        >>> separation_power([1, 1], [1, 3])
        0.0666667
        >>> separation_power([1, 0], [0, 5])
        1.0
    """
    return float(separation_powers(first, second))


def separation_powers(first: ArrayLike, second: ArrayLike) -> FloatArray:
    """``separation_power`` of many pairs of histograms, (..., bins), to (...)."""
    h1, h2 = (np.asarray(one, dtype=np.float64) for one in (first, second))
    sums = [one.sum(axis=-1, keepdims=True) for one in (h1, h2)]
    h1, h2 = (one / np.where(total != 0, total, np.nan) for one, total in zip((h1, h2), sums, strict=True))
    total = h1 + h2
    used = ~(np.abs(total) <= 1e-16)  # what is not a number stays so
    return np.asarray(0.5 * np.sum(np.where(used, (h1 - h2) ** 2 / np.where(used, total, 1.0), 0.0), axis=-1))


def effective_events(weights: FloatArray) -> float:
    """Events without weights that would have the same statistical error: (sum w)^2 / sum w^2.

    Example:
        >>> effective_events(np.array([1.0, 1.0, 2.0]))
        2.667
    """
    return float(weights.sum() ** 2 / np.square(weights).sum())


def weighted_quantiles(values: FloatArray, quantiles: FloatArray, weights: FloatArray) -> FloatArray:
    """Quantiles of weighted events, between neighbours by a straight line; those of numpy where all weights are equal.

    Example:
        >>> x = np.array([3.0, 1.0, 2.0, 10.0])
        >>> weighted_quantiles(x, np.array([0.0, 0.5, 1.0]), np.full(4, 2.0)).tolist()
        [1.0, 2.5, 10.0]
        >>> weighted_quantiles(x, np.array([0.5]), np.array([1.0, 1.0, 1.0, 0.0])).tolist()
        [2.0]
    """
    order = np.argsort(values, kind="stable")
    order = order[weights[order] != 0]
    weight = weights[order]
    middle = np.maximum.accumulate(np.cumsum(weight) - weight / 2)
    span = middle[-1] - middle[0]
    places = (middle - middle[0]) / (span if span > 0 else 1.0)
    return np.asarray(np.interp(quantiles, places, values[order]))


def chi2_per_bin(
    first: ArrayLike, first_squares: ArrayLike, second: ArrayLike, second_squares: ArrayLike
) -> tuple[float, float]:
    """chi2 per degree of freedom of two histograms scaled to unit sum, from sums of weights and of their squares.

    Bins that are empty in both do not count; about 1 for samples of one law, nan with fewer than two bins. The error is that
    of the noncentral chi2 distribution: it does not fall with the number of events, as the value itself does not.

    Returns:
        chi2 per degree of freedom and its error.

    Example:
        >>> chi2_per_bin([50, 50], [50, 50], [60, 40], [60, 40])
        (2.02, 2.466)
    """
    chi2, freedom = chi2_and_freedom(first, first_squares, second, second_squares)
    if not freedom:
        return float("nan"), float("nan")
    return chi2 / freedom, float(np.sqrt(2 / freedom * (2 * max(chi2 / freedom, 1.0) - 1)))


def chi2_and_freedom(
    first: ArrayLike, first_squares: ArrayLike, second: ArrayLike, second_squares: ArrayLike
) -> tuple[float, int]:
    """chi2 of two histograms as of ``chi2_per_bin``, and its degrees of freedom; nan and 0 where it is not defined."""
    counts = [np.asarray(one, dtype=np.float64) for one in (first, second)]
    totals = [one.sum() for one in counts]
    if min(totals) <= 0:
        return float("nan"), 0
    squares = (np.asarray(one, dtype=np.float64) for one in (first_squares, second_squares))
    variance = sum(one / total**2 for one, total in zip(squares, totals, strict=True))
    used = np.asarray(variance) > 0
    if used.sum() < 2:
        return float("nan"), 0
    difference = counts[0] / totals[0] - counts[1] / totals[1]
    return float(np.sum(difference[used] ** 2 / np.asarray(variance)[used])), int(used.sum()) - 1


def binned_divergences(truth: ArrayLike, generated: ArrayLike) -> dict[str, float]:
    """f-divergences of two histograms: those of `hepgen.classifiers.calibration.divergences`, and ``jsd`` in units of ln 2.

    Counts are of effective events. Half an event is added to every bin (Jeffreys' prior), so that an empty one makes no divergence infinite; the more bins
    hold few events, the larger are the divergences of two samples of one law. Nan where a histogram is empty.

    Example:
        >>> found = binned_divergences([80, 20], [20, 80])
        >>> {name: round(value, 2) for name, value in found.items()}
        {'jsd': 0.27, 'kl': 0.81, 'chi2': 2.18, 'hellinger': 0.2}
    """
    first, second = (np.asarray(one, dtype=np.float64) for one in (truth, generated))
    if min(first.sum(), second.sum()) <= 0:
        return dict.fromkeys(("jsd", "kl", "chi2", "hellinger"), float("nan"))
    p, q = (one / one.sum() for one in (np.maximum(first, 0) + 0.5, np.maximum(second, 0) + 0.5))
    middle = (p + q) / 2
    return {
        "jsd": float((p @ np.log(p / middle) + q @ np.log(q / middle)) / (2 * np.log(2))),
        "kl": float(p @ np.log(p / q)),
        "chi2": float(np.sum((p - q) ** 2 / q)),
        "hellinger": float(1 - np.sqrt(p * q).sum()),
    }


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
