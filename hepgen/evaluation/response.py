"""Response, resolution and layer profile of showers, as ratios of generated to reference."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from hepgen.evaluation.domain import FloatArray, Pool
from hepgen.evaluation.metrics import effective_events, weighted_quantiles
from hepgen.evaluation.report_parts import Curve
from hepgen.evaluation.scores import ScoreBook
from hepgen.evaluation.splits import ConditionBin, Split
from hepgen.physics.binning import Binning

PROFILE_SHARE = 0.01
"""Layers that hold less of the energy are left out of ``profile.max``."""

MIN_EVENTS = 20
MIN_EVENTS_OF_PART = 4


def central_width(values: FloatArray, weights: FloatArray) -> float:
    """Half of the range that holds the central 68.3 % of the events: the standard deviation of a Gaussian.

    Example:
        >>> central_width(np.linspace(0.0, 1.0, 1001), np.ones(1001))
        0.3415
    """
    low, high = weighted_quantiles(values, np.array([0.1585, 0.8415]), weights)
    return float(high - low) / 2


def _mean(values: FloatArray, weights: FloatArray) -> float:
    return float(weights @ values / weights.sum())


def _deviation(values: FloatArray, weights: FloatArray) -> float:
    return float(np.sqrt(max(_mean(np.square(values - _mean(values, weights)), weights), 0.0)))


STATISTICS: dict[str, Callable[[FloatArray, FloatArray], float]] = {
    "mean": _mean,
    "width": central_width,
    "rms": _deviation,
}


def energy_bins(bins: Sequence[ConditionBin], reference: Pool) -> tuple[ConditionBin, ...]:
    """The bins of the first condition, or one bin with everything where it takes one value only."""
    found = tuple(x for x in bins if x.column == 0)
    center = float(np.median(reference.conditions[:, 0]))
    return found or (ConditionBin(f"{center:g}", 0, -np.inf, np.inf, center),)


def add_response(
    book: ScoreBook, reference: Pool, generated: Pool, bins: Sequence[ConditionBin], splits: Sequence[Split], parts: int
) -> None:
    """Add ``response.mean.<E>``, ``response.width.<E>`` and ``response.rms.<E>``, ratios for E_tot/E_inc.

    The width is half of the central 68 % range; the standard deviation (``rms``) stands beside it, but a single leaking
    shower can move that by half. ``response.mean.max`` and so on are the largest deviation of these ratios from 1.
    Energies with fewer than 20 events in a part are left out.
    """
    true, made = reference.observables[:, 0], generated.observables[:, 0]
    inside = [(x.label, x.rows(reference.conditions), x.rows(generated.conditions)) for x in bins]
    pieces = [one for split in splits for one in (split, *split.parts(parts))]
    found = np.full((len(pieces), len(STATISTICS), len(bins), 2), np.nan)
    sizes = np.zeros((len(pieces), len(bins)), dtype=int)
    for number, one in enumerate(pieces):
        for place, (_, true_rows, made_rows) in enumerate(inside):
            a, b = (rows[true_rows[rows]] for rows in (one.a, one.b))
            g = one.generated[made_rows[one.generated]]
            sides = [(true[a], reference.weights[a]), (made[g], generated.weights[g]), (true[b], reference.weights[b])]
            sizes[number, place] = min(len(values) for values, _ in sides)
            if sizes[number, place] < (MIN_EVENTS_OF_PART if number % (parts + 1) else MIN_EVENTS):
                continue
            if min(float(weights.sum()) for _, weights in sides) <= 0:
                continue
            for which, statistic in enumerate(STATISTICS.values()):
                base, value, floor = (statistic(*side) for side in sides)
                if base != 0:
                    found[number, which, place] = value / base, floor / base
    of_splits = found.reshape(len(splits), parts + 1, *found.shape[1:])
    smallest = sizes[:: parts + 1].min(axis=0)
    for which, name in enumerate(STATISTICS):
        known = np.flatnonzero(np.isfinite(of_splits[:, 0, which]).all(axis=(0, 2)))
        for place in known.tolist():
            pairs = of_splits[:, :, which, place].tolist()
            book.add_splits(f"response.{name}.{bins[place].label}", pairs, int(smallest[place]))
        if len(known):
            largest = np.abs(of_splits[:, :, which, known] - 1).max(axis=2).tolist()
            book.add_splits(f"response.{name}.max", largest, min(split.size for split in splits))


def add_profile(
    book: ScoreBook, reference: Pool, generated: Pool, binning: Binning, splits: Sequence[Split], parts: int
) -> None:
    """Add ``profile.<layer>``, the ratio of the mean of E_layer/E_inc, for layers with more than 1 % of the energy."""
    true, made = (_fractions(pool, binning) for pool in (reference, generated))
    mean = reference.weights @ true
    kept = np.flatnonzero(mean > PROFILE_SHARE * mean.sum())
    if not len(kept):
        return
    ratios = []
    for one in (one for split in splits for one in (split, *split.parts(parts))):
        sides = (true, reference, one.a), (made, generated, one.generated), (true, reference, one.b)
        base, *others = (_layer_means(x[rows][:, kept], pool.weights[rows]) for x, pool, rows in sides)
        base = np.where(base > 0, base, np.nan)
        ratios.append([x / base for x in others])
    found = np.array(ratios).reshape(len(splits), parts + 1, 2, len(kept))
    size = min(split.size for split in splits)
    for place, layer in enumerate(kept.tolist()):
        book.add_splits(f"profile.{binning.layers[layer].id}", found[:, :, :, place].tolist(), size)
    known = np.isfinite(found[:, 0]).all(axis=(0, 1))
    if known.any():
        book.add_splits("profile.max", np.abs(found[:, :, :, known] - 1).max(axis=3).tolist(), size)


def shower_curves(
    reference: Pool, generated: Pool, bins: Sequence[ConditionBin], binning: Binning, x_label: str
) -> tuple[Curve, ...]:
    """The layer profile, and mean and width of the response against incident energy, of bins where there is one."""

    def points(pool: Pool) -> tuple[tuple[float, ...], tuple[float, ...]]:
        values = _fractions(pool, binning)
        mean = _layer_means(values, pool.weights)
        error = np.sqrt(np.square(pool.weights) @ np.square(values - mean)) / pool.weights.sum()
        return tuple(mean.tolist()), tuple(error.tolist())

    layers = tuple(float(layer.id) for layer in binning.layers)
    curves = [Curve("profile", "layer", "mean of E_layer / E_inc", layers, *points(reference), *points(generated))]
    groups = []
    for one in bins:
        inside = [(pool, one.rows(pool.conditions)) for pool in (reference, generated)]
        samples = [(pool.observables[rows, 0], pool.weights[rows]) for pool, rows in inside]
        if min(len(values) if weights.sum() > 0 else 0 for values, weights in samples) >= MIN_EVENTS:
            groups.append((one.center, samples))
    if len(groups) > 1:
        x = tuple(center for center, _ in groups)
        for name, words in (("mean", "mean of E_tot / E_inc"), ("width", "width of E_tot / E_inc (central 68 %)")):
            true, made = ([_moment(*samples[which], name) for _, samples in groups] for which in (0, 1))
            curves.append(
                Curve(
                    f"response_{name}",
                    x_label,
                    words,
                    x,
                    reference=tuple(value for value, _ in true),
                    reference_error=tuple(error for _, error in true),
                    generated=tuple(value for value, _ in made),
                    generated_error=tuple(error for _, error in made),
                    log_x=True,
                )
            )
    return tuple(curves)


def _moment(values: FloatArray, weights: FloatArray, name: str) -> tuple[float, float]:
    """Value and statistical error; the error of the width is that of a Gaussian."""
    root = np.sqrt(effective_events(weights))
    if name == "mean":
        return _mean(values, weights), _deviation(values, weights) / root
    width = central_width(values, weights)
    return width, 1.2 * width / root


def _layer_means(fractions: FloatArray, weights: FloatArray) -> FloatArray:
    """Weighted means of the layers, (layers,)."""
    return np.asarray(weights @ fractions / (weights.sum() or np.nan))


def _fractions(pool: Pool, binning: Binning) -> FloatArray:
    """Energy of each layer over the incident energy, (events, layers); the layers follow the response."""
    return pool.observables[:, 1 : 1 + binning.num_layers] / pool.conditions[:, :1]
