"""Shower observables as the CaloChallenge defines them: pure functions of voxel arrays and a binning.

Arrays of voxels have shape (events, voxels), energies in MeV, positions in mm, unless the binning and the file say otherwise. The definitions are those of the
challenge's ``HighLevelFeatures`` (arXiv 2410.21611), written anew.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hepgen.errors import UsageError
from hepgen.physics.binning import POSITION_SCALE, Binning

FloatArray = NDArray[np.float64]


@dataclass(frozen=True)
class ShowerFeatures:
    """Observables of a sample of showers.

    Attributes:
        incident_energy: (events,), MeV.
        layer_energy: (events, layers), MeV.
        sparsity: (events, layers), the fraction of voxels without energy.
        center_r, width_r: (events, layers), mm.
        center_eta, center_phi, width_eta, width_phi: (events, angular layers), mm, of the layers with angular bins.
    """

    incident_energy: FloatArray
    layer_energy: FloatArray
    sparsity: FloatArray
    center_r: FloatArray
    width_r: FloatArray
    center_eta: FloatArray
    center_phi: FloatArray
    width_eta: FloatArray
    width_phi: FloatArray

    @property
    def total_energy(self) -> FloatArray:
        """(events,), MeV."""
        return np.asarray(self.layer_energy.sum(axis=1))

    @property
    def response(self) -> FloatArray:
        """E_tot / E_inc, (events,)."""
        return self.total_energy / self.incident_energy


def apply_threshold(voxels: ArrayLike, threshold: float) -> FloatArray:
    """Voxels below the threshold (MeV) become 0; so do negative ones.

    Example:
        >>> apply_threshold([[0.5, 2.0, -1.0]], 1.0).tolist()
        [[0.0, 2.0, 0.0]]
    """
    values = np.asarray(voxels)
    return np.where((values >= threshold) & (values > 0), values, 0)


def angular_layers(binning: Binning) -> tuple[int, ...]:
    """Indices (not ids) of the layers with more than one angular bin, and of those of pixels."""
    return tuple(index for index, layer in enumerate(binning.layers) if layer.resolves_directions)


def layer_energies(voxels: ArrayLike, binning: Binning) -> FloatArray:
    """Energy of each layer, (events, layers), summed in float64."""
    values = np.asarray(voxels)
    return np.stack([values[:, part].sum(axis=1, dtype=np.float64) for part in binning.layer_slices], axis=1)


def sparsities(voxels: ArrayLike, binning: Binning) -> FloatArray:
    """1 - mean(voxel > 0) of each layer, (events, layers)."""
    values = np.asarray(voxels)
    return np.stack([1.0 - (values[:, part] > 0).mean(axis=1) for part in binning.layer_slices], axis=1)


def center_and_width(voxels: ArrayLike, position: ArrayLike) -> tuple[FloatArray, FloatArray]:
    """Energy-weighted mean and standard deviation of a coordinate over the voxels of one layer, each (events,).

    EC = sum(x E) / (sum(E) + 1e-16), width = sqrt(max(sum(x^2 E) / (sum(E) + 1e-16) - EC^2, 0)); a layer without energy
    has both 0.

    Example:
        >>> center, width = center_and_width([[1.0, 0.0, 1.0]], [-2.0, 0.0, 2.0])
        >>> float(center[0]), float(width[0])
        (0.0, 2.0)
    """
    energy = np.asarray(voxels, dtype=np.float64)
    x = np.asarray(position, dtype=np.float64)
    total = energy.sum(axis=1) + 1e-16
    center = energy @ x / total
    return center, np.sqrt(np.clip(energy @ x**2 / total - center**2, 0.0, None))


def shower_features(voxels: ArrayLike, incident_energy: ArrayLike, binning: Binning) -> ShowerFeatures:
    """All observables of a sample of showers.

    Args:
        voxels: (events, voxels), MeV, already cut at the threshold.
        incident_energy: (events,) or (events, 1), MeV.
        binning: the readout.

    Raises:
        UsageError: if the number of voxels is not that of the binning.
    """
    values = np.asarray(voxels)
    if values.ndim != 2 or values.shape[1] != binning.num_voxels:
        raise UsageError(
            f"voxels of shape {values.shape} do not fit a binning of {binning.num_voxels} voxels",
            hint="give the binning file that belongs to the showers",
        )

    def moments(coordinate: FloatArray, layers: tuple[int, ...]) -> tuple[FloatArray, FloatArray]:
        parts = [binning.layer_slices[layer] for layer in layers]
        pairs = [center_and_width(values[:, part], coordinate[part]) for part in parts]
        empty = np.zeros((len(values), 0))
        centers, widths = zip(*pairs, strict=True) if pairs else ((), ())
        return (np.stack(centers, axis=1), np.stack(widths, axis=1)) if pairs else (empty, empty)

    angular = angular_layers(binning)
    center_r, width_r = moments(binning.r_mid, tuple(range(binning.num_layers)))
    center_eta, width_eta = moments(binning.eta, angular)
    center_phi, width_phi = moments(binning.phi, angular)
    return ShowerFeatures(
        incident_energy=np.asarray(incident_energy, dtype=np.float64).reshape(len(values)),
        layer_energy=layer_energies(values, binning),
        sparsity=sparsities(values, binning),
        center_r=center_r,
        width_r=width_r,
        center_eta=center_eta,
        center_phi=center_phi,
        width_eta=width_eta,
        width_phi=width_phi,
    )


def high_level_features(showers: ShowerFeatures, position_scale: float = POSITION_SCALE) -> FloatArray:
    """The input of the challenge's high-level classifier, (events, features).

    log10 E_inc, log10(E_l + 1e-8), EC_eta, EC_phi, width_eta, width_phi, log10(E_tot + 1e-8), sparsity, EC_r, width_r,
    lengths in units of 100 mm (``position_scale``): 30 columns for data set 1 photons, 46 for pions, 362 for data sets 2 and 3.
    """
    return np.concatenate(
        [
            np.log10(showers.incident_energy)[:, None],
            np.log10(showers.layer_energy + 1e-8),
            showers.center_eta / position_scale,
            showers.center_phi / position_scale,
            showers.width_eta / position_scale,
            showers.width_phi / position_scale,
            np.log10(showers.total_energy + 1e-8)[:, None],
            showers.sparsity,
            showers.center_r / position_scale,
            showers.width_r / position_scale,
        ],
        axis=1,
    )


def high_level_names(binning: Binning) -> tuple[str, ...]:
    """Names of the columns of ``high_level_features``, layers by their id."""
    every = [layer.id for layer in binning.layers]
    angular = [binning.layers[index].id for index in angular_layers(binning)]
    names = ["log10_incident_energy", *(f"log10_energy.{layer}" for layer in every)]
    for quantity in ("center_eta", "center_phi", "width_eta", "width_phi"):
        names += [f"{quantity}.{layer}" for layer in angular]
    names.append("log10_total_energy")
    for quantity in ("sparsity", "center_r", "width_r"):
        names += [f"{quantity}.{layer}" for layer in every]
    return tuple(names)


def low_level_features(voxels: ArrayLike, incident_energy: ArrayLike) -> NDArray[np.floating]:
    """The input of the challenge's low-level classifier, [log10 E_inc, voxels / E_inc], (events, 1 + voxels).

    The dtype of the voxels is kept (float32 stays float32).
    """
    values = np.asarray(voxels)
    energy = np.asarray(incident_energy, dtype=np.float64).reshape(-1, 1)
    return np.concatenate([np.log10(energy).astype(values.dtype), values / energy.astype(values.dtype)], axis=1)
