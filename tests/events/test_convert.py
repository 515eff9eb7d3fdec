"""Files of one layout in another, read back by hepgen, by h5py and by ROOT."""

from __future__ import annotations

import json
import math
from pathlib import Path
from types import ModuleType
from typing import Any

import awkward as ak
import h5py
import numpy as np
import pytest
import uproot
from hypothesis import given, settings
from hypothesis import strategies as st
from paths import DATA

from hepgen.errors import ConfigError, HepgenError, InputFileError, UsageError
from hepgen.events.convert import TARGETS, ConvertSummary, convert_file
from hepgen.events.hdf5 import flatten_par04, par04_cells
from hepgen.events.reader import open_events
from hepgen.events.records import read_run_records
from hepgen.events.schema import Column, Schema
from hepgen.events.showers import regular_grid, to_calochallenge
from hepgen.events.writer import create_writer
from hepgen.physics.binning import Binning, Layer

ELECTRONS = Binning.from_xml((DATA / "binning_electrons.xml").read_text())
PHOTONS = Binning.from_xml((DATA / "binning_photons.xml").read_text())
TOPS = "abs(jet_pdgid) == 6"


def convert(source: str | Path, path: Path, target: str, memory: int = 32 << 20, **options: Any) -> ConvertSummary:
    return convert_file(open_events(source, memory=memory), path, target, **options)


def read(path: str | Path) -> ak.Array:
    return ak.concatenate(list(open_events(path).batches()))


def datasets(path: Path) -> dict[str, np.ndarray]:
    with h5py.File(path) as file:
        return {name: data[:] for name, data in file.items() if isinstance(data, h5py.Dataset)}


def kinds(path: str | Path) -> dict[str, tuple[Any, ...]]:
    return {c.name: (c.dtype, c.shape, c.jagged, c.unit, c.counter) for c in open_events(path).schema}


def sums_of_root(root: ModuleType, path: Path, tree: str, target: str, names: list[str]) -> dict[str, float]:
    """The sum of each column as real ROOT reads it."""
    if target == "rntuple":
        frame = root.RDataFrame(tree, str(path))
        booked = {name: frame.Sum(name) for name in names}  # compiled together
        return {name: one.GetValue() for name, one in booked.items()}
    with root.TFile.Open(str(path)) as file:
        events = file.Get(tree)
        found = {}
        for name in names:
            events.SetEstimate(events.Draw(name, "", "goff") + 1)
            rows = events.Draw(name, "", "goff")
            found[name] = float(np.frombuffer(events.GetV1(), count=rows).sum())
        return found


def test_jets_become_the_file_that_was_made_without_hepgen(tmp_path: Path) -> None:
    done = convert(DATA / "jets.root", tmp_path / "jets.hdf5", "jetnet")
    made, expected = datasets(tmp_path / "jets.hdf5"), datasets(DATA / "jetnet.hdf5")
    assert list(made) == ["jet_features", "particle_features"]
    assert np.allclose(made["jet_features"], expected["jet_features"], rtol=1e-6)
    assert np.allclose(made["particle_features"], expected["particle_features"], atol=1e-6)
    assert done.dropped[0].startswith("jet_phi, jet_pdgid, part_energy, part_charge, part_pdgid: ")
    beyond = int(ak.sum(np.maximum(ak.num(read(DATA / "jets.root").part_pt) - 30, 0)))
    assert done.dropped[1:] == (f"{beyond} constituents beyond the 30 hardest of their jet",)


def test_a_mixture_of_classes_is_named_with_the_cut_that_parts_them(tmp_path: Path) -> None:
    (warning,) = convert(DATA / "jets.root", tmp_path / "both.h5", "jetnet").warnings
    assert "2 classes by 'jet_pdgid': top (180), gluon (180)" in warning
    assert f'--cut "{TOPS}"' in warning
    done = convert(DATA / "jets.root", tmp_path / "tops.h5", "jetnet", cut=TOPS, particles=150)
    assert (done.events, done.warnings) == (180, ())
    assert datasets(tmp_path / "tops.h5")["particle_features"].shape == (180, 150, 4)


