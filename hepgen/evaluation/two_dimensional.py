"""Pairs of observables: chi2 of all two-dimensional histograms at once."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtr

from hepgen.evaluation.domain import FloatArray, Pool
from hepgen.evaluation.histograms import Observable
from hepgen.evaluation.probabilities import chi2_p
from hepgen.evaluation.scores import ScoreBook
from hepgen.evaluation.splits import Split

BINS = 8
MOST_EVENTS = 20_000
MOST_OBSERVABLES = 64
PAIRS = "pairs of observables"
_FEW = 5.0  # expected events of a cell that counts


def quantile_bins(values: FloatArray, reference: FloatArray, bins: int = BINS) -> NDArray[np.int64]:
    """The bin of each value between quantiles of the reference; the last one is for values that are not a number.

    Args:
        values: (events, observables).
        reference: (others, observables).
        bins: of each observable; whole numbers and spikes have fewer.

    Returns:
        (events, observables), from 0 to ``bins``.

    Example:
        >>> quantile_bins(np.array([[0.0], [5.0], [np.nan]]), np.arange(10.0)[:, None], 2).tolist()
        [[0], [1], [2]]
    """
    found = np.full(values.shape, bins, dtype=np.int64)
    for index, (column, true) in enumerate(zip(values.T, reference.T, strict=True)):
        known = true[~np.isnan(true)]
        if len(known):
            inner = np.unique(np.quantile(known, np.linspace(0, 1, bins + 1)[1:-1], method="nearest"))
            # what a value has above it, so that a spike keeps a bin of its own
            found[:, index] = np.searchsorted(inner, column, side="right")
        found[np.isnan(column), index] = bins
    return found


def pair_chi2(
    first: NDArray[np.int64], second: NDArray[np.int64], first_weights: FloatArray, second_weights: FloatArray
) -> FloatArray:
    """chi2 per degree of freedom of the two-dimensional histograms of every pair of observables.

    Cells in which fewer than five events are expected in either sample are left out.

    Args:
        first, second: bins of events, (events, observables).
        first_weights, second_weights: (events,).

    Returns:
        (observables, observables), symmetric, nan on the diagonal and where fewer than two cells count.
    """
    return _pairs(first, second, first_weights, second_weights)[0]


def _pairs(
    first: NDArray[np.int64], second: NDArray[np.int64], first_weights: FloatArray, second_weights: FloatArray
) -> tuple[FloatArray, NDArray[np.int64]]:
    """chi2 per degree of freedom of every pair, and the degrees of freedom, (observables, observables) each."""
    (one, one_squares), (other, other_squares) = (
        _tables(*x) for x in ((first, first_weights), (second, second_weights))
    )
    totals = first_weights.sum(), second_weights.sum()
    variance = one_squares / totals[0] ** 2 + other_squares / totals[1] ** 2
    # the joint estimate of what is expected in a cell, in effective events of the smaller sample
    expected = (one / totals[0] + other / totals[1]) / 2 * min(_effective(first_weights), _effective(second_weights))
    used = (variance > 0) & (expected >= _FEW)
    difference = one / totals[0] - other / totals[1]
    squares = np.where(used, difference**2 / np.where(used, variance, 1.0), 0.0)
    freedom = used.sum(axis=(1, 3)) - 1
    chi2 = np.where(freedom > 0, squares.sum(axis=(1, 3)) / np.maximum(freedom, 1), np.nan)
    np.fill_diagonal(chi2, np.nan)
    return chi2, freedom


def _effective(weights: FloatArray) -> float:
    return float(weights.sum() ** 2 / np.square(weights).sum())


def _tables(bins: NDArray[np.int64], weights: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Sums of weights, and of their squares, (observables, bins, observables, bins), by one product of matrices."""
    events, count = bins.shape
    marks = np.zeros((events, count * (BINS + 1)), dtype=np.float32)
    marks[np.arange(events)[:, None], bins + np.arange(count) * (BINS + 1)] = 1.0
    shape = (count, BINS + 1, count, BINS + 1)
    tables = (((marks * power[:, None].astype(np.float32)).T @ marks).reshape(shape) for power in (weights, weights**2))
    return next(tables).astype(np.float64), next(tables).astype(np.float64)


def add_pairs(
    book: ScoreBook,
    reference: Pool,
    generated: Pool,
    observables: Sequence[Observable],
    split: Split,
    parts: int,
) -> None:
    """Add ``chi2ndf_2d.mean`` and ``chi2ndf_2d.max`` over all pairs of observables, with the name of the worst pair.

    chi2 per degree of freedom does not fall with the number of events, so that the spread over the parts is its error. The
    worst pair goes into the global test by the law of chi2, times the number of pairs, the mean by Student's t.
    """
    count = min(len(observables), MOST_OBSERVABLES)
    if count < 2:
        return
    few = Split(*(rows[:MOST_EVENTS] for rows in (split.a, split.b, split.generated)))
    truth = reference.observables[few.a][:, :count]
    true = quantile_bins(reference.observables[:, :count], truth)
    made = quantile_bins(generated.observables[:, :count], truth)
    found = []
    p_values: list[float] = []
    for one in (few, *few.parts(parts)):
        a, weights = true[one.a], reference.weights[one.a]
        others = (made, generated.weights, one.generated), (true, reference.weights, one.b)
        pairs = [_pairs(a, bins[rows], weights, w[rows]) for bins, w, rows in others]
        found.append([chi2 for chi2, _ in pairs])
        if one is few:
            p_values = [_worst_p(*pair) for pair in pairs]
    if not np.isfinite(found[0][0]).any() or not np.isfinite(found[0][1]).any():
        return
    for name, statistic in (("mean", np.nanmean), ("max", np.nanmax)):
        values = np.array([[_of(statistic, chi2) for chi2 in pair] for pair in found])
        errors = values[1:].std(axis=0, ddof=1).tolist() if np.isfinite(values[1:]).all() else (None, None)
        fits = list(zip(values[0].tolist(), errors, strict=True))
        book.add_fit(f"chi2ndf_2d.{name}", fits[0], fits[1], few.size)
    book.add_test("chi2ndf_2d.max", PAIRS, *p_values)
    z = book.z("chi2ndf_2d.mean")
    if z is not None:  # its errors come from the spread of the parts
        book.add_test("chi2ndf_2d.mean", PAIRS, float(stdtr(parts - 1, -z)))
    worst = np.unravel_index(int(np.nanargmax(found[0][0])), found[0][0].shape)
    book.comment("chi2ndf_2d.max", " and ".join(observables[int(index)].name for index in worst))


def _worst_p(chi2: FloatArray, freedom: NDArray[np.int64]) -> float:
    """The smallest probability of any pair, times their number: that of one at least of a sample of the same law."""
    upper = np.triu_indices(len(chi2), 1)
    p = chi2_p(chi2[upper] * freedom[upper], freedom[upper])
    known = p[np.isfinite(p)]
    return min(1.0, len(known) * float(known.min())) if len(known) else float("nan")


def _of(statistic: Callable[[FloatArray], float], values: FloatArray) -> float:
    return float(statistic(values)) if np.isfinite(values).any() else float("nan")
