"""What a training would do: the plan that ``hepgen train --dry-run`` prints."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from hepgen.cli.console import Output
from hepgen.cli.quantities import format_duration, format_size
from hepgen.config.decorrelate import DecorrelateRecipe
from hepgen.config.load import AnyRecipe
from hepgen.config.morph import MorphRecipe
from hepgen.config.recipe import Recipe
from hepgen.events.source import EventSource, NumberedBatch, SourceBase, as_numbered
from hepgen.events.split import PARTS, split_source
from hepgen.morphing.base import build_method
from hepgen.morphing.decorrelate import SUFFIX
from hepgen.morphing.decorrelation import Decorrelation
from hepgen.morphing.scores import ScoreSpace
from hepgen.morphing.space import JoinedSpace
from hepgen.runs.data import batch_memory, open_data
from hepgen.runs.decorrelate import open_background, part_of
from hepgen.runs.pairs import ConcatenatedSource, refuse_strangers
from hepgen.runs.plan import DEFAULT_BUDGET, check_stages, unfitted_representation
from hepgen.runs.sides import open_sides
from hepgen.surrogate.surrogate import build_generator
from hepgen.training.plan import shares

FITTED_EVENTS = 2000
"""Events that the dry run fits the representation on: enough to know the kinds of the columns."""


class Head(SourceBase):
    """The first events of a source, which keep the numbers of their entries."""

    def __init__(self, source: EventSource, events: int) -> None:
        self._source = as_numbered(source)
        self._counted = min(events, self._source.num_events)
        self.schema, self.files = self._source.schema, self._source.files
        self.starts, self.skipped = self._source.starts, self._source.skipped

    def numbered_batches(self, columns: Sequence[str] | None = None) -> Iterator[NumberedBatch]:
        left = self.num_events
        for batch in self._source.numbered_batches(columns):
            yield NumberedBatch(batch.events[:left], batch.entry[:left], batch.file[:left])
            left -= len(batch)
            if left <= 0:
                return


def plan_of(recipe: AnyRecipe, *, memory: int, budget: float | None) -> dict[str, Any]:
    """The plan of a recipe of any task."""
    if isinstance(recipe, DecorrelateRecipe):
        return decorrelation_plan(recipe, memory=memory, budget=budget)
    if isinstance(recipe, MorphRecipe):
        return morph_plan(recipe, memory=memory, budget=budget)
    return training_plan(recipe, memory=memory, budget=budget)


def decorrelation_plan(recipe: DecorrelateRecipe, *, memory: int, budget: float | None) -> dict[str, Any]:
    """Open the background, fit the scales of the columns on a part of it, and build the flow.

    Raises:
        ConfigError, InputFileError: as the training would.
    """
    data = open_background(recipe, memory=batch_memory(memory), hashes=False)
    counted = {part: part_of(recipe, data, part).num_events for part in PARTS}
    head = Head(part_of(recipe, data, "train"), FITTED_EVENTS)
    stage = ScoreSpace.fit(head, recipe.discriminants, recipe.protected).stage
    flow = Decorrelation(stage.features, stage.conditions, recipe.options)
    training = recipe.training
    by_clock = budget is not None or (training.steps is None and training.epochs is None)
    epochs = training.max_epochs if by_clock else training.epochs
    most = None if epochs is None else training.steps_in(epochs, counted["train"])
    seconds = (budget if budget is not None else DEFAULT_BUDGET) if by_clock else None
    row = {
        "stage": stage.name, "generator": "decorrelation", "features": stage.features,
        "conditions": stage.conditions, "parameters": sum(one.numel() for one in flow.parameters()),
        "steps": None if by_clock else training.steps or most, "most_steps": most if by_clock else None,
        "seconds": seconds,
    }  # fmt: skip
    width = 4 * (2 * stage.features + stage.conditions)
    names = [*recipe.discriminants, *recipe.protected]
    return {
        "name": recipe.name,
        "files": [one["path"] for one in data.inputs],
        "events": counted,
        "objects": None,
        "columns": names,
        "output": [name + SUFFIX for name in recipe.discriminants],
        "stages": [row],
        "encoded_bytes": width * (counted["train"] + counted["validation"]),
        "seconds": seconds,
    }


def morph_plan(recipe: MorphRecipe, *, memory: int, budget: float | None) -> dict[str, Any]:
    """Open both samples, see whether they go together, fit the representation on a part of them, and build the method.

    Raises:
        ConfigError, InputFileError: as the training would.
    """
    sides = open_sides(recipe, memory=batch_memory(memory), hashes=False)
    source = sides["source"].data
    representation = unfitted_representation(recipe.side("source"), source, ordered=True)
    representation.fit(ConcatenatedSource([Head(side.train, FITTED_EVENTS) for side in sides.values()]))
    stages, options = JoinedSpace(representation).stages, recipe.chosen.model_dump(mode="json")
    methods = [build_method(recipe.method, one.features, one.conditions, options, one.points) for one in stages]
    method = methods[0]
    method.require()
    refuse_strangers(
        sides["source"].train, sides["target"].train, () if method.changes_condition else recipe.representation.conditions,
        recipe.representation.conditions,
    )  # fmt: skip
    training, rows = recipe.training, {which: side.train.num_events for which, side in sides.items()}
    trained = bool(method.objectives())
    by_clock = trained and (budget is not None or (training.steps is None and training.epochs is None))
    epochs = training.max_epochs if by_clock else training.epochs
    most = None if epochs is None else training.steps_in(epochs, rows["target"])
    seconds = (budget if budget is not None else DEFAULT_BUDGET) if by_clock else None
    share = shares({one.name: one.size for one in stages}, {})
    table = [
        {
            "stage": one.name, "generator": recipe.method, "features": one.features, "conditions": one.conditions,
            "parameters": sum(parameter.numel() for parameter in built.parameters()),
            "steps": None if by_clock else (training.steps or most) if trained else 0,
            "most_steps": most if by_clock else None, "seconds": None if seconds is None else seconds * share[one.name],
        }
        for one, built in zip(stages, methods, strict=True)
    ]  # fmt: skip
    counted = {part: sum(getattr(side, part).num_events for side in sides.values()) for part in ("train", "validation")}
    return {
        "name": recipe.name,
        "files": [one["path"] for side in sides.values() for one in side.data.inputs],
        "events": {**counted, "test": sum(side.data.test.num_events for side in sides.values())},
        "objects": None,
        "columns": list(source.learned.names),
        "output": list(source.output.names),
        "stages": table,
        "encoded_bytes": 4 * sum(one.features + one.conditions for one in stages) * sum(counted.values()),
        "seconds": seconds,
    }


def training_plan(recipe: Recipe, *, memory: int, budget: float | None) -> dict[str, Any]:
    """Open and divide the input, fit the representation on a part of it, and build every generator.

    Args:
        recipe: with absolute paths.
        memory: bytes that the training may take.
        budget: seconds of training, or None.

    Raises:
        ConfigError, InputFileError: as the training would.
    """
    data = open_data(recipe, memory=batch_memory(memory), hashes=False)
    training_rows = {part: getattr(data, part).num_events for part in PARTS}
    events = training_rows
    if data.exploded is not None:
        events = {part: split_source(data.events, data.rule, part).num_events for part in PARTS}
    representation = unfitted_representation(recipe, data)
    representation.fit(Head(data.train, FITTED_EVENTS))
    stages = representation.stages
    check_stages(recipe, stages)
    given_shares = {name: stage.share for name, stage in recipe.stages.items() if stage.share is not None}
    part = shares({stage.name: stage.size for stage in stages}, given_shares)
    timed = budget if budget is not None else DEFAULT_BUDGET
    rows: list[dict[str, Any]] = []
    for stage in stages:
        family, training = recipe.generator_of(stage.name), recipe.training_of(stage.name)
        network = build_generator(
            family, stage.features, stage.conditions, recipe.options_of(stage.name).model_dump(mode="json"),
            stage.observables, stage.points,
        )  # fmt: skip
        by_clock = budget is not None or (training.steps is None and training.epochs is None)
        steps = training.steps
        epochs = training.max_epochs if by_clock else training.epochs
        most = None if epochs is None else training.steps_in(epochs, training_rows["train"])
        rows.append(
            {
                "stage": stage.name,
                "generator": family,
                "features": stage.features,
                "conditions": stage.conditions,
                "parameters": sum(parameter.numel() for parameter in network.parameters()),
                "steps": None if by_clock else steps or most,
                "most_steps": most if by_clock else None,
                "seconds": timed * part[stage.name] if by_clock else None,
            }
        )
    width = 4 * sum(row["features"] + row["conditions"] for row in rows)
    return {
        "name": recipe.name,
        "files": [one["path"] for one in data.inputs],
        "events": events,
        "objects": None if data.exploded is None else {"name": recipe.data.objects, **training_rows},
        "columns": list(data.learned.names),
        "output": list(data.output.names),
        "stages": rows,
        "encoded_bytes": width * (training_rows["train"] + training_rows["validation"]),
        "seconds": sum(row["seconds"] for row in rows) if all(row["seconds"] for row in rows) else None,
    }


def print_plan(sink: Output, plan: dict[str, Any]) -> None:
    """The plan as tables on stdout."""
    counted = f"events: {_counts(plan['events'])}"
    if plan["objects"] is not None:
        counted += f"; training rows, one per {plan['objects']['name']}: {_counts(plan['objects'])}"
    sink.data(f"{plan['name']}: {len(plan['files'])} file(s), {counted}; {len(plan['columns'])} columns")
    keys = ("stage", "generator", "features", "conditions", "parameters")
    rows = [[*(str(row[key]) for key in keys), _steps(row)] for row in plan["stages"]]
    sink.table("", [*keys, "steps"], rows)
    limited = any(row["most_steps"] is not None for row in plan["stages"])
    time = "by steps" if plan["seconds"] is None else format_duration(plan["seconds"])
    if all(row["steps"] == 0 for row in plan["stages"]):
        time = "fitted at once"
    time = f"at most {time}" if limited else time
    sink.data(f"encoded events: about {format_size(plan['encoded_bytes'])}; training time: {time}")


def _steps(row: dict[str, Any]) -> str:
    if row["seconds"] is None:
        return str(row["steps"])
    most = "" if row["most_steps"] is None else f", at most {row['most_steps']}"
    return f"as fit into {format_duration(row['seconds'])}{most}"


def _counts(numbers: dict[str, Any]) -> str:
    return ", ".join(f"{numbers[part]} {part}" for part in PARTS)