@pytest.mark.parametrize("target", ["ttree", "rntuple"])
def test_root_reads_the_jets_of_jetnet(target: str, root: ModuleType, tmp_path: Path) -> None:
    done = convert(DATA / "jetnet.hdf5", tmp_path / "jets.root", target)
    assert done.notes[0] == "JetNet has no phi of the jets: jet_phi is 0"
    sums = sums_of_root(root, tmp_path / "jets.root", "jets", target, ["jet_pt", "part_pt", "part_energy"])
    raw = datasets(DATA / "jetnet.hdf5")
    of_jet, table = raw["jet_features"].astype("f8"), raw["particle_features"].astype("f8")
    pt = table[..., 2] * of_jet[:, :1]
    assert sums["jet_pt"] == pytest.approx(of_jet[:, 0].sum(), rel=1e-6)
    assert sums["part_pt"] == pytest.approx(pt.sum(), rel=1e-6)
    energy = pt * np.cosh(table[..., 0] + of_jet[:, 1:2])
    assert sums["part_energy"] == pytest.approx(energy.sum(), rel=1e-5)
    back = convert(tmp_path / "jets.root", tmp_path / "back.h5", "jetnet")
    assert (back.notes, back.warnings) == ((), ())  # the units stand in the file
    again = datasets(tmp_path / "back.h5")
    assert np.allclose(again["particle_features"], raw["particle_features"], atol=1e-6)
    assert np.allclose(again["jet_features"], raw["jet_features"], rtol=1e-6)


@pytest.mark.parametrize("target", ["ttree", "rntuple"])
def test_showers_go_to_root_and_back_bit_for_bit(target: str, root: ModuleType, tmp_path: Path) -> None:
    convert(DATA / "photons.hdf5", tmp_path / "showers.root", target)
    assert open_events(tmp_path / "showers.root").schema.names == ("event", "incident_energy", "voxel_energy")
    raw = datasets(DATA / "photons.hdf5")
    sums = sums_of_root(root, tmp_path / "showers.root", "showers", target, ["incident_energy", "voxel_energy"])
    assert sums["incident_energy"] == pytest.approx(raw["incident_energies"].sum(dtype="f8"), rel=1e-9)
    assert sums["voxel_energy"] == pytest.approx(raw["showers"].sum(dtype="f8"), rel=1e-6)
    done = convert(tmp_path / "showers.root", tmp_path / "back.hdf5", "calochallenge", binning=PHOTONS)
    made = datasets(tmp_path / "back.hdf5")
    assert {name: one.shape for name, one in made.items()} == {"incident_energies": (2000, 1), "showers": (2000, 368)}
    assert all(np.array_equal(made[name], raw[name]) for name in raw)
    assert done.dropped[0].startswith("event: ")
    assert done.notes == ()


@settings(max_examples=20, deadline=None)
@given(grid=st.tuples(*[st.integers(1, 5)] * 3), rows=st.integers(0, 3), seed=st.integers(0, 2**32))
def test_the_axes_of_par04_and_of_the_calochallenge_are_inverses(
    grid: tuple[int, int, int], rows: int, seed: int
) -> None:
    voxels = np.random.default_rng(seed).random((rows, math.prod(grid)))
    cells = par04_cells(voxels, grid)
    assert cells.shape == (rows, *grid[::-1])
    assert np.array_equal(flatten_par04(cells), voxels)
    if rows:
        z, phi, r = (size - 1 for size in grid)
        assert cells[0, r, 0, z] == voxels[0, z * grid[1] * grid[2] + r]
        assert cells[0, 0, phi, 0] == voxels[0, phi * grid[2]]


def test_electrons_go_to_par04_and_back_bit_for_bit(tmp_path: Path) -> None:
    convert(DATA / "electrons.hdf5", tmp_path / "par04.h5", "par04", binning=ELECTRONS)
    made, raw = datasets(tmp_path / "par04.h5"), datasets(DATA / "electrons.hdf5")
    assert {name: one.shape for name, one in made.items()} == {"incident_energy": (60,), "showers": (60, 9, 16, 45)}
    assert made["showers"][5, 3, 2, 7] == raw["showers"][5, (7 * 16 + 2) * 9 + 3]
    assert open_events(tmp_path / "par04.h5").schema.convention == "par04"
    convert(tmp_path / "par04.h5", tmp_path / "back.hdf5", "calochallenge")
    again = datasets(tmp_path / "back.hdf5")
    assert all(np.array_equal(again[name], raw[name]) for name in raw)


