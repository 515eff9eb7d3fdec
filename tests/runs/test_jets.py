"""Jets from a file to a surrogate and back to a file that ROOT reads."""

from __future__ import annotations

import re
import runpy
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import awkward as ak
import numpy as np
import pytest
import uproot
from tables import DATA

from hepgen.cli.plan import plan_of
from hepgen.config.recipe import Recipe
from hepgen.errors import ConfigError, InputFileError
from hepgen.events.reader import open_events
from hepgen.events.schema import schema_of
from hepgen.events.writer import create_writer
from hepgen.physics.jets import summed
from hepgen.runs.train import train_run
from hepgen.sampling.run import sample_events, sample_to_file
from hepgen.surrogate.surrogate import Surrogate

EXAMPLES = Path(__file__).parents[2] / "examples"
OPTIONS = {
    "matching": {"layers": 2, "hidden": 16, "heads": 2, "steps": 2},
    "mean_flow": {"layers": 2, "hidden": 16, "steps": 1},
    "gan": {"layers": 1, "critic_layers": 1, "width": 16},
    "coupling": {"layers": 2, "hidden": [16], "bins": 4},
}


def recipe(file: str, generator: str, **representation: Any) -> Recipe:
    return Recipe.model_validate(
        {
            "name": "jets",
            "data": {"files": [str(DATA / file)]},
            "representation": {"kind": "particle_cloud", **representation},
            "generator": generator,
            "options": OPTIONS,
            "stages": {"jet": {"generator": "coupling"}},
            "sampling": {"block_size": 100},
            "training": {"steps": 6, "batch_size": 32, "validate_every": 3},
        }
    )


@pytest.fixture(scope="module")
def jets(tmp_path_factory: pytest.TempPathFactory) -> Surrogate:
    folder = tmp_path_factory.mktemp("jets") / "run"
    wanted = recipe("jets.root", "matching", conditions=["jet_pdgid", "jet_pt"], augment=["reflection", "rotation"])
    return train_run(wanted, folder, seed=1)


def test_a_file_of_jets_comes_back_with_its_columns_and_its_sums(jets: Surrogate, tmp_path: Path) -> None:
    path = tmp_path / "jets.root"
    summary = sample_to_file(jets, path, 250, seed=2)
    assert summary.events == 250
    made, true = open_events(path), open_events(DATA / "jets.root")
    assert made.schema.tree == true.schema.tree == "jets"
    shape = [(one.name, one.dtype, one.jagged, one.counter) for one in true.schema]
    assert [(one.name, one.dtype, one.jagged, one.counter) for one in made.schema] == shape
    root = pytest.importorskip("ROOT")
    frame = root.RDataFrame("jets", str(path)).Define(
        "sum",
        "ROOT::Math::PtEtaPhiEVector total;"
        "for (size_t i = 0; i < part_pt.size(); i++)"
        " total += ROOT::Math::PtEtaPhiEVector(part_pt[i], part_eta[i], part_phi[i], part_energy[i]);"
        "return std::vector<double>{total.Pt() / jet_pt - 1, total.Eta() - jet_eta,"
        " ROOT::VecOps::DeltaPhi(float(total.Phi()), jet_phi), (total.M() - jet_mass) / jet_pt};",
    )
    apart = np.array([list(one) for one in frame.AsNumpy(["sum"])["sum"]])
    assert apart.shape == (250, 4)
    assert np.abs(apart).max() < 1e-4


