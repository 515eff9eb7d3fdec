"""Laws of statistics of two samples that follow one law: pure functions that give the probability of what was found."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import chdtrc, kolmogorov, ndtr
from scipy.stats import binom, hypergeom, norm

FloatArray = NDArray[np.float64]
_CONVOLVED = 5_000  # members of groups of equal events whose law is summed up exactly


def kolmogorov_p(distance: float, first: float, second: float) -> float:
    """Probability of as large a Kolmogorov distance of samples of so many events of one law; too large for tied values."""
    return float(kolmogorov(distance * np.sqrt(first * second / (first + second))))


def mann_whitney_p(auc: float, first: float, second: float) -> float:
    """Probability of as large an AUC of a classifier that has seen none of the events, for samples of one law.

    Example:
        >>> mann_whitney_p(0.5, 100, 100), mann_whitney_p(0.6, 100, 100)
        (0.5, 0.00728)
    """
    return float(ndtr(-(auc - 0.5) / np.sqrt((first + second + 1) / (12 * first * second))))


def normal_p(z: float, *, both_sides: bool = False) -> float:
    """Probability of as large a deviation of a Gaussian, in standard deviations.

    Example:
        >>> normal_p(2.0), normal_p(-2.0), normal_p(-2.0, both_sides=True)
        (0.02275, 0.97725, 0.0455)
    """
    return float(2 * ndtr(-abs(z)) if both_sides else ndtr(-z))


def chi2_p(chi2: ArrayLike, freedom: ArrayLike) -> FloatArray:
    """Probability of as large a chi2; nan without degrees of freedom.

    Bins of few events make the chi2 of two histograms of equal size fluctuate less than this law, never more.

    Example:
        >>> float(chi2_p(3.841459, 1))
        0.05
    """
    degrees = np.asarray(freedom, dtype=np.float64)
    return np.asarray(np.where(degrees > 0, chdtrc(np.maximum(degrees, 1), np.asarray(chi2)), np.nan))


def counts_p(first: int, first_events: int, second: int, second_events: int, *, both_sides: bool = False) -> float:
    """Fisher's exact test: probability that the first sample holds as many or more of all marked events.

    Args:
        first, second: marked events of each sample.
        first_events, second_events: all events of each.
        both_sides: whether too few count as well: twice the smaller probability.

    Example:
        >>> counts_p(10, 1000, 0, 1000), counts_p(0, 1000, 10, 1000), counts_p(0, 1000, 10, 1000, both_sides=True)
        (0.000955, 1.0, 0.00191)
    """
    law = hypergeom(first_events + second_events, first + second, first_events)
    above = float(law.sf(first - 1))
    return min(1.0, 2 * min(above, float(law.cdf(first)))) if both_sides else above


def shares_p(
    first: NDArray[np.bool_],
    first_weights: FloatArray,
    second: NDArray[np.bool_],
    second_weights: FloatArray,
    *,
    both_sides: bool = False,
) -> float:
    """Probability that the first sample has as large a share of marked events: exact without weights, else by counting errors.

    With weights the error is that of the marked events and one more of each sample, so that single events prove nothing.

    Args:
        first, second: flags of marked events, (events,).
        first_weights, second_weights: (events,).
        both_sides: whether too few count as well.

    Example:
        >>> marked = np.arange(1000) < 20
        >>> shares_p(marked, np.ones(1000), marked[::-1] & False, np.ones(1000))
        8.66e-07
        >>> shares_p(marked, np.full(1000, 2.0), marked & False, np.ones(1000))
        1e-05
    """
    if (first_weights == 1).all() and (second_weights == 1).all():
        return counts_p(int(first.sum()), len(first), int(second.sum()), len(second), both_sides=both_sides)
    shares, variance = [], 0.0
    for flags, weights in ((first, first_weights), (second, second_weights)):
        total = float(weights.sum())
        shares.append(float(weights[flags].sum()) / total)
        variance += (float(np.square(weights[flags]).sum()) + float(np.square(weights).mean())) / total**2
    return normal_p((shares[0] - shares[1]) / np.sqrt(variance), both_sides=both_sides)


def closer_p(count: int, events: int, rank: int, others: int) -> float:
    """Probability that so many events or more lie below the value of some rank, counted from 1, of others of the same law.

    Example:
        >>> closer_p(1, 100, 1, 100), closer_p(5, 100, 1, 200)
        (0.5, 0.00384)
    """
    return float(hypergeom.sf(count - 1, events + others, events, count + rank - 1))


def copies_p(mine: NDArray[np.uint64], others: NDArray[np.uint64]) -> tuple[int, float]:
    """Copies of each other within a sample, and the probability of as many if equal events fell to the samples at random.

    Of events that both samples hold several times, as whole numbers do, each falls to a sample by its size; copies that only
    one of them has are improbable. Where the groups of equal events are large, by the Gaussian of the same mean and variance.

    Args:
        mine, others: a number per event, the same for the same content, 0 for events without any.

    Returns:
        Events of ``mine`` that are copies of an earlier one, and the probability.

    Example:
        >>> copies_p(np.array([5, 5, 7, 7, 8, 8]), np.arange(10, 16))
        (3, 0.015625)
    """
    mine, others = mine[mine != 0], others[others != 0]
    _, group, sizes = np.unique(np.concatenate([mine, others]), return_inverse=True, return_counts=True)
    here = np.bincount(group[: len(mine)], minlength=len(sizes))
    copied = int(np.maximum(here - 1, 0).sum())
    if not copied:
        return 0, 1.0
    share = len(mine) / (len(mine) + len(others))
    distinct, groups = np.unique(sizes[sizes > 1], return_counts=True)
    laws = [_surplus_law(int(size), share) for size in distinct]
    if int(distinct @ groups) <= _CONVOLVED:
        whole = np.ones(1)
        for law, count in zip(laws, groups.tolist(), strict=True):
            for _ in range(count):
                whole = np.convolve(whole, law)
        return copied, min(1.0, float(whole[copied:].sum()))
    means = np.array([law @ np.arange(len(law)) for law in laws])
    squares = np.array([law @ np.arange(len(law)) ** 2 for law in laws])
    deviation = np.sqrt(groups @ (squares - means**2))
    return copied, float(norm.sf((copied - 0.5 - groups @ means) / deviation)) if deviation > 0 else 1.0


def _surplus_law(size: int, share: float) -> FloatArray:
    """Probabilities of 0 to size - 1 surplus events in a sample that takes each of a group by chance."""
    chances = binom.pmf(np.arange(size + 1), size, share)
    return np.concatenate([[chances[0] + chances[1]], chances[2:]])
