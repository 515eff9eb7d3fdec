"""Find relations between the columns of a table in a sample of its rows."""

from __future__ import annotations

from collections.abc import Collection, Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from hepgen.representations.column_kinds import ColumnFacts
from hepgen.representations.relations import CyclicDifference, OrderedShare, Relation, WholeRemainder, in_order

Rows = NDArray[np.float64]

_LEAST_ROWS = 200
_MOST_ROWS = 8192
_LEAST_AT_EDGE = 0.005  # share of the events within 2 % of the parent: an order that no event comes near needs no help
_LEAST_OVERLAP = 0.02  # how often independent columns would break an order before it is worth to keep
_ENTROPY_KEPT = 0.6  # a remainder has to have less than this share of the entropy of its column
_HISTOGRAM = 36


def find_relations(
    sample: Rows, facts: Sequence[ColumnFacts], conditions: int, mirrored: Collection[int] = ()
) -> list[Relation]:
    """Relations worth to use, parents before children; the first ``conditions`` columns are never children.

    ``mirrored`` columns may change their sign: their differences are cut open where the mirror keeps the cut.

    What has to hold in every event (an order) is only shown to hold in the sample: check it on all rows.
    """
    rows = sample[:_MOST_ROWS]
    if len(rows) < _LEAST_ROWS:
        return []
    cyclic = _cyclic_differences(rows, facts, conditions, mirrored)
    ordered = _ordered_shares(rows, facts, conditions)
    whole = _whole_remainders(rows, facts, conditions)
    return in_order([*cyclic, *ordered, *whole])


def _cyclic_differences(
    rows: Rows, facts: Sequence[ColumnFacts], conditions: int, mirrored: Collection[int]
) -> list[Relation]:
    """A tree over the angles of one period in which each hangs on the one that it depends on most (Prim 1957)."""
    found: list[Relation] = []
    for period in sorted({fact.period for fact in facts if fact.kind == "cyclic"}):
        angles = [i for i, fact in enumerate(facts) if fact.kind == "cyclic" and fact.period == period]
        turns = np.exp(2j * np.pi * rows[:, angles] / period)
        harmonics = [np.abs((turns**k).T @ (turns**k).conj()) / len(rows) for k in (1, 2, 3)]
        strength = np.sum(harmonics, axis=0)
        np.fill_diagonal(strength, 0.0)
        known = [place for place, index in enumerate(angles) if index < conditions]
        if not known:
            known = [int(strength.sum(1).argmax())]
        while len(known) < len(angles):
            rest = [place for place in range(len(angles)) if place not in known]
            table = strength[np.ix_(rest, known)]
            child, parent = np.unravel_index(int(table.argmax()), table.shape)
            one, other = angles[rest[child]], angles[known[parent]]
            cut = _emptiest(np.mod(rows[:, one] - rows[:, other], period), period, ends_only=one in mirrored)
            found.append(CyclicDifference(one, other, period, facts[one].origin, cut))
            known.append(rest[child])
    return found


def _emptiest(angles: Rows, period: float, *, ends_only: bool = False) -> float:
    """Where on the circle the fewest values lie; with ``ends_only`` whether that is 0 or half the period."""
    if ends_only:
        return 0.0 if np.cos(2 * np.pi * angles / period).sum() < 0 else period / 2
    counts, edges = np.histogram(angles, _HISTOGRAM, (0.0, period))
    around = sum(np.roll(counts, shift) * weight for shift, weight in ((-2, 1), (-1, 2), (0, 3), (1, 2), (2, 1)))
    return float(edges[int(np.argmin(around))] + 0.5 * period / _HISTOGRAM)


def _ordered_shares(rows: Rows, facts: Sequence[ColumnFacts], conditions: int) -> list[Relation]:
    """For each column the tightest one that it never exceeds, where the distribution ends at an edge there."""
    smooth = [i for i, fact in enumerate(facts) if fact.kind == "continuous" and fact.absent is None]
    values = rows[:, smooth]
    repeated = [np.unique(column, return_counts=True)[1].max() > 0.005 * len(rows) for column in values.T]
    shuffled = np.roll(values, 1, axis=0)
    found: list[Relation] = []
    for place, child in enumerate(smooth):
        if child < conditions or repeated[place]:
            continue
        column = values[:, place]
        above = np.asarray((values >= column[:, None]).all(0)) & (np.arange(len(smooth)) != place)
        overlap = np.where(above, (values < shuffled[:, [place]]).mean(0), 0.0)
        best = int(overlap.argmax())
        if overlap[best] < _LEAST_OVERLAP or (values[:, best] == column).all():
            continue
        low = facts[child].low
        parent = smooth[best]
        shares = [
            OrderedShare(child, parent, low, logarithmic) for logarithmic in ((False, True) if low > 0 else (False,))
        ]
        share = min(shares, key=lambda one: _dependence(one, rows))
        if (share.reduce(torch.from_numpy(rows)) > 0.98).double().mean().item() > _LEAST_AT_EDGE:
            found.append(share)
    return found


def _dependence(share: OrderedShare, rows: Rows) -> float:
    """Absolute rank correlation of a share with its parent."""
    child, parent = rows[:, share.child] - share.low, rows[:, share.parent] - share.low
    if share.logarithmic:
        child, parent = np.log1p(child / share.low), np.log1p(parent / share.low)
    ranks = [np.argsort(np.argsort(values)) for values in (child / np.maximum(parent, 1e-12), parent)]
    return abs(float(np.corrcoef(ranks[0], ranks[1])[0, 1]))


def _whole_remainders(rows: Rows, facts: Sequence[ColumnFacts], conditions: int) -> list[Relation]:
    """Whole numbers that a whole-numbered combination of others explains, by least squares and rounding."""
    whole = [
        i
        for i, fact in enumerate(facts)
        if fact.kind in {"discrete", "integer"}
        and fact.absent is None
        and np.array_equal(rows[:, i], np.rint(rows[:, i]))
    ]
    if len(whole) < 2:
        return []
    candidates: list[tuple[float, WholeRemainder]] = []
    for child in whole:
        if child < conditions:
            continue
        others = [index for index in whole if index != child]
        design = np.column_stack([rows[:, others], np.ones(len(rows))])
        solution = np.linalg.lstsq(design, rows[:, child], rcond=None)[0][:-1]
        factors = np.where(np.abs(solution - np.rint(solution)) < 0.2, np.rint(solution), 0).astype(int)
        used = np.flatnonzero(factors)
        if len(used) == 0:
            continue
        parents = tuple(others[place] for place in used)
        relation = WholeRemainder(child, parents, tuple(int(factors[place]) for place in used))
        before, after = _entropy(rows[:, child]), _entropy(rows[:, child] - rows[:, others] @ factors)
        if after < _ENTROPY_KEPT * before:
            candidates.append((before - after, relation))
    found: list[Relation] = []
    taken: set[int] = set()
    for _, relation in sorted(candidates, key=lambda one: -one[0]):
        if taken.isdisjoint({relation.child, *relation.parents}):
            taken |= {relation.child, *relation.parents}
            found.append(relation)
    return found


def _entropy(values: Rows) -> float:
    counts = np.unique(values, return_counts=True)[1]
    shares = counts / counts.sum()
    return float(-(shares * np.log(shares)).sum())
