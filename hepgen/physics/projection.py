"""Constituents changed as little as needed, so that they sum to a given four-momentum; compiled."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from hepgen.physics.compiling import compiled

FloatArray = NDArray[np.float64]

_STEPS = 60
_INNER_STEPS = 30
_TOLERANCE = 1e-9
_NARROWEST, _WIDEST = 1e-3, 20.0


_compiled = compiled()


def project_constituents(
    pt: FloatArray,
    eta: FloatArray,
    phi: FloatArray,
    mass: FloatArray,
    counts: NDArray[np.int64],
    jets: FloatArray,
    floor: float = 0.0,
) -> tuple[FloatArray, FloatArray, FloatArray, NDArray[np.bool_]]:
    """Constituents whose four-momenta sum to those of their jets.

    Four numbers a jet are solved for: all pt above ``floor`` are scaled by one factor, all angles to the axis by another,
    and the axis is moved in eta and in phi. So the order in pt, and the relations of angles, stay. Where no scale of the
    angles gives the mass (one constituent, or a mass below those of the constituents) the others still hold, and the mass
    is the nearest.

    Args:
        pt, mass: (constituents of all jets), behind each other, in one unit.
        eta, phi: the same, relative to the axis of their jet.
        counts: (jets,), their sum the number of constituents.
        jets: (jets, 4): pt, eta, phi, mass.
        floor: the lowest pt of a constituent; none goes below.

    Returns:
        pt, absolute eta and absolute phi (not wrapped) of the constituents, and for which jets the mass is met.

    Example:
        >>> one = lambda *values: np.array(values)
        >>> pt, eta, phi, met = project_constituents(
        ...     one(60.0, 39.0), one(0.1, -0.1), one(0.0, 0.1), one(0.0, 0.0), np.array([2]), one(100.0, 1.0, 0.5, 20.0)[None]
        ... )
        >>> bool(met[0]), bool(abs((pt * np.cos(phi)).sum() - 100 * np.cos(0.5)) < 1e-6)
        (True, True)
    """
    made = [np.ascontiguousarray(one, dtype=np.float64).copy() for one in (pt, eta, phi)]
    met = np.zeros(len(counts), dtype=np.bool_)
    masses = np.ascontiguousarray(mass, dtype=np.float64)
    _project(*made, masses, counts.astype(np.int64), np.ascontiguousarray(jets, dtype=np.float64), float(floor), met)
    return made[0], made[1], made[2], met


@_compiled
def _sums(pt: Any, eta: Any, phi: Any, mass: Any, floor: float, axis: float, u: Any, total: Any, slope: Any) -> None:
    """px along the jet, py across it, pz and E of the sum, and their derivatives by the four numbers ``u``.

    u: factor of pt, factor of angles, shift in eta, shift in phi.
    """
    total[:] = 0.0
    slope[:] = 0.0
    for i in range(len(pt)):
        above = pt[i] - floor
        p = floor + u[0] * above
        h = axis + u[2] + u[1] * eta[i]
        f = u[3] + u[1] * phi[i]
        c, s, sh, ch = np.cos(f), np.sin(f), np.sinh(h), np.cosh(h)
        e = np.sqrt(mass[i] * mass[i] + p * p * ch * ch)
        total[0] += p * c
        total[1] += p * s
        total[2] += p * sh
        total[3] += e
        slope[0, 0] += above * c
        slope[0, 1] -= p * s * phi[i]
        slope[0, 3] -= p * s
        slope[1, 0] += above * s
        slope[1, 1] += p * c * phi[i]
        slope[1, 3] += p * c
        slope[2, 0] += above * sh
        slope[2, 1] += p * ch * eta[i]
        slope[2, 2] += p * ch
        per = p * ch / e if e > 0 else 1.0
        slope[3, 0] += per * ch * above
        slope[3, 1] += per * p * sh * eta[i]
        slope[3, 2] += per * p * sh


@_compiled
def _solve(pt: Any, eta: Any, phi: Any, mass: Any, floor: float, jet: Any, u: Any, wanted: int) -> bool:
    """Newton's method for all four numbers, or (wanted 3) for the three that keep the factor of the angles."""
    total, slope = np.zeros(4), np.zeros((4, 4))
    transverse, axis = jet[0], jet[1]
    along = transverse * np.sinh(axis)
    square = jet[3] * jet[3]
    energy = np.sqrt(square + transverse * transverse + along * along)
    for _ in range(_STEPS):
        _sums(pt, eta, phi, mass, floor, axis, u, total, slope)
        miss = np.array([total[0] - transverse, total[1], total[2] - along, 0.0])
        momentum = total[0] ** 2 + total[1] ** 2 + total[2] ** 2
        miss[3] = (total[3] ** 2 - momentum - square) / (2 * energy)
        scale = _TOLERANCE * transverse
        good = abs(miss[0]) < scale and abs(miss[1]) < scale and abs(miss[2]) < scale * np.cosh(axis)
        if wanted == 3:
            if good:
                return True
            free = np.empty((3, 3))
            for row in range(3):
                free[row, 0], free[row, 1], free[row, 2] = slope[row, 0], slope[row, 2], slope[row, 3]
            if abs(np.linalg.det(free)) < 1e-30:
                return False
            step3 = np.linalg.solve(free, miss[:3])
            u[0] = max(0.3 * u[0], u[0] - step3[0])
            u[2] -= max(-0.5, min(0.5, step3[1]))
            u[3] -= max(-0.5, min(0.5, step3[2]))
            continue
        if good and abs(miss[3]) * energy < 1e-7 * max(square, 1e-8 * transverse * transverse):
            return True
        for column in range(4):
            mixed = total[3] * slope[3, column]
            for row in range(3):
                mixed -= total[row] * slope[row, column]
            slope[3, column] = mixed / energy
        if not np.isfinite(slope.sum()) or abs(np.linalg.det(slope)) < 1e-30:
            return False
        step = np.linalg.solve(slope, miss)
        u[0] = max(0.5 * u[0], min(2 * u[0], u[0] - step[0]))
        u[1] = max(0.5 * u[1], min(2 * u[1], u[1] - step[1]))
        u[2] -= max(-0.5, min(0.5, step[2]))
        u[3] -= max(-0.5, min(0.5, step[3]))
        if u[1] < _NARROWEST or u[1] > _WIDEST:
            return False
    return False


