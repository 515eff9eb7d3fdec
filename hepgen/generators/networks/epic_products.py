"""Products of an EPiC layer with what follows them, while the result is in registers: compiled, float32 on a CPU."""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import types

from hepgen.generators.networks.small_products import MOST, WIDE, splat, tiles, vectors
from hepgen.physics.compiling import compiled

_LONG = ir.IntType(64)


def _rectified(builder: Any, value: Any, slope: Any) -> Any:
    """The larger of vectors and ``slope`` times them; NaN stays."""
    scaled = builder.fmul(value, slope)
    return builder.select(builder.fcmp_ordered(">", value, scaled), value, scaled)


def _event(builder: Any, events: Any, row: int) -> Any:
    """The event of a row."""
    place = builder.inttoptr(builder.add(events, ir.Constant(_LONG, 8 * row)), _LONG.as_pointer())
    return builder.load(place)


def _told(builder: Any, sums: list[list[Any]], c: Any, c_row: Any, events: Any, tells: Any, slope: Any) -> None:
    """The rectified sum of the product and what an event tells."""
    steep = splat(builder, slope)
    for row, into in enumerate(sums):
        told = vectors(builder, tells, c_row, _event(builder, events, row), len(into))
        for one, more, place in zip(into, told, vectors(builder, c, c_row, row, len(into)), strict=True):
            value = builder.fadd(builder.load(one), builder.load(more, align=4))
            builder.store(_rectified(builder, value, steep), place, align=4)


def _closed(
    builder: Any, sums: list[list[Any]], c: Any, c_row: Any, events: Any, bias: Any, start: Any, totals: Any, slope: Any
) -> None:
    """The rectified sum of the product, what is there and the bias, and the start; it is added to the totals of its event."""
    steep, across = splat(builder, slope), len(sums[0])
    biases = [builder.load(one, align=4) for one in vectors(builder, bias, c_row, 0, across)]
    for row, into in enumerate(sums):
        rows = [vectors(builder, one, c_row, row, across) for one in (c, start)]
        total = vectors(builder, totals, c_row, _event(builder, events, row), across)
        for one, place, begin, add, to in zip(into, *rows, biases, total, strict=True):
            value = builder.fadd(builder.fadd(builder.load(one), builder.load(place, align=4)), add)
            value = builder.fadd(_rectified(builder, value, steep), builder.load(begin, align=4))
            builder.store(value, place, align=4)
            builder.store(builder.fadd(builder.load(to, align=4), value), to, align=4)


_told_tile: Any = tiles(_told, [types.intp] * 2 + [types.float32])
_closed_tile: Any = tiles(_closed, [types.intp] * 4 + [types.float32])


@compiled()
def multiply_told(
    x: Any, first: int, rows: int, weights: Any, begin: int, near: Any, tells: Any, event_of: Any, slope: Any
) -> None:
    """The rectified sum of a product, see ``multiply``, and what the event of each row tells, into the first rows of ``near``.

    Args:
        near: (any, hidden), filled.
        tells: (events, hidden).
        event_of: of each row of ``x``, int64.
        slope: of the rectification.
    """
    depth, width = x.shape[1], near.shape[1]
    parts = -(-rows // MOST)
    for panel in range(width // WIDE):
        column = 4 * panel * WIDE
        for part in range(parts):
            done = rows * part // parts
            count = rows * (part + 1) // parts - done
            _told_tile(
                count, x.ctypes.data + 4 * (first + done) * depth, depth, weights.ctypes.data + 4 * begin + column * depth,
                near.ctypes.data + 4 * done * width + column, width, depth,
                event_of.ctypes.data + 8 * (first + done), tells.ctypes.data + column, slope,
            )  # fmt: skip


@compiled()
def multiply_closed(
    near: Any,
    rows: int,
    weights: Any,
    begin: int,
    x: Any,
    first: int,
    start: Any,
    totals: Any,
    event_of: Any,
    slope: Any,
) -> None:
    """Rows of ``x`` become the rectified sum of themselves, the product of ``near`` and the bias, and ``start``.

    Args:
        near: (any, hidden), of which the first ``rows`` are taken.
        weights, begin: see ``multiply``; the bias stands behind them.
        x, start: (constituents, hidden), from row ``first`` on.
        totals: (events, hidden), to which the rows are added, one after the other.
        event_of: of each row of ``x``, int64.
        slope: of the rectification.
    """
    depth, width = near.shape[1], x.shape[1]
    parts = -(-rows // MOST)
    layer = weights.ctypes.data + 4 * begin
    for panel in range(width // WIDE):
        column = 4 * panel * WIDE
        for part in range(parts):
            done = rows * part // parts
            count = rows * (part + 1) // parts - done
            place = 4 * (first + done) * width + column
            _closed_tile(
                count, near.ctypes.data + 4 * done * depth, depth, layer + column * depth, x.ctypes.data + place, width, depth,
                event_of.ctypes.data + 8 * (first + done), layer + 4 * depth * width + column,
                start.ctypes.data + place, totals.ctypes.data + column, slope,
            )  # fmt: skip
