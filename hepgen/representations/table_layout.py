"""The columns of a table as the columns of one matrix, and back with names, order and types of the file."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import awkward as ak
import numpy as np
from numpy.typing import NDArray

from hepgen.errors import ConfigError, InputFileError, leaving_out, suggest
from hepgen.events.schema import Column, Schema

Matrix = NDArray[np.float64]

WEIGHT = "_weight"
"""Column of the event weights: used in fitting, never modelled."""
LARGEST_WHOLE = 2**53
"""Whole numbers beyond this have no exact float64."""


@dataclass(frozen=True)
class Element:
    """One number of a row: a scalar column, or one element of a fixed-size one (``x[0]``, ``m[1][2]``)."""

    name: str
    column: str
    dtype: str


class TableLayout:
    """Where each column of a schema lies in a matrix of shape (events, elements).

    Args:
        schema: columns of the table; a column ``_weight`` is left out.
        conditions: names of the columns that the others are conditioned on.

    Raises:
        ConfigError: for a jagged column, one that holds no numbers, or a condition that is not there.
    """

    def __init__(self, schema: Schema, conditions: Sequence[str] = ()) -> None:
        self.schema = schema.replace(column for column in schema if column.name != WEIGHT)
        for column in self.schema:
            _check(column)
        for name in conditions:
            if name not in self.schema:
                hint = suggest(name, self.schema.names)
                raise ConfigError(f"no column '{name}' to condition on", where="representation.conditions", hint=hint)
        self.conditions = tuple(itertools.chain.from_iterable(_elements(self.schema[name]) for name in conditions))
        rest = [column for column in self.schema if column.name not in conditions]
        self.columns = tuple(itertools.chain.from_iterable(_elements(column) for column in rest))

    @property
    def elements(self) -> tuple[Element, ...]:
        """Conditions first, then the columns that are modelled."""
        return self.conditions + self.columns

    def pack(self, batch: ak.Array) -> Matrix:
        """Matrix of shape (events, elements); NaN where a value is missing.

        Raises:
            InputFileError: if a column is not there or has another shape than the schema says.
        """
        parts: dict[str, Matrix] = {}
        for column in self.schema:
            if column.name not in batch.fields:
                hint = suggest(column.name, batch.fields)
                raise InputFileError(f"no column '{column.name}' in the events", hint=hint)
            values = np.ma.filled(np.ma.asarray(ak.to_numpy(batch[column.name])).astype(np.float64), np.nan)
            if values.shape[1:] != column.shape:
                raise InputFileError(f"an element has shape {values.shape[1:]}, not {column.shape}", where=column.name)
            parts[column.name] = values.reshape(len(values), -1)
        order = dict.fromkeys(element.column for element in self.elements)
        return np.concatenate([parts[name] for name in order], axis=1)

    def unpack(self, matrix: Matrix, low: Matrix, high: Matrix) -> ak.Array:
        """Record array with the schema's columns, order and types.

        Args:
            matrix: shape (events, elements).
            low: least value of each element, shape (elements,); also after rounding to the column's type.
            high: greatest value of each element, shape (elements,).
        """
        places: dict[str, list[int]] = {}
        for index, element in enumerate(self.elements):
            places.setdefault(element.column, []).append(index)
        arrays = {}
        for column in self.schema:
            place = places[column.name]
            values = _cast(matrix[:, place], np.dtype(column.dtype), low[place], high[place])
            arrays[column.name] = values.reshape(len(matrix), *column.shape)
        return ak.Array({name: ak.from_numpy(array, regulararray=True) for name, array in arrays.items()})


def _check(column: Column) -> None:
    if column.jagged:
        raise ConfigError(
            f"column '{column.name}' has a variable number of elements per event",
            where="representation.kind: table",
            hint=f"train on its elements with data.objects, or {leaving_out(column.name)}",
        )
    if np.dtype(column.dtype).kind not in "biuf":
        raise ConfigError(
            f"column '{column.name}' holds {column.dtype}, not numbers",
            where="representation.kind: table",
            hint=leaving_out(column.name),
        )


def _elements(column: Column) -> list[Element]:
    indices = itertools.product(*[range(size) for size in column.shape])
    names = [column.name + "".join(f"[{number}]" for number in index) for index in indices]
    return [Element(name, column.name, column.dtype) for name in names]


def _cast(values: Matrix, dtype: np.dtype[np.generic], low: Matrix, high: Matrix) -> NDArray[np.generic]:
    """Round to a type without leaving the range on the way."""
    if dtype.kind == "b":
        return values >= 0.5
    if dtype.kind in "iu":
        return np.clip(np.rint(values), np.ceil(low), np.floor(high)).astype(dtype)
    least, most = low.astype(dtype), high.astype(dtype)
    least = np.where(least < low, np.nextafter(least, np.array(np.inf, dtype)), least)
    most = np.where(most > high, np.nextafter(most, np.array(-np.inf, dtype)), most)
    inside = np.clip(values.astype(dtype), least, most)
    outside = (values < low) | (values > high)  # values that stand for a missing one
    return np.where(outside, values.astype(dtype), inside)
