"""Fit a table: what the columns are, how they relate, how each is distributed; two passes over the events."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import awkward as ak
import numpy as np
import torch
from numpy.typing import NDArray

from hepgen.errors import ConfigError, InputFileError, leaving_out
from hepgen.events.source import EventSource, as_numbered, numbered_pieces, pieces, place_of
from hepgen.representations.accumulators import (
    Distinct,
    DistinctRows,
    DistinctValues,
    Moments,
    MomentsResult,
    RowSample,
)
from hepgen.representations.column_kinds import MOST_DISCRETE, ColumnFacts, classify
from hepgen.representations.find_relations import find_relations
from hepgen.representations.maps import fitting
from hepgen.representations.maps.combinations import Combinations
from hepgen.representations.maps.distribution import Distribution
from hepgen.representations.maps.gaussianise import Gaussianise
from hepgen.representations.mirrors import MIRROR, mirror_centre, mirrored_facts, mirrored_relations
from hepgen.representations.relations import OrderedShare, Relation
from hepgen.representations.table_layout import WEIGHT, Element, TableLayout
from hepgen.representations.table_transform import ColumnBlock, TableTransform

Matrix = NDArray[np.float64]

_SAMPLE_BYTES = 48 << 20
_MOST_SAMPLED = 100_000
_MOST_COMBINATIONS = 4096
_ROWS_PER_COMBINATION = 20


def fit_table(
    source: EventSource,
    layout: TableLayout,
    options: Mapping[str, Mapping[str, Any]],
    mirrored: Sequence[Sequence[int]] = (),
    *,
    combine: bool = True,
) -> tuple[list[ColumnFacts], TableTransform]:
    """Facts of all elements of the layout, and the transform of those that are not constant.

    The transform's conditions are all conditions of the layout; its columns are the modelled ones that vary.
    ``mirrored`` holds groups of columns, by their place among the modelled ones, that may change their sign together.
    Discrete values become one number, which counts their combinations, only where they ``combine``.

    Raises:
        InputFileError: for no events, infinite values or values outside set bounds.
        ConfigError: for a column that cannot be mirrored.
    """
    facts, sample, weights = _survey(source, layout, options)
    first = len(layout.conditions)
    facts = mirrored_facts(facts, [first + place for group in mirrored for place in group])
    varying = [i for i, fact in enumerate(facts) if i < first or fact.kind != "constant"]
    chosen = [facts[index] for index in varying]
    mirrors = [[varying.index(first + place) for place in group if first + place in varying] for group in mirrored]
    turning = {index for group in mirrors for index in group}
    sample = sample[:, varying]
    relations = find_relations(sample, chosen, first, turning)
    relations = [one for one in relations if chosen[one.child].affine is None]
    relations = mirrored_relations(relations, chosen, mirrors)
    groups = _absent_together(sample, chosen, first)
    survey = _Reduced(chosen, relations, groups, combine=combine and first == 0)
    for rows, row_weights in _matrices(source, layout):
        survey.update(rows[:, varying], row_weights)
    kept = survey.holding()
    low, high, distinct = survey.low_high_distinct(kept)
    groups = survey.groups()
    reduced = survey.reduce(sample, kept)
    absent = _absent(sample, chosen)
    children = {relation.child: relation for relation in kept}
    columns = []
    for index, fact in enumerate(chosen):
        present = ~absent[:, index]
        values, value_weights = reduced[present, index], weights[present]
        if index in turning:
            centre = mirror_centre(fact, children.get(index))
            values, value_weights = np.concatenate([values, 2 * centre - values]), np.tile(value_weights, 2)
            reach = max(high[index] - centre, centre - low[index])
            low[index], high[index] = centre - reach, centre + reach
        if fact.affine is not None and index >= first and fact.kind != "continuous":
            raise ConfigError(
                f"'{fact.name}' is {fact.kind}: of what is generated, only a continuum has an affine scale",
                where=f"representation.columns.{fact.name}.scale",
            )
        columns.append(
            _fit_column(fact, children.get(index), values, value_weights, low[index], high[index], distinct[index])
        )
        if index in turning and columns[-1].kind == "discrete":
            raise ConfigError(f"column '{fact.name}' has too few values to be mirrored", where=MIRROR)
    blocks = []
    for start, stop in ((0, first), (first, len(chosen))):
        own = [group for group in groups if start <= group[0] < stop]
        flags = [_fit_flag(absent[:, group[0]], weights) for group in own]
        places = [[index - start for index in group] for group in own]
        blocks.append(ColumnBlock(chosen[start:stop], places, Gaussianise([*columns[start:stop], *flags])))
    blocks[1].combinations = survey.combinations(blocks[1])
    inside = [[index - first for index in group] for group in mirrors]
    return facts, TableTransform(blocks[0], blocks[1], kept, inside)


def _matrices(source: EventSource, layout: TableLayout) -> Iterator[tuple[Matrix, Matrix | None]]:
    for batch in source.batches():
        for piece in pieces(batch):
            yield _matrix(piece, layout)


def _matrix(piece: ak.Array, layout: TableLayout) -> tuple[Matrix, Matrix | None]:
    weights = np.asarray(piece[WEIGHT], dtype=np.float64) if WEIGHT in piece.fields else None
    return layout.pack(piece), None if weights is None else np.abs(weights)


def _survey(
    source: EventSource, layout: TableLayout, options: Mapping[str, Mapping[str, Any]]
) -> tuple[list[ColumnFacts], Matrix, Matrix]:
    size = len(layout.elements)
    moments, distinct = Moments(size), DistinctValues(size, MOST_DISCRETE)
    rows = RowSample(size, int(np.clip(_SAMPLE_BYTES // (8 * max(size, 1)), 2000, _MOST_SAMPLED)))
    infinite: dict[int, str] = {}
    numbered = as_numbered(source)
    for piece in numbered_pieces(numbered):
        matrix, weights = _matrix(piece.events, layout)
        for accumulator in (moments, distinct, rows):
            accumulator.update(matrix, weights)
        for row, column in np.argwhere(np.isinf(matrix)):
            infinite.setdefault(int(column), place_of(numbered, piece, int(row)))
    found = moments.result()
    for column, place in infinite.items():
        _refuse_infinite(layout.elements[column], int(found.infinite[column]), place)
    if found.rows == 0:
        raise InputFileError("no events to fit the representation to", where=f"tree '{layout.schema.tree}'")
    sample, sample_weights = rows.result()
    if not sample_weights.sum() > 0:
        raise InputFileError("all event weights are 0", where=f"tree '{layout.schema.tree}'")
    return classify(layout.elements, found, distinct.result(), sample, options), sample, sample_weights


def _refuse_infinite(element: Element, count: int, place: str) -> None:
    raise InputFileError(
        f"{count} infinite value{'s' * (count > 1)} in '{element.name}'",
        where=place if count == 1 else f"the first: {place}",
        hint=f"cut such events away, or {leaving_out(element.column)}",
    )


def _absent(rows: Matrix, facts: Sequence[ColumnFacts]) -> NDArray[np.bool_]:
    values = np.array([np.nan if fact.absent is None else fact.absent for fact in facts])
    absent: NDArray[np.bool_] = np.isnan(rows) | (rows == values)
    return absent


def _absent_together(sample: Matrix, facts: Sequence[ColumnFacts], first: int) -> list[list[int]]:
    """Groups of columns whose values are absent in the same rows; conditions are not mixed with the others."""
    absent = _absent(sample, facts)
    groups: dict[tuple[bool, bytes], list[int]] = {}
    for index, fact in enumerate(facts):
        if fact.absent is not None:
            groups.setdefault((index < first, np.packbits(absent[:, index]).tobytes()), []).append(index)
    return list(groups.values())


class _Reduced:
    """Second pass: ranges and distinct values after each relation, and whether relations hold in every event."""

    def __init__(
        self, facts: Sequence[ColumnFacts], relations: Sequence[Relation], groups: Sequence[list[int]], *, combine: bool
    ) -> None:
        self._facts = facts
        self._relations = relations
        size = len(facts) + len(relations)
        self._moments = Moments(size)
        self._distinct = DistinctValues(size, MOST_DISCRETE)
        self._broken = np.zeros(len(relations), dtype=np.int64)
        self._groups = list(groups)
        self._agree = [True] * len(groups)
        children = {relation.child: len(facts) + place for place, relation in enumerate(relations)}
        discrete = [index for index, fact in enumerate(facts) if fact.kind == "discrete"]
        self._discrete = {index: children.get(index, index) for index in discrete}
        self._absentees = [index for index, fact in enumerate(facts) if fact.absent is not None]
        told = len(self._discrete) + len(self._absentees)
        self._occurred = DistinctRows(told, _MOST_COMBINATIONS) if combine and told else None

    def update(self, rows: Matrix, weights: Matrix | None) -> None:
        absent = _absent(rows, self._facts)
        tensor = torch.from_numpy(rows)
        related = [relation.reduce(tensor).numpy() for relation in self._relations]
        values = np.column_stack([np.where(absent, np.nan, rows), *related])
        self._moments.update(values, weights)
        self._distinct.update(values, weights)
        if self._occurred is not None:
            told = np.nan_to_num(values[:, list(self._discrete.values())])  # what is absent has no value of its own
            self._occurred.update(np.column_stack([told, absent[:, self._absentees]]), weights)
        for index, relation in enumerate(self._relations):
            if isinstance(relation, OrderedShare):
                self._broken[index] += int((rows[:, relation.child] > rows[:, relation.parent]).sum())
        for place, group in enumerate(self._groups):
            self._agree[place] &= bool((absent[:, group] == absent[:, group[:1]]).all())

    def groups(self) -> list[list[int]]:
        """The groups whose columns were absent in the same rows all the way, and the other columns one by one."""
        pairs = zip(self._groups, self._agree, strict=True)
        return [part for group, agreed in pairs for part in ([group] if agreed else [[one] for one in group])]

    def holding(self) -> list[Relation]:
        return [relation for relation, broken in zip(self._relations, self._broken, strict=True) if not broken]

    def combinations(self, block: ColumnBlock) -> Combinations | None:
        """The combinations of all discrete values of a block, if there are several values and each is seen often."""
        found = None if self._occurred is None else self._occurred.result()
        own = {place for place in block.discrete if place < len(self._facts)}
        counted = all(len(block.gaussianise.distributions[place].atoms) == 1 for place in own - set(self._discrete))
        if found is None or len(block.discrete) < 2 or not counted:
            return None
        reduced, absent = np.zeros((2, len(found.rows), len(self._facts)))
        reduced[:, list(self._discrete)] = found.rows[:, : len(self._discrete)]
        absent[:, self._absentees] = found.rows[:, len(self._discrete) :]
        middles = block.middles(block.interval(torch.from_numpy(reduced), torch.from_numpy(absent > 0))).numpy()
        every, place = np.unique(middles, axis=0, return_inverse=True)
        if found.counts.sum() < _ROWS_PER_COMBINATION * len(every):
            return None
        return Combinations(every.tolist(), np.bincount(place.ravel(), found.weights, len(every)).tolist())

    def low_high_distinct(self, kept: Sequence[Relation]) -> tuple[list[float], list[float], list[Distinct | None]]:
        """Range and distinct values of every column, of what stands for it where a relation is kept."""
        result: MomentsResult = self._moments.result()
        distinct = self._distinct.result()
        places = list(range(len(self._facts)))
        for offset, relation in enumerate(self._relations):
            if relation in kept:
                places[relation.child] = len(self._facts) + offset
        low, high = result.low[places].tolist(), result.high[places].tolist()
        return low, high, [distinct[place] for place in places]

    def reduce(self, rows: Matrix, kept: Sequence[Relation]) -> Matrix:
        reduced = rows.copy()
        for relation in kept:
            reduced[:, relation.child] = relation.reduce(torch.from_numpy(rows)).numpy()
        return reduced


def _fit_column(
    fact: ColumnFacts,
    relation: Relation | None,
    values: Matrix,
    weights: Matrix,
    low: float,
    high: float,
    distinct: Distinct | None,
) -> Distribution:
    if fact.affine is not None and fact.kind == "continuous":
        return fitting.straight(*fact.affine, *((fact.low, fact.high) if fact.bounded else (low, high)))
    if fact.kind in {"constant", "discrete"} and distinct is not None and len(distinct.values):
        return fitting.discrete(distinct.values, distinct.counts)
    if len(values) == 0 or low == high:
        return fitting.discrete(np.array([fact.low if np.isnan(low) else low]), np.ones(1))
    if fact.kind in {"integer", "discrete"}:
        return fitting.integer(values, weights, low, high)
    bounds = (fact.low, fact.high) if fact.bounded and relation is None else None
    return fitting.continuous(values, weights, low, high, bounds)


def _fit_flag(flags: NDArray[np.bool_], weights: Matrix) -> Distribution:
    shares = np.array([weights[~flags].sum(), weights[flags].sum()])
    return fitting.discrete(np.array([0.0, 1.0]), np.maximum(shares, 1e-6 * shares.sum()))
