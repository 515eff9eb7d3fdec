"""Writing: real ROOT reads what hepgen writes, and a file appears whole or not at all."""

from __future__ import annotations

import ast
import errno
import itertools
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import awkward as ak
import h5py
import numpy as np
import pytest
import uproot
from hypothesis import given, settings
from hypothesis import strategies as st
from paths import DATA

import hepgen.events
from hepgen.errors import HepgenError, ModelError, OutputError, UsageError
from hepgen.events.failures import writing
from hepgen.events.reader import open_events
from hepgen.events.records import read_run_records
from hepgen.events.schema import Column, Schema
from hepgen.events.select import select_events
from hepgen.events.source import EventSource
from hepgen.events.writer import create_writer

FORMATS = {"ttree": "root", "rntuple": "root", "hdf5": "h5"}
DTYPES = ["bool", *(f"{sign}int{bits}" for sign in ("", "u") for bits in (8, 16, 32, 64)), "float32", "float64"]
EVERY = Schema(
    (
        Column("nhit", "int32"),
        *(Column(f"s_{dtype}", dtype) for dtype in DTYPES),
        *(Column(f"j_{dtype}", dtype, jagged=True, counter="nhit") for dtype in DTYPES),
        Column("grid", "float32", (2, 3), unit="MeV"),
    ),
    tree="folder/events",
)


def make_events(rows: int, seed: int = 0) -> ak.Array:
    rng = np.random.default_rng(seed)
    counts = rng.integers(0, 4, rows)
    total = int(counts.sum())
    columns = {"nhit": counts}
    for dtype in DTYPES:
        columns[f"s_{dtype}"] = rng.integers(0, 2 if dtype == "bool" else 100, rows).astype(dtype)
        columns[f"j_{dtype}"] = ak.unflatten(
            rng.integers(0, 2 if dtype == "bool" else 100, total).astype(dtype), counts
        )
    columns["grid"] = rng.random((rows, 2, 3)).astype("f4")
    return ak.zip(columns, depth_limit=1)


def write(path: Path, schema: Schema, batches: list[ak.Array], **options: object) -> list[str]:
    with create_writer(path, schema, **options) as writer:  # type: ignore[arg-type]
        for batch in batches:
            writer.write(batch)
    return writer.notes


def read(path: Path | str, columns: list[str] | None = None) -> ak.Array:
    return ak.concatenate(list(open_events(path).batches(columns)))


def test_root_sums_every_branch_of_a_ttree(root: ModuleType, tmp_path: Path) -> None:
    path, events = tmp_path / "every.root", make_events(200)
    write(path, EVERY, [events[:70], events[70:70], events[70:]])
    with root.TFile.Open(str(path)) as file:
        tree = file.Get("folder/events")
        assert tree.GetEntries() == 200
        assert sum(tree.GetLeaf("j_int8").GetValue(k) for _ in tree for k in range(tree.nhit)) == ak.sum(
            events["j_int8"]
        )
        for column in EVERY:
            if column.name == "j_int8":  # TTree::Draw takes it for text
                continue
            rows = tree.Draw(column.name, "", "goff")
            values = np.frombuffer(tree.GetV1(), count=rows)
            assert values.sum() == pytest.approx(float(ak.sum(events[column.name], axis=None)), rel=1e-6), column.name


def test_root_sums_the_fields_of_an_rntuple(root: ModuleType, tmp_path: Path) -> None:
    path, events = tmp_path / "every.root", make_events(200)
    write(path, EVERY, [events[:70], events[70:70], events[70:]], format="rntuple")
    frame = root.RDataFrame("folder/events", str(path))
    names = ["s_uint64", "s_float32", "j_int16"]
    sums = {name: frame.Sum(name) for name in names}  # booked together, run and compiled once
    assert frame.Count().GetValue() == 200
    for name, total in sums.items():
        assert total.GetValue() == float(ak.sum(events[name], axis=None)), name


