"""Calorimeter showers, and other images, as the evaluation sees them."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property

import awkward as ak
import numpy as np

from hepgen.classifiers.multiclass import NetworkPosterior
from hepgen.classifiers.network import CALOCHALLENGE, DenseNetwork, NetworkClassifier, NetworkOptions
from hepgen.classifiers.trees import TreeClassifier, TreeOptions
from hepgen.errors import InputFileError
from hepgen.evaluation.domain import Array, ClassifierTest, Compared, Events, FloatArray, Pool
from hepgen.evaluation.histograms import Axis, Observable, axis_for
from hepgen.evaluation.report_parts import Curve, ShowerImage
from hepgen.evaluation.response import add_profile, add_response, energy_bins, shower_curves
from hepgen.evaluation.sanity import EMPTY, weights_of
from hepgen.evaluation.scores import ScoreBook
from hepgen.evaluation.shower_images import shower_images
from hepgen.evaluation.splits import ConditionBin
from hepgen.events.schema import Schema
from hepgen.physics.binning import Binning
from hepgen.physics.observables import (
    angular_layers,
    apply_threshold,
    high_level_features,
    low_level_features,
    shower_features,
)


class ShowerDomain:
    """Showers on a binning, cut at a threshold.

    Args:
        binning: the readout.
        energy: column of the incident energy; where None, the sum of the voxels stands for it.
        voxels: column of the voxel energies.
        conditions: further conditions.
        weight: column of event weights.
        threshold: voxels below it are 0.
        unit: of all energies.
        official: histogram bins and networks of the CaloChallenge instead of ours.
        network: the network of the tests; chosen by ``official`` where None.
        trees: the boosted trees of the test beside it.
    """

    kind = "calorimeter"
    distance_scale = "maximum"
    nearest_scale = "none"

    def __init__(
        self,
        binning: Binning,
        *,
        energy: str | None = "incident_energy",
        voxels: str = "voxel_energy",
        conditions: tuple[str, ...] = (),
        weight: str | None = None,
        threshold: float = 0.0,
        unit: str = "MeV",
        official: bool = False,
        network: NetworkOptions | None = None,
        trees: TreeOptions | None = None,
    ) -> None:
        self.binning = binning
        self.voxels = voxels
        self._energy = energy
        self.condition_names = (energy or "sum of the voxels", *conditions)
        self.weight = weight
        self.columns = (*((energy,) if energy else ()), *conditions, voxels, *((weight,) if weight else ()))
        self.threshold = threshold
        self.unit = unit
        self.official = official
        self.network = network or (CALOCHALLENGE if official else NetworkOptions())
        self.trees = trees or TreeOptions()
        self.spectrum = Observable("voxel_energy", "voxel energy", unit, log=True)

    @property
    def raw_bytes(self) -> int:
        """Memory of the voxels of a shower."""
        return 4 * self.binning.num_voxels

    @cached_property
    def observables(self) -> tuple[Observable, ...]:
        """Response, and per layer energy, sparsity, centres and widths."""
        official = self.official
        layers = self.binning.layers
        angular = [layers[index] for index in angular_layers(self.binning)]
        edges = tuple(np.linspace(0.5, 1.5, 101)) if official else None
        length = self.binning.length_unit
        found = [Observable("response", "E_tot / E_inc", edges=edges)]
        if self._energy is None:
            found = [Observable("total_energy", "sum of the voxels", self.unit, log=True)]
        found += [Observable(f"energy.{x.id}", f"energy in layer {x.id}", self.unit, log=True) for x in layers]
        found += [Observable(f"sparsity.{x.id}", f"sparsity of layer {x.id}") for x in layers]
        found += [Observable(f"center_r.{x.id}", f"centre in r, layer {x.id}", length) for x in layers]
        found += [Observable(f"width_r.{x.id}", f"width in r, layer {x.id}", length) for x in layers]
        for quantity, word in (("center", "centre"), ("width", "width")):
            for axis in ("eta", "phi"):
                found += [
                    Observable(
                        f"{quantity}_{axis}.{x.id}",
                        f"{word} in {axis}, layer {x.id}",
                        length,
                        edges=_official_edges(quantity, x.reach) if official else None,
                    )
                    for x in angular
                ]
        return tuple(found)

    def for_file(self, schema: Schema) -> ShowerDomain:
        """The same: columns go by their names."""
        del schema
        return self

    def read(self, batch: ak.Array) -> Events:
        """Voxels, thresholded, and conditions of a batch.

        Raises:
            InputFileError: if the number of voxels is not that of the binning.
        """
        values = np.asarray(ak.to_numpy(batch[self.voxels]))
        values = values.reshape(len(values), -1) if values.ndim > 2 else values
        if values.ndim != 2 or values.shape[1] != self.binning.num_voxels:
            raise InputFileError(
                f"showers have {values.shape[1:]} voxels, the binning has {self.binning.num_voxels}",
                where=f"column '{self.voxels}'",
                hint="give the binning file that belongs to the showers with --recipe or --model",
            )
        finite = np.asarray(np.isfinite(values).all(axis=1))
        with np.errstate(invalid="ignore"):
            weights, wrong = weights_of(batch, self.weight)
            negative = np.asarray((values < 0).any(axis=1))
            raw = apply_threshold(values, self.threshold).astype(np.float32)
        total = raw.sum(axis=1, dtype=np.float64)
        incident = (
            [np.where(total > 0, total, 1.0)] if self._energy is None else []
        )  # of an empty image, for logarithms
        names = self.condition_names[len(incident) :]
        given = [ak.to_numpy(batch[name]).reshape(-1).astype(np.float64) for name in names]
        conditions = np.stack([*incident, *given], axis=1)
        valid = np.asarray(np.isfinite(conditions).all(axis=1) & (conditions[:, 0] > 0))
        return Events(
            raw=raw,
            conditions=conditions,
            weights=weights,
            usable=finite & valid & np.isfinite(weights),
            problems={
                "voxels that are not finite": ~finite,
                "negative voxels": negative,
                "conditions that are not finite, or no incident energy": ~valid,
                **wrong,
                EMPTY: finite & ~np.asarray((raw > 0).any(axis=1)),
            },
        )

    def observe(self, raw: Array, conditions: FloatArray) -> FloatArray:
        """Columns in the order of ``observables``."""
        features = shower_features(raw, conditions[:, 0], self.binning)
        return np.concatenate(
            [
                (features.response if self._energy is not None else features.total_energy)[:, None],
                features.layer_energy,
                features.sparsity,
                features.center_r,
                features.width_r,
                features.center_eta,
                features.center_phi,
                features.width_eta,
                features.width_phi,
            ],
            axis=1,
        )

    def distance_features(self, raw: Array, conditions: FloatArray) -> FloatArray:
        """The challenge's high-level features."""
        return high_level_features(shower_features(raw, conditions[:, 0], self.binning), self.binning.position_scale)

    def nearest_features(self, raw: Array, conditions: FloatArray) -> Array:
        """Low-level features, which see every voxel."""
        return self._low(raw, conditions)

    def axes(self, pool: Pool) -> tuple[list[Axis], Axis]:
        """Axes by the reference, and that of the voxel spectrum; those of the challenge where it is followed."""
        columns = pool.observables.T
        axes = [axis_for(x, column) for x, column in zip(self.observables, columns, strict=True)]
        spectrum = axis_for(self.spectrum, pool.raw[pool.raw > 0])
        if self.official:
            for index, (observable, column) in enumerate(zip(self.observables, columns, strict=True)):
                if observable.log and (column > 0).any():
                    axes[index] = self._official_axis(column[column > 0], 39)
            if (pool.raw > 0).any():
                spectrum = self._official_axis(pool.raw[pool.raw > 0], 49)
        return axes, spectrum

    def _official_axis(self, positive: Array, bins: int) -> Axis:
        """Logarithmic bins from the threshold to the largest value of the reference; entries outside are dropped."""
        low, high = self.threshold or float(positive.min()), float(positive.max())
        return Axis(np.geomspace(low, max(high, low * 1.001), bins + 1), flow=False, log=True)

    def tests(self, reference: Array, conditions: FloatArray) -> tuple[ClassifierTest, ...]:
        """Networks on voxels and on high-level features, and boosted trees on these; the control permutes the layer that holds most energy."""
        totals = [float(reference[:, part].sum(dtype=np.float64)) for part in self.binning.layer_slices]
        layer = int(np.argmax(totals))
        words = f"each voxel of layer {self.binning.layers[layer].id} permuted among events of equal condition"
        part = self.binning.layer_slices[layer]
        rest = self._classifier, words, part, self._posterior
        return (
            ClassifierTest("low", "every voxel", self._low, *rest),
            ClassifierTest("high", "high-level features", self._high, *rest),
            ClassifierTest("trees", "high-level features, boosted trees", self._high, self._trees, words, part),
        )

    def add_own(self, book: ScoreBook, compared: Compared) -> None:
        """Response and layer profile; no response where the sum of the voxels stands for the incident energy."""
        samples = book, compared.reference, compared.generated
        if self._energy is not None:
            add_response(*samples, energy_bins(compared.bins, compared.reference), compared.splits, compared.parts)
        add_profile(*samples, self.binning, compared.splits, compared.parts)

    def curves(self, reference: Pool, generated: Pool, bins: Sequence[ConditionBin]) -> tuple[Curve, ...]:
        """The layer profile, and mean and width of the response against incident energy."""
        of_response = () if self._energy is None else energy_bins(bins, reference)
        words = "incident energy" if self._energy == "incident_energy" else str(self._energy)
        return shower_curves(reference, generated, of_response, self.binning, f"{words} [{self.unit}]")

    def images(self, reference: Pool, generated: Pool) -> tuple[ShowerImage, ...]:
        """The average shower."""
        return shower_images(_weighted(reference), _weighted(generated), self.binning, self.unit)

    def _classifier(self) -> NetworkClassifier:
        return NetworkClassifier(self.network)

    def _trees(self) -> TreeClassifier:
        return TreeClassifier(self.trees)

    def _posterior(self) -> NetworkPosterior:
        return NetworkPosterior(DenseNetwork(self.network))

    def _low(self, raw: Array, conditions: FloatArray) -> Array:
        return np.concatenate([low_level_features(raw, conditions[:, 0]), self._further(conditions, raw)], axis=1)

    def _high(self, raw: Array, conditions: FloatArray) -> Array:
        """The challenge's features; our own protocol adds E_l / E_inc, the same knowledge without the logarithm.

        Energies of layers balance each other linearly: with the logarithms alone, the network sees a layer that was
        exchanged between events far less well than boosted trees do.
        """
        showers = shower_features(raw, conditions[:, 0], self.binning)
        features = high_level_features(showers, self.binning.position_scale)
        if not self.official:
            features = np.concatenate([features, showers.layer_energy / conditions[:, :1]], axis=1)
        return np.concatenate([features, self._further(conditions, features)], axis=1)

    @staticmethod
    def _further(conditions: FloatArray, like: Array) -> Array:
        return conditions[:, 1:].astype(like.dtype)


def _weighted(pool: Pool) -> Array:
    """Raw values times the weights of their events, so that their mean is the weighted one."""
    weights = pool.weights[: len(pool.raw)]
    if (weights == 1).all():
        return pool.raw
    return np.asarray(pool.raw * (weights / weights.mean())[:, None].astype(pool.raw.dtype))


def _official_edges(quantity: str, outer_radius: float) -> tuple[float, ...]:
    """100 bins over the ranges of the challenge, chosen by the outer radius of the layer in mm."""
    reach, width = (30, 30) if outer_radius <= 100 else (100, 100) if outer_radius <= 500 else (500, 400)
    low, high = (-reach, reach) if quantity == "center" else (0, width)
    return tuple(np.linspace(low, high, 101))
