"""Random disjoint splits of the reference, and bins of the conditions."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

LARGEST_SIDE = 50_000
"""Events a side at most, of scores in one dimension and of those of jets."""

MAX_DISCRETE = 30
QUANTILE_BINS = 5
FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]


@dataclass(frozen=True)
class Split:
    """Rows of two halves of the reference that share no event, and as many rows of the generated sample."""

    a: IntArray
    b: IntArray
    generated: IntArray

    @property
    def size(self) -> int:
        return len(self.b)

    def parts(self, count: int) -> list[Split]:
        """The split in ``count`` smaller ones of about equal size that share no event, neither true nor generated."""
        pieces = (np.array_split(rows, count) for rows in (self.a, self.b, self.generated))
        return [Split(*rows) for rows in zip(*pieces, strict=True)]

    def all_but_each(self, count: int) -> list[Split]:
        """The split without one of its ``parts``, for each of them.

        Example:
            >>> rows = np.arange(3)
            >>> [one.a.tolist() for one in Split(rows, rows, rows).all_but_each(3)]
            [[1, 2], [0, 2], [0, 1]]
        """
        pieces = [np.array_split(rows, count) for rows in (self.a, self.b, self.generated)]
        return [
            Split(*(np.concatenate([one for place, one in enumerate(rows) if place != left]) for rows in pieces))
            for left in range(count)
        ]

    def first(self, size: int) -> Split:
        """The split with so many events in each part at most."""
        return Split(self.a[:size], self.b[:size], self.generated[:size])

    def without(self, reference: NDArray[np.bool_], generated: NDArray[np.bool_]) -> Split:
        """The split without flagged rows of either sample, cut to the smallest of what is left of its parts.

        Example:
            >>> split = Split(np.array([0, 1]), np.array([2, 3]), np.array([0, 1]))
            >>> left = split.without(np.array([True, False, False, False]), np.zeros(2, dtype=bool))
            >>> left.a.tolist(), left.b.tolist(), left.generated.tolist()
            ([1], [2], [0])
        """
        left = self.a[~reference[self.a]], self.b[~reference[self.b]], self.generated[~generated[self.generated]]
        size = min(map(len, left))
        return Split(*(rows[:size] for rows in left))


def common_size(reference: int, generated: int, largest: int) -> int:
    """Events a side: half the reference at most, all generated ones at most."""
    return min(reference // 2, generated, largest)


def random_split(reference: int, generated: int, size: int, rng: np.random.Generator) -> Split:
    """A random split with ``size`` events in each part, drawn without replacement.

    Example:
        >>> split = random_split(10, 7, 5, np.random.default_rng(0))
        >>> sorted([*split.a, *split.b]) == list(range(10)), len(split.generated)
        (True, 5)
    """
    rows = rng.permutation(reference)
    return Split(rows[:size], rows[size : 2 * size], rng.permutation(generated)[:size])


def random_splits(reference: int, generated: int, size: int, rng: np.random.Generator, count: int) -> tuple[Split, ...]:
    """Several random splits of the same events, each independent of the others."""
    return tuple(random_split(reference, generated, size, rng) for _ in range(count))


@dataclass(frozen=True)
class ConditionBin:
    """Events of (nearly) equal condition.

    Attributes:
        label: ``256`` or ``1000-2000``, with the column's name before it where it is not the first condition.
        column: index of the condition.
        low, high: the range, low inclusive, high exclusive.
        center: a typical value.
    """

    label: str
    column: int
    low: float
    high: float
    center: float

    def rows(self, conditions: FloatArray) -> NDArray[np.bool_]:
        """Flags of the events in the bin, (events,)."""
        values = conditions[:, self.column]
        return (values >= self.low) & (values < self.high)


def condition_bins(conditions: FloatArray, names: tuple[str, ...], *, bare_first: bool) -> tuple[ConditionBin, ...]:
    """One bin for each value of a discrete condition (at most 30 values), five quantile bins of a continuous one.

    Args:
        conditions: (events, conditions), of the reference.
        names: of the conditions.
        bare_first: leave the name out of the labels of the first condition (incident energies).
    """
    bins: list[ConditionBin] = []
    for column, name in enumerate(names):
        prefix = "" if bare_first and column == 0 else f"{name}="
        values = np.unique(conditions[:, column])
        if len(values) < 2:
            continue
        if len(values) <= MAX_DISCRETE:
            digits = _digits(values)
            margin = 0.5 * float(np.min(np.diff(values)))
            margin = min(margin, 1e-3 * float(np.max(np.abs(values))) + 1e-12)
            bins += [
                ConditionBin(f"{prefix}{_number(v, digits)}", column, v - margin, v + margin, v)
                for v in values.tolist()
            ]
            continue
        edges = np.quantile(conditions[:, column], np.linspace(0, 1, QUANTILE_BINS + 1))
        digits = _digits(np.unique(edges))
        lows, highs = [-np.inf, *edges[1:-1]], [*edges[1:-1], np.inf]
        for index in range(QUANTILE_BINS):
            words = f"{prefix}{_number(edges[index], digits)}-{_number(edges[index + 1], digits)}"
            inside = (conditions[:, column] >= lows[index]) & (conditions[:, column] < highs[index])
            if inside.any():
                center = float(np.median(conditions[inside, column]))
                bins.append(ConditionBin(words, column, float(lows[index]), float(highs[index]), center))
    return tuple(bins)


def _digits(values: FloatArray) -> int:
    """The fewest digits, four at least, that tell all values apart."""
    return next((n for n in range(4, 17) if len({f"{value:.{n}g}" for value in values.tolist()}) == len(values)), 17)


def _number(value: float, digits: int) -> str:
    return str(int(value)) if float(value).is_integer() and abs(value) < 1e15 else f"{value:.{digits}g}"


def permuted_at_equal_condition(
    raw: NDArray[np.floating],
    conditions: FloatArray,
    part: slice,
    rng: np.random.Generator,
    neighbours: int = 20,
    present: slice | None = None,
) -> NDArray[np.floating]:
    """A copy in which each of the columns ``part`` is permuted among events of equal condition.

    Every column keeps its distribution at every condition; what binds it to the others is lost. Where the first
    condition takes many values, events are ordered by it and exchanged within groups of ``neighbours``; further
    continuous conditions are divided into quarters. Where the columns ``present`` are given, one for each of ``part``, only
    events in which that is not 0 take part: padding stays where it is.
    """
    groups = np.zeros(len(raw), dtype=np.int64)
    for column in range(conditions.shape[1]):
        values = conditions[:, column]
        distinct, group = np.unique(values, return_inverse=True)
        if len(distinct) > MAX_DISCRETE and column == 0:
            group = np.argsort(np.argsort(values, kind="stable")) // neighbours
        elif len(distinct) > MAX_DISCRETE:
            group = np.searchsorted(np.quantile(values, [0.25, 0.5, 0.75]), values)
        groups = groups * (int(group.max(initial=0)) + 1) + group
    result = raw.copy()
    for place, column in enumerate(range(part.start, part.stop)):
        rows = np.arange(len(raw)) if present is None else np.flatnonzero(raw[:, present.start + place] != 0)
        target = rows[np.argsort(groups[rows], kind="stable")]
        shuffled = rng.permutation(rows)
        result[target, column] = raw[shuffled[np.argsort(groups[shuffled], kind="stable")], column]
    return result
