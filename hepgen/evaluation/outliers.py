"""How many events lie where true ones of the same condition hardly ever do."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from hepgen.evaluation.counted import DEFECTS
from hepgen.evaluation.domain import FloatArray, Pool
from hepgen.evaluation.limits import Range
from hepgen.evaluation.probabilities import shares_p
from hepgen.evaluation.scores import ScoreBook
from hepgen.evaluation.splits import ConditionBin, Split

_BIN_EVENTS = 200


def add_outliers(
    book: ScoreBook, reference: Pool, generated: Pool, bins: Sequence[ConditionBin], splits: Sequence[Split]
) -> None:
    """Add ``outliers``, the share of events with an observable beyond the tails of half A, in all or in a bin of a condition.

    An observable is beyond where half A would hardly reach with a thousand times as many events; bins of fewer than 200
    events of half A do not count. The error is that of counting. In the global test generated
    events are compared with half B, which had no say in the limits either.
    """
    found = [_of_split(reference, generated, bins, split) for split in splits]
    shares = [[_share(*one) for one in zip(flags, weights, strict=True)] for flags, weights in found]
    book.add_fits("outliers", [(value, floor) for value, floor in shares], min(split.size for split in splits))
    (made, true), weights = found[0]  # counts of one split have a law, a mean over splits has none
    book.add_test("outliers", DEFECTS, shares_p(made, weights[0], true, weights[1]))


def _of_split(
    reference: Pool, generated: Pool, bins: Sequence[ConditionBin], split: Split
) -> tuple[list[NDArray[np.bool_]], list[FloatArray]]:
    """Flags of what is beyond, and weights, of generated events and of half B, (events,) each."""
    truth, conditions = reference.observables[split.a], reference.conditions[split.a]
    inside = [(one, one.rows(conditions)) for one in bins]
    ranges: list[tuple[ConditionBin | None, Range]] = [(None, Range.fit(truth, tight=True))]
    ranges += [(one, Range.fit(truth[rows], tight=True)) for one, rows in inside if rows.sum() >= _BIN_EVENTS]
    sides = (generated, split.generated), (reference, split.b)
    flags = [_beyond(pool.observables[rows], pool.conditions[rows], ranges) for pool, rows in sides]
    return flags, [pool.weights[rows] for pool, rows in sides]


def _beyond(
    values: FloatArray, conditions: FloatArray, ranges: Sequence[tuple[ConditionBin | None, Range]]
) -> NDArray[np.bool_]:
    """Flags of events with a value outside any range that applies to them, (events,)."""
    beyond = np.zeros(len(values), dtype=bool)
    for one, within in ranges:
        applies = np.ones(len(values), dtype=bool) if one is None else one.rows(conditions)
        beyond[applies] |= within.outside(values[applies]).any(axis=1)
    return beyond


def _share(flags: NDArray[np.bool_], weights: FloatArray) -> tuple[float, float]:
    """A weighted share and its counting error, as if one more event were flagged: none is no certainty."""
    total = float(weights.sum())
    squares = float(np.square(weights[flags]).sum()) + float(np.square(weights).mean())
    return float(weights[flags].sum()) / total, float(np.sqrt(squares)) / total
