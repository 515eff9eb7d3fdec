"""Calorimeter showers and other images as tensors: layer energies first, then the voxels of each layer."""

from __future__ import annotations

from typing import Any, ClassVar, Self

import awkward as ak
import numpy as np
import torch
from torch import Tensor

from hepgen.errors import ConfigError, RowError
from hepgen.events.schema import Schema
from hepgen.events.showers import energy_unit
from hepgen.events.source import EventSource, as_numbered, naming_entries, numbered_pieces, pieces
from hepgen.physics.binning import Binning
from hepgen.representations.base import ConditionRange, Stage, Tensors, Vectors
from hepgen.representations.calorimeter_fit import CalorimeterFit, FittedScales
from hepgen.representations.empty_voxels import STILL, log_det_apart, noise_apart, noise_below
from hepgen.representations.geometry import check_voxels
from hepgen.representations.image_shapes import ImageShapes
from hepgen.representations.layer_energies import from_fractions, share_out, to_fractions
from hepgen.representations.shower_shapes import ShowerShapes

# Generated features further out than this many widths are pulled in: no float32 overflows on the way to an energy.
_FARTHEST = 20.0


class CalorimeterRepresentation(Vectors):
    """Voxels of any layered readout, rings or pixels, conditioned on the incident energy and further columns.

    Two stages, as in CaloFlow (arXiv:2106.05285): ``energies`` are the u-variables of the layers, ``shapes`` the voxels
    given the layer energies. Both are logarithms, standardised with a mean and a width that follow the incident energy.
    An empty voxel (or layer) is given noise between 0 and the threshold, so that its logarithm joins on to those of the
    others. Decoding drops what lies below the threshold and scales each layer to its energy; because it does, the
    hit voxels of a layer are lifted by a common random factor in training, without which they would lie on a surface of
    no volume that a density can only chase. Noise ``apart`` from the hits, about a twentieth of the threshold, leaves a
    gap in which no voxel lies, so that a small error neither makes nor loses one: for voxels that are nearly always empty.
    With ``shape_first`` the first stage also makes the shape of an image (``hepgen.representations.image_shapes``).

    A jet image (arXiv:1701.05927) is one layer of pixels; what stands for its incident energy is any column, such as the pt
    of the jet. Without one the sum of the voxels is learned as it is: u_0 is the logarithm of the sum itself.

    Attributes:
        binning: the readout.
        energy_unit: of the voxels and the incident energy.
        threshold: energy in that unit below which a voxel is 0; the smallest voxel of the training sample where the recipe
            names none.
        layer_noise: largest logarithm of that common factor.
    """

    kind: ClassVar[str] = "calorimeter"

    def __init__(
        self, binning: Binning, *, energy: str | None = "incident_energy", voxels: str = "voxel_energy",
        conditions: tuple[str, ...] = (), threshold: float = 0.0, layer_noise: float = 0.2, augment: tuple[str, ...] = (),
        shape: tuple[int, ...] = (), energy_unit: str = "MeV", empty: str = "below", shape_first: bool = False,
    ) -> None:  # fmt: skip
        self.binning = binning
        self.threshold = threshold
        self.layer_noise = layer_noise
        self.energy_unit = energy_unit
        self._shape = shape or (binning.num_voxels,)  # of an event in the file
        self._energy, self._voxels, self._extra, self._augment = energy, voxels, conditions, augment
        self._apart = empty == "apart"
        self._images = ImageShapes(binning) if shape_first else None
        self._shapes = ShowerShapes(binning)
        self._scales: FittedScales | None = None
        self._layer_of_voxel = torch.from_numpy(binning.layer_of_voxel)
        self._symmetries = torch.from_numpy(np.stack([binning.rotation(k, reflect=m) for k, m in self._turns()]))

    @classmethod
    def build(cls, options: dict[str, Any], schema: Schema) -> Self:
        """From the options of a recipe, the binning as ``Binning.to_dict`` gives it.

        Raises:
            ConfigError: if the columns are not what a calorimeter needs.
        """
        binning = Binning.from_dict(options["binning"])
        self = cls(
            binning, energy=options["energy"], voxels=options["voxels"], conditions=tuple(options["conditions"]),
            threshold=options["threshold"], layer_noise=options["layer_noise"], augment=tuple(options["augment"]),
            shape=schema[options["voxels"]].shape, empty=options.get("empty", "below"), shape_first=options.get("shape_first", False),
        )  # fmt: skip
        check_voxels(schema, binning, f"tree '{schema.tree}'", self._voxels)
        self.energy_unit = energy_unit(schema, self._voxels, self._energy, options.get("energy_unit"))
        for name in self.condition_names:
            column = schema[name]
            if column.jagged or column.shape:
                raise ConfigError(f"the condition '{name}' is not one number per shower", where=f"tree '{schema.tree}'")
        return self

    def _turns(self) -> list[tuple[int, bool]]:
        turns = range(self.binning.rotation_order) if "rotation" in self._augment else range(1)
        mirrors = (False, True) if "reflection" in self._augment else (False,)
        return [(turn, mirror) for turn in turns for mirror in mirrors]

    @property
    def scales(self) -> FittedScales:
        if self._scales is None:
            raise ConfigError("this representation has not been fitted")
        return self._scales

    @property
    def stages(self) -> tuple[Stage, ...]:
        layers, conditions, voxels = self.binning.num_layers, len(self.condition_names), self.binning.num_voxels
        more = 0 if self._images is None else self._images.count
        still = 0.5 if self._apart else STILL  # the middle of the noise apart
        return (
            Stage("energies", layers + more, conditions, noise=layers + (more > 0)),
            Stage(
                "shapes", voxels, conditions + 2 * layers + more, noise=voxels + layers, still=still,
                observables=self._shapes.count,
            ),
        )  # fmt: skip

    @property
    def condition_names(self) -> tuple[str, ...]:
        return self._extra if self._energy is None else (self._energy, *self._extra)

    @property
    def shape_first(self) -> bool:
        """Whether the shape of an image is made with its energy."""
        return self._images is not None

    @property
    def has_incident(self) -> bool:
        """Whether the first condition is an incident energy."""
        return self._energy is not None

    def incident(self, tensors: Tensors) -> Tensor:
        """(events,), 1 everywhere where no column stands for it."""
        condition = tensors["condition"]
        return condition[:, 0] if self.has_incident else condition.new_ones(len(condition))

    @property
    def validity(self) -> tuple[ConditionRange, ...]:
        return self.scales.validity

    def feature_names(self, stage: str) -> list[str]:
        """What each feature of a stage stands for, for messages."""
        if stage == "energies":
            shape = () if self._images is None else ("hits", "center x", "center y", "width x", "width y", "center r")
            return [*(f"energy of layer {layer.id}" for layer in self.binning.layers), *shape]
        return [f"{self._voxels}[{voxel}]" for voxel in range(self.binning.num_voxels)]

    def fit(self, source: EventSource) -> None:
        fit = CalorimeterFit(self)
        numbered = as_numbered(source)
        for batch in numbered_pieces(numbered):
            with naming_entries(numbered, batch):
                tensors = self.pack(batch.events)
            fit.survey(tensors)
        self.threshold, self._scales = fit.begin()
        for batch in source.batches():
            for piece in pieces(batch):
                fit.update(self.encode(self.pack(piece)))
        fit.finish()

    def pack(self, batch: ak.Array) -> Tensors:
        """``condition`` (events, conditions) and ``voxels`` (events, voxels); voxels below the threshold are 0.

        Raises:
            RowError: if a voxel or a condition is not finite, a voxel negative, or an incident energy not positive.
        """
        voxels = torch.from_numpy(np.asarray(ak.to_numpy(batch[self._voxels]), dtype=np.float32)).flatten(1)
        columns = [np.asarray(ak.to_numpy(batch[name]), dtype=np.float32) for name in self.condition_names]
        condition = torch.from_numpy(np.stack(columns, 1)) if columns else torch.empty(len(voxels), 0)
        _refuse(~torch.isfinite(voxels).all(1), f"a '{self._voxels}' that is not finite")
        _refuse((voxels < 0).any(1), f"a negative '{self._voxels}'")
        for place, name in enumerate(self.condition_names):
            _refuse(~torch.isfinite(condition[:, place]), f"a '{name}' that is not finite")
        _refuse(self.incident({"condition": condition}) <= 0, f"a '{self._energy}' that is not positive")
        return {"condition": condition, "voxels": voxels * (voxels >= self.threshold)}

    def unpack(self, tensors: Tensors) -> ak.Array:
        columns = {name: tensors["condition"][:, place].numpy() for place, name in enumerate(self.condition_names)}
        voxels = tensors["voxels"].numpy().reshape(-1, *self._shape)
        return ak.zip({**columns, self._voxels: ak.from_numpy(voxels, regulararray=True)}, depth_limit=1)

    def encode(self, tensors: Tensors) -> Tensors:
        return {"condition": tensors["condition"], "voxels": tensors["voxels"]}

    def augment(self, cached: Tensors, noise: Tensor) -> Tensors:
        count = len(self._symmetries)
        if count == 1:
            return cached
        chosen = (noise * count).long().clamp(max=count - 1)
        order = self._symmetries.to(chosen.device)[chosen]
        return {**cached, "voxels": cached["voxels"].gather(1, order)}

    def layer_energies(self, voxels: Tensor) -> Tensor:
        """(events, voxels) to (events, layers)."""
        sums = [voxels[:, part].sum(1) for part in self.binning.layer_slices]
        return torch.stack(sums, 1)

    def raw_features(self, stage: str, cached: Tensors, noise: Tensor) -> Tensor:
        """Features before they are standardised: log u_0, logit u_i, or the log of voxels over the threshold."""
        if stage == "energies":
            layers = self.binning.num_layers
            energies = noise_below(self.layer_energies(cached["voxels"]), noise[:, :layers], self.threshold)
            found = to_fractions(energies, self.incident(cached))
            if self._images is None:
                return found
            return torch.cat([found, self._images.to_features(self._images.measure(cached["voxels"]), noise[:, -1])], 1)
        voxels, layers = noise.split([self.binning.num_voxels, self.binning.num_layers], 1)
        values = cached["voxels"]
        lifted: Tensor = (self.layer_noise * layers)[:, self._layer_of_voxel.to(layers.device)] * (values > 0)
        dequantised = noise_apart if self._apart else noise_below
        return (dequantised(values, voxels, self.threshold) / self.threshold).log() + lifted

    def features(self, stage: str, cached: Tensors, noise: Tensor) -> tuple[Tensor, Tensor]:
        raw = self.raw_features(stage, cached, noise)
        x = self.scales.features[stage].forward(raw, self.incident(cached).log())
        return x, self.stage_condition(stage, cached)

    def observables(self, stage: str, x: Tensor, cached: Tensors) -> Tensor:
        if stage != "shapes":
            return x[:, :0]
        log_incident = self.incident(cached).log()
        raw = self.scales.features[stage].inverse(x.clamp(-_FARTHEST, _FARTHEST), log_incident)
        found = self.scales.observables.forward(self._shapes(raw), log_incident)
        return found.clamp(-_FARTHEST, _FARTHEST)

    def raw_observables(self, raw: Tensor) -> Tensor:
        """Observables of the shapes before they are standardised, of the features before they are."""
        return self._shapes(raw)

    def log_abs_det(self, stage: str, cached: Tensors, noise: Tensor) -> Tensor:
        scale = self.scales.features[stage].log_abs_det(self.incident(cached).log())
        energies = stage == "energies"
        values = self.layer_energies(cached["voxels"]) if energies else cached["voxels"]
        own = noise[:, : values.shape[1]]
        if self._apart and not energies:
            return scale - log_det_apart(values, own, self.threshold).sum(1)
        found = scale - noise_below(values, own, self.threshold).log().sum(1)
        if self._images is None or not energies:
            return found
        return found + self._images.log_abs_det(self._images.measure(cached["voxels"]), noise[:, -1])

    def start(self, condition: Tensor) -> Tensors:
        return {"condition": condition}

    def stage_condition(self, stage: str, tensors: Tensors) -> Tensor:
        condition = self.scales.conditions.forward(tensors["condition"])
        if stage == "energies":
            return condition
        return torch.cat([condition, self.scales.layers.forward(self.layer_terms(tensors))], 1)

    def layer_terms(self, tensors: Tensors) -> Tensor:
        """What the shapes are told of the layer energies: logarithms and shares of E_inc, (events, 2 layers); with the
        shape of an image where that is made first."""
        energies = tensors.get("layer_energies")
        if energies is None:
            energies = self.layer_energies(tensors["voxels"])
        logs = (energies.clamp(min=self.threshold) / self.threshold).log()
        terms = torch.cat([logs, energies / self.incident(tensors).unsqueeze(1)], 1)
        if self._images is None:
            return terms
        shape = tensors.get("shape")
        if shape is None:
            shape = self._images.measure(tensors["voxels"])
        return torch.cat([terms, self._images.to_features(shape, shape.new_full((len(shape),), 0.5))], 1)

    def decode(self, stage: str, x: Tensor, tensors: Tensors, noise: Tensor) -> Tensors:
        del noise
        incident = self.incident(tensors)
        raw = self.scales.features[stage].inverse(x.clamp(-_FARTHEST, _FARTHEST), incident.log())
        if stage == "energies":
            energies = from_fractions(raw[:, : self.binning.num_layers], incident)
            found = {**tensors, "layer_energies": energies * (energies >= self.threshold)}
            if self._images is not None:
                found["shape"] = self._images.from_features(raw[:, self.binning.num_layers :])
            return found
        if self._images is not None:
            energies = tensors["layer_energies"][:, 0]
            voxels = self._images.place(raw, energies, tensors["shape"], self.threshold, self.scales.occupancy)
            return {**tensors, "voxels": voxels}
        weights = raw.exp() * self.threshold
        voxels = share_out(weights, tensors["layer_energies"], self.binning.layer_slices, self.threshold)
        return {**tensors, "voxels": voxels}

    def hits(self, batch: ak.Array) -> dict[str, ak.Array]:
        """The voxels above 0 as hits: jagged columns of one length per event, lengths in the unit of the binning, angles in rad.

        ``hit_z`` is the number of the layer: a binning says nothing of the depth in mm.
        """
        voxels = np.asarray(ak.to_numpy(batch[self._voxels])).reshape(len(batch), -1)
        event, voxel = np.nonzero(voxels)
        counts = np.bincount(event, minlength=len(voxels))
        layer = self.binning.layer_of_voxel[voxel]
        ids = np.array([one.id for one in self.binning.layers], dtype=np.int32)
        flat = {
            "hit_energy": voxels[event, voxel],
            "hit_layer": ids[layer],
            "hit_r": self.binning.r_mid[voxel].astype(np.float32),
            "hit_alpha": self.binning.alpha_mid[voxel].astype(np.float32),
            "hit_x": self.binning.eta[voxel].astype(np.float32),
            "hit_y": self.binning.phi[voxel].astype(np.float32),
            "hit_z": layer.astype(np.float32),
        }
        return {name: ak.unflatten(values, counts) for name, values in flat.items()}

    @property
    def hit_units(self) -> dict[str, str]:
        """Units of the columns of ``hits``, where they have one."""
        length = self.binning.length_unit
        return {"hit_energy": self.energy_unit, "hit_alpha": "rad", "hit_r": length, "hit_x": length, "hit_y": length}

    def state(self) -> dict[str, Any]:
        return {
            "kind": self.kind, "binning": self.binning.to_dict(), "energy": self._energy, "voxels": self._voxels,
            "conditions": list(self._extra), "threshold": self.threshold, "layer_noise": self.layer_noise, "augment": list(self._augment),
            "scales": self.scales.state(), "shape": list(self._shape), "energy_unit": self.energy_unit,
            "empty": "apart" if self._apart else "below", "shape_first": self._images is not None,
        }  # fmt: skip

    @classmethod
    def from_state(cls, state: dict[str, Any]) -> Self:
        self = cls(
            Binning.from_dict(state["binning"]), energy=state["energy"], voxels=state["voxels"],
            conditions=tuple(state["conditions"]), threshold=state["threshold"], layer_noise=state["layer_noise"], augment=tuple(state["augment"]),
            shape=tuple(state.get("shape", ())), energy_unit=state.get("energy_unit", "MeV"),
            empty=state.get("empty", "below"), shape_first=state.get("shape_first", False),
        )  # fmt: skip
        self._scales = FittedScales.from_state(state["scales"])
        return self


def _refuse(bad: Tensor, what: str) -> None:
    if bool(bad.any()):
        raise RowError(
            f"{what} ({int(bad.sum())} of {len(bad)} events read together)", int(bad.nonzero()[0, 0]),
            hint="mend the input, or leave these events out with 'cut'",
        )  # fmt: skip
