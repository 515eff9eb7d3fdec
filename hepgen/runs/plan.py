"""What a recipe asks for, before anything is trained: a training and its dry run begin alike."""

from __future__ import annotations

from hepgen.config.recipe import Recipe
from hepgen.errors import ConfigError, InputFileError, suggest
from hepgen.representations import registry
from hepgen.representations.base import Representation, Stage
from hepgen.runs.data import RunData
from hepgen.training.cache import WEIGHT

DEFAULT_BUDGET = 1800.0
"""Seconds of training where neither a budget nor steps nor epochs are given."""


def unfitted_representation(recipe: Recipe, data: RunData, *, ordered: bool = False) -> Representation:
    """The representation that a recipe asks for.

    Args:
        ordered: whether each number of an event keeps its order, as a map of events needs it.

    Raises:
        InputFileError: if no event is left to train on, or the columns are not what the representation needs.
    """
    if not data.train.num_events:
        raise InputFileError(
            "no event is left to train on",
            where=", ".join(str(one["path"]) for one in data.inputs),
            hint="look at the cut and the split of the recipe",
        )
    options = recipe.representation.model_dump(mode="json")
    if data.exploded is not None:
        given = [name for name in data.exploded.given if name != WEIGHT]
        options["conditions"] = list(dict.fromkeys([*options["conditions"], *given]))
    found = registry.build(options, data.learned)
    found.ordered = ordered
    return found


def check_stages(recipe: Recipe, stages: tuple[Stage, ...]) -> None:
    """Refuse settings of a stage that the representation does not have.

    Raises:
        ConfigError: naming the stage and the nearest one that exists.
    """
    known = [stage.name for stage in stages]
    for name in recipe.stages:
        if name not in known:
            hint = suggest(name, known) or f"a {recipe.representation.kind} has {', '.join(known)}"
            raise ConfigError(f"no stage '{name}'", where=f"stages.{name}", hint=hint)
