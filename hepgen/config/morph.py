"""A recipe of ``task: morph``: two samples, and the method that moves one onto the other."""

from __future__ import annotations

from typing import Any, Literal, Self

from pydantic import Field, field_validator, model_validator
from pydantic_core import PydanticCustomError

from hepgen.config.data import DataRecipe, Names, SplitRecipe
from hepgen.config.methods import METHODS, MethodOptions, find_method
from hepgen.config.part import Part
from hepgen.config.recipe import Recipe, TrainingRecipe
from hepgen.config.representation import RepresentationRecipe
from hepgen.errors import suggest

__all__ = ["MorphRecipe", "SideRecipe", "WeightsRecipe"]


class SideRecipe(Part):
    """One of the two samples."""

    files: Names = []
    """Input files: FILE[:TREE], globs, or @list.txt; relative paths are relative to the recipe."""
    tree: str | None = None
    """Name of the tree, ntuple or HDF5 group, folders included; not needed where the file has only one."""
    cut: str | None = None
    """Events to learn from, such as "m_jj > 2700", in the units of the file; the others are not moved."""
    weight: str | None = None
    """Column of event weights; negative weights are allowed."""
    file_weights: dict[str, float] | None = None
    """Factor on the weights of a file, such as a cross-section per event, by a glob of the file's name."""
    define: dict[str, str] = {}
    """Helpers of the cut, by name: expressions of columns."""


class WeightsRecipe(Part):
    """How ratios of densities become weights; for methods that weight."""

    quantile: float | None = Field(0.999, gt=0, le=1)
    """Ratios above that of this share of the source's events are cut to it; not cut if null."""
    most: float | None = Field(None, gt=0)
    """Largest ratio, if the cut at the quantile is larger."""
    total: Literal["source", "target"] = "source"
    """Whose sum of weights the weighted events have: the source's changes shapes only, the target's the yield, too."""


class MorphRecipe(Part):
    """What ``hepgen train`` takes to fit a map from a source sample to a target sample, or weights.

    Example:
        >>> recipe = MorphRecipe.model_validate(
        ...     {"task": "morph", "name": "m", "source": {"files": ["a.root"]}, "target": {"files": ["b.root"]},
        ...      "columns": ["pt"], "representation": {"kind": "table", "conditions": ["m_jj"]}, "method": "quantile"}
        ... )
        >>> recipe.side("source").data.columns
        ['pt', 'm_jj']
    """

    schema_version: Literal[1] = 1
    """Version of this format."""
    task: Literal["morph"]
    """morph: move one sample onto another, or weight it."""
    name: str = Field(min_length=1)
    """Name of the map, for its card."""
    source: SideRecipe
    """The sample that is moved, or weighted."""
    target: SideRecipe
    """The sample that it shall look like."""
    columns: Names = Field(["*"], min_length=1)
    """Tables: columns to move, which both samples have; globs; a leading ! takes columns away."""
    derived: dict[str, str] = {}
    """Columns that are expressions of others: not learned, computed anew from what was moved."""
    split: SplitRecipe = SplitRecipe()
    """Which events of either sample train and validate."""
    representation: RepresentationRecipe
    """The kind of events, fitted on both samples together; its conditions are columns that are not moved."""
    method: str
    """How events are moved or weighted."""
    options: MethodOptions = MethodOptions()
    """Options by method."""
    training: TrainingRecipe = TrainingRecipe()
    """How a method that is trained by gradients is trained."""
    weights: WeightsRecipe = WeightsRecipe()
    """How ratios become weights."""
    block_size: int = Field(10_000, ge=1)
    """Events per block, the unit of random numbers of ``hepgen morph``; 1,000 for jets with constituents take less memory."""
    closure: bool = False
    """Learn the map from one half of the source onto the other: what it moves is the method's error. The target is not read."""

    @field_validator("method")
    @classmethod
    def _method_exists(cls, name: str) -> str:
        if name not in METHODS:
            hint = suggest(name, METHODS) or f"known: {', '.join(METHODS)}"
            raise PydanticCustomError("unknown_method", "no such morphing method", {"hint": hint})
        return name

    @model_validator(mode="after")
    def _conditions_are_not_derived(self) -> Self:
        for name in self.representation.conditions:
            if name in self.derived:
                raise ValueError(f"the condition '{name}' is derived; a condition is a column of the file")
        return self

    @model_validator(mode="after")
    def _says_what_the_method_cannot_do_without(self) -> Self:
        given = self.options.of(self.method)
        for name, field in find_method(self.method).options.model_fields.items():
            if field.is_required() and name not in given:
                raise ValueError(
                    f"the method '{self.method}' needs options.{self.method}.{name}: see `hepgen config methods`"
                )
        return self

    def side(self, which: Literal["source", "target"]) -> Recipe:
        """The recipe by which one side is opened, as if it were to be generated."""
        given = (self.source if which == "source" or self.closure else self.target).model_dump(mode="json")
        taken = any(not pattern.startswith("!") and pattern != "*" for pattern in self.columns)
        columns = [*self.columns, *(self.representation.conditions if taken else ())]
        data = DataRecipe.model_validate({**given, "columns": columns, "derived": self.derived})
        return Recipe(name=self.name, data=data, split=self.split, representation=self.representation)

    @property
    def chosen(self) -> Any:
        """The options of the method, an instance of its model."""
        return find_method(self.method).options.model_validate(self.options.of(self.method))

    def resolved(self) -> MorphRecipe:
        """The same recipe with every option of the method written out, as a run stores it."""
        options = {**self.options.model_dump(mode="json"), self.method: self.chosen.model_dump(mode="json")}
        return MorphRecipe.model_validate({**self.model_dump(mode="json"), "options": options})
