"""The conditions that morphed events shall have: their own, set on the command line, or those of another file."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from hepgen.errors import ConditionRangeError, InputFileError, UsageError, suggest_or_list
from hepgen.events.source import EventSource, as_numbered, place_of
from hepgen.morphing.model import MorphModel
from hepgen.sampling.conditions import ConditionLaw, check_kinds
from hepgen.training.seeds import stream

_CONDITIONS = 3
_OPTION = "--outside morph"
_MOST_ROWS = 1_000_000


class Wanted(Protocol):
    """Gives the conditions that the events of a block shall have.

    Attributes:
        names: the columns that this changes.
    """

    names: tuple[str, ...]

    def rows(self, block: int, own: Tensor, model: MorphModel, seed: int) -> Tensor | None:
        """Physical conditions (events, conditions) of a block whose own are ``own``; None where each keeps its own."""
        ...


class KeptConditions:
    """Every event keeps its conditions."""

    names: tuple[str, ...] = ()

    def rows(self, block: int, own: Tensor, model: MorphModel, seed: int) -> Tensor | None:
        del block, own, model, seed
        return None


class SetConditions:
    """Values or ranges from the command line.

    Args:
        laws: of the conditions that change; the others are kept.
        model: whose conditions they are.
        extrapolate: allow values beyond those of the training.

    Raises:
        UsageError: for a name that is no condition of the model.
        ConditionRangeError: for values that neither sample of the training had.
    """

    def __init__(self, laws: Sequence[ConditionLaw], model: MorphModel, *, extrapolate: bool = False) -> None:
        known = model.representation.condition_names
        ranges = {one.name: one for one in model.representation.validity}
        for number, law in enumerate(laws):
            if any(law.name == other.name for other in laws[:number]):
                raise UsageError(f"'{law.name}' is set twice", where="--to-condition", hint="give one value or range")
            if law.name not in known:
                hint = suggest_or_list(law.name, known) if known else "the model has none"
                raise UsageError(f"'{law.name}' is no condition of this model", where="--to-condition", hint=hint)
            if extrapolate:
                continue
            check_bounds(model, law.name, law.low, law.high)
            one = ranges[law.name]
            check_kinds(law.ends(one), [one], where="--to-condition", option=_OPTION)
        self._ranges = ranges
        self._laws = {law.name: law for law in laws}
        self.names = tuple(self._laws)

    def rows(self, block: int, own: Tensor, model: MorphModel, seed: int) -> Tensor | None:
        random = stream(seed, block, 0, 0, _CONDITIONS)
        found = own.clone()
        for place, name in enumerate(model.representation.condition_names):
            if name in self._laws:
                values = self._laws[name].draw(random, model.block_size, self._ranges[name])[: len(own)]
                found[:, place] = torch.from_numpy(values).to(own.dtype)
        return found


class DrawnFromFile:
    """The conditions of events of another file, drawn at random for each event, with replacement.

    Args:
        source: the file; at most its first million events are held.
        model: whose conditions they are.
        extrapolate: allow values beyond those of the training.

    Raises:
        InputFileError: if a condition is not there, or there are no events.
        ConditionRangeError: for values that neither sample of the training had.
    """

    def __init__(self, source: EventSource, model: MorphModel, *, extrapolate: bool = False) -> None:
        self.names = model.representation.condition_names
        if not self.names:
            raise UsageError("the model has no conditions", where="--to-condition-from")
        for name in self.names:
            if name not in source.schema:
                hint = suggest_or_list(name, source.schema.names)
                raise InputFileError(f"no column '{name}'", where="--to-condition-from", hint=hint)
        parts: list[NDArray[np.float64]] = []
        count = 0
        numbered = as_numbered(source)
        for batch in numbered.numbered_batches(list(self.names)):
            rows = np.stack([np.asarray(batch.events[name], dtype=np.float64) for name in self.names], axis=1)
            if not np.isfinite(rows).all():
                row, place = np.argwhere(~np.isfinite(rows))[0]
                where = place_of(numbered, batch, int(row))
                raise InputFileError(f"'{self.names[place]}' is not finite", where=where, hint="cut such events away")
            parts.append(rows)
            count += len(batch)
            if count >= _MOST_ROWS:
                break
        if not count:
            raise InputFileError("there are no events", where="--to-condition-from")
        self._rows = np.concatenate(parts)[:_MOST_ROWS]
        if not extrapolate:
            at = ", ".join(["--to-condition-from", *numbered.files[:3]])
            for place, name in enumerate(self.names):
                low, high = float(self._rows[:, place].min()), float(self._rows[:, place].max())
                check_bounds(model, name, low, high, where=at)
            check_kinds(self._rows, model.representation.validity, where=at, option=_OPTION)

    def rows(self, block: int, own: Tensor, model: MorphModel, seed: int) -> Tensor | None:
        random = stream(seed, block, 0, 0, _CONDITIONS)
        chosen = random.integers(len(self._rows), size=model.block_size)[: len(own)]
        return torch.from_numpy(self._rows[chosen]).to(own.dtype)


def bounds_of(model: MorphModel, name: str) -> tuple[float, float]:
    """Lowest and highest value of a condition in both samples of the training; infinite where nothing is known."""
    bounds = [side[name] for side in model.facts["ranges"].values() if name in side]
    return min((one[0] for one in bounds), default=-math.inf), max((one[1] for one in bounds), default=math.inf)


def beyond(model: MorphModel, rows: Tensor) -> NDArray[np.bool_]:
    """Which physical conditions, (events, conditions), hold a value beyond those of both samples, (events,)."""
    bounds = [bounds_of(model, name) for name in model.representation.condition_names]
    low, high = torch.tensor(bounds, dtype=rows.dtype).reshape(-1, 2).unbind(1)
    found: NDArray[np.bool_] = ((rows < low) | (rows > high)).any(1).numpy()
    return found


def check_bounds(model: MorphModel, name: str, low: float, high: float, where: str = "--to-condition") -> None:
    """Refuse values of a condition that lie beyond those of both samples of the training.

    Raises:
        ConditionRangeError: naming the condition, its value, and the range.
    """
    least, most = bounds_of(model, name)
    if low < least or high > most:
        raise ConditionRangeError(
            f"{name} = {low if low < least else high:g} is outside the range of the training, {least:g} to {most:g}",
            where=where,
            hint=f"stay within the range, or say {_OPTION} at your own risk",
        )