@pytest.mark.parametrize("format", list(FORMATS))
def test_every_type_comes_back(format: str, tmp_path: Path) -> None:
    path, events = tmp_path / f"every.{FORMATS[format]}", make_events(100)
    write(path, EVERY, [events], format=format)
    source = open_events(path)
    assert source.schema.tree == "folder/events"
    assert {c.name: (c.dtype, c.shape, c.jagged) for c in source.schema} == {
        c.name: (c.dtype, c.shape, c.jagged) for c in EVERY
    }
    assert source.schema["grid"].unit == "MeV"
    assert source.schema["j_int8"].counter == "nhit"
    back = read(path)
    assert all(ak.array_equal(back[name], events[name], dtype_exact=False) for name in events.fields)


@pytest.mark.parametrize("sizes", [[500, 0, 500], [0, 500, 500], [500, 500, 0], [0, 1, 0, 999, 0]])
@pytest.mark.parametrize("format", ["ttree", "rntuple"])
def test_empty_batches_leave_root_every_event(
    sizes: list[int], format: str, root: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hepgen.events.writer.BASKET_BYTES", 2000)  # many baskets, and gaps between them
    schema = Schema((Column("x", "float64"), Column("hits", "float32", jagged=True)), tree="t")
    total = sum(sizes)
    events = ak.zip({"x": np.ones(total), "hits": np.ones((total, 3), "f4").tolist()}, depth_limit=1)
    edges = np.concatenate([[0], np.cumsum(sizes)])
    parts = [events[start:stop] for start, stop in itertools.pairwise(edges)]
    path = tmp_path / "gaps.root"
    write(path, schema, parts, format=format)
    frame = root.RDataFrame("t", str(path))
    flat, listed = frame.Sum["double"]("x"), frame.Sum["ROOT::RVec<float>"]("hits")  # compiled once for all cases
    assert flat.GetValue() == 1000
    assert listed.GetValue() == 3000


@pytest.mark.parametrize("format", ["ttree", "rntuple"])
def test_a_file_without_events_has_its_tree(format: str, root: ModuleType, tmp_path: Path) -> None:
    path = tmp_path / "none.root"
    write(path, EVERY, [make_events(5)[:0]], format=format)
    assert open_events(path).num_events == 0
    assert list(open_events(path).batches()) == []
    if format == "ttree":
        assert root.RDataFrame("folder/events", str(path)).Count().GetValue() == 0
    else:  # the RDataFrame of ROOT 6.40 crashes on an RNTuple without entries, on those of ROOT's own writer too
        assert root.RNTupleReader.Open("folder/events", str(path)).GetNEntries() == 0


def test_an_hdf5_file_without_events_has_its_columns(tmp_path: Path) -> None:
    write(tmp_path / "none.h5", EVERY, [])
    assert open_events(tmp_path / "none.h5").num_events == 0
    assert set(open_events(tmp_path / "none.h5").schema.names) == set(EVERY.names)


def test_a_ttree_refuses_lists_of_arrays_that_root_cannot_read(tmp_path: Path) -> None:
    schema = Schema((Column("x", "float32"), Column("pairs", "float32", (3,), jagged=True)))
    with pytest.raises(UsageError, match="'pairs' cannot be written"):
        create_writer(tmp_path / "a.root", schema)
    assert list(tmp_path.iterdir()) == []
    events = ak.zip({"x": np.ones(2, "f4"), "pairs": [[[1, 2, 3]], []]}, depth_limit=1)
    notes = write(tmp_path / "a.root", schema, [events], drop_unwritable=True)
    assert open_events(tmp_path / "a.root").schema.names == ("x",)
    assert "'pairs' is left out" in notes[0]


def test_lists_of_arrays_go_to_an_rntuple(root: ModuleType, tmp_path: Path) -> None:
    schema = Schema((Column("pairs", "float32", (3,), jagged=True),), tree="t")
    pairs = ak.to_regular(ak.Array([[[1.0, 2.0, 3.0]], [], [[4.0, 5.0, 6.0], [7.0, 8.0, 9.0]]]), axis=2)
    write(tmp_path / "a.root", schema, [ak.zip({"pairs": pairs}, depth_limit=1)], format="rntuple")
    assert root.RDataFrame("t", str(tmp_path / "a.root")).Count().GetValue() == 3
    assert read(tmp_path / "a.root")["pairs"].to_list() == pairs.to_list()


def test_nothing_is_ever_assigned_as_a_dict() -> None:
    """Since uproot 5.7 ``file[name] = {...}`` writes an RNTuple, whatever was meant."""
    allowed = []
    for path in Path(hepgen.events.__path__[0]).glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Subscript):
                target = ast.unparse(node.targets[0].value)
                if target in {"self._file", "file"}:
                    allowed.append(ast.unparse(node.value))
    assert allowed == ["json.dumps(content)"]


