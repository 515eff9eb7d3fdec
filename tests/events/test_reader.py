"""Reading: every kind of branch and file, bounded batches, and typed errors for everything that cannot be read."""

from __future__ import annotations

import contextlib
import errno
import os
import pickle
import shutil
from pathlib import Path
from typing import Any

import awkward as ak
import h5py
import numpy as np
import pytest
import uproot
from paths import DATA

from hepgen.errors import InputFileError
from hepgen.events.failures import reading
from hepgen.events.par04 import Par04File
from hepgen.events.reader import list_trees, open_events
from hepgen.events.schema import schema_of
from hepgen.events.source import EventSource, MemorySource, NumberedSource


def read(source: EventSource, columns: list[str] | None = None) -> ak.Array:
    return ak.concatenate(list(source.batches(columns)))


def test_every_kind_of_branch_is_read_or_skipped_with_a_reason(all_branches: str) -> None:
    source = open_events(all_branches)
    assert source.schema.tree == "folder/events"
    dtypes = {column.name: column.dtype for column in source.schema}
    assert [dtypes[f"x{leaf}"] for leaf in "BbSsIiLlFD"] == [
        *("int8", "uint8", "int16", "uint16", "int32", "uint32", "int64", "uint64", "float32", "float64")
    ]
    assert dtypes["flag"] == "bool"
    assert source.schema["grid"].shape == (2, 3)
    assert source.schema["listed"].counter == "number"
    assert source.schema["vector_unsigned_long"].dtype == "uint64"
    assert source.schema["vector_float"].stored_as == "std::vector<float>"
    assert set(source.skipped) == {"momentum", "table"}
    assert {one.name: (one.type, one.counter) for one in source.copied} == {
        "pairs": ("var * var * float32", "number"),
        "nested": ("var * var * float32", None),
        "text": ("string", None),
        "words": ("var * string", None),
    }
    assert not set(source.skipped).intersection(source.schema.names)
    assert read(source, ["words", "xI"])["words"][7].to_list() == ["word", "word"]
    events = read(source)
    assert events["two.b"].to_list() == [-entry for entry in range(50)]
    assert events["grid"][3].to_list() == [[3, 4, 5], [6, 7, 8]]
    assert events["vector_short"][4].to_list() == [4, 5, 6, 7]
    assert events["listed"][7].to_list() == [7, 8, 9]


@pytest.mark.parametrize(
    ("name", "tree", "convention", "columns", "events"),
    [
        ("nanoaod.root", "Events", "nanoaod", 947, 10),
        ("hzz.root", "events", "", 51, 200),
        ("zmumu.root", "events", "", 19, 200),
        ("muons.root", "Events", "", 6, 1000),
        ("muons_rntuple.root", "Events", "", 6, 1000),
        ("ttbar.root", "events", "", 30, 1500),
        ("photons.hdf5", "showers", "calochallenge", 2, 2000),
        ("par04.root", "showers", "par04", 3, 60),
        ("par04.hdf5", "showers", "par04", 2, 60),
    ],
)
def test_real_files_are_read_whole(name: str, tree: str, convention: str, columns: int, events: int) -> None:
    source = open_events(DATA / name)
    assert isinstance(source, NumberedSource)
    assert (source.schema.tree, source.schema.convention) == (tree, convention)
    assert (len(source.schema.columns), source.num_events) == (columns, events)
    batches = list(source.batches())
    assert sum(len(batch) for batch in batches) == events
    assert all(batch.fields == list(source.schema.names) for batch in batches)
    for column in source.schema:
        found = schema_of(batches[0][[column.name]])[column.name]
        assert (found.dtype, found.shape, found.jagged) == (column.dtype, column.shape, column.jagged)


def test_values_are_those_of_bare_uproot() -> None:
    with uproot.open(DATA / "hzz.root") as file:
        expected = file["events"].arrays()
    events = read(open_events(DATA / "hzz.root", memory=20_000))
    assert all(ak.array_equal(events[name], expected[name]) for name in expected.fields)


def test_text_is_read_where_it_is_named_only() -> None:
    source = open_events(DATA / "zmumu.root")
    assert [(one.name, one.type, one.stored_as) for one in source.copied] == [("Type", "string", "char*")]
    assert "Type" not in source.schema
    assert "Type" not in next(source.batches()).fields
    with uproot.open(DATA / "zmumu.root") as file:
        expected = file["events"]["Type"].array()
    assert read(source, ["Type"])["Type"].to_list() == expected.to_list()


