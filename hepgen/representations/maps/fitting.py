"""Fit the distribution of a column to a weighted sample of its values: pure numpy."""

from __future__ import annotations

import itertools
import math

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr, ndtri

from hepgen.representations.maps.distribution import Distribution

Values = NDArray[np.float64]

SPIKE_WEIGHT = 0.005
"""Share of the rows from which on a repeated value in a continuum is a spike."""
SPIKE_EXCESS = 20.0
"""How many times more often than its neighbours a spike occurs."""
MOST_SEGMENTS = 127
_NEIGHBOURS = 16
_LEAST_STEP = 1e-9  # in probability, so that no segment is flat
_FURTHEST = 6.0  # in standard deviations: beyond, cumulative probabilities are too near to 1
_OUTSIDE = 1e-7  # probability of what lies between the last value seen and a configured bound


def discrete(values: Values, weights: Values) -> Distribution:
    """Distribution of atoms only, from ascending distinct values and the weight of each.

    Example:
        >>> import numpy as np
        >>> discrete(np.array([0.0, 1.0]), np.array([3.0, 1.0])).probabilities
        (0.0, 0.75, 1.0)
    """
    middle = (values[1:] + values[:-1]) / 2
    knots = np.concatenate([values[:1] - 0.5, middle, values[-1:] + 0.5])
    rises = np.maximum(np.abs(weights) / np.abs(weights).sum(), 1e-7)  # an atom of weight 0 stays an atom
    levels = np.concatenate([[0.0], np.cumsum(rises) / rises.sum()])
    return Distribution("discrete", _plain(knots), _plain(levels), tuple(float(value) for value in values))


def integer(values: Values, weights: Values, low: float, high: float) -> Distribution:
    """Distribution of whole numbers of which there are many; each takes the interval up to the next.

    Args:
        values: a sample, shape (events,).
        weights: of each value, shape (events,).
        low: least value there is.
        high: greatest value there is.
    """
    inside, height = _cumulate(values, weights)
    below = np.concatenate([[0.0], height[:-1]])  # probability below each value
    points = np.concatenate([[low], inside, inside + 1, [high + 1]])
    levels = np.concatenate([[0.0], below, height, [1.0]])
    points, first = np.unique(points, return_index=True)
    levels = np.maximum.accumulate(levels[first])
    chosen = _refine(points, levels, np.array([0, len(points) - 1]), _tolerance(weights))
    rising = _rising(levels[chosen], 0.0, 1.0)
    scale = 1e6 * (high + 1 - low)
    return Distribution("integer", _plain(points[chosen]), _plain(rising), (None,) * (len(chosen) - 1), low, scale)


def continuous(
    values: Values, weights: Values, low: float, high: float, bounds: tuple[float, float] | None = None
) -> Distribution:
    """Distribution of a continuum with the spikes that stand in it.

    Args:
        values: a sample, shape (events,).
        weights: of each value, shape (events,); their absolute values count.
        low: least value that occurs in all the data.
        high: greatest value that occurs in all the data.
        bounds: what may be generated, if that is more than what occurs.
    """
    weights = np.abs(weights)
    found, spike_weights = find_spikes(values, weights)
    smooth = ~np.isin(values, found)
    if len(np.unique(values[smooth])) < 3:
        return discrete(*_counts(np.concatenate([values, [low, high]]), np.concatenate([weights, [0.0, 0.0]])))
    inside, height = _cumulate(values[smooth], weights[smooth])
    height = height - 0.5 * np.diff(height, prepend=0.0)
    edge = 0.5 / len(values)
    points = np.concatenate([[low], inside, [high]])
    levels = np.concatenate([[edge], np.clip(height, edge, 1 - edge), [1 - edge]])
    points, first = np.unique(points, return_index=True)
    levels = levels[first]
    levels[-1] = 1 - edge
    centre, scale = _stretch(points, levels)
    stretched = np.arcsinh((points - centre) / scale)
    steps = int(np.clip(0.5 * np.sqrt(len(values)), 16, 64))
    grid = ndtr(np.linspace(ndtri(edge), -ndtri(edge), steps + 1))
    start = np.unique(np.concatenate([[0], np.searchsorted(levels, grid[1:-1]), [len(points) - 1]]))
    room = MOST_SEGMENTS - 2 * len(found) - 2
    chosen = _refine(stretched, levels, start, _tolerance(weights[smooth]), room)
    knots, heights = points[chosen], levels[chosen]
    if bounds is not None and bounds[0] < knots[0]:
        knots, heights = np.concatenate([[bounds[0]], knots]), np.concatenate([[_OUTSIDE], heights])
    if bounds is not None and bounds[1] > knots[-1]:
        knots, heights = np.concatenate([knots, [bounds[1]]]), np.concatenate([heights, [1 - _OUTSIDE]])
    return _with_spikes(knots, heights, found, spike_weights / weights.sum(), centre, scale)


def straight(mean: float, width: float, low: float, high: float) -> Distribution:
    """The distribution whose map to a standard normal is a straight line: a normal of this mean and width, cut at the ends.

    The line is made flatter where an end would lie further than 6 widths from the mean.

    Example:
        >>> law = straight(1.0, 2.0, -3.0, 7.0)
        >>> law.knots[0], law.knots[-1], round(law.probabilities[0], 4)
        (-3.0, 7.0, 0.0228)
    """
    width = max(width, (high - mean) / _FURTHEST, (mean - low) / _FURTHEST)
    knots = np.linspace(low, high, MOST_SEGMENTS + 1)
    levels = ndtr((knots - mean) / width)
    rising = _rising(levels, levels[0], levels[-1])
    scale = 1e6 * (high - low)
    return Distribution("continuous", _plain(knots), _plain(rising), (None,) * MOST_SEGMENTS, mean, scale)


