"""Products of a few rows with a matrix of weights that stays in the cache, compiled, float32 on a CPU.

A library of linear algebra is made for large matrices: with a jet's constituents, 15 to 100 rows, it does not reach the
rate of the processor, since it arranges its operands anew at each call. Here weights stand in the order in which they are
read, once for all calls, and a tile of the result stays in registers until it is done. A row comes out the same to the
last bit however many there are.
"""

from __future__ import annotations

import inspect
import itertools
from collections.abc import Callable, Sequence
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
LANES = 16
_LARGE = bool(binding.get_host_cpu_features().get("avx512f", False))  # 32 registers of 16 numbers, or half as many of 8
# Rows of a tile: what the registers hold.
MOST = 14 if _LARGE else 3
# A row by itself waits for its own sums: so few rows are multiplied with several panels at a time.
_FEW, _ACROSS = (3, 4) if _LARGE else (1, 2)
_LATER = 8
_FLOAT, _LONG, _INT = ir.FloatType(), ir.IntType(64), ir.IntType(32)
_VECTOR = ir.VectorType(_FLOAT, LANES)
_PARTS = WIDE // LANES
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


def tiles(finish: Callable[..., None], further: Sequence[Any] = (), most: int = MOST, across: int = 1) -> Any:
    """An operation of compiled functions: the product of rows with panels that lie one behind the other, and what becomes of it.

    Args:
        finish: generates the code for what becomes of the sums. It gets the builder, the sums (rows of places of vectors), ``c``
            and ``c_row`` as below, and the values of the further arguments.
        further: types of further arguments of the operation.
        most: number of rows, at most.
        across: number of panels.
    """

    def tile(context: Any, rows: Any, a: Any, a_row: Any, b: Any, c: Any, c_row: Any, depth: Any, *more: Any) -> Any:
        """The product.

        Args:
            rows: 1 to ``most``.
            a, a_row: address of the rows, and numbers from one to the next.
            b: address of the first panel.
            c, c_row: where the result goes.
            depth: length of a row.
        """
        del context, more
        signature = types.void(*(types.intp for _ in (rows, a, a_row, b, c, c_row, depth)), *further)

        def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            del signature
            rows, a, a_row, b, c, c_row, depth, *more = arguments
            done = builder.append_basic_block("done")
            switch = builder.switch(rows, done)
            for count in range(1, most + 1):
                block = builder.append_basic_block(f"rows{count}")
                switch.add_case(ir.Constant(_LONG, count), block)
                builder.position_at_end(block)
                finish(builder, _sums(builder, count, across, a, a_row, b, depth), c, c_row, *more)
                builder.branch(done)
            builder.position_at_end(done)
            return context.get_dummy_value()

        return signature, generate

    # numba counts the arguments of a function by its signature, and would make one of all further ones
    known = list(inspect.signature(tile).parameters.values())[:-1]
    further_ones = [known[0].replace(name=f"more{place}") for place in range(len(further))]
    tile.__signature__ = inspect.Signature([*known, *further_ones])  # type: ignore[attr-defined]
    return intrinsic(tile)


def _sums(builder: Any, rows: int, across: int, a: Any, a_row: Any, b: Any, depth: Any) -> list[list[Any]]:
    """The code for so many rows: their sums in registers, all of them in each turn of one loop over the depth."""
    sums = [[_build.alloca_once(builder, _VECTOR) for _ in range(_PARTS * across)] for _ in range(rows)]
    for one in itertools.chain.from_iterable(sums):
        builder.store(ir.Constant(_VECTOR, [0.0] * LANES), one)
    origin = [_moved(builder, a, a_row, row) for row in range(rows)]
    panel = builder.inttoptr(b, _FLOAT.as_pointer())
    # fused where the processor can, and else a product and a sum
    kind = ir.FunctionType(_VECTOR, [_VECTOR] * 3)
    fused = _build.get_or_insert_function(builder.module, kind, f"llvm.fmuladd.v{LANES}f32")
    with _build.for_range(builder, depth, intp=_LONG) as turn:
        at, whole = builder.mul(turn.index, ir.Constant(_LONG, WIDE)), builder.mul(depth, ir.Constant(_LONG, WIDE))
        places = [builder.add(at, builder.mul(whole, ir.Constant(_LONG, one))) for one in range(across + 1)]
        starts = [
            builder.add(one, ir.Constant(_LONG, LANES * part)) for one in places[:across] for part in range(_PARTS)
        ]
        weights = [builder.load(_vector(builder, panel, one), align=4) for one in starts]
        # meanwhile lines are on their way from the second level: the same ones of the next panel, or of the next layer's weights;
        # of panels that are read side by side those of a later turn
        later = [builder.add(one, ir.Constant(_LONG, _LATER * WIDE)) for one in places[:across]]
        for place, line in itertools.product(later if across > 1 else places[1:], range(0, WIDE, _LINE)):
            _prefetch(builder, builder.gep(panel, [builder.add(place, ir.Constant(_LONG, line))]))
        for begin, into in zip(origin, sums, strict=True):
            every = splat(builder, builder.load(builder.gep(begin, [turn.index]), align=4))
            for one, weight in zip(into, weights, strict=True):
                builder.store(builder.call(fused, [every, weight, builder.load(one)]), one)
    return sums


