"""Columns, cuts, derived columns, weights, splits: all as streams."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import awkward as ak
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from paths import DATA

from hepgen.errors import ConfigError, InputFileError
from hepgen.events.reader import open_events
from hepgen.events.schema import schema_of
from hepgen.events.select import select_events, weighted
from hepgen.events.source import EventSource, MemorySource
from hepgen.events.split import PARTS, SplitRule, split_source, uniform_hash


def read(source: EventSource, columns: list[str] | None = None) -> ak.Array:
    return ak.concatenate(list(source.batches(columns)))


def ttbar(memory: int = 80_000) -> EventSource:
    return open_events(DATA / "ttbar.root", memory=memory)


def test_a_cut_may_use_columns_that_are_not_chosen() -> None:
    events = read(ttbar())
    cut = "lepton_pt > 50 and abs(lepton_eta) < 1 and n_jets >= 5"
    source = select_events(ttbar(), columns=["met*", "jet1_*"], cut=cut)
    mask = (events["lepton_pt"] > 50) & (abs(events["lepton_eta"]) < 1) & (events["n_jets"] >= 5)
    assert source.schema.names == ("met", "met_phi", "jet1_pt", "jet1_eta", "jet1_phi", "jet1_btag")
    assert source.num_events == int(ak.sum(mask))
    found = read(source)
    assert ak.array_equal(found, events[list(source.schema.names)][mask])


def test_derived_columns_keep_the_type_of_the_file() -> None:
    derived = {
        "m_jj": "sqrt(2 * jet1_pt * jet2_pt)",
        "n_jets": "n_jets + 0.7",
        "twice": "2 * m_jj",
        "is_hard": "twice > 300",
    }
    source = select_events(ttbar(), derived=derived, cut="is_hard", columns=["m_jj", "n_jets", "twice", "is_hard"])
    assert {c.name: c.dtype for c in source.schema} == {
        "m_jj": "float32",
        "n_jets": "int32",
        "twice": "float32",
        "is_hard": "bool",
    }
    found, events = read(source), read(ttbar())
    twice = 2 * np.sqrt(2 * events["jet1_pt"] * events["jet2_pt"])
    assert np.allclose(found["twice"], twice[twice > 300])
    assert np.array_equal(found["n_jets"], events["n_jets"][twice > 300] + 1)
    assert schema_of(found).names == source.schema.names


def test_derived_lists_are_lists() -> None:
    source = select_events(open_events(DATA / "muons.root"), derived={"Muon_pz": "Muon_pt * sinh(Muon_eta)"})
    assert source.schema["Muon_pz"].jagged
    events = read(source)
    assert ak.array_equal(events["Muon_pz"], events["Muon_pt"] * np.sinh(events["Muon_eta"]))


def test_unknown_names_are_refused_before_anything_is_read() -> None:
    with pytest.raises(ConfigError, match="did you mean 'lepton_pt'"):
        select_events(ttbar(), cut="leptn_pt > 3")
    with pytest.raises(ConfigError, match="no column 'later'"):
        select_events(ttbar(), derived={"one": "later", "later": "met"})
    with pytest.raises(InputFileError, match="no column matches"):
        select_events(ttbar(), columns=["Tau_*"])


def test_keep_sees_the_entry_of_the_file() -> None:
    first = select_events(ttbar(), keep=lambda entry, _: entry % 3 == 0)
    second = select_events(first, keep=lambda entry, _: entry % 2 == 0, columns=["met"])
    assert second.num_events == 250
    assert ak.array_equal(read(second)["met"], read(ttbar())["met"][::6])


@pytest.mark.parametrize(
    "rule",
    [
        SplitRule("fraction", validation=0.1, test=0.2),
        SplitRule("hash", validation=0.2, test=0.1, column="n_jets"),
        SplitRule("parity", validation=0.1),
        SplitRule("kfold", folds=4, fold=3, validation=0.1),
    ],
)
def test_parts_cover_every_event_once_and_do_not_depend_on_batches_or_cuts(rule: SplitRule) -> None:
    again = SplitRule.from_dict(json.loads(json.dumps(rule.to_dict())))
    assert again == rule
    pieces = {part: [b.entry for b in split_source(ttbar(), rule, part).numbered_batches()] for part in PARTS}
    entries = {part: np.concatenate([np.zeros(0, int), *found]) for part, found in pieces.items()}
    assert np.array_equal(np.sort(np.concatenate(list(entries.values()))), np.arange(1500))
    for part in PARTS:
        cut_first = split_source(select_events(ttbar(40_000), cut="met > 40"), again, part)
        split_first = select_events(split_source(ttbar(), rule, part), cut="met > 40")
        assert (
            ak.array_equal(read(cut_first), read(split_first)) if split_first.num_events else not cut_first.num_events
        )


def test_folds_are_disjoint_and_complete() -> None:
    entry = np.arange(10_000)
    tested = [SplitRule("kfold", folds=5, fold=fold, validation=0.2).part(entry) == 2 for fold in range(5)]
    assert np.array_equal(np.sum(tested, axis=0), np.ones(10_000))
    assert all(abs(fold.mean() - 0.2) < 0.02 for fold in tested)


def test_parity_tests_odd_entries() -> None:
    part = SplitRule("parity", validation=0.3).part(np.arange(1000))
    assert (part[1::2] == 2).all()
    assert set(part[::2]) == {0, 1}


def test_a_split_by_file(tmp_path: Path) -> None:
    for name in ("a", "b", "c"):
        shutil.copyfile(DATA / "ttbar.root", tmp_path / f"{name}.root")
    source = open_events(str(tmp_path / "*.root"))
    rule = SplitRule("file", files={"validation": ["b.root"], "test": ["*/c.root"]})
    assert [split_source(source, rule, part).num_events for part in PARTS] == [1500, 1500, 1500]
    assert split_source(source, rule, ["train", "test"]).num_events == 3000
    assert split_source(source, rule, "test").rule.to_dict()["file_parts"] == [0, 1, 2]
    with pytest.raises(InputFileError, match="matches no file"):
        split_source(source, SplitRule("file", files={"test": ["d.root"]}), "test")


@pytest.mark.parametrize(
    "options",
    [
        {"method": "frction"},
        {"validation": 0.7, "test": 0.4},
        {"method": "hash"},
        {"method": "kfold", "fold": 5},
        {"files": {"tests": ["a"]}},
    ],
)
def test_impossible_rules_are_refused(options: dict[str, object]) -> None:
    with pytest.raises(ConfigError):
        SplitRule(**options)  # type: ignore[arg-type]


@settings(max_examples=30)
@given(st.integers(0, 2**63), st.integers(0, 100))
def test_the_hash_is_uniform_whatever_the_start(start: int, salt: int) -> None:
    shares = uniform_hash(np.arange(start, start + 4000, dtype=np.uint64), salt)
    assert 0 <= shares.min() < shares.max() < 1
    counts = np.histogram(shares, bins=10, range=(0, 1))[0]
    assert ((counts - 400) ** 2 / 400).sum() < 45  # chi-square of 9 degrees of freedom


def test_the_hash_is_pinned() -> None:
    """A stored split must mean the same in every version."""
    assert (uniform_hash(np.arange(3), 0) * 2**53).astype(int).tolist() == [
        7956156453446585,
        3886858653415212,
        238094247788840,
    ]


def test_weights_may_be_negative_and_differ_by_file(tmp_path: Path) -> None:
    events = ak.Array({"x": np.arange(4.0), "w": np.array([1.0, -2.0, 0.5, 1.0], dtype="f4")})
    source = weighted(MemorySource(events, schema_of(events), name="run/a.root"), "w", {"*.root": 3.0})
    assert read(source, ["_weight"])["_weight"].to_list() == [3.0, -6.0, 1.5, 3.0]
    assert source.schema["_weight"].dtype == "float64"
    assert read(source, ["x"]).fields == ["x"]
    for name in ("a", "b"):
        shutil.copyfile(DATA / "ttbar.root", tmp_path / f"{name}.root")
    files = open_events(str(tmp_path / "*.root"))
    by_file = read(weighted(files, None, {"a.root": 2.0, "b.root": 5.0}), ["_weight"])["_weight"]
    assert (by_file[0], by_file[-1]) == (2.0, 5.0)
    with pytest.raises(InputFileError, match="no file weight"):
        weighted(files, None, {"a.root": 2.0})
    with pytest.raises(InputFileError, match="matches no file"):
        weighted(files, None, {"*": 2.0, "c.root": 1.0})
    with pytest.raises(InputFileError, match="no column 'wt'"):
        weighted(files, "wt")


def test_a_weight_that_is_not_finite_is_refused() -> None:
    events = ak.Array({"w": np.array([1.0, np.nan])})
    with pytest.raises(InputFileError, match="entry 1"):
        read(weighted(MemorySource(events, schema_of(events)), "w"))
