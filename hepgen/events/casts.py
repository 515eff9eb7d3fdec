"""Casts that lose nothing, or are refused: uproot and numpy turn 1.5 into 1 and 1e300 into infinity without a word."""

from __future__ import annotations

from typing import Any

import awkward as ak
import numpy as np

from hepgen.errors import ModelError
from hepgen.events.schema import Column
from hepgen.events.source import Array

_FLOAT_INTEGERS = {"float16": 2**11, "float32": 2**24, "float64": 2**53}


def checked_values(values: Any, column: Column, *, keep_nonfinite: bool = False) -> ak.Array | Array:
    """Values of a column in the column's type and shape.

    Args:
        values: awkward or numpy array of one element per event.
        column: the type and shape to write.
        keep_nonfinite: write NaN and infinities of a float column as they are.

    Raises:
        ModelError: if a value does not fit the type, is not finite, or has another shape.

    Example:
        >>> checked_values(np.array([1.0, 2.0]), Column("n", "int32"))
        array([1, 2], dtype=int32)
    """
    if column.jagged:
        return _checked_lists(values, column, keep_nonfinite)
    try:
        flat = np.asarray(ak.to_numpy(values, allow_missing=False))
    except (ValueError, TypeError):
        flat = np.empty(0, dtype=object)
    if flat.shape[1:] != column.shape or len(flat) != len(values):
        raise ModelError(
            f"column '{column.name}' should hold elements of shape {column.shape} and holds {ak.type(values)}",
            hint="the events do not fit the schema of the output",
        )
    return checked_cast(flat, column, keep_nonfinite=keep_nonfinite)


def _checked_lists(values: Any, column: Column, keep_nonfinite: bool) -> ak.Array:
    lists = ak.Array(values)
    if lists.ndim != 2 + len(column.shape):
        raise ModelError(
            f"column '{column.name}' should hold lists of elements of shape {column.shape} and holds {ak.type(lists)}",
            hint="the events do not fit the schema of the output",
        )
    content = np.asarray(ak.flatten(lists, axis=1)).reshape(-1, *column.shape)
    return ak.unflatten(checked_cast(content, column, keep_nonfinite=keep_nonfinite), np.asarray(ak.num(lists)))


def checked_cast(values: Array, column: Column, *, keep_nonfinite: bool = False) -> Array:
    """An array of numbers in the type of a column, with every value as it was (floats rounded to the type).

    Raises:
        ModelError: if a value is not finite, not a whole number for an integer column, or out of range.
    """
    target = np.dtype(column.dtype)
    if values.dtype.kind == "f" and not (keep_nonfinite and target.kind == "f"):
        bad = int(values.size - np.count_nonzero(np.isfinite(values)))
        if bad:
            raise ModelError(
                f"{bad} values of '{column.name}' are not finite", hint="no event with such a value is written"
            )
    if values.dtype == target or not values.size:
        return values.astype(target, copy=False)
    if values.dtype.kind not in "biuf":
        raise ModelError(f"'{column.name}' holds {values.dtype}, not numbers")
    fault = _fault(values, target)
    if fault:
        raise ModelError(
            f"'{column.name}' has the type {target.name}, but {fault}",
            hint="check the units and the type of the column",
        )
    return values.astype(target)


def _fault(values: Array, target: np.dtype[Any]) -> str:
    """Why the values do not fit the type, empty where they do."""
    if target.kind == "f":
        if values.dtype.kind == "f":
            finite = values[np.isfinite(values)]
            largest = float(np.abs(finite).max()) if finite.size else 0.0
            return f"one value is {largest:g}" if largest > float(np.finfo(target).max) else ""
        largest_int = max(abs(int(values.max())), abs(int(values.min())))
        return (
            f"one value is {largest_int}, which it cannot hold exactly" if _inexact(values, target, largest_int) else ""
        )
    if values.dtype.kind == "f" and (np.rint(values) != values).any():
        return f"one value is {values[np.rint(values) != values].flat[0]:g}"
    low, high = (0, 1) if target.kind == "b" else (int(np.iinfo(target).min), int(np.iinfo(target).max))
    least, most = int(values.min()), int(values.max())
    return f"its values run from {least} to {most}" if least < low or most > high else ""


def _inexact(values: Array, target: np.dtype[Any], largest: int) -> bool:
    if largest <= _FLOAT_INTEGERS[target.name]:
        return False
    back = [int(value) for value in values.astype(target).reshape(-1)]
    return back != values.reshape(-1).tolist()
