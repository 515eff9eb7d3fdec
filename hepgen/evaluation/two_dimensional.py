"""Pairs of observables: chi2 of all two-dimensional histograms at once."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import reduce
from operator import add

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtr

from hepgen.evaluation.domain import FloatArray, Pool
from hepgen.evaluation.histograms import Observable
from hepgen.evaluation.probabilities import chi2_p
from hepgen.evaluation.scores import Pair, ScoreBook
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
    return _Tables.of(first, first_weights).chi2(_Tables.of(second, second_weights))[0]


@dataclass(frozen=True)
class _Tables:
    """Two-dimensional histograms of all pairs of observables of a sample.

    Attributes:
        sums, squares: of weights and of their squares, (observables, bins, observables, bins).
        total, total_squares: the same over all events.
    """

    sums: FloatArray
    squares: FloatArray
    total: float
    total_squares: float

    @classmethod
    def of(cls, bins: NDArray[np.int64], weights: FloatArray) -> _Tables:
        """Of (events, observables), by one product of matrices."""
        events, count = bins.shape
        marks = np.zeros((events, count * (BINS + 1)), dtype=np.float32)
        marks[np.arange(events)[:, None], bins + np.arange(count) * (BINS + 1)] = 1.0
        plain = bool((weights == 1).all())
        weighted = [marks if plain else marks * power[:, None].astype(np.float32) for power in (weights, weights**2)]
        products = [(one.T @ marks).astype(np.float64) for one in (weighted[:1] if plain else weighted)]
        shape = (count, BINS + 1, count, BINS + 1)
        totals = float(weights.sum()), float(np.square(weights).sum())
        return cls(products[0].reshape(shape), products[-1].reshape(shape), *totals)

    def __add__(self, other: _Tables) -> _Tables:
        names = self.__dataclass_fields__
        return _Tables(*(getattr(self, name) + getattr(other, name) for name in names))

    @property
    def effective(self) -> float:
        """Events without weights that would have the same statistical error."""
        return self.total**2 / self.total_squares

    def chi2(self, other: _Tables) -> tuple[FloatArray, NDArray[np.int64]]:
        """As ``pair_chi2`` gives it, and the degrees of freedom, (observables, observables) each."""
        variance = self.squares / self.total**2 + other.squares / other.total**2
        shares = self.sums / self.total, other.sums / other.total
        # the joint estimate of what is expected in a cell, in effective events of the smaller sample
        expected = (shares[0] + shares[1]) / 2 * min(self.effective, other.effective)
        used = (variance > 0) & (expected >= _FEW)
        squares = np.where(used, (shares[0] - shares[1]) ** 2 / np.where(used, variance, 1.0), 0.0)
        freedom = used.sum(axis=(1, 3)) - 1
        chi2 = np.where(freedom > 0, squares.sum(axis=(1, 3)) / np.maximum(freedom, 1), np.nan)
        np.fill_diagonal(chi2, np.nan)
        return chi2, freedom


def add_pairs(
    book: ScoreBook,
    reference: Pool,
    generated: Pool,
    observables: Sequence[Observable],
    splits: Sequence[Split],
    parts: int,
) -> None:
    """Add ``chi2ndf_2d.mean`` and ``chi2ndf_2d.max`` over all pairs of observables, with the name of the worst pair.

    chi2 per degree of freedom does not fall with the number of events, so that the spread over the parts is its error. The
    worst pair goes into the global test by the law of chi2, times the number of pairs, the mean by Student's t.
    """
    count = min(len(observables), MOST_OBSERVABLES)
    if count < 2:
        return
    few = [split.first(MOST_EVENTS) for split in splits]
    found, p_values = [], []
    for split in few:
        pairs = _of_split(reference, generated, split, parts, count)
        found.append([[chi2 for chi2, _ in pair] for pair in pairs])
        p_values.append([_worst_p(*one) for one in pairs[0]])
    if not all(np.isfinite(chi2).any() for one in found for chi2 in one[0]):
        return
    for name, statistic in (("mean", np.nanmean), ("max", np.nanmax)):
        fits: list[tuple[Pair, Pair]] = []
        for one in found:
            values = np.array([[_of(statistic, chi2) for chi2 in pair] for pair in one])
            known = len(values) > 2 and bool(np.isfinite(values[1:]).all())
            errors = values[1:].std(axis=0, ddof=1).tolist() if known else (None, None)
            value, floor = zip(values[0].tolist(), errors, strict=True)
            fits.append((value, floor))
        book.add_fits(f"chi2ndf_2d.{name}", fits, min(split.size for split in few))
    book.add_test("chi2ndf_2d.max", PAIRS, *p_values[0])  # of the first split: a mean over splits has no law
    z = book.z("chi2ndf_2d.mean")
    if z is not None:  # its errors come from the spread of the parts
        book.add_test("chi2ndf_2d.mean", PAIRS, float(stdtr(parts - 1, -z)))
    every = np.array([np.nan_to_num(one[0][0]) for one in found]).mean(axis=0)
    worst = np.unravel_index(int(np.argmax(every)), every.shape)
    book.comment("chi2ndf_2d.max", " and ".join(observables[int(index)].name for index in worst))


def _worst_p(chi2: FloatArray, freedom: NDArray[np.int64]) -> float:
    """The smallest probability of any pair, times their number: that of one at least of a sample of the same law."""
    upper = np.triu_indices(len(chi2), 1)
    p = chi2_p(chi2[upper] * freedom[upper], freedom[upper])
    known = p[np.isfinite(p)]
    return min(1.0, len(known) * float(known.min())) if len(known) else float("nan")


def _of_split(
    reference: Pool, generated: Pool, split: Split, parts: int, count: int
) -> list[list[tuple[FloatArray, NDArray[np.int64]]]]:
    """chi2 and degrees of freedom of all pairs, of generated events and of half B, of a split and of its parts."""
    truth = reference.observables[split.a][:, :count]
    tables = []
    for pool, rows in ((reference, split.a), (generated, split.generated), (reference, split.b)):
        bins = quantile_bins(pool.observables[rows][:, :count], truth)
        pieces = zip(*(np.array_split(one, parts) for one in (bins, pool.weights[rows])), strict=True)
        of_parts = [_Tables.of(*piece) for piece in pieces]
        tables.append([reduce(add, of_parts), *of_parts])
    return [[a.chi2(made), a.chi2(b)] for a, made, b in zip(*tables, strict=True)]


def _of(statistic: Callable[[FloatArray], float], values: FloatArray) -> float:
    return float(statistic(values)) if np.isfinite(values).any() else float("nan")