def test_par04_of_root_becomes_its_hdf5_without_a_binning(tmp_path: Path) -> None:
    convert(DATA / "par04.root", tmp_path / "made.h5", "par04")
    made, expected = datasets(tmp_path / "made.h5"), datasets(DATA / "par04.hdf5")
    assert np.allclose(made["showers"], expected["showers"])
    assert np.allclose(made["incident_energy"], expected["incident_energy"])
    assert made["SimTime"].shape == (60,)


def test_units_of_showers_become_mev(tmp_path: Path) -> None:
    schema = Schema((Column("incident_energy", "float64", unit="GeV"), Column("voxel_energy", "float32", (2, 3))))
    events = ak.Array({"incident_energy": np.array([1.5]), "voxel_energy": np.ones((1, 2, 3), "f4")})
    with create_writer(tmp_path / "gev.root", schema) as writer:
        writer.write(events)
    with pytest.raises(UsageError, match="'incident_energy' in GeV"):
        convert(tmp_path / "gev.root", tmp_path / "a.h5", "calochallenge", unit="keV")
    done = convert(tmp_path / "gev.root", tmp_path / "a.h5", "calochallenge", unit="GeV")
    made = datasets(tmp_path / "a.h5")
    assert made["incident_energies"].tolist() == [[1500.0]]
    assert made["showers"].tolist() == [[1000.0] * 6]
    assert done.notes == ()
    done = convert(tmp_path / "gev.root", tmp_path / "b.h5", "calochallenge")
    assert done.notes == ("the file has no unit of 'voxel_energy': it is taken as MeV",)


def test_other_numbers_stay_beside_showers_and_lists_do_not() -> None:
    shower = [Column("incident_energy", "float32", unit="MeV"), Column("voxel_energy", "float32", (6,), unit="MeV")]
    further = [Column("theta", "float32", unit="rad"), Column("nhit", "int32"), Column("event", "uint64")]
    hits = Column("hit_energy", "float32", jagged=True, counter="nhit")
    conversion = to_calochallenge(Schema((*shower, *further, hits)))
    assert conversion.schema.names == ("incident_energy", "voxel_energy", "theta")
    assert conversion.schema["theta"].unit == "rad"
    assert conversion.dropped == ("event", "hit_energy")


def test_grids_are_regular_or_none() -> None:
    assert regular_grid(ELECTRONS) == (45, 16, 9)
    assert regular_grid(PHOTONS) is None
    assert regular_grid(Binning((Layer(0, (0.0, 1.0), 2), Layer(1, (0.0, 2.0), 2)))) is None


@pytest.mark.parametrize("name", ["ttbar.root", "muons.root", "muons_rntuple.root", "hzz.root", "jets.root"])
def test_trees_and_ntuples_hold_the_same(name: str, root: ModuleType, tmp_path: Path) -> None:
    source = DATA / name
    convert(source, tmp_path / "nt.root", "rntuple")
    convert(tmp_path / "nt.root", tmp_path / "tree.root", "ttree")
    expected = read(source)
    tree = open_events(source).schema.tree
    lists = {name for name, kind in kinds(source).items() if kind[2]}
    counters = {kind[4] for kind in kinds(source).values()}
    for made in ("nt.root", "tree.root"):
        found = read(tmp_path / made)
        types = kinds(tmp_path / made)
        for column, kind in kinds(source).items():
            if column in types and column not in counters:  # ROOT wants int32 of these in a tree
                assert types[column][:3] == kind[:3], column
        for column in expected.fields:
            if column in found.fields:
                assert ak.array_equal(found[column], expected[column], equal_nan=True, dtype_exact=False), column
        assert root.RDataFrame(tree, str(tmp_path / made)).Count().GetValue() == len(expected)
        assert lists <= set(found.fields)


