"""What an expression may call: arithmetic on numpy and awkward arrays, and reductions of lists."""

from __future__ import annotations

import functools
import math
import operator
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import awkward as ak
import numpy as np

_MANY = 64


@dataclass(frozen=True)
class Function:
    """A function of an expression, with the least and the largest number of its arguments."""

    apply: Callable[..., Any]
    arguments: tuple[int, int] = (1, 1)


def operand(values: Any) -> Any:
    """A column ready for arithmetic: numpy where it has one number per event, integers of 64 bits.

    Example:
        >>> operand(np.array([2], dtype=np.uint32)) - 3
        array([-1])
    """
    array = values if isinstance(values, np.ndarray) else ak.Array(values)
    if isinstance(array, ak.Array) and array.ndim == 1:
        array = ak.to_numpy(array, allow_missing=False)
    if isinstance(array, np.ndarray):
        return array.astype(np.int64) if array.dtype.kind in "iu" and array.dtype != np.uint64 else array
    kind = ak.type(ak.flatten(array, axis=None)).content
    integer = (
        isinstance(kind, ak.types.NumpyType) and np.dtype(kind.primitive).kind in "iu" and kind.primitive != "uint64"
    )
    return ak.values_astype(array, np.int64) if integer else array


def _smallest(*values: Any) -> Any:
    return ak.min(values[0], axis=1, mask_identity=False) if len(values) == 1 else functools.reduce(np.minimum, values)


def _largest(*values: Any) -> Any:
    return ak.max(values[0], axis=1, mask_identity=False) if len(values) == 1 else functools.reduce(np.maximum, values)


def _reduced(function: Callable[..., Any]) -> Callable[[Any], Any]:
    def reduce(values: Any) -> Any:
        return ak.to_numpy(function(values, axis=1), allow_missing=False)

    return reduce


def _count(values: Any) -> Any:
    return ak.to_numpy(ak.num(values, axis=1))


def _negative(values: Any) -> Any:
    return -values if not _is_bool(values) else -1 * values


def _is_bool(values: Any) -> bool:
    return isinstance(values, np.ndarray) and values.dtype.kind == "b"


def _where(condition: Any, one: Any, other: Any) -> Any:
    if any(isinstance(values, ak.Array) for values in (condition, one, other)):
        return ak.where(condition, one, other)
    return np.where(condition, one, other)


def _numpy(values: Any) -> Any:
    return ak.to_numpy(values, allow_missing=False) if isinstance(values, ak.Array) and values.ndim == 1 else values


OPERATORS: dict[str, Callable[..., Any]] = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "/": np.true_divide,
    "%": np.mod,
    "**": lambda base, exponent: np.power(base * 1.0, exponent),
    "negative": _negative,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
    "==": operator.eq,
    "!=": operator.ne,
    "and": np.logical_and,
    "or": np.logical_or,
    "not": np.logical_not,
}

FUNCTIONS: dict[str, Function] = {
    "abs": Function(np.abs),
    "sqrt": Function(np.sqrt),
    "exp": Function(np.exp),
    "log": Function(np.log),
    "log10": Function(np.log10),
    "sin": Function(np.sin),
    "cos": Function(np.cos),
    "tan": Function(np.tan),
    "sinh": Function(np.sinh),
    "cosh": Function(np.cosh),
    "tanh": Function(np.tanh),
    "arcsin": Function(np.arcsin),
    "arccos": Function(np.arccos),
    "arctan": Function(np.arctan),
    "arctan2": Function(np.arctan2, (2, 2)),
    "hypot": Function(np.hypot, (2, 2)),
    "min": Function(lambda *values: _numpy(_smallest(*values)), (1, _MANY)),
    "max": Function(lambda *values: _numpy(_largest(*values)), (1, _MANY)),
    "where": Function(_where, (3, 3)),
    "any": Function(_reduced(ak.any)),
    "all": Function(_reduced(ak.all)),
    "sum": Function(_reduced(ak.sum)),
    "count": Function(_count),
}

CONSTANTS: dict[str, float] = {"pi": math.pi}
