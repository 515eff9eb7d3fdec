"""Tables: one row per event or object; every column becomes a standard normal, and comes back as it was."""

from __future__ import annotations

import dataclasses
import fnmatch
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import awkward as ak
import numpy as np
import torch
from torch import Tensor

from hepgen.errors import ConfigError, InputFileError, ModelError, suggest
from hepgen.events.schema import Schema, is_label
from hepgen.events.source import EventSource
from hepgen.representations.base import ConditionRange, Stage, Tensors, Vectors
from hepgen.representations.column_kinds import ColumnFacts
from hepgen.representations.maps.gaussianise import log_normal
from hepgen.representations.mirrors import MIRROR
from hepgen.representations.table_fit import fit_table
from hepgen.representations.table_layout import TableLayout
from hepgen.representations.table_transform import TableTransform

DISCRETE = "discrete"
"""Stage of the columns with a few values, and of which values are absent."""
COLUMNS = "columns"
"""Stage of all other columns, given the discrete ones."""


class TableRepresentation(Vectors):
    """Rows of continuous, whole-numbered, discrete, cyclic, constant and partly missing columns.

    Every column goes through its own cumulative distribution to a standard normal; values with a probability of their
    own (spikes, whole numbers, missing values) are spread by noise and come back exactly. A condition may be encoded by a
    straight line instead, which goes on beyond the range that was seen, and so may a continuous column, as far as its set
    bounds. Before that, columns are expressed through others where that keeps a law of the data: angles relative to each
    other, values that never exceed another, sums of flags. No value leaves the range that was seen, or that the recipe set.

    Stages: ``discrete`` for the columns with a few values and for which values are absent, ``columns`` for the rest given
    those. A stage that has nothing to do is left out. Without conditions, and where every combination of the discrete
    values is seen often enough, the combinations are the values of one number: they come as often as they did. That number
    has no order that means anything, so it is not made where events are to be moved (``ordered``).

    Physical tensors: ``condition`` (events, conditions) and ``columns`` (events, columns that vary), both float64; while
    an event is decoded also ``discrete`` (events, discrete), float32, the latent values at the middle of the atoms.

    Args:
        schema: columns of the table.
        conditions: names of the columns that the others are conditioned on.
        options: overrides by column name: kind, period, low, high, unit, scale (see ``hepgen.config.representation``).
        mirror: groups of columns, globs too, that may change their sign together.

    Raises:
        ConfigError: for a column that a table cannot hold, or an override or a mirror of a column that is not there.
    """

    kind: ClassVar[str] = "table"

    def __init__(
        self,
        schema: Schema,
        conditions: tuple[str, ...] = (),
        options: Mapping[str, Mapping[str, Any]] | None = None,
        mirror: Sequence[Sequence[str]] = (),
    ) -> None:
        self._options = {name: dict(values) for name, values in (options or {}).items()}
        units = {name: values["unit"] for name, values in self._options.items() if values.get("unit")}
        columns = [dataclasses.replace(column, unit=units.get(column.name, column.unit)) for column in schema]
        self._names = tuple(conditions)
        self._layout = TableLayout(schema.replace(columns), self._names)
        known = {name for element in self._layout.elements for name in (element.name, element.column)}
        for name in self._options:
            if name not in known:
                raise ConfigError(f"no column '{name}'", where="representation.columns", hint=suggest(name, known))
        self._mirror = tuple(tuple(group) for group in mirror)
        self._mirrored = [_matched(group, self._layout) for group in self._mirror]
        self._facts: list[ColumnFacts] = []
        self._transform: TableTransform | None = None

    @classmethod
    def build(cls, options: Mapping[str, Any], schema: Schema) -> TableRepresentation:
        """From the representation part of a recipe, as a mapping, and the schema of the training data."""
        return cls(schema, tuple(options.get("conditions", ())), options.get("columns", {}), options.get("mirror", ()))

    @property
    def schema(self) -> Schema:
        """Columns that ``unpack`` gives, with units set by the recipe."""
        return self._layout.schema

    @property
    def transform(self) -> TableTransform:
        """Conditions and columns to latent space: a torch module in physical units."""
        if self._transform is None:
            raise ModelError("the table representation has not been fitted", hint="call fit first")
        return self._transform

    @property
    def columns(self) -> tuple[ColumnFacts, ...]:
        """What was found out about every column, conditions first."""
        return tuple(self._facts)

    @property
    def stages(self) -> tuple[Stage, ...]:
        block, conditions = self.transform.columns, self.transform.conditions.size
        first = block.discrete_size
        every = (
            Stage(DISCRETE, first, conditions, noise=first),
            Stage(COLUMNS, len(block.rest), conditions + len(block.discrete), noise=len(block.mixed)),
        )
        return tuple(stage for stage in every if stage.features)

    @property
    def condition_names(self) -> tuple[str, ...]:
        return tuple(element.name for element in self._layout.conditions)

    @property
    def validity(self) -> tuple[ConditionRange, ...]:
        conditions = zip(self.transform.conditions.facts, self._layout.conditions, strict=True)
        return tuple(
            ConditionRange(
                fact.name, fact.low, fact.high, self.schema[element.column].unit, fact.values,
                labels=is_label(self.schema[element.column]), whole=np.dtype(element.dtype).kind in "biu",
            )
            for fact, element in conditions
        )  # fmt: skip

    def fit(self, source: EventSource) -> None:
        self._facts, self._transform = fit_table(
            source, self._layout, self._options, self._mirrored, combine=not self.ordered
        )
        if self._transform.columns.size == 0:
            raise InputFileError("no column varies: there is nothing to learn", where=f"tree '{self.schema.tree}'")

    @property
    def _varying(self) -> list[int]:
        first = len(self._layout.conditions)
        return [i for i, fact in enumerate(self._facts) if i >= first and fact.kind != "constant"]

    def pack(self, batch: ak.Array) -> Tensors:
        matrix = torch.from_numpy(self._layout.pack(batch))
        return {"condition": matrix[:, : len(self._layout.conditions)], "columns": matrix[:, self._varying]}

    def unpack(self, tensors: Tensors) -> ak.Array:
        condition = tensors["condition"].double().cpu().numpy()
        first = condition.shape[1]
        constants = [np.nan if fact.absent is not None else fact.low for fact in self._facts]
        matrix = np.tile(np.array(constants), (len(condition), 1))
        matrix[:, :first] = condition
        matrix[:, self._varying] = tensors["columns"].double().cpu().numpy()
        low, high = np.array([fact.low for fact in self._facts]), np.array([fact.high for fact in self._facts])
        low[:first], high[:first] = -np.inf, np.inf  # conditions are given, not generated
        return self._layout.unpack(matrix, low, high)

    def encode(self, tensors: Tensors) -> Tensors:
        return self.transform.encode(tensors["condition"], tensors["columns"])

    def augment(self, cached: Tensors, noise: Tensor) -> Tensors:
        return self.transform.mirror(cached, noise)

    def features(self, stage: str, cached: Tensors, noise: Tensor) -> tuple[Tensor, Tensor]:
        self._check_stage(stage)
        if stage == DISCRETE:
            return self.transform.discrete(cached, noise), cached["condition"]
        given = torch.cat([cached["condition"], cached["settled"]], dim=1)
        return self.transform.rest(cached, noise), given

    def observables(self, stage: str, x: Tensor, cached: Tensors) -> Tensor:
        del stage, cached
        return x[:, :0]

    def log_abs_det(self, stage: str, cached: Tensors, noise: Tensor) -> Tensor:
        x, _ = self.features(stage, cached, noise)
        return cached["log_slope_discrete" if stage == DISCRETE else "log_slope"] - log_normal(x).sum(1)

    def start(self, condition: Tensor) -> Tensors:
        return {"condition": condition, "discrete": torch.empty(len(condition), 0)}

    def stage_condition(self, stage: str, tensors: Tensors) -> Tensor:
        self._check_stage(stage)
        return torch.cat([self.transform.encode_condition(tensors["condition"]), tensors["discrete"]], dim=1)

    def decode(self, stage: str, x: Tensor, tensors: Tensors, noise: Tensor) -> Tensors:
        self._check_stage(stage)
        if stage == DISCRETE:
            tensors = {**tensors, "discrete": self.transform.columns.settle(x)}
        if stage != self.stages[-1].name:
            return tensors
        rest = x if stage == COLUMNS else x[:, :0]
        return {**tensors, "columns": self.transform.inverse(tensors["discrete"], rest, tensors["condition"])}

    def _check_stage(self, stage: str) -> None:
        known = [one.name for one in self.stages]
        if stage not in known:
            raise ValueError(f"this table has the stages {known}, not '{stage}'")

    def state(self) -> dict[str, Any]:
        return {
            "schema": self.schema.to_dict(),
            "conditions": list(self._names),
            "options": self._options,
            "mirror": [list(group) for group in self._mirror],
            "columns": [fact.to_dict() for fact in self._facts],
            "transform": self.transform.state(),
        }

    @classmethod
    def from_state(cls, state: dict[str, Any]) -> TableRepresentation:
        table = cls(Schema.from_dict(state["schema"]), tuple(state["conditions"]), state["options"], state["mirror"])
        table._facts = [ColumnFacts.from_dict(fact) for fact in state["columns"]]
        table._transform = TableTransform.from_state(state["transform"])
        return table


def _matched(patterns: Sequence[str], layout: TableLayout) -> tuple[int, ...]:
    """Places, among the modelled elements, of those that any pattern matches."""
    names = {name for element in layout.columns for name in (element.name, element.column)}
    found: set[int] = set()
    for pattern in patterns:
        matched = set(fnmatch.filter(names, pattern))
        if not matched:
            raise ConfigError(f"no modelled column matches '{pattern}'", where=MIRROR, hint=suggest(pattern, names))
        found |= {place for place, one in enumerate(layout.columns) if matched & {one.name, one.column}}
    return tuple(sorted(found))
