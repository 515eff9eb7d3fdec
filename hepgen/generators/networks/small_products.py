"""Products of a few rows with a matrix of weights that stays in the cache, compiled, float32 on a CPU.

A library of linear algebra is made for large matrices: with a jet's constituents, 15 to 100 rows, it does not reach the
rate of the processor, since it arranges its operands anew at each call. Here weights stand in the order in which they are
read, once for all calls, and a tile of the result stays in registers until it is done. A row comes out the same to the
last bit however many there are.
"""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
from llvmlite import binding, ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic
from numpy.typing import NDArray

from hepgen.physics.compiling import compiled

WIDE = 32
"""Columns of a panel of weights; there are whole panels only."""
_LANES = 16
# Rows of a tile: what the registers hold (32 of 16 numbers, or half as many of 8).
_MOST = 14 if binding.get_host_cpu_features().get("avx512f", False) else 3
_FLOAT, _LONG, _INT = ir.FloatType(), ir.IntType(64), ir.IntType(32)
_VECTOR = ir.VectorType(_FLOAT, _LANES)
_PARTS = WIDE // _LANES
_LINE = 16  # numbers of a line of the cache
_build: Any = cgutils  # it has no types


@compiled()
def padded(columns: int) -> int:
    """The number of columns of whole panels.

    Example:
        >>> padded(128), padded(3)
        (128, 32)
    """
    return -(-columns // WIDE) * WIDE


def panels(weight: NDArray[np.float32]) -> NDArray[np.float32]:
    """Weights (inputs, outputs) as ``multiply`` takes them, (panels, inputs, WIDE), with zeros for columns that there are not.

    Example:
        >>> panels(np.ones((2, 33), np.float32)).shape
        (2, 2, 32)
    """
    inputs, outputs = weight.shape
    whole = np.zeros((inputs, padded(outputs)), np.float32)
    whole[:, :outputs] = weight
    return np.ascontiguousarray(whole.reshape(inputs, -1, WIDE).transpose(1, 0, 2))


def _tile(context: Any, rows: Any, a: Any, a_row: Any, b: Any, c: Any, c_row: Any, depth: Any) -> Any:
    """The product of ``rows`` rows with one panel.

    Args:
        rows: 1 to ``_MOST``.
        a, a_row: address of the rows, and numbers from one to the next.
        b: address of the panel.
        c, c_row: where the result goes.
        depth: length of a row.
    """
    del context
    signature = types.void(*(types.intp for _ in (rows, a, a_row, b, c, c_row, depth)))

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        del signature
        rows, *where = arguments
        done = builder.append_basic_block("done")
        switch = builder.switch(rows, done)
        for count in range(1, _MOST + 1):
            block = builder.append_basic_block(f"rows{count}")
            switch.add_case(ir.Constant(_LONG, count), block)
            builder.position_at_end(block)
            _rows(builder, count, *where)
            builder.branch(done)
        builder.position_at_end(done)
        return context.get_dummy_value()

    return signature, generate


def _rows(builder: Any, rows: int, a: Any, a_row: Any, b: Any, c: Any, c_row: Any, depth: Any) -> None:
    """The code for so many rows: their sums in registers, all of them in each turn of one loop over the depth."""
    sums = [[_build.alloca_once(builder, _VECTOR) for _ in range(_PARTS)] for _ in range(rows)]
    for one in itertools.chain.from_iterable(sums):
        builder.store(ir.Constant(_VECTOR, [0.0] * _LANES), one)
    origin = [_moved(builder, a, a_row, row) for row in range(rows)]
    panel, none = builder.inttoptr(b, _FLOAT.as_pointer()), ir.Constant(_VECTOR, ir.Undefined)
    # fused where the processor can, and else a product and a sum
    kind = ir.FunctionType(_VECTOR, [_VECTOR] * 3)
    fused = _build.get_or_insert_function(builder.module, kind, f"llvm.fmuladd.v{_LANES}f32")
    with _build.for_range(builder, depth, intp=_LONG) as turn:
        at = builder.mul(turn.index, ir.Constant(_LONG, WIDE))
        starts = [builder.add(at, ir.Constant(_LONG, _LANES * part)) for part in range(_PARTS)]
        weights = [builder.load(_vector(builder, panel, one), align=4) for one in starts]
        # the same line of the next panel, or of the next layer's weights, is on its way from the second level meanwhile
        ahead = builder.add(at, builder.mul(depth, ir.Constant(_LONG, WIDE)))
        for line in range(0, WIDE, _LINE):
            _prefetch(builder, builder.gep(panel, [builder.add(ahead, ir.Constant(_LONG, line))]))
        for begin, into in zip(origin, sums, strict=True):
            number = builder.load(builder.gep(begin, [turn.index]), align=4)
            first = builder.insert_element(none, number, ir.Constant(_INT, 0))
            every = builder.shuffle_vector(first, none, ir.Constant(ir.VectorType(_INT, _LANES), [0] * _LANES))
            for one, weight in zip(into, weights, strict=True):
                builder.store(builder.call(fused, [every, weight, builder.load(one)]), one)
    for row, into in enumerate(sums):
        out = _moved(builder, c, c_row, row)
        for part, one in enumerate(into):
            place = _vector(builder, out, ir.Constant(_LONG, _LANES * part))
            builder.store(builder.load(one), place, align=4)


def _prefetch(builder: Any, pointer: Any) -> None:
    """Into the first level of the cache, to be read."""
    byte = ir.IntType(8).as_pointer()
    kind = ir.FunctionType(ir.VoidType(), [byte, _INT, _INT, _INT])
    fetch = _build.get_or_insert_function(builder.module, kind, "llvm.prefetch")
    builder.call(fetch, [builder.bitcast(pointer, byte), *(ir.Constant(_INT, number) for number in (0, 3, 1))])


_multiply_tile: Any = intrinsic(_tile)


def _moved(builder: Any, address: Any, numbers: Any, row: int) -> Any:
    """The pointer to a row."""
    moved = builder.add(address, builder.mul(numbers, ir.Constant(_LONG, 4 * row)))
    return builder.inttoptr(moved, _FLOAT.as_pointer())


def _vector(builder: Any, pointer: Any, numbers: Any) -> Any:
    return builder.bitcast(builder.gep(pointer, [numbers]), _VECTOR.as_pointer())


@compiled()
def multiply(x: Any, weight: Any, found: Any) -> None:
    """The product of (rows, inputs) and (inputs, columns), into ``found``; all float32 and contiguous.

    Args:
        x: (rows, inputs), of one input at least.
        weight: see ``panels``, (panels, inputs, WIDE).
        found: (rows, panels * WIDE), filled.

    Example:
        >>> x, weight = np.ones((2, 3), np.float32), np.arange(6, dtype=np.float32).reshape(3, 2)
        >>> found = np.empty((2, WIDE), np.float32)
        >>> multiply(x, panels(weight), found)
        >>> found[:, :3].tolist()
        [[6.0, 9.0, 0.0], [6.0, 9.0, 0.0]]
    """
    rows, depth = x.shape
    width = found.shape[1]
    tiles = -(-rows // _MOST)
    for panel in range(len(weight)):  # a panel stays in the first level of the cache for all rows
        begin = weight.ctypes.data + 4 * panel * depth * WIDE
        first = 0
        for tile in range(tiles):
            count = -(-(rows - first) // (tiles - tile))
            _multiply_tile(
                count, x.ctypes.data + 4 * first * depth, depth, begin,
                found.ctypes.data + 4 * (first * width + panel * WIDE), width, depth,
            )  # fmt: skip
            first += count


@compiled()
def panels_of(weights: Any, begin: int, inputs: int, outputs: int) -> Any:
    """A linear layer among the weights of a network.

    Args:
        weights: of all layers, one behind the other as ``hepgen.generators.networks.packing`` puts them.
        begin: where the layer begins.

    Returns:
        Weights (panels, inputs, WIDE), bias (panels * WIDE,), and where the next layer begins.
    """
    columns = padded(outputs)
    middle = begin + columns * inputs
    end = middle + columns
    return weights[begin:middle].reshape((columns // WIDE, inputs, WIDE)), weights[middle:end], end
