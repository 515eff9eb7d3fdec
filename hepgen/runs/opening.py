"""How a training begins: threads, device, run folder, and when it has to stop."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import TypedDict

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


def open_run(
    run_dir: str | Path,
    *,
    budget: float | None = None,
    max_time: float | None = None,
    resume: bool = False,
    force: bool = False,
    seed: int | None = None,
    device: str = "auto",
    threads: int | None = None,
    memory: int = 1 << 30,
    progress: Progress | None = None,
) -> Opening:
    """Arguments are those of ``RunOptions``, errors those of ``hepgen.runs.train.train_run``."""
    begun = time.monotonic()
    if threads is not None:
        torch.set_num_threads(threads)
    deadline = None if max_time is None else begun + max_time
    folder, chosen = RunFolder(run_dir, resume=resume, force=force), pick_device(device)
    return Opening(folder, chosen, progress or Silent(), begun, deadline, budget, seed, memory)
