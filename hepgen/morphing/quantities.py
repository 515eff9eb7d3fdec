"""What tells of a column that holds many numbers an event: the sum of voxels, how many constituents there are, the largest."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal, Self

import awkward as ak
import numpy as np
from numpy.typing import NDArray

from hepgen.config.representation import CalorimeterRecipe, CloudRecipe, RepresentationRecipe
from hepgen.events.jets import JetColumns, find_jets
from hepgen.events.schema import Column, Schema

# Of an array of so few numbers each one means something of its own, as pt, eta, mass and number do in JetNet's jet_features.
_FEW = 8
_TENTH = 10

Kind = Literal["sum", "largest", "smallest", "number", "filled", "element"]
FloatArray = NDArray[np.float64]


@dataclass(frozen=True)
class Quantity:
    """One number of an event, from a column that holds an array or a list.

    Attributes:
        kind: ``sum``, ``largest`` or ``smallest`` of the elements, their ``number``, how many are ``filled`` (not 0), or one
            ``element``.
        column: an array or a list.
        place: of the element; or, of an array of rows of few numbers, which of these numbers, None for all.
        over: a column by which the number is divided; empty: none.

    Example:
        >>> events = ak.Array({"part_pt": [[30.0, 20.0], [], [5.0]], "jet_pt": [48.0, 0.0, 5.0]})
        >>> for one in (Quantity("sum", "part_pt", over="jet_pt"), Quantity("largest", "part_pt")):
        ...     print(f"{one}: {one.values(events).round(2).tolist()}")
        the sum of part_pt over jet_pt: [1.04, nan, 1.0]
        the largest part_pt: [30.0, nan, 5.0]
    """

    kind: Kind
    column: str
    place: int | None = None
    over: str = ""

    def __str__(self) -> str:
        name = self.column
        if self.place is not None:
            name += f"[{self.place}]" if self.kind == "element" else f"[:, {self.place}]"
        words = {
            "sum": f"the sum of {name}", "number": f"the number of elements of {name}",
            "filled": f"the number of elements of {name} other than 0", "element": name,
        }.get(self.kind, f"the {self.kind} {name}")  # fmt: skip
        return f"{words} over {self.over}" if self.over else words

    @property
    def columns(self) -> tuple[str, ...]:
        return (self.column, self.over) if self.over else (self.column,)

    def values(self, batch: ak.Array) -> FloatArray:
        """(events,), NaN where there is none: an empty list has a number of elements and no largest one."""
        column = ak.Array(batch[self.column])
        found = _of_list(column, self.kind) if is_list(column) else self._of_array(ak.to_numpy(column))
        if not self.over:
            return found
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.asarray(found / np.asarray(batch[self.over], dtype=np.float64))

    def _of_array(self, array: NDArray[Any]) -> FloatArray:
        if self.kind == "element":
            return np.asarray(rows_of(array)[:, self.place], dtype=np.float64)
        rows = rows_of(array if self.place is None else array[..., self.place])
        if self.kind == "sum":
            return np.asarray(rows.sum(axis=1, dtype=np.float64))
        if self.kind == "filled":
            return np.asarray(np.count_nonzero(rows, axis=1), dtype=np.float64)
        # of numbers of which some are missing, the extreme of the others
        extreme = np.fmin if self.kind == "smallest" else np.fmax
        return np.asarray(extreme.reduce(rows, axis=1), dtype=np.float64)


def is_list(column: ak.Array) -> bool:
    """Whether the events of a column have lists of any number of elements."""
    return "var" in column.typestr


def rows_of(array: NDArray[Any]) -> NDArray[Any]:
    """The numbers of each event as one row, (events, elements), from an array of any shape with the events first."""
    return array.reshape(len(array), int(np.prod(array.shape[1:])))


def _of_list(column: ak.Array, kind: Kind) -> FloatArray:
    counts: FloatArray = ak.to_numpy(ak.num(column, axis=1)).astype(np.float64)
    if kind == "number":
        return counts
    reduce = {"sum": ak.sum, "smallest": ak.min, "largest": ak.max}[kind]
    found = ak.to_numpy(reduce(ak.values_astype(column, np.float64), axis=1, mask_identity=False))
    return np.asarray(np.where(counts > 0, found, np.nan))


def quantities_of(schema: Schema, representation: RepresentationRecipe) -> list[Quantity]:
    """The quantities that tell of the arrays and lists of events.

    A shower has its response, the sum of its voxels over the incident energy; a jet the sum of the pt of its constituents over
    its own.

    Args:
        schema: columns that are learned.
        representation: by which.
    """
    first: list[Quantity] = []
    voxels = ""
    if isinstance(representation, CalorimeterRecipe):
        voxels = representation.voxels
        if representation.energy is not None:
            first.append(Quantity("sum", voxels, over=representation.energy))
    elif isinstance(representation, CloudRecipe):
        columns = (find_jets(schema) or JetColumns()).with_roles(**representation.roles)
        if columns.pt and columns.jet_pt and not columns.relative:
            first.append(Quantity("sum", columns.pt, over=columns.jet_pt))
    lists = [column.name for column in schema if column.jagged]
    for name in lists:
        first += [Quantity("largest", name), Quantity("smallest", name)]
    # The lists of a jet are of the same constituents and have one length.
    first += [Quantity("number", name) for name in (lists[:1] if isinstance(representation, CloudRecipe) else lists)]
    for column in schema:
        if column.shape and not column.jagged:
            first += _told_array(column, whole=column.name == voxels)
    return first


def _told_array(column: Column, *, whole: bool) -> Iterator[Quantity]:
    """``whole``: all numbers are of one kind."""
    if int(np.prod(column.shape)) <= _FEW and not whole:
        yield from (Quantity("element", column.name, place) for place in range(int(np.prod(column.shape))))
        return
    rows = len(column.shape) > 1 and column.shape[-1] <= _FEW and not whole
    kinds: tuple[Kind, ...] = ("sum", "largest", "smallest", "filled")
    for place in range(column.shape[-1]) if rows else (None,):
        yield from (Quantity(kind, column.name, place) for kind in kinds)


@dataclass(frozen=True)
class QuantityRange:
    """Where a quantity lay in the training, and how far beyond it an event of the same law may well lie.

    The reach on either side is the distance of the extreme event from the tenth most extreme one. So the next events of the
    same law leave it several times more rarely than the range itself, although there are many quantities of an event.

    Attributes:
        quantity: of an event.
        low, high: what was seen.
        below, above: the reach beyond it.

    Example:
        >>> known = QuantityRange(Quantity("largest", "x"), 1.0, 9.0, below=0.0, above=2.0)
        >>> known.outside(ak.Array({"x": [[0.5], [1.0, 10.5], [12.0], []]})).tolist()
        [True, False, True, False]
    """

    quantity: Quantity
    low: float
    high: float
    below: float
    above: float

    def outside(self, batch: ak.Array) -> NDArray[np.bool_]:
        """Which events lie beyond what was seen and its reach, (events,)."""
        values = self.quantity.values(batch)
        found: NDArray[np.bool_] = (values < self.low - self.below) | (values > self.high + self.above)
        return found

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_dict(cls, state: dict[str, Any]) -> Self:
        return cls(**{**state, "quantity": Quantity(**state["quantity"])})


class QuantityRanges:
    """An accumulator of the ranges of quantities: ``update`` with every batch, then ``result``.

    Example:
        >>> ranges = QuantityRanges([Quantity("number", "x")])
        >>> ranges.update(ak.Array({"x": [[], [1.0, 2.0]]}))
        >>> ranges.result()[0].low, ranges.result()[0].high
        (0.0, 2.0)
    """

    def __init__(self, quantities: Sequence[Quantity]) -> None:
        self._found = {one: (np.empty(0), np.empty(0)) for one in quantities}

    def update(self, batch: ak.Array) -> None:
        for one, (lowest, highest) in self._found.items():
            values = one.values(batch)
            values = values[np.isfinite(values)]
            self._found[one] = (
                _lowest(np.concatenate([lowest, values])), -_lowest(-np.concatenate([highest, values])),
            )  # fmt: skip

    def result(self) -> list[QuantityRange]:
        """The ranges; quantities that no event had are left out."""
        return [
            QuantityRange(one, float(low[0]), float(high[0]), float(low[-1] - low[0]), float(high[0] - high[-1]))
            for one, (low, high) in self._found.items()
            if len(low)
        ]


def _lowest(values: FloatArray) -> FloatArray:
    """The ten lowest, ascending."""
    if len(values) > _TENTH:
        values = np.partition(values, _TENTH - 1)[:_TENTH]
    return np.sort(values)
