"""Jet observables from constituents: pure functions of padded arrays.

Constituents stand in arrays of shape (jets, constituents), massless unless a mass is given; a constituent of pt 0 does not
count, which is how shorter jets are padded. pt and mass in one unit, absolute or relative to the jet; angles in radians.
"""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from functools import cache
from types import ModuleType

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hepgen.errors import UsageError
from hepgen.physics.energy_flow import angles, delta_r, energy_flow_polynomials

FloatArray = NDArray[np.float64]

SUBSTRUCTURE = ("tau21", "tau32", "d2")
TURN = 2 * np.pi + 1e-3
"""What an azimuth in rad does not exceed, but for the rounding of files."""
_CHUNK = 2_000_000  # distances at a time
_TINY = 1e-300


@dataclass(frozen=True)
class Momentum:
    """Four-momenta, each (jets,)."""

    pt: FloatArray
    eta: FloatArray
    phi: FloatArray
    mass: FloatArray


def jet_momentum(pt: ArrayLike, eta: ArrayLike, phi: ArrayLike, mass: ArrayLike = 0.0) -> Momentum:
    """The sum of the constituents of each jet.

    Args:
        pt, eta, phi: (jets, constituents).
        mass: (jets, constituents) or one for all; -m for a constituent whose E^2 - p^2 is -m^2, which rounding makes.

    Example:
        >>> jet = jet_momentum([[1.0, 1.0]], [[0.0, 0.0]], [[-0.5, 0.5]])
        >>> float(jet.pt[0]), float(jet.mass[0])
        (1.75517, 0.958851)
    """
    return _momentum(*np.moveaxis(_vectors(pt, eta, phi, mass).sum(axis=1), -1, 0))


def wrapped(phi: FloatArray, low: float = -np.pi) -> FloatArray:
    """Azimuths of one turn from ``low`` on, of any shape.

    Example:
        >>> wrapped(np.array([4.0])).round(3).tolist(), wrapped(np.array([-1.0]), 0.0).round(3).tolist()
        ([-2.283], [5.283])
    """
    return np.asarray((phi - low) % (2 * np.pi) + low)


def summed(pt: FloatArray, eta: FloatArray, phi: FloatArray, mass: FloatArray, counts: NDArray[np.int64]) -> Momentum:
    """The sum of the constituents of each jet, which stand behind each other.

    Args:
        pt, eta, phi, mass: (constituents of all jets).
        counts: (jets,), at least 1 each.

    Example:
        >>> ones = np.ones(2)
        >>> float(summed(ones, 0 * ones, np.array([-0.5, 0.5]), 0 * ones, np.array([2])).mass[0])
        0.958851
    """
    first = np.cumsum(counts) - counts
    vectors = [np.add.reduceat(one, first) for one in np.moveaxis(_vectors(pt, eta, phi, mass), -1, 0)]
    return _momentum(*vectors)


def _momentum(energy: FloatArray, x: FloatArray, y: FloatArray, z: FloatArray) -> Momentum:
    transverse = np.hypot(x, y)
    rapidity = np.arcsinh(z / np.where(transverse > 0, transverse, 1.0))
    square = energy**2 - transverse**2 - z**2
    return Momentum(transverse, rapidity, np.arctan2(y, x), np.sqrt(np.maximum(square, 0.0)))


def _vectors(pt: ArrayLike, eta: ArrayLike, phi: ArrayLike, mass: ArrayLike = 0.0) -> FloatArray:
    """E, px, py, pz: (jets, constituents, 4)."""
    p, h, f, m = np.broadcast_arrays(*(np.asarray(one, dtype=np.float64) for one in (pt, eta, phi, mass)))
    m = np.where(p > 0, m, 0.0)
    return np.stack(
        [np.sqrt(np.maximum((p * np.cosh(h)) ** 2 + m * np.abs(m), 0.0)), p * np.cos(f), p * np.sin(f), p * np.sinh(h)],
        axis=-1,
    )