@_compiled
def _mass_at(pt: Any, eta: Any, phi: Any, mass: Any, floor: float, jet: Any, u: Any, scale: float) -> float:
    """Mass of the sum whose angles have a given scale and whose pt and axis are those of the jet; nan if there is none."""
    u[0], u[1], u[2], u[3] = 1.0, scale, 0.0, 0.0
    if not _solve(pt, eta, phi, mass, floor, jet, u, 3):
        return np.nan
    total, slope = np.zeros(4), np.zeros((4, 4))
    _sums(pt, eta, phi, mass, floor, jet[1], u, total, slope)
    return float(np.sqrt(max(0.0, total[3] ** 2 - total[0] ** 2 - total[1] ** 2 - total[2] ** 2)))


@_compiled
def _nearest(pt: Any, eta: Any, phi: Any, mass: Any, floor: float, jet: Any, u: Any) -> bool:
    """By bisection of the scale of the angles: slower, and always the nearest mass."""
    low, high = _NARROWEST, 1.0
    found = _mass_at(pt, eta, phi, mass, floor, jet, u, high)
    while np.isfinite(found) and found < jet[3] and high < _WIDEST:
        low, high = high, 1.5 * high
        found = _mass_at(pt, eta, phi, mass, floor, jet, u, high)
    for _ in range(_INNER_STEPS):
        middle = np.sqrt(low * high)
        found = _mass_at(pt, eta, phi, mass, floor, jet, u, middle)
        if np.isfinite(found) and found < jet[3]:
            low = middle
        else:
            high = middle
    found = _mass_at(pt, eta, phi, mass, floor, jet, u, low)
    if not np.isfinite(found):
        u[0], u[1], u[2], u[3] = 1.0, 1.0, 0.0, 0.0
        return False
    return bool(abs(found - jet[3]) < 1e-4 * jet[3])


@_compiled
def _project(pt: Any, eta: Any, phi: Any, mass: Any, counts: Any, jets: Any, floor: float, met: Any) -> None:
    start = 0
    u = np.empty(4)
    for jet in range(len(counts)):
        stop = start + counts[jet]
        p, h, f, m = pt[start:stop], eta[start:stop], phi[start:stop], mass[start:stop]
        u[0], u[1], u[2], u[3] = 1.0, 1.0, 0.0, 0.0
        met[jet] = _solve(p, h, f, m, floor, jets[jet], u, 4)
        if not met[jet]:
            met[jet] = _nearest(p, h, f, m, floor, jets[jet], u)
        for i in range(stop - start):
            p[i] = floor + u[0] * (p[i] - floor)
            h[i] = jets[jet, 1] + u[2] + u[1] * h[i]
            f[i] = jets[jet, 2] + u[3] + u[1] * f[i]
        start = stop
