"""Scores beside their floors, with errors from repeats, from parts or from a law, and the book that collects them."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from hepgen.evaluation.headlines import HEADLINES

NOT_AVAILABLE = "not available"
_UNDEFINED = "not defined on these samples"
_NO_ERROR = "no error: too few events in each part"
_ONE_PART = "no error: one group only"
_NEGATIVE = "below 0 by the noise of few events, so no difference is seen"
_ESTIMATES = re.compile(r"((jsd|kl|kl_reverse|chi2|hellinger)(_\w+)?|kpd|energy_distance|fpd_intercept)")
"""Of what is never below 0, but whose estimates may be."""

_ROUNDING = 1e-12

Pair = tuple[float, float | None]
"""A score and its floor, where it has one."""

ErrorFrom = Literal["parts", "law", "repeats"]


@dataclass(frozen=True)
class Score:
    """One number that compares the samples.

    Attributes:
        value: generated against half A of the reference, the mean over the divisions into halves; None (null) where it
            cannot be computed, ``comment`` says why.
        error: its statistical error, of one division: the mean over divisions has this error at most.
        floor: half B of the reference against half A, at the same size and of the same divisions.
        z: how significantly the value differs from the floor, in Gaussian standard deviations: by the error of their
            difference in the same parts and Student's t, or by both errors where these do not come from parts.
        n: events on each side.
        comment: a word of warning, or empty.
        floor_error: the error of the floor.
        without: the value without broken events; None (null) where no event is broken, or too few are left.
        without_floor: the floor without broken events.
        without_n: events on each side without broken events.
        splits: random divisions of the reference into halves that share no event, behind value and floor.
        error_from: where the errors come from: ``parts`` of the halves, or of the events that classifiers judge, that
            share no event; ``law``, counting, the law of the score or a fit; ``repeats``, their spread; None (null)
            where there is none.
        infinite_z: value and floor differ, by the same in every part: ``z`` would be infinite and is None (null).
    """

    value: float | None
    error: float | None = None
    floor: float | None = None
    z: float | None = None
    n: int = 0
    comment: str = ""
    floor_error: float | None = None
    without: float | None = None
    without_floor: float | None = None
    without_n: int | None = None
    splits: int = 1
    error_from: ErrorFrom | None = None
    infinite_z: bool = False

    @classmethod
    def from_repeats(cls, values: Sequence[float], floors: Sequence[float], n: int, comment: str = "") -> Score:
        """Mean and spread over repeats; what is not finite is left out with a word.

        Example:
            >>> score = Score.from_repeats([0.6, 0.7, 0.8], [0.5, 0.5, 0.5], 1000)
            >>> round(score.value, 3), round(score.error, 3), round(score.z, 3)
            (0.7, 0.1, 1.33)
        """
        found, at_floor = _mean_and_spread(values), _mean_and_spread(floors)
        return cls._of(found, at_floor, n, comment, _paired(values, floors), len(values), "repeats")

    @classmethod
    def from_splits(cls, splits: Sequence[Sequence[Pair]], n: int, comment: str = "") -> Score:
        """A score of several divisions into halves, with an error from disjoint parts of each.

        Value and floor are the means over the divisions, so that neither hangs on the luck of one. For the error, halves
        and generated events of a division are divided into k parts that share no event. The score of each part is a
        measurement of its own at 1/k of the size; their standard deviation over sqrt(k) is the error of the division. It
        is not the spread over divisions, which are of the same events and hence too much alike (Nadeau and Bengio,
        Machine Learning 52 (2003) 239). Averaged over divisions, in squares, it is known the better, and it is an upper
        limit: the mean over divisions has the error of one at most.

        The value is not the mean of the parts, since most scores fall with the size. Against the spread of independent
        samples of a toy the error stands at 0.8 to 1.6 for means, widths, Kolmogorov and Wasserstein distances. Scores
        that are quadratic in the difference fluctuate as 1/n near the floor; parts are given by their pseudo-values then
        (``hepgen.evaluation.jackknife``).

        Args:
            splits: of each division: score and floor of the whole halves, then those of each part.
            n: events on each side of the whole halves.
            comment: a word of warning.

        Example:
            >>> whole, parts = (0.3, 0.1), [(0.4, 0.3), (0.6, 0.2), (0.5, 0.1), (0.5, 0.2)]
            >>> score = Score.from_splits([[whole, *parts], [(0.5, 0.2), *parts]], 1000)
            >>> round(score.value, 3), round(score.error, 3), round(score.z, 3)
            (0.4, 0.041, 2.504)
        """
        means = [_mean_and_spread([one[0][which] for one in splits])[0] for which in (0, 1)]
        errors = [_of_parts([[part[which] for part in one[1:]] for one in splits]) for which in (0, 1)]
        found = [
            (mean, None if mean is None or error is None else error[1])
            for mean, error in zip(means, errors, strict=True)
        ]
        differences = [[None if f is None or v is None else v - f for v, f in one[1:]] for one in splits]
        return cls._of(found[0], found[1], n, comment, _of_parts(differences), len(splits), "parts")

    @classmethod
    def from_fits(cls, splits: Sequence[tuple[Pair, Pair]], n: int, comment: str = "") -> Score:
        """Mean over divisions of a score and of a floor that come with an error each, as of counting; a bound has none.

        Errors are those of one division, as in ``from_splits``.
        """
        both = []
        for which in (0, 1):
            known = [one[which] for one in splits if all(x is None or math.isfinite(x) for x in one[which])]
            value, _ = _mean_and_spread([value for value, _ in known])
            errors = [error for _, error in known if error is not None]
            whole = value is not None and len(errors) == len(known)
            both.append((value, math.sqrt(float(np.mean(np.square(errors)))) if whole else None))
        return cls._of(both[0], both[1], n, comment, None, len(splits), "law")

    @classmethod
    def _of(
        cls,
        found: tuple[float | None, float | None],
        at_floor: tuple[float | None, float | None],
        n: int,
        comment: str,
        paired: tuple[float, float, int] | None = None,
        splits: int = 1,
        error_from: ErrorFrom | None = None,
    ) -> Score:
        """With ``z``, and a word where there is no value; ``paired`` is the difference in the parts, its error and its freedom."""
        (value, error), (floor, floor_error) = found, at_floor
        if value is None:
            comment = "; ".join(word for word in (comment, _UNDEFINED) if word)
        z, infinite = None, False
        if value is not None and floor is not None and error is not None and floor_error is not None:
            difference = 0.0 if math.isclose(value, floor, rel_tol=_ROUNDING, abs_tol=_ROUNDING) else value - floor
            in_parts, spread, freedom = paired or (difference, math.hypot(error, floor_error), math.inf)
            z = _significance(difference, spread, freedom)
            infinite = z is None and difference * in_parts > 0
        stated = None if error is None and floor_error is None else error_from
        return cls(
            value, error, floor, z, n, comment, floor_error, splits=splits, error_from=stated, infinite_z=infinite
        )

    def _beside(self, clean: Score) -> Score:
        """With what the same score is without broken events."""
        size = None if clean.value is None else clean.n
        return replace(self, without=clean.value, without_floor=clean.floor, without_n=size)

    def differs(self, limit: float = 3.0) -> bool:
        """Whether the value is more than so many standard deviations from its floor.

        Example:
            >>> Score(1.0, 0.0, 0.0, None, 100, infinite_z=True).differs(), Score(0.5, 0.1, 0.4, 0.7, 100).differs()
            (True, False)
        """
        return self.infinite_z or abs(self.z or 0.0) > limit

    def z_text(self) -> str:
        """``+2.1``, ``inf`` where value and floor differ without an error, a dash where there is none."""
        if self.infinite_z:
            return "+inf" if (self.value or 0.0) > (self.floor or 0.0) else "-inf"
        return "-" if self.z is None else f"{self.z:+.1f}"

    def text(self) -> str:
        """``0.571 +- 0.006``, or why there is no value."""
        if self.value is None:
            return f"{NOT_AVAILABLE} ({self.comment})" if self.comment else NOT_AVAILABLE
        return f"{self.value:.4g}" + (f" +- {self.error:.2g}" if self.error is not None else "")


def _paired(values: Sequence[float], floors: Sequence[float]) -> tuple[float, float, int] | None:
    """The mean difference of score and floor over repeats, its spread and the degrees of freedom of that.

    Both hang on the same half of the reference, so that their errors are not independent.
    """
    differences = [v - f for v, f in zip(values, floors, strict=False) if math.isfinite(v) and math.isfinite(f)]
    mean, spread = _mean_and_spread(differences)
    return None if mean is None or spread is None else (mean, spread, len(differences) - 1)


def _of_parts(splits: Sequence[Sequence[float | None]]) -> tuple[float, float, int] | None:
    """The mean of all parts, the error of a division by its parts, averaged over divisions, and its degrees of freedom."""
    if not splits or not len(splits[0]):
        return None
    parts = np.array(splits, dtype=np.float64)  # None becomes nan
    there = np.isfinite(parts)
    count = there.sum(axis=1)
    use = count > 1
    if not use.any():
        return None
    parts, there, count = np.where(there, parts, 0.0)[use], there[use], count[use]
    means = parts.sum(axis=1) / count
    squares = np.where(there, np.square(parts - means[:, None]), 0.0).sum(axis=1) / (count - 1)
    squares[squares <= np.square(_ROUNDING * means)] = 0.0
    freedom = int(count.sum()) - len(count)
    return float(means.mean()), math.sqrt(float(squares.mean()) / parts.shape[1]), freedom


def _significance(difference: float, error: float, freedom: float) -> float | None:
    """Gaussian standard deviations of a difference whose error has so many degrees of freedom; None where it is infinite.

    Example:
        >>> round(_significance(3.0, 1.0, math.inf), 3), round(_significance(3.0, 1.0, 9), 3)
        (3.0, 2.433)
    """
    from scipy.stats import norm, t

    if difference == 0:
        return 0.0
    if error <= _ROUNDING * abs(difference):
        return None
    ratio = difference / error
    z = ratio if math.isinf(freedom) else float(math.copysign(norm.isf(t.sf(abs(ratio), freedom)), ratio))
    return z if math.isfinite(z) else None


def _mean_and_spread(values: Sequence[float | None]) -> tuple[float | None, float | None]:
    finite = [float(value) for value in values if value is not None and math.isfinite(value)]
    if not finite:
        return None, None
    mean, spread = float(np.mean(finite)), float(np.std(finite, ddof=1)) if len(finite) > 1 else None
    return mean, 0.0 if spread is not None and spread <= _ROUNDING * abs(mean) else spread


class ScoreBook:
    """Collects the values of scores over repeats, or over divisions into halves and their parts."""

    def __init__(self) -> None:
        self._values: dict[str, tuple[list[float], list[float]]] = {}
        self._splits: dict[str, list[list[Pair]]] = {}
        self._fits: dict[str, list[tuple[Pair, Pair]]] = {}
        self._sizes: dict[str, int] = {}
        self._comments: dict[str, str] = {}
        self.tests: list[tuple[str, str, float, float | None]] = []
        """What the global test takes: name, family, probability for samples of one law, and that of half B."""
        self._reasons: dict[str, str] = {}

    def add(self, name: str, value: float, floor: float | None, n: int) -> None:
        """One more repeat; ``n`` is the number of events on the smaller side."""
        values, floors = self._values.setdefault(name, ([], []))
        values.append(value)
        if floor is not None:
            floors.append(floor)
        self._sizes[name] = min(n, self._sizes.get(name, n))

    def add_splits(self, name: str, splits: Sequence[Sequence[Pair]], n: int) -> None:
        """Of each division: score and floor of the whole halves, then of each of their parts; ``n`` is of the halves."""
        for pairs in splits:
            self.add(name, *pairs[0], n)
        self._splits[name] = [list(pairs) for pairs in splits]

    def add_parts(self, name: str, pairs: Sequence[Pair], n: int) -> None:
        """The same of one division."""
        self.add_splits(name, [pairs], n)

    def add_fits(self, name: str, splits: Sequence[tuple[Pair, Pair]], n: int) -> None:
        """Of each division: a score and its error, and a floor and its error; a bound has none."""
        for value, floor in splits:
            self.add(name, value[0], floor[0], n)
        self._fits[name] = list(splits)

    def add_fit(self, name: str, value: Pair, floor: Pair, n: int) -> None:
        """The same of one division."""
        self.add_fits(name, [(value, floor)], n)

    def add_test(self, name: str, family: str, p: float, floor: float | None = None) -> None:
        """The probability of what was found if both samples follow one law, for the global test."""
        self.tests.append((name, family, p, floor))

    def comment(self, name: str, words: str) -> None:
        self._comments[name] = "; ".join(x for x in (self._comments.get(name, ""), words) if x)

    def explain(self, name: str, words: str) -> None:
        """Why a score has no value, if it has none."""
        self._reasons[name] = words

    def mean(self, name: str) -> float:
        """Mean of the values so far, nan where there is none."""
        return self.pair(name)[0]

    def pair(self, name: str) -> tuple[float, float]:
        """Means of the values and of the floors so far, nan where there are none."""
        value, floor = (_mean_and_spread(one)[0] for one in self._values.get(name, ([], [])))
        return float("nan") if value is None else value, float("nan") if floor is None else floor

    def first(self, name: str) -> tuple[float, float]:
        """Value and floor of the first division, for what has a law of one: a mean over divisions follows another."""
        values, floors = self._values.get(name, ([], []))
        return values[0] if values else float("nan"), floors[0] if floors else float("nan")

    def z(self, name: str) -> float | None:
        """By how many standard deviations a score differs from its floor; None where that is not known."""
        return self.score(name).z if name in self._values else None

    def scores(self, without: ScoreBook | None = None) -> dict[str, Score]:
        """Scores in the order of the short table first, then as they came.

        Args:
            without: the same scores without broken events, where there are any.
        """
        order = sorted(self._values, key=lambda name: HEADLINES.index(name) if name in HEADLINES else len(HEADLINES))
        found = {name: self.score(name) for name in order}
        if without is None:
            return found
        clean = {name: without.score(name) for name in found if name in without._values}
        return {name: score._beside(clean[name]) if name in clean else score for name, score in found.items()}

    def score(self, name: str) -> Score:
        """One score, with words on what is unusual in it."""
        score = self._measured(name)
        if score.value is None:
            return replace(score, comment=score.comment.replace(_UNDEFINED, self._reasons.get(name, _UNDEFINED)))
        words = [score.comment]
        if score.error is None and name in self._splits:
            alone = all(len(one) == 2 and math.isfinite(one[1][0]) for one in self._splits[name])
            words.append(_ONE_PART if alone else _NO_ERROR)
        if score.value < 0 and _ESTIMATES.fullmatch(name):
            words.append(_NEGATIVE)
        return replace(score, comment="; ".join(word for word in words if word))

    def _measured(self, name: str) -> Score:
        (values, floors), n, comment = self._values[name], self._sizes[name], self._comments.get(name, "")
        if name in self._fits:
            return Score.from_fits(self._fits[name], n, comment)
        if name in self._splits:
            return Score.from_splits(self._splits[name], n, comment)
        return Score.from_repeats(values, floors, n, comment)
