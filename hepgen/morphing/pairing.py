"""Who goes to whom: pairs of events of two samples, drawn by their weights, at about the same condition, at least cost.

Matrices have shape (events, features) or (events, conditions), float64; weights (events,).
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment
from scipy.spatial.distance import cdist

from hepgen.errors import UsageError
from hepgen.generators.base import StageBatch

Array = NDArray[np.float64]
Rows = NDArray[np.int64]

_NEIGHBOURS = 16  # events of the source among which one is chosen for the condition of an event of the target
_TINY = 1e-12
TAKE_INDEPENDENT = "options.matching.coupling", "write coupling: independent, which takes any weights"
"""Where the pairs of a matching go wrong with negative weights, and what to do."""


def refuse_negative_weights(sides: Iterable[StageBatch | None], where: str, hint: str) -> None:
    """Optimal transport moves masses, and a mass is not negative.

    Raises:
        UsageError: if an event of any of the samples has a negative weight.
    """
    for side in sides:
        if side is not None and side.weight is not None:
            share = float((side.weight < 0).double().mean())
            if share > 0:
                raise UsageError(
                    f"{100 * share:.3g} % of the events have negative weights, which optimal transport cannot take",
                    where=where, hint=hint,
                )  # fmt: skip


def drawn_by_weight(weight: Array, place: float) -> Rows:
    """As many rows as there are, each as often as its weight says, up to one more or less.

    Args:
        weight: (events,), none negative.
        place: uniform in [0, 1): where on the first step of the cumulative weight the comb of draws begins.

    Example:
        >>> drawn_by_weight(np.array([2.0, 0.0, 1.0, 1.0]), 0.5).tolist()
        [0, 0, 2, 3]
    """
    total = np.cumsum(weight)
    comb = (np.arange(len(weight)) + place) * (total[-1] / len(weight))
    rows: Rows = np.searchsorted(total, comb, side="right").clip(max=len(weight) - 1).astype(np.int64)
    return rows


def closeness(wanted: Array, condition: Array) -> Array:
    """How near each event of the source is to the condition of each of the target, (target, source), in [0, 1].

    exp(-d^2 / r^2), where r is the distance of the 16th nearest; equal conditions have 1, and where 16 are equal, as with
    discrete conditions, no other counts.

    Example:
        >>> closeness(np.zeros((1, 1)), np.array([[0.0]] * 16 + [[1.0]]))[0, -2:].tolist()
        [1.0, 0.0]
    """
    squares = cdist(wanted, condition, "sqeuclidean")
    nearest = min(_NEIGHBOURS, squares.shape[1]) - 1
    radius = np.partition(squares, nearest, axis=1)[:, nearest, None]
    exponent: Array = (squares.min(axis=1, keepdims=True) - squares) / np.maximum(radius, _TINY)
    return np.exp(exponent)


def shared_out(wanted: Array, condition: Array, weight: Array) -> Array:
    """The share of each event of the source in each of the target, (target, source), rows sum to 1: by weight and closeness.

    Raises:
        UsageError: if only events of weight 0 are near.
    """
    share = closeness(wanted, condition) * weight
    total = share.sum(axis=1, keepdims=True)
    if total.min() <= 0:
        raise UsageError("all events of the source at the condition of an event of the target have weight 0")
    result: Array = share / total
    return result


def drawn_by_condition(wanted: Array, condition: Array, weight: Array, places: Array) -> Rows:
    """A row of the source for each of the target, at about its condition: (target,).

    The laws of the conditions may differ between the samples: of each condition there are as many as the target has.

    Args:
        wanted: conditions of the target.
        condition, weight: of the source; no weight negative.
        places: uniform in [0, 1), one for each event of the target.
    """
    total = np.cumsum(shared_out(wanted, condition, weight), axis=1)
    rows: Rows = (total < places[:, None] * total[:, -1:]).sum(axis=1).clip(max=len(condition) - 1)
    return rows


def transport_cost(x: Array, y: Array, condition: Array, wanted: Array, condition_cost: float) -> Array:
    """(source, target): mean square distance of the features, and ``condition_cost`` times the square of the condition's.

    A large ``condition_cost`` makes the transport conditional (arXiv:2403.18705, 2404.04240).
    """
    cost: Array = cdist(x, y, "sqeuclidean") / x.shape[1]
    return cost + condition_cost * cdist(condition, wanted, "sqeuclidean") if condition.shape[1] else cost


def assigned(cost: Array) -> Rows:
    """The row of the target for each of the source, a permutation of the least total cost.

    Of 256 events this takes 10 ms, and the network simplex, which takes weights too, twice that; of 4,000, 22 s and 14 s.

    Example:
        >>> assigned(np.array([[1.0, 0.0], [0.0, 1.0]])).tolist()
        [1, 0]
    """
    return linear_sum_assignment(cost)[1].astype(np.int64)