@pytest.mark.parametrize(
    ("dtype", "values", "reason"),
    [
        ("int32", [1.5, 2.0], "one value is 1.5"),
        ("int32", [1e12, 0.0], "run from 0 to 1000000000000"),
        ("uint8", [-1, 3], "run from -1 to 3"),
        ("int8", [300, 0], "run from 0 to 300"),
        ("bool", [0, 2], "run from 0 to 2"),
        ("float32", [1e300, 0.0], "one value is 1e\\+300"),
        ("float32", [2**24 + 1, 0], "cannot hold exactly"),
        ("float64", [np.nan, 1.0], "1 values of 'x' are not finite"),
        ("int64", [np.inf, 1.0], "1 values of 'x' are not finite"),
    ],
)
def test_silent_casts_are_refused(dtype: str, values: list[float], reason: str, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=reason):
        write(tmp_path / "a.root", Schema((Column("x", dtype),)), [ak.Array({"x": values})])
    assert list(tmp_path.iterdir()) == []


def test_non_finite_values_are_kept_on_request(tmp_path: Path) -> None:
    events = ak.Array({"x": np.array([np.nan, np.inf, 1.0])})
    write(tmp_path / "a.root", Schema((Column("x", "float64"),)), [events], keep_nonfinite=True)
    assert np.array_equal(read(tmp_path / "a.root")["x"], [np.nan, np.inf, 1.0], equal_nan=True)


def test_counters_keep_their_name_and_are_checked(root: ModuleType, tmp_path: Path) -> None:
    source = open_events(DATA / "hzz.root")
    events = read(DATA / "hzz.root")
    notes = write(tmp_path / "hzz.root", source.schema, [events])
    assert notes == []
    assert open_events(tmp_path / "hzz.root").schema["Jet_Px"].counter == "NJet"
    frame = root.RDataFrame("events", str(tmp_path / "hzz.root"))
    assert frame.Sum("NJet").GetValue() == float(ak.sum(events["NJet"]))
    assert frame.Filter("NMuon >= 2").Sum("Muon_Px").GetValue() == pytest.approx(
        float(ak.sum(events[events["NMuon"] >= 2]["Muon_Px"])), rel=1e-4
    )
    events["NJet"] = events["NJet"] + 1
    with pytest.raises(ModelError, match="not as long as 'NJet' says"):
        write(tmp_path / "wrong.root", source.schema, [events])


def test_vectors_become_counted_arrays_and_are_listed(all_branches: str, root: ModuleType, tmp_path: Path) -> None:
    source, events = open_events(all_branches), read(all_branches)
    notes = write(tmp_path / "a.root", source.schema, [events])
    assert (
        "'vector_float' was std::vector<float> and is vector_float[nvector_float], counted by 'nvector_float'" in notes
    )
    assert sum("std::vector" in note for note in notes) == 6
    frame = root.RDataFrame("folder/events", str(tmp_path / "a.root"))
    assert frame.Sum("vector_float").GetValue() == float(ak.sum(events["vector_float"]))
    back = read(tmp_path / "a.root")
    assert all(ak.array_equal(back[name], events[name]) for name in source.schema.names)


