"""Where the prongs of a jet lie: numbers that are made with the jet, so that its constituents know what to gather around.

Three prongs that come together out of independent noise have to be agreed upon by all constituents; told where they are,
each constituent finds its own.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from hepgen.events.schema import Column
from hepgen.physics.jets import exclusive_kt_axes, wrapped
from hepgen.representations.cloud_layout import Cloud, there_are

FloatArray = NDArray[np.float64]

_LEAST_SHARE = 1e-3


class Prongs:
    """Subjets of the exclusive kT algorithm, by falling pt, as columns of the table of jets.

    Of all but the hardest one: the share of pt, the distance from the middle of the jet, and the azimuth about it, which
    is from the direction of eta for the second and from the second prong for those behind it. The hardest one follows,
    because the shares sum to 1 and momenta balance.

    Args:
        number: of the prongs; 0 for none, not 1.

    Example:
        >>> [column.name for column in Prongs(2).columns]
        ['prong2_share', 'prong2_distance', 'prong2_azimuth']
    """

    def __init__(self, number: int) -> None:
        self.number = number

    @property
    def _others(self) -> range:
        return range(2, self.number + 1)

    @property
    def columns(self) -> tuple[Column, ...]:
        """Of the table of jets."""
        return tuple(
            Column(f"prong{index}_{what}", "float64")
            for what in ("share", "distance", "azimuth")
            for index in self._others
        )

    @property
    def placing(self) -> tuple[str, ...]:
        """Columns that say where the prongs lie."""
        return tuple(one.name for one in self.columns if not one.name.endswith("_share"))

    @property
    def options(self) -> dict[str, dict[str, str]]:
        """Of the columns, as for tables: no azimuth is preferred, so that none is to be expressed by that of the jet."""
        return {one.name: {"kind": "continuous"} for one in self.columns}

    def turning(self, role: str) -> tuple[str, ...]:
        """Columns that change their sign when eta or phi does.

        The azimuth of the second prong is left as it is when eta changes: by symmetry no azimuth is preferred.
        """
        return tuple(f"prong{index}_azimuth" for index in self._others if role == "phi" or index > 2)

    def rows(self, cloud: Cloud, eta: FloatArray, phi: FloatArray) -> dict[str, FloatArray]:
        """Columns, (jets,) each, from jets whose constituents lie at eta and phi from the middle; 0 for a prong that is none."""
        there = there_are(cloud.counts)
        padded = np.zeros((3, *there.shape))
        padded[:, there] = np.stack([cloud.parts["pt"], eta, phi])
        axes = exclusive_kt_axes(padded[0], padded[1], padded[2], self.number)
        axes = np.take_along_axis(axes, np.argsort(-axes[:, :, :1], axis=1, kind="stable"), axis=1)
        pt, eta, phi = np.moveaxis(axes, -1, 0)
        azimuth = np.arctan2(phi, eta)
        result: dict[str, FloatArray] = {}
        for place in range(1, self.number):
            about = azimuth[:, place] - (azimuth[:, 1] if place > 1 else 0.0)
            values = pt[:, place] / pt.sum(axis=1), np.hypot(eta[:, place], phi[:, place]), wrapped(about)
            names = (f"prong{place + 1}_{what}" for what in ("share", "distance", "azimuth"))
            result |= {name: np.where(pt[:, place] > 0, value, 0.0) for name, value in zip(names, values, strict=True)}
        return result

    def vectors(self, rows: Mapping[str, FloatArray]) -> FloatArray:
        """Places of the prongs in eta and phi from the middle of the jet, (jets, number, 2), from the columns.

        Example:
            >>> half = {"prong2_share": 0.25, "prong2_distance": 0.3, "prong2_azimuth": 0.0}
            >>> Prongs(2).vectors({name: np.array([value]) for name, value in half.items()}).round(3).tolist()
            [[[-0.101, 0.0], [0.3, 0.0]]]
        """
        away: list[FloatArray] = []
        jets = len(rows["prong2_share"])
        share, balance = np.ones(jets), np.zeros((2, jets))  # of the hardest prong, and what its momentum is to balance
        for index in self._others:
            angle = rows[f"prong{index}_azimuth"] + (rows["prong2_azimuth"] if index > 2 else 0.0)
            own = rows[f"prong{index}_share"]
            place = rows[f"prong{index}_distance"] * np.stack([np.cos(angle), np.sin(angle)])
            share, balance = share - own, balance - own * np.stack([np.sinh(place[0]), np.sin(place[1])])
            away.append(place)
        across, azimuthal = balance / np.maximum(share, _LEAST_SHARE)
        hardest = np.stack([np.arcsinh(across), np.arcsin(np.clip(azimuthal, -1.0, 1.0))])
        return np.stack([hardest, *away], axis=0).transpose(2, 0, 1)
