"""How a training begins: threads, device, run folder, and when it has to stop."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path

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
    """

    folder: RunFolder
    device: str
    watcher: Progress
    begun: float
    deadline: float | None

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


def open_run(
    run_dir: str | Path,
    *,
    max_time: float | None,
    resume: bool,
    force: bool,
    device: str,
    threads: int | None,
    progress: Progress | None,
) -> Opening:
    """Arguments and errors are those of ``hepgen.runs.train.train_run``."""
    begun = time.monotonic()
    if threads is not None:
        torch.set_num_threads(threads)
    deadline = None if max_time is None else begun + max_time
    chosen = pick_device(device)
    return Opening(RunFolder(run_dir, resume=resume, force=force), chosen, progress or Silent(), begun, deadline)
