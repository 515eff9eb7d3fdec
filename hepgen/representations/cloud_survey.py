"""What the jets of a sample have in common, by looking at every jet."""

from __future__ import annotations

import math

import numpy as np

from hepgen.events.constituents import read_jets
from hepgen.events.conversion import ENERGIES
from hepgen.events.jet_units import check_units
from hepgen.events.source import EventSource
from hepgen.physics.jets import wrapped
from hepgen.physics.particles import particle_mass
from hepgen.representations.cloud_axis import CloudFacts, CloudTables
from hepgen.representations.cloud_layout import Cloud, CloudLayout

# What files keep of constituents: with few bits the mass of a narrow jet is off by more than its pt.
_TOLERANCES = {"pt": 2e-3, "eta": 2e-3, "phi": 2e-3, "energy": 2e-3, "mass": 1e-2}
_AGREEING = 0.99
_SEEN = 1000


def survey(source: EventSource, layout: CloudLayout) -> CloudFacts:
    """Look at every jet; where there are particle codes, twice, since sums need the masses of all of them.

    Raises:
        InputFileError: if columns stand in different units, or a jet is none.
    """
    check_units(layout.schema, layout.columns)
    known = _masses(source, layout) if layout.code else {}
    tables = CloudTables(layout, CloudFacts({}, (), 0.0, 1, -math.pi, known))
    agreeing: dict[str, int] = dict.fromkeys(layout.jet_roles, 0)
    counting: dict[str, bool] = {
        one.name: True for one in layout.given if np.dtype(one.dtype).kind in "iu" or one.name == "num_particles"
    }
    jets, longest, floor, turn = 0, 0, math.inf, 0.0
    for batch in source.batches():
        cloud = layout.read(batch)
        read_jets(batch[:_SEEN], layout.columns)  # refuses mixed units, by what most of the jets say
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


def _masses(source: EventSource, layout: CloudLayout) -> dict[str, float]:
    """Masses of the codes of a file, by the code as text, in its unit: of particles, else the median of what it says."""
    seen: dict[int, list[float]] = {}
    for batch in source.batches():
        parts = layout.read(batch).parts
        codes = parts[layout.code].astype(np.int64)
        for code in np.unique(codes).tolist():
            values = seen.setdefault(code, [])
            if math.isnan(particle_mass(code)) and len(values) < _SEEN:
                values += parts["mass"][codes == code][: _SEEN - len(values)].tolist()
    scale = ENERGIES["GeV"] / ENERGIES.get(layout.pt_column.unit, ENERGIES["GeV"])
    masses = {code: float(particle_mass(code)) for code in seen}
    return {
        str(code): float(np.median(seen[code])) if math.isnan(mass) else scale * mass for code, mass in masses.items()
    }


def _agreeing(tables: CloudTables, cloud: Cloud) -> dict[str, int]:
    """Jets whose numbers in the file are those of the sum, by the role."""
    axis = tables.axis(cloud)
    energy = np.sqrt((axis.pt * np.cosh(axis.eta)) ** 2 + axis.mass**2)
    result = {}
    for role, name in tables.layout.jet_roles.items():
        value = energy if role == "energy" else getattr(axis, role)
        apart = np.abs(wrapped(value - cloud.jets[name]) if role == "phi" else value - cloud.jets[name])
        scale = {"energy": energy, "pt": axis.pt, "mass": axis.pt}.get(role, np.ones(len(cloud)))
        result[role] = int((apart <= _TOLERANCES[role] * scale).sum())
    return result
