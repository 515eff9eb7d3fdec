"""Masses of the particles that reach a detector, by their number in the Monte Carlo scheme of the Particle Data Group."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

_MASSES = {
    11: 0.00051099895,
    13: 0.1056583755,
    15: 1.77693,
    111: 0.1349768,
    130: 0.497611,
    211: 0.13957039,
    310: 0.497611,
    321: 0.493677,
    2112: 0.93956542,
    2212: 0.93827209,
    3112: 1.197449,
    3122: 1.115683,
    3212: 1.192642,
    3222: 1.18937,
    3312: 1.32171,
    3322: 1.31486,
    3334: 1.67245,
    1000010020: 1.87561294,
}
_MASSLESS = (1, 2, 12, 14, 16, 22)  # 1 and 2 are the forward calorimeter's deposits in particle flow of CMS


def known_codes() -> frozenset[int]:
    """The codes, without their sign, whose mass is known.

    Example:
        >>> 211 in known_codes(), 9 in known_codes()
        (True, False)
    """
    return frozenset(_MASSES) | frozenset(_MASSLESS)


def particle_mass(codes: ArrayLike) -> NDArray[np.float64]:
    """Masses in GeV of particle codes of any shape, nan where one is not known (Particle Data Group, 2024).

    Example:
        >>> particle_mass([-211, 22, 9]).tolist()
        [0.13957039, 0.0, nan]
    """
    values, place = np.unique(np.abs(np.asarray(codes, dtype=np.int64)), return_inverse=True)
    masses = np.array([0.0 if int(code) in _MASSLESS else _MASSES.get(int(code), np.nan) for code in values])
    return masses[place].reshape(np.shape(codes))