def test_text_that_not_all_files_have_cannot_be_copied(tmp_path: Path) -> None:
    for name, further in (("a", {"tag": ak.Array(["x", "y"])}), ("b", {"tag": ak.Array([[[1]], []])}), ("c", {})):
        with uproot.recreate(tmp_path / f"{name}.root") as file:
            file.mkrntuple("events", {"x": np.arange(2.0), **further})
    both = open_events([tmp_path / "a.root", tmp_path / "a.root"])
    assert read(both, ["tag"])["tag"].to_list() == ["x", "y"] * 2
    for other in ("b", "c"):
        source = open_events([tmp_path / "a.root", tmp_path / f"{other}.root"])
        assert source.copied == ()
        assert source.skipped["tag"].startswith("it is not the same in ")


def test_an_rntuple_names_its_counter_and_keeps_its_type() -> None:
    source = open_events(DATA / "muons_rntuple.root")
    assert source.schema["nMuon"].dtype == "uint32"
    assert source.schema["Muon_pt"].counter == "nMuon"
    events = read(source)
    assert ak.all(events["nMuon"] == ak.num(events["Muon_pt"]))
    assert "_collection0" in source.skipped


@pytest.mark.parametrize("name", ["muons.root", "muons_rntuple.root", "photons.hdf5", "ttbar.root", "hzz.root"])
def test_batches_hold_no_more_than_the_memory(name: str) -> None:
    source = open_events(DATA / name, memory=60_000)
    sizes = [batch.nbytes for batch in source.batches()]
    assert len(sizes) > 1
    assert max(sizes) < 1.6 * 60_000
    assert ak.array_equal(read(source), read(open_events(DATA / name)))


def test_batches_follow_the_densest_part_of_a_tree(tmp_path: Path) -> None:
    counts = np.concatenate([np.zeros(40_000, int), np.full(2_000, 100)])
    values = ak.unflatten(np.random.default_rng(1).random(counts.sum()), counts)
    with uproot.recreate(tmp_path / "a.root") as file:
        tree = file.mktree("t", {"x": "var * float64"})
        for start in range(0, len(counts), 2000):
            tree.extend({"x": values[start : start + 2000]})
    source = open_events(tmp_path / "a.root", memory=1 << 19)
    assert max(batch.nbytes for batch in source.batches()) < 1.6 * (1 << 19)


def test_calorimeter_columns_are_canonical() -> None:
    source = open_events(DATA / "photons.hdf5")
    assert [(c.name, c.dtype, c.shape, c.unit) for c in source.schema] == [
        ("incident_energy", "float32", (), "MeV"),
        ("voxel_energy", "float32", (368,), "MeV"),
    ]
    with h5py.File(DATA / "photons.hdf5") as file:
        assert np.array_equal(read(source)["voxel_energy"], file["showers"][:])


def test_par04_root_equals_its_hdf5_with_r_fastest() -> None:
    from_root, from_hdf5 = (read(open_events(DATA / f"par04.{kind}", memory=20_000)) for kind in ("root", "hdf5"))
    assert np.array_equal(from_root["voxel_energy"], from_hdf5["voxel_energy"])
    assert np.array_equal(from_root["incident_energy"], from_hdf5["incident_energy"])
    with h5py.File(DATA / "par04.hdf5") as file:
        assert from_hdf5["voxel_energy"][3, (2 * 6 + 1) * 5 + 4] == file["showers"][3, 4, 1, 2]
    assert float(ak.sum(from_root["voxel_energy"][7])) == 0.0


def test_par04_cells_outside_the_given_grid_are_refused() -> None:
    assert open_events(DATA / "par04.root", grid=(10, 6, 5)).schema["voxel_energy"].shape == (300,)
    with pytest.raises(InputFileError, match="the grid has 3"):
        list(open_events(DATA / "par04.root", grid=(3, 6, 5)).batches())
    assert Par04File(str(DATA / "par04.root")).grid == (9, 6, 5)


def test_columnar_hdf5_with_groups(tmp_path: Path) -> None:
    path = tmp_path / "table.h5"
    with h5py.File(path, "w") as file:
        group = file.create_group("runs/events")
        group["pt"] = np.arange(5.0)
        group["id"] = np.arange(5, dtype=">i4")
        group["cells"] = np.ones((5, 3), dtype=np.float32)
        group["note"] = ["a", "b", "c", "d", "e"]
        group["edges"] = np.arange(9.0)
        group["pt"].attrs["unit"] = "GeV"
    assert list_trees(path) == [("runs/events", "hdf5", 5)]
    source = open_events(f"{path}:runs/events")
    assert {c.name: (c.dtype, c.shape) for c in source.schema} == {
        "cells": ("float32", (3,)),
        "id": ("int32", ()),
        "pt": ("float64", ()),
    }
    assert source.schema["pt"].unit == "GeV"
    assert set(source.skipped) == {"edges"}
    assert [(one.name, one.type) for one in source.copied] == [("note", "string")]
    assert read(source, ["note"])["note"].to_list() == ["a", "b", "c", "d", "e"]
    assert read(source)["id"].to_list() == [0, 1, 2, 3, 4]


