"""A strictly increasing map of a number to about a standard normal: no two values fall together, none change places."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr, ndtri

from hepgen.errors import InputFileError

Values = NDArray[np.float64]

MOST_KNOTS = 1025
_PER_KNOT = 20  # events, where they are few
_ATOM = 2e-3  # share of the events from which on a repeated value is an atom
_FEWEST = 10  # times that it occurs at least
_REACH = 1e-12  # of the span: how close to an atom the continuum begins
_LEAST_RISE = 1e-9


@dataclass(frozen=True)
class MonotoneNormal:
    """Straight lines between the quantiles of a sample and those of a standard normal; a straight line beyond them.

    Scores of classifiers crowd at 0 and 1, so the knots lie at quantiles, and everything is in float64. A value that many
    events share (an atom) stands for its place in the middle of them: equal values stay equal. The interval of an atom is
    for training, where a likelihood wants a continuum.

    Attributes:
        knots, heights: of the lines, both strictly ascending, (knots,).
        atoms: (atoms, 3): value, and cumulative probability below it and up to it.

    Example:
        >>> scale = MonotoneNormal.fit(np.linspace(0, 1, 1001))
        >>> scale(np.array([0.25, 0.99999, 1.0, 1.5])).tolist()
        [-0.67, 3.288, 3.291, 6.582]
    """

    knots: Values
    heights: Values
    atoms: Values

    @classmethod
    def fit(cls, values: Values, weights: Values | None = None) -> MonotoneNormal:
        """The map of a sample; weights, (events,), count by their size.

        Raises:
            InputFileError: if all values are the same, or all weights zero.
        """
        distinct, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
        sizes = np.ones(len(values)) if weights is None else np.abs(weights)
        total = np.bincount(inverse, sizes, minlength=len(distinct))
        if len(distinct) < 2:
            raise InputFileError("all values are the same" if len(distinct) else "there are no values")
        if not total.sum() > 0:
            raise InputFileError("all weights are zero")
        share = total / total.sum()
        upper = np.minimum(np.cumsum(share), 1.0)
        lower = upper - share
        edge = 0.5 / len(values)
        atom = (share > _ATOM) & (counts >= _FEWEST)
        grid = ndtr(np.linspace(ndtri(edge), -ndtri(edge), int(np.clip(len(values) // _PER_KNOT, 17, MOST_KNOTS))))
        middle = 0.5 * (lower + upper)
        chosen = np.unique([0, *np.searchsorted(middle, grid[1:-1]).clip(max=len(distinct) - 1), len(distinct) - 1])
        plain = chosen[~atom[chosen]]
        at, low, high = distinct[atom], lower[atom], upper[atom]
        beside = np.maximum(_REACH * (distinct[-1] - distinct[0]), 4 * np.spacing(np.abs(at)))
        points = np.concatenate([distinct[plain], at - beside, at, at + beside])
        levels = np.concatenate([middle[plain], low, 0.5 * (low + high), high])
        order = np.argsort(points, kind="stable")
        points, levels = points[order], ndtri(levels[order].clip(edge, 1 - edge))
        kept = _rising(points, levels)
        atoms = np.stack([at, low.clip(edge, 1 - edge), high.clip(edge, 1 - edge)], axis=1)
        return cls(points[kept], levels[kept], atoms)

    def __call__(self, values: Values) -> Values:
        """Values, any shape, to about standard normal ones, float64; not a number stays so."""
        values = np.asarray(values, dtype=np.float64)
        place = np.searchsorted(self.knots[1:-1], values, side="right")
        start, end = self.knots[place], self.knots[place + 1]
        inside = np.clip((values - start) / (end - start), 0.0, 1.0)
        bottom, top = self.heights[place], self.heights[place + 1]
        slope = (self.heights[-1] - self.heights[0]) / (self.knots[-1] - self.knots[0])
        beyond = np.minimum(values - self.knots[0], 0.0) + np.maximum(values - self.knots[-1], 0.0)
        found: Values = np.minimum(bottom + inside * (top - bottom), top) + slope * beyond
        return found

    def interval(self, values: Values) -> tuple[Values, Values]:
        """The ends of the interval that each value, (events,), stands for; both the value's own place but at an atom."""
        places = self(values)
        low, high = places.copy(), places.copy()
        if len(self.atoms):
            near = np.searchsorted(self.atoms[:, 0], values).clip(max=len(self.atoms) - 1)
            hit = self.atoms[near, 0] == values
            low[hit], high[hit] = (ndtri(self.atoms[near[hit], column]) for column in (1, 2))
        return low, high

    def state(self) -> dict[str, Any]:
        """Plain numbers."""
        return {name: getattr(self, name).tolist() for name in ("knots", "heights", "atoms")}

    @classmethod
    def from_state(cls, state: dict[str, Any]) -> MonotoneNormal:
        atoms = np.asarray(state["atoms"], dtype=np.float64).reshape(-1, 3)
        return cls(np.asarray(state["knots"]), np.asarray(state["heights"]), atoms)


def _rising(points: Values, levels: Values) -> NDArray[np.int64]:
    """Indices of points and levels that both rise, from the first one on."""
    kept = [0]
    for number in range(1, len(points)):
        if points[number] > points[kept[-1]] and levels[number] > levels[kept[-1]] + _LEAST_RISE:
            kept.append(number)
    return np.asarray(kept)
