"""The space of a decorrelation: discriminants and protected columns, each through a strictly increasing map of its own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import awkward as ak
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from hepgen.errors import InputFileError
from hepgen.events.source import EventSource
from hepgen.representations.accumulators import RowSample
from hepgen.representations.base import Stage, Tensors
from hepgen.representations.maps.monotone import MonotoneNormal
from hepgen.training.cache import WEIGHT

STAGE = "scores"
"""Name of the one stage."""
_FITTED = 200_000


@dataclass(frozen=True)
class ScoreSpace:
    """Discriminants as features, protected columns as conditions.

    A representation of a table would spread equal values by noise and make columns of each other's; here every number
    goes through a map of its own, so that the order of the events by it is never touched.

    Attributes:
        discriminants, protected: the map of each column, by name.
    """

    discriminants: dict[str, MonotoneNormal]
    protected: dict[str, MonotoneNormal]

    @classmethod
    def fit(cls, source: EventSource, discriminants: Sequence[str], protected: Sequence[str]) -> ScoreSpace:
        """The maps of a sample of up to 200,000 events of a source; a column ``_weight`` weights them.

        Raises:
            InputFileError: for a value that is not a number, a column of one value, or weights that are all zero.
        """
        names = [*discriminants, *protected]
        weighted = [WEIGHT] if WEIGHT in source.schema else []
        sample = RowSample(len(names), _FITTED)
        start, strange = 0, dict.fromkeys(names, 0)
        for batch in source.batches([*names, *weighted]):
            rows = _numbers(batch, names)
            for place, name in enumerate(names):
                strange[name] += int((~np.isfinite(rows[:, place])).sum())
            start += len(rows)
            sample.update(rows, np.asarray(batch[WEIGHT], dtype=np.float64) if weighted else None)
        for name, count in strange.items():
            if count:
                raise InputFileError(
                    f"{count} of {start} values of '{name}' are not finite", where="the events of the training",
                    hint=f'leave these events out, such as data.cut: "abs({name}) < 1e30"',
                )  # fmt: skip
        rows, weights = sample.result()
        maps: dict[str, MonotoneNormal] = {}
        for place, name in enumerate(names):
            try:
                maps[name] = MonotoneNormal.fit(rows[:, place], weights)
            except InputFileError as error:
                raise InputFileError(error.what, where=f"column '{name}'", hint="look at data.cut and data.weight") from None  # fmt: skip
        return cls({name: maps[name] for name in discriminants}, {name: maps[name] for name in protected})

    @property
    def stage(self) -> Stage:
        size = len(self.discriminants)
        return Stage(STAGE, size, len(self.protected), noise=size)

    @property
    def ragged(self) -> tuple[str, ...]:
        return ()

    def pack(self, batch: ak.Array) -> Tensors:
        """Physical values, ``discriminant`` and ``condition``, (events, columns), float64."""
        return {
            "discriminant": torch.from_numpy(_numbers(batch, self.discriminants)),
            "condition": torch.from_numpy(_numbers(batch, self.protected)),
        }

    def encode(self, tensors: Tensors) -> Tensors:
        """The interval of each discriminant, ``low`` and ``high``, and ``condition``; standardised, float32."""
        values = tensors["discriminant"].numpy()
        ends = [one.interval(values[:, place]) for place, one in enumerate(self.discriminants.values())]
        low, high = (np.stack([one[side] for one in ends], axis=1) for side in (0, 1))
        return {
            "low": torch.from_numpy(low).float(),
            "high": torch.from_numpy(high).float(),
            "condition": _mapped(tensors["condition"], self.protected).float(),
        }

    def standardised(self, tensors: Tensors) -> tuple[Tensor, Tensor]:
        """Discriminants and protected columns as the flow sees them, float64: no noise, equal values stay equal."""
        return _mapped(tensors["discriminant"], self.discriminants), _mapped(tensors["condition"], self.protected)

    def features(self, stage: str, cached: Tensors, noise: Tensor) -> tuple[Tensor, Tensor]:
        """Discriminants, atoms spread by noise of the same shape, and conditions; as a batch of the training."""
        del stage
        low, high = cached["low"], cached["high"]
        ends = torch.special.ndtr(low.double()), torch.special.ndtr(high.double())
        spread = torch.special.ndtri(ends[0] + (ends[1] - ends[0]) * noise)
        return torch.where(high > low, spread.float(), low), cached["condition"]

    def mask(self, stage: str, tensors: Tensors) -> Tensor | None:
        del stage, tensors
        return None

    def augment(self, cached: Tensors, noise: Tensor) -> Tensors:
        del noise
        return cached

    def observables(self, stage: str, x: Tensor, cached: Tensors) -> Tensor:
        del stage, cached
        return x[:, :0]

    def state(self) -> dict[str, Any]:
        """Plain numbers."""
        return {
            side: {name: one.state() for name, one in getattr(self, side).items()}
            for side in ("discriminants", "protected")
        }

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> ScoreSpace:
        sides = (state["discriminants"], state["protected"])
        first, second = ({name: MonotoneNormal.from_state(one) for name, one in side.items()} for side in sides)
        return cls(first, second)


def _numbers(batch: ak.Array, names: Sequence[str] | Mapping[str, Any]) -> NDArray[np.float64]:
    """These columns side by side, (events, columns)."""
    return np.stack([np.asarray(batch[name], dtype=np.float64) for name in names], axis=1)


def _mapped(values: Tensor, maps: Mapping[str, MonotoneNormal]) -> Tensor:
    columns = [torch.from_numpy(one(values[:, place].numpy())) for place, one in enumerate(maps.values())]
    return torch.stack(columns, dim=1)
