"""What the jets of a sample have in common, by looking at every jet."""

from __future__ import annotations

import math

import numpy as np

from hepgen.errors import InputFileError, leaving_out
from hepgen.events.constituents import read_jets
from hepgen.events.conversion import ENERGIES
from hepgen.events.jet_units import UNITS, check_units, like_units
from hepgen.events.source import EventSource, as_numbered, naming_entries, place_of
from hepgen.physics.jets import Momentum, wrapped
from hepgen.physics.particles import particle_mass
from hepgen.representations.cloud_axis import CloudFacts, CloudTables
from hepgen.representations.cloud_followed import FollowedColumns, placed_in_jets
from hepgen.representations.cloud_layout import Cloud, CloudLayout

# What files keep of constituents: with few bits the mass of a narrow jet is off by more than its pt.
_TOLERANCES = {"pt": 2e-3, "eta": 2e-3, "phi": 2e-3, "energy": 2e-3, "mass": 1e-2}
_AGREEING = 0.99
_SEEN = 1000
_ENOUGH = 100  # jets, so that an agreement of nearly all is none by chance


def survey(source: EventSource, layout: CloudLayout) -> CloudFacts:
    """Look at every jet; where there are particle codes, twice, since sums need the masses of all of them.

    Raises:
        InputFileError: if columns stand in different units, or a jet is none, or has another number of constituents than
            a column says that has that of nearly all others.
    """
    check_units(layout.schema, layout.columns)
    known = _masses(source, layout) if layout.code else {}
    tables = CloudTables(layout, CloudFacts({}, (), 0.0, 1, -math.pi, known))
    agreeing: dict[str, int] = dict.fromkeys(layout.jet_roles, 0)
    counting: dict[str, int] = {
        one.name: 0 for one in layout.given if np.dtype(one.dtype).kind in "iu" or one.name == "num_particles"
    }
    jets, longest, floor, turn = 0, 0, math.inf, 0.0
    levels: list[tuple[float, str]] = []
    real = [one.name for one in layout.further if np.dtype(one.dtype).kind == "f" and not layout.relative]
    followed = FollowedColumns(real)
    odd: dict[str, str] = {}
    numbered = as_numbered(source)
    for batch in numbered.numbered_batches():
        with naming_entries(numbered, batch):
            cloud = layout.read(batch.events)
            read_jets(batch.events[:_SEEN], layout.columns)  # refuses mixed units
        jets += len(cloud)
        longest = max(longest, int(cloud.counts.max()))
        floor = min(floor, float(cloud.parts["pt"].min()))
        turn = min(turn, float(cloud.parts["phi"].min()))
        for name in counting:
            apart = np.flatnonzero(cloud.jets[name] != cloud.counts)
            counting[name] += len(cloud) - len(apart)
            if len(apart) and name not in odd:
                row = int(apart[0])
                words = f"'{name}' is {cloud.jets[name][row]:g} and there are {cloud.counts[row]} constituents"
                odd[name] = f"{words} ({place_of(numbered, batch, row)})"
        axis = tables.axis(cloud)
        levels.append((float(np.median(axis.pt)), place_of(numbered, batch, 0)))
        for role, share in _agreeing(tables, cloud, axis).items():
            agreeing[role] += share
        followed.update(cloud.parts, placed_in_jets(cloud, layout.jet_roles, axis, tables.masses(cloud.parts)))
    kept = {
        role: name
        for role, name in layout.jet_roles.items()
        if not layout.relative and jets and agreeing[role] >= _AGREEING * jets
    }
    if levels and like_units(max(levels)[0], min(levels)[0]):
        (low, first), (high, second) = min(levels), max(levels)
        raise InputFileError(
            f"jets of two units: their median pt is {low:.4g} from {first} on, {high:.4g} from {second} on", hint=UNITS
        )
    for name, words in odd.items():
        if jets >= _ENOUGH and counting[name] >= _AGREEING * jets:
            raise InputFileError(
                f"'{name}' counts the constituents of {counting[name]} of {jets} jets, and not of the others: {words}",
                hint=f"leave such jets out with a cut, or {leaving_out(name)}",
            )
    tied = tuple(name for name in counting if name not in odd)
    return CloudFacts(kept, tied, floor, longest, 0.0 if turn >= 0 else -math.pi, known, followed.result())


def _masses(source: EventSource, layout: CloudLayout) -> dict[str, float]:
    """Masses of the codes of a file, by the code as text, in its unit: of particles, else the median of what it says."""
    seen: dict[int, list[float]] = {}
    numbered = as_numbered(source)
    for batch in numbered.numbered_batches():
        with naming_entries(numbered, batch):
            parts = layout.read(batch.events).parts
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


def _agreeing(tables: CloudTables, cloud: Cloud, axis: Momentum) -> dict[str, int]:
    """Jets whose numbers in the file are those of the sum, by the role."""
    energy = np.sqrt((axis.pt * np.cosh(axis.eta)) ** 2 + axis.mass**2)
    result = {}
    for role, name in tables.layout.jet_roles.items():
        value = energy if role == "energy" else getattr(axis, role)
        apart = np.abs(wrapped(value - cloud.jets[name]) if role == "phi" else value - cloud.jets[name])
        scale = {"energy": energy, "pt": axis.pt, "mass": axis.pt}.get(role, np.ones(len(cloud)))
        result[role] = int((apart <= _TOLERANCES[role] * scale).sum())
    return result
