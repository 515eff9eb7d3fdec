"""Accepting generated events by chance, so that every column has the distribution of the training events.

The weight of an event is the exponential of a sum of functions, one of each column, straight between quantiles. Of all
weights that give the columns their distributions these are the nearest to equal ones (maximum entropy; entropy balancing,
Hainmueller 2012); events are then unweighted by acceptance, as after a reweighting of generated events in
arXiv:2009.03796. Unlike a map of single features it also sees columns that are computed from several of them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import pairwise
from typing import Any, Self

import awkward as ak
import numpy as np
from numpy.typing import NDArray

from hepgen.representations.accumulators import weighted_quantiles

_LEVELS = (0.005, 0.02, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.98, 0.995)
# The most events whose weight is larger than what acceptance can give: they come too seldom.
_ABOVE = 0.001
_ITERATIONS = 300

Values = NDArray[np.float64]
Columns = Mapping[str, Values]


@dataclass(frozen=True)
class Term:
    """What one column adds to the logarithm of the weight: straight between knots, constant outside.

    Attributes:
        column: its name.
        knots: values of the column, ascending.
        heights: logarithms at the knots.
        missing: the logarithm where the value is NaN.
    """

    column: str
    knots: tuple[float, ...]
    heights: tuple[float, ...]
    missing: float = 0.0

    def __call__(self, values: Values) -> Values:
        """Of values of shape (events,), the same shape."""
        found: Values = np.interp(values, self.knots, self.heights)
        return np.where(np.isnan(values), self.missing, found)


@dataclass(frozen=True)
class Acceptance:
    """The probability with which a generated event is kept.

    Attributes:
        terms: what each column adds to the logarithm of the weight.
        ceiling: logarithm of the weight that is always accepted.
        efficiency: share of the generated events that are kept.

    Example:
        >>> random = np.random.default_rng(1)
        >>> made, true = {"x": random.normal(0.3, 1, 20_000)}, {"x": random.normal(0, 1, 20_000)}
        >>> fitted = Acceptance.fit(made, true)
        >>> kept = made["x"][fitted.accept(made, random.random(20_000))]
        >>> bool(abs(kept.mean()) < 0.05 < made["x"].mean())
        True
    """

    terms: tuple[Term, ...]
    ceiling: float
    efficiency: float

    @classmethod
    def fit(cls, made: Columns, true: Columns, weight: Values | None = None) -> Self:
        """From generated events and events of the training.

        Args:
            made: columns of generated events by name, (events,) each; NaN is a missing value.
            true: the same columns of training events.
            weight: weights of the training events, which may be negative.
        """
        bases = [_Basis.of(name, values, weight, made[name]) for name, values in true.items()]
        heights = _balanced([one for one in bases if one.size > 1], weight, len(next(iter(true.values()))))
        terms = tuple(
            Term(one.column, tuple(one.knots.tolist()), tuple(high[:-1].tolist()), float(high[-1]))
            for one, high in heights
        )
        logs = _sum(terms, made)
        ceiling = float(np.quantile(logs, 1 - _ABOVE))
        return cls(terms, ceiling, float(np.minimum(np.exp(logs - ceiling), 1.0).mean()))

    def accept(self, columns: Columns, uniform: Values) -> NDArray[np.bool_]:
        """Which events are kept.

        Args:
            columns: generated columns by name, (events,) each.
            uniform: random numbers in [0, 1), (events,).
        """
        return np.asarray(uniform < np.exp(_sum(self.terms, columns) - self.ceiling))

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> Self:
        terms = (
            Term(one["column"], tuple(one["knots"]), tuple(one["heights"]), one["missing"]) for one in content["terms"]
        )
        return cls(tuple(terms), content["ceiling"], content["efficiency"])


def columns_of(events: ak.Array) -> dict[str, Values]:
    """Numbers of a batch by name, (events,) each; of a fixed-size column every element, missing values as NaN."""
    found: dict[str, Values] = {}
    for name in events.fields:
        array = np.ma.asarray(ak.to_numpy(events[name])).astype(np.float64)
        values = np.ma.filled(array, np.nan).reshape(len(events), -1)
        single = values.shape[1] == 1
        found.update({name if single else f"{name}[{place}]": column for place, column in enumerate(values.T)})
    return found


def _sum(terms: Sequence[Term], columns: Columns) -> Values:
    total: Values = np.zeros(len(next(iter(columns.values()))))
    for term in terms:
        total += term(columns[term.column])
    return total


@dataclass(frozen=True)
class _Basis:
    """Hat functions of one column and one for missing values: their means over the truth, their places in what is made.

    Attributes:
        wanted: (functions,), means over the true events.
        left: (events,), the hat to the left of each generated value, or that of missing values.
        share: (events,), how much of the next hat there is in it.
    """

    column: str
    knots: Values
    wanted: Values
    left: NDArray[np.int64]
    share: Values

    @classmethod
    def of(cls, column: str, true: Values, weight: Values | None, made: Values) -> Self:
        knots = _knots(true, weight)
        left, share = _places(true, knots)
        return cls(column, knots, _means(left, share, weight, len(knots) + 1), *_places(made, knots))

    @property
    def size(self) -> int:
        """Number of functions that are not 0 everywhere, in the truth."""
        return int((self.wanted > 0).sum())


def _knots(values: Values, weight: Values | None) -> Values:
    """Every value where there are few, quantiles otherwise."""
    present = ~np.isnan(values)
    distinct = np.unique(values[present])
    if len(distinct) <= len(_LEVELS):
        return np.asarray(distinct if len(distinct) else [0.0])
    counted = np.ones(int(present.sum())) if weight is None else np.abs(weight[present])
    return np.unique(weighted_quantiles(values[present], counted, list(_LEVELS)))


def _places(values: Values, knots: Values) -> tuple[NDArray[np.int64], Values]:
    """The hat to the left of each value, and its distance from there in units of the gap; NaN has a hat of its own."""
    place = np.interp(values, knots, np.arange(len(knots)))
    missing = np.isnan(values)
    left = np.where(missing, len(knots), np.floor(np.where(missing, 0.0, place))).astype(np.int64)
    return left, np.where(missing, 0.0, place - left)


def _means(left: NDArray[np.int64], share: Values, weight: Values | None, size: int) -> Values:
    counted = np.ones(len(left)) if weight is None else weight
    total = np.bincount(left, counted * (1 - share), size)
    total += np.bincount(np.minimum(left + 1, size - 1), counted * share, size)
    means: Values = np.maximum(total / counted.sum(), 0.0)
    return means


def _balanced(bases: Sequence[_Basis], weight: Values | None, events: int) -> list[tuple[_Basis, Values]]:
    """Heights of the hats for which the weighted means over what is made are the wanted ones.

    The convex dual of the largest entropy, with a normal law of width 1 for every height: with few events there is not
    much to say.
    """
    from scipy.optimize import minimize  # slow to load

    effective = float(events) if weight is None else float(weight.sum() ** 2 / np.square(weight).sum())
    ends = np.cumsum([0, *(len(one.wanted) for one in bases)])
    wanted = np.concatenate([one.wanted for one in bases]) if bases else np.empty(0)

    def dual(heights: Values) -> tuple[float, Values]:
        parts = [heights[a:b] for a, b in pairwise(ends)]
        logs = np.zeros(len(bases[0].left))
        for one, part in zip(bases, parts, strict=True):
            following = part[np.minimum(one.left + 1, len(part) - 1)]
            logs += (1 - one.share) * part[one.left] + one.share * following
        most = logs.max()
        chance = np.exp(logs - most)
        total = chance.sum()
        found = [_means(one.left, one.share, chance, len(one.wanted)) for one in bases]
        value = np.log(total / len(logs)) + most - wanted @ heights + 0.5 * heights @ heights / effective
        return float(value), np.concatenate(found) - wanted + heights / effective

    if not bases:
        return []
    result = minimize(dual, np.zeros(len(wanted)), jac=True, method="L-BFGS-B", options={"maxiter": _ITERATIONS})
    return [(one, result.x[a:b]) for one, (a, b) in zip(bases, pairwise(ends), strict=True)]