@pytest.fixture(scope="module")
def written(jets: Surrogate, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("written") / "generated.root"
    sample_to_file(jets, path, 120, seed=6)
    return path


def test_plain_uproot_reads_generated_jets_as_those_of_the_training(written: Path) -> None:
    with uproot.open(written) as made, uproot.open(DATA / "jets.root") as true:
        assert made["jets"].typenames() == true["jets"].typenames()
        events = made["jets"].arrays()
    assert len(events) == 120
    counts = ak.num(events.part_pt)
    for name in events.fields:
        if name.startswith("part_"):
            assert ak.all(ak.num(events[name]) == counts), name
    pt, eta, phi, energy = (ak.values_astype(events[f"part_{name}"], float) for name in ("pt", "eta", "phi", "energy"))
    x, y, z = (ak.sum(one, axis=1) for one in (pt * np.cos(phi), pt * np.sin(phi), pt * np.sinh(eta)))
    mass = np.sqrt(np.maximum(ak.sum(energy, axis=1) ** 2 - x**2 - y**2 - z**2, 0.0))
    assert ak.max(abs(mass - events.jet_mass) / events.jet_pt) < 1e-4
    assert ak.max(abs(np.hypot(x, y) / events.jet_pt - 1)) < 1e-4


def test_the_root_macro_draws_generated_jets_unchanged(written: Path, tmp_path: Path) -> None:
    pytest.importorskip("ROOT")
    picture, macro = tmp_path / "picture.png", EXAMPLES / "root" / "jets.C"
    line = f'.x {macro}("{DATA / "jets.root"}", "{written}", "{picture}")'
    # a process of its own: cling compiles a macro of this size once in a process
    command = [sys.executable, "-c", "import ROOT, sys; sys.exit(int(ROOT.gROOT.ProcessLine(sys.argv[1])))", line]
    output = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert picture.read_bytes().startswith(b"\x89PNG")
    said = {line.split(":")[0]: line for line in output.splitlines() if "mean" in line}
    assert set(said) == {str(DATA / "jets.root"), str(written)}
    assert float(said[str(written)].rpartition("at most ")[2]) < 1e-4
    with uproot.open(written) as made:
        mean = float(np.mean(made["jets/jet_mass"].array()))
    assert float(said[str(written)].rpartition("mean ")[2].split(",")[0]) == pytest.approx(mean, abs=0.05)


@pytest.mark.filterwarnings("ignore")
def test_nanoevents_of_coffea_reads_generated_jets(
    written: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("coffea", reason="coffea is not installed")
    script = EXAMPLES / "jets" / "nanoevents.py"
    monkeypatch.setattr(sys, "argv", [str(script), str(DATA / "jets.root"), str(written)])
    runpy.run_path(str(script), run_name="__main__")
    _, _, row = (line.split() for line in capsys.readouterr().out.splitlines())
    assert row[1] == "120"
    assert float(row[4]) < 0.1  # GeV


def test_asking_for_a_type_and_a_pt_gives_them(jets: Surrogate) -> None:
    for pt in (600.0, 900.0):
        wanted = [f"jet_pt={pt}", "jet_pdgid=6"]
        events = ak.concatenate(list(sample_events(jets, 100, seed=3, set_conditions=wanted)))
        np.testing.assert_allclose(ak.to_numpy(events.jet_pt), pt, rtol=1e-5)
        assert (ak.to_numpy(events.jet_pdgid) == 6).all()
        counts = ak.to_numpy(ak.num(events.part_pt))
        flat = [ak.to_numpy(ak.flatten(events[f"part_{name}"])).astype(float) for name in ("pt", "eta", "phi")]
        np.testing.assert_allclose(summed(*flat, np.zeros(len(flat[0])), counts).pt, pt, rtol=1e-4)


def test_a_jet_does_not_depend_on_how_many_are_asked_for(jets: Surrogate) -> None:
    few, many = (ak.concatenate(list(sample_events(jets, number, seed=4))) for number in (130, 200))
    for name in few.fields:
        assert ak.all(few[name] == many[:130][name], axis=None), name


def test_a_bundle_gives_the_same_jets(jets: Surrogate, tmp_path: Path) -> None:
    jets.save(tmp_path / "model")
    again = Surrogate.load(tmp_path / "model")
    one, other = (ak.concatenate(list(sample_events(surrogate, 50, seed=5))) for surrogate in (jets, again))
    assert ak.all(one.part_pt == other.part_pt, axis=None)


def test_jets_of_jetnet_are_lists_in_root(tmp_path: Path) -> None:
    surrogate = train_run(recipe("jetnet.hdf5", "matching"), tmp_path / "run", seed=1)
    files = [tmp_path / "jets.root", tmp_path / "jets.hdf5"]
    for path in files:
        sample_to_file(surrogate, path, 120, seed=2)
    lists, arrays = (next(iter(open_events(path).batches())) for path in files)
    particles, features = ak.to_numpy(arrays.particle_features), ak.to_numpy(arrays.jet_features)
    assert (ak.to_numpy(ak.num(lists.part_pt)) == features[:, 3]).all()
    np.testing.assert_array_equal(ak.to_numpy(lists.jet_pt), features[:, 0])
    hardest = ak.to_numpy(lists.part_pt[:, 0]) / features[:, 0]
    np.testing.assert_allclose(hardest, particles[:, 0, 2], rtol=1e-5)
    assert len(np.unique(ak.to_numpy(lists.event))) == 120


@pytest.mark.parametrize("generator", ["coupling", "gan", "mean_flow"])
def test_every_family_makes_jetnet_files(generator: str, tmp_path: Path) -> None:
    surrogate = train_run(recipe("jetnet.hdf5", generator), tmp_path / "run", seed=1)
    path = tmp_path / "jets.hdf5"
    sample_to_file(surrogate, path, 120, seed=2)
    made = open_events(path)
    assert made.schema.convention == "jetnet"
    events = next(iter(made.batches()))
    particles, features = ak.to_numpy(events.particle_features), ak.to_numpy(events.jet_features)
    there = particles[..., 3] > 0
    assert (there.sum(axis=1) == features[:, 3]).all()
    assert (particles[~there] == 0).all()
    assert (particles[..., 2][there] > 0).all()
    assert (np.diff(particles[..., 2], axis=1) <= 0).all()


def test_clouds_have_no_objects() -> None:
    wanted = recipe("muons.root", "matching").model_dump(mode="json")
    wanted["data"] = {"files": [str(DATA / "ttbar.root")]}
    with pytest.raises(ConfigError, match="not those of jets"):
        train_run(Recipe.model_validate(wanted), "never", seed=1)


def test_jets_of_nanoaod_are_trained_on_with_their_candidates(tmp_path: Path) -> None:
    wanted = recipe("pfnano.root", "matching").model_dump(mode="json")
    names = [f"jet_{name}" for name in ("pt", "eta", "phi", "mass")] + ["part_pt", "part_eta", "part_phi", "part_pdgId"]
    wanted["data"] = {"files": [str(DATA / "pfnano.root")], "objects": "FatJet", "columns": names}
    wanted["split"] = {"validation": 0.0}
    surrogate = train_run(Recipe.model_validate(wanted), tmp_path / "run", seed=1)
    events = ak.concatenate(list(sample_events(surrogate, 20, seed=2)))
    assert events.fields == names
    assert ak.min(ak.num(events.part_pt)) >= 1
    known = {abs(int(code)) for code in ak.flatten(events.part_pdgId)}
    assert known <= {1, 2, 11, 13, 22, 130, 211}


def test_nanoaod_without_objects_says_which(tmp_path: Path) -> None:
    wanted = recipe("pfnano.root", "matching")
    with pytest.raises(ConfigError, match="not those of jets") as refused:
        train_run(wanted, tmp_path / "run", seed=1)
    assert "data.objects: FatJet" in refused.value.hint


def _numbered(events: ak.Array) -> ak.Array:
    return ak.with_field(events, ak.num(events.part_pt), "jet_n")


def _changed(name: str, rows: Any, change: Callable[[Any], Any]) -> Callable[[ak.Array], ak.Array]:
    """The same jets with other values of a column in some rows."""

    def apply(events: ak.Array) -> ak.Array:
        events = _numbered(events)
        chosen = np.isin(np.arange(len(events)), np.arange(len(events))[rows])
        return ak.with_field(events, ak.where(chosen, change(events[name]), events[name]), name)

    return apply


def _in_mev(events: ak.Array) -> ak.Array:
    """Every third jet with all that it has."""
    factor = ak.Array(np.where(np.arange(len(events)) % 3 == 0, 1000.0, 1.0).astype("f4"))
    for name in ("jet_pt", "jet_mass", "part_pt", "part_energy"):
        events = ak.with_field(events, ak.values_astype(events[name] * factor, "float32"), name)
    return events


EVERY_THIRD, ONE = slice(0, None, 3), slice(40, 41)
WRONG_JETS: list[tuple[str, Callable[[ak.Array], ak.Array], str]] = [
    (
        "negative multiplicity",
        _changed("jet_n", EVERY_THIRD, lambda n: -n),
        "a jet of negative multiplicity, by its 'jet_n'",
    ),
    (
        "another multiplicity",
        _changed("jet_n", ONE, lambda n: n + 1),
        r"'jet_n' counts the constituents of \d+ of \d+ jets",
    ),
    ("mixed units", _changed("jet_pt", EVERY_THIRD, lambda pt: 1000 * pt), r"and so in 3\d % of the jets"),
    ("jets in MeV", _in_mev, "the pt of jets, by 'jet_pt', is up to"),
    ("degrees", _changed("jet_phi", EVERY_THIRD, lambda phi: 57.3 * (3 + phi)), "no angle in rad"),
    ("negative mass", _changed("jet_mass", ONE, lambda mass: -mass), "a jet whose 'jet_mass' is negative"),
    ("negative pt", _changed("jet_pt", ONE, lambda pt: -pt), "a jet whose 'jet_pt' is negative"),
    ("a constituent that is none", _changed("part_pt", ONE, lambda pt: -pt), "a constituent of negative pt"),
]


@pytest.mark.parametrize(("label", "change", "message"), WRONG_JETS, ids=[one[0] for one in WRONG_JETS])
def test_wrong_jets_are_refused_with_their_file_and_entry(
    label: str, change: Callable[[ak.Array], ak.Array], message: str, tmp_path: Path
) -> None:
    del label
    source = open_events(DATA / "jets.root")
    events = change(ak.concatenate(list(source.batches())))
    path = tmp_path / "wrong.root"
    with create_writer(path, schema_of(events, tree="jets")) as writer:
        writer.write(events)
    wrong = recipe("jets.root", "matching").model_dump(mode="json")
    wrong["data"]["files"] = [str(path)]
    wrong["split"] = {"method": "fraction", "validation": 0.0}
    with pytest.raises(InputFileError, match=message) as refused:
        train_run(Recipe.model_validate(wrong), tmp_path / "run", seed=1)
    assert re.search(rf"entry \d+ of {path}", str(refused.value))
    assert not (tmp_path / "run").exists()
    with pytest.raises(InputFileError) as planned:
        plan_of(Recipe.model_validate(wrong), memory=1 << 30, budget=None)
    assert str(planned.value) == str(refused.value)
