"""What the jets of a sample have in common, and their numbers and constituents as the rows of two tables.

The axis of a jet is the sum of its constituents. Where the file's jet is that sum, its columns are those of the axis; where
it is not (only the hardest constituents are kept, or another clustering), the axis is described relative to the jet.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import awkward as ak
import numpy as np
from numpy.typing import NDArray

from hepgen.errors import ConfigError, leaving_out
from hepgen.events.schema import Column
from hepgen.events.select import WEIGHT
from hepgen.events.source import EventSource, record
from hepgen.physics.jets import Momentum, summed, wrapped
from hepgen.physics.projection import project_constituents
from hepgen.representations.cloud_followed import RULES, placed_in_jets
from hepgen.representations.cloud_layout import Cloud, CloudLayout, there_are
from hepgen.representations.prongs import Prongs

FloatArray = NDArray[np.float64]

ROLES = ("pt", "eta", "phi", "mass")
MULTIPLICITY = "multiplicity"
DISTANCE = "constituent_distance"
"""Column of the table of constituents: the distance from the axis in eta and phi."""
MOMENTUM = "constituent_pt"
MASS = "constituent_mass"
_ON_THE_AXIS = 1e-9
_HARDEST = 8


@dataclass(frozen=True)
class CloudFacts:
    """What was found out about the jets of a training sample.

    Attributes:
        kept: by the role, columns of the file that are those of the sum of the constituents.
        tied: columns of the file that count the constituents.
        floor: the lowest pt of a constituent.
        longest: the largest number of constituents.
        turn: where the file's azimuths begin, -pi or 0.
        masses: of the codes in the file, by the code; empty where masses are not known from codes.
        followed: rules of ``hepgen.representations.cloud_followed``, by the column that follows by them from the rest.
    """

    kept: dict[str, str]
    tied: tuple[str, ...]
    floor: float
    longest: int
    turn: float
    masses: dict[str, float]
    followed: dict[str, str] = field(default_factory=dict)

    @property
    def count(self) -> str:
        """What the number of constituents is called."""
        return self.tied[0] if self.tied else MULTIPLICITY

    def axis_name(self, role: str) -> str:
        """The column of the table of jets that describes the axis."""
        return self.kept.get(role, f"axis_{role}")

    def to_dict(self) -> dict[str, Any]:
        return {**asdict(self), "tied": list(self.tied)}

    @classmethod
    def from_dict(cls, state: dict[str, Any]) -> CloudFacts:
        return cls(**{**state, "tied": tuple(state["tied"])})


class CloudTables:
    """Clouds as rows: one table of jets, one of constituents.

    Args:
        layout: of the file.
        facts: of the sample.
        prongs: how many prongs of a jet the table of jets places, beside the numbers of the file.
    """

    def __init__(self, layout: CloudLayout, facts: CloudFacts, prongs: int = 0) -> None:
        self.layout = layout
        self.facts = facts
        self.prongs = Prongs(prongs)
        unit = layout.pt_column.unit
        gone = {*facts.kept.values(), *facts.tied}
        self.jet_columns = (
            *(one for one in layout.given if one.name not in gone),
            *(Column(facts.axis_name(role), "float64", unit=self._unit(role)) for role in ROLES),
            Column(facts.count, "int64"),
            *self.prongs.columns,
        )
        self.modelled_mass = bool(layout.columns.energy or layout.columns.mass) and not facts.masses
        self.part_columns = (
            Column(MOMENTUM, "float64", unit=unit),
            Column(DISTANCE, "float64"),
            *([Column(MASS, "float64", unit=unit)] if self.modelled_mass else []),
            *(Column(one.name, one.dtype, unit=one.unit) for one in layout.further if one.name not in facts.followed),
        )
        for columns in (self.jet_columns, self.part_columns):
            names = [one.name for one in columns]
            if twice := [name for name in names if names.count(name) > 1]:
                raise ConfigError(
                    f"the file has a column '{twice[0]}', which is the name of what jets are described by here",
                    where="representation.kind: particle_cloud", hint=leaving_out(twice[0]),
                )  # fmt: skip

    def _unit(self, role: str) -> str:
        if role not in self.facts.kept:
            return ""
        return next(one.unit for one in self.layout.given if one.name == self.facts.kept[role])

    def masses(self, parts: Mapping[str, FloatArray]) -> FloatArray:
        """Masses of constituents by their codes, by the file's column, or 0."""
        if self.facts.masses:
            codes, place = np.unique(parts[self.layout.code].astype(np.int64), return_inverse=True)
            known = [self.facts.masses.get(str(code), 0.0) for code in codes]
            return np.array(known, dtype=np.float64)[place]
        return parts["mass"]

    def axis(self, cloud: Cloud) -> Momentum:
        """The sums of the constituents."""
        parts = cloud.parts
        return summed(parts["pt"], parts["eta"], parts["phi"], self.masses(parts), cloud.counts)

    def jets(self, cloud: Cloud, axis: Momentum) -> ak.Array:
        """One row for each jet."""
        given = self._references(cloud.jets)
        values: dict[str, Any] = {name: one for name, one in cloud.jets.items() if name not in self.facts.tied}
        for role in ROLES:
            value = getattr(axis, role)
            if role not in self.facts.kept:
                value = _relative(role, value, given.get(role), axis.pt, self.facts.turn)
            values[self.facts.axis_name(role)] = value
        values[self.facts.count] = cloud.counts
        if self.prongs.number:
            values |= self.prongs.rows(cloud, *_around(cloud, axis))
        return record({one.name: _cast(values[one.name], one.dtype) for one in self.jet_columns}, len(cloud))

    def restored_axis(self, jets: Mapping[str, FloatArray]) -> FloatArray:
        """pt, eta, phi and mass of the axes, (jets, 4), from the rows of the table of jets."""
        given = self._references(jets)
        found: dict[str, FloatArray] = {}
        for role in ROLES:
            value = jets[self.facts.axis_name(role)]
            if role not in self.facts.kept:
                value = _absolute(role, value, given.get(role), found.get("pt", value))
            found[role] = value
        return np.stack([found[role] for role in ROLES], axis=1)

    def _references(self, jets: Mapping[str, FloatArray]) -> dict[str, FloatArray]:
        """What the axis is relative to, by the role: nothing where constituents are relative to the jet as they stand."""
        if self.layout.relative:
            return {}
        roles = self.layout.jet_roles
        apart = {role: jets[name] for role, name in roles.items() if role not in self.facts.kept and name in jets}
        if not self.layout.absolute:
            apart.pop("mass", None)
        return apart

    def parts(self, cloud: Cloud, axis: Momentum) -> tuple[ak.Array, FloatArray]:
        """One row for each constituent, and the direction in which it lies from the axis, (constituents, 2)."""
        eta, phi = _around(cloud, axis)
        distance = np.hypot(eta, phi)
        distance = np.where(distance < _ON_THE_AXIS, 0.0, distance)  # a jet of one constituent, but for rounding
        values = {**cloud.parts, MOMENTUM: cloud.parts["pt"], MASS: cloud.parts["mass"], DISTANCE: distance}
        rows = record({one.name: _cast(values[one.name], one.dtype) for one in self.part_columns}, len(distance))
        away = np.where(distance > 0, distance, 1.0)
        return rows, np.stack([np.where(distance > 0, eta / away, 1.0), phi / away], axis=1)

    def placed(self, rows: ak.Array, direction: FloatArray, counts: NDArray[np.int64], axis: FloatArray) -> FloatArray:
        """The inverse of ``parts``, changed as little as needed to sum to the axes (jets, 4), by falling pt in each jet.

        Returns:
            (constituents, 4 + further columns): pt, eta, phi, mass and the further columns of the file; 0 for those that
            ``completed`` gives.
        """
        found = {name: ak.to_numpy(rows[name]).astype(np.float64) for name in rows.fields}
        nothing = np.zeros(len(direction))
        parts = {one.name: found.get(one.name, nothing) for one in self.layout.further}
        parts["mass"] = found.get(MASS, nothing)
        mass = self.masses(parts)
        eta, phi = found[DISTANCE] * direction.T
        pt, eta, phi, _ = project_constituents(found[MOMENTUM], eta, phi, mass, counts, axis, self.facts.floor)
        phi = wrapped(phi, self.facts.turn)
        table = np.stack([pt, eta, phi, mass, *(parts[one.name] for one in self.layout.further)], axis=1)
        order = np.lexsort((-pt, np.repeat(np.arange(len(counts)), counts)))
        return np.asarray(table[order])

    def given(self, cloud: Cloud, jets: Mapping[str, FloatArray]) -> dict[str, FloatArray]:
        """The file's numbers of the jets, from the rows of the table and the constituents."""
        axis = self.axis(cloud)
        energy = np.sqrt((axis.pt * np.cosh(axis.eta)) ** 2 + axis.mass**2)
        values = {**vars(axis), "energy": energy, "phi": wrapped(axis.phi, self.facts.turn)}
        found = {one.name: jets[one.name] for one in self.layout.given if one.name in jets}
        found |= {name: values[role] for role, name in self.facts.kept.items()}
        return found | {name: cloud.counts.astype(np.float64) for name in self.facts.tied}

    def completed(self, cloud: Cloud) -> dict[str, FloatArray]:
        """The columns of the constituents that follow from their momenta and the file's numbers of the jets."""
        if not self.facts.followed:
            return {}
        parts = placed_in_jets(cloud, self.layout.jet_roles, self.axis(cloud), self.masses(cloud.parts))
        return {name: RULES[rule](parts) for name, rule in self.facts.followed.items()}


