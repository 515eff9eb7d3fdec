"""Separation power, Kolmogorov and Wasserstein distance of every observable, with errors from disjoint parts."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import torch
from numpy.typing import NDArray

from hepgen.evaluation.counted import TAILS
from hepgen.evaluation.domain import Array, FloatArray, Pool
from hepgen.evaluation.histograms import Axis, Observable
from hepgen.evaluation.jackknife import all_but_each, pseudo_values
from hepgen.evaluation.metrics import binned_divergences, chi2_and_freedom, chi2_per_bin, separation_powers
from hepgen.evaluation.pieces import Pieces, laid_out
from hepgen.evaluation.probabilities import chi2_p
from hepgen.evaluation.scores import Pair, ScoreBook
from hepgen.evaluation.splits import Split

_TAIL = 0.01
_ROUNDING = 1e-9
_CONSTANT_WIDTH = 1e-6  # of the deviation of the reference: what varies less has one value, but for rounding
METRICS = ("separation", "ks", "w1", "chi2ndf", "mean", "width", "tail_low", "tail_high")
_ERROR = "error of chi2ndf"
_P = "p of chi2ndf"
_TAILS = {"tail_low": "error of tail_low", "tail_high": "error of tail_high"}
_COLUMNS = ("separation", "ks", "w1", "chi2ndf", _ERROR, _P, "mean", "width", *_TAILS, *_TAILS.values())
DIVERGENCES = ("jsd", "kl", "chi2", "hellinger")
"""Of histograms; of all conditions together only."""
QUADRATIC = frozenset({"separation", *DIVERGENCES})
"""Metrics of histograms that are quadratic in the difference: in the place of a part stands the whole without it."""

CONSTANT = "constant: "


def add_one_dimensional(
    book: ScoreBook,
    reference: Pool,
    generated: Pool,
    observables: Sequence[Observable],
    axes: Sequence[Axis],
    splits: Sequence[Split],
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
    columns = (*_COLUMNS, *DIVERGENCES)
    count, size = len(splits) * (parts + 1), min(one.size for one in splits)
    values = np.full((count, len(observables), len(columns), 2), np.nan)
    weights = np.concatenate([reference.weights, generated.weights])
    # Sorting and counting leave the interpreter free: observables side by side take all cores.
    with ThreadPoolExecutor(torch.get_num_threads()) as threads:
        for place, pieces in laid_out(splits, parts, len(reference), len(generated)):

            def measure(index: int, pieces: Pieces = pieces) -> FloatArray:
                true, made = (pool.observables[:, index] for pool in (reference, generated))
                entries = np.concatenate([true, made])
                return _of_one(pieces, entries, weights, axes[index], _unit(true), parts, divergences=not suffix)

            for index, found in enumerate(threads.map(measure, range(len(axes)))):
                values[place, index] = found
    of_splits = values.reshape(len(splits), parts + 1, *values.shape[1:])
    for index, observable in enumerate(observables):
        of_one = of_splits[:, :, index]
        words = _constant_words(*(pool.observables[:, index] for pool in (reference, generated)))
        for metric in METRICS if suffix else (*METRICS, *DIVERGENCES):
            name, column = f"{metric}.{observable.name}{suffix}", columns.index(metric)
            own_error = {"chi2ndf": _ERROR, **_TAILS}.get(metric)
            if words:
                book.explain(name, words)
                if metric == "ks":
                    book.comment(name, words)
            if own_error is not None:
                book.add_fits(name, _fits(of_one[:, 0, [column, columns.index(own_error)]]), size)
            else:
                found = of_one[:, :, column]
                book.add_splits(name, (pseudo_values(found) if metric in QUADRATIC else found).tolist(), size)
        if not suffix:  # of the first split, since a mean over splits has no law
            book.add_test(f"chi2ndf.{observable.name}", TAILS, *of_one[0, 0, columns.index(_P)].tolist())
    defined = np.isfinite(of_splits[:, 0, :, :2]).all(axis=(0, 2, 3))  # those that have a separation and a distance
    known = of_splits[:, :, defined]
    if known.shape[2]:
        book.add_splits(f"separation.mean{suffix}", pseudo_values(known[:, :, :, 0].mean(axis=2)).tolist(), size)
        book.add_splits(f"separation.max{suffix}", pseudo_values(known[:, :, :, 0].max(axis=2)).tolist(), size)
        book.add_splits(f"ks.max{suffix}", known[:, :, :, 1].max(axis=2).tolist(), size)


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


def _unit(values: FloatArray) -> float:
    """The standard deviation of the reference, nan where there is none."""
    known = values[~np.isnan(values)]
    spread = float(np.std(known)) if len(known) else 0.0
    return spread if spread > 0 else float("nan")


def _fits(values: FloatArray) -> list[tuple[Pair, Pair]]:
    """Score and floor of every split with errors of their own, (splits, value and error, 2), as they go into the book."""
    return [((value, error), (floor, floor_error)) for (value, floor), (error, floor_error) in values.tolist()]


def _of_one(
    pieces: Pieces,
    values: FloatArray,
    weights: FloatArray,
    axis: Axis,
    unit: float,
    parts: int,
    *,
    divergences: bool,
) -> FloatArray:
    """(pieces, metrics, value and floor) of one observable; what has a law of its own for whole splits only.

    What is ``QUADRATIC`` is that of the whole without a part in the place of each part.
    """
    entries = pieces.sorted(values, weights)
    kolmogorov, wasserstein, mean, width = entries.distances()
    counts, squares = (_left(one, parts) for one in pieces.histograms(axis, values, weights))
    result = np.full((pieces.count, len(_COLUMNS) + len(DIVERGENCES), 2), np.nan)
    place = {name: number for number, name in enumerate(_COLUMNS)}
    chi2, tails = ([place[name] for name in names] for names in (("chi2ndf", _ERROR), (*_TAILS, *_TAILS.values())))
    whole = range(0, pieces.count, parts + 1)
    for which, other in enumerate((1, 2)):
        result[:, place["separation"], which] = separation_powers(counts[:, 0], counts[:, other])
        result[:, place["ks"], which] = kolmogorov[:, other]
        result[:, place["w1"], which] = wasserstein[:, other] / unit
        result[:, place["mean"], which] = (mean[:, other] - mean[:, 0]) / unit
        result[:, place["width"], which] = width[:, other] / np.where(
            width[:, 0] > _CONSTANT_WIDTH * unit, width[:, 0], np.nan
        )
        for piece in whole:
            sides = counts[piece, 0], squares[piece, 0], counts[piece, other], squares[piece, other]
            result[piece, chi2, which] = chi2_per_bin(*sides)
            result[piece, place[_P], which] = chi2_p(*chi2_and_freedom(*sides))
        if divergences:
            effective = [_effective(counts[:, side], squares[:, side]) for side in (0, other)]
            for piece in range(pieces.count):
                found = binned_divergences(effective[0][piece], effective[1][piece])
                result[piece, len(_COLUMNS) :, which] = list(found.values())
    for piece in whole:
        ascending, masses = entries.sides(piece)
        for which, other in enumerate((1, 2)):
            result[piece, tails, which] = _tails(ascending, masses[0], masses[other])
    return result


def _left(sums: FloatArray, parts: int) -> FloatArray:
    """Histograms (pieces, sides, bins) of every split and of it without each of its parts."""
    of_splits = sums.reshape(-1, parts + 1, *sums.shape[1:]).swapaxes(1, 2)
    return all_but_each(of_splits).swapaxes(1, 2).reshape(sums.shape)


def _effective(counts: FloatArray, squares: FloatArray) -> FloatArray:
    """Sums of weights, (..., bins), as numbers of events that have their statistical error."""
    total = squares.sum(axis=-1, keepdims=True)
    return np.asarray(
        counts * np.where(total > 0, counts.sum(axis=-1, keepdims=True) / np.where(total > 0, total, 1), 1)
    )


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
    book: ScoreBook, name: str, axis: Axis, reference: Pool, generated: Pool, splits: Sequence[Split], parts: int
) -> None:
    """Separation power of the positive raw values (the voxel spectrum); the splits are of rows of the raw arrays."""
    counts_reference, counts_generated = (
        _per_event(axis, pool.raw, pool.weights[: len(pool.raw)]) for pool in (reference, generated)
    )
    found = []
    for split in splits:
        pieces = split.parts(parts)
        a, b = (axis.scored(_sums(counts_reference, [getattr(one, side) for one in pieces])) for side in ("a", "b"))
        made = axis.scored(_sums(counts_generated, [one.generated for one in pieces]))
        found.append(np.stack([separation_powers(a, other) for other in (made, b)], axis=1))
    book.add_splits(f"separation.{name}", pseudo_values(np.array(found)).tolist(), min(one.size for one in splits))


def _sums(counts: NDArray[np.float32], pieces: Sequence[NDArray[np.int64]]) -> FloatArray:
    """Sums over all events and over all but those of each piece, (pieces + 1, bins)."""
    found = np.array([counts[rows].sum(axis=0, dtype=np.float64) for rows in pieces])
    return all_but_each(np.concatenate([found.sum(axis=0, keepdims=True), found]))


def _per_event(axis: Axis, raw: Array, weights: FloatArray) -> NDArray[np.float32]:
    """Number of positive values per bin and event times the weight of the event, (events, bins)."""
    rows, columns = np.nonzero(raw > 0)
    cells = rows * axis.size + axis.index(raw[rows, columns])
    counts = np.bincount(cells, minlength=len(raw) * axis.size).reshape(len(raw), axis.size).astype(np.float32)
    return np.asarray(counts * weights[:, None].astype(np.float32))
