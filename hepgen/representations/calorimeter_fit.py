"""The constants of a calorimeter representation, fitted in two streaming passes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import torch
from torch import Tensor

from hepgen.errors import InputFileError
from hepgen.representations.accumulators import DistinctValues, Moments, RowSample
from hepgen.representations.base import ConditionRange, Tensors
from hepgen.representations.maps.conditional import ConditionalStandardise

if TYPE_CHECKING:
    from hepgen.representations.calorimeter import CalorimeterRepresentation

_MAX_DISCRETE = 64
_MAX_KNOTS = 16
_QUANTILE_KNOTS = 8
_SAMPLE = 20_000
_FIT_SEED = 20260102


@dataclass
class Affine:
    """(x - shift) / scale per column; column 0 is taken as a logarithm first where ``log_first``."""

    shift: Tensor
    scale: Tensor
    log_first: bool = False

    def forward(self, x: Tensor) -> Tensor:
        if self.log_first:
            x = torch.cat([x[:, :1].log(), x[:, 1:]], 1)
        return (x - self.shift.to(x)) / self.scale.to(x)

    def state(self) -> dict[str, Any]:
        return {"shift": self.shift.tolist(), "scale": self.scale.tolist(), "log_first": self.log_first}

    @classmethod
    def from_state(cls, state: dict[str, Any]) -> Self:
        return cls(torch.tensor(state["shift"]), torch.tensor(state["scale"]), state["log_first"])

    @classmethod
    def of(cls, moments: Moments, *, log_first: bool = False) -> Self:
        """Mean and standard deviation of a sample; a constant column is only shifted."""
        result = moments.result()
        scale = np.where(result.std > 1e-6 * (1 + np.abs(result.mean)), result.std, 1.0)
        return cls(torch.tensor(result.mean).float(), torch.tensor(scale).float(), log_first)


@dataclass
class FittedScales:
    """Everything that the representation fits, besides its threshold; of images the share of events that hit each pixel."""

    validity: tuple[ConditionRange, ...]
    conditions: Affine
    layers: Affine
    features: dict[str, ConditionalStandardise]
    observables: ConditionalStandardise
    occupancy: Tensor | None = None

    def state(self) -> dict[str, Any]:
        return {
            "validity": [vars(one) for one in self.validity], "conditions": self.conditions.state(),
            "layers": self.layers.state(), "features": {name: one.state() for name, one in self.features.items()},
            "observables": self.observables.state(),
            "occupancy": None if self.occupancy is None else self.occupancy.tolist(),
        }  # fmt: skip

    @classmethod
    def from_state(cls, state: dict[str, Any]) -> Self:
        ranges = [
            {**one, "values": None if one["values"] is None else tuple(one["values"])} for one in state["validity"]
        ]
        return cls(
            tuple(ConditionRange(**one) for one in ranges),
            Affine.from_state(state["conditions"]),
            Affine.from_state(state["layers"]),
            {name: ConditionalStandardise.from_state(one) for name, one in state["features"].items()},
            ConditionalStandardise.from_state(state["observables"]),
            None if state.get("occupancy") is None else torch.tensor(state["occupancy"]),
        )


class CalorimeterFit:
    """``survey`` every batch, ``begin``, ``update`` with every batch, ``finish``."""

    def __init__(self, representation: CalorimeterRepresentation) -> None:
        self._representation = representation
        self._names = representation.condition_names
        self._moments = Moments(len(self._names))
        self._distinct = DistinctValues(len(self._names), _MAX_DISCRETE)
        self._sample = RowSample(1, _SAMPLE)
        self._smallest = np.inf
        self._layers = Moments(representation.stages[1].conditions - len(self._names))
        self._hits = torch.zeros(representation.binning.num_voxels, dtype=torch.float64)
        self._events = 0
        self._random = torch.Generator().manual_seed(_FIT_SEED)

    def survey(self, tensors: Tensors) -> None:
        """First pass: ranges of the conditions and the smallest voxel above 0."""
        condition = tensors["condition"].double().numpy()
        self._distinct.update(condition)
        if self._representation.has_incident:
            condition = np.concatenate([np.log(condition[:, :1]), condition[:, 1:]], 1)
            self._sample.update(condition[:, :1])
        self._moments.update(condition)
        voxels = tensors["voxels"]
        hit = voxels[voxels > 0]
        if len(hit):
            self._smallest = min(self._smallest, float(hit.min()))

    def begin(self) -> tuple[float, FittedScales]:
        """The threshold, and scales that still lack what the second pass finds.

        Raises:
            InputFileError: if there is no event, or no energy in any voxel.
        """
        result = self._moments.result()
        if result.rows == 0:
            raise InputFileError("no showers to fit a representation to", hint="is the cut or the split too narrow?")
        if not np.isfinite(self._smallest):
            raise InputFileError("every voxel of every shower is 0", hint="is the threshold above all energies?")
        low, high = result.low.copy(), result.high.copy()
        energetic = self._representation.has_incident
        if energetic:
            low[0], high[0] = np.exp(low[0]), np.exp(high[0])
        validity = []
        for place, (name, distinct) in enumerate(zip(self._names, self._distinct.result(), strict=True)):
            values = None if distinct is None else tuple(float(value) for value in distinct.values)
            edges = (float(low[place]), float(high[place])) if values is None else (values[0], values[-1])
            validity.append(
                ConditionRange(
                    name,
                    *edges,
                    unit=self._representation.energy_unit if energetic and place == 0 else "",
                    values=values,
                )
            )
        energies = self._distinct.result()[0] if energetic else None
        if not energetic:
            knots = np.zeros(1)
        elif energies is not None and len(energies.values) <= _MAX_KNOTS:
            knots = np.log(energies.values)
        else:
            knots = np.unique(self._sample.quantiles(0, np.linspace(0, 1, _QUANTILE_KNOTS)))
        features = {stage.name: ConditionalStandardise(knots.tolist()) for stage in self._representation.stages}
        # A little below the smallest voxel, which must survive the rounding of a round trip.
        threshold = self._representation.threshold or self._smallest * (1 - 1e-5)
        unit = Affine(torch.zeros(1), torch.ones(1))
        return threshold, FittedScales(
            tuple(validity),
            Affine.of(self._moments, log_first=energetic),
            unit,
            features,
            ConditionalStandardise(knots.tolist()),
        )

    def update(self, cached: Tensors) -> None:
        """Second pass: moments of the features at each incident energy, with noise drawn in a fixed order."""
        scales, events = self._representation.scales, len(cached["condition"])
        log_incident = self._representation.incident(cached).log()
        for stage in self._representation.stages:
            noise = torch.rand(events, stage.noise, generator=self._random)
            raw = self._representation.raw_features(stage.name, cached, noise)
            scales.features[stage.name].update(raw, log_incident)
            if stage.observables:  # which are for those who learn exact values as such
                raw = self._representation.raw_features(stage.name, cached, torch.full_like(noise, stage.still))
                scales.observables.update(self._representation.raw_observables(raw), log_incident)
        self._hits += (cached["voxels"] > 0).sum(0).double()
        self._events += events
        self._layers.update(self._representation.layer_terms(cached).double().numpy())

    def finish(self) -> None:
        scales = self._representation.scales
        for scale in (*scales.features.values(), scales.observables):
            scale.finish()
        scales.layers = Affine.of(self._layers)
        if self._representation.shape_first:
            scales.occupancy = (self._hits / max(1, self._events)).float()