@pytest.mark.parametrize("format", list(FORMATS))
@pytest.mark.parametrize(
    "name", ["nanoaod.root", "zmumu.root", "muons.root", "muons_rntuple.root", "photons.hdf5", "ttbar.root"]
)
def test_real_files_come_back_in_every_format(name: str, format: str, tmp_path: Path) -> None:
    source: EventSource = open_events(DATA / name)
    if name == "nanoaod.root":  # uproot takes many seconds to lay out 947 branches
        source = select_events(source, columns=["run", "event", "nJet", "Jet_*", "HLT_IsoMu*"])
    path = tmp_path / f"copy.{FORMATS[format]}"
    with create_writer(path, source.schema, format=format, keep_nonfinite=True) as writer:
        for batch in source.batches():
            writer.write(batch)
    copy, events, back = open_events(path), ak.concatenate(list(source.batches())), read(path)
    assert copy.schema.tree == source.schema.tree
    for column in source.schema:
        exact = not any(f"'{column.name}' was" in note for note in writer.notes)
        assert not exact or copy.schema[column.name].dtype == column.dtype
        assert copy.schema[column.name].unit == column.unit
        assert ak.array_equal(back[column.name], events[column.name], equal_nan=True, dtype_exact=exact), column.name


def test_calorimeter_events_have_the_same_datasets_in_hdf5_and_a_tree_in_root(root: ModuleType, tmp_path: Path) -> None:
    source, events = open_events(DATA / "photons.hdf5"), read(DATA / "photons.hdf5")
    write(tmp_path / "a.hdf5", source.schema, [events])
    with h5py.File(tmp_path / "a.hdf5") as one, h5py.File(DATA / "photons.hdf5") as other:
        assert one["incident_energies"].shape == (2000, 1)
        assert np.array_equal(one["showers"][:], other["showers"][:])
    assert open_events(tmp_path / "a.hdf5").schema.convention == "calochallenge"
    write(tmp_path / "a.root", source.schema, [events])
    frame = root.RDataFrame("showers", str(tmp_path / "a.root"))
    assert frame.Sum("voxel_energy").GetValue() == pytest.approx(float(ak.sum(events["voxel_energy"])), rel=1e-4)
    with root.TFile.Open(str(tmp_path / "a.root")) as file:
        units = json.loads(str(file.Get("hepgen_units").GetString()))
    assert units == {"incident_energy": "MeV", "voxel_energy": "MeV"}


@pytest.mark.parametrize("format", list(FORMATS))
def test_run_records_come_back(format: str, root: ModuleType, tmp_path: Path) -> None:
    path = tmp_path / f"a.{FORMATS[format]}"
    recipe = json.dumps({"name": "x" * 400})
    with create_writer(path, Schema((Column("x", "float64"),)), format=format, metadata={"a": 1}) as writer:
        writer.write(ak.Array({"x": np.arange(7.0)}))
        for seed in (2**100, 5):
            writer.add_run_record({"events": writer.num_events, "seed": str(seed), "recipe": recipe, "complete": 1})
    first, second = read_run_records(path)
    assert (first.events, first.seed, first.recipe, second.seed) == (7, str(2**100), recipe, "5")
    assert open_events(path).num_events == 7
    if format == "ttree":
        frame = root.RDataFrame("hepgen_runs", str(path))
        assert frame.Sum("events").GetValue() == 14
        assert frame.Sum("complete").GetValue() == 2
    with pytest.raises(UsageError, match="did you mean 'events'"):
        writer.add_run_record({"event": 1})


@pytest.mark.parametrize("format", list(FORMATS))
def test_a_failure_leaves_no_file(format: str, tmp_path: Path) -> None:
    def fail() -> None:
        with create_writer(tmp_path / "a.root", EVERY, format=format) as writer:
            writer.write(make_events(10))
            assert [path.name for path in tmp_path.iterdir()] == [f"a.root.part-{os.getpid()}"]
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fail()
    assert list(tmp_path.iterdir()) == []


def test_an_existing_file_is_refused_without_force(tmp_path: Path) -> None:
    path = tmp_path / "a.root"
    path.write_text("precious")
    with pytest.raises(UsageError, match="exists already") as caught:
        create_writer(path, EVERY)
    assert "--force" in caught.value.hint
    assert path.read_text() == "precious"
    write(path, EVERY, [make_events(3)], force=True)
    assert open_events(path).num_events == 3


def test_a_file_that_appears_meanwhile_is_not_overwritten(tmp_path: Path) -> None:
    path = tmp_path / "a.root"

    def race() -> None:
        with create_writer(path, EVERY) as writer:
            writer.write(make_events(3))
            path.write_text("precious")

    with pytest.raises(UsageError, match="another job"):
        race()
    assert path.read_text() == "precious"
    assert [entry.name for entry in tmp_path.iterdir()] == ["a.root"]


