"""The exponential as a polynomial, which a compiler makes vector operations of, in the place of calls of the C library."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.polynomial import Chebyshev, Polynomial

from hepgen.physics.compiling import FAST, compiled

_F = np.float32
# 2^f for -1 < f <= 0
_POWERS = tuple(_F(c) for c in Chebyshev.interpolate(np.exp2, 6, domain=[-1, 0]).convert(kind=Polynomial).coef)
_P0, _P1, _P2, _P3, _P4, _P5, _P6 = _POWERS
_LOG2E, _LEAST = _F(math.log2(math.e)), _F(-87)


@compiled(forceinline=True, **FAST)
def exp_below(x: Any) -> Any:
    """exp(x) for x <= 0, float32, exact to the last bits; below -87 as there.

    Example:
        >>> round(float(exp_below(np.float32(-1.0))), 6)
        0.367879
    """
    t = max(x, _LEAST) * _LOG2E
    i = np.int32(t)  # towards 0
    f = t - _F(i)
    power = _P0 + f * (_P1 + f * (_P2 + f * (_P3 + f * (_P4 + f * (_P5 + f * _P6)))))
    return power * np.int32((i + np.int32(127)) << np.int32(23)).view(np.float32)
