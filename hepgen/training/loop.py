"""Training one stage from where it stands to its end: plan, steps, validations, checkpoints, stop requests."""

from __future__ import annotations

import dataclasses
import itertools
import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from hepgen.errors import Interrupted
from hepgen.training.checkpoint import CheckpointStore
from hepgen.training.metrics import MetricsLog
from hepgen.training.plan import Plan, StagePlan, TimeLimit, measure
from hepgen.training.progress import Progress
from hepgen.training.signals import StopFlag
from hepgen.training.trainer import StageTrainer

_LOGGED = 200


@dataclass
class _Best:
    """The best validation so far; its weights travel with every checkpoint."""

    value: float = math.inf
    step: int = -1
    worse: int = 0
    tensors: dict[str, Tensor] | None = None


class StageRun:
    """One stage of a run folder.

    Args:
        trainer: the stage.
        store, plan, metrics: where checkpoints, the number of steps and the record lie.
        stop: looked at after every step.
        progress: who watches.
    """

    def __init__(
        self,
        trainer: StageTrainer,
        store: CheckpointStore,
        plan: Plan,
        metrics: MetricsLog,
        stop: StopFlag,
        progress: Progress,
    ) -> None:
        self._trainer = trainer
        self._store = store
        self._plan = plan
        self._metrics = metrics
        self._stop = stop
        self._progress = progress
        self._name = trainer.stage.name
        self._best = _Best()
        self._begun = time.monotonic()
        self._spent = 0.0

    def run(self, decide: Callable[[StageTrainer], StagePlan | TimeLimit]) -> dict[str, Tensor]:
        """Train to the end and return the chosen sampling weights: the best judged ones, or the last average.

        Args:
            decide: gives the plan of this stage, or the time in which the steps have to fit.

        Raises:
            Interrupted: after a stop request, with a checkpoint of the last step.
            TrainingError: if the loss is not finite.
        """
        trainer = self._trainer
        checkpoint = self._store.load(self._name) if self._name in self._plan.stages else None
        if checkpoint is not None and checkpoint.state["done"]:
            return checkpoint.tensors["ema"]
        self._begun = time.monotonic()
        if self._name not in self._plan.stages:
            self._plan.stages[self._name] = self._planned(decide(trainer))
            self._plan.store()
        trainer.reset(self._plan.stages[self._name].steps)
        if checkpoint is not None:
            trainer.restore(checkpoint.step, checkpoint.tensors, checkpoint.state["trainer"])
            self._spent = float(checkpoint.state["seconds"])
            best = checkpoint.state["best"]
            self._best = _Best(
                math.inf if best["value"] is None else best["value"],
                best["step"],
                best["worse"],
                checkpoint.tensors.get("best"),
            )
            self._progress.message(f"{self._name}: going on after step {checkpoint.step} of {trainer.steps}")
        self._metrics.forget_after(self._name, trainer.step)
        self._loop()
        return self._finish()

    def _planned(self, decided: StagePlan | TimeLimit) -> StagePlan:
        if isinstance(decided, StagePlan):
            return decided
        trainer = self._trainer
        trainer.reset(10**9)
        phases = itertools.cycle(range(trainer.num_phases))  # each has as many steps, not of the same length
        plan = measure(
            decided.seconds,
            trainer.settings.validate_every if trainer.can_validate else 10**9,
            lambda: trainer.run_step(next(phases)),
            lambda: trainer.judge(trainer.num_phases - 1),
            lambda: bool(self._stop.reason),
        )
        if plan is None:
            raise Interrupted(
                f"stopped by {self._stop.reason} while measuring the speed of the stage '{self._name}'",
                hint="run the same command with --resume",
            )
        speed = f"{1e3 * plan.step_seconds:.1f} ms per step"
        if decided.most_steps is not None and decided.most_steps < plan.steps:
            plan = dataclasses.replace(plan, steps=decided.most_steps)
            self._progress.message(f"{self._name}: {plan.steps} steps, all that max_epochs allows ({speed})")
        else:
            self._progress.message(f"{self._name}: {plan.steps} steps in {decided.seconds:.0f} s ({speed})")
        return plan

    def _loop(self) -> None:
        trainer, settings = self._trainer, self._trainer.settings
        every = max(1, trainer.steps // _LOGGED)
        first, started = trainer.step, time.monotonic()
        saved = shown = started
        self._stop_here()
        while trainer.step < trainer.steps and not self._patience_lost():
            losses = trainer.run_step()
            step = trainer.step
            rate = (step - first) / max(1e-9, time.monotonic() - started)
            last = step == trainer.steps
            main = list(losses.values())[-1]
            if step % every == 0 or last:
                names = [name for name in losses if name != "lr"]
                detail = {f"train/{name}": losses[name] for name in names} if len(names) > 1 else {}
                self._metrics.log(self._name, step, **{"train/loss": main, **detail, "lr": losses["lr"], "rate": rate})
            if trainer.can_validate and (step % settings.validate_every == 0 or trainer.phase_ends):
                self._validate()
            if trainer.phase_ends and not last:
                trainer.settle(self._chosen())
                self._best = _Best()
            now = time.monotonic()
            if now - shown >= 0.1 or last:
                self._progress.update(self._name, step, trainer.steps, main, rate)
                shown = now
            self._stop_here()
            if now - saved >= settings.checkpoint_every and not last:
                self._save(done=False)
                saved = time.monotonic()

    def _stop_here(self) -> None:
        if reason := self._stop.reason:
            self._save(done=False)
            raise Interrupted(
                f"stopped by {reason} after step {self._trainer.step} of {self._trainer.steps} "
                f"of the stage '{self._name}'",
                where=str(self._store.folder),
                hint="run the same command with --resume",
            )

    def _validate(self) -> None:
        value = self._trainer.judge()
        self._metrics.log(self._name, self._trainer.step, **{"val/loss": value})
        if value < self._best.value:
            tensors = {name: tensor.detach().cpu().clone() for name, tensor in self._trainer.averaged.tensors().items()}
            self._best = _Best(value, self._trainer.step, 0, tensors)
        else:
            self._best.worse += 1

    def _chosen(self) -> dict[str, Tensor]:
        """The best judged weights of a phase, or the last average."""
        return self._trainer.averaged.tensors() if self._best.tensors is None else self._best.tensors

    def _patience_lost(self) -> bool:
        patience = self._trainer.settings.patience
        return patience is not None and self._trainer.in_last_phase and self._best.worse >= patience

    def _state(self, *, done: bool) -> dict[str, Any]:
        best = self._best
        return {
            "done": done,
            "seconds": self._seconds(),
            "trainer": self._trainer.numbers(),
            "best": {
                "value": best.value if math.isfinite(best.value) else None,
                "step": best.step,
                "worse": best.worse,
            },
        }

    def _seconds(self) -> float:
        return self._spent + time.monotonic() - self._begun

    def _save(self, *, done: bool) -> None:
        tensors = self._trainer.tensors()
        if self._best.tensors is not None:
            tensors["best"] = self._best.tensors
        self._store.save(self._name, self._trainer.step, tensors, self._state(done=done))

    def _finish(self) -> dict[str, Tensor]:
        """Store the chosen weights as the last checkpoint of the stage; the optimizers are not needed any more."""
        trainer = self._trainer
        if trainer.step < trainer.steps:
            self._progress.message(f"{self._name}: no better validation any more, stopped after step {trainer.step}")
        chosen = self._chosen()
        tensors = {"model": trainer.tensors()["model"], "average": trainer.averaged.tensors(), "ema": chosen}
        self._store.save(self._name, trainer.step, tensors, self._state(done=True), keep=1)
        self._plan.spent[self._name] = self._seconds()
        self._plan.store()
        return {name: tensor.detach().cpu().clone() for name, tensor in chosen.items()}
