"""The splines of `hepgen.generators.splines` for float32 on a CPU, in one compiled pass over the values.

As a chain of tensor operations a spline waits for memory and for the interpreter; here a block of values goes through
all of it in the cache. The arithmetic is the same. What lets the compiler make vector operations of it: all rows of a
block are rows of one array whose size it knows, every loop runs over a whole block, and exponentials and logarithms are
polynomials, exact to the last bits of float32, in the place of calls of the C library.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np

from hepgen.generators.exponential import exp_below
from hepgen.physics.compiling import FAST, compiled

_BLOCK = 128
_F = np.float32
_ZERO, _HALF, _ONE, _TWO = _F(0), _F(0.5), _F(1), _F(2)
_THIRD, _FIFTH, _SEVENTH, _NINTH, _ELEVENTH, _THIRTEENTH = (_F(1 / n) for n in (3, 5, 7, 9, 11, 13))


# a function that is not inlined stops vectorisation
@compiled(forceinline=True, **FAST)
def _softplus(x: Any) -> Any:
    """log(1 + exp(x)), by 2 atanh(u / (2 + u)) = log(1 + u)."""
    u = exp_below(-abs(x))
    r = u / (_TWO + u)
    q = r * r
    series = _ONE + q * (_THIRD + q * (_FIFTH + q * (_SEVENTH + q * (_NINTH + q * (_ELEVENTH + q * _THIRTEENTH)))))
    return max(x, _ZERO) + _TWO * r * series


# Rows of a block, after the raw parameters and the exponentials.
_NAMES = (
    "x", "most", "total_w", "total_h", "target", "margin", "reached", "beyond", "running", "number", "left", "width", "bottom",
    "height", "d0", "d1", "inside", "unit", "w", "h", "low", "base", "t", "result", "steep", "to_mapped", "to_log", "raw0",
    "raw1", "low_w", "size_w", "mean_w", "low_h", "size_h", "mean_h",
)  # fmt: skip


@cache
def kernel(bins: int) -> Callable[..., None]:
    """The compiled function for splines of so many bins.

    Its arguments: ``x`` (values,) and ``raw`` (3 bins - 1, values); the values begin .. end that it treats; the bound, the
    least width of a bin (and least slope), and the raw slope that means 1; ``inverse`` for the inverse map. Then, with
    ``back`` false, two arguments of no meaning, and where to write the mapped values (values,) and dy/dx of the forward map
    (1, values), which is 1 outside the bound. With ``back`` true, the gradients with respect to the mapped values and to the
    log slope (values,), and where to write those with respect to x (values,) and to raw (3 bins - 1, values).
    """
    p = 3 * bins - 1
    e = p + 2 * bins
    rows = e + len(_NAMES)
    (
        x_, most, total_w, total_h, target, margin, reached, beyond, running, number, left, width, bottom, height, d0, d1, inside, unit,
        w, h, low, base, t, result, steep, to_mapped, to_log, raw0, raw1, low_w, size_w, mean_w, low_h, size_h, mean_h,
    ) = range(e, rows)  # fmt: skip

    def work(
        x: Any, raw: Any, begin: int, end: int, bound: Any, least: Any, flat: Any, inverse: bool,
        back: bool, given: Any, given_log: Any, out: Any, table: Any,
    ) -> None:  # fmt: skip
        b = np.empty((rows, _BLOCK), np.float32)
        scale = _ONE - _F(bins) * least
        through = _HALF / bound
        for start in range(begin, end, _BLOCK):
            m = min(_BLOCK, end - start)
            if m < _BLOCK:
                b[:] = _ZERO
            b[x_, :m] = x[start : start + m]
            for k in range(p):
                row = raw[k, start : start + m]
                for j in range(m):
                    b[k, j] = row[j]

            # the softmax of widths and heights
            for part in range(2):
                first = part * bins
                for j in range(_BLOCK):
                    b[most, j] = b[first, j]
                for k in range(1, bins):
                    for j in range(_BLOCK):
                        b[most, j] = max(b[most, j], b[first + k, j])
                for j in range(_BLOCK):
                    b[total_w + part, j] = _ZERO
                for k in range(bins):
                    for j in range(_BLOCK):
                        one = exp_below(b[first + k, j] - b[most, j])
                        b[p + first + k, j] = one
                        b[total_w + part, j] += one

            # The bin, in units of the running sum: bin k begins where sum(exp[:k]) + k * margin reaches the target.
            searched = p + bins if inverse else p
            total = total_h if inverse else total_w
            for j in range(_BLOCK):
                held = min(max(b[x_, j], -bound), bound)
                b[inside, j] = _ONE if held == b[x_, j] else _ZERO
                b[unit, j] = (held + bound) * through
                b[target, j] = b[unit, j] * b[total, j] / scale
                b[margin, j] = b[total, j] * least / scale
                b[running, j] = b[searched, j]
                b[reached, j] = _ONE
            for row in range(number, d1 + 1):
                for j in range(_BLOCK):
                    b[row, j] = _ZERO
            for k in range(bins):
                if k < bins - 1:
                    for j in range(_BLOCK):
                        b[target, j] -= b[margin, j]
                        b[beyond, j] = b[reached, j] if b[target, j] >= b[running, j] else _ZERO
                        b[running, j] += b[searched + k + 1, j]
                        b[number, j] += b[beyond, j]
                        b[left, j] += b[beyond, j] * b[p + k, j]
                        b[bottom, j] += b[beyond, j] * b[p + bins + k, j]
                        b[d1, j] += (b[reached, j] - b[beyond, j]) * b[2 * bins + k, j]
                else:
                    for j in range(_BLOCK):
                        b[beyond, j] = _ZERO
                if k > 0:
                    for j in range(_BLOCK):
                        b[d0, j] += (b[reached, j] - b[beyond, j]) * b[2 * bins + k - 1, j]
                for j in range(_BLOCK):
                    here = b[reached, j] - b[beyond, j]
                    b[width, j] += here * b[p + k, j]
                    b[height, j] += here * b[p + bins + k, j]
                    b[reached, j] = b[beyond, j]
            for j in range(_BLOCK):
                over_w, over_h = _ONE / b[total_w, j], _ONE / b[total_h, j]
                b[left, j] *= over_w
                b[width, j] *= over_w
                b[bottom, j] *= over_h
                b[height, j] *= over_h
                b[low, j] = b[number, j] * least + scale * b[left, j]
                b[base, j] = b[number, j] * least + scale * b[bottom, j]
                b[w, j] = least + scale * b[width, j]
                b[h, j] = least + scale * b[height, j]
                b[d0, j] = _softplus(b[d0, j] + flat) + least
                b[d1, j] = _softplus(b[d1, j] + flat) + least

            # the place in the bin; for the inverse by the root that does not cancel
            if inverse:
                for j in range(_BLOCK):
                    s = b[h, j] / b[w, j]
                    rise = min(max(b[unit, j] - b[base, j], _ZERO), b[h, j])
                    curve = rise * (b[d0, j] + b[d1, j] - _TWO * s)
                    quadratic = b[h, j] * (s - b[d0, j]) + curve
                    linear = b[h, j] * b[d0, j] - curve
                    constant = -s * rise
                    root = np.sqrt(max(linear * linear - _TWO * _TWO * quadratic * constant, _ZERO))
                    b[t, j] = min(max(_TWO * constant / (-linear - root), _ZERO), _ONE)
            else:
                for j in range(_BLOCK):
                    b[t, j] = min(max((b[unit, j] - b[low, j]) / b[w, j], _ZERO), _ONE)

            if not back:
                for j in range(_BLOCK):
                    place, rest = b[t, j], _ONE - b[t, j]
                    s, cross = b[h, j] / b[w, j], place * rest
                    over = _ONE / (s + (b[d0, j] + b[d1, j] - _TWO * s) * cross)
                    numerator = b[d1, j] * place * place + _TWO * s * cross + b[d0, j] * rest * rest
                    b[steep, j] = s * over * (s * over) * numerator if b[inside, j] > _HALF else _ONE
                    b[result, j] = b[base, j] + b[h, j] * (s * place * place + b[d0, j] * cross) * over
                if inverse:
                    for j in range(_BLOCK):
                        b[result, j] = b[low, j] + b[t, j] * b[w, j]
                for j in range(_BLOCK):
                    b[result, j] = b[result, j] * (_TWO * bound) - bound if b[inside, j] > _HALF else b[x_, j]
                out[start : start + m] = b[result, :m]
                table[0, start : start + m] = b[steep, :m]
                continue

            b[to_mapped, :m] = given[start : start + m]
            b[to_log, :m] = given_log[start : start + m]
            # The inverse is the forward map read from the other side: its gradients are those of the forward map with
            # these signs and factors.
            for j in range(_BLOCK):
                place, rest = b[t, j], _ONE - b[t, j]
                turn, level = rest - place, _ONE - _TWO * place * rest
                s, cross = b[h, j] / b[w, j], place * rest
                bend = b[d0, j] + b[d1, j] - _TWO * s
                over = _ONE / (s + bend * cross)
                per = _ONE / (b[d1, j] * place * place + _TWO * s * cross + b[d0, j] * rest * rest)
                slope = s * over * (s * over) / per
                rise = (s * place * place + b[d0, j] * cross) * over
                rate = _TWO * ((b[d1, j] * place + s * turn - b[d0, j] * rest) * per - bend * turn * over)
                value, log = b[to_mapped, j] * b[inside, j] * (_TWO * bound), b[to_log, j] * b[inside, j]
                forward_t = value * b[w, j] * slope + log * rate
                inverse_input = (value - log * rate / b[w, j]) / slope
                to_t = -value * b[w, j] if inverse else forward_t
                to_input = inverse_input if inverse else forward_t / b[w, j]
                value = -inverse_input if inverse else value
                log = -log if inverse else log
                b[result, j] = b[to_mapped, j] * (_ONE - b[inside, j]) + to_input * (_HALF / bound)
                before = value * b[h, j] * over
                to_s = before * (place * place - rise * level) + _TWO * log * (_ONE / s + cross * per - level * over)
                both = -_TWO * log * cross * over - before * cross * rise
                b[raw0, j] = (both + before * cross + log * rest * rest * per) * (_ONE - exp_below(least - b[d0, j]))
                b[raw1, j] = (both + log * place * place * per) * (_ONE - exp_below(least - b[d1, j]))
                share_w, share_h = scale / b[total_w, j], scale / b[total_h, j]
                b[low_w, j] = -to_t / b[w, j] * share_w
                b[size_w, j] = -(place * to_t + s * to_s) / b[w, j] * share_w
                b[mean_w, j] = b[low_w, j] * b[left, j] + b[size_w, j] * b[width, j]
                b[low_h, j] = value * share_h
                b[size_h, j] = (value * rise + to_s / b[w, j]) * share_h
                b[mean_h, j] = b[low_h, j] * b[bottom, j] + b[size_h, j] * b[height, j]
            # Of all bins only those before the value's and its own matter, and the sum by which all are normalised.
            for k in range(bins):
                here = _F(k)
                for j in range(_BLOCK):
                    n = b[number, j]
                    one = b[low_w, j] if n > here else _ZERO
                    one = b[size_w, j] if n == here else one
                    b[k, j] = b[p + k, j] * (one - b[mean_w, j])
                for j in range(_BLOCK):
                    n = b[number, j]
                    one = b[low_h, j] if n > here else _ZERO
                    one = b[size_h, j] if n == here else one
                    b[bins + k, j] = b[p + bins + k, j] * (one - b[mean_h, j])
            for k in range(bins - 1):
                here, after = _F(k), _F(k + 1)
                for j in range(_BLOCK):
                    n = b[number, j]
                    one = b[raw1, j] if n == here else _ZERO
                    b[2 * bins + k, j] = b[raw0, j] if n == after else one
            out[start : start + m] = b[result, :m]
            for k in range(p):
                line = table[k, start : start + m]
                for j in range(m):
                    line[j] = b[k, j]

    found: Callable[..., None] = compiled(**FAST)(work)
    return found
