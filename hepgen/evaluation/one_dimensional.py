"""Separation power, Kolmogorov and Wasserstein distance of every observable, with errors from disjoint parts."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from hepgen.evaluation.counted import TAILS
from hepgen.evaluation.domain import Array, FloatArray, Pool
from hepgen.evaluation.histograms import Axis, Observable
from hepgen.evaluation.metrics import (
    binned_divergences,
    cdf_distances,
    chi2_and_freedom,
    chi2_per_bin,
    separation_power,
)
from hepgen.evaluation.probabilities import chi2_p
from hepgen.evaluation.scores import ScoreBook
from hepgen.evaluation.splits import Split

_TAIL = 0.01
_ROUNDING = 1e-9
METRICS = ("separation", "ks", "w1", "chi2ndf", "mean", "width", "tail_low", "tail_high")
_ERROR = "error of chi2ndf"
_P = "p of chi2ndf"
_TAILS = {"tail_low": "error of tail_low", "tail_high": "error of tail_high"}
_COLUMNS = ("separation", "ks", "w1", "chi2ndf", _ERROR, _P, "mean", "width", *_TAILS, *_TAILS.values())
DIVERGENCES = ("jsd", "kl", "chi2", "hellinger")
"""Of histograms; of all conditions together only."""

CONSTANT = "constant: "


def add_one_dimensional(
    book: ScoreBook,
    reference: Pool,
    generated: Pool,
    observables: Sequence[Observable],
    axes: Sequence[Axis],
    split: Split,
    parts: int,
    *,
    suffix: str = "",
) -> None:
    """Add ``separation.mean``, ``separation.max`` and ``ks.max``, and per observable every one of ``METRICS``.

    W1 is in units of the reference's standard deviation, as is ``mean``, the difference of the means; ``width`` is the ratio
    of the standard deviations; ``tail_low`` and ``tail_high`` the share of events
    below and above the central 98 % of half A, over that of half A, with errors of counting.
    The f-divergences of histograms stand beside these where there is no suffix, and the chi2 goes into the global test. Values that are not a number are left out.
    """
    splits = [split, *split.parts(parts)]
    columns = (*_COLUMNS, *DIVERGENCES)
    values = np.full((len(splits), len(observables), len(columns), 2), np.nan)
    for index, axis in enumerate(axes):
        values[:, index] = _of_one(
            reference.observables[:, index],
            generated.observables[:, index],
            reference.weights,
            generated.weights,
            axis,
            splits,
        )
    for index, observable in enumerate(observables):
        of_one = values[:, index]
        words = _constant_words(*(pool.observables[:, index] for pool in (reference, generated)))
        for metric in METRICS if suffix else (*METRICS, *DIVERGENCES):
            name, place = f"{metric}.{observable.name}{suffix}", columns.index(metric)
            own_error = {"chi2ndf": _ERROR, **_TAILS}.get(metric)
            if words:
                book.explain(name, words)
                if metric == "ks":
                    book.comment(name, words)
            if own_error is not None:
                value, floor = of_one[0, [place, columns.index(own_error)]].T.tolist()
                book.add_fit(name, tuple(value), tuple(floor), split.size)
            else:
                book.add_parts(name, _pairs(of_one[:, place]), split.size)
        if not suffix:
            book.add_test(f"chi2ndf.{observable.name}", TAILS, *of_one[0, columns.index(_P)].tolist())
    known = values[:, np.isfinite(values[0, :, :2]).all(axis=(1, 2))]  # those that have a separation and a distance
    if known.shape[1]:
        book.add_parts(f"separation.mean{suffix}", _pairs(known[:, :, 0].mean(axis=1)), split.size)
        book.add_parts(f"separation.max{suffix}", _pairs(known[:, :, 0].max(axis=1)), split.size)
        book.add_parts(f"ks.max{suffix}", _pairs(known[:, :, 1].max(axis=1)), split.size)


def _constant_words(reference: FloatArray, generated: FloatArray) -> str:
    """Which of two samples of an observable has one value only, and which; empty if neither.

    Example:
        >>> _constant_words(np.zeros(3), np.ones(2)), _constant_words(np.ones(3), np.ones(2))
        ('constant: 0 in the reference, 1 in the generated sample', 'constant: 1 in both samples')
    """
    known = [values[~np.isnan(values)] for values in (reference, generated)]
    only = [float(values[0]) if len(values) and values.min() == values.max() else None for values in known]
    if only[0] is not None and only[0] == only[1]:
        return f"{CONSTANT}{only[0]:.6g} in both samples"
    names = ("the reference", "the generated sample")
    found = [f"{value:.6g} in {name}" for value, name in zip(only, names, strict=True) if value is not None]
    return f"{CONSTANT}{', '.join(found)}" if found else ""


def _pairs(values: FloatArray) -> list[tuple[float, float | None]]:
    """Score and floor, (splits, 2), as they go into the book."""
    return [(float(value), float(floor)) for value, floor in values]


def _of_one(
    reference: FloatArray,
    generated: FloatArray,
    reference_weights: FloatArray,
    generated_weights: FloatArray,
    axis: Axis,
    splits: Sequence[Split],
) -> FloatArray:
    """(splits, metrics, value and floor) of one observable."""
    missing = np.concatenate([np.isnan(reference), np.isnan(generated)])
    merged = np.concatenate([reference, generated])
    order = np.argsort(merged, kind="stable")
    order = order[~missing[order]]
    ascending = merged[order]
    usable = ~np.isnan(reference)
    spread = float(np.std(reference[usable])) if usable.any() else 0.0
    places, made = axis.index(reference), axis.index(generated)
    result = np.full((len(splits), len(_COLUMNS) + len(DIVERGENCES), 2), np.nan)
    for number, split in enumerate(splits):
        masses = []
        for rows, weights, offset in (
            (split.a, reference_weights, 0),
            (split.generated, generated_weights, len(reference)),
            (split.b, reference_weights, 0),
        ):
            mass = np.zeros(len(merged))
            mass[rows + offset] = weights[rows]
            masses.append(mass[order])
        sides = (
            (places[split.a], reference_weights[split.a]),
            (made[split.generated], generated_weights[split.generated]),
            (places[split.b], reference_weights[split.b]),
        )
        counts = [axis.scored(axis.count(place, weight)) for place, weight in sides]
        squares = [axis.scored(axis.count(place, weight**2)) for place, weight in sides]
        shapes = [_shape(ascending, mass) for mass in masses]
        for which in (0, 1):
            other = which + 1
            kolmogorov, wasserstein = cdf_distances(ascending, masses[0], masses[other])
            (mean, width), (true_mean, true_width) = shapes[other], shapes[0]
            result[number, :, which] = (
                separation_power(counts[0], counts[other]),
                kolmogorov,
                wasserstein / spread if spread > 0 else np.nan,
                *chi2_per_bin(counts[0], squares[0], counts[other], squares[other]),
                float(chi2_p(*chi2_and_freedom(counts[0], squares[0], counts[other], squares[other]))),
                (mean - true_mean) / spread if spread > 0 else np.nan,
                width / true_width if true_width > 0 else np.nan,
                *_tails(ascending, masses[0], masses[other]),
                *binned_divergences(*(_effective(counts[x], squares[x]) for x in (0, other))).values(),
            )
    return result


def _shape(values: FloatArray, mass: FloatArray) -> tuple[float, float]:
    """Mean and standard deviation of a weighting of values; nan without events."""
    total = mass.sum()
    if total <= 0:
        return float("nan"), float("nan")
    mean = float(mass @ values / total)
    return mean, float(np.sqrt(max(mass @ np.square(values - mean) / total, 0.0)))


def _effective(counts: FloatArray, squares: FloatArray) -> FloatArray:
    """Sums of weights as numbers of events that have their statistical error."""
    total = squares.sum()
    return counts * (counts.sum() / total) if total > 0 else counts


def _tails(values: FloatArray, first: FloatArray, second: FloatArray) -> tuple[float, float, float, float]:
    """Shares of the second weighting below and above the central 98 % of the first, over those of the first; their errors.

    Where all events of the first are in the centre, as of few values they may be, there is a ratio only if all of the second
    are, too: then it is 1, without error.
    """
    totals = float(first.sum()), float(second.sum())
    if min(totals) <= 0:
        return (float("nan"),) * 4
    below = np.cumsum(first)
    places = (int(np.searchsorted(below, q * totals[0] * (1 - _ROUNDING))) for q in (_TAIL, 1 - _TAIL))
    low, high = (values[min(place, len(values) - 1)] for place in places)
    found = []
    for beyond in (values < low, values > high):
        (own, own_error), (share, error) = (_counted(mass, beyond) for mass in (first, second))
        if own <= 0:
            found.append((1.0, 0.0) if share == 0 else (float("nan"), float("nan")))
        else:
            found.append((share / own, float(np.hypot(error, share / own * own_error)) / own))
    (lower, lower_error), (upper, upper_error) = found
    return lower, upper, lower_error, upper_error


def _counted(mass: FloatArray, chosen: NDArray[np.bool_]) -> tuple[float, float]:
    """The share of the chosen in a weighting and its error of counting, which is that of one event where there is none."""
    squares = np.square(mass)
    one = float(squares.sum()) / max(int(np.count_nonzero(mass)), 1)
    return float(mass[chosen].sum() / mass.sum()), float(
        np.sqrt(max(float(squares[chosen].sum()), one)) / abs(mass.sum())
    )


def add_spectrum(
    book: ScoreBook, name: str, axis: Axis, reference: Pool, generated: Pool, split: Split, parts: int
) -> None:
    """Separation power of the positive raw values (the voxel spectrum); the split is of rows of the raw arrays."""
    counts_reference, counts_generated = (
        _per_event(axis, pool.raw, pool.weights[: len(pool.raw)]) for pool in (reference, generated)
    )
    pairs: list[tuple[float, float | None]] = []
    for one in (split, *split.parts(parts)):
        a, b = (axis.scored(counts_reference[rows].sum(axis=0)) for rows in (one.a, one.b))
        made = axis.scored(counts_generated[one.generated].sum(axis=0))
        pairs.append((separation_power(a, made), separation_power(a, b)))
    book.add_parts(f"separation.{name}", pairs, split.size)


def _per_event(axis: Axis, raw: Array, weights: FloatArray) -> NDArray[np.float32]:
    """Number of positive values per bin and event times the weight of the event, (events, bins)."""
    rows, columns = np.nonzero(raw > 0)
    cells = rows * axis.size + axis.index(raw[rows, columns])
    counts = np.bincount(cells, minlength=len(raw) * axis.size).reshape(len(raw), axis.size).astype(np.float32)
    return np.asarray(counts * weights[:, None].astype(np.float32))
