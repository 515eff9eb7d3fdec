"""The data of a recipe: which events train, validate and test, which columns are learned, and what the output holds."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any

import numpy as np

from hepgen.config.data import DataRecipe
from hepgen.config.recipe import Recipe
from hepgen.config.representation import CalorimeterRecipe, CloudRecipe
from hepgen.errors import ConfigError, InputFileError, suggest, suggest_or_list
from hepgen.events.candidates import jets_of_candidates
from hepgen.events.expressions import Expression
from hepgen.events.objects import ExplodedSource, explode, nested_schema
from hepgen.events.reader import DEFAULT_MEMORY, open_events
from hepgen.events.schema import Schema, is_identity
from hepgen.events.select import WEIGHT, SelectedSource, select_events, weighted
from hepgen.events.source import EventSource
from hepgen.events.split import SplitRule, split_source
from hepgen.surrogate.provenance import describe_input


@dataclass
class RunData:
    """The data of a run.

    Attributes:
        output: columns that the surrogate will generate, as they stand in the file.
        learned: columns of a training row, without weights.
        events: every event that the cut leaves, with all columns.
        train, validation, test: training rows; ``_weight`` among their columns where there are weights.
        rule: which event falls where.
        inputs: what ``provenance.json`` says of the files.
        exploded: the training rows of object mode before the split, else None.
    """

    recipe: Recipe
    output: Schema
    learned: Schema
    events: EventSource
    train: EventSource
    validation: EventSource
    test: EventSource
    rule: SplitRule
    inputs: list[dict[str, Any]]
    exploded: ExplodedSource | None = None

    def facts(self) -> dict[str, Any]:
        """What the bundle keeps of the data; reads the weights once, and in object mode the counts."""
        data = self.recipe.data
        facts: dict[str, Any] = {"split": self.rule.to_dict(), "derived": _written(data)}
        if WEIGHT in self.events.schema:
            total, events = 0.0, 0
            for batch in self.events.batches([WEIGHT]):
                total += float(np.asarray(batch[WEIGHT]).sum())
                events += len(batch)
            facts["weight"] = {"column": data.weight, "sum": total, "events": events}
        if self.exploded is not None:
            facts["objects"] = _object_facts(self.recipe, self.exploded, self.events, self.rule)
        return facts

    def written(self) -> EventSource:
        """The training events with every column of the output that is generated or computed, and their weights."""
        names = [name for name in self.output.names if _is_learned(self.recipe, self.output, name)]
        names += [name for name in self.recipe.data.derived if name not in names]
        names += [WEIGHT] if WEIGHT in self.events.schema else []
        return select_events(split_source(self.events, self.rule, "train"), columns=names)


def batch_memory(memory: int) -> int:
    """Bytes of one batch in a training that may take ``memory``: its decoding holds several times as much."""
    return min(32 << 20, max(1 << 20, memory // 32))


def open_data(recipe: Recipe, *, memory: int = DEFAULT_MEMORY, hashes: bool = True) -> RunData:
    """Open the files of a recipe and divide their events.

    Args:
        memory: bytes of one batch.
        hashes: whether to hash the files for the provenance.

    Raises:
        ConfigError: if the recipe names no files, or columns that do not go together.
        InputFileError: if a file cannot be read, or a column is not there.
    """
    data = recipe.data
    if not data.files:
        raise ConfigError("the recipe names no files", where="data.files", hint="name them there, or with --data FILE")
    files = open_events(data.files, tree=data.tree, memory=memory)
    clouds = isinstance(recipe.representation, CloudRecipe)
    rows_of = jets_of_candidates(files, data.objects) if clouds and data.objects is not None else files
    raw: EventSource = rows_of
    if data.weight is not None or data.file_weights:
        raw = weighted(rows_of, data.weight, data.file_weights)
    for name in data.define:
        if name in raw.schema:
            raise ConfigError(
                f"the file has a column '{name}'", where=data.key_of(name), hint="give the helper another name"
            )
    events = select_events(raw, cut=data.cut, derived=data.computed)
    rule = SplitRule(**recipe.split.model_dump()).for_files(files.files)
    chosen = _chosen(recipe, events)
    exploded: ExplodedSource | None = None
    if data.objects is None or clouds:
        learned = chosen.replace(column for column in chosen if _is_learned(recipe, chosen, column.name))
    else:
        exploded = _exploded(recipe, events, chosen)
        learned = exploded.schema.replace(column for column in exploded.schema if column.name != WEIGHT)
        counted = nested_schema(exploded, [name for name in exploded.given if name != WEIGHT])
        kept = {*counted.names, *data.derived}
        chosen = events.schema.replace(
            column for column in events.schema if column.name in kept or (column.name in chosen and is_identity(column))
        )
    _check_derived(recipe, chosen)
    rows: EventSource = events if exploded is None else exploded
    names = [*learned.names, *([WEIGHT] if WEIGHT in rows.schema else [])]
    parts = {
        part: select_events(split_source(rows, rule, part), columns=names) for part in ("train", "validation", "test")
    }
    inputs = [
        describe_input(path, files.schema.tree, entries) if hashes else {"path": path, "entries": entries}
        for path, entries in zip(files.files, files.entries, strict=True)
    ]
    return RunData(recipe, chosen, learned, events, **parts, rule=rule, inputs=inputs, exploded=exploded)


def _chosen(recipe: Recipe, events: SelectedSource) -> Schema:
    """Columns of the output: those that the recipe chooses, derived ones and the weight."""
    data, schema = recipe.data, events.schema
    if isinstance(recipe.representation, CalorimeterRecipe):
        wanted = recipe.representation
        patterns = [*filter(None, [wanted.energy]), wanted.voxels, *wanted.conditions]
    else:
        patterns = data.columns
    try:
        matched = schema.select(patterns).names
    except InputFileError as error:
        for one in events.copied:
            if one.name in patterns:
                raise InputFileError(
                    f"column '{one.name}' holds {one.stored_as or one.type}, which no model learns",
                    where=", ".join(events.files[:3]), hint="leave it out of the columns",
                ) from None  # fmt: skip
        hint = error.hint or suggest_or_list("", schema.names)
        where = f"{error.where} of {', '.join(events.files[:3])}{', ...' * (len(events.files) > 3)}"
        raise InputFileError(error.what, where=where, hint=hint) from None
    names = {*matched, *data.derived, *data.given, *([data.weight] if data.weight else [])}
    if isinstance(recipe.representation, CalorimeterRecipe):
        names |= {column.name for column in schema if is_identity(column)}
    names -= {WEIGHT, *data.define}
    return schema.replace(column for column in schema if column.name in names)


def _is_learned(recipe: Recipe, schema: Schema, name: str) -> bool:
    return name not in recipe.data.derived and name != recipe.data.weight and not is_identity(schema[name])


def _exploded(recipe: Recipe, events: EventSource, chosen: Schema) -> ExplodedSource:
    data = recipe.data
    given = [*data.given, *([WEIGHT] if WEIGHT in events.schema else [])]
    full = explode(events, data.objects or "", given)
    elements = [name for name in full.elements if name in chosen and _is_learned(recipe, chosen, name)]
    if not elements:
        raise ConfigError(f"no column of '{data.objects}' is chosen", where="data.columns")
    below = [*elements, *full.given, *([full.counter] if full.counter in events.schema else [])]
    return explode(select_events(events, columns=list(dict.fromkeys(below))), data.objects or "", given)


def _written(data: DataRecipe) -> dict[str, str]:
    """The derived columns with the helpers that they need, in order; other helpers serve the cut."""
    needed: dict[str, str] = {}
    used = set(data.derived)
    for name, text in reversed(data.computed.items()):
        if name in used:
            needed[name] = text
            used.update(Expression.parse(text).names)
    return dict(reversed(needed.items()))


def _check_derived(recipe: Recipe, output: Schema) -> None:
    """Refuse a derived column that is made of something that is not generated."""
    data = recipe.data
    known = {name for name in output.names if name not in data.derived and name != data.weight}
    for name, text in _written(data).items():
        for other in Expression.parse(text).names:
            if other not in known:
                raise ConfigError(
                    f"'{name}' is made of '{other}', which is not generated",
                    where=data.key_of(name),
                    hint=suggest(other, known) or "choose that column in data.columns",
                )
        known.add(name)


def _object_facts(recipe: Recipe, exploded: ExplodedSource, events: EventSource, rule: SplitRule) -> dict[str, Any]:
    """Columns of object mode, and counts and given columns of up to 4096 training events, evenly spread."""
    given = [name for name in exploded.given if name != WEIGHT]
    train = split_source(events, rule, "train")
    step = max(1, -(-train.num_events // 4096))
    counts: list[int] = []
    values: dict[str, list[Any]] = {name: [] for name in given}
    start = 0
    for batch in train.batches([*dict.fromkeys([exploded.elements[0], *given])]):
        part = batch[(-start) % step :: step]
        start += len(batch)
        counts += [len(one) for one in part[exploded.elements[0]].to_list()]
        for name in given:
            values[name] += part[name].to_list()
    return {
        "collection": recipe.data.objects,
        "elements": list(exploded.elements),
        "given": given,
        "counter": exploded.counter,
        "events": {"counts": counts, "given": values},
    }


def with_units(output: Schema, known: Schema) -> Schema:
    """The output schema with the units that the recipe set."""
    units = {column.name: column.unit for column in known}
    return output.replace(dataclasses.replace(column, unit=units.get(column.name, column.unit)) for column in output)