def test_units_and_counters_go_along(tmp_path: Path) -> None:
    columns = (Column("x", "int16", unit="mm"), Column("flag", "bool"), Column("grid", "float64", (2, 2), unit="MeV"))
    lists = (Column("hit_e", "float32", (), True, "GeV", "nhit"), Column("hit_id", "uint8", (), True, "", "nhit"))
    schema = Schema((*columns, *lists), tree="folder/events")
    grid = np.arange(8.0).reshape(2, 2, 2)
    hits = {"hit_e": [[1.0, 2.0], []], "hit_id": [[7, 8], []]}
    events = ak.Array({"x": [1, -2], "flag": [True, False], "grid": grid, **hits})
    with create_writer(tmp_path / "a.root", schema) as writer:
        writer.write(events)
        writer.add_run_record({"events": 2, "seed": "17"})
    convert(tmp_path / "a.root", tmp_path / "b.root", "rntuple")
    convert(tmp_path / "b.root", tmp_path / "c.root", "ttree")
    assert kinds(tmp_path / "c.root") == kinds(tmp_path / "a.root")
    assert open_events(tmp_path / "c.root").schema.tree == "folder/events"
    back, before = read(tmp_path / "c.root"), read(tmp_path / "a.root")
    assert all(ak.array_equal(back[name], before[name]) for name in before.fields)
    assert [one.seed for one in read_run_records(tmp_path / "c.root")] == ["17"]
    with uproot.open(tmp_path / "b.root") as file:
        assert json.loads(str(file["hepgen_metadata"]))["converted_from"] == [str(tmp_path / "a.root")]
    convert(tmp_path / "a.root", tmp_path / "cut.root", "ttree", cut="x > 0")
    assert read_run_records(tmp_path / "cut.root") == []  # they would count events that are not there


def test_values_that_are_not_finite_and_columns_that_are_not_read(tmp_path: Path) -> None:
    with create_writer(tmp_path / "a.root", Schema((Column("x", "float32"),)), keep_nonfinite=True) as writer:
        writer.write(ak.Array({"x": np.array([np.nan, np.inf, 1.0], "f4")}))
    convert(tmp_path / "a.root", tmp_path / "b.root", "rntuple")
    assert np.array_equal(np.asarray(read(tmp_path / "b.root").x), [np.nan, np.inf, 1.0], equal_nan=True)
    done = convert(DATA / "zmumu.root", tmp_path / "z.root", "rntuple")
    assert done.dropped == ()
    with uproot.open(tmp_path / "z.root") as new, uproot.open(DATA / "zmumu.root") as old:
        assert new["events"]["Type"].array().to_list() == old["events"]["Type"].array().to_list()


def test_small_batches_give_the_same_file(tmp_path: Path) -> None:
    names = {"jets.root": "jetnet", "jetnet.hdf5": "ttree", "photons.hdf5": "rntuple"}
    for name, target in names.items():
        suffix = "h5" if TARGETS[target] == "hdf5" else "root"
        seen: list[tuple[int, int]] = []
        watch = lambda done, total, seen=seen: seen.append((done, total))
        convert(DATA / name, tmp_path / f"small.{suffix}", target, memory=50_000, force=True, watch=watch)
        convert(DATA / name, tmp_path / f"large.{suffix}", target, force=True)
        small, large = read(tmp_path / f"small.{suffix}"), read(tmp_path / f"large.{suffix}")
        assert all(ak.array_equal(small[column], large[column]) for column in large.fields)
        assert len(seen) > 3
        assert seen[-1] == (len(large), len(large))


def test_the_entry_of_the_input_survives_a_cut(tmp_path: Path) -> None:
    convert(DATA / "photons.hdf5", tmp_path / "a.root", "ttree", cut="incident_energy > 10000")
    energies = datasets(DATA / "photons.hdf5")["incident_energies"][:, 0]
    assert read(tmp_path / "a.root").event.to_list() == np.flatnonzero(energies > 10000).tolist()


