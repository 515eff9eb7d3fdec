"""How much a cut on a discriminant rejects, and how much it sculpts a protected variable: pure functions of arrays."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from hepgen.errors import UsageError
from hepgen.evaluation.metrics import FloatArray, binned_divergences, effective_events, weighted_quantiles

Against = Literal["failing", "all"]


@dataclass(frozen=True)
class SculptingPoint:
    """A cut on a discriminant.

    Attributes:
        efficiency: share of the signal that passes.
        threshold: of the discriminant, at and above which events pass.
        rejection: one over the share of the background that passes.
        inverse_jsd: one over the Jensen-Shannon divergence, in units of ln 2, of the protected variable of background
            that passes from that of the other background.
        floor: the ``inverse_jsd`` that a cut at random would show on average with as many events: what is beyond it
            cannot be told from no sculpting at all.
    """

    efficiency: float
    threshold: float
    rejection: float
    inverse_jsd: float
    floor: float


def threshold_at(score: FloatArray, weight: FloatArray, efficiency: float) -> float:
    """The cut that this share of the events passes.

    Raises:
        UsageError: if the efficiency is not in (0, 1).

    Example:
        >>> threshold_at(np.arange(5.0), np.ones(5), 0.5)
        2.0
    """
    if not 0 < efficiency < 1:
        raise UsageError(f"a signal efficiency lies in (0, 1), not at {efficiency}")
    return float(weighted_quantiles(score, np.array([1 - efficiency]), weight)[0])


def inverse_divergence(
    protected: FloatArray, weight: FloatArray, passes: np.ndarray, edges: FloatArray, against: Against = "failing"
) -> tuple[float, float]:
    """One over the Jensen-Shannon divergence of the protected variable (arXiv 2211.02486), and its ``floor``.

    Args:
        protected: (events,) of background.
        weight: (events,).
        passes: flags, (events,).
        edges: inner edges of the bins of the protected variable; the first and the last are open.
        against: what those that pass are compared with: those that fail, or all.

    Returns:
        nan where no events pass, or none fail.

    Example:
        >>> mass = np.array([1.0, 2.0] * 500)
        >>> [round(one, 2) for one in inverse_divergence(mass, np.ones(1000), mass > 1.5, np.array([1.5]))]
        [1.01, 1386.29]
    """
    other = ~passes if against == "failing" else np.ones_like(passes)
    if not passes.any() or not other.any():
        return math.nan, math.nan
    place, bins = np.searchsorted(edges, protected, side="right"), len(edges) + 1
    counts, sizes = [], []
    for rows in (passes, other):
        effective = effective_events(weight[rows])
        histogram = np.bincount(place[rows], weights=weight[rows], minlength=bins)
        counts.append(histogram * (effective / histogram.sum()))
        sizes.append(effective)
    divergence = binned_divergences(*counts)["jsd"]
    # Of n events of one law: sum (p - q)^2 / p has the mean (bins - 1) (1/n1 + 1/n2); of a part and the whole, the part's.
    spread = 1 / sizes[0] + (1 if against == "failing" else -1) / sizes[1]
    floor = (bins - 1) * spread / (8 * math.log(2))
    return (1 / divergence if divergence > 0 else math.inf), (1 / floor if floor > 0 else math.inf)


def sculpting_curve(
    signal: FloatArray,
    background: FloatArray,
    protected: FloatArray,
    *,
    signal_weight: FloatArray | None = None,
    background_weight: FloatArray | None = None,
    efficiencies: Sequence[float] = (0.5,),
    bins: int = 50,
    against: Against = "failing",
) -> list[SculptingPoint]:
    """Rejection and 1/JSD at these efficiencies of the signal; at 0.5 the rejection is R50.

    Args:
        signal: discriminant of the signal, (events,), larger for signal.
        background: that of the background, (events,).
        protected: the protected variable of the background, (events,).
        bins: of the protected variable, of equal content in the background.
        against: see ``inverse_divergence``.

    Raises:
        UsageError: see ``threshold_at``.

    Example:
        >>> random = np.random.default_rng(0)
        >>> mass = random.normal(size=20_000)
        >>> (point,) = sculpting_curve(random.normal(1, 1, 20_000), random.normal(size=20_000), mass, bins=10)
        >>> round(point.rejection, 1), point.inverse_jsd > 300
        (6.4, True)
    """
    signal_weight = np.ones(len(signal)) if signal_weight is None else signal_weight
    weight = np.ones(len(background)) if background_weight is None else background_weight
    levels = np.linspace(0, 1, bins + 1)[1:-1]
    edges = np.unique(weighted_quantiles(protected, levels, np.abs(weight)))
    points = []
    for efficiency in efficiencies:
        threshold = threshold_at(signal, signal_weight, efficiency)
        passes = background >= threshold
        share = float(weight[passes].sum() / weight.sum())
        inverse, floor = inverse_divergence(protected, weight, passes, edges, against)
        points.append(SculptingPoint(efficiency, threshold, 1 / share if share > 0 else math.inf, inverse, floor))
    return points
