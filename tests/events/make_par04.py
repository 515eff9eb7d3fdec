"""Make ``tests/data/par04.root`` with real ROOT and ``par04.hdf5`` of the same showers: ``python tests/events/make_par04.py``.

The ntuples are those of Geant4's example Par04 (Par04RunAction.cc): one row per shower in ``global`` and in
``virtualReadout``, the hit cells as vectors, energies in MeV. The HDF5 file is what its ``root2h5.py`` makes of them.
"""

from __future__ import annotations

from array import array
from pathlib import Path

import h5py
import numpy as np
import ROOT

DATA = Path(__file__).parents[1] / "data"
SHOWERS, GRID = 60, (9, 6, 5)  # (z, phi, rho)


def make_showers(seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Incident energies (n,) and cell energies (n, rho, phi, z) in MeV, float64."""
    rng = np.random.default_rng(seed)
    energies = rng.choice([1000.0, 4000.0, 16000.0], size=SHOWERS)
    z, _, rho = (np.arange(size) for size in GRID)
    depth = np.exp(-(((z[None] - rng.normal(3.5, 0.8, (SHOWERS, 1))) / 1.8) ** 2))
    shape = depth[:, None, None, :] * np.exp(-rho)[None, :, None, None] * np.ones((1, 1, GRID[1], 1))
    noisy = shape * rng.gamma(1.0, 1.0, shape.shape)
    cells = noisy / noisy.sum(axis=(1, 2, 3), keepdims=True) * 0.8 * energies[:, None, None, None]
    cells[cells < 1.0] = 0.0
    cells[7] = 0.0  # a shower that leaves nothing
    return energies, cells


def write_root(path: Path, energies: np.ndarray, cells: np.ndarray) -> None:
    with ROOT.TFile.Open(str(path), "RECREATE") as file:
        showers, readout = ROOT.TTree("global", "Event data"), ROOT.TTree("virtualReadout", "Cell data")
        energy, time = array("d", [0.0]), array("d", [0.0])
        showers.Branch("EnergyMC", energy, "EnergyMC/D")
        showers.Branch("SimTime", time, "SimTime/D")
        lists = {"EnergyCell": ROOT.std.vector("double")()}
        lists |= {name: ROOT.std.vector("int")() for name in ("rhoCell", "phiCell", "zCell")}
        for name, values in lists.items():
            readout.Branch(name, values)
        for incident, shower in zip(energies, cells, strict=True):
            energy[0], time[0] = incident, incident * 1e-5
            for values in lists.values():
                values.clear()
            for rho, phi, z in np.argwhere(shower):
                indices = {"rhoCell": rho, "phiCell": phi, "zCell": z}
                lists["EnergyCell"].push_back(float(shower[rho, phi, z]))
                for name, index in indices.items():
                    lists[name].push_back(int(index))
            showers.Fill()
            readout.Fill()
        file.WriteObject(showers, "global")
        file.WriteObject(readout, "virtualReadout")


def main() -> None:
    energies, cells = make_showers(4)
    write_root(DATA / "par04.root", energies, cells)
    with h5py.File(DATA / "par04.hdf5", "w") as file:
        file.create_dataset("incident_energy", data=energies)
        file.create_dataset("showers", data=cells.astype(np.float32), compression="gzip")


if __name__ == "__main__":
    main()
