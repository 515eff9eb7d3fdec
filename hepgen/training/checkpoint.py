"""Checkpoints: folders that appear whole, are verified before they are trusted, and hold numbers only, no pickle.

``RUN/checkpoints/<stage>-step-000123/`` holds ``state.json`` and one ``.safetensors`` file per part (``model``,
``ema``, ``best``, ``optimizer``); ``state.json`` holds the hashes of the others and its own. The file ``latest`` names
the newest folder. The last two of a stage are kept, so that a damaged one costs one interval; what is best so far
travels inside each of them.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

from hepgen.errors import ModelError
from hepgen.training.files import (
    read_tensors,
    replaced_folder,
    sealed,
    unseal,
    write_atomic,
    write_tensors,
)

_NAME = re.compile(r"(?P<stage>.+)-step-(?P<step>\d{6,})")


@dataclass(frozen=True)
class Checkpoint:
    """A verified checkpoint of one stage.

    Attributes:
        state: plain numbers that were saved with it.
        tensors: parts by name, each a dictionary of named tensors.
    """

    stage: str
    step: int
    path: Path
    state: dict[str, Any]
    tensors: dict[str, dict[str, Tensor]]


class CheckpointStore:
    """The checkpoints of a run.

    Args:
        folder: ``RUN/checkpoints``.
        message: told of checkpoints that had to be passed over.
    """

    def __init__(self, folder: Path, message: Callable[[str], None]) -> None:
        self.folder = folder
        self._message = message

    def save(
        self, stage: str, step: int, tensors: Mapping[str, dict[str, Tensor]], state: Mapping[str, Any], keep: int = 2
    ) -> Path:
        """Write a checkpoint, point ``latest`` at it and remove all but the last ``keep`` of the stage.

        Raises:
            OutputError: if the file system refuses; older checkpoints are then still there.
        """
        final = self.folder / f"{stage}-step-{step:06d}"
        with replaced_folder(final) as part:
            files = {name: write_tensors(part / f"{name}.safetensors", group) for name, group in tensors.items()}
            write_atomic(part / "state.json", sealed({"stage": stage, "step": step, "files": files, **state}))
        write_atomic(self.folder / "latest", final.name + "\n")
        for _, old in self._folders(stage)[keep:]:
            shutil.rmtree(old, ignore_errors=True)
        return final

    def load(self, stage: str) -> Checkpoint | None:
        """The newest checkpoint of a stage that is whole, or None where there is none.

        Raises:
            ModelError: if there are checkpoints but every one is damaged.
        """
        folders = self._folders(stage)
        for position, (step, path) in enumerate(folders):
            try:
                state = unseal(path / "state.json")
                tensors = {
                    name: read_tensors(path / f"{name}.safetensors", sha256)
                    for name, sha256 in state.pop("files").items()
                }
            except ModelError as error:
                last = position + 1 == len(folders)
                self._message(
                    f"checkpoint {path.name} is damaged ({error.what}); " + ("" if last else "taking the previous one")
                )
                continue
            return Checkpoint(stage, step, path, state, tensors)
        if folders:
            raise ModelError(
                f"every checkpoint of the stage '{stage}' is damaged",
                where=str(self.folder),
                hint=f"remove {folders[0][1].name} and its like to train this stage anew",
            )
        return None

    def clean(self) -> None:
        """Remove what killed processes left half-written."""
        for part in self.folder.glob(".*part-*"):
            shutil.rmtree(part, ignore_errors=True)

    def _folders(self, stage: str) -> list[tuple[int, Path]]:
        """Steps and folders of a stage, newest first."""
        found = []
        for path in self.folder.glob("*-step-*") if self.folder.is_dir() else ():
            match = _NAME.fullmatch(path.name)
            if match and match["stage"] == stage:
                found.append((int(match["step"]), path))
        return sorted(found, reverse=True)
