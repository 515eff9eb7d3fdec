"""Residual blocks for a few events at a time, compiled, float32 on a CPU: what lies between two products stays in the cache."""

from __future__ import annotations

from typing import Any

import numpy as np

from hepgen.generators.exponential import exp_below
from hepgen.generators.networks.small_products import multiply, padded
from hepgen.physics.compiling import FAST, compiled

_compiled = compiled(**FAST)
_STEP = 56  # events that go through the network together
_ONE, _ZERO = np.float32(1), np.float32(0)


@_compiled
def _silu(values: Any, rows: int, columns: int, out: Any) -> None:
    """x / (1 + exp(-x)) of (rows, columns), into the first columns of another array, ``out``: in place it is no vector operation."""
    for j in range(rows):
        for k in range(columns):
            x = values[j, k]
            small = exp_below(-abs(x))
            out[j, k] = x * (_ONE if x >= _ZERO else small) / (_ONE + small)


@_compiled
def _added(values: Any, rows: int, more: Any, bias: Any) -> None:
    """``values`` (rows, columns) become the sum of themselves, ``more`` and ``bias`` (columns,)."""
    for j in range(rows):
        for k in range(values.shape[1]):
            values[j, k] += more[j, k] + bias[k]


@_compiled
def make_events(x: Any, given: Any, weights: Any, layers: int, hidden: int, begin: int, end: int, made: Any) -> None:
    """What the network makes of some events.

    Args:
        x: (events, inputs).
        given: (events, conditions), of one at least.
        weights: of all linear layers as ``hepgen.generators.networks.residual`` puts them.
        layers, hidden: of the network.
        begin, end: the events that are made.
        made: (events, outputs), filled there.
    """
    inputs, conditions, outputs = x.shape[1], given.shape[1], made.shape[1]
    wide, last = padded(hidden), padded(outputs)
    seen = np.empty((_STEP, inputs + conditions), np.float32)
    known = np.empty((_STEP, wide + conditions), np.float32)
    state, inside = np.empty((_STEP, wide), np.float32), np.empty((_STEP, wide), np.float32)
    changed, ends = np.empty((_STEP, wide), np.float32), np.empty((_STEP, last), np.float32)
    for first in range(begin, end, _STEP):
        rows = min(_STEP, end - first)
        for j in range(rows):
            for k in range(inputs):
                seen[j, k] = x[first + j, k]
            for k in range(conditions):
                seen[j, inputs + k] = given[first + j, k]
                known[j, wide + k] = given[first + j, k]
        at = multiply(seen, 0, rows, weights, 0, inside, 0)
        bias = weights[at : at + wide]
        for j in range(rows):
            for k in range(wide):
                state[j, k] = inside[j, k] + bias[k]
        for _ in range(layers):
            _silu(state, rows, wide, known)
            at = multiply(known, 0, rows, weights, at + wide, inside, 0)
            bias = weights[at : at + wide]
            for j in range(rows):
                for k in range(wide):
                    inside[j, k] += bias[k]
            _silu(inside, rows, wide, changed)
            at = multiply(changed, 0, rows, weights, at + wide, inside, 0)
            bias = weights[at : at + wide]
            _added(state, rows, inside, bias)
        _silu(state, rows, wide, inside)
        at = multiply(inside, 0, rows, weights, at + wide, ends, 0)
        bias = weights[at : at + last]
        for j in range(rows):
            for k in range(outputs):
                made[first + j, k] = ends[j, k] + bias[k]
