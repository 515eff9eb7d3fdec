"""The picture of the README: one simulated and one generated shower of the same energy, layer by layer.

hepgen sample models/photons -n 200 -o generated.hdf5 --set-condition incident_energy=16384 --seed 1
python docs/make_shower.py examples/data/photons_test.hdf5 generated.hdf5 docs/img/shower.png
"""

from __future__ import annotations

import sys
from pathlib import Path

import awkward as ak
import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure

from hepgen.events.reader import open_events
from hepgen.representations.geometry import read_binning

BINNING = Path(__file__).parents[1] / "examples" / "data" / "binning_photons.xml"
ENERGY = 16384.0
RADII = {0: 100.0, 1: 70.0, 2: 80.0, 3: 600.0, 12: 1000.0}  # mm: where the layers have their energy


def typical_shower(path: str, layers: tuple[slice, ...]) -> np.ndarray:
    """The shower of this energy whose layers are nearest to their means: neither file is searched for a pretty one."""
    batches = list(open_events(path).batches(["incident_energy", "voxel_energy"]))
    events = ak.concatenate(batches)
    voxels = ak.to_numpy(events["voxel_energy"][events["incident_energy"] == ENERGY])
    energies = np.stack([voxels[:, part].sum(1) for part in layers], axis=1)
    return voxels[(((energies - energies.mean(0)) / energies.std(0)) ** 2).sum(1).argmin()]


def main() -> None:
    simulated, generated, target = sys.argv[1:4]
    binning = read_binning(BINNING, "photon")
    figure = Figure(figsize=(11, 5.2), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots(2, binning.num_layers, subplot_kw={"projection": "polar"})
    norm = LogNorm(0.1, 3000)
    for row, (name, path) in enumerate((("simulated", simulated), ("generated", generated))):
        shower = typical_shower(path, binning.layer_slices)
        for place, (layer, part) in enumerate(zip(binning.layers, binning.layer_slices, strict=True)):
            axis = axes[row][place]
            grid = shower[part].reshape(layer.num_alpha, layer.num_r).T
            angles = np.linspace(-np.pi, np.pi, max(layer.num_alpha, 60) + 1)
            grid = np.repeat(grid, (len(angles) - 1) // layer.num_alpha, axis=1)
            image = axis.pcolormesh(angles, layer.r_edges, np.where(grid > 0, grid, np.nan), norm=norm, cmap="magma_r")
            axis.set(ylim=(0, RADII[layer.id]), xticks=[], yticks=[])
            axis.set_title(f"layer {layer.id}: {shower[part].sum():.0f} MeV", fontsize=9)
        axes[row][0].set_ylabel(name, fontsize=12, labelpad=24)
    figure.colorbar(image, ax=axes, label="energy per voxel [MeV]", shrink=0.8)
    figure.savefig(target, dpi=110)


if __name__ == "__main__":
    main()
