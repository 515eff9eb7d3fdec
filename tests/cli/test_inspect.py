from __future__ import annotations

import json
from pathlib import Path

import awkward as ak
import h5py
import numpy as np
import pytest
import uproot

from hepgen.events.reader import open_events
from hepgen.events.schema import schema_of
from hepgen.events.writer import create_writer


def test_a_shower_file_is_described(call, data: Path) -> None:
    done = call("inspect", data / "photons.hdf5", "--binning", data / "binning_photons.xml")
    assert done.returncode == 0
    assert "'showers': 2000 events, hdf5, convention calochallenge" in done.stdout
    assert "float32[368]" in done.stdout
    assert "368 voxels in 5 layers" in done.stdout


def test_json_has_trees_columns_and_binning(call, data: Path) -> None:
    done = call("inspect", data / "photons.hdf5", "--binning", data / "binning_photons.xml", "--json")
    found = json.loads(done.stdout)
    (tree,) = found["trees"]
    assert (tree["name"], tree["entries"], tree["convention"]) == ("showers", 2000, "calochallenge")
    energy, voxels = tree["columns"]
    assert (energy["name"], energy["low"], energy["high"], energy["unit"]) == ("incident_energy", 256.0, 16384.0, "MeV")
    assert (voxels["shape"], voxels["non_finite"]) == ([368], 0)
    assert found["binning"]["voxels"] == 368


def test_jagged_columns_say_their_lengths(call, data: Path) -> None:
    done = call("inspect", f"{data / 'muons.root'}:Events")
    assert "float32[0 to 13]" in done.stdout


def test_every_tree_of_a_file_is_described_where_none_is_named(call, tmp_path: Path) -> None:
    with uproot.recreate(tmp_path / "two.root") as file:
        for name, values in (("first", [1.0, 2.0]), ("deep/second", [3.0])):
            file.mktree(name, {"x": "f8"}).extend({"x": np.array(values)})
    done = call("inspect", "two.root", "--json")
    trees = json.loads(done.stdout)["trees"]
    assert [(tree["name"], tree["entries"], tree["columns"][0]["high"]) for tree in trees] == [
        ("first", 2, 2.0),
        ("deep/second", 1, 3.0),
    ]
    refused = call("inspect", "two.root", "--config")
    assert (refused.returncode, refused.stdout) == (3, "")
    assert "deep/second" in call("inspect", "two.root:deep/second", "--config").stdout


def test_values_that_are_not_finite_are_counted(call, tmp_path: Path, data: Path) -> None:
    with h5py.File(tmp_path / "bad.hdf5", "w") as file:
        showers = np.ones((3, 368), dtype=np.float32)
        showers[1, 5] = np.nan
        showers[2, :2] = np.inf
        file["showers"], file["incident_energies"] = showers, np.ones((3, 1), dtype=np.float32)
    done = call("inspect", "bad.hdf5", "--json")
    assert json.loads(done.stdout)["trees"][0]["columns"][1]["non_finite"] == 3


@pytest.mark.parametrize("name", ["ttbar.root", "muons.root", "photons.hdf5"])
def test_the_printed_recipe_trains_as_it_is(call, tmp_path: Path, data: Path, name: str) -> None:
    binning = ["--binning", data / "binning_photons.xml"] if name == "photons.hdf5" else []
    done = call("inspect", data / name, "--config", *binning)
    assert done.returncode == 0
    (tmp_path / "recipe.yaml").write_text(done.stdout)
    plan = call("train", "recipe.yaml", "--dry-run", "--budget", "30m", "--json")
    assert plan.returncode == 0
    found = json.loads(plan.stdout)
    assert found["seconds"] == pytest.approx(1800)
    assert sum(found["events"].values()) > 0
    assert all(stage["parameters"] > 0 for stage in found["stages"])
    assert not (tmp_path / "run").exists()


def test_showers_without_a_binning_get_no_recipe(call, data: Path) -> None:
    done = call("inspect", data / "photons.hdf5", "--config")
    assert (done.returncode, done.stdout) == (2, "")
    assert "--binning" in done.stderr


def damage(folder: Path, data: Path) -> dict[str, tuple[str, int, str]]:
    """Inputs that cannot be read: what is asked for, the exit code, and a word of the message."""
    root = (data / "ttbar.root").read_bytes()
    (folder / "half.root").write_bytes(root[: len(root) // 2])
    (folder / "half.hdf5").write_bytes((data / "photons.hdf5").read_bytes()[:5000])
    (folder / "empty.root").write_bytes(b"")
    (folder / "words.root").write_text("not a ROOT file")
    return {
        "missing": ("missing.root", 3, "no such file"),
        "half": ("half.root", 3, "truncated"),
        "half5": ("half.hdf5", 3, "half.hdf5"),
        "empty": ("empty.root", 3, "empty"),
        "words": ("words.root", 3, "words.root"),
        "tree": (f"{data / 'ttbar.root'}:evnts", 3, "did you mean 'events'?"),
        "glob": ("*.nothing", 3, "no file matches"),
    }


@pytest.mark.parametrize("case", ["missing", "half", "half5", "empty", "words", "tree", "glob"])
def test_what_cannot_be_read_is_three_lines(call, tmp_path: Path, data: Path, case: str) -> None:
    name, code, word = damage(tmp_path, data)[case]
    done = call("inspect", name)
    assert (done.returncode, done.stdout) == (code, "")
    assert len(done.stderr.splitlines()) == 3
    assert word in done.stderr


def test_a_binning_of_another_detector_is_refused(call, data: Path) -> None:
    done = call("inspect", data / "photons.hdf5", "--binning", data / "binning_electrons.xml")
    assert done.returncode == 3
    assert "368 voxels, the binning has 6480" in done.stderr


def test_what_is_wrong_with_jets_is_said(call, data: Path, tmp_path: Path) -> None:
    assert "warning" not in call("inspect", data / "jets.root").stderr
    events = ak.concatenate(list(open_events(data / "jets.root").batches()))
    events["jet_n"] = np.where(np.arange(len(events)) == 40, -1, ak.to_numpy(ak.num(events.part_pt)))
    events["part_pt"] = ak.where(np.arange(len(events)) == 7, -events.part_pt, events.part_pt)
    with create_writer(tmp_path / "w.root", schema_of(events, tree="jets")) as writer:
        writer.write(events)
    done = call("inspect", "w.root")
    assert done.returncode == 0
    assert "1 of the first 360 jets: 'jet_n' below 0 (the first: entry 40 of w.root)" in done.stderr
    assert "1 of the first 360 jets: constituents of negative pt (the first: entry 7 of w.root)" in done.stderr
    events["jet_mass"] = 1000 * events.jet_mass
    with create_writer(tmp_path / "u.root", schema_of(events, tree="jets")) as writer:
        writer.write(events)
    assert "a factor of 1000 looks like MeV and GeV" in call("inspect", "u.root").stderr
