"""What kind of numbers a column holds, from one streaming pass over the data and the recipe's overrides."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from hepgen.errors import ConfigError, InputFileError, leaving_out
from hepgen.representations.accumulators import Distinct, MomentsResult
from hepgen.representations.maps.fitting import SPIKE_WEIGHT, find_spikes
from hepgen.representations.table_layout import LARGEST_WHOLE, Element

Kind = Literal["constant", "discrete", "integer", "continuous", "cyclic"]

MOST_DISCRETE = 64
"""A column of at most as many distinct values can be discrete: each value has its own probability."""
_WIDEST_INTEGER = 2**22  # whole numbers over a wider range are too many for the noise of each to survive float32
_LARGE_SPIKE = 0.05  # share of the events from which on a spike is worth a latent dimension of its own
_ANGLE = re.compile(r"(^|_|\d)(d|delta)?phi|phi($|_|\d)", re.IGNORECASE)


@dataclass(frozen=True)
class ColumnFacts:
    """What is known of one column.

    Attributes:
        name: name of the column, with the index for an element of a fixed-size one.
        kind: ``constant``, ``discrete``, ``integer``, ``continuous`` or ``cyclic``.
        low: least value that may be generated.
        high: greatest value that may be generated.
        absent: value that stands apart from the others, else None: NaN, a number such as -999 far from all others, or
            the spike in a continuum that many events share.
        period: period of a cyclic column, else 0.
        origin: begin of the period of a cyclic column.
        bounded: whether low and high were set by hand rather than seen.
        values: distinct values where there are at most 64.
        affine: mean and width of a column that is encoded as it is, but for these two.
    """

    name: str
    kind: Kind
    low: float
    high: float
    absent: float | None = None
    period: float = 0.0
    origin: float = 0.0
    bounded: bool = False
    values: tuple[float, ...] | None = None
    affine: tuple[float, float] | None = None

    def to_dict(self) -> dict[str, Any]:
        """JSON-able; NaN, which JSON has not, is written as a string."""
        state = {name: list(value) if isinstance(value, tuple) else value for name, value in asdict(self).items()}
        if self.affine is None:  # as those who know no affine scale wrote it
            del state["affine"]
        return {name: "nan" if isinstance(v, float) and math.isnan(v) else v for name, v in state.items()}

    @classmethod
    def from_dict(cls, state: dict[str, Any]) -> ColumnFacts:
        state = {name: math.nan if value == "nan" and name != "name" else value for name, value in state.items()}
        content: dict[str, Any] = {
            name: tuple(value) if isinstance(value, list) else value for name, value in state.items()
        }
        return cls(**content)


def classify(
    elements: Sequence[Element],
    moments: MomentsResult,
    distinct: Sequence[Distinct | None],
    sample: NDArray[np.float64],
    options: Mapping[str, Mapping[str, Any]],
) -> list[ColumnFacts]:
    """The facts of every column.

    Args:
        elements: one per column of the matrix.
        moments: of all rows.
        distinct: values of the columns that have few.
        sample: rows, shape (events, elements).
        options: overrides by column or element name: kind, period, low, high, scale.

    Raises:
        InputFileError: for whole numbers that float64 cannot hold, or values outside a set bound.
        ConfigError: for a kind or a scale that the data contradicts.
    """
    facts = []
    for index, element in enumerate(elements):
        wanted = {**options.get(element.column, {}), **options.get(element.name, {})}
        low, high = float(moments.low[index]), float(moments.high[index])
        _check_values(element, low, high)
        missing = int(moments.missing[index])
        column = sample[:, index]
        affine = wanted.get("scale") == "affine"
        if missing == moments.rows:
            if affine:
                raise _no_scale(element)
            facts.append(ColumnFacts(element.name, "constant", 0.0, 0.0, absent=math.nan))
            continue
        found = distinct[index]
        whole = bool(moments.integral[index])
        kind = _kind(element, wanted, moments.rows, whole, low, high, missing, found, column)
        absent = math.nan if missing else None
        if absent is None and kind in {"integer", "continuous"} and wanted.get("kind", "auto") == "auto":
            absent = _sentinel(column)
            if absent is None and kind == "continuous":
                absent = _large_spike(column)
        values = None if found is None else tuple(float(value) for value in found.values)
        period, origin = _cycle(wanted, low) if kind == "cyclic" else (0.0, 0.0)
        if period and (low < origin - 1e-6 or high > origin + period * (1 + 1e-6)):
            what = f"values from {low:g} to {high:g} do not lie within one period of {period:g}"
            raise InputFileError(what, where=element.name, hint="say where it begins with representation.columns.*.low")
        set_low, set_high = wanted.get("low"), wanted.get("high")
        bounded = kind != "cyclic" and (set_low is not None or set_high is not None)
        if bounded:
            inside = column[~np.isnan(column)] if absent is None else column[~np.isnan(column) & (column != absent)]
            least, most = (low, high) if absent is None else (float(inside.min()), float(inside.max()))
            low = least if set_low is None else float(set_low)
            high = most if set_high is None else float(set_high)
            if least < low or most > high:
                what = f"values from {least:g} to {most:g} lie outside the set bounds {low:g} to {high:g}"
                raise InputFileError(what, where=element.name, hint="set wider bounds or cut the data")
        line = _mean_and_width(element, kind, column, absent, (set_low, set_high)) if affine else None
        facts.append(ColumnFacts(element.name, kind, low, high, absent, period, origin, bounded, values, line))
    return facts


def _mean_and_width(
    element: Element,
    kind: Kind,
    column: NDArray[np.float64],
    absent: float | None,
    bounds: tuple[float | None, float | None],
) -> tuple[float, float]:
    """Those of the values; of a column of one value those of its set bounds, between which all values are alike."""
    present = column[~np.isnan(column) & (column != absent)]
    low, high = bounds
    if kind == "constant" and len(present) and low is not None and high is not None:
        return (low + high) / 2, (high - low) / math.sqrt(12)
    if kind == "cyclic" or not len(present) or not present.std() > 0:
        raise _no_scale(element)
    return float(present.mean()), float(present.std())


def _no_scale(element: Element) -> ConfigError:
    name = f"representation.columns.{element.name}"
    return ConfigError(
        f"'{element.name}' is cyclic, or of one value: it has no affine scale",
        where=f"{name}.scale", hint=f"a condition of one value has one between set bounds: {name}.low and .high",
    )  # fmt: skip


def _check_values(element: Element, low: float, high: float) -> None:
    if np.dtype(element.dtype).kind in "iu" and max(abs(low), abs(high)) > LARGEST_WHOLE:
        raise InputFileError(
            "whole numbers beyond 2^53 cannot be modelled", where=element.name, hint=leaving_out(element.column)
        )


def _kind(
    element: Element,
    wanted: Mapping[str, Any],
    rows: int,
    whole: bool,
    low: float,
    high: float,
    missing: int,
    distinct: Distinct | None,
    column: NDArray[np.float64],
) -> Kind:
    asked = wanted.get("kind", "auto")
    if low == high and not missing:
        return "constant"
    if asked == "constant":
        raise ConfigError(f"column '{element.name}' is not constant", where=f"representation.columns.{element.name}")
    if asked == "integer" and not whole:
        raise ConfigError(f"column '{element.name}' is not integer", where=f"representation.columns.{element.name}")
    if asked == "continuous":
        return "continuous"
    if asked == "cyclic" or wanted.get("period") is not None:
        return "cyclic"
    if distinct is not None:
        number = len(distinct.values)
        sparse = whole and high - low + 1 > 4 * number
        if number <= 2 or rows >= 20 * number or sparse:
            return "discrete"
    if whole and high - low < _WIDEST_INTEGER:
        return "integer"
    return "cyclic" if asked == "auto" and not missing and _is_angle(element.name, low, high, column) else "continuous"


def called_angle(name: str) -> bool:
    """Whether a column is an azimuth by its name.

    Example:
        >>> called_angle("jet_phi"), called_angle("jet_eta")
        (True, False)
    """
    return _ANGLE.search(name) is not None


def _is_angle(name: str, low: float, high: float, column: NDArray[np.float64]) -> bool:
    """Whether a column is an azimuth: it is called so, and fills one turn up to both ends."""
    begin = 0.0 if low >= 0 else -math.pi
    turn = 2 * math.pi
    if not called_angle(name) or low < begin - 1e-3 or high > begin + turn + 1e-3:
        return False
    ends = (np.mean(column < begin + 0.05 * turn), np.mean(column > begin + 0.95 * turn))
    return bool(min(ends) > 0.3 * 0.05)


def _cycle(wanted: Mapping[str, Any], low: float) -> tuple[float, float]:
    period = float(wanted.get("period") or 2 * math.pi)
    begin = wanted.get("low")
    if begin is None:
        begin = 0.0 if low >= 0 else -period / 2
    return period, float(begin)


def _sentinel(column: NDArray[np.float64]) -> float | None:
    """A repeated least or greatest value that lies far from all others, such as -999."""
    values, counts = np.unique(column[~np.isnan(column)], return_counts=True)
    if len(values) < 8:
        return None
    inner = np.sort(column[(column != values[0]) & (column != values[-1])])
    width = float(inner[int(0.99 * (len(inner) - 1))] - inner[int(0.01 * (len(inner) - 1))])
    enough = SPIKE_WEIGHT * len(column)
    if counts[0] > enough and values[1] - values[0] > 0.5 * width:
        return float(values[0])
    if counts[-1] > enough and values[-1] - values[-2] > 0.5 * width:
        return float(values[-1])
    return None


def _large_spike(column: NDArray[np.float64]) -> float | None:
    """The value that most events of a continuum share, if they are many (a mass that a constraint fixes)."""
    values, counts = find_spikes(column, np.ones_like(column))
    if len(values) == 0 or counts.max() < _LARGE_SPIKE * len(column):
        return None
    return float(values[counts.argmax()])
