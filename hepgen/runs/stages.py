"""What the stages of a run are trained with: its plan, its record, its checkpoints, and the wish to stop."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, fields

from torch import Tensor

from hepgen.config.recipe import TrainingRecipe
from hepgen.representations.base import Stage
from hepgen.runs.folder import RunFolder
from hepgen.runs.plan import DEFAULT_BUDGET
from hepgen.runs.session import Session
from hepgen.training.checkpoint import CheckpointStore
from hepgen.training.loop import StageRun
from hepgen.training.metrics import MetricsLog
from hepgen.training.plan import Plan, StagePlan, TimeLimit, shares
from hepgen.training.progress import Progress
from hepgen.training.signals import StopFlag
from hepgen.training.trainer import StageTrainer, TrainingSettings

Decide = Callable[[StageTrainer], StagePlan | TimeLimit]
"""How long a stage is trained."""


@dataclass(frozen=True)
class StageRuns:
    """The stages of a run folder, trained one after the other or gone on with; made by `stage_runs`.

    Attributes:
        plan: the steps of each stage, and the seconds that it took.
    """

    plan: Plan
    _store: CheckpointStore
    _metrics: MetricsLog
    _stop: StopFlag
    _watcher: Progress

    def train(self, trainer: StageTrainer, decide: Decide) -> dict[str, Tensor]:
        """Train one stage to its end: the weights that `hepgen.training.loop.StageRun.run` chooses, and its errors."""
        return StageRun(trainer, self._store, self.plan, self._metrics, self._stop, self._watcher).run(decide)


@contextmanager
def stage_runs(folder: RunFolder, session: Session, watcher: Progress, deadline: float | None) -> Iterator[StageRuns]:
    """Open what stages are trained with; the session is closed with it, whatever happens.

    Args:
        deadline: the time of ``time.monotonic`` at which the run stops with a checkpoint, or None.
    """
    try:
        with MetricsLog(folder.metrics, folder.path / "tensorboard") as metrics:
            plan = Plan(folder.plan)
            store = CheckpointStore(folder.checkpoints, watcher.message)
            store.clean()
            with StopFlag(deadline) as stop:
                yield StageRuns(plan, store, metrics, stop, watcher)
    finally:
        session.close()


def settings_of(training: TrainingRecipe) -> TrainingSettings:
    """What a recipe says of a training, for its engine."""
    return TrainingSettings(**{field.name: getattr(training, field.name) for field in fields(TrainingSettings)})


def length_of(training: TrainingRecipe, events: int, seconds: float | None) -> Decide:
    """How long a stage is trained: by the clock if ``seconds`` are given, else by the recipe's steps or epochs."""

    def decide(trainer: StageTrainer) -> StagePlan | TimeLimit:
        if seconds is None and training.steps is not None:
            return StagePlan(training.steps)
        if seconds is None:
            return StagePlan(training.steps_in(training.epochs or 1.0, events, trainer.batches_per_step))
        most = training.max_epochs
        return TimeLimit(seconds, None if most is None else training.steps_in(most, events, trainer.batches_per_step))

    return decide


def seconds_of(training: TrainingRecipe, budget: float | None, watcher: Progress) -> float | None:
    """The training time: the budget, or a default where the recipe says neither steps nor epochs; else None."""
    if budget is not None or training.steps is not None or training.epochs is not None:
        return budget
    watcher.message(f"neither --budget nor steps: training for {DEFAULT_BUDGET / 60:.0f} minutes")
    return DEFAULT_BUDGET


def seconds_left(seconds: float, stages: Sequence[Stage], number: int, plan: Plan, given: Mapping[str, float]) -> float:
    """The part of the training time that a stage has, by the shares of a recipe and the sizes of the others.

    What earlier stages took too much or left over is shared out among the later ones.
    """
    share = shares({one.name: one.size for one in stages}, given)
    left = max(0.0, seconds - sum(plan.spent.values()))
    return left * share[stages[number].name] / sum(share[one.name] for one in stages[number:])
