"""One stage in training: its networks, optimizers and averages, and what one step does to them.

All randomness is a function of (seed, stage, step), so that the state of a trainer is its tensors and a few numbers.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from hepgen.errors import TrainingError
from hepgen.generators.base import Generator, Objective, StageBatch, Trainable
from hepgen.representations.base import Stage
from hepgen.training.averaging import AveragedGenerator
from hepgen.training.batches import Batches
from hepgen.training.calibration import Calibration
from hepgen.training.diagnosis import diagnose
from hepgen.training.optimizers import (
    build_optimizer,
    load_optimizer_tensors,
    optimizer_tensors,
    schedule,
    set_rate,
)
from hepgen.training.progress import Silent
from hepgen.training.ragged import Rows
from hepgen.training.seeds import CALIBRATE, INITIAL, TRAIN, VALIDATE, draw, seed_torch, stream

_MAX_SKIPPED = 20
_VALIDATION_ROWS = 20_000
_VALIDATION_CHUNK = 1000
_CALIBRATION_ROWS = 50_000
_CALIBRATION_NUMBERS = 2**25
_CALIBRATION_REPEATS = 4


@dataclass(frozen=True)
class TrainingSettings:
    """How a stage is trained; the fields are those of ``training`` in a recipe."""

    batch_size: int = 512
    learning_rate: float = 1e-3
    warmup: float = 0.02
    weight_decay: float = 0.0
    ema: float = 0.999
    clip: float = 5.0
    precision: str = "auto"
    patience: int | None = None
    validate_every: int = 500
    checkpoint_every: float = 300.0
    compile: bool = False


class StageTrainer:
    """Trains the generator of one stage, step by step.

    Args:
        number: position of the stage, part of every key of random numbers.
        stage: what is modelled.
        build: makes the generator; called with torch's seed set.
        train, validation: batches of events; without validation the last weights are taken.
        settings: numbers of the recipe.
        seed: master seed.
        device: torch device.
        score: physics score of a generator, the lower the better, in the place of the validation loss.
        names: names of the features, where there are any, for errors.
        message: told once where compilation is not possible.
    """

    def __init__(
        self,
        number: int,
        stage: Stage,
        build: Callable[[], Trainable],
        train: Batches,
        validation: Batches | None,
        settings: TrainingSettings,
        *,
        seed: int,
        device: str = "cpu",
        score: Callable[[Any], float] | None = None,
        names: Sequence[str] | None = None,
        message: Callable[[str], None] | None = None,
    ) -> None:
        self.number = number
        self.stage = stage
        self.settings = settings
        self._names = names
        self._build = build
        self._train = train
        self._validation = validation
        self._seed = seed
        self._device = torch.device(device)
        self._score = score
        self._message = message or Silent().message
        self._autocast, self._scale_gradients = _precision(settings.precision, self._device)
        self._eager = not settings.compile
        self.reset(steps=1)

    def reset(self, steps: int) -> None:
        """Begin anew, with a schedule of ``steps`` steps."""
        seed_torch(stream(self._seed, INITIAL, self.number), self._device)
        self.steps = steps
        self.step = 0
        self.skipped = 0
        self.generator = self._build().to(self._device).train()
        self.averaged = AveragedGenerator(self.generator, self.settings.ema)
        self._objectives = self.generator.objectives()
        self._phases = sorted({objective.phase for objective in self._objectives})
        self._optimizers = {
            objective.name: build_optimizer(objective, self.settings.learning_rate, self.settings.weight_decay)
            for objective in self._objectives
        }
        self._losses = {objective.name: self._loss_of(objective) for objective in self._objectives}
        self._batches = max(sum(one.steps for one in self._objectives if one.phase == phase) for phase in self._phases)
        self._scaler = torch.amp.GradScaler(self._device.type, enabled=self._scale_gradients)

    @property
    def batches_per_step(self) -> int:
        """Batches that one step (a round of all objectives of a phase) takes."""
        return self._batches

    @property
    def can_validate(self) -> bool:
        """Whether there is anything to judge by."""
        return self._validation is not None or self._score is not None

    @property
    def in_last_phase(self) -> bool:
        """Whether what counts in the end is being trained."""
        return self._phase(self.step - 1) == self.num_phases - 1

    @property
    def phase_ends(self) -> bool:
        """Whether the last step was the last one of its phase."""
        return self.step == self.steps or self._phase(self.step) != self._phase(self.step - 1)

    @property
    def num_phases(self) -> int:
        return len(self._phases)

    def _phase(self, step: int) -> int:
        return min(max(step, 0) * self.num_phases // self.steps, self.num_phases - 1)

    def settle(self, tensors: Mapping[str, Tensor]) -> None:
        """Take these sampling tensors as what the next phase builds on."""
        for one in (self.generator, self.averaged.generator):
            one.load_state_dict(dict(tensors), strict=False)

    def run_step(self, phase: int | None = None) -> dict[str, float]:
        """One round of the objectives of a phase: the losses by name, and the learning rate ``lr`` of the last one.

        Args:
            phase: which; that of the step where None.

        Raises:
            TrainingError: if a loss is not finite, or too many gradients in a row are not.
        """
        phase = self._phase(self.step) if phase is None else phase
        factor = schedule(self.step * len(self._phases) - phase * self.steps, self.steps, self.settings.warmup)
        self.generator.anneal(factor)
        result: dict[str, float] = {}
        batch_number = 0
        for objective in self._objectives:
            if objective.phase != self._phases[phase]:
                continue
            result["lr"] = set_rate(self._optimizers[objective.name], factor)
            for _ in range(objective.steps):
                result[objective.name] = self._update(objective, batch_number)
                batch_number += 1
        self.averaged.update(self.step)
        self.step += 1
        return result

    def _update(self, objective: Objective, batch_number: int) -> float:
        random = stream(self._seed, TRAIN, self.number, self.step, batch_number)
        seed_torch(random, self._device)  # dropout and its like
        size = self.settings.batch_size
        rows = self._train.rows(self.step * self._batches + batch_number, size)
        batch = self._train.batch(rows, random, augment=True, dequantised=self.generator.dequantised)
        drawn = draw(random, objective.noise, size, batch.points)
        noise = {name: array.to(self._device) for name, array in drawn.items()}
        optimizer = self._optimizers[objective.name]
        optimizer.zero_grad(set_to_none=True)
        value = _weighted_mean(self._evaluate(objective, batch, noise), batch.weight)
        number = value.item()
        if not math.isfinite(number):
            raise self._diagnosis(f"the loss '{objective.name}'", batch, rows)
        self._scaler.scale(value).backward(inputs=objective.parameters)
        self._scaler.unscale_(optimizer)
        norm = torch.nn.utils.clip_grad_norm_(objective.parameters, self.settings.clip)
        if self._scale_gradients or bool(torch.isfinite(norm)):
            self._scaler.step(optimizer)
            self._scaler.update()
            self.skipped = 0
        else:  # one overflowing gradient must not end a night's work; the update is left out
            self.skipped += 1
            if self.skipped > _MAX_SKIPPED:
                raise self._diagnosis(f"the gradient of '{objective.name}'", batch, rows)
        return number

    def _evaluate(self, objective: Objective, batch: StageBatch, noise: Mapping[str, Tensor]) -> Tensor:
        with torch.autocast(self._device.type, self._autocast) if self._autocast else nullcontext():
            if not self._eager:
                try:
                    return self._losses[objective.name](batch, noise)
                except torch._dynamo.exc.TorchDynamoException as error:
                    self._eager = True
                    first = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
                    self._message(f"torch.compile is not possible here ({first}); going on without it")
            return objective.loss(batch, noise)

    def _loss_of(self, objective: Objective) -> Callable[[StageBatch, Mapping[str, Tensor]], Tensor]:
        if self._eager:
            return objective.loss
        compiled: Callable[[StageBatch, Mapping[str, Tensor]], Tensor] = torch.compile(objective.loss)
        return compiled

    def _diagnosis(self, what: str, batch: StageBatch, rows: Rows) -> TrainingError:
        return diagnose(self.stage.name, self.step, what, batch, rows, self._names)

    def calibration(self, generator: Generator) -> Calibration:
        """The map that gives each generated feature the law that it has in the training events.

        Conditions, and what earlier stages made, are those of the events.
        """
        random = stream(self._seed, CALIBRATE, self.number)
        most = int(np.clip(_CALIBRATION_NUMBERS // self.stage.features, 2000, _CALIBRATION_ROWS))
        rows = np.sort(random.choice(self._train.size, min(self._train.size, most), replace=False))
        true: list[Tensor] = []
        weights: list[Tensor] = []
        made: list[list[Tensor]] = [[] for _ in range(_CALIBRATION_REPEATS)]
        for chosen in np.array_split(rows, max(1, len(rows) // _VALIDATION_CHUNK)):
            batch = self._train.batch(chosen, random, augment=True, dequantised=self.generator.dequantised)
            true.append(batch.x.cpu())
            if batch.weight is not None:
                weights.append(batch.weight.cpu())
            for events in made:
                noise = draw(random, generator.noise_spec(), len(chosen))
                with torch.inference_mode():
                    x = generator.sample({name: n.to(self._device) for name, n in noise.items()}, batch.condition)
                events.append(x.cpu())
        generated = torch.cat([part for events in made for part in events])
        weight = torch.cat(weights).numpy() if weights else None
        return Calibration.fit(generated.numpy(), torch.cat(true).numpy(), weight)

    def judge(self, phase: int | None = None) -> float:
        """The physics score, or the mean validation loss, of the averaged weights; the same noise at every call.

        Args:
            phase: whose last loss it is; that of the last step where None. The score is that of the last phase.
        """
        phase = self._phase(self.step - 1) if phase is None else phase
        if self._score is not None and phase == self.num_phases - 1:
            return self._score(self.averaged.generator)
        if self._validation is None:
            return math.nan
        objective = [one for one in self.averaged.generator.objectives() if one.phase == self._phases[phase]][-1]
        total, weights = 0.0, 0.0
        every = self._validation.in_order(_VALIDATION_ROWS)
        for start in range(0, len(every), _VALIDATION_CHUNK):
            random = stream(self._seed, VALIDATE, self.number, start)
            seed_torch(random, self._device)
            rows = every[start : start + _VALIDATION_CHUNK]
            batch = self._validation.batch(rows, random, augment=False, dequantised=self.generator.dequantised)
            drawn = draw(random, objective.noise, len(rows), batch.points)
            noise = {name: array.to(self._device) for name, array in drawn.items()}
            with torch.no_grad():
                loss = objective.loss(batch, noise)
            weight = float(len(rows)) if batch.weight is None else float(batch.weight.sum())
            total += float(_weighted_mean(loss, batch.weight)) * len(rows)
            weights += weight
        return total / weights if weights > 0.0 else math.nan

    def tensors(self) -> dict[str, dict[str, Tensor]]:
        """Everything a resumed training needs, by part."""
        return {
            "model": dict(self.generator.state_dict()),
            "ema": self.averaged.tensors(),
            "optimizer": optimizer_tensors(self._optimizers),
        }

    def numbers(self) -> dict[str, Any]:
        return {"skipped": self.skipped, "steps": self.steps, "scaler": self._scaler.state_dict()}

    def restore(self, step: int, tensors: Mapping[str, dict[str, Tensor]], numbers: Mapping[str, Any]) -> None:
        """Go back to what ``tensors`` and ``numbers`` gave."""
        self.reset(int(numbers["steps"]))
        self.generator.load_state_dict(tensors["model"])
        self.averaged.generator.load_state_dict(tensors["ema"], strict=False)
        load_optimizer_tensors(self._optimizers, tensors["optimizer"])
        if numbers["scaler"]:
            self._scaler.load_state_dict(numbers["scaler"])
        self.skipped = int(numbers["skipped"])
        self.step = step


def _weighted_mean(loss: Tensor, weight: Tensor | None) -> Tensor:
    """Mean of one value per event times its weight; a scalar loss is taken as it is."""
    if loss.ndim == 0:
        return loss
    return loss.mean() if weight is None else (loss * weight).mean()


def _precision(name: str, device: torch.device) -> tuple[torch.dtype | None, bool]:
    """The type of autocast, and whether gradients are scaled; float32 wherever there is no GPU."""
    if device.type != "cuda" or name == "float32":
        return None, False
    if name == "fp16":
        return torch.float16, True
    if name == "bf16" or torch.cuda.is_bf16_supported():
        return torch.bfloat16, False
    return None, False
