"""The EPiC network for a few events at a time, compiled, float32 on a CPU.

Of a layer, the weights and the constituents of these events stay in the cache of a core; what lies between two products stays
in its first level. There is no padding, and nothing is called in between. As a chain of tensor operations a jet by
itself costs the calls, and many jets cost the memory that is passed from one operation to the next.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from hepgen.physics.compiling import compiled

_compiled = compiled(fastmath={"contract", "arcp", "nsz", "reassoc"}, error_model="numpy")
LINE = 16
"""Numbers of a line of the cache, at whose beginning the weights of a layer stand: read across lines, they take half as long again."""
_PRODUCT = 2**18  # multiplications of a product: OpenBLAS then takes the weights as they lie and starts no threads
_NUMBERS = 2**16  # of the constituents of a block of events in a layer


@_compiled
def _linear(weights: Any, begin: int, inputs: int, outputs: int) -> Any:
    """Weights (inputs, outputs), bias (outputs,), and where the next layer begins."""
    middle = begin + inputs * outputs
    next_line = -(-(middle + outputs) // LINE) * LINE
    return weights[begin:middle].reshape((inputs, outputs)), weights[middle : middle + outputs], next_line


@_compiled
def _rows(size: int) -> int:
    """How many rows may be multiplied with so many weights at a time."""
    return int(max(4, _PRODUCT // size))


@_compiled
def _multiply(x: Any, weight: Any, found: Any) -> None:
    """The product (rows, inputs) with (inputs, outputs), into ``found``."""
    rows, inputs = x.shape
    if rows != 1:
        step = _rows(weight.size)
        for j in range(0, rows, step):
            np.dot(x[j : j + step], weight, found[j : j + step])
        return
    outputs = weight.shape[1]
    given, total = x[0], found[0]
    total[:] = np.float32(0)
    whole = inputs - inputs % 4
    for p in range(0, whole, 4):
        a, b, c, d = given[p], given[p + 1], given[p + 2], given[p + 3]
        first, second, third, fourth = weight[p], weight[p + 1], weight[p + 2], weight[p + 3]
        for k in range(outputs):
            total[k] += a * first[k] + b * second[k] + c * third[k] + d * fourth[k]
    for p in range(whole, inputs):
        a, first = given[p], weight[p]
        for k in range(outputs):
            total[k] += a * first[k]


@_compiled
def _rectified(values: Any, bias: Any, slope: Any) -> None:
    """``values`` (rows, columns) become the rectified sum of themselves and ``bias`` (columns,)."""
    for j in range(len(values)):
        row = values[j]
        for k in range(len(bias)):
            value = row[k] + bias[k]
            row[k] = max(value, slope * value)


@_compiled
def _told(near: Any, tells: Any, event_of: Any, slope: Any) -> None:
    """``near`` (constituents, hidden) becomes the rectified sum of itself and what its event tells, (events, hidden)."""
    hidden = near.shape[1]
    for j in range(len(near)):
        row, event = near[j], tells[event_of[j]]
        for k in range(hidden):
            value = row[k] + event[k]
            row[k] = max(value, slope * value)


@_compiled
def _closed(x: Any, close: Any, bias: Any, start: Any, event_of: Any, slope: Any, sums: Any) -> None:
    """``x`` becomes the rectified sum of itself, ``close`` and ``bias``, and ``start``; it is added to ``sums``."""
    hidden = x.shape[1]
    for j in range(len(x)):
        row, found, first, total = x[j], close[j], start[j], sums[event_of[j]]
        for k in range(hidden):
            value = row[k] + found[k] + bias[k]
            value = max(value, slope * value) + first[k]
            row[k] = value
            total[k] += value


@_compiled
def _opened(x: Any, bias: Any, start: Any, event_of: Any, slope: Any, sums: Any) -> None:
    """``x`` becomes the rectified sum of itself and ``bias``, ``start`` the same; it is added to ``sums``."""
    hidden = x.shape[1]
    for j in range(len(x)):
        row, first, total = x[j], start[j], sums[event_of[j]]
        for k in range(hidden):
            value = row[k] + bias[k]
            value = max(value, slope * value)
            row[k] = value
            first[k] = value
            total[k] += value


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
        weights: of all linear layers as ``hepgen.generators.networks.epic_packed`` puts them.
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
def _make_block(
    points: Any, offsets: Any, given: Any, weights: Any, layers: int, hidden: int, latent: int, every: bool,
    slope: Any, scale: Any, made: Any,
) -> None:  # fmt: skip
    conditions, inputs, outputs = given.shape[1], points.shape[1], made.shape[1]
    events, rows = len(given), len(points)
    context = conditions if every else 0
    told = latent + context
    event_of = np.empty(rows, np.int64)
    for i in range(events):
        event_of[offsets[i] : offsets[i + 1]] = i
    x, start = np.empty((rows, hidden), np.float32), np.empty((rows, hidden), np.float32)
    step = _rows(hidden * hidden)
    near, close = np.empty((step, hidden), np.float32), np.empty((step, hidden), np.float32)
    between, tells = np.empty((events, hidden), np.float32), np.empty((events, hidden), np.float32)
    sums, learned = np.zeros((events, hidden), np.float32), np.empty((events, latent), np.float32)
    found, known = np.empty((events, 2 * hidden + told), np.float32), np.empty((events, told), np.float32)

    weight, bias, end = _linear(weights, 0, conditions, hidden)
    _multiply(given, weight, between)
    _rectified(between, bias, slope)
    weight, bias, end = _linear(weights, end, hidden, latent)
    begun = np.empty((events, latent), np.float32)
    _multiply(between, weight, begun)
    _rectified(begun, bias, slope)
    known[:, :latent] = begun
    known[:, latent:] = given[:, :context]
    weight, bias, end = _linear(weights, end, inputs, hidden)
    _multiply(points, weight, x)
    _opened(x, bias, start, event_of, slope, sums)
    closing, closing_bias, end = _linear(weights, end, hidden, outputs)
    for _ in range(layers):
        for i in range(events):
            share = np.float32(1) / np.float32(max(offsets[i + 1] - offsets[i], 1))
            for k in range(hidden):
                found[i, k] = sums[i, k] * share
                found[i, hidden + k] = sums[i, k] * scale
                sums[i, k] = np.float32(0)
            for k in range(told):
                found[i, 2 * hidden + k] = known[i, k]
        weight, bias, end = _linear(weights, end, 2 * hidden + told, hidden)
        _multiply(found, weight, between)
        _rectified(between, bias, slope)
        weight, bias, end = _linear(weights, end, hidden, latent)
        _multiply(between, weight, learned)
        for i in range(events):
            for k in range(latent):
                value = learned[i, k] + bias[k] + known[i, k]
                known[i, k] = max(value, slope * value)
        weight, bias, end = _linear(weights, end, told, hidden)
        _multiply(known, weight, tells)
        for i in range(events):
            for k in range(hidden):
                tells[i, k] += bias[k]
            for k in range(latent):
                known[i, k] += begun[i, k]
        weight, _, end = _linear(weights, end, hidden, hidden)
        second, bias, end = _linear(weights, end, hidden, hidden)
        for j in range(0, rows, step):
            part, few = x[j : j + step], event_of[j : j + step]
            one, other = near[: len(few)], close[: len(few)]
            np.dot(part, weight, one)
            _told(one, tells, few, slope)
            np.dot(one, second, other)
            _closed(part, other, bias, start[j : j + step], few, slope, sums)
    _multiply(x, closing, made)
    for j in range(rows):
        for k in range(outputs):
            made[j, k] += closing_bias[k]
