"""From a training time to a number of steps, fixed once and stored.

The schedule of the learning rate ends where the training ends, so the number of steps must be known at the beginning:
the speed of the first steps is measured, the steps that fit the time are stored in ``RUN/plan.json``, and a resumed run
reads them there. A run that is killed while it measures has stored nothing and measures anew.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from hepgen.errors import ModelError
from hepgen.training.files import write_atomic

WARM_STEPS = 3
TIMED_STEPS = 20
TIMED_FRACTION = 0.03
MARGIN = 0.97
"""Part of the time that is planned for: the rest pays for checkpoints and for a machine that slows down."""


@dataclass(frozen=True)
class StagePlan:
    """What was decided for one stage.

    Attributes:
        steps: number of steps (rounds of all objectives).
        budget: seconds that it was planned for, or None where the recipe gave the steps.
        step_seconds, validation_seconds: what was measured, 0 where nothing was.
    """

    steps: int
    budget: float | None = None
    step_seconds: float = 0.0
    validation_seconds: float = 0.0


@dataclass(frozen=True)
class TimeLimit:
    """What the clock leaves for one stage.

    Attributes:
        seconds: its part of the training time.
        most_steps: more steps than these are never taken, or None.
    """

    seconds: float
    most_steps: int | None = None


class Plan:
    """``RUN/plan.json``: the plans of the stages that have begun, and the seconds that each has used."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.stages: dict[str, StagePlan] = {}
        self.spent: dict[str, float] = {}
        if path.exists():
            try:
                content = json.loads(path.read_text())
                self.stages = {name: StagePlan(**stage) for name, stage in content["stages"].items()}
                self.spent = {name: float(seconds) for name, seconds in content["spent"].items()}
            except (ValueError, KeyError, TypeError, AttributeError) as error:
                raise ModelError(
                    "the plan of the run is damaged", where=str(path), hint="start anew with --force"
                ) from error

    def store(self) -> None:
        content = {"stages": {name: asdict(stage) for name, stage in self.stages.items()}, "spent": self.spent}
        write_atomic(self._path, json.dumps(content, indent=1) + "\n")


def shares(sizes: Mapping[str, float], given: Mapping[str, float]) -> dict[str, float]:
    """Shares of the budget by stage, sum 1: those given, and the rest divided by the root of the stages' sizes.

    Args:
        sizes: how much there is to learn in each stage, see ``Stage.size``.
        given: shares of the recipe.

    Example:
        >>> shares({"energies": 4, "shapes": 64}, {})
        {'energies': 0.2, 'shapes': 0.8}
        >>> shares({"energies": 4, "shapes": 64}, {"energies": 0.5})
        {'energies': 0.5, 'shapes': 0.5}
    """
    free = {name: size**0.5 for name, size in sizes.items() if name not in given}
    fixed = {name: share for name, share in given.items() if name in sizes}
    rest = max(0.0, 1.0 - sum(fixed.values()))
    total = {name: fixed[name] if name in fixed else rest * free[name] / sum(free.values()) for name in sizes}
    norm = sum(total.values())
    if norm <= 0.0:
        return dict.fromkeys(sizes, 1.0 / max(1, len(sizes)))
    return {name: share / norm for name, share in total.items()}


def measure(
    budget: float,
    validate_every: int,
    step: Callable[[], object],
    validate: Callable[[], object],
    interrupted: Callable[[], bool],
    clock: Callable[[], float] = time.perf_counter,
) -> StagePlan | None:
    """Time some steps and a validation, and plan the steps that fit into what is left of ``budget`` seconds.

    Returns None where ``interrupted()`` became true meanwhile.
    """
    begin = clock()
    for _ in range(WARM_STEPS):
        step()
        if interrupted():
            return None
        if clock() - begin > TIMED_FRACTION * budget:
            break
    start, count = clock(), 0
    while count < 1 or (count < TIMED_STEPS and clock() - begin < 2 * TIMED_FRACTION * budget):
        step()
        count += 1
        if interrupted():
            return None
    seconds = (clock() - start) / count
    start = clock()
    validate()
    validation = clock() - start
    left = MARGIN * budget - (clock() - begin) - validation
    steps = max(1, int(left / (seconds + validation / validate_every)))
    return StagePlan(steps, budget, seconds, validation)
