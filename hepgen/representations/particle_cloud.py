"""Jets of any number of constituents: first the jet, then its constituents given the jet."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, ClassVar

import awkward as ak
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from hepgen.errors import ConfigError, InputFileError, ModelError
from hepgen.events.schema import Schema
from hepgen.events.source import EventSource
from hepgen.representations.base import COUNT, ConditionRange, Stage, Tensors
from hepgen.representations.cloud_axis import DISTANCE, MOMENTUM, CloudFacts, CloudTables, TableRows, spread_of
from hepgen.representations.cloud_layout import Cloud, CloudLayout, there_are
from hepgen.representations.cloud_survey import survey
from hepgen.representations.constituent_latents import ENCODED, ConstituentLatents, turns
from hepgen.representations.table import COLUMNS, DISCRETE, TableRepresentation

JET, JET_DISCRETE, CONSTITUENTS = "jet", "jet_discrete", "constituents"
_STAGES = {DISCRETE: JET_DISCRETE, COLUMNS: JET}
_KINEMATICS = ("pt", "eta", "phi", "mass")


class ParticleCloudRepresentation:
    """Jets as clouds of constituents whose four-momenta sum to that of the jet.

    The stage ``jet`` makes the sum of the constituents (pt, eta, phi, mass), their number and the file's other numbers of
    a jet, as a table does (``jet_discrete`` before it, where some have few values). The stage ``constituents`` makes pt,
    distance and direction from the axis, and further columns of each constituent, given the jet. On the plane of eta and
    phi a constituent keeps its direction, and its distance goes through its cumulative distribution to that of a normal
    vector in two dimensions, so that a rotation of the jet is a rotation in latent space.

    What was made is then changed as little as needed for the sum to be that of the jet
    (``hepgen.physics.projection``), and sorted by pt.

    Physical tensors: ``condition`` (events, conditions), ``jet`` (events, columns that vary), ``count`` (events,),
    ``constituents`` (events, constituents, 4 + further columns): pt, eta, phi, mass as in the file, 0 for padding.

    Args:
        schema: columns of the jets.
        conditions: numbers of the jet that all else is conditioned on.
        options: overrides for single columns, as for tables.
        roles: names of columns by their role (``hepgen.events.jets.JetColumns``), where they cannot be guessed.
        max_constituents: only so many of the hardest; all where None.
        augment: symmetries for the training: ``reflection`` in eta and in phi, ``rotation`` about the axis.
        prongs: how many prongs of a jet the stage ``jet`` places, for its constituents to gather around
            (``hepgen.representations.prongs``); their places are not written.
        absolute: of ``CloudLayout``.

    Raises:
        ConfigError: if the columns are not those of jets, or an option does not fit.
    """

    kind: ClassVar[str] = "particle_cloud"
    ordered: bool = False

    def __init__(
        self,
        schema: Schema,
        conditions: Sequence[str] = (),
        options: Mapping[str, Mapping[str, Any]] | None = None,
        roles: Mapping[str, str] | None = None,
        max_constituents: int | None = None,
        augment: Sequence[str] = (),
        prongs: int = 0,
        absolute: bool = True,
    ) -> None:
        self._conditions = tuple(conditions)
        self._options = {name: dict(values) for name, values in (options or {}).items()}
        self._roles = dict(roles or {})
        self._augment = tuple(augment)
        self._prongs = prongs
        self._layout = CloudLayout(schema, roles, max_constituents, absolute)
        self._tables: CloudTables | None = None
        self._jets: TableRepresentation
        self._parts: ConstituentLatents

    @classmethod
    def build(cls, options: Mapping[str, Any], schema: Schema) -> ParticleCloudRepresentation:
        """From the representation part of a recipe, as a mapping, and the schema of the training data."""
        return cls(
            schema, options.get("conditions", ()), options.get("columns", {}), options.get("roles", {}),
            options.get("max_constituents"), options.get("augment", ()), options.get("prongs", 0),
        )  # fmt: skip

    @property
    def schema(self) -> Schema:
        return self._layout.schema

    @property
    def tables(self) -> CloudTables:
        """How clouds become the rows of two tables."""
        if self._tables is None:
            raise ModelError("the representation has not been fitted", hint="call fit first")
        return self._tables

    @property
    def stages(self) -> tuple[Stage, ...]:
        jets = tuple(replace(stage, name=_STAGES[stage.name]) for stage in self._jets.stages)
        parts, points = self._parts, self.tables.facts.longest
        given = len(self._given_places) + 2 * self._prongs
        return (*jets, Stage(CONSTITUENTS, parts.features, given, noise=parts.noise, points=points))

    @property
    def condition_names(self) -> tuple[str, ...]:
        return self._jets.condition_names

    @property
    def validity(self) -> tuple[ConditionRange, ...]:
        return self._jets.validity

    @property
    def ragged(self) -> tuple[str, ...]:
        return tuple(f"part.{name}" for name in ENCODED)

    def fit(self, source: EventSource) -> None:
        if not source.num_events:
            raise InputFileError("no jets to fit the representation to", where=f"tree '{self.schema.tree}'")
        self._prepare(survey(source, self._layout))
        self._jets.fit(TableRows(source, self.tables, 0))
        self._parts.fit(TableRows(source, self.tables, 1))
        if DISTANCE not in self._parts.names:
            raise InputFileError(
                "all constituents lie on the axis of their jet", hint="are these jets of one constituent?"
            )

    def _prepare(self, facts: CloudFacts) -> None:
        """The two tables, not yet fitted."""
        tables = CloudTables(self._layout, facts, self._prongs)
        names = [{one.name for one in columns} for columns in (tables.jet_columns, tables.part_columns)]
        for name in self._conditions:
            if name not in names[0]:
                raise ConfigError(
                    f"no number of a jet is called '{name}'", where="representation.conditions",
                    hint=f"there are {', '.join(sorted(names[0]))}",
                )  # fmt: skip
        for name in self._options:
            if name not in names[0] | names[1]:
                hint = f"there are {', '.join(sorted(names[0] | names[1]))}"
                raise ConfigError(f"no column '{name}' is modelled", where="representation.columns", hint=hint)
        own = [{name: self._options[name] for name in self._options if name in known} for known in names]
        mirror = [[facts.axis_name(role), *tables.prongs.turning(role)] for role in self._mirrored(facts)]
        shape = self._layout.schema
        self._tables = tables
        self._jets = TableRepresentation(
            shape.replace(tables.jet_columns), self._conditions, {**tables.prongs.options, **own[0]}, mirror
        )
        self._jets.ordered = self.ordered
        kinematics = {name: {"kind": "continuous"} for name in (MOMENTUM, DISTANCE)}
        parts = TableRepresentation(shape.replace(tables.part_columns), (), {**kinematics, **own[1]})
        self._parts = ConstituentLatents(parts)

    def _mirrored(self, facts: CloudFacts) -> tuple[str, ...]:
        """Of eta and phi those whose sign the training may change: not where a condition says it."""
        if "reflection" not in self._augment:
            return ()
        return tuple(role for role in ("eta", "phi") if facts.axis_name(role) not in self._conditions)

    @property
    def _given_places(self) -> list[int]:
        """Places, among the latent values of a jet, of those that constituents are conditioned on: all but the
        azimuth and where prongs lie, which comes as vectors."""
        block = self._jets.transform.columns
        names = [fact.name for fact in block.facts]
        left_out = {self.tables.facts.axis_name("phi"), *self.tables.prongs.placing}
        first = self._jets.transform.conditions.size
        places = [*block.discrete, *block.rest]
        known = [place >= len(names) or names[place] not in left_out for place in places]
        return [*range(first), *(first + i for i, given in enumerate(known) if given)]

    def pack(self, batch: ak.Array) -> Tensors:
        return self._packed(self._layout.read(batch))

    def _packed(self, cloud: Cloud) -> Tensors:
        tables = self.tables
        axis = tables.axis(cloud)
        rows = self._jets.pack(tables.jets(cloud, axis))
        there = there_are(cloud.counts)
        columns = [cloud.parts["pt"], cloud.parts["eta"], cloud.parts["phi"], tables.masses(cloud.parts)]
        columns += [cloud.parts[one.name] for one in self._layout.further]
        padded = np.zeros((*there.shape, len(columns)))
        padded[there] = np.stack(columns, axis=1)
        return {
            "condition": rows["condition"],
            "jet": rows["columns"],
            COUNT: torch.from_numpy(cloud.counts),
            CONSTITUENTS: torch.from_numpy(padded),
        }

    def _cloud(self, tensors: Tensors) -> Cloud:
        """Constituents of physical tensors, behind each other; without numbers of the jets."""
        counts = tensors[COUNT].cpu().numpy().astype(np.int64)
        padded = tensors[CONSTITUENTS].double().cpu().numpy()
        flat = padded[there_are(counts, padded.shape[1])]
        names = [*_KINEMATICS, *(one.name for one in self._layout.further)]
        return Cloud(counts, dict(zip(names, flat.T, strict=True)), {})

    def _jet_rows(self, tensors: Tensors) -> dict[str, NDArray[np.float64]]:
        rows = self._jets.unpack({"condition": tensors["condition"], "columns": tensors["jet"]})
        return {name: ak.to_numpy(rows[name]).astype(np.float64) for name in rows.fields}

    def unpack(self, tensors: Tensors) -> ak.Array:
        cloud = self._cloud(tensors)
        cloud.jets = self.tables.given(cloud, self._jet_rows(tensors))
        cloud.parts |= self.tables.completed(cloud)
        return self._layout.write(cloud)

    def encode(self, tensors: Tensors) -> Tensors:
        cloud = self._cloud(tensors)
        jets = self._jets.encode({"condition": tensors["condition"], "columns": tensors["jet"]})
        rows, direction = self.tables.parts(cloud, self.tables.axis(cloud))
        parts = self._parts.encode(rows, torch.from_numpy(direction))
        there = torch.from_numpy(there_are(cloud.counts))
        cached = {f"jet.{name}": tensor for name, tensor in jets.items()}
        for name in self.ragged:
            tensor = parts[name.removeprefix("part.")]
            cached[name] = tensor.new_zeros(*there.shape, *tensor.shape[1:])
            cached[name][there] = tensor
        return {**cached, "prongs": self._ring(tensors), COUNT: tensors[COUNT]}

    def mask(self, stage: str, tensors: Tensors) -> Tensor | None:
        if stage != CONSTITUENTS:
            return None
        counts = tensors[COUNT]
        return torch.arange(int(counts.max()), device=counts.device) < counts[:, None]

    def augment(self, cached: Tensors, noise: Tensor) -> Tensors:
        if not self._augment:
            return cached
        turned = self._jets.augment(_of("jet", cached), noise)
        cached = {**cached, **({"jet.signs": turned["signs"]} if "signs" in turned else {})}
        mirrored = [("eta", "phi").index(role) for role in self._mirrored(self.tables.facts)]
        turn = turns(noise, mirrored, rotate="rotation" in self._augment)
        return {**cached, "turn": turn}

    def features(self, stage: str, cached: Tensors, noise: Tensor) -> tuple[Tensor, Tensor]:
        jets = _of("jet", cached)
        if stage != CONSTITUENTS:
            return self._jets.features(self._table_stage(stage), jets, noise)
        mask = self.mask(stage, cached)
        x = self._parts.latent(_of("part", cached), noise, cached.get("turn"))
        prongs = cached["prongs"]
        if "turn" in cached:
            prongs = torch.einsum("epi,eji->epj", prongs, cached["turn"])
        return x if mask is None else torch.where(mask[..., None], x, 0.0), self._given(jets, prongs)

    def _ring(self, tensors: Tensors) -> Tensor:
        """Where the prongs of the jets of physical tensors lie among latent constituents, (events, prongs, 2)."""
        if not self._prongs:
            return torch.empty(len(tensors["jet"]), 0, 2)
        return self._parts.ring(torch.from_numpy(self.tables.prongs.vectors(self._jet_rows(tensors))))

    def _given(self, encoded: Tensors, prongs: Tensor) -> Tensor:
        """Latent values of jets (events, ...) that their constituents are conditioned on, without noise."""
        transform = self._jets.transform
        still = torch.full((len(encoded["condition"]), len(transform.columns.mixed)), 0.5)
        latent = torch.cat([encoded["condition"], encoded["settled"], transform.rest(encoded, still)], dim=1)
        return torch.cat([latent[:, self._given_places], prongs.flatten(1)], dim=1)

    def _table_stage(self, stage: str) -> str:
        known = {name: own for own, name in _STAGES.items()}
        if stage not in known:
            raise ValueError(f"a cloud has the stages {[one.name for one in self.stages]}, not '{stage}'")
        return known[stage]

    def observables(self, stage: str, x: Tensor, cached: Tensors) -> Tensor:
        del stage, cached
        return x.new_empty(len(x), 0)

    def scored(self, tensors: Tensors) -> Tensors:
        """Constituents by what jets are judged by: the hardest ones, and how momentum is spread around the axis."""
        if CONSTITUENTS not in tensors:
            return tensors
        cloud = self._cloud(tensors)
        axis = self.tables.axis(cloud)
        rest = {name: tensor for name, tensor in tensors.items() if name != CONSTITUENTS}
        return {**rest, CONSTITUENTS: torch.from_numpy(spread_of(cloud, axis))}

    def log_abs_det(self, stage: str, cached: Tensors, noise: Tensor) -> Tensor:
        if stage == CONSTITUENTS:
            raise TypeError("constituents are changed to sum to their jet: they have no density of their own")
        return self._jets.log_abs_det(self._table_stage(stage), _of("jet", cached), noise)

    def start(self, condition: Tensor) -> Tensors:
        return self._jets.start(condition)

    def stage_condition(self, stage: str, tensors: Tensors) -> Tensor:
        if stage != CONSTITUENTS:
            return self._jets.stage_condition(self._table_stage(stage), tensors)
        jets = self._jets.encode({"condition": tensors["condition"], "columns": tensors["jet"]})
        return self._given(jets, self._ring(tensors))

    def decode(self, stage: str, x: Tensor, tensors: Tensors, noise: Tensor) -> Tensors:
        if stage == CONSTITUENTS:
            return self._with_constituents(x, tensors)
        own = {**tensors, "columns": tensors["jet"]} if "jet" in tensors else tensors
        decoded = self._jets.decode(self._table_stage(stage), x, own, noise)
        if "columns" not in decoded:
            return decoded
        tensors = {name: tensor for name, tensor in decoded.items() if name != "columns"} | {"jet": decoded["columns"]}
        counts = np.rint(self._jet_rows(tensors)[self.tables.facts.count]).astype(np.int64)
        return {**tensors, COUNT: torch.from_numpy(counts)}

    def _with_constituents(self, x: Tensor, tensors: Tensors) -> Tensors:
        counts = tensors[COUNT].numpy()
        there = there_are(counts, x.shape[1])
        rows, direction = self._parts.decode(x[torch.from_numpy(there)])
        axis = self.tables.restored_axis(self._jet_rows(tensors))
        placed = self.tables.placed(rows, direction.numpy(), counts, axis)
        padded = np.zeros((*there.shape, placed.shape[1]))
        padded[there] = placed
        return {**tensors, CONSTITUENTS: torch.from_numpy(padded)}

    def state(self) -> dict[str, Any]:
        return {
            "schema": self.schema.to_dict(),
            "conditions": list(self._conditions),
            "options": self._options,
            "roles": self._roles,
            "max_constituents": self._layout.max_constituents,
            "augment": list(self._augment),
            "prongs": self._prongs,
            "absolute": self._layout.absolute,
            "facts": self.tables.facts.to_dict(),
            "jets": self._jets.state(),
            "parts": self._parts.table.state(),
        }

    @classmethod
    def from_state(cls, state: dict[str, Any]) -> ParticleCloudRepresentation:
        cloud = cls(
            Schema.from_dict(state["schema"]), state["conditions"], state["options"], state["roles"],
            state["max_constituents"], state["augment"], state.get("prongs", 0), state.get("absolute", False),
        )  # fmt: skip
        cloud._tables = CloudTables(cloud._layout, CloudFacts.from_dict(state["facts"]), cloud._prongs)
        cloud._jets = TableRepresentation.from_state(state["jets"])
        cloud._parts = ConstituentLatents(TableRepresentation.from_state(state["parts"]))
        return cloud


def _of(table: str, cached: Tensors) -> Tensors:
    """The cached tensors of one table by their own names."""
    return {name.removeprefix(f"{table}."): tensor for name, tensor in cached.items() if name.startswith(f"{table}.")}
