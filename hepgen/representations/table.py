"""Tables: one row per event or object; every column becomes a standard normal, and comes back as it was."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any, ClassVar

import awkward as ak
import numpy as np
import torch
from torch import Tensor

from hepgen.errors import ConfigError, InputFileError, ModelError, suggest
from hepgen.events.schema import Schema
from hepgen.events.source import EventSource
from hepgen.representations.base import ConditionRange, Stage, Tensors
from hepgen.representations.column_kinds import ColumnFacts
from hepgen.representations.table_fit import fit_table
from hepgen.representations.table_layout import TableLayout
from hepgen.representations.table_transform import TableTransform

STAGE = "columns"


class TableRepresentation:
    """Rows of continuous, whole-numbered, discrete, cyclic, constant and partly missing columns.

    Every column goes through its own cumulative distribution to a standard normal; values with a probability of their
    own (spikes, whole numbers, missing values) are spread by noise and come back exactly. Before that, columns are
    expressed through others where that keeps a law of the data: angles relative to each other, values that never exceed
    another, sums of flags. No value leaves the range that was seen, or that the recipe set.

    Physical tensors: ``condition`` (events, conditions) and ``columns`` (events, columns that vary), both float64.

    Args:
        schema: columns of the table.
        conditions: names of the columns that the others are conditioned on.
        options: overrides by column name: kind, period, low, high, unit (see ``hepgen.config.representation``).

    Raises:
        ConfigError: for a column that a table cannot hold, or an override of a column that is not there.
    """

    kind: ClassVar[str] = "table"

    def __init__(
        self,
        schema: Schema,
        conditions: tuple[str, ...] = (),
        options: Mapping[str, Mapping[str, Any]] | None = None,
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
        self._facts: list[ColumnFacts] = []
        self._transform: TableTransform | None = None

    @classmethod
    def build(cls, options: Mapping[str, Any], schema: Schema) -> TableRepresentation:
        """From the representation part of a recipe, as a mapping, and the schema of the training data."""
        return cls(schema, tuple(options.get("conditions", ())), options.get("columns", {}))

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
        block = self.transform.columns
        return (Stage(STAGE, block.size, self.transform.conditions.size, noise=len(block.noisy)),)

    @property
    def condition_names(self) -> tuple[str, ...]:
        return tuple(element.name for element in self._layout.conditions)

    @property
    def validity(self) -> tuple[ConditionRange, ...]:
        conditions = zip(self.transform.conditions.facts, self._layout.conditions, strict=True)
        return tuple(
            ConditionRange(fact.name, fact.low, fact.high, self.schema[element.column].unit, fact.values)
            for fact, element in conditions
        )

    def fit(self, source: EventSource) -> None:
        self._facts, self._transform = fit_table(source, self._layout, self._options)
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
        return cached

    def features(self, stage: str, cached: Tensors, noise: Tensor) -> tuple[Tensor, Tensor]:
        self._check_stage(stage)
        return self.transform(cached, noise), cached["condition"]

    def log_abs_det(self, stage: str, cached: Tensors, noise: Tensor) -> Tensor:
        self._check_stage(stage)
        return self.transform.log_abs_det(cached, noise)

    def start(self, condition: Tensor) -> Tensors:
        return {"condition": condition}

    def stage_condition(self, stage: str, tensors: Tensors) -> Tensor:
        self._check_stage(stage)
        return self.transform.encode_condition(tensors["condition"])

    def decode(self, stage: str, x: Tensor, tensors: Tensors, noise: Tensor) -> Tensors:
        self._check_stage(stage)
        return {**tensors, "columns": self.transform.inverse(x, tensors["condition"])}

    @staticmethod
    def _check_stage(stage: str) -> None:
        if stage != STAGE:
            raise ValueError(f"a table has the stage '{STAGE}', not '{stage}'")

    def state(self) -> dict[str, Any]:
        return {
            "schema": self.schema.to_dict(),
            "conditions": list(self._names),
            "options": self._options,
            "columns": [fact.to_dict() for fact in self._facts],
            "transform": self.transform.state(),
        }

    @classmethod
    def from_state(cls, state: dict[str, Any]) -> TableRepresentation:
        table = cls(Schema.from_dict(state["schema"]), tuple(state["conditions"]), state["options"])
        table._facts = [ColumnFacts.from_dict(fact) for fact in state["columns"]]
        table._transform = TableTransform.from_state(state["transform"])
        return table