def _with_spikes(
    knots: Values, heights: Values, spikes: Values, jumps: Values, centre: float, scale: float
) -> Distribution:
    """Put atoms into a continuous cumulative function; an atom's segment ends at the next number of float64."""
    ends = np.nextafter(spikes, np.inf)
    every = np.unique(np.concatenate([knots, spikes, ends]))
    stretched, grid = np.arcsinh((every - centre) / scale), np.arcsinh((knots - centre) / scale)
    height = (1 - jumps.sum()) * np.interp(stretched, grid, heights)
    height += (jumps[None, :] * (every[:, None] > spikes[None, :])).sum(1)
    atoms = tuple(float(knot) if knot in spikes else None for knot in every[:-1])
    first = 0.0 if atoms[0] is not None else height[0]
    last = 1.0 if atoms[-1] is not None else height[-1]
    return Distribution("continuous", _plain(every), _plain(_rising(height, first, last)), atoms, centre, scale)


def find_spikes(values: Values, weights: Values) -> tuple[Values, Values]:
    """Values that occur far more often than their neighbours, ascending, and the weight of each.

    Args:
        values: a sample, shape (events,).
        weights: of each value, shape (events,).
    """
    distinct, inverse = np.unique(values, return_inverse=True)
    counts = np.bincount(inverse)
    candidates = np.flatnonzero(counts > max(SPIKE_WEIGHT * len(values), 10))
    found = []
    for candidate in candidates:
        around = counts[max(candidate - _NEIGHBOURS, 0) : candidate + _NEIGHBOURS + 1]
        if counts[candidate] > SPIKE_EXCESS * np.median(around):
            found.append(candidate)
    found = sorted(sorted(found, key=lambda one: -counts[one])[: MOST_SEGMENTS // 8])
    return distinct[found], _totals(inverse, weights, len(distinct))[found]


def _counts(values: Values, weights: Values) -> tuple[Values, Values]:
    distinct, inverse = np.unique(values, return_inverse=True)
    return distinct, _totals(inverse, weights, len(distinct))


def _totals(places: NDArray[np.intp], weights: Values, size: int) -> Values:
    return np.bincount(places, weights, minlength=size).astype(np.float64)


def _cumulate(values: Values, weights: Values) -> tuple[Values, Values]:
    """Distinct values in ascending order, and the probability of a value at most as large."""
    distinct, total = _counts(values, np.abs(weights))
    height = np.cumsum(total)
    return distinct, height / height[-1]


def _tolerance(weights: Values) -> float:
    """Error of the cumulative function that is not worth a knot: below the noise of the sample."""
    size = float(np.abs(weights).sum() ** 2 / (weights**2).sum())
    return max(5e-4, 0.25 / math.sqrt(size))


def _stretch(points: Values, levels: Values) -> tuple[float, float]:
    """Centre and scale of the asinh stretch in which the quantiles lie closest to those of a normal."""
    z = np.linspace(-2.5, 2.5, 51)
    quantiles = np.interp(ndtr(z), levels, points)
    width = float(np.interp(0.84, levels, points) - np.interp(0.16, levels, points)) / 2
    span = float(points[-1] - points[0])
    straight = (float(points[len(points) // 2]), 1e6 * span)
    if width <= 0:
        return straight
    candidates = [straight]
    for centre in (float(points[0]), float(np.interp(0.5, levels, points))):
        candidates += [(centre, factor * width) for factor in (0.01, 0.03, 0.1, 0.3, 1.0, 3.0)]
    stretched = [np.arcsinh((quantiles - centre) / scale) for centre, scale in candidates]
    losses = [1 - float(np.corrcoef(t, z)[0, 1]) if np.ptp(t) > 0 else 1.0 for t in stretched]
    best = int(np.argmin(losses))
    return candidates[best] if losses[best] < 0.8 * losses[0] else straight


def _refine(
    points: Values, levels: Values, start: NDArray[np.int64], tolerance: float, most: int = MOST_SEGMENTS
) -> NDArray[np.int64]:
    """Indices of knots between which straight lines follow the points (Douglas and Peucker 1973, vertical distance)."""

    def worst(first: int, last: int) -> tuple[float, int, int, int]:
        if last - first < 2:
            return 0.0, first, first, last
        inside = slice(first + 1, last)
        slope = (levels[last] - levels[first]) / (points[last] - points[first])
        error = np.abs(levels[inside] - levels[first] - slope * (points[inside] - points[first]))
        place = int(error.argmax())
        return float(error[place]), first + 1 + place, first, last

    segments = [worst(int(first), int(last)) for first, last in itertools.pairwise(start)]
    while len(segments) < most:
        index = max(range(len(segments)), key=lambda one: segments[one][0])
        error, place, first, last = segments[index]
        if error <= tolerance:
            break
        segments[index] = worst(first, place)
        segments.append(worst(place, last))
    return np.array(sorted({end for segment in segments for end in segment[2:]}), dtype=np.int64)


def _rising(heights: Values, first: float, last: float) -> Values:
    """The same heights from first to last, each step at least the least one."""
    steps = np.maximum(np.diff(heights), _LEAST_STEP)
    rising = np.concatenate([[0.0], np.cumsum(steps)])
    result: Values = first + rising * ((last - first) / rising[-1])
    return result


def _plain(values: Values) -> tuple[float, ...]:
    return tuple(float(value) for value in values)
