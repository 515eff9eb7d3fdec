"""A recipe: everything that decides what a training learns, and how.

The models describe themselves: ``hepgen config schema`` prints them as a JSON schema, ``docs/recipes.md`` as a table.
"""

from __future__ import annotations

from typing import Any, Literal, Self

from pydantic import Field, field_serializer, field_validator, model_validator
from pydantic_core import PydanticCustomError

from hepgen.config.data import DataRecipe, SplitRecipe
from hepgen.config.families import FAMILIES, FamilyOptions, find_family
from hepgen.config.part import Part
from hepgen.config.representation import RepresentationRecipe
from hepgen.errors import suggest

__all__ = ["Recipe", "SamplingRecipe", "StageRecipe", "TrainingRecipe"]


class TrainingRecipe(Part):
    """How a stage is trained."""

    steps: int | None = Field(None, ge=1)
    """Number of optimizer steps; --budget fixes it by the clock instead."""
    epochs: float | None = Field(None, gt=0)
    """Number of passes over the training events, in the place of steps."""
    max_epochs: float | None = Field(None, gt=0)
    """Where the clock fixes the steps: at most this many passes over the training events. More would overfit few."""
    batch_size: int = Field(512, ge=1)
    """Events per step."""
    learning_rate: float = Field(1e-3, gt=0)
    """Peak learning rate; it warms up, then falls along a cosine to zero."""
    warmup: float = Field(0.02, ge=0, lt=1)
    """Fraction of the steps in which the learning rate rises."""
    weight_decay: float = Field(0.0, ge=0)
    """Weight decay of AdamW."""
    ema: float = Field(0.999, ge=0, lt=1)
    """Decay per step of the moving average of the weights, which is what samples; 0 takes the last weights."""
    clip: float = Field(5.0, gt=0)
    """Largest norm of the gradient."""
    precision: Literal["auto", "float32", "bf16", "fp16"] = "auto"
    """Arithmetic of the networks: auto takes bf16 on a GPU that has it, and float32 elsewhere."""
    patience: int | None = Field(None, ge=1)
    """Stop after this many validations without a better one; never if not set."""
    validate_every: int = Field(500, ge=1)
    """Steps between validations."""
    calibrate: bool = False
    """After the training, map the quantiles of each generated feature onto those of the training events."""
    checkpoint_every: float = Field(300.0, gt=0)
    """Seconds between checkpoints."""
    compile: bool = False
    """Compile the networks with torch.compile; without a C++ compiler the run goes on uncompiled."""

    def steps_in(self, epochs: float, events: int, batches_per_step: int = 1) -> int:
        """Number of steps that this many passes over the training events take."""
        return max(1, round(epochs * events / self.batch_size / batches_per_step))

    @model_validator(mode="after")
    def _one_length(self) -> Self:
        if self.steps is not None and self.epochs is not None:
            raise ValueError("steps and epochs both say how long to train: give one of them")
        return self


def _known_family(name: str) -> str:
    if name not in FAMILIES:
        hint = suggest(name, FAMILIES) or f"known: {', '.join(FAMILIES)}"
        raise PydanticCustomError("unknown_family", "no such generator family", {"hint": hint})
    return name


class StageRecipe(Part):
    """What one stage does differently from the others."""

    generator: str | None = None
    """Family of this stage's generator."""
    options: FamilyOptions = FamilyOptions()
    """Options of this stage by family; they win over those of the recipe."""
    share: float | None = Field(None, gt=0, le=1)
    """Share of the training budget; the stages without one divide the rest by their size."""
    training: TrainingRecipe = TrainingRecipe()
    """Keys of training that this stage takes differently."""

    @field_validator("generator")
    @classmethod
    def _family_exists(cls, name: str | None) -> str | None:
        return None if name is None else _known_family(name)

    @field_serializer("training")
    def _only_what_was_given(self, training: TrainingRecipe) -> dict[str, Any]:
        return training.explicit()


class SamplingRecipe(Part):
    """How events are generated."""

    block_size: int = Field(1000, ge=1)
    """Events per block, the unit of random numbers: changing it changes which events a seed gives."""
    unweight: bool = False
    """Tables: accept rows by a fitted chance that gives all columns, derived ones too, their distribution in the training."""


class Recipe(Part):
    """What ``hepgen train`` takes.

    Example:
        >>> recipe = Recipe.model_validate(
        ...     {"name": "z", "representation": {"kind": "table"}, "stages": {"columns": {"options": {"coupling": {"bins": 16}}}}}
        ... )
        >>> recipe.options_of("columns").bins
        16
    """

    schema_version: Literal[1] = 1
    """Version of this format."""
    task: Literal["generate"] = "generate"
    """generate: learn to make events. The tasks morph and decorrelate have recipes of their own."""
    name: str = Field(min_length=1)
    """Name of the surrogate, for its card."""
    data: DataRecipe = DataRecipe()
    """The events to learn from."""
    split: SplitRecipe = SplitRecipe()
    """Which events train, validate and test."""
    representation: RepresentationRecipe
    """The kind of events: calorimeter, particle_cloud or table."""
    generator: str = "coupling"
    """Family of the generator of every stage."""
    options: FamilyOptions = FamilyOptions()
    """Options by family, for every stage."""
    stages: dict[str, StageRecipe] = {}
    """Stages that differ: energies and shapes of a calorimeter, jet and constituents of a cloud, columns of a table."""
    training: TrainingRecipe = TrainingRecipe()
    """How every stage is trained."""
    sampling: SamplingRecipe = SamplingRecipe()
    """How events are generated."""

    @field_validator("generator")
    @classmethod
    def _family_exists(cls, name: str) -> str:
        return _known_family(name)

    @model_validator(mode="after")
    def _shares_fit(self) -> Self:
        total = sum(stage.share or 0.0 for stage in self.stages.values())
        if total > 1 + 1e-9:
            raise ValueError(f"the shares of the stages add up to {total:g}, which is more than 1")
        return self

    @model_validator(mode="after")
    def _rows_can_be_accepted(self) -> Self:
        if self.sampling.unweight and (self.representation.kind != "table" or self.data.objects is not None):
            raise ValueError("sampling.unweight is for tables with one row per event")
        return self

    def generator_of(self, stage: str) -> str:
        """The family that models a stage."""
        chosen = self.stages.get(stage, StageRecipe()).generator
        return self.generator if chosen is None else chosen

    def options_of(self, stage: str) -> Any:
        """The options of a stage's generator, an instance of its family's model: stage over recipe over default."""
        family = find_family(self.generator_of(stage))
        own = self.stages.get(stage, StageRecipe()).options
        return family.options.model_validate({**self.options.of(family.name), **own.of(family.name)})

    def training_of(self, stage: str) -> TrainingRecipe:
        """How a stage is trained: stage over recipe."""
        own = self.stages.get(stage, StageRecipe()).training.explicit()
        merged = {**self.training.model_dump(), **own}
        for length, other in (("steps", "epochs"), ("epochs", "steps")):
            if own.get(length) is not None:
                merged[other] = None
        return TrainingRecipe.model_validate(merged)

    def resolved(self) -> Recipe:
        """The same recipe with every option of every family in use written out, as a run stores it."""
        families = {self.generator, *(stage.generator for stage in self.stages.values() if stage.generator)}
        options = self.options.model_dump(mode="json")
        for name in families:
            options[name] = FAMILIES[name].options.model_validate(self.options.of(name)).model_dump(mode="json")
        return Recipe.model_validate({**self.model_dump(mode="json"), "options": options})