REFUSED: list[tuple[str, str, str, dict[str, Any], type[HepgenError], str]] = [
    ("photons.hdf5", "a.h5", "jetnet", {}, InputFileError, "JetNet cannot hold these events: it needs jets"),
    ("ttbar.root", "a.h5", "jetnet", {}, InputFileError, "it needs jets"),
    ("jets.root", "a.h5", "calochallenge", {}, InputFileError, "needs 'incident_energy' and an array 'voxel_energy'"),
    ("jetnet.hdf5", "a.h5", "par04", {}, InputFileError, "Par04 cannot hold these events"),
    ("electrons.hdf5", "a.h5", "par04", {}, InputFileError, "has 6480 voxels in a row"),
    ("photons.hdf5", "a.h5", "par04", {"binning": PHOTONS}, InputFileError, "the layers of the binning differ"),
    ("photons.hdf5", "a.h5", "par04", {"binning": ELECTRONS}, InputFileError, "45 x 16 x 9 cells .* the showers 368"),
    ("par04.hdf5", "a.h5", "par04", {"binning": ELECTRONS}, InputFileError, r"\(45, 16, 9\) cells .* \(9, 6, 5\)"),
    ("jets.root", "a.root", "jetnet", {}, UsageError, "a file of jetnet ends in .h5 or .hdf5"),
    ("jets.root", "a.h5", "ttree", {}, UsageError, "a file of ttree ends in .root"),
    ("jets.root", "a.root", "edm4hep", {}, UsageError, "no target 'edm4hep'"),
    ("jets.root", "a.root", "ttree", {"particles": 3}, UsageError, "--particles means nothing to ttree"),
    ("jets.root", "a.h5", "jetnet", {"binning": ELECTRONS}, UsageError, "--binning means nothing to jetnet"),
    ("jets.root", "a.h5", "jetnet", {"cut": "jet_pp > 3"}, ConfigError, "jet_pp"),
    ("muons.root", "a.h5", "jetnet", {}, InputFileError, "it needs jets"),
]


@pytest.mark.parametrize(("name", "path", "target", "options", "kind", "words"), REFUSED)
def test_what_cannot_be_is_refused_and_leaves_nothing(
    name: str, path: str, target: str, options: dict[str, Any], kind: type[HepgenError], words: str, tmp_path: Path
) -> None:
    with pytest.raises(kind, match=words):
        convert(DATA / name, tmp_path / path, target, **options)
    assert list(tmp_path.iterdir()) == []


def test_a_broken_jet_is_named_by_its_file_and_entry(tmp_path: Path) -> None:
    with h5py.File(DATA / "jetnet.hdf5") as whole, h5py.File(tmp_path / "bad.h5", "w") as file:
        for name in whole:
            file[name] = whole[name][:]
        file["particle_features"][200, 3, 2] = np.nan
    with pytest.raises(InputFileError, match="not finite") as error:
        convert(tmp_path / "bad.h5", tmp_path / "a.root", "ttree", memory=20_000)
    assert error.value.where == f"entry 200 of {tmp_path / 'bad.h5'}"
    assert [one.name for one in tmp_path.iterdir()] == ["bad.h5"]


def test_lists_that_are_shorter_than_their_counter_are_an_error_of_the_input(tmp_path: Path) -> None:
    with uproot.recreate(tmp_path / "bad.root") as file:
        events = file.mkrntuple("t", {"nhit": "int32", "hit_e": "var * float32"})
        events.extend(ak.Array({"nhit": np.array([2, 1], "i4"), "hit_e": ak.values_astype([[1.0], [2.0]], "f4")}))
    with pytest.raises(InputFileError, match="not as long as 'nhit' says"):
        convert(tmp_path / "bad.root", tmp_path / "a.root", "ttree")
    assert [one.name for one in tmp_path.iterdir()] == ["bad.root"]


def test_an_empty_file_stays_one(tmp_path: Path) -> None:
    schema = open_events(DATA / "jets.root").schema
    with create_writer(tmp_path / "none.root", schema):
        pass
    for target, path in (("jetnet", "a.h5"), ("rntuple", "b.root")):
        assert convert(tmp_path / "none.root", tmp_path / path, target).events == 0
        assert open_events(tmp_path / path).num_events == 0
