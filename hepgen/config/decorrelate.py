"""A recipe of ``task: decorrelate``: scores that shall not follow protected columns, on background."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, model_validator

from hepgen.config.data import DataRecipe, Names, SplitRecipe
from hepgen.config.families import Activation
from hepgen.config.morph import SideRecipe
from hepgen.config.part import Part
from hepgen.config.recipe import Recipe, TrainingRecipe
from hepgen.config.representation import TableRecipe

__all__ = ["BackgroundRecipe", "DecorrelateRecipe"]


class DecorrelationOptions(Part):
    """Decorrelation of a discriminant from protected columns by a conditional flow (arXiv 2211.02486)."""

    layers: int = Field(2, ge=1)
    """Number of splines, one after the other."""
    hidden: list[int] = Field([64, 64], min_length=1)
    """Widths of the hidden layers of the networks that choose the splines from the protected columns."""
    bins: int = Field(8, ge=2)
    """Number of bins of each spline."""
    bound: float = Field(5.0, gt=0)
    """The splines act on [-bound, bound] of the standardised discriminant; outside, the map is the identity."""
    waves: int = Field(4, ge=0, le=8)
    """Number of sines and cosines of each protected column that the networks see, of periods halving from 2 pi standard
    deviations: with them the splines follow steps of the discriminant along a column."""
    dropout: float = Field(0.0, ge=0, lt=1)
    """Probability of dropout, in training only; it fades with the learning rate."""
    activation: Activation = "silu"
    """Activation function."""
    output: Literal["uniform", "normal"] = "uniform"
    """Law of the decorrelated discriminant on the events that train: uniform on (0, 1), or standard normal."""


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
