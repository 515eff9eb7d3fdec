"""The two samples of a morph: opened, held against each other, and with weights that its method can take."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from hepgen.config.methods import find_clouds
from hepgen.config.morph import MorphRecipe
from hepgen.config.representation import CloudRecipe
from hepgen.errors import ConfigError
from hepgen.events.schema import Schema
from hepgen.events.source import EventSource
from hepgen.morphing.base import Method
from hepgen.morphing.positive import PositiveSource, mean_weights
from hepgen.runs.data import RunData, open_data
from hepgen.runs.pairs import check_pair, check_weights, halves, naming_side, refuse_counters

SIDES: tuple[Literal["source"], Literal["target"]] = ("source", "target")


@dataclass
class Side:
    """One sample of a morph.

    Attributes:
        data: its columns, events and parts.
        train, validation: events of these parts; in a closure test a half of the source's.
    """

    data: RunData
    train: EventSource
    validation: EventSource


def open_sides(recipe: MorphRecipe, *, memory: int, hashes: bool = True) -> dict[str, Side]:
    """Open both samples and refuse two that do not go together.

    Raises:
        ConfigError: if a side names no files, or the method does not move such events.
        InputFileError: if a file cannot be read, or the columns or units of the two differ.
    """
    if isinstance(recipe.representation, CloudRecipe):
        find_clouds(recipe.method)
    found: dict[str, Side] = {}
    for which in SIDES:
        given = recipe.source if which == "source" or recipe.closure else recipe.target
        if not given.files:
            raise ConfigError("the recipe names no files", where=f"{which}.files", hint=f"--set {which}.files=[FILE]")
        with naming_side(which):
            data = open_data(recipe.side(which), memory=memory, hashes=hashes)
            refuse_counters(data)
        for one in data.inputs:
            one["side"] = which
        found[which] = Side(data, data.train, data.validation)
    if recipe.closure:
        for half, side in enumerate(found.values()):
            side.train, side.validation = halves(side.train, half), halves(side.validation, half)
    check_pair(found["source"].data, found["target"].data)
    return found


def without_negative_weights(
    recipe: MorphRecipe, sides: dict[str, Side], method: Method, seed: int
) -> tuple[dict[str, Side], list[str]]:
    """The sides as a method is fitted on them: with mean weights where it moves masses and some weights are negative.

    Args:
        method: of the recipe.
        seed: of the trees that find mean weights.

    Returns:
        The sides, and what to say of it, a sentence each.

    Raises:
        InputFileError: if the weights of a side do not add up to more than 0.
    """
    fitted, notes = dict(sides), []
    for which, side in sides.items():
        negative = check_weights(which, side.data, side.train)
        if not negative or not method.moves_masses:
            continue
        weights = mean_weights(side.train, seed)
        validation = PositiveSource(side.validation, weights) if side.validation.num_events else side.validation
        fitted[which] = Side(side.data, PositiveSource(side.train, weights), validation)
        notes.append(
            f"{100 * negative:.3g} % of the events of the {which} have negative weights, and '{recipe.method}' moves masses: "
            f"each event counts with the mean weight of events like it{_seen(side.train.schema)}"
        )
    return fitted, notes


def _seen(schema: Schema) -> str:
    """What the likeness of events with lists goes by, in words."""
    lists = any(column.jagged for column in schema)
    return " in its columns, and in the lengths, sums and first elements of its lists" if lists else ""
