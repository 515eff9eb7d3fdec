"""The record of a training: ``metrics.jsonl`` always, TensorBoard where it is installed."""

from __future__ import annotations

import importlib
import importlib.util
import json
import math
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from hepgen.training.files import output_errors, write_atomic


class MetricsLog:
    """Appends one JSON object per logged step to ``RUN/metrics.jsonl``.

    Args:
        path: the file; lines that are there stay.
        tensorboard: folder of TensorBoard event files, or None for none.
    """

    def __init__(self, path: Path, tensorboard: Path | None = None) -> None:
        self._path = path
        self._writer: Any = None
        if tensorboard is not None and importlib.util.find_spec("tensorboard") is not None:
            self._writer = importlib.import_module("torch.utils.tensorboard").SummaryWriter(str(tensorboard))

    def forget_after(self, stage: str, step: int) -> None:
        """Drop what was logged for a stage beyond a step: a resumed run writes it again."""
        if not self._path.exists():
            return
        kept = []
        for line in self._path.read_text().splitlines():
            try:
                entry = json.loads(line)
            except ValueError:  # the last line of a killed run may be cut
                continue
            if entry["stage"] != stage or entry["step"] <= step:
                kept.append(line + "\n")
        write_atomic(self._path, "".join(kept))

    def log(self, stage: str, step: int, **values: float) -> None:
        """Append values, for instance ``**{"train/loss": 1.0}``; a value that is not finite is written as null."""
        finite = {name: value if math.isfinite(value) else None for name, value in values.items()}
        with output_errors(self._path), self._path.open("a") as handle:
            handle.write(json.dumps({"stage": stage, "step": step, **finite}) + "\n")
        if self._writer is not None:
            for name, value in values.items():
                self._writer.add_scalar(f"{stage}/{name}", value, step)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._writer is not None:
            self._writer.close()
