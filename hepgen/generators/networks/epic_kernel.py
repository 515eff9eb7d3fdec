"""What EPiC layers do between their products of matrices, in one compiled pass over the constituents, float32 on a CPU.

As a chain of tensor operations an activation and its sums wait for memory as long as for the products. Here a layer takes two
passes: one adds what the event tells and rectifies; one adds bias and start, rectifies, and sums for the next layer.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numba import njit


def _compiled(function: Callable[..., Any]) -> Any:
    """numba with sums in any order; what was compiled is kept for the next process, where there is a folder for it."""
    options: dict[str, Any] = {
        "nogil": True,
        "fastmath": {"contract", "arcp", "nsz", "reassoc"},
        "error_model": "numpy",
    }
    try:
        return njit(cache=True, **options)(function)
    except RuntimeError:
        return njit(**options)(function)


@_compiled
def pooled_rows(x: Any, offsets: Any, scale: Any, found: Any) -> None:
    """Mean and scaled sum of the constituents of each event become the first columns of ``found``.

    Args:
        x: (constituents, hidden), one event behind the other.
        offsets: (events + 1,), where each event begins and the last one ends, from any number on.
        scale: factor of sums.
        found: (events, at least 2 hidden).
    """
    hidden = x.shape[1]
    for i in range(len(offsets) - 1):
        count = offsets[i + 1] - offsets[i]
        share = np.float32(1) / np.float32(max(count, 1))
        sums = found[i]
        sums[:hidden] = np.float32(0)
        for j in range(offsets[i] - offsets[0], offsets[i + 1] - offsets[0]):
            row = x[j]
            for k in range(hidden):
                sums[k] += row[k]
        for k in range(hidden):
            sums[hidden + k] = sums[k] * scale
            sums[k] *= share


@_compiled
def told(near: Any, offsets: Any, event: Any, slope: Any) -> None:
    """``near`` (constituents, hidden) becomes the rectified sum of itself and what its ``event`` (events, hidden) tells."""
    hidden = near.shape[1]
    for i in range(len(offsets) - 1):
        row = event[i]
        for j in range(offsets[i] - offsets[0], offsets[i + 1] - offsets[0]):
            x = near[j]
            for k in range(hidden):
                value = x[k] + row[k]
                x[k] = max(value, slope * value)


@_compiled
def closed(x: Any, bias: Any, start: Any, offsets: Any, slope: Any, scale: Any, found: Any) -> None:
    """``x`` (constituents, hidden) becomes the rectified sum of itself and ``bias`` (hidden,), and ``start`` is added.

    Args:
        start: as ``x``.
        offsets, scale, found: see ``pooled_rows``, which this does for the result.
    """
    hidden = x.shape[1]
    sums = np.empty(hidden, np.float32)
    for i in range(len(offsets) - 1):
        sums[:] = np.float32(0)
        for j in range(offsets[i] - offsets[0], offsets[i + 1] - offsets[0]):
            row, first = x[j], start[j]
            for k in range(hidden):
                value = row[k] + bias[k]
                value = max(value, slope * value) + first[k]
                row[k] = value
                sums[k] += value
        share = np.float32(1) / np.float32(max(offsets[i + 1] - offsets[i], 1))
        for k in range(hidden):
            found[i, k] = sums[k] * share
            found[i, hidden + k] = sums[k] * scale


@_compiled
def event_step(
    found: Any, inner: Any, inner_bias: Any, outer: Any, outer_bias: Any, point: Any, point_bias: Any, start: Any,
    slope: Any, tells: Any,
) -> None:  # fmt: skip
    """What the event learns, and what it tells its constituents, as products with vectors, for few events.

    Args:
        found: (events, 2 hidden + latent + context): mean, sum, event and context; the event becomes the next layer's.
        inner, outer, point: weights (hidden, 2 hidden + latent + context), (latent, hidden) and (hidden, latent + context),
            with their biases.
        start: (events, latent), added to the event after the layer.
        tells: (events, hidden), filled.
    """
    events, inputs = found.shape
    latent, hidden = outer.shape
    between, now = np.empty(hidden, np.float32), np.empty(latent, np.float32)
    zero = np.float32(0)
    for i in range(events):
        for k in range(hidden):
            value = zero
            for p in range(inputs):
                value += inner[k, p] * found[i, p]
            value += inner_bias[k]
            between[k] = max(value, slope * value)
        for q in range(latent):
            value = zero
            for k in range(hidden):
                value += outer[q, k] * between[k]
            value += outer_bias[q] + found[i, 2 * hidden + q]
            now[q] = max(value, slope * value)
        for q in range(latent):
            found[i, 2 * hidden + q] = now[q]
        for k in range(hidden):
            value = point_bias[k]
            for p in range(point.shape[1]):
                value += point[k, p] * found[i, 2 * hidden + p]
            tells[i, k] = value
        for q in range(latent):
            found[i, 2 * hidden + q] += start[i, q]
