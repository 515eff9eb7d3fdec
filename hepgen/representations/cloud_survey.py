"""What the jets of a sample have in common, by looking at every jet: two passes."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from hepgen.events.source import EventSource
from hepgen.physics.particles import particle_mass
from hepgen.representations.cloud_axis import CloudFacts, CloudTables
from hepgen.representations.cloud_layout import Cloud, CloudLayout, wrapped

# What files keep of constituents: with few bits the mass of a narrow jet is off by more than its pt.
_TOLERANCES = {"pt": 2e-3, "eta": 2e-3, "phi": 2e-3, "energy": 2e-3, "mass": 1e-2}
_AGREEING = 0.99
_IN_GEV = {"MeV": 1000.0, "keV": 1e6, "TeV": 1e-3}
_SEEN = 1000


def survey(source: EventSource, layout: CloudLayout) -> CloudFacts:
    """Look at every jet once."""
    codes: dict[int, list[float]] = {}
    masses = _Masses(layout)
    for batch in source.batches():
        cloud = layout.read(batch)
        if layout.code:
            for code in np.unique(cloud.parts[layout.code].astype(np.int64)).tolist():
                codes.setdefault(code, [])
        masses.update(cloud)
    known = masses.result(codes)
    tables = CloudTables(layout, CloudFacts({}, (), 0.0, 1, -math.pi, known))
    agreeing: dict[str, int] = dict.fromkeys(layout.jet_roles, 0)
    counting: dict[str, bool] = {
        one.name: True for one in layout.given if np.dtype(one.dtype).kind in "iu" or one.name == "num_particles"
    }
    jets, longest, floor, turn = 0, 0, math.inf, 0.0
    for batch in source.batches():
        cloud = layout.read(batch)
        jets += len(cloud)
        longest = max(longest, int(cloud.counts.max()))
        floor = min(floor, float(cloud.parts["pt"].min()))
        turn = min(turn, float(cloud.parts["phi"].min()))
        for name in counting:
            counting[name] &= bool((cloud.jets[name] == cloud.counts).all())
        for role, share in _agreeing(tables, cloud).items():
            agreeing[role] += share
    kept = {
        role: name
        for role, name in layout.jet_roles.items()
        if not layout.columns.relative and jets and agreeing[role] >= _AGREEING * jets
    }
    tied = tuple(name for name, all_of_them in counting.items() if all_of_them)
    return CloudFacts(kept, tied, floor, longest, 0.0 if turn >= 0 else -math.pi, known)


class _Masses:
    """Masses that belong to the codes of a file: those of the particles, and what the file says of other codes."""

    def __init__(self, layout: CloudLayout) -> None:
        self._layout = layout
        self._seen: dict[int, list[float]] = {}

    def update(self, cloud: Cloud) -> None:
        if not self._layout.code:
            return
        codes = cloud.parts[self._layout.code].astype(np.int64)
        unknown = np.isnan(particle_mass(codes))
        for code in np.unique(codes[unknown]).tolist():
            seen = self._seen.setdefault(code, [])
            seen += cloud.parts["mass"][codes == code][: max(0, _SEEN - len(seen))].tolist()

    def result(self, codes: Mapping[int, Any]) -> dict[str, float]:
        """By the code as text, in the file's unit."""
        scale = _IN_GEV.get(self._layout.pt_column.unit, 1.0)
        found = {}
        for code in codes:
            mass = float(particle_mass(code))
            found[str(code)] = float(np.median(self._seen[code])) if math.isnan(mass) else scale * mass
        return found


def _agreeing(tables: CloudTables, cloud: Cloud) -> dict[str, int]:
    """Jets whose numbers in the file are those of the sum, by the role."""
    axis = tables.axis(cloud)
    energy = np.sqrt((axis.pt * np.cosh(axis.eta)) ** 2 + axis.mass**2)
    result = {}
    for role, name in tables.layout.jet_roles.items():
        value = energy if role == "energy" else getattr(axis, role)
        apart = np.abs(wrapped(value - cloud.jets[name], -math.pi) if role == "phi" else value - cloud.jets[name])
        scale = {"energy": energy, "pt": axis.pt, "mass": axis.pt}.get(role, np.ones(len(cloud)))
        result[role] = int((apart <= _TOLERANCES[role] * scale).sum())
    return result
