"""Cut the small extracts of this folder out of the full files: ``python tests/data/make_extracts.py DATA_FOLDER``.

``DATA_FOLDER`` holds ``calo``, ``events`` and ``real`` as described in ``tests/data/README.md``.
"""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path

import h5py
import numpy as np
import ROOT

HERE = Path(__file__).parent


def extract_showers(source: Path, target: Path, rows: int, *, balance: bool) -> None:
    """The first showers of a CaloChallenge file, the same number at each energy where ``balance`` is set."""
    with h5py.File(source, "r", locking=False) as full:
        energies = full["incident_energies"][:, 0]
        if balance:
            values = np.unique(energies)
            share = -(-rows // len(values))
            firsts = [np.flatnonzero(energies == value)[:share] for value in values]
            picked = np.stack(firsts, axis=1).reshape(-1)[:rows]
            picked = np.random.default_rng(1).permutation(picked)
        else:
            picked = np.arange(rows)
        ordered = np.sort(picked)
        showers = full["showers"][ordered][np.searchsorted(ordered, picked)]
        incident = full["incident_energies"][ordered][np.searchsorted(ordered, picked)]
    with h5py.File(target, "w") as small:
        chunk = min(rows, 500)
        options = {"compression": "gzip", "compression_opts": 9, "shuffle": True}
        small.create_dataset("incident_energies", data=incident, chunks=(chunk, 1), **options)
        small.create_dataset("showers", data=showers, chunks=(chunk, showers.shape[1]), **options)


def extract_tree(source: Path, target: Path, tree: str, rows: int) -> None:
    """The first entries of a tree, copied by ROOT itself so that every type and counter stays as it is."""
    with ROOT.TFile.Open(str(source)) as full, ROOT.TFile.Open(str(target), "RECREATE", "", 505) as small:
        copied = full.Get(tree).CloneTree(rows)
        copied.SetDirectory(small)
        small.Write()


def extract_golden_jets(source: Path, target: Path, rows: int) -> None:
    """Jets and what jetnet 0.2.5 and energyflow 1.4.0 make of them; the values of single jets for the first only."""
    with np.load(source.with_suffix(".npz")) as full:
        kept = {name: full[name] if name in "AB" else full[name][:rows] for name in full if name != "efp36_B"}
    facts = json.loads(source.read_text())
    np.savez_compressed(
        target, **{n: v.astype("f4") if n in "AB" else v for n, v in kept.items()}, facts=json.dumps(facts)
    )


def main(data: Path) -> None:
    extract_showers(data / "calo/photons_train.hdf5", HERE / "photons.hdf5", 2000, balance=True)
    extract_showers(data / "calo/electrons_train.hdf5", HERE / "electrons.hdf5", 60, balance=False)
    for name in ("binning_photons.xml", "binning_electrons.xml"):
        shutil.copyfile(data / "calo" / name, HERE / name)
    extract_tree(data / "events/ttbar_train.root", HERE / "ttbar.root", "events", 1500)
    extract_tree(data / "real/open-data-example.root", HERE / "muons.root", "Events", 1000)
    extract_tree(data / "real/nanoAOD_2015_CMS_Open_Data_ttbar.root", HERE / "nanoaod.root", "Events", 10)
    extract_tree(data / "real/uproot-HZZ.root", HERE / "hzz.root", "events", 200)
    extract_tree(data / "real/uproot-Zmumu.root", HERE / "zmumu.root", "events", 200)
    extract_golden_jets(data / "golden/jets_golden.json", HERE / "jets_golden.npz", 40)
    ntuple = "Run2012BC_DoubleMuParked_Muons_1000evts_rntuple_v1-0-0-0.root"
    shutil.copyfile(data / "real" / ntuple, HERE / "muons_rntuple.root")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
