"""How a training begins: threads, device, run folder, and when it has to stop."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import TypedDict, Unpack

import torch

from hepgen.config.load import AnyRecipe
from hepgen.runs.folder import RunFolder
from hepgen.training.device import pick_device
from hepgen.training.progress import Progress, Silent


@dataclass(frozen=True)
class Opening:
    """A run whose folder is known, and whose input has not been opened.

    Attributes:
        folder: of the run.
        device: where it computes.
        watcher: is told what happens.
        begun: time of ``time.monotonic``.
        deadline: when it stops with a checkpoint, or None.
        budget, seed, memory: see ``RunOptions``.
    """

    folder: RunFolder
    device: str
    watcher: Progress
    begun: float
    deadline: float | None
    budget: float | None
    seed: int | None
    memory: int

    @property
    def seconds(self) -> float:
        """Since it began."""
        return time.monotonic() - self.begun

    def finished(self, recipe: AnyRecipe) -> bool:
        """Whether there is nothing left to do; then that is said.

        Raises:
            ConfigError: if the run that is finished is of another recipe.
        """
        if not self.folder.finished:
            return False
        self.folder.keep_recipe(recipe)
        self.watcher.message(f"{self.folder.path} is finished already")
        return True


class RunOptions(TypedDict, total=False):
    """How a training of any task runs; all have a default.

    Attributes:
        budget: seconds of training, over all stages; the number of steps is measured once and stored.
        max_time: seconds after which the run stops with a checkpoint, whatever is left to do.
        resume: go on with what is there; begin where nothing is.
        force: replace what is there.
        seed: master seed; drawn and stored where None.
        device: where it computes; ``auto``: a GPU where there is one.
        threads: of torch.
        memory: bytes that it may take above what its imports take: a third of it for encoded events, the rest for work.
        progress: who is told what happens.
    """

    budget: float | None
    max_time: float | None
    resume: bool
    force: bool
    seed: int | None
    device: str
    threads: int | None
    memory: int
    progress: Progress | None


def open_run(run_dir: str | Path, **options: Unpack[RunOptions]) -> Opening:
    """Errors are those of ``hepgen.runs.train.train_run``."""
    begun = time.monotonic()
    if (threads := options.get("threads")) is not None:
        torch.set_num_threads(threads)
    max_time = options.get("max_time")
    return Opening(
        RunFolder(run_dir, resume=options.get("resume", False), force=options.get("force", False)),
        pick_device(options.get("device", "auto")),
        options.get("progress") or Silent(),
        begun,
        None if max_time is None else begun + max_time,
        options.get("budget"),
        options.get("seed"),
        options.get("memory", 1 << 30),
    )
