"""Cut the small extracts of this folder out of the full files: ``python tests/data/make_extracts.py DATA_FOLDER``.

``DATA_FOLDER`` holds ``calo``, ``events``, ``jets`` and ``real`` as described in ``tests/data/README.md``.
"""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path

import awkward as ak
import h5py
import numpy as np
import ROOT
import uproot

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


def extract_jets(sources: list[Path], target: Path, rows: int) -> None:
    """The first jets of each of several files in one tree."""
    files = [ROOT.TFile.Open(str(source)) for source in sources]
    # opened last, so that the tree is made in this file
    with ROOT.TFile.Open(str(target), "RECREATE", "", 209) as small:
        first, *others = (file.Get("jets") for file in files)
        copied = first.CloneTree(rows)
        copied.SetDirectory(small)
        for other in others:
            copied.CopyEntries(other, rows, "", True)
        small.Write()
    for file in files:
        file.Close()


def extract_types(sources: list[Path], target: Path, rows: int, hardest: int) -> None:
    """The hardest constituents of the first jets of each of several files, and the type of each jet."""
    jets = [uproot.open(source)["jets"].arrays(entry_stop=rows) for source in sources]
    together = ak.concatenate(jets)
    part = ak.zip({name: together[f"part_{name}"][:, :hardest] for name in ("pt", "eta", "phi")})
    with uproot.recreate(target, compression=uproot.LZMA(9)) as small:
        types = {"part": part.type.content, "jet_pdgid": np.dtype("i4")}
        small.mktree("jets", types, field_name=lambda outer, inner: f"{outer}_{inner}" if inner else outer)
        small["jets"].extend({"part": part, "jet_pdgid": together.jet_pdgid})


def in_the_layout_of_jetnet(source: Path, target: Path, particles: int) -> None:
    """Jets as JetNet stores them (arXiv:2106.11535): etarel, phirel, ptrel, mask of the hardest particles, padded."""
    jets = uproot.open(source)["jets"].arrays()

    def padded(values: ak.Array) -> np.ndarray:
        return ak.to_numpy(ak.fill_none(ak.pad_none(values, particles, clip=True), 0.0)).astype("f4")

    around = (jets.part_phi - jets.jet_phi + np.pi) % (2 * np.pi) - np.pi
    columns = [jets.part_eta - jets.jet_eta, around, jets.part_pt / jets.jet_pt, ak.ones_like(jets.part_pt)]
    counts = np.minimum(ak.to_numpy(ak.num(jets.part_pt)), particles)
    with h5py.File(target, "w") as small:
        options = {"compression": "gzip", "compression_opts": 9, "shuffle": True}
        small.create_dataset("particle_features", data=np.stack([padded(one) for one in columns], axis=-1), **options)
        of_jets = [ak.to_numpy(one) for one in (jets.jet_pt, jets.jet_eta, jets.jet_mass)]
        features = np.stack([*of_jets, counts], axis=1).astype("f4")
        small.create_dataset("jet_features", data=features, **options)


def extract_candidates(source: Path, target: Path, rows: int) -> None:
    """Jets of NanoAOD with the index branches to their candidates."""
    momenta = ("pt", "eta", "phi", "mass")
    wanted = {"PFCands": (*momenta, "charge", "pdgId", "puppiWeight")}
    for jets in ("Jet", "FatJet"):
        wanted[jets] = (*momenta, "rawFactor")
        wanted[f"{jets}PFCands"] = ("pt", "btagSip3dVal", "jetIdx", "pFCandsIdx")
    full = uproot.open(source)["Events"]
    with uproot.recreate(target, compression=uproot.LZMA(9)) as small:
        columns = {
            name: full.arrays([f"{name}_{one}" for one in suffixes], entry_stop=rows)
            for name, suffixes in wanted.items()
        }
        lists = {
            name: ak.zip({one.removeprefix(f"{name}_"): values[one] for one in values.fields})
            for name, values in columns.items()
        }
        types = {name: values.type.content for name, values in lists.items()}
        small.mktree("Events", types, field_name=lambda outer, inner: f"{outer}_{inner}" if inner else outer)
        small["Events"].extend(lists)


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
    for name, rows in (("dijets_qcd", 3000), ("dijets_qcd_hard", 2000)):
        extract_tree(data / f"events/{name}.root", HERE / f"{name}.root", "events", rows)
    extract_tree(data / "real/open-data-example.root", HERE / "muons.root", "Events", 1000)
    extract_tree(data / "real/nanoAOD_2015_CMS_Open_Data_ttbar.root", HERE / "nanoaod.root", "Events", 10)
    extract_tree(data / "real/uproot-HZZ.root", HERE / "hzz.root", "events", 200)
    extract_tree(data / "real/uproot-Zmumu.root", HERE / "zmumu.root", "events", 200)
    kinds = [data / f"jets/{kind}_train.root" for kind in ("top", "gluon")]
    extract_jets(kinds, HERE / "jets.root", 180)
    extract_types(kinds, HERE / "jets_types.root", 500, 20)
    in_the_layout_of_jetnet(HERE / "jets.root", HERE / "jetnet.hdf5", 30)
    extract_golden_jets(data / "golden/jets_golden.json", HERE / "jets_golden.npz", 40)
    extract_candidates(data / "real/cms_pfnano.root", HERE / "pfnano.root", 6)
    ntuple = "Run2012BC_DoubleMuParked_Muons_1000evts_rntuple_v1-0-0-0.root"
    shutil.copyfile(data / "real" / ntuple, HERE / "muons_rntuple.root")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
