"""Columns of constituents that follow from their four-momenta and the jet, such as ``part_deta``: computed, not learned."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hepgen.physics.jets import Momentum, wrapped
from hepgen.representations.cloud_layout import Cloud

FloatArray = NDArray[np.float64]

_TOLERANCE = 2e-3  # what files of few bits keep
_AGREEING = 0.99
_HOPELESS = 0.9


@dataclass(frozen=True)
class Placed:
    """Constituents behind each other, (constituents,), and the jet of each.

    Attributes:
        pt, eta, phi, mass: of the constituents.
        jet: of their jets, as the file gives it, else the sums.
    """

    pt: FloatArray
    eta: FloatArray
    phi: FloatArray
    mass: FloatArray
    jet: Momentum

    @property
    def energy(self) -> FloatArray:
        return np.asarray(np.hypot(self.pt * np.cosh(self.eta), self.mass))

    @property
    def jet_energy(self) -> FloatArray:
        return np.asarray(np.hypot(self.jet.pt * np.cosh(self.jet.eta), self.jet.mass))

    @property
    def deta(self) -> FloatArray:
        return self.eta - self.jet.eta

    @property
    def dphi(self) -> FloatArray:
        return wrapped(self.phi - self.jet.phi)


#: What a column may be, by the name under which a bundle keeps it. ``outward`` is what ParT (arXiv:2202.03772) takes: eta
#: grows away from the middle of the detector.
RULES: dict[str, Callable[[Placed], FloatArray]] = {
    "pt": lambda one: one.pt,
    "eta": lambda one: one.eta,
    "phi": lambda one: one.phi,
    "px": lambda one: one.pt * np.cos(one.phi),
    "py": lambda one: one.pt * np.sin(one.phi),
    "pz": lambda one: one.pt * np.sinh(one.eta),
    "energy": lambda one: one.energy,
    "deta": lambda one: one.deta,
    "deta_outward": lambda one: np.where(one.jet.eta < 0, -1.0, 1.0) * one.deta,
    "dphi": lambda one: one.dphi,
    "distance": lambda one: np.hypot(one.deta, one.dphi),
    "pt_share": lambda one: one.pt / one.jet.pt,
    "energy_share": lambda one: one.energy / one.jet_energy,
    "log_pt": lambda one: np.log(one.pt),
    "log_energy": lambda one: np.log(one.energy),
    "log_pt_share": lambda one: np.log(one.pt / one.jet.pt),
    "log_energy_share": lambda one: np.log(one.energy / one.jet_energy),
}
_OF_SIZE = {"pt", "px", "py", "pz", "energy", "pt_share", "energy_share"}  # known to a share of themselves


class FollowedColumns:
    """Finds out which columns of constituents follow from the rest, one batch after the other.

    A column follows by a rule if it does so for 99 % of the constituents, within the rounding of files.

    Args:
        names: of columns of real numbers of the constituents.

    Example:
        >>> found = FollowedColumns(["part_deta", "part_d0"])
        >>> one = np.ones(3)
        >>> jet = Momentum(9 * one, 0.5 * one, 0 * one, one)
        >>> parts = Placed(3 * one, np.array([0.4, 0.5, 0.7]), 0 * one, 0 * one, jet)
        >>> found.update({"part_deta": np.array([-0.1, 0.0, 0.2]), "part_d0": np.array([0.3, -2.0, 1.0])}, parts)
        >>> found.result()
        {'part_deta': 'deta'}
    """

    def __init__(self, names: Sequence[str]) -> None:
        self._agreeing = {name: dict.fromkeys(RULES, 0) for name in names}
        self._seen = 0

    def update(self, columns: Mapping[str, FloatArray], parts: Placed) -> None:
        """``columns`` by their names, (constituents,)."""
        wanted = {rule for rules in self._agreeing.values() for rule in rules}
        with np.errstate(divide="ignore", invalid="ignore"):
            values = {rule: RULES[rule](parts) for rule in wanted}
        self._seen += len(parts.pt)
        for name, rules in self._agreeing.items():
            for rule in list(rules):
                rules[rule] += _agreements(rule, columns[name], values[rule])
                if rules[rule] < _HOPELESS * self._seen:
                    del rules[rule]

    def result(self) -> dict[str, str]:
        """The rule that a column follows best, by the column."""
        found = {}
        for name, rules in self._agreeing.items():
            best = max(rules, key=lambda rule: rules[rule], default=None)
            if best is not None and self._seen and rules[best] >= _AGREEING * self._seen:
                found[name] = best
        return found


def placed_in_jets(cloud: Cloud, roles: Mapping[str, str], axis: Momentum, mass: FloatArray) -> Placed:
    """The constituents of a cloud and their jets, by the file's columns of the jet, by their roles, else the sums."""
    known = {role: cloud.jets[name] for role, name in roles.items() if role in vars(axis) and name in cloud.jets}
    jet = Momentum(**{role: np.repeat(values, cloud.counts) for role, values in {**vars(axis), **known}.items()})
    return Placed(cloud.parts["pt"], cloud.parts["eta"], cloud.parts["phi"], mass, jet)


def _agreements(rule: str, values: FloatArray, expected: FloatArray) -> int:
    apart = np.abs(wrapped(values - expected) if rule in {"phi", "dphi"} else values - expected)
    scale = np.abs(expected) if rule in _OF_SIZE else 1.0
    with np.errstate(invalid="ignore"):
        return int((apart <= _TOLERANCE * scale).sum())
