"""``hepgen convert`` from the command line."""

from __future__ import annotations

import json
import resource
from pathlib import Path

import awkward as ak
import h5py
import numpy as np
import pytest
import uproot

from hepgen.events.reader import open_events
from hepgen.events.schema import schema_of
from hepgen.events.writer import create_writer
from hepgen.training.signals import StopFlag


def test_jets_are_converted_and_what_is_lost_is_named(call, data: Path, tmp_path: Path) -> None:
    cut = "abs(jet_pdgid) == 6"
    done = call(
        "convert", data / "jets.root", "tops.h5", "--to", "jetnet", "--particles", "1e2", "--cut", cut, "--json"
    )
    assert done.returncode == 0
    summary = json.loads(done.stdout)
    assert (summary["events"], summary["target"], summary["warnings"]) == (180, "jetnet", [])
    assert "dropped: jet_phi, jet_pdgid, part_energy" in done.stderr
    assert "note: the file has no unit of 'jet_pt': it is taken as GeV" in done.stderr
    with h5py.File(tmp_path / "tops.h5") as file:
        assert file["particle_features"].shape == (180, 100, 4)
    mixed = call("convert", data / "jets.root", "both.h5", "--to", "jetnet", "-q")
    assert "warning: the file mixes jets of 2 classes" in mixed.stderr


def test_a_file_that_exists_is_refused_without_force(call, data: Path, tmp_path: Path) -> None:
    (tmp_path / "a.root").write_text("mine")
    done = call("convert", data / "jetnet.hdf5", "a.root", "--to", "ttree")
    assert (done.returncode, done.stdout) == (2, "")
    assert "the file exists already" in done.stderr
    assert (tmp_path / "a.root").read_text() == "mine"
    assert call("convert", data / "jetnet.hdf5", "a.root", "--to", "ttree", "--force").returncode == 0
    assert open_events(tmp_path / "a.root").num_events == 360


def test_a_binning_gives_the_grid(call, data: Path, tmp_path: Path) -> None:
    arguments = ("convert", data / "electrons.hdf5", "a.h5", "--to", "par04")
    refused = call(*arguments)
    assert refused.returncode == 3
    assert "give the binning with --binning" in refused.stderr
    wrong = call(*arguments, "--binning", data / "binning_photons.xml")
    assert (wrong.returncode, "the binning has 368" in wrong.stderr) == (3, True)
    assert call(*arguments, "--binning", data / "binning_electrons.xml").returncode == 0
    with h5py.File(tmp_path / "a.h5") as file:
        assert file["showers"].shape == (60, 9, 16, 45)


def test_a_binning_gives_the_grid_of_cells_of_par04(call, data: Path, tmp_path: Path) -> None:
    """Cells that no shower of a file hits are there, too."""
    layers = "\n".join("  - {r_edges: [0, 1, 2, 3, 4, 5], num_alpha: 6}" for _ in range(12))
    (tmp_path / "binning.yaml").write_text(f"layers:\n{layers}\n")
    done = call("convert", data / "par04.root", "a.hdf5", "--to", "calochallenge", "--binning", "binning.yaml")
    assert done.returncode == 0
    with h5py.File(tmp_path / "a.hdf5") as file, h5py.File(data / "par04.hdf5") as cells:
        assert file["showers"].shape == (60, 360)
        assert np.allclose(file["showers"][:].sum(axis=1), cells["showers"][:].sum(axis=(1, 2, 3)), rtol=1e-5)


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (("photons.hdf5", "a.h5", "--to", "jetnet"), 3, "needs jets"),
        (("none.root", "a.root", "--to", "ttree"), 3, "no such file"),
        (("jets.root", "a.root", "--to", "jetnet"), 2, "ends in .h5 or .hdf5"),
        (("jets.root", "a.root", "--to", "ttrees"), 2, "--to"),
        (("jets.root", "a.root"), 2, "--to"),
        (("jets.root", "no/a.root", "--to", "ttree"), 2, "the folder does not exist"),
        (("jets.root", "a.h5", "--to", "jetnet", "--cut", "jet_pt >"), 2, "jet_pt >"),
    ],
)
def test_what_cannot_be_is_said_in_three_lines(
    call, data: Path, tmp_path: Path, arguments: tuple[str, ...], code: int, words: str
) -> None:
    done = call("convert", data / arguments[0], *arguments[1:])
    assert (done.returncode, done.stdout) == (code, "")
    assert len(done.stderr.splitlines()) == 3
    assert words in done.stderr
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("name", "target"), [("a.h5", "jetnet"), ("a.root", "ttree"), ("a.root", "rntuple")])
@pytest.mark.parametrize(("error", "code"), [(KeyboardInterrupt, 130), (SystemExit(143), 143)])
def test_a_signal_leaves_nothing(
    call, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, target: str, error: object, code: int
) -> None:
    looked = []

    def leave(flag: StopFlag) -> None:
        looked.append([one.name for one in tmp_path.iterdir()])
        raise error  # type: ignore[misc]

    monkeypatch.setattr(StopFlag, "leave", leave)
    done = call("convert", data / "jets.root", name, "--to", target, "--cut", "jet_pt < 0")
    assert done.returncode == code
    assert looked[0][0].startswith(f"{name}.part-")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("name", "target"), [("a.h5", "jetnet"), ("a.root", "ttree")])
def test_a_full_disk_leaves_nothing_and_exits_75(call, data: Path, tmp_path: Path, name: str, target: str) -> None:
    _, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, hard))
    try:
        done = call("convert", data / "jets.root", name, "--to", target)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
    assert (done.returncode, done.stdout) == (75, "")
    assert list(tmp_path.iterdir()) == []


def test_jets_of_nanoaod_become_jetnet_with_their_candidates(call, data: Path, tmp_path: Path) -> None:
    refused = call("convert", data / "pfnano.root", "fat.h5", "--to", "jetnet")
    assert refused.returncode == 3
    assert "--objects FatJet makes one row of each jet" in refused.stderr
    done = call("convert", data / "pfnano.root", "fat.h5", "--to", "jetnet", "--objects", "FatJet", "--json")
    assert done.returncode == 0, done.stderr
    with h5py.File(tmp_path / "fat.h5") as file, uproot.open(data / "pfnano.root") as nano:
        jets, parts = file["jet_features"][:], file["particle_features"][:]
        pt = ak.to_numpy(ak.flatten(nano["Events"]["FatJet_pt"].array()))
    assert len(jets) == len(pt) == json.loads(done.stdout)["events"]
    assert 0.5 < np.median(parts[..., 2].sum(1)) < 1.2  # shares of the jet


def test_a_mass_in_other_units_than_the_rest_of_a_jet_is_refused(call, data: Path, tmp_path: Path) -> None:
    events = ak.concatenate(list(open_events(data / "jets.root").batches()))
    events["jet_mass"] = 1000 * events.jet_mass
    with create_writer(tmp_path / "w.root", schema_of(events, tree="jets")) as writer:
        writer.write(events)
    for arguments in (
        ("convert", "w.root", "w.h5", "--to", "jetnet"),
        ("convert", "w.root", "i.root", "--to", "images"),
    ):
        done = call(*arguments)
        assert done.returncode == 3
        assert "'jet_mass'" in done.stderr
        assert "MeV and GeV" in done.stderr
