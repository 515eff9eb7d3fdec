"""What to tell when a loss is not finite: which column, which event, after which step."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from hepgen.errors import TrainingError
from hepgen.generators.base import StageBatch

EXTREME = 20.0
"""Generator space is standardised: a value of more than so many standard deviations is not a normal one."""


def diagnose(
    stage: str,
    step: int,
    what: str,
    batch: StageBatch,
    rows: NDArray[np.int64],
    names: Sequence[str] | None = None,
) -> TrainingError:
    """The error to raise for a batch whose ``what`` (the loss, the gradient) is not finite.

    Args:
        rows: row numbers of the batch in the training part, shape (events,).
        names: names of the features, where the representation has any.
    """
    where = f"stage '{stage}', after {step} steps"
    for label, tensor in (("feature", batch.x), ("condition", batch.condition)):
        place = _worst(tensor)
        if place is None:
            continue
        row, column, value = place
        name = f" '{names[column]}'" if names is not None and label == "feature" else ""
        if not np.isfinite(value):
            return TrainingError(
                f"{what} is not finite: {label} column {column}{name} is {value} for event {rows[row]} of the training part",
                where=where,
                hint="look at this event with 'hepgen inspect', or cut it away with data.cut",
            )
        if abs(value) > EXTREME:
            return TrainingError(
                f"{what} is not finite: {label} column {column}{name} reaches {value:.3g} standard deviations for event "
                f"{rows[row]} of the training part",
                where=where,
                hint="cut such events away with data.cut, or give the column a bounded range",
            )
    if batch.weight is not None and not bool(torch.isfinite(batch.weight).all()):
        return TrainingError(f"{what} is not finite: an event weight is not", where=where, hint="look at data.weight")
    return TrainingError(
        f"{what} is not finite although every feature and condition is within {EXTREME:g} standard deviations",
        where=where,
        hint="the network diverged: lower training.learning_rate or training.clip, and use precision float32",
    )


def _worst(tensor: Tensor) -> tuple[int, int, float] | None:
    """Row, column and value of the entry furthest from zero, the first that is not finite before all others."""
    if tensor.numel() == 0:
        return None
    flat = tensor.detach().float().cpu().reshape(len(tensor), -1)
    size = torch.where(torch.isfinite(flat), flat.abs(), torch.full_like(flat, float("inf")))
    row, column = divmod(int(size.argmax()), flat.shape[1])
    return row, column, float(flat[row, column])
