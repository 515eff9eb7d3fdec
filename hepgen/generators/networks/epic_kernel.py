"""The EPiC network for a few events at a time, compiled, float32 on a CPU.

Of a layer, the weights and the constituents of these events stay in the cache of a core; what lies between two products stays
in its first level. There is no padding, and nothing is called in between. As a chain of tensor operations a jet by
itself costs the calls, and many jets cost the memory that is passed from one operation to the next.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from hepgen.generators.networks.epic_products import multiply_closed, multiply_told
from hepgen.generators.networks.small_products import multiply, padded
from hepgen.physics.compiling import FAST, compiled

_compiled = compiled(**FAST)
_NUMBERS = 2**16  # of the constituents of a block of events in a layer
_STEP = 56  # constituents that go through a layer together


# Numbers are addressed in their arrays: a view of a row is counted when it is made and when it is dropped, which for a
# jet by itself costs as much as the row.


@_compiled
def _rectified(values: Any, bias: Any, slope: Any) -> None:
    """``values`` (rows, columns) become the rectified sum of themselves and ``bias`` (columns,)."""
    for j in range(len(values)):
        for k in range(values.shape[1]):
            value = values[j, k] + bias[k]
            values[j, k] = max(value, slope * value)


@_compiled
def _opened(x: Any, bias: Any, start: Any, event_of: Any, slope: Any, sums: Any) -> None:
    """``x`` becomes the rectified sum of itself and ``bias``, ``start`` the same; it is added to ``sums``."""
    for j in range(len(x)):
        event = event_of[j]
        for k in range(x.shape[1]):
            value = x[j, k] + bias[k]
            value = max(value, slope * value)
            x[j, k] = value
            start[j, k] = value
            sums[event, k] += value


@_compiled
def make_events(
    points: Any, offsets: Any, given: Any, weights: Any, layers: int, hidden: int, latent: int, every: bool,
    slope: Any, scale: Any, made: Any,
) -> None:  # fmt: skip
    """What the network makes of events that stand behind each other.

    Args:
        points: (constituents, inputs).
        offsets: (events + 1,), where in ``points`` each event begins and the last one ends.
        given: (events, conditions).
        weights: of all linear layers as ``hepgen.generators.networks.epic_packed`` puts them. What is as wide as a
            layer is filled up with zeros to whole panels.
        layers, hidden, latent: of the network.
        every: whether every layer is given the condition.
        slope: of the rectification.
        scale: factor of sums over constituents.
        made: (constituents, outputs), filled.
    """
    events = len(offsets) - 1
    most = max(1, _NUMBERS // hidden)
    first = 0
    while first < events:
        last = first + 1
        while last < events and offsets[last + 1] - offsets[first] <= most:
            last += 1
        rows = slice(offsets[first], offsets[last])
        _make_block(
            points[rows], offsets[first : last + 1] - offsets[first], given[first:last], weights, layers, hidden,
            latent, every, slope, scale, made[rows],
        )  # fmt: skip
        first = last


@_compiled
def make_event(
    points: Any, given: Any, weights: Any, layers: int, hidden: int, latent: int, every: bool, slope: Any, scale: Any,
    outputs: int,
) -> Any:  # fmt: skip
    """What the network makes of one event, (1, constituents, inputs) to (1, constituents, outputs); see ``make_events``."""
    made = np.empty((1, points.shape[1], outputs), np.float32)
    offsets = np.array([0, points.shape[1]])
    _make_block(points[0], offsets, given, weights, layers, hidden, latent, every, slope, scale, made[0])
    return made


@_compiled
def _make_block(
    points: Any, offsets: Any, given: Any, weights: Any, layers: int, hidden: int, latent: int, every: bool,
    slope: Any, scale: Any, made: Any,
) -> None:  # fmt: skip
    outputs = made.shape[1]
    events, rows = len(given), len(points)
    context = given.shape[1] if every else 0
    told = latent + context
    wide, few, last = padded(hidden), padded(latent), padded(outputs)
    event_of = np.empty(rows, np.int64)
    for i in range(events):
        event_of[offsets[i] : offsets[i + 1]] = i
    x, start = np.empty((rows, wide), np.float32), np.empty((rows, wide), np.float32)
    near = np.empty((_STEP, wide), np.float32)
    between, tells = np.empty((events, wide), np.float32), np.empty((events, wide), np.float32)
    sums, begun = np.zeros((events, wide), np.float32), np.empty((events, few), np.float32)
    learned = np.empty((events, few), np.float32)
    found, known = np.empty((events, 2 * hidden + told), np.float32), np.empty((events, told), np.float32)

    at = multiply(given, 0, events, weights, 0, between, 0)
    _rectified(between, weights[at : at + wide], slope)
    at = multiply(between, 0, events, weights, at + wide, begun, 0)
    _rectified(begun, weights[at : at + few], slope)
    known[:, :latent] = begun[:, :latent]
    known[:, latent:] = given[:, :context]
    at = multiply(points, 0, rows, weights, at + few, x, 0)
    _opened(x, weights[at : at + wide], start, event_of, slope, sums)
    closing = at + wide
    begin = closing + (wide + 1) * last
    for _ in range(layers):
        for i in range(events):
            share = np.float32(1) / np.float32(max(offsets[i + 1] - offsets[i], 1))
            for k in range(hidden):
                found[i, k] = sums[i, k] * share
                found[i, hidden + k] = sums[i, k] * scale
                sums[i, k] = np.float32(0)
            for k in range(told):
                found[i, 2 * hidden + k] = known[i, k]
        at = multiply(found, 0, events, weights, begin, between, 0)
        _rectified(between, weights[at : at + wide], slope)
        at = multiply(between, 0, events, weights, at + wide, learned, 0)
        bias = weights[at : at + few]
        for i in range(events):
            for k in range(latent):
                value = learned[i, k] + bias[k] + known[i, k]
                known[i, k] = max(value, slope * value)
        at = multiply(known, 0, events, weights, at + few, tells, 0)
        bias = weights[at : at + wide]
        for i in range(events):
            for k in range(hidden):
                tells[i, k] += bias[k]
            for k in range(latent):
                known[i, k] += begun[i, k]
        first = at + wide
        second = first + (wide + 1) * wide
        begin = second + (wide + 1) * wide
        for j in range(0, rows, _STEP):
            those = min(_STEP, rows - j)
            multiply_told(x, j, those, weights, first, near, tells, event_of, slope)
            multiply_closed(near, those, weights, second, x, j, start, sums, event_of, slope)
    ends = np.empty((_STEP, last), np.float32)
    for j in range(0, rows, _STEP):
        those = min(_STEP, rows - j)
        at = multiply(x, j, those, weights, closing, ends, 0)
        bias = weights[at : at + last]
        for i in range(those):
            for k in range(outputs):
                made[j + i, k] = ends[i, k] + bias[k]
