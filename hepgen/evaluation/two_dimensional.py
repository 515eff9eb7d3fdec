"""Pairs of observables: chi2 of all two-dimensional histograms at once."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from hepgen.evaluation.domain import FloatArray, Pool
from hepgen.evaluation.histograms import Observable
from hepgen.evaluation.scores import ScoreBook
from hepgen.evaluation.splits import Split

BINS = 8
MOST_EVENTS = 20_000
MOST_OBSERVABLES = 64
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
    return chi2


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

    chi2 per degree of freedom does not fall with the number of events, so that the spread over the parts is its error.
    """
    count = min(len(observables), MOST_OBSERVABLES)
    if count < 2:
        return
    few = Split(*(rows[:MOST_EVENTS] for rows in (split.a, split.b, split.generated)))
    truth = reference.observables[few.a][:, :count]
    true = quantile_bins(reference.observables[:, :count], truth)
    made = quantile_bins(generated.observables[:, :count], truth)
    found = []
    for one in (few, *few.parts(parts)):
        a, weights = true[one.a], reference.weights[one.a]
        others = (made, generated.weights, one.generated), (true, reference.weights, one.b)
        found.append([pair_chi2(a, bins[rows], weights, w[rows]) for bins, w, rows in others])
    if not np.isfinite(found[0][0]).any() or not np.isfinite(found[0][1]).any():
        return
    for name, statistic in (("mean", np.nanmean), ("max", np.nanmax)):
        values = np.array([[_of(statistic, chi2) for chi2 in pair] for pair in found])
        errors = values[1:].std(axis=0, ddof=1).tolist() if np.isfinite(values[1:]).all() else (None, None)
        fits = list(zip(values[0].tolist(), errors, strict=True))
        book.add_fit(f"chi2ndf_2d.{name}", fits[0], fits[1], few.size)
    worst = np.unravel_index(int(np.nanargmax(found[0][0])), found[0][0].shape)
    book.comment("chi2ndf_2d.max", " and ".join(observables[int(index)].name for index in worst))


def _of(statistic: Callable[[FloatArray], float], values: FloatArray) -> float:
    return float(statistic(values)) if np.isfinite(values).any() else float("nan")