def test_inputs_may_be_globs_lists_and_several(tmp_path: Path) -> None:
    for name in ("b", "a"):
        shutil.copyfile(DATA / "ttbar.root", tmp_path / f"{name}.root")
    (tmp_path / "files.txt").write_text("# both\na.root:events\n\nb.root\n")
    by_glob = open_events(str(tmp_path / "*.root") + ":events")
    by_list = open_events(f"@{tmp_path}/files.txt")
    assert by_glob.files == by_list.files == (str(tmp_path / "a.root"), str(tmp_path / "b.root"))
    assert by_glob.num_events == 3000
    assert by_glob.entries == (1500, 1500)
    numbered = list(by_glob.numbered_batches(["met"]))
    assert np.array_equal(np.concatenate([batch.entry for batch in numbered]), np.arange(3000))
    assert {int(index) for batch in numbered for index in batch.file} == {0, 1}


def test_files_that_differ_are_refused_by_the_first_difference() -> None:
    with pytest.raises(InputFileError, match="column 'lepton_pt' is missing"):
        open_events([DATA / "ttbar.root", DATA / "muons.root"])


def test_a_file_of_several_trees_asks_which(tmp_path: Path) -> None:
    with uproot.recreate(tmp_path / "two.root") as file:
        for name in ("first", "folder/second"):
            file.mktree(name, {"x": "f4"}).extend({"x": np.ones(3, "f4")})
    with pytest.raises(InputFileError, match=r"several trees.*first \(3 entries\), folder/second"):
        open_events(tmp_path / "two.root")
    with pytest.raises(InputFileError, match="did you mean 'folder/second'"):
        open_events(tmp_path / "two.root", tree="folder/secnd")
    assert open_events(f"{tmp_path}/two.root:folder/second").num_events == 3


def test_wrong_names_get_a_suggestion() -> None:
    source = open_events(DATA / "ttbar.root")
    with pytest.raises(InputFileError, match="did you mean 'lepton_pt'"):
        list(source.batches(["lepton_ptt"]))
    with pytest.raises(InputFileError, match=r"did you mean 'ttbar\.root'"):
        open_events(DATA / "ttbr.root")
    with pytest.raises(InputFileError, match="no file matches"):
        open_events(str(DATA / "nothing*.root"))


@pytest.mark.parametrize("name", ["ttbar.root", "muons_rntuple.root", "par04.root", "electrons.hdf5", "par04.hdf5"])
def test_truncation_at_any_offset_is_an_input_error(name: str, tmp_path: Path) -> None:
    whole = (DATA / name).read_bytes()
    for length in [0, 1, 3, 4, 11, 19, 40, *np.linspace(64, len(whole) - 1, 15).astype(int)]:
        path = tmp_path / name
        path.write_bytes(whole[:length])
        with pytest.raises(InputFileError) as caught:
            list(open_events(path).batches())
        assert str(path) in caught.value.where


@pytest.mark.parametrize("name", ["ttbar.root", "muons_rntuple.root", "electrons.hdf5"])
def test_damage_is_an_input_error_or_goes_unnoticed_but_never_something_else(name: str, tmp_path: Path) -> None:
    whole = (DATA / name).read_bytes()
    rng = np.random.default_rng(7)
    for _ in range(12):
        damaged = bytearray(whole)
        start = int(rng.integers(64, len(whole) - 64))
        damaged[start : start + 64] = rng.bytes(64)
        path = tmp_path / name
        path.write_bytes(bytes(damaged))
        with contextlib.suppress(InputFileError):
            list(open_events(path).batches())


def test_other_kinds_of_files_are_refused(tmp_path: Path) -> None:
    (tmp_path / "a.root").write_text("not a ROOT file, though it says so")
    with pytest.raises(InputFileError, match="neither a ROOT nor an HDF5 file"):
        open_events(tmp_path / "a.root")
    with pytest.raises(InputFileError, match="this is a folder"):
        open_events(tmp_path)