def _stored(builder: Any, sums: list[list[Any]], c: Any, c_row: Any) -> None:
    """The product as it is."""
    for row, into in enumerate(sums):
        for one, place in zip(into, vectors(builder, c, c_row, row, len(into)), strict=True):
            builder.store(builder.load(one), place, align=4)


def vectors(builder: Any, address: Any, numbers: Any, row: Any, count: int) -> list[Any]:
    """Pointers to the first vectors of a row, so many ``numbers`` behind each other."""
    begin = _moved(builder, address, numbers, row)
    return [_vector(builder, begin, ir.Constant(_LONG, LANES * part)) for part in range(count)]


def splat(builder: Any, number: Any) -> Any:
    """A vector of one number."""
    none = ir.Constant(_VECTOR, ir.Undefined)
    first = builder.insert_element(none, number, ir.Constant(_INT, 0))
    return builder.shuffle_vector(first, none, ir.Constant(ir.VectorType(_INT, LANES), [0] * LANES))


def _prefetch(builder: Any, pointer: Any) -> None:
    """Into the first level of the cache, to be read."""
    byte = ir.IntType(8).as_pointer()
    kind = ir.FunctionType(ir.VoidType(), [byte, _INT, _INT, _INT])
    fetch = _build.get_or_insert_function(builder.module, kind, "llvm.prefetch")
    builder.call(fetch, [builder.bitcast(pointer, byte), *(ir.Constant(_INT, number) for number in (0, 3, 1))])


_multiply_tile: Any = tiles(_stored)
_multiply_few: Any = tiles(_stored, most=_FEW, across=_ACROSS)


def _moved(builder: Any, address: Any, numbers: Any, row: Any) -> Any:
    """The pointer to a row, which is a number or a value."""
    place = ir.Constant(_LONG, row) if isinstance(row, int) else row
    moved = builder.mul(builder.mul(numbers, place), ir.Constant(_LONG, 4))
    return builder.inttoptr(builder.add(address, moved), _FLOAT.as_pointer())


def _vector(builder: Any, pointer: Any, numbers: Any) -> Any:
    return builder.bitcast(builder.gep(pointer, [numbers]), _VECTOR.as_pointer())


@compiled()
def multiply(x: Any, first: int, rows: int, weights: Any, begin: int, found: Any, to: int) -> int:
    """The product of rows of ``x`` and a linear layer's weights, into rows of ``found``; all float32 and contiguous.

    Everything is addressed in its array: a view is counted when it is made and when it is dropped, which for a few rows costs
    as much as a row.

    Args:
        x: (any, inputs), of one input at least.
        first, rows: from which row on, and how many.
        weights: of all layers, one behind the other as ``hepgen.generators.networks.packing`` puts them.
        begin: where the layer's begin, see ``panels``.
        found: (any, panels * WIDE), filled from row ``to`` on.

    Returns:
        Where the layer's bias begins.

    Example:
        >>> x, weight = np.ones((2, 3), np.float32), np.arange(6, dtype=np.float32).reshape(3, 2)
        >>> found = np.empty((2, WIDE), np.float32)
        >>> multiply(x, 0, 2, panels(weight).ravel(), 0, found, 0)
        96
        >>> found[:, :3].tolist()
        [[6.0, 9.0, 0.0], [6.0, 9.0, 0.0]]
    """
    depth, width = x.shape[1], found.shape[1]
    many = width // WIDE
    parts = -(-rows // MOST)
    source, layer = x.ctypes.data + 4 * first * depth, weights.ctypes.data + 4 * begin
    target = found.ctypes.data + 4 * to * width
    together = many // _ACROSS if 0 < rows <= _FEW else 0
    for group in range(together):
        aside = 4 * group * _ACROSS * WIDE
        _multiply_few(rows, source, depth, layer + aside * depth, target + aside, width, depth)
    for panel in range(together * _ACROSS, many):  # a panel stays in the first level of the cache for all rows
        for part in range(parts):
            done = rows * part // parts
            count = rows * (part + 1) // parts - done
            _multiply_tile(
                count, source + 4 * done * depth, depth, layer + 4 * panel * depth * WIDE,
                target + 4 * (done * width + panel * WIDE), width, depth,
            )  # fmt: skip
    bias: int = begin + depth * width
    return bias