@pytest.mark.parametrize("format", list(FORMATS))
def test_a_full_disk_is_an_output_error_and_leaves_no_file(format: str, tmp_path: Path) -> None:
    """A limit on the size of files stands for the disk: the signal that comes with it must be ignored."""
    script = f"""
import resource, signal, sys
import awkward as ak, numpy as np
from hepgen.errors import HepgenError
from hepgen.events.schema import Column, Schema
from hepgen.events.writer import create_writer
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, 300_000))
try:
    with create_writer(sys.argv[1], Schema((Column("x", "float64"),)), format="{format}") as writer:
        for seed in range(4):
            writer.write(ak.Array({{"x": np.random.default_rng(seed).random(1_000_000)}}))
except HepgenError as error:
    print(type(error).__name__, error.exit_code)
"""
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-c", script, str(tmp_path / "a.root")]
    result = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    assert result.stdout.split() == ["OutputError", "75"], result.stderr
    assert list(tmp_path.iterdir()) == []


def test_a_failing_file_system_is_an_output_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OutputError, match="No space left"):
        write(tmp_path / "a.root", EVERY, [make_events(3)])
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("number", "kind", "code"),
    [
        (errno.EACCES, UsageError, 2),
        (errno.EPERM, UsageError, 2),
        (errno.ENOTDIR, UsageError, 2),
        (errno.ENOENT, UsageError, 2),
        (errno.ENOSPC, OutputError, 75),
        (errno.EROFS, OutputError, 75),
        (errno.ESTALE, OutputError, 75),
    ],
)
def test_a_path_that_will_never_do_is_usage_and_a_state_that_may_pass_is_not(
    number: int, kind: type[HepgenError], code: int
) -> None:
    with pytest.raises(kind) as refused, writing("/out/a.root"):
        raise OSError(number, os.strerror(number))
    assert (refused.value.exit_code, refused.value.where) == (code, "/out/a.root")
    assert os.strerror(number) in refused.value.what


def test_an_unknown_format_or_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"end the name in \.root"):
        create_writer(tmp_path / "a.csv", EVERY)
    with pytest.raises(UsageError, match="did you mean 'rntuple'"):
        create_writer(tmp_path / "a.root", EVERY, format="rntupel")
    with pytest.raises(UsageError, match="folder does not exist"):
        create_writer(tmp_path / "no" / "a.root", EVERY)


def test_a_missing_column_is_named(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="no column 'y'"):
        write(tmp_path / "a.root", Schema((Column("y", "float64"),)), [ak.Array({"x": [1.0]})])


def test_baskets_are_large_whatever_the_batches(tmp_path: Path) -> None:
    schema = Schema((Column("x", "float32"), Column("v", "float32", (100,))))
    events = ak.zip({"x": np.ones(200, "f4"), "v": np.ones((200, 100), "f4")}, depth_limit=1)

    def small() -> Iterator[ak.Array]:
        for _ in range(150):
            yield events

    write(tmp_path / "a.root", schema, list(small()))
    with uproot.open(tmp_path / "a.root") as file:
        branch = file["events"]["v"]
        assert branch.num_baskets == 3
        assert branch.num_entries == 30_000


@settings(max_examples=9, deadline=None)
@given(st.lists(st.integers(0, 6), min_size=1, max_size=6), st.sampled_from(list(FORMATS)), st.integers(0, 1000))
def test_the_cut_into_batches_does_not_matter(
    tmp_path_factory: pytest.TempPathFactory, sizes: list[int], format: str, seed: int
) -> None:
    events = make_events(sum(sizes), seed)
    edges = np.concatenate([[0], np.cumsum(sizes)])
    path = tmp_path_factory.mktemp("cut") / "a.root"
    write(path, EVERY, [events[a:b] for a, b in itertools.pairwise(edges)], format=format)
    batches = list(open_events(path).batches())
    assert sum(len(batch) for batch in batches) == sum(sizes)
    for name in events.fields if batches else ():
        back = ak.concatenate([batch[name] for batch in batches])
        assert ak.array_equal(back, events[name], dtype_exact=False)
