"""A training from a recipe to a surrogate, in a run folder that can be left and taken up again at any time."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any, Unpack

import numpy as np
import torch
from numpy.typing import NDArray

from hepgen.config.recipe import Recipe
from hepgen.events.schema import Schema
from hepgen.events.source import EventSource
from hepgen.representations.base import Representation, Stage, Tensors
from hepgen.runs.data import RunData, batch_memory, open_data, with_units
from hepgen.runs.folder import RunFolder
from hepgen.runs.heap import release_heap
from hepgen.runs.opening import RunOptions, open_run
from hepgen.runs.plan import check_stages, unfitted_representation
from hepgen.runs.scoring import physics_distance
from hepgen.runs.session import Session
from hepgen.runs.stages import length_of, seconds_left, seconds_of, settings_of, stage_runs
from hepgen.runs.unweighting import fit_acceptance
from hepgen.surrogate.bundle import read_bundle, write_bundle
from hepgen.surrogate.surrogate import Part, Surrogate
from hepgen.training.batches import StageBatches
from hepgen.training.cache import WEIGHT, EncodedCache, encode_source
from hepgen.training.files import digest_of
from hepgen.training.plan import Plan
from hepgen.training.progress import Progress, Silent
from hepgen.training.score import StageScore
from hepgen.training.seeds import TABLE, stream
from hepgen.training.trainer import StageTrainer

TABLE_ROWS = 4096
SCORED_EVENTS = 4000
Caches = tuple[EncodedCache, EncodedCache | None]
"""Encoded events for training, and for validation where there are any."""


def train_run(
    recipe: Recipe,
    run_dir: str | Path,
    **options: Unpack[RunOptions],
) -> Surrogate:
    """Train every stage of a recipe, one after the other, and leave a bundle in ``RUN/model``.

    Args:
        recipe: with absolute paths.
        run_dir: the run folder.
        options: see ``RunOptions``.

    Raises:
        UsageError: if the folder exists and neither ``resume`` nor ``force`` is given.
        ConfigError: if a resumed run has another recipe, seed or input.
        InputFileError: if the input cannot be read.
        TrainingError: if the training diverges.
        Interrupted: after a signal or ``max_time``, with everything saved.
    """
    run = open_run(run_dir, **options)
    folder, watcher, chosen = run.folder, run.watcher, run.device
    if run.finished(recipe):
        return Surrogate.load(folder.model, device=chosen)
    # The input is opened first: a mistake in the recipe leaves no folder, and an older run as it was.
    data = open_data(recipe, memory=batch_memory(run.memory))
    with folder.begun():
        plain = folder.keep_recipe(recipe)
        session = Session(folder, plain, run.seed, watcher)
        session.open(data.inputs)
        draft, caches, held_out = _prepare(recipe, plain, data, folder, session, run.memory)
        release_heap()
    with stage_runs(folder, session, watcher, run.deadline) as runs:
        for number, part in enumerate(draft.parts):
            stage = draft.representation.stages[number]
            train, validation = stage_batches(draft.representation, number, caches, session.seed, chosen)
            training = recipe.training_of(part.stage)
            trainer = StageTrainer(
                number, stage, part.build, train, validation, settings_of(training), seed=session.seed,
                device=chosen, score=_score(draft, number, held_out, session.seed),
                names=_names(draft.representation, part.stage), message=watcher.message,
            )  # fmt: skip
            seconds = _seconds(recipe, draft.representation.stages, number, run.budget, runs.plan, watcher)
            weights = runs.train(trainer, length_of(training, caches[0].size, seconds))
            generator = part.build()
            generator.load_state_dict(weights, strict=False)
            draft.generators[part.stage] = generator.eval().requires_grad_(False).to(chosen)
            if training.calibrate:
                watcher.message(f"{part.stage}: calibrating the distributions of {part.features} features")
                draft.calibrations[part.stage] = trainer.calibration(generator)
    if recipe.sampling.unweight:
        watcher.message("fitting which events to accept")
        draft.acceptance = fit_acceptance(draft, data, session.seed)
        watcher.message(f"{100 * draft.acceptance.efficiency:.0f} % of the generated events are accepted")
    session.content["training"]["steps"] = {name: stage.steps for name, stage in runs.plan.stages.items()}
    session.content["training"]["seconds"] = runs.plan.spent
    folder.write_provenance(session.content)
    draft.provenance = session.content
    draft.save(folder.model)
    folder.drop_cache(caches)
    return draft


def _prepare(
    recipe: Recipe, plain: dict[str, Any], data: RunData, folder: RunFolder, session: Session, memory: int
) -> tuple[Surrogate, Caches, Tensors | None]:
    """The surrogate without weights, the encoded events, and held-out events for scores."""
    representation: Representation
    if folder.draft.is_dir():
        draft = Surrogate.from_bundle(read_bundle(folder.draft), str(folder.draft))
        representation = draft.representation
    else:
        session.message("fitting the representation")
        shutil.rmtree(folder.cache, ignore_errors=True)
        representation = unfitted_representation(recipe, data)
        representation.fit(data.train)
        check_stages(recipe, representation.stages)
        release_heap()
        draft = None
    fingerprint = digest_of([representation.state(), data.inputs, plain["split"], plain["data"]["cut"]])
    sample = None if draft is not None else _ConditionSample(data.train, session.seed)
    train = encode_source(
        data.train, representation, memory=memory // 4, path=folder.cache / "train.bin",
        fingerprint=fingerprint + " train", visit=sample.visit if sample is not None else None,
    )  # fmt: skip
    validation = None
    if data.validation.num_events:
        validation = encode_source(
            data.validation, representation, memory=memory // 12, path=folder.cache / "validation.bin",
            fingerprint=fingerprint + " validation",
        )  # fmt: skip
    if draft is None or sample is not None:  # both or neither
        parts = [_part(recipe, stage) for stage in representation.stages]
        schema = getattr(representation, "schema", None)
        output = with_units(data.output, schema) if isinstance(schema, Schema) else data.output
        table = sample.table(train) if sample is not None else np.empty((0, 0))
        session.content["training"] = {
            "events": train.size, "validation_events": 0 if validation is None else validation.size
        }  # fmt: skip
        facts = {**data.facts(), "condition_dtype": "float32" if sample is None else sample.dtype}
        draft = Surrogate(representation, parts, {}, output, plain, session.content, table, facts)
        write_bundle(folder.draft, draft.bundle())
    scored = any(part.build().select_by_score for part in draft.parts)
    return draft, (train, validation), _held_out(data, representation) if scored else None


def _part(recipe: Recipe, stage: Stage) -> Part:
    options = recipe.options_of(stage.name).model_dump(mode="json")
    family = recipe.generator_of(stage.name)
    return Part(
        stage.name, family, options, stage.features, stage.conditions,
        observables=stage.observables, points=stage.points,
    )  # fmt: skip


def stage_batches(
    representation: Representation, number: int, caches: Caches, seed: int, device: str
) -> tuple[StageBatches, StageBatches | None]:
    """Training and validation batches of the stage of this number."""
    stage, (train, validation) = representation.stages[number], caches
    mean = train.mean_weight
    trained = StageBatches(representation, stage, number, train, mean_weight=mean, seed=seed, device=device)
    if validation is None:
        return trained, None
    return trained, StageBatches(representation, stage, number, validation, mean_weight=mean, seed=seed, device=device)


def _names(representation: Representation, stage: str) -> list[str] | None:
    """Names of the features of a stage, where the representation has any."""
    name_of = getattr(representation, "feature_names", None)
    return name_of(stage) if callable(name_of) else None


class _ConditionSample:
    """Rows of conditions of the training part, for sampling without a conditions file."""

    def __init__(self, train: EventSource, seed: int) -> None:
        size = train.num_events
        self._random = stream(seed, TABLE)
        # Four times as many as are kept where weights decide which are.
        self._rows = np.sort(self._random.choice(size, min(size, 4 * TABLE_ROWS), replace=False))
        self._found: list[NDArray[np.float64]] = []
        self.dtype = "float32"

    def visit(self, tensors: Tensors, rows: NDArray[np.int64]) -> None:
        self.dtype = str(tensors["condition"].dtype).removeprefix("torch.")
        wanted = self._rows[(self._rows >= rows[0]) & (self._rows <= rows[-1])] - rows[0]
        self._found.append(tensors["condition"][torch.from_numpy(wanted)].double().numpy())

    def table(self, cache: EncodedCache) -> NDArray[np.float64]:
        """Up to 4096 rows, drawn by the positive part of their weights."""
        found = np.concatenate(self._found) if self._found else np.empty((0, 0))
        weight = cache.gather(self._rows).get(WEIGHT) if cache.mean_weight != 1.0 else None
        count = min(TABLE_ROWS, len(found))
        if weight is None:
            return found[np.sort(self._random.choice(len(found), count, replace=False))]
        chance = np.clip(weight.double().numpy(), 0.0, None)
        return found[self._random.choice(len(found), count, p=chance / chance.sum())]


def _held_out(data: RunData, representation: Representation) -> Tensors | None:
    """Physical tensors of validation events for the physics score."""
    parts: list[Tensors] = []
    count = 0
    for batch in data.validation.batches():
        parts.append(representation.pack(batch[: SCORED_EVENTS - count]))
        count += len(parts[-1]["condition"])
        if count >= SCORED_EVENTS:
            break
    return {name: torch.cat([part[name] for part in parts]) for name in parts[0]} if parts else None


def _score(draft: Surrogate, number: int, held_out: Tensors | None, seed: int) -> StageScore | None:
    part = draft.parts[number]
    if held_out is None or not part.build().select_by_score:
        return None
    return StageScore(draft.representation, part.stage, held_out, physics_distance, (seed, number))


def _seconds(
    recipe: Recipe, stages: tuple[Stage, ...], number: int, budget: float | None, plan: Plan, watcher: Progress
) -> float | None:
    """The part of the training time that a stage has; None where the recipe says its steps or epochs."""
    training = recipe.training_of(stages[number].name)
    if budget is None and (training.steps is not None or training.epochs is not None):
        return None
    total = seconds_of(training, budget, watcher if number == 0 else Silent())
    given = {one.name: recipe.stages[one.name].share for one in stages if one.name in recipe.stages}
    return seconds_left(total or 0.0, stages, number, plan, {n: s for n, s in given.items() if s is not None})