@pytest.mark.parametrize(
    ("number", "code"), [(errno.EACCES, 3), (errno.ENOENT, 3), (errno.EIO, 75), (errno.ESTALE, 75), (errno.EINVAL, 3)]
)
def test_a_file_that_cannot_be_read_for_now_may_be_tried_again(number: int, code: int) -> None:
    with pytest.raises(InputFileError) as refused, reading("a.root", "tree 'events'"):
        raise OSError(number, os.strerror(number))
    assert (refused.value.exit_code, refused.value.where) == (code, "a.root, tree 'events'")


def test_a_mistake_of_ours_is_not_taken_for_a_damaged_file() -> None:
    def consume() -> None:
        for _ in open_events(DATA / "ttbar.root").batches():
            raise KeyError("a bug")

    with pytest.raises(KeyError, match="a bug"):
        consume()


def test_many_fields_of_an_rntuple_are_those_of_bare_uproot(tmp_path: Path) -> None:
    path = tmp_path / "many.root"
    hits = ak.zip({"x": ak.Array([[1.0], [], [2.0, 3.0]]), "energy": ak.Array([[4.0], [], [5.0, 6.0]])})
    events = {f"x{k}": np.arange(3) + k for k in range(70)} | {"hits": hits}
    with uproot.recreate(path) as file:
        file.mkrntuple("events", {name: ak.type(ak.Array(values)).content for name, values in events.items()}).extend(
            events
        )
    source = open_events(path)
    assert source.schema.names == (*(f"x{k}" for k in range(70)), "hits.x", "hits.energy")
    found = read(source)
    bare = uproot.open(path)["events"].arrays()
    for name in found.fields:
        field, _, part = name.partition(".")
        assert found[name].to_list() == (bare[field][part] if part else bare[field]).to_list(), name


@pytest.mark.parametrize("path", sorted(DATA.glob("*.root")), ids=lambda path: path.name)
def test_entries_are_those_of_bare_uproot(path: Path) -> None:
    with uproot.open(path) as file:
        assert [(name, file[name].num_entries) for name, _, _ in list_trees(path)] == [
            (name, count) for name, _, count in list_trees(path)
        ]


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The ROOT files that are opened, one after the other."""
    paths: list[str] = []
    original = uproot.open

    def noted(path: str, **options: Any) -> Any:
        paths.append(path)
        return original(path, **options)

    monkeypatch.setattr(uproot, "open", noted)
    return paths


@pytest.mark.parametrize("name", ["ttbar.root", "muons_rntuple.root"])
def test_each_reading_opens_a_root_file_once(name: str, opened: list[str]) -> None:
    path = str(DATA / name)
    source = open_events(path)
    first = read(source)
    assert opened == [path]
    assert ak.array_equal(read(source), first)
    assert opened == [path] * 2
    assert not [name for name in Path("/proc/self/fd").iterdir() if name.exists() and name.readlink() == Path(path)]


def test_readings_side_by_side_and_in_another_process_open_their_own(opened: list[str]) -> None:
    source = open_events(DATA / "ttbar.root", memory=1 << 14)
    pairs = zip(source.batches(), source.batches(), pickle.loads(pickle.dumps(source)).batches(), strict=True)
    assert (
        sum(len(one) for one, other, third in pairs if ak.array_equal(one, other) and ak.array_equal(one, third))
        == 1500
    )
    assert len(opened) == 3


def test_a_file_that_was_replaced_after_the_look_is_opened_anew(tmp_path: Path, opened: list[str]) -> None:
    path = tmp_path / "events.root"
    for value in (1.0, 2.0):
        with uproot.recreate(tmp_path / "new.root") as file:
            file.mktree("events", {"x": "f8"}).extend({"x": np.full(5, value)})
        (tmp_path / "new.root").replace(path)
        if value == 1.0:
            source = open_events(path)
    assert read(source).x.to_list() == [2.0] * 5
    assert len(opened) == 2


def test_only_so_many_files_stay_at_hand(opened: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hepgen.events.reader._KEPT_COLUMNS", 60)
    source = open_events([DATA / "ttbar.root"] * 4)
    assert len(read(source)) == 6000
    assert len(opened) == 4 + 2


def test_a_source_in_memory_numbers_its_rows() -> None:
    events = ak.Array({"x": np.arange(10.0), "y": [[1, 2]] * 10})
    source = MemorySource(events, schema_of(events), batch_size=4)
    assert ak.array_equal(read(source), events)
    assert [len(batch) for batch in source.numbered_batches(())] == [4, 4, 2]