def _relative(role: str, value: FloatArray, jet: FloatArray | None, pt: FloatArray, turn: float) -> FloatArray:
    """A number of the axis relative to that of the jet where the file has one; else the mass over pt."""
    if role == "mass":
        return value / (pt if jet is None else np.where(jet > 0, jet, pt))
    if role == "phi":
        return wrapped(value, turn) if jet is None else wrapped(value - jet)
    if jet is None:
        return value
    return value / np.where(jet > 0, jet, 1.0) if role == "pt" else value - jet


def _absolute(role: str, value: FloatArray, jet: FloatArray | None, pt: FloatArray) -> FloatArray:
    """The inverse of ``_relative``; ``pt`` of the axis is known before its mass, and taken for that alone."""
    if role == "mass":
        return value * (pt if jet is None else np.where(jet > 0, jet, pt))
    if jet is None:
        return value
    return value * np.where(jet > 0, jet, 1.0) if role == "pt" else value + jet


def _cast(values: Any, dtype: str) -> NDArray[Any]:
    array = np.asarray(values)
    return array.astype(dtype) if np.dtype(dtype).kind == "f" else np.rint(array).astype(dtype)


def _around(cloud: Cloud, axis: Momentum) -> tuple[FloatArray, FloatArray]:
    """Differences of eta and phi of each constituent to the middle of its jet.

    In eta that is the rapidity of the jet, its constituents taken as massless: there, as at the azimuth of the axis,
    momenta balance, and a jet may be turned about it. The pseudorapidity of a heavy jet lies aside (by 0.03 at eta 1.5 and
    m/pt 0.25).
    """
    pt, eta = cloud.parts["pt"], cloud.parts["eta"]
    first = np.cumsum(cloud.counts) - cloud.counts
    ahead, behind = np.add.reduceat(pt * np.exp(eta), first), np.add.reduceat(pt * np.exp(-eta), first)
    middle = 0.5 * np.log(ahead / behind)
    phi = cloud.parts["phi"] - np.repeat(axis.phi, cloud.counts)
    return eta - np.repeat(middle, cloud.counts), wrapped(phi)