def energy_correlation_d2(pt: ArrayLike, eta: ArrayLike, phi: ArrayLike, *, beta: float = 1.0) -> FloatArray:
    """D2 = e3 / e2^3 of the energy correlation functions with energies relative to the jet's pt (arXiv:1409.6298).

    Small for jets of two prongs; (jets,), nan for jets of fewer than two constituents.

    Example:
        >>> energy_correlation_d2([[1.0, 1.0, 1.0]], [[0.0, 0.1, 0.0]], [[0.0, 0.0, 0.1]]).round(3).tolist()
        [0.956]
    """
    energies, rapidity, azimuth = (np.asarray(one, dtype=np.float64) for one in (pt, eta, phi))
    compiled = _kernel()
    if compiled is not None:
        found = np.empty((len(energies), 2))
        compiled.correlations(energies, rapidity, azimuth, float(beta), found)
    else:
        graphs = [((0, 1),), ((0, 1), (0, 2), (1, 2))]
        # each pair stands twice in the polynomial, each triple six times
        found = energy_flow_polynomials(energies, rapidity, azimuth, graphs, beta=beta) / [2, 6]
    total = jet_momentum(energies, rapidity, azimuth).pt
    total = np.where(total > 0, total, 1.0)
    e2, e3 = found[:, 0] / total**2, found[:, 1] / total**3
    return np.where(e2 > 0, e3 / np.where(e2 > 0, e2, 1.0) ** 3, np.nan)


def substructure(pt: ArrayLike, eta: ArrayLike, phi: ArrayLike) -> dict[str, FloatArray]:
    """Ratios that tell jets of one, two and three prongs apart: ``SUBSTRUCTURE``, each (jets,); nan where a jet has none.

    tau21 and tau32 are of ``n_subjettiness``, d2 is ``energy_correlation_d2``.

    Example:
        >>> found = substructure([[2.0, 1.0, 1.0]], [[0.0, 0.4, 0.5]], [[0.0, 0.0, 0.0]])
        >>> {name: round(float(one[0]), 3) for name, one in found.items()}
        {'tau21': 0.111, 'tau32': 0.0, 'd2': 0.373}
    """
    one, two, three = n_subjettiness(pt, eta, phi, 3).T
    d2 = energy_correlation_d2(pt, eta, phi)
    return {"tau21": _ratio(two, one), "tau32": _ratio(three, two), "d2": d2}


def _ratio(above: FloatArray, below: FloatArray) -> FloatArray:
    return np.where(below > 0, above / np.where(below > 0, below, 1.0), np.nan)


@cache
def _kernel() -> ModuleType | None:
    """The compiled sums, where numba goes with the numpy and the Python that are here."""
    try:
        return importlib.import_module("hepgen.physics.prong_kernel")
    except ImportError:
        return None


