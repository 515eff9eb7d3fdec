"""From log ratios to event weights: cut, normalised, and judged; pure functions of arrays.

What is fitted on the training sample are two numbers (`WeightScale`), so that they are applied block by block: the weight of
an event depends neither on the block in which it stands nor on how many events are asked for.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hepgen.errors import InputFileError, UsageError

FloatArray = NDArray[np.float64]

# Below this share of effective events, or above this share of one event in the sum, the weights are hardly of use.
_FEW = 0.1
_LARGE = 0.01
# By how much the mean ratio over the source may miss 1 before it speaks of regions that the source does not cover.
_MISSED = 0.1
# All weights so close to each other change nothing.
_IDLE = 1e-3


def clipped(log_ratio: FloatArray, log_most: float) -> FloatArray:
    """Log ratios, none above ``log_most``; minus infinity, a ratio of 0, stays.

    Example:
        >>> clipped(np.array([-1.0, 0.5, 9.0]), 2.0).tolist()
        [-1.0, 0.5, 2.0]
    """
    return np.minimum(log_ratio, log_most)


def clip_level(
    log_ratio: FloatArray, weight: FloatArray, *, quantile: float | None = None, most: float | None = None
) -> float:
    """Where to cut log ratios: at a quantile of the source's events, at a ratio, or at the lower of both; else infinity.

    The quantile is of events by the size of their weights, whatever their signs.

    Raises:
        UsageError: if ``quantile`` is not in (0, 1], or ``most`` not above 0.

    Example:
        >>> logs, weight = np.log([0.5, 1.0, 2.0, 100.0]), np.ones(4)
        >>> math.exp(clip_level(logs, weight, quantile=0.75)), math.exp(clip_level(logs, weight, most=10.0))
        (2.0, 10.0)
    """
    level = math.inf
    if quantile is not None:
        if not 0 < quantile <= 1:
            raise UsageError(f"a quantile of weights lies in (0, 1], not at {quantile}")
        order = np.argsort(log_ratio, kind="stable")
        below = np.cumsum(np.abs(weight[order]))
        place = int(np.searchsorted(below, quantile * below[-1] * (1 - 1e-12)))
        level = float(log_ratio[order[min(place, len(order) - 1)]])
    if most is not None:
        if most <= 0:
            raise UsageError(f"a largest ratio is above 0, not {most}")
        level = min(level, math.log(most))
    return level


@dataclass(frozen=True)
class WeightScale:
    """What turns log ratios into the factors of event weights, fitted on the training sample.

    Attributes:
        log_most: log ratios are cut here; infinity where nothing is.
        log_norm: added afterwards.
    """

    log_most: float
    log_norm: float

    def factors(self, log_ratio: FloatArray) -> FloatArray:
        """By what the weights of events are multiplied, (events,), float64."""
        return np.exp(clipped(np.asarray(log_ratio, dtype=np.float64), self.log_most) + self.log_norm)


def scale_of(facts: Mapping[str, Any]) -> WeightScale:
    """The scale that a model keeps, as plain values: ``log_most`` is None where nothing is cut."""
    return WeightScale(math.inf if facts["log_most"] is None else facts["log_most"], facts["log_norm"])


def fit_scale(
    log_ratio: FloatArray,
    weight: FloatArray,
    *,
    quantile: float | None = None,
    most: float | None = None,
    total: float | None = None,
) -> WeightScale:
    """The scale by which the weights of a source add up to ``total``.

    Args:
        log_ratio: (events,) of the source.
        weight: (events,), may be negative.
        quantile, most: see ``clip_level``.
        total: what the new weights add up to: the sum of weights of the target, say; not given: the sum of ``weight``,
            the weights change shapes and no yield.

    Raises:
        InputFileError: if a log ratio is not a number, or the reweighted sum, or the one asked for, is not above 0.
        UsageError: see ``clip_level``.

    Example:
        >>> scale = fit_scale(np.log([1.0, 3.0]), np.ones(2))
        >>> scale.factors(np.log(np.array([1.0, 3.0]))).tolist()
        [0.5, 1.5]
    """
    logs, weight = np.asarray(log_ratio, dtype=np.float64), np.asarray(weight, dtype=np.float64)
    if np.isnan(logs).any() or np.isposinf(logs).any():
        raise InputFileError(f"the ratio of {int((~(logs < math.inf)).sum())} of {len(logs)} events is not a number")
    wanted = float(weight.sum()) if total is None else float(total)
    log_most = clip_level(logs, weight, quantile=quantile, most=most)
    cut = clipped(logs, log_most)
    peak = float(cut.max())
    summed = float(weight @ np.exp(cut - peak)) if math.isfinite(peak) else 0.0
    if wanted <= 0 or summed <= 0:
        raise InputFileError(
            f"weights that add up to {summed:.4g} cannot be scaled to {wanted:.4g}",
            hint="a sample whose negative weights outweigh the others has no shape to reweight to, or from",
        )
    return WeightScale(log_most, math.log(wanted) - math.log(summed) - peak)


def effective_sample_size(weight: FloatArray) -> float:
    """Events without weights that would have the same statistical error: (sum w)^2 / sum w^2; 0 without any.

    Example:
        >>> effective_sample_size(np.array([1.0, 1.0, 2.0]))
        2.667
    """
    squares = float(np.square(weight).sum())
    return float(weight.sum()) ** 2 / squares if squares > 0 else 0.0


@dataclass
class WeightTally:
    """Sums over blocks of reweighted events, and what they say.

    Attributes:
        events: number of events.
        before, before_squared: sums of the weights that came in, and of their squares.
        after, after_squared: those of the weights that go out.
        unscaled: sum of incoming weights times ratios, neither cut nor normalised.
        cut: sum of incoming weights times what the cut took away from the ratios.
        largest: the largest weight that goes out, in size.
        spread: the largest distance of a factor from 1.
    """

    events: int = 0
    before: float = 0.0
    before_squared: float = 0.0
    after: float = 0.0
    after_squared: float = 0.0
    unscaled: float = 0.0
    cut: float = 0.0
    largest: float = 0.0
    spread: float = 0.0

    def update(self, log_ratio: FloatArray, weight: FloatArray, scale: WeightScale) -> FloatArray:
        """Count a block; gives the new weights, (events,)."""
        logs = np.asarray(log_ratio, dtype=np.float64)
        factors = scale.factors(logs)
        new = weight * factors
        ratio = np.exp(np.minimum(logs, 700.0))
        self.events += len(new)
        self.before += float(weight.sum())
        self.before_squared += float(np.square(weight).sum())
        self.after += float(new.sum())
        self.after_squared += float(np.square(new).sum())
        self.unscaled += float(weight @ ratio)
        self.cut += float(weight @ (ratio - np.exp(clipped(logs, min(scale.log_most, 700.0)))))
        self.largest = max(self.largest, float(np.abs(new).max(initial=0.0)))
        self.spread = max(self.spread, float(np.abs(factors - 1).max(initial=0.0)))
        return new

    @property
    def effective(self) -> float:
        """Effective events after reweighting."""
        return self.after**2 / self.after_squared if self.after_squared > 0 else 0.0

    @property
    def effective_before(self) -> float:
        """Effective events of the weights that came in."""
        return self.before**2 / self.before_squared if self.before_squared > 0 else 0.0

    @property
    def mean_ratio(self) -> float:
        """Mean ratio over the source: 1 for the exact one, less where the target has events that no source event stands for."""
        return self.unscaled / self.before if self.before > 0 else math.nan

    def doubts(self) -> list[str]:
        """What a user has to know of these weights, of any events, a sentence each; empty where nothing is amiss."""
        if not self.events:
            return []
        found = []
        if self.effective < _FEW * self.effective_before:
            found.append(
                f"the {self.events} reweighted events count as {self.effective:.0f}, before as "
                f"{self.effective_before:.0f}: the samples hardly overlap"
            )
        share = self.largest / self.after if self.after > 0 else math.inf
        if share > _LARGE and self.events > 2 / _LARGE:
            found.append(f"one event carries {100 * share:.1f} % of all weights: cut the ratios at a quantile")
        if self.unscaled > 0 and self.cut > _LARGE * self.unscaled:
            found.append(f"the cut of large ratios takes away {100 * self.cut / self.unscaled:.1f} % of the weights")
        if self.spread < _IDLE:
            found.append("all weights are what they were: the method saw no difference between the samples")
        return found

    def misfit(self) -> list[str]:
        """What a user has to know of the ratios, where all events of a source were counted: they have the mean 1."""
        if not self.events or abs(self.mean_ratio - 1) <= _MISSED:
            return []
        known = f"the mean ratio over the source is {self.mean_ratio:.3g} and should be 1"
        return [f"{known}: parts of the target have no events of the source, or the ratio is not well learned"]
