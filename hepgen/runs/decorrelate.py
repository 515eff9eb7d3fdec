"""A training of ``task: decorrelate``: from background to scores that do not follow protected columns."""

from __future__ import annotations

from pathlib import Path
from typing import Unpack

import numpy as np

from hepgen.config.decorrelate import DecorrelateRecipe
from hepgen.errors import ConfigError, InputFileError, suggest_or_list
from hepgen.events.expressions import Expression
from hepgen.events.schema import Schema
from hepgen.events.select import WEIGHT, select_events
from hepgen.events.source import EventSource
from hepgen.events.split import split_source
from hepgen.morphing.decorrelation import Decorrelation
from hepgen.morphing.decorrelator import DecorrelationModel
from hepgen.morphing.ranges import ranges_of
from hepgen.morphing.scores import ScoreSpace
from hepgen.runs.data import RunData, batch_memory, open_data
from hepgen.runs.folder import RunFolder
from hepgen.runs.opening import RunOptions, open_run
from hepgen.runs.pairs import FEWEST
from hepgen.runs.session import Session
from hepgen.runs.stages import length_of, seconds_of, settings_of, stage_runs
from hepgen.training.batches import StageBatches
from hepgen.training.cache import EncodedCache, encode_source
from hepgen.training.files import digest_of
from hepgen.training.trainer import StageTrainer


def open_background(recipe: DecorrelateRecipe, *, memory: int, hashes: bool = True) -> RunData:
    """Open the background of a recipe and refuse one that cannot be learned from.

    Raises:
        ConfigError: if the recipe names no files.
        InputFileError: if a file cannot be read, a column is not there or is no number of an event, or events are too few.
    """
    data = open_data(recipe.opened(), memory=memory, hashes=hashes)
    schema = data.events.schema
    for key in ("discriminants", "protected"):
        for name in getattr(recipe, key):
            if name not in schema:
                hint = suggest_or_list(name, [one for one in schema.names if one != WEIGHT])
                raise InputFileError(f"no column '{name}'", where=f"{key}, tree '{schema.tree}'", hint=hint)
            one = schema[name]
            if one.jagged or one.shape or np.dtype(one.dtype).kind not in "iufb":
                raise InputFileError(
                    f"'{name}' is not one number an event", where=f"{key}, tree '{schema.tree}'",
                    hint="of a list, data.define can take one number, such as max(NAME)",
                )  # fmt: skip
            if name == recipe.data.weight:
                raise ConfigError(f"'{name}' is the weight of the events", where=key)
    events = part_of(recipe, data, "train").num_events
    if events < FEWEST:
        raise InputFileError(
            f"there are {events} training events, at least {FEWEST} are needed",
            where=", ".join(str(one["path"]) for one in data.inputs), hint="look at data.cut and split, or add files",
        )  # fmt: skip
    return data


def part_of(recipe: DecorrelateRecipe, data: RunData, part: str) -> EventSource:
    """The scores, protected columns and weights of the events of a part."""
    weighted = [WEIGHT] if WEIGHT in data.events.schema else []
    names = [*recipe.discriminants, *recipe.protected, *weighted]
    return select_events(split_source(data.events, data.rule, part), columns=names)


def train_decorrelation(
    recipe: DecorrelateRecipe,
    run_dir: str | Path,
    **options: Unpack[RunOptions],
) -> DecorrelationModel:
    """Train the flow of a recipe on its background, and leave a bundle in ``RUN/model``.

    Arguments and errors are those of ``hepgen.runs.train.train_run``.

    Raises:
        InputFileError: also for scores or protected values that are not finite or all the same, weights that do not add
            up to a positive number, and too few events.
    """
    run = open_run(run_dir, **options)
    folder, watcher, chosen = run.folder, run.watcher, run.device
    if run.finished(recipe):
        return DecorrelationModel.load(folder.model, device=chosen)
    data = open_background(recipe, memory=batch_memory(run.memory))
    with folder.begun():
        plain = folder.keep_recipe(recipe)
        session = Session(folder, plain, run.seed, watcher)
        session.open(data.inputs)
        watcher.message("fitting the scales of the columns")
        space = ScoreSpace.fit(part_of(recipe, data, "train"), recipe.discriminants, recipe.protected)
        fingerprint = digest_of([space.state(), data.inputs, plain["split"], plain["data"]["cut"]])
        caches = _encoded(recipe, data, space, folder, fingerprint, run.memory)
    train, validation = caches
    session.content["training"] = {
        "events": train.size, "validation_events": 0 if validation is None else validation.size
    }  # fmt: skip

    def build() -> Decorrelation:
        return Decorrelation(len(recipe.discriminants), len(recipe.protected), recipe.options)

    def batches(cache: EncodedCache) -> StageBatches:
        return StageBatches(
            space, space.stage, 0, cache, mean_weight=train.mean_weight, seed=session.seed, device=chosen
        )

    with stage_runs(folder, session, watcher, run.deadline) as runs:
        trainer = StageTrainer(
            0, space.stage, build, batches(train), None if validation is None else batches(validation),
            settings_of(recipe.training), seed=session.seed, device=chosen, names=list(recipe.discriminants),
            message=watcher.message,
        )  # fmt: skip
        seconds = seconds_of(recipe.training, run.budget, watcher)
        weights = runs.train(trainer, length_of(recipe.training, train.size, seconds))
    flow = build()
    flow.load_state_dict(weights, strict=False)
    steps = {name: stage.steps for name, stage in runs.plan.stages.items()}
    session.content["training"].update(steps=steps, seconds=run.seconds)
    folder.write_provenance(session.content)
    define = _needed(recipe)
    facts = {
        "ranges": ranges_of(data.events, recipe.protected).result(),
        "define": define,
        "split": data.rule.to_dict(),
        "cut": recipe.data.cut,
    }
    model = DecorrelationModel(
        space, flow.to(chosen), _read(recipe, data.events.schema, define), plain, session.content, facts
    )
    model.save(folder.model)
    folder.drop_cache(caches)
    return model


def _encoded(
    recipe: DecorrelateRecipe, data: RunData, space: ScoreSpace, folder: RunFolder, fingerprint: str, memory: int
) -> tuple[EncodedCache, EncodedCache | None]:
    """The encoded events of the training, and of the validation where there are any."""

    def encoded(part: str, share: int) -> EncodedCache:
        return encode_source(
            part_of(recipe, data, part), space, memory=share, path=folder.cache / f"{part}.bin",
            fingerprint=f"{fingerprint} {part}",
        )  # fmt: skip

    held_out = part_of(recipe, data, "validation").num_events
    return encoded("train", memory // 4), encoded("validation", memory // 12) if held_out else None


def _needed(recipe: DecorrelateRecipe) -> dict[str, str]:
    """The helpers that discriminants and protected columns are made of, in order; others serve the cut."""
    needed: dict[str, str] = {}
    used = {*recipe.discriminants, *recipe.protected}
    for name, text in reversed(recipe.data.define.items()):
        if name in used:
            needed[name] = text
            used.update(Expression.parse(text).names)
    return dict(reversed(needed.items()))


def _read(recipe: DecorrelateRecipe, schema: Schema, define: dict[str, str]) -> Schema:
    """The columns of a file that a decorrelation reads."""
    names = {*recipe.discriminants, *recipe.protected}.union(
        *(Expression.parse(text).names for text in define.values())
    )
    return schema.replace(one for one in schema if one.name in names - set(define))
