"""Separation power, Kolmogorov and Wasserstein distance of every observable, with errors from disjoint parts."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from hepgen.evaluation.domain import Array, FloatArray, Pool
from hepgen.evaluation.histograms import Axis, Observable
from hepgen.evaluation.metrics import binned_divergences, cdf_distances, chi2_per_bin, separation_power
from hepgen.evaluation.report import ScoreBook
from hepgen.evaluation.splits import Split

_CENTRAL = (0.01, 0.99)
METRICS = ("separation", "ks", "w1", "chi2ndf", "mean", "width", "tail")
_ERROR = "error of chi2ndf"
_COLUMNS = ("separation", "ks", "w1", "chi2ndf", _ERROR, "mean", "width", "tail")
DIVERGENCES = ("jsd", "kl", "chi2", "hellinger")
"""Of histograms; of all conditions together only."""


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
    of the standard deviations; ``tail`` the share of events beyond the central 98 % of the reference, over that share.
    The f-divergences of histograms stand beside these where there is no suffix. Values that are not a number are left out.
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
        for metric in METRICS if suffix else (*METRICS, *DIVERGENCES):
            name, place = f"{metric}.{observable.name}{suffix}", columns.index(metric)
            if metric == "chi2ndf":
                value, floor = of_one[0, [place, columns.index(_ERROR)]].T.tolist()
                book.add_fit(name, tuple(value), tuple(floor), split.size)
            else:
                book.add_parts(name, _pairs(of_one[:, place]), split.size)
    known = values[:, np.isfinite(values[0, :, :2]).all(axis=(1, 2))]  # those that have a separation and a distance
    if known.shape[1]:
        book.add_parts(f"separation.mean{suffix}", _pairs(known[:, :, 0].mean(axis=1)), split.size)
        book.add_parts(f"separation.max{suffix}", _pairs(known[:, :, 0].max(axis=1)), split.size)
        book.add_parts(f"ks.max{suffix}", _pairs(known[:, :, 1].max(axis=1)), split.size)


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
        tails = _tails(ascending, masses)
        for which in (0, 1):
            other = which + 1
            kolmogorov, wasserstein = cdf_distances(ascending, masses[0], masses[other])
            (mean, width), (true_mean, true_width) = shapes[other], shapes[0]
            result[number, :, which] = (
                separation_power(counts[0], counts[other]),
                kolmogorov,
                wasserstein / spread if spread > 0 else np.nan,
                *chi2_per_bin(counts[0], squares[0], counts[other], squares[other]),
                (mean - true_mean) / spread if spread > 0 else np.nan,
                width / true_width if true_width > 0 else np.nan,
                tails[which],
                *binned_divergences(counts[0], counts[other]).values(),
            )
    return result


def _shape(values: FloatArray, mass: FloatArray) -> tuple[float, float]:
    """Mean and standard deviation of a weighting of values; nan without events."""
    total = mass.sum()
    if total <= 0:
        return float("nan"), float("nan")
    mean = float(mass @ values / total)
    return mean, float(np.sqrt(max(mass @ np.square(values - mean) / total, 0.0)))


def _tails(values: FloatArray, masses: Sequence[FloatArray]) -> tuple[float, float]:
    """Shares of the second and third weighting beyond the central 98 % of the first, over the share of the first."""
    total = masses[0].sum()
    if total <= 0:
        return float("nan"), float("nan")
    low, high = (values[min(np.searchsorted(np.cumsum(masses[0]), q * total), len(values) - 1)] for q in _CENTRAL)
    beyond = (values < low) | (values > high)
    shares = [float(mass[beyond].sum() / mass.sum()) if mass.sum() > 0 else float("nan") for mass in masses]
    if shares[0] <= 0:  # of few values, all are in the centre
        none = (1.0 if share == 0 else float("nan") for share in shares[1:])
        return next(none), next(none)
    return shares[1] / shares[0], shares[2] / shares[0]


def add_spectrum(
    book: ScoreBook, name: str, axis: Axis, reference: Array, generated: Array, split: Split, parts: int
) -> None:
    """Separation power of the positive raw values (the voxel spectrum); the split is of rows of the raw arrays."""
    counts_reference, counts_generated = _per_event(axis, reference), _per_event(axis, generated)
    pairs: list[tuple[float, float | None]] = []
    for one in (split, *split.parts(parts)):
        a, b = (axis.scored(counts_reference[rows].sum(axis=0)) for rows in (one.a, one.b))
        made = axis.scored(counts_generated[one.generated].sum(axis=0))
        pairs.append((separation_power(a, made), separation_power(a, b)))
    book.add_parts(f"separation.{name}", pairs, split.size)


def _per_event(axis: Axis, raw: Array) -> NDArray[np.float32]:
    """Number of positive values per bin and event, (events, bins)."""
    rows, columns = np.nonzero(raw > 0)
    cells = rows * axis.size + axis.index(raw[rows, columns])
    return np.bincount(cells, minlength=len(raw) * axis.size).reshape(len(raw), axis.size).astype(np.float32)
