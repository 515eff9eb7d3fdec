"""N-subjettiness and energy correlations of jets of any length, compiled: one jet after the other, in the cache.

As chains of numpy operations over all jets at once, both cost the cube of the longest jet for every jet; here a jet costs
what its own constituents cost.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from hepgen.physics.compiling import compiled

# Sums may be reordered.
_compiled = compiled(fastmath={"contract", "nsz", "reassoc"}, error_model="numpy")


@_compiled
def _squared_distance(h1: float, f1: float, h2: float, f2: float) -> float:
    turn = abs(f1 - f2)
    if turn > 2 * math.pi:
        turn %= 2 * math.pi
    if turn > math.pi:
        turn = 2 * math.pi - turn
    return (h1 - h2) ** 2 + turn**2


@_compiled
def _closest(i: int, n: int, h: Any, f: Any, near: Any, gap: Any) -> None:
    """The geometric neighbour of subjet i and its squared distance."""
    gap[i] = np.inf
    near[i] = -1
    for j in range(n):
        if j != i:
            d = _squared_distance(h[i], f[i], h[j], f[j])
            if d < gap[i]:
                gap[i] = d
                near[i] = j


@_compiled
def _keep(n: int, q: Any, h: Any, f: Any, axes: Any) -> None:
    for i in range(n):
        axes[i, 0], axes[i, 1], axes[i, 2] = q[i], h[i], f[i]


@_compiled
def subjettiness(pt: Any, eta: Any, phi: Any, beta: float, radius: float, out: Any, axes: Any) -> None:
    """tau_1 .. tau_M of every jet into ``out`` (jets, M), see `hepgen.physics.jets.n_subjettiness`.

    pt, eta and phi of the M axes, or of all constituents where there are fewer, go into ``axes`` (jets, M, 3).

    In exclusive kT, the softer of the next pair has the other as its geometric neighbour (hep-ph/0512210), so that only
    neighbours have to be looked at. One clustering passes through every number of axes.
    """
    jets, size = pt.shape
    most = out.shape[1]
    q, h, f = np.empty(size), np.empty(size), np.empty(size)
    x, y, z, gap = np.empty(size), np.empty(size), np.empty(size), np.empty(size)
    near = np.empty(size, np.int64)
    for jet in range(jets):
        n = 0
        total = 0.0
        for c in range(size):
            p = pt[jet, c]
            if p > 0:
                q[n], h[n], f[n] = p, eta[jet, c], phi[jet, c]
                x[n], y[n], z[n] = p * math.cos(f[n]), p * math.sin(f[n]), p * math.sinh(h[n])
                total += p
                n += 1
        out[jet] = 0.0
        axes[jet] = 0.0
        if n <= most:
            _keep(n, q, h, f, axes[jet])
        for i in range(n):
            _closest(i, n, h, f, near, gap)
        while n > 1:
            best = np.inf
            a = 0
            for i in range(n):
                scale = q[i] ** 2 * gap[i]
                if scale < best:
                    best = scale
                    a = i
            # the sum takes the place of the first, the last subjet that of the second
            a, b = min(a, near[a]), max(a, near[a])
            x[a] += x[b]
            y[a] += y[b]
            z[a] += z[b]
            q[a] = math.hypot(x[a], y[a])
            h[a] = math.asinh(z[a] / max(q[a], 1e-300))
            f[a] = math.atan2(y[a], x[a])
            n -= 1
            q[b], h[b], f[b], x[b], y[b], z[b] = q[n], h[n], f[n], x[n], y[n], z[n]
            near[b], gap[b] = near[n], gap[n]
            for i in range(n):
                if near[i] in (a, b) or i == a:
                    # what was the neighbour is no more, or this is the new subjet
                    _closest(i, n, h, f, near, gap)
                else:
                    if near[i] == n:
                        near[i] = b
                    d = _squared_distance(h[i], f[i], h[a], f[a])
                    if d < gap[i]:
                        gap[i] = d
                        near[i] = a
            if n == most:
                _keep(n, q, h, f, axes[jet])
            if n <= most:
                away = 0.0
                for c in range(size):
                    if pt[jet, c] > 0:
                        least = np.inf
                        for i in range(n):
                            least = min(least, _squared_distance(eta[jet, c], phi[jet, c], h[i], f[i]))
                        away += pt[jet, c] * least ** (0.5 * beta)
                out[jet, n - 1] = away / (radius**beta * total)


@_compiled
def correlations(pt: Any, eta: Any, phi: Any, beta: float, out: Any) -> None:
    """Sums over pairs and over triples of pt and angles of every jet into ``out`` (jets, 2), arXiv:1409.6298."""
    jets, size = pt.shape
    q, h, f = np.empty(size), np.empty(size), np.empty(size)
    for jet in range(jets):
        n = 0
        for c in range(size):
            if pt[jet, c] > 0:
                q[n], h[n], f[n] = pt[jet, c], eta[jet, c], phi[jet, c]
                n += 1
        theta = np.zeros((n, n))
        for i in range(n):
            for j in range(i + 1, n):
                theta[i, j] = math.sqrt(_squared_distance(h[i], f[i], h[j], f[j]))
                if beta != 1.0:
                    theta[i, j] **= beta
                theta[j, i] = theta[i, j]
        # a product of matrices takes six times the multiplications of a loop over triples, in a tenth of its time
        joined = np.dot(theta * q[:n], theta)
        pairs = triples = 0.0
        for i in range(n):
            for j in range(i + 1, n):
                both = q[i] * q[j] * theta[i, j]
                pairs += both
                triples += both * joined[i, j]
        out[jet, 0] = pairs
        out[jet, 1] = triples / 3
