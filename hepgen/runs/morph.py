"""A training of ``task: morph``: from two samples to a map between them, in a run folder as any other."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from pathlib import Path
from typing import Any, Unpack

import numpy as np
import torch

from hepgen.config.methods import find_method
from hepgen.config.morph import MorphRecipe
from hepgen.events.schema import Schema
from hepgen.events.source import EventSource
from hepgen.generators.base import StageBatch
from hepgen.morphing.base import CloudTransport, Method, Reweighting, build_method
from hepgen.morphing.closure import closure_of
from hepgen.morphing.held_out import judge_held_out
from hepgen.morphing.model import MorphModel
from hepgen.morphing.quantities import quantities_of
from hepgen.morphing.ranges import Ranges, ranges_of
from hepgen.morphing.space import JoinedSpace
from hepgen.morphing.weighting import WeightTally, fit_scale
from hepgen.representations.base import Representation, Stage
from hepgen.runs.data import RunData, batch_memory
from hepgen.runs.folder import RunFolder
from hepgen.runs.opening import RunOptions, open_run
from hepgen.runs.pairs import ConcatenatedSource, halves, refuse_strangers
from hepgen.runs.plan import unfitted_representation
from hepgen.runs.session import Session
from hepgen.runs.sides import SIDES, Side, open_sides, without_negative_weights
from hepgen.runs.stages import length_of, seconds_left, seconds_of, settings_of, stage_runs
from hepgen.training.batches import SOURCE, PairBatches, StageBatches, drawn_rows
from hepgen.training.cache import EncodedCache, encode_source
from hepgen.training.files import digest_of
from hepgen.training.progress import Progress
from hepgen.training.seeds import INITIAL, TABLE, seed_torch, stream
from hepgen.training.trainer import StageTrainer

_NUMBER = {"target": 0, "source": SOURCE}
_CHUNK = 20_000


def train_morph(
    recipe: MorphRecipe,
    run_dir: str | Path,
    **options: Unpack[RunOptions],
) -> MorphModel:
    """Fit the method of a recipe between its two samples, and leave a bundle in ``RUN/model``.

    Arguments and errors are those of ``hepgen.runs.train.train_run``.

    Raises:
        InputFileError: also for samples that cannot be moved onto each other: other columns, other units, ranges or
            conditions without anything in common, weights that do not add up, too few events.
    """
    run = open_run(run_dir, **options)
    folder, watcher, chosen = run.folder, run.watcher, run.device
    if run.finished(recipe):
        finished = MorphModel.load(folder.model, device=chosen)
        _say(finished, watcher)
        return finished
    sides = open_sides(recipe, memory=batch_memory(run.memory))
    with folder.begun():
        plain = folder.keep_recipe(recipe)
        session = Session(folder, plain, run.seed, watcher)
        session.open([one for which in SIDES for one in sides[which].data.inputs])
        chosen_options = recipe.chosen.model_dump(mode="json")
        known = build_method(recipe.method, 1, 1, chosen_options)
        known.require()
        conditions = recipe.representation.conditions
        fitted, notes = without_negative_weights(recipe, sides, known, session.seed)
        kept = () if known.changes_condition else conditions
        notes += refuse_strangers(sides["source"].train, sides["target"].train, kept, conditions)
        for line in notes:
            watcher.message(f"note: {line}")
        representation, caches = _prepare(recipe, plain, fitted, folder, session, run.memory)
        space = JoinedSpace(representation)
        builders = [_builder(recipe.method, stage, chosen_options, space) for stage in space.stages]
        seed_torch(stream(session.seed, INITIAL, 0), torch.device("cpu"))
        method, *further = [build() for build in builders]
    steps: dict[str, int] = {}
    if method.objectives():
        with stage_runs(folder, session, watcher, run.deadline) as runs:
            seconds = seconds_of(recipe.training, run.budget, watcher)
            for number, (stage, one) in enumerate(zip(space.stages, (method, *further), strict=True)):
                train, validation = (_pair(space, number, part, caches, session.seed, chosen) for part in (0, 1))
                if train is None:
                    raise RuntimeError("a training part is never empty here")
                trainer = StageTrainer(
                    number, stage, builders[number], train, validation, settings_of(recipe.training),
                    seed=session.seed, device=chosen, message=watcher.message,
                )  # fmt: skip
                part = None if seconds is None else seconds_left(seconds, space.stages, number, runs.plan, {})
                one.load_state_dict(runs.train(trainer, length_of(recipe.training, train.size, part)), strict=False)
            steps = {name: stage.steps for name, stage in runs.plan.stages.items()}
    else:
        watcher.message(f"fitting: {find_method(recipe.method).description}")
        try:
            samples = {which: _sample(space, caches[which][0], method, which, session.seed) for which in SIDES}
            method.fit(samples["source"], samples["target"], stream(session.seed, TABLE, 1))
        finally:
            session.close()
    session.content["training"].update(steps=steps, seconds=run.seconds)
    folder.write_provenance(session.content)
    source = sides["source"].data
    given = {"source": recipe.source, "target": recipe.source if recipe.closure else recipe.target}
    found = {which: _ranges(sides[which].data) for which in SIDES}
    ranges = {which: one.result() for which, one in found.items()}
    if method.carries_on:
        for known_range in ranges.values():
            known_range.update({one.name: [one.low, one.high] for one in representation.validity})
    facts: dict[str, Any] = {
        "ranges": ranges,
        "quantities": {which: [known.to_dict() for known in one.quantities] for which, one in found.items()},
        "complete": {which: one.complete for which, one in found.items()},
        "derived": source.facts()["derived"],
        "split": source.rule.to_dict(),
        "cut": {which: {"expression": side.cut, "define": side.define} for which, side in given.items()},
    }
    for one in (method, *further):
        one.eval().requires_grad_(False)
    if isinstance(method, Reweighting):
        facts["weighting"], doubts = _weighting(recipe, method, space, caches, session.seed)
        for line in doubts:
            watcher.message(f"note: {line}")
    model = MorphModel(
        representation, method.to(chosen), chosen_options, _read(source), plain, session.content, facts,
        clouds=next((one.to(chosen) for one in further if isinstance(one, CloudTransport)), None),
    )  # fmt: skip
    if recipe.closure:
        closure = closure_of(model, sides["source"].train, sides["target"].train, session.seed)
        model.facts["closure"] = closure.to_dict()
        for line in closure.words():
            watcher.message(line)
    watcher.message("judging held-out events")
    model.facts["held_out"] = judge_held_out(model, *_held_out(recipe, sides), session.seed).to_dict()
    _say(model, watcher)
    model.save(folder.model)
    folder.drop_cache(itertools.chain.from_iterable(caches.values()))
    return model


def _prepare(
    recipe: MorphRecipe, plain: dict[str, Any], sides: dict[str, Side], folder: RunFolder, session: Session, memory: int
) -> tuple[Representation, dict[str, tuple[EncodedCache, EncodedCache | None]]]:
    """One representation of both samples together, and their encoded events."""
    session.message("fitting the representation of both samples")
    representation = unfitted_representation(recipe.side("source"), sides["source"].data, ordered=True)
    representation.fit(ConcatenatedSource([sides[which].train for which in SIDES]))
    fingerprint = digest_of([representation.state(), session.content["inputs"], plain])
    caches: dict[str, tuple[EncodedCache, EncodedCache | None]] = {}
    for which in SIDES:
        found: list[EncodedCache | None] = []
        for part, source, share in (
            ("train", sides[which].train, memory // 8),
            ("validation", sides[which].validation, memory // 24),
        ):
            if part == "validation" and not source.num_events:
                found.append(None)
                continue
            path = folder.cache / f"{which}-{part}.bin"
            found.append(
                encode_source(
                    source, representation, memory=share, path=path, fingerprint=f"{fingerprint} {which} {part}"
                )
            )
        if found[0] is None:
            raise RuntimeError("a training part is never empty here")
        caches[which] = (found[0], found[1])
    session.content["training"] = {f"{which}_events": caches[which][0].size for which in SIDES}
    return representation, caches


def _builder(name: str, stage: Stage, options: dict[str, Any], space: JoinedSpace) -> Callable[[], Method]:
    def build() -> Method:
        method = build_method(name, stage.features, stage.conditions, options, stage.points)
        method.meet(space)
        return method

    return build


def _pair(space: JoinedSpace, number: int, part: int, caches: Any, seed: int, device: str) -> PairBatches | None:
    """Batches of a stage, of the training or the validation part, of both samples."""
    if any(caches[which][part] is None for which in SIDES):
        return None
    target, source = (
        StageBatches(
            space, space.stages[number], _NUMBER[which] + number, caches[which][part],
            mean_weight=caches[which][0].mean_weight, seed=seed, device=device, by_length=False,
        )
        for which in ("target", "source")
    )  # fmt: skip
    return PairBatches(target, source)


def _sample(space: JoinedSpace, cache: EncodedCache, method: Method, which: str, seed: int) -> StageBatch:
    """The events of one side that a method without objectives is fitted on."""
    rows = drawn_rows(cache.size, method.most_events, seed, TABLE, _NUMBER[which])
    batches = StageBatches(space, space.stage, 0, cache, mean_weight=cache.mean_weight, seed=seed)
    random = stream(seed, TABLE, _NUMBER[which], 1)
    parts = [
        batches.batch(part, random, augment=False, dequantised=method.dequantised)
        for part in np.array_split(rows, max(1, len(rows) // _CHUNK))
    ]
    weights = [part.weight for part in parts if part.weight is not None]
    return StageBatch(
        torch.cat([part.x for part in parts]),
        torch.cat([part.condition for part in parts]),
        torch.cat(weights) if weights else None,
    )


def _weighting(
    recipe: MorphRecipe, method: Reweighting, space: JoinedSpace, caches: Any, seed: int
) -> tuple[dict[str, Any], list[str]]:
    """What turns ratios into weights, fitted on the source's training events; and what is to be said of the ratios.

    A method that is asked for any condition is so here as in its training: for those of the target's events.
    """
    cache, target = caches["source"][0], caches["target"][0]
    sample = _sample(space, cache, method, "source", seed)
    condition = sample.condition
    if method.changes_condition:
        asked = _sample(space, target, method, "target", seed).condition
        condition = asked[torch.arange(len(condition)) % len(asked)]
    with torch.inference_mode():
        pieces = zip(sample.x.split(_CHUNK), condition.split(_CHUNK), strict=True)
        logs = torch.cat([method.log_ratio(x, condition) for x, condition in pieces]).double().numpy()
    weight = np.ones(len(logs)) if sample.weight is None else sample.weight.double().numpy()
    chosen = recipe.weights
    # Weights of the sample have the mean 1; those of the target are put on the same scale.
    total = None
    if chosen.total == "target":
        total = len(logs) * target.mean_weight * target.size / (cache.mean_weight * cache.size)
    scale = fit_scale(logs, weight, quantile=chosen.quantile, most=chosen.most, total=total)
    log_most = scale.log_most if np.isfinite(scale.log_most) else None
    tally = WeightTally()
    tally.update(logs, weight, scale)
    given = {"column": recipe.source.weight, "file_weights": recipe.source.file_weights or {}}
    return {"log_most": log_most, "log_norm": scale.log_norm, **given}, tally.misfit()


def _held_out(recipe: MorphRecipe, sides: dict[str, Side]) -> tuple[EventSource, EventSource]:
    """Validation events of both sides; where both are of the same files, halves that share no event."""
    source, target = (sides[which].validation for which in SIDES)
    paths = [{str(one["path"]) for one in sides[which].data.inputs} for which in SIDES]
    if recipe.closure or not paths[0] & paths[1]:
        return source, target
    return halves(source, 0), halves(target, 1)


def _say(model: MorphModel, watcher: Progress) -> None:
    """What was found on held-out events, where it was looked for."""
    if model.held_out is not None:
        for line in model.held_out.words():
            watcher.message(line)


def _read(data: RunData) -> Schema:
    """What is learned of events: all but the columns that count the elements of a list, which follow from it."""
    counters = {one.counter for one in data.learned}
    return data.learned.replace(one for one in data.learned if one.name not in counters)


def _ranges(data: RunData) -> Ranges:
    """The ranges of the numbers of an event that are learned, and of quantities of its arrays and lists, of all events of a
    side."""
    learned = _read(data)
    numbers = [one.name for one in learned if not one.jagged and not one.shape]
    return ranges_of(data.events, numbers, quantities_of(learned, data.recipe.representation))
