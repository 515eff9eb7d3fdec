"""One process that works on a run: its seed, its inputs, and what it took, for the provenance."""

from __future__ import annotations

import platform
import sys
import time
from collections.abc import Mapping, Sequence
from typing import Any

import torch

from hepgen.errors import ConfigError, InputFileError
from hepgen.runs.folder import RunFolder
from hepgen.surrogate.provenance import describe_run, peak_memory
from hepgen.training.files import digest_of
from hepgen.training.progress import Progress
from hepgen.training.seeds import fresh_seed


class Session:
    """One process that works on a run: its seed, and its line in the provenance."""

    def __init__(self, folder: RunFolder, plain: dict[str, Any], seed: int | None, progress: Progress) -> None:
        self._folder = folder
        self._started = time.monotonic()
        self._recipe = plain
        self.message = progress.message
        self.content = folder.read_provenance()
        stored = int(self.content["seed"]) if self.content else None
        if stored is not None and seed is not None and seed != stored:
            raise ConfigError(
                f"the run was begun with seed {stored}, not {seed}", where=str(folder.path), hint="leave --seed out"
            )
        self.seed = stored if stored is not None else fresh_seed() if seed is None else seed
        if stored is None and seed is None:
            self.message(f"seed {self.seed}")

    def open(self, inputs: Sequence[Mapping[str, Any]]) -> None:
        """Write the provenance, or check that the inputs are those of the first session."""
        if self.content:
            for old, new in zip(self.content["inputs"], inputs, strict=False):
                if {**old, "path": ""} != {**new, "path": ""}:
                    raise InputFileError(
                        "this is not the file that the run was begun with", where=str(new["path"]),
                        hint="go on with the same data, or begin anew with --force",
                    )  # fmt: skip
            if len(self.content["inputs"]) != len(inputs):
                raise InputFileError(
                    f"the run was begun with {len(self.content['inputs'])} input files, not {len(inputs)}",
                    where="data.files", hint="go on with the same data, or begin anew with --force",
                )  # fmt: skip
        else:
            self.content = {
                **describe_run(digest_of(self._recipe), inputs, self.seed), "training": {}, "sessions": []
            }  # fmt: skip
        self.content["sessions"].append(
            {"argv": list(sys.argv), "hostname": platform.node(), "threads": torch.get_num_threads()}
        )
        self._folder.write_provenance(self.content)

    def close(self) -> None:
        """Add what the session took."""
        self.content["sessions"][-1].update(
            wall_seconds=time.monotonic() - self._started, cpu_seconds=time.process_time(), peak_memory=peak_memory()
        )
        self._folder.write_provenance(self.content)
