"""The scores of two pools of events, on whatever rows of them a plan chooses."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from hepgen.evaluation.counted import add_limit_test, add_tail_tests
from hepgen.evaluation.distances import (
    Features,
    Scale,
    add_correlations,
    add_frechet,
    add_frechet_intercept,
    add_kernel_distance,
    add_neighbours,
    add_published_distances,
    intercept_events,
)
from hepgen.evaluation.domain import Compared, Domain, FloatArray, Pool
from hepgen.evaluation.global_test import add_global
from hepgen.evaluation.histograms import Axis, axis_for
from hepgen.evaluation.one_dimensional import add_one_dimensional, add_spectrum
from hepgen.evaluation.outliers import add_outliers
from hepgen.evaluation.protocols import PUBLISHED_SIDE, Protocol
from hepgen.evaluation.report_parts import GlobalTest
from hepgen.evaluation.scores import ScoreBook
from hepgen.evaluation.splits import LARGEST_SIDE, ConditionBin, Split, common_size, random_split, random_splits
from hepgen.evaluation.two_dimensional import add_pairs
from hepgen.evaluation.two_sample import ClassifierResult, add_classifier_test, add_verdicts

MIN_BIN = 100
_PUBLISHED_REPEATS = 3

Flags = NDArray[np.bool_]


@dataclass(frozen=True)
class BinSplit:
    """A bin of a condition, the rows of both pools in it, and how these are divided."""

    bin: ConditionBin
    reference: NDArray[np.int64]
    generated: NDArray[np.int64]
    splits: tuple[Split, ...]


@dataclass(frozen=True)
class Plan:
    """Which rows of the pools are compared, in several random divisions.

    Attributes:
        splits: of one-dimensional scores.
        raws: of all others; their rows have raw values.
        bins: of one-dimensional scores per condition.
        small: labels of the bins with too few events.
    """

    splits: tuple[Split, ...]
    raws: tuple[Split, ...]
    bins: tuple[BinSplit, ...]
    small: tuple[str, ...] = ()

    @property
    def split(self) -> Split:
        """The first of ``splits``, for what takes one."""
        return self.splits[0]

    @property
    def raw(self) -> Split:
        """The first of ``raws``, for what takes one."""
        return self.raws[0]

    @classmethod
    def make(
        cls,
        reference: Pool,
        generated: Pool,
        bins: Sequence[ConditionBin],
        rngs: tuple[np.random.Generator, np.random.Generator, np.random.Generator],
        largest: int,
        count: int,
    ) -> Plan:
        """At random; ``largest`` is the number of events a side of the scores that take raw values, ``count`` that of splits."""
        size = common_size(len(reference), len(generated), LARGEST_SIDE)
        side = common_size(len(reference.raw), len(generated.raw), largest)
        chosen, small = [], []
        for one in bins:
            rows = [np.flatnonzero(one.rows(pool.conditions)) for pool in (reference, generated)]
            inside = common_size(len(rows[0]), len(rows[1]), LARGEST_SIDE)
            if inside < MIN_BIN:
                small.append(one.label)
                continue
            divided = random_splits(len(rows[0]), len(rows[1]), inside, rngs[2], count)
            chosen.append(BinSplit(one, rows[0], rows[1], divided))
        return cls(
            random_splits(len(reference), len(generated), size, rngs[0], count),
            random_splits(len(reference.raw), len(generated.raw), side, rngs[1], count),
            tuple(chosen),
            tuple(small),
        )

    def without(self, reference: Flags, generated: Flags) -> Plan:
        """The plan without flagged rows of either pool."""
        bins = tuple(
            replace(one, splits=_without(one.splits, reference[one.reference], generated[one.generated]))
            for one in self.bins
        )
        splits, raws = (_without(one, reference, generated) for one in (self.splits, self.raws))
        return Plan(splits, raws, bins, self.small)


def _without(splits: Sequence[Split], reference: Flags, generated: Flags) -> tuple[Split, ...]:
    return tuple(split.without(reference, generated) for split in splits)


@dataclass(frozen=True)
class Scorer:
    """Adds every score to a book.

    Attributes:
        domain, work: kind of events, sizes and repeats.
        reference, generated: the pools.
        axes, spectrum_axis: of the histograms.
        bins: of the conditions.
        seed: of classifiers and directions.
        tell: is told what is going on.
    """

    domain: Domain
    work: Protocol
    reference: Pool
    generated: Pool
    axes: Sequence[Axis]
    spectrum_axis: Axis | None
    bins: Sequence[ConditionBin]
    seed: int
    tell: Callable[[str], None]

    def add(self, book: ScoreBook, plan: Plan) -> None:
        """Every score but those of classifiers, and ``global.p``, which needs them."""
        compared = self.reference, self.generated
        parts = self.work.parts
        self.tell("one-dimensional scores")
        add_one_dimensional(book, *compared, self.domain.observables, self.axes, plan.splits, parts)
        add_tail_tests(book, *compared, self.domain.observables, plan.split)
        add_outliers(book, *compared, self.bins, plan.splits)
        ordered = self.domain.kind == "table"
        add_limit_test(book, *compared, self.domain.observables, plan.split, ordered=ordered)
        add_pairs(book, *compared, self.domain.observables, plan.splits, parts)
        for one in plan.bins:
            if min(split.size for split in one.splits) >= parts:
                self._add_bin(book, one)
        self.domain.add_own(book, Compared(*compared, self.bins, plan.splits, plan.raws, parts))
        if self.domain.spectrum is not None and self.spectrum_axis is not None:
            add_spectrum(book, self.domain.spectrum.name, self.spectrum_axis, *compared, plan.raws, parts)
        self._add_distances(book, plan.raws)

    def _add_bin(self, book: ScoreBook, one: BinSplit) -> None:
        true, made = self.reference.take(one.reference), self.generated.take(one.generated)
        columns = true.observables.T
        axes = [axis_for(x, column) for x, column in zip(self.domain.observables, columns, strict=True)]
        compared = book, true, made, self.domain.observables, axes, one.splits, self.work.parts
        add_one_dimensional(*compared, suffix=f"@{one.bin.label}")

    def _add_distances(self, book: ScoreBook, splits: Sequence[Split]) -> None:
        self.tell("distances in many dimensions")
        split, parts = min(splits, key=lambda one: one.size), self.work.parts
        dear = splits[: self.work.dear_splits]
        raw = [self._features(pool) for pool in (self.reference, self.generated)]
        true, made = self._scaled(raw, self.domain.distance_scale)
        add_frechet(book, true, made, splits, parts)
        add_frechet_intercept(book, true, made, splits[0])
        if split.size >= 2 * parts:
            add_kernel_distance(book, *self._scaled(raw, "maximum"), dear, parts)
        if self.work.official and split.size >= PUBLISHED_SIDE:
            rng = np.random.default_rng(self.seed)
            sizes = len(true.values), len(made.values), split.size
            others = (random_split(*sizes, rng) for _ in range(_PUBLISHED_REPEATS - 1))
            add_published_distances(book, true, made, [splits[0], *others], rng)
        if split.size > 10:
            scaled = self._scaled(raw, "deviation")
            add_correlations(book, *scaled, splits, parts, self.seed, len(dear))
            add_neighbours(book, *scaled, dear, parts, self.work.neighbours)

    def missing(self, split: Split) -> list[str]:
        """Sentences on the distances that so few events do not have."""
        needed = {"fpd_intercept": intercept_events(self._features(self.reference).shape[1])}
        if self.work.official:
            needed |= dict.fromkeys(("fpd_extrapolated", "kpd_median"), PUBLISHED_SIDE)
        return [
            f"No {name}: it needs {events} events a side, these samples give {split.size}."
            for name, events in needed.items()
            if split.size < events
        ]

    def _features(self, pool: Pool) -> FloatArray:
        return self.domain.distance_features(pool.raw, pool.conditions[: len(pool.raw)])

    def _scaled(self, features: Sequence[FloatArray], how: str) -> tuple[Features, Features]:
        """Features of both samples on the scale of the reference, with their weights where there are any."""
        scale = Scale.fit(features[0], how)
        weights = [pool.weights[: len(pool.raw)] for pool in (self.reference, self.generated)]
        weighted = any((one != 1).any() for one in weights)
        found = (Features(scale(x), w if weighted else None) for x, w in zip(features, weights, strict=True))
        return next(found), next(found)

    def add_classifiers(self, book: ScoreBook, split: Split) -> tuple[ClassifierResult, ...]:
        """The classifier tests."""
        rows = len(self.reference.raw)
        found = []
        for test in self.domain.tests(self.reference.raw, self.reference.conditions[:rows]):
            folds = self.work.folds
            self.tell(f"classifier on {test.title}, {split.size} events a side, {folds} trainings")
            compared = self.reference, self.generated, split, self.bins, self.seed
            found.append(add_classifier_test(book, test, *compared, folds=folds, parts=self.work.parts))
        return tuple(found)

    def add_verdicts(
        self, book: ScoreBook, results: Sequence[ClassifierResult], split: Split, reference: Flags, generated: Flags
    ) -> tuple[ClassifierResult, ...]:
        """The scores of classifiers that are trained, without flagged events among those that they judge."""
        found = []
        for result in results:
            clean = result.without(split, reference, generated)
            compared = self.reference, self.generated, split, self.bins
            add_verdicts(book, clean, *compared, parts=self.work.parts)
            found.append(clean)
        return tuple(found)

    def add_global(
        self, book: ScoreBook, results: Sequence[ClassifierResult], split: Split
    ) -> tuple[str, tuple[GlobalTest, ...]]:
        """``global.p``, of all scores so far, a sentence on it, and the tests behind it."""
        sides = (self.reference, split.a), (self.generated, split.generated), (self.reference, split.b)
        known = [~np.isnan(pool.observables[rows]) for pool, rows in sides]
        sizes = np.array(
            [_effective_per_column(pool.weights[rows], one) for (pool, rows), one in zip(sides, known, strict=True)]
        )
        spectrum = None if self.domain.spectrum is None else self.domain.spectrum.name
        return add_global(book, self.domain.observables, results, sizes.T, split.size, spectrum)


def _effective_per_column(weights: FloatArray, known: Flags) -> FloatArray:
    """Effective events that have a value, (columns,)."""
    sums, squares = weights @ known, np.square(weights) @ known
    return np.asarray(np.where(squares > 0, sums**2 / np.where(squares > 0, squares, 1.0), 0.0))