def spread_of(cloud: Cloud, axis: Momentum) -> FloatArray:
    """What tells jets of one momentum apart, (jets, 20): log pt and distance from the axis of the 8 hardest, and moments.

    The moments, of shares z of pt and distances r from the axis: sum of z^2, of z r, of z r^2, and the mean log z. What a
    jet has not is 0.
    """
    pt = cloud.parts["pt"]
    distance = np.hypot(*_around(cloud, axis))
    there = there_are(cloud.counts)
    table = np.zeros((2, *there.shape))
    table[0][there], table[1][there] = np.log(pt), distance
    hardest = np.zeros((2, len(cloud), _HARDEST))
    hardest[:, :, : there.shape[1]] = table[:, :, :_HARDEST]
    share = pt / np.repeat(axis.pt, cloud.counts)
    first = np.cumsum(cloud.counts) - cloud.counts
    moments = [np.add.reduceat(one, first) for one in (share**2, share * distance, share * distance**2, np.log(share))]
    moments[-1] = moments[-1] / cloud.counts
    return np.concatenate([*hardest, np.stack(moments, axis=1)], axis=1)


class TableRows:
    """One of the two tables of a sample, batch by batch.

    Args:
        which: 0 for the jets, 1 for the constituents.
    """

    def __init__(self, source: EventSource, tables: CloudTables, which: int) -> None:
        self._source = source
        self._tables = tables
        self._which = which
        columns = (tables.jet_columns, tables.part_columns)[which]
        self.schema = source.schema.replace(columns)

    @property
    def num_events(self) -> int:
        return self._source.num_events

    def batches(self, columns: Sequence[str] | None = None) -> Iterator[ak.Array]:
        del columns
        for batch in self._source.batches():
            cloud = self._tables.layout.read(batch)
            axis: Momentum = self._tables.axis(cloud)
            rows = self._tables.parts(cloud, axis)[0] if self._which else self._tables.jets(cloud, axis)
            if WEIGHT in batch.fields:
                weight = ak.to_numpy(batch[WEIGHT])
                rows[WEIGHT] = np.repeat(weight, cloud.counts) if self._which else weight
            yield rows