def n_subjettiness(
    pt: ArrayLike, eta: ArrayLike, phi: ArrayLike, subjets: int, *, beta: float = 1.0, radius: float = 0.8
) -> FloatArray:
    """tau_1 .. tau_N with the axes of exclusive kT clustering (arXiv:1011.2268): how far a jet is from N prongs.

    sum_i pt_i min_a dR(i, a)^beta / (radius^beta sum_i pt_i), with the E-scheme and without minimisation of the axes.

    Args:
        subjets: the largest number of axes N.
        radius: of the jets.

    Returns:
        (jets, subjets); tau_N is 0 for jets of N constituents or fewer.

    Example:
        >>> n_subjettiness([[2.0, 1.0, 1.0]], [[0.0, 0.4, 0.5]], [[0.0, 0.0, 0.0]], 2).tolist()
        [[0.281, 0.0312]]
    """
    energies, rapidity, azimuth = (np.asarray(one, dtype=np.float64) for one in (pt, eta, phi))
    if subjets < 1:
        raise UsageError(f"there is no N-subjettiness for {subjets} axes")
    result = np.empty((len(energies), subjets))
    compiled = _kernel()
    if compiled is not None:
        axes = np.empty((*result.shape, 3))
        compiled.subjettiness(energies, rapidity, azimuth, float(beta), float(radius), result, axes)
        return result
    step = max(1, _CHUNK // max(1, energies.shape[1] ** 2))
    for start in range(0, len(energies), step):
        part = slice(start, start + step)
        for number in range(1, subjets + 1):
            axes = _side_by_side(energies[part], rapidity[part], azimuth[part], number)
            away = _weighted_distance(energies[part], rapidity[part], azimuth[part], axes, beta)
            total = np.maximum(energies[part].sum(axis=1), _TINY)
            result[part, number - 1] = away / (radius**beta * total)
    return result


def _weighted_distance(pt: FloatArray, eta: FloatArray, phi: FloatArray, axes: FloatArray, beta: float) -> FloatArray:
    """Sum of pt times the power of the distance to the nearest axis, (jets,)."""
    away = np.full(pt.shape, np.inf)
    for axis in range(axes.shape[1]):
        there, h, f = (axes[:, axis, place][:, None] for place in range(3))
        away = np.where(there > 0, np.minimum(away, delta_r(eta - h, phi - f) ** beta), away)
    return np.asarray((pt * np.where(pt > 0, away, 0.0)).sum(axis=1))


def exclusive_kt_axes(pt: FloatArray, eta: FloatArray, phi: FloatArray, number: int) -> FloatArray:
    """Subjets of the exclusive kT algorithm with a radius larger than all distances: pt, eta, phi, (jets, number, 3).

    In no order. Jets of fewer constituents than ``number`` have axes of pt 0.

    Args:
        pt, eta, phi: (jets, constituents).
    """
    compiled = _kernel()
    if compiled is None:
        return _side_by_side(pt, eta, phi, number)
    found = np.empty((len(pt), number, 3))
    compiled.subjettiness(pt, eta, phi, 1.0, 1.0, np.empty((len(pt), number)), found)
    return found


def _side_by_side(pt: FloatArray, eta: FloatArray, phi: FloatArray, number: int) -> FloatArray:
    """All jets clustered side by side, one recombination in each at a time."""
    vectors = _vectors(pt, eta, phi)
    jets, size = pt.shape
    alive = pt > 0
    transverse, rapidity, azimuth = pt.copy(), eta.copy(), phi.copy()
    distance = angles(eta, phi)
    scale = np.minimum(pt[:, :, None], pt[:, None, :]) * distance
    scale[~(alive[:, :, None] & alive[:, None, :]) | np.eye(size, dtype=bool)] = np.inf
    left = alive.sum(axis=1)
    while (active := np.flatnonzero(left > number)).size:
        first, second = np.divmod(scale[active].reshape(len(active), -1).argmin(axis=1), size)
        vectors[active, first] += vectors[active, second]
        alive[active, second] = False
        scale[active, second, :] = scale[active, :, second] = np.inf
        _, x, y, z = vectors[active, first].T
        transverse[active, first] = p = np.hypot(x, y)
        rapidity[active, first] = h = np.arcsinh(z / np.maximum(p, _TINY))
        azimuth[active, first] = f = np.arctan2(y, x)
        near = delta_r(rapidity[active] - h[:, None], azimuth[active] - f[:, None])
        fresh = np.minimum(transverse[active], p[:, None]) * near
        fresh[~alive[active]] = np.inf
        fresh[np.arange(len(active)), first] = np.inf
        scale[active, first, :] = scale[active, :, first] = fresh
        left[active] -= 1
    order = np.argsort(~alive, axis=1, kind="stable")[:, :number]
    picked = [np.take_along_axis(np.where(alive, one, 0.0), order, axis=1) for one in (transverse, rapidity, azimuth)]
    axes = np.zeros((jets, number, 3))
    axes[:, : order.shape[1]] = np.stack(picked, axis=-1)
    return axes
