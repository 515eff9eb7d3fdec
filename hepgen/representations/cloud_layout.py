"""Jets of a file as constituents behind each other and numbers of the jet, and back to the columns of the file."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import awkward as ak
import numpy as np
from numpy.typing import NDArray

from hepgen.errors import ConfigError, RowError, leaving_out, suggest
from hepgen.events.candidates import find_links
from hepgen.events.jets import MULTIPLICITY, PARTICLE_CODE, JetColumns, find_jets
from hepgen.events.schema import Column, Schema
from hepgen.events.select import WEIGHT
from hepgen.events.source import record
from hepgen.physics.jets import TURN, wrapped

FloatArray = NDArray[np.float64]

_JETNET = ("jet_pt", "jet_eta", "jet_mass", "num_particles")
_LEAVE_OUT = "leave such jets out with a cut"
_ROUNDING = 3e-3  # of the momentum, below 0: what the root of a rounded E^2 - p^2 may be
_RADIANS = "azimuths are in rad: are these degrees?"
_KINEMATICS = ("pt", "eta", "phi", "px", "py", "pz", "energy", "mass")


@dataclass
class Cloud:
    """Jets as they stand in a file.

    Attributes:
        counts: (jets,), constituents.
        parts: numbers of the constituents of all jets behind each other, by falling pt in each: pt, eta, phi, mass, and
            the file's further columns by their names.
        jets: numbers of each jet that the file gives, by the names of its columns.
    """

    counts: NDArray[np.int64]
    parts: dict[str, FloatArray]
    jets: dict[str, FloatArray]

    def __len__(self) -> int:
        return len(self.counts)


class CloudLayout:
    """Which columns of a file hold what of its jets.

    Args:
        schema: of the file.
        roles: names of columns by their role, as in ``JetColumns``, where they cannot be guessed.
        max_constituents: only so many of the hardest constituents of a jet are looked at; all where None.
        absolute: constituents that stand relative to jets of known pt and eta are taken in the frame of these jets, where
            their sum is that of the jet; bundles of before 2026-11-23 keep them as they stand.

    Attributes:
        relative: whether constituents are known relative to their jet only.
        absolute: see above; the mass of their sum is then described relative to that of the jet, where the two differ.
        given: numbers of a jet, one column each; those of JetNet's ``jet_features`` under names of their own.
        further: further columns of the constituents.
        code: the column of particle codes, empty where there is none.
        counters: columns that count constituents.

    Raises:
        ConfigError: if the columns are not those of jets with constituents, or cannot be represented.
    """

    def __init__(
        self,
        schema: Schema,
        roles: Mapping[str, str] | None = None,
        max_constituents: int | None = None,
        absolute: bool = True,
    ) -> None:
        self.schema = schema.replace(column for column in schema if column.name != WEIGHT)
        self.columns = _found(self.schema, dict(roles or {}))
        fixed = not self.schema[self.columns.constituents[0]].jagged
        self.size = self.schema[self.columns.constituents[0]].shape[0] if fixed else 0
        self.max_constituents = max_constituents
        known = {*self.columns.constituents, self.columns.features}
        self.further = tuple(one for one in self.schema if one.name not in known and self._is_further(one))
        self.code = next((one.name for one in self.further if PARTICLE_CODE.search(one.name)), "")
        self.counters = tuple(name for name in dict.fromkeys(one.counter for one in self.schema) if name)
        left = known | {one.name for one in self.further} | set(self.counters)
        self.given: tuple[Column, ...] = tuple(one for one in self.schema if one.name not in left)
        for column in self.given:
            if column.jagged or column.shape:
                raise ConfigError(
                    f"column '{column.name}' is neither of the jet nor of each constituent",
                    where="representation.kind: particle_cloud",
                    hint=leaving_out(column.name),
                )
        if self.columns.features:
            self.given += tuple(Column(name, "float32") for name in _JETNET)
        self.absolute = absolute
        placed = absolute and {"pt", "eta"} <= set(self.jet_roles)
        self.relative = self.columns.relative and not placed

    @property
    def jet_roles(self) -> dict[str, str]:
        """Names of the given columns of pt, eta, phi, mass and energy of the jet, where there are any."""
        if self.columns.features:
            return {"pt": "jet_pt", "eta": "jet_eta", "mass": "jet_mass"}
        roles = {role: getattr(self.columns, f"jet_{role}") for role in ("pt", "eta", "phi", "mass", "energy")}
        return {role: name for role, name in roles.items() if name}

    @property
    def pt_column(self) -> Column:
        """The column whose unit and type are those of momenta."""
        found = self.columns
        return self.schema[found.pt or found.px or found.particles]

    def _is_further(self, column: Column) -> bool:
        if self.size:
            return column.shape == (self.size,) and not column.jagged
        return column.jagged and not column.shape

    def read(self, batch: ak.Array) -> Cloud:
        """The jets of a batch; padding and constituents of pt 0 are left out, the others sorted by falling pt.

        Raises:
            RowError: naming the row of a jet with columns of different lengths, without constituents, with one that is
                not finite or of negative pt, or of negative multiplicity, pt or energy.
        """
        counts, parts, there = self._flat(batch)
        jets = self._jets(batch)
        row = np.repeat(np.arange(len(counts)), counts)
        learned = {one.name for one in self.further}
        for name, values in parts.items():
            hint = f"{_LEAVE_OUT}, or {leaving_out(name)}" if name in learned else _LEAVE_OUT
            _refuse(there & ~np.isfinite(values), row, f"a constituent whose {name} is not finite", hint)
        self._refuse_jets(jets)
        if "energy" in parts:
            _refuse(there & (parts["energy"] < 0), row, "a constituent of negative energy")
        kinematics = self._kinematics(parts)
        _refuse(there & (kinematics["pt"] < 0), row, "a constituent of negative pt")
        _refuse(there & (np.abs(kinematics["phi"]) > TURN), row, "a constituent whose phi is no angle in rad", _RADIANS)
        there &= kinematics["pt"] > 0
        order = np.lexsort((-kinematics["pt"], row))
        order = order[there[order]]
        row = row[order]
        found = np.bincount(row, minlength=len(counts))
        _refuse(found == 0, np.arange(len(found)), "a jet without constituents")
        if self.columns.features:
            number = jets[_JETNET[-1]]
            wrong = (number != found) & ~((found == self.schema[self.columns.particles].shape[0]) & (number > found))
            _refuse(wrong, np.arange(len(found)), f"a jet whose '{_JETNET[-1]}' is not the number of its constituents")
        if self.max_constituents is not None:
            rank = np.arange(len(row)) - np.repeat(np.cumsum(found) - found, found)
            order = order[rank < self.max_constituents]
            found = np.minimum(found, self.max_constituents)
        further = {one.name: parts[one.name] for one in self.further}
        sorted_parts = {name: values[order] for name, values in {**kinematics, **further}.items()}
        if self.columns.relative and not self.relative:
            sorted_parts = self._in_frame(sorted_parts, jets, found)
        return Cloud(found.astype(np.int64), sorted_parts, jets)

    def _refuse_jets(self, jets: Mapping[str, FloatArray]) -> None:
        """Refuse jets by what the file says of them: what is not finite, negative, or no angle."""
        roles = self.jet_roles
        every = np.arange(len(next(iter(jets.values()), ())))
        for name, values in jets.items():
            _refuse(~np.isfinite(values), every, f"a jet whose {name} is not finite")
        for name, values in jets.items():
            if MULTIPLICITY.fullmatch(name):
                _refuse(values < 0, every, f"a jet of negative multiplicity, by its '{name}'")
        for role in ("pt", "energy"):
            if name := roles.get(role, ""):
                _refuse(jets[name] < 0, every, f"a jet whose '{name}' is negative")
        if (name := roles.get("mass", "")) and "pt" in roles:
            momentum = jets[roles["pt"]]
            if "eta" in roles:
                momentum = momentum * np.cosh(np.clip(jets[roles["eta"]], -20, 20))
            _refuse(jets[name] < -_ROUNDING * momentum, every, f"a jet whose '{name}' is negative")
        if name := roles.get("phi", ""):
            _refuse(np.abs(jets[name]) > TURN, every, f"a jet whose '{name}' is no angle in rad", _RADIANS)
        if self.columns.relative and not self.relative:
            name = roles["pt"]
            _refuse(jets[name] <= 0, every, f"a jet whose '{name}' is not above 0")

    def _in_frame(
        self, parts: dict[str, FloatArray], jets: Mapping[str, FloatArray], counts: NDArray[np.int64], sign: int = 1
    ) -> dict[str, FloatArray]:
        """Constituents relative to jets in the frame of these jets; with ``sign`` -1 the inverse."""
        roles = self.jet_roles
        scale, eta = (np.repeat(jets[roles[role]], counts) for role in ("pt", "eta"))
        phi = np.repeat(jets[roles["phi"]], counts) if "phi" in roles else np.zeros_like(eta)
        factor = scale if sign > 0 else 1 / np.where(scale > 0, scale, 1.0)
        placed = {"pt": parts["pt"] * factor, "mass": parts["mass"] * factor, "eta": parts["eta"] + sign * eta}
        return {**parts, **placed, "phi": wrapped(parts["phi"] + sign * phi)}

    def _flat(self, batch: ak.Array) -> tuple[NDArray[np.int64], dict[str, FloatArray], NDArray[np.bool_]]:
        """Constituents of every role and further column behind each other, and which are no padding."""
        found = self.columns
        if found.particles:
            table = ak.to_numpy(batch[found.particles]).astype(np.float64)
            flat = table.reshape(-1, table.shape[-1])
            there = flat[:, 3] > 0 if flat.shape[1] > 3 else (flat != 0).any(axis=1)
            values = dict(zip(("eta", "phi", "pt"), flat.T[:3], strict=True))
            return np.full(len(table), table.shape[1]), values, there
        names = {role: getattr(found, role) for role in (*_KINEMATICS, "mask") if getattr(found, role)}
        names |= {one.name: one.name for one in self.further}
        if self.size:
            values = {role: ak.to_numpy(batch[name]).astype(np.float64).ravel() for role, name in names.items()}
            counts = np.full(len(batch), self.size)
            there = np.any([one != 0 for role, one in values.items() if role in _KINEMATICS], axis=0)
        else:
            first, *others = names.values()
            counts = np.asarray(ak.num(batch[first], axis=1), dtype=np.int64)
            for name in others:
                _refuse(
                    np.asarray(ak.num(batch[name], axis=1)) != counts, np.arange(len(counts)),
                    f"a jet whose '{name}' has another number of constituents than its '{first}'",
                )  # fmt: skip
            values = {
                role: ak.to_numpy(ak.flatten(batch[name], axis=1)).astype(np.float64) for role, name in names.items()
            }
            there = np.ones(int(counts.sum()), dtype=np.bool_)
        return counts, values, values.pop("mask") > 0 if "mask" in values else there

    def _kinematics(self, parts: Mapping[str, FloatArray]) -> dict[str, FloatArray]:
        if self.columns.px:
            pt = np.hypot(parts["px"], parts["py"])
            along = parts["pz"] / np.where(pt > 0, pt, 1.0)
            eta, phi = np.arcsinh(along), np.arctan2(parts["py"], parts["px"])
        else:
            pt, eta, phi = parts["pt"], parts["eta"], parts["phi"]
        mass = parts.get("mass", np.zeros_like(pt))
        if self.columns.energy:
            momentum = pt * np.cosh(eta)
            mass = np.sqrt(np.maximum((parts["energy"] - momentum) * (parts["energy"] + momentum), 0.0))
        return {"pt": pt, "eta": eta, "phi": phi, "mass": np.maximum(mass, 0.0)}

    def _jets(self, batch: ak.Array) -> dict[str, FloatArray]:
        own = [one.name for one in self.given if one.name in self.schema]
        jets = {name: ak.to_numpy(batch[name]).astype(np.float64) for name in own}
        if self.columns.features:
            jets |= dict(zip(_JETNET, ak.to_numpy(batch[self.columns.features]).astype(np.float64).T, strict=True))
        return jets

    def write(self, cloud: Cloud) -> ak.Array:
        """The columns of the file; ``parts`` and ``jets`` of the cloud as ``read`` gives them."""
        columns: dict[str, Any] = {}
        if self.columns.relative and not self.relative:
            cloud = dataclasses.replace(cloud, parts=self._in_frame(cloud.parts, cloud.jets, cloud.counts, -1))
        if self.columns.particles:
            columns[self.columns.particles] = self._particles(cloud)
        else:
            for role, values in self._roles(cloud.parts).items():
                columns[getattr(self.columns, role)] = self._list(getattr(self.columns, role), values, cloud.counts)
        for column in self.further:
            columns[column.name] = self._list(column.name, cloud.parts[column.name], cloud.counts)
        for name in self.counters:
            columns[name] = cloud.counts.astype(self.schema[name].dtype) if name in self.schema else cloud.counts
        for column in self.given:
            if column.name in self.schema:
                columns[column.name] = _typed(cloud.jets[column.name], column.dtype)
        if self.columns.features:
            table = np.stack([cloud.jets[name] for name in _JETNET], axis=1)
            columns[self.columns.features] = table.astype(self.schema[self.columns.features].dtype)
        return record({one.name: columns[one.name] for one in self.schema if one.name in columns}, len(cloud))

    def _roles(self, parts: Mapping[str, FloatArray]) -> dict[str, FloatArray]:
        pt, eta, phi, mass = (parts[name] for name in ("pt", "eta", "phi", "mass"))
        momentum = pt * np.cosh(eta)
        every = {
            "pt": pt, "eta": eta, "phi": phi, "mass": mass, "mask": np.ones_like(pt),
            "px": pt * np.cos(phi), "py": pt * np.sin(phi), "pz": pt * np.sinh(eta),
            "energy": np.sqrt(momentum**2 + mass**2),
        }  # fmt: skip
        return {role: values for role, values in every.items() if getattr(self.columns, role)}

    def _particles(self, cloud: Cloud) -> NDArray[Any]:
        column = self.schema[self.columns.particles]
        ones = np.ones_like(cloud.parts["pt"])
        values = [cloud.parts["eta"], cloud.parts["phi"], cloud.parts["pt"], ones][: column.shape[1]]
        table = np.zeros((len(cloud), *column.shape), dtype=column.dtype)
        table[np.arange(column.shape[0]) < cloud.counts[:, None]] = np.stack(values, axis=1)
        return table

    def _list(self, name: str, values: FloatArray, counts: NDArray[np.int64]) -> Any:
        typed = _typed(values, self.schema[name].dtype)
        if not self.size:
            return ak.unflatten(typed, counts)
        table = np.zeros((len(counts), self.size), dtype=typed.dtype)
        table[np.arange(self.size) < counts[:, None]] = typed
        return table


def _found(schema: Schema, roles: dict[str, str]) -> JetColumns:
    known = [field.name for field in dataclasses.fields(JetColumns)]
    for role, name in roles.items():
        if role not in known:
            raise ConfigError(f"no role '{role}'", where="representation.roles", hint=suggest(role, known))
        if name not in schema:
            raise ConfigError(f"no column '{name}'", where="representation.roles", hint=suggest(name, schema.names))
    found = find_jets(schema)
    if found is None and not {"pt", "eta", "phi"} <= set(roles) and not {"px", "py", "pz"} <= set(roles):
        linked = next(iter(find_links(schema)), "")
        raise ConfigError(
            "these columns are not those of jets with constituents",
            where="representation.kind: particle_cloud",
            hint=f"jets and their candidates become one row a jet with data.objects: {linked}"
            if linked
            else "name the columns of pt, eta and phi of the constituents with representation.roles",
        )
    return (found or JetColumns()).with_roles(**roles)


def _refuse(bad: NDArray[np.bool_], row: NDArray[np.integer], what: str, hint: str = _LEAVE_OUT) -> None:
    if bad.any():
        raise RowError(what, int(row[np.flatnonzero(bad)[0]]), hint=hint)


def _typed(values: FloatArray, dtype: str) -> NDArray[Any]:
    return np.rint(values).astype(dtype) if np.dtype(dtype).kind in "biu" else values.astype(dtype)


def there_are(counts: NDArray[np.int64], width: int | None = None) -> NDArray[np.bool_]:
    """Which of the padded constituents (jets, constituents) there are; as wide as the longest jet where None.

    Example:
        >>> there_are(np.array([2, 1])).tolist()
        [[True, True], [True, False]]
    """
    return np.arange(int(counts.max(initial=0)) if width is None else width) < counts[:, None]
