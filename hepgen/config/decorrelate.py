"""A recipe of ``task: decorrelate``: scores that shall not follow protected columns, on background."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, model_validator

from hepgen.config.data import DataRecipe, Names, SplitRecipe
from hepgen.config.methods import DecorrelationOptions
from hepgen.config.morph import SideRecipe
from hepgen.config.part import Part
from hepgen.config.recipe import Recipe, TrainingRecipe
from hepgen.config.representation import TableRecipe

__all__ = ["BackgroundRecipe", "DecorrelateRecipe"]


class BackgroundRecipe(SideRecipe):
    """The events on which the decorrelated discriminant shall be the same at all protected values."""

    cut: str | None = None
    """Which events are background, such as "is_signal == 0"; it is applied in the training only."""
    define: dict[str, str] = {}
    """Helpers by name, expressions of columns: for the cut, or to decorrelate or protect what is no column of the file."""


class DecorrelateRecipe(Part):
    """What ``hepgen train`` takes to decorrelate discriminants from protected columns.

    Example:
        >>> recipe = DecorrelateRecipe.model_validate(
        ...     {"task": "decorrelate", "name": "d", "data": {"files": ["a.root"]}, "discriminants": ["score"],
        ...      "protected": ["m_jj"]}
        ... )
        >>> recipe.options.output
        'uniform'
    """

    schema_version: Literal[1] = 1
    """Version of this format."""
    task: Literal["decorrelate"]
    """decorrelate: make scores the same at all values of protected columns."""
    name: str = Field(min_length=1)
    """Name of the model, for its card."""
    data: BackgroundRecipe
    """The background."""
    discriminants: Names = Field(min_length=1)
    """Columns to decorrelate, one number an event, such as a classifier's score; each by itself."""
    protected: Names = Field(min_length=1)
    """Columns that they must not follow, one number an event, such as a mass."""
    split: SplitRecipe = SplitRecipe()
    """Which events train and validate."""
    options: DecorrelationOptions = DecorrelationOptions()
    """Options of the conditional flow."""
    training: TrainingRecipe = TrainingRecipe()
    """How it is trained."""
    block_size: int = Field(10_000, ge=1)
    """Events per block of ``hepgen decorrelate``."""

    @model_validator(mode="after")
    def _each_once(self) -> Self:
        names = [*self.discriminants, *self.protected]
        for name in names:
            if name in self.protected and name in self.discriminants:
                raise ValueError(f"'{name}' is both a discriminant and protected: at its own value it says nothing")
            if names.count(name) > 1:
                raise ValueError(f"'{name}' is named twice")
        return self

    def opened(self) -> Recipe:
        """The recipe by which the background is opened, as if it were to be generated."""
        data = DataRecipe.model_validate(self.data.model_dump(mode="json"))
        representation = TableRecipe(kind="table")
        return Recipe(name=self.name, data=data, split=self.split, representation=representation)

    def resolved(self) -> DecorrelateRecipe:
        """The same recipe: every option is written out already."""
        return self
