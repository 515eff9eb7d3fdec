"""Text and lists of lists: every format holds them, whole, and real ROOT reads them."""

from __future__ import annotations

from array import array
from pathlib import Path
from types import ModuleType

import awkward as ak
import h5py
import numpy as np
import pytest
import uproot
from hypothesis import given, settings
from hypothesis import strategies as st

from hepgen.errors import UsageError
from hepgen.events.copied import LENGTHS, CopiedColumn, copied_column, flat_columns, flattened
from hepgen.events.reader import open_events
from hepgen.events.schema import Column, Schema
from hepgen.events.source import record
from hepgen.events.writer import create_writer

FORMATS = {"ttree": "a.root", "rntuple": "b.root", "hdf5": "c.h5"}
WORD = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=300)
NESTED = st.lists(st.lists(st.lists(st.integers(-5, 5), max_size=3), max_size=3), min_size=1, max_size=5)


def lists_of(events: list[list[list[int]]]) -> ak.Array:
    return ak.values_astype(ak.from_iter([*events, [[1]]])[: len(events)], np.int64)


def rebuilt(column: CopiedColumn, flat: dict[str, ak.Array]) -> ak.Array:
    """What the lists of `flattened` were."""
    values = ak.flatten(flat[column.name])
    for depth in range(1, column.depth):
        lengths = flat[column.name + LENGTHS * depth]
        values = ak.unflatten(values, ak.flatten(lengths))
    return ak.unflatten(values, ak.num(flat[column.name + LENGTHS * (column.depth - 1)]))


def write(path: Path, events: ak.Array, format: str, **options: bool) -> list[str]:
    """Numbers in ``x`` and all other fields as columns that are copied."""
    names = [name for name in events.fields if name != "x"]
    copied = [copied_column(name, events[name].layout.form, "std::string") for name in names]
    schema = Schema((Column("x", "int32"),), tree="t")
    with create_writer(path, schema, format=format, copied=[one for one in copied if one], **options) as writer:
        for start in range(0, len(events), 2):
            writer.write(events[start : start + 2])
    return writer.notes


@given(NESTED)
@settings(max_examples=40, deadline=None)
def test_flat_lists_hold_what_the_nested_ones_held(events: list[list[list[int]]]) -> None:
    lists = lists_of(events)
    column = copied_column("hits", lists.layout.form)
    assert column is not None
    flat = flattened(column, lists)
    assert list(flat) == [one.name for one in flat_columns(column)]
    assert rebuilt(column, flat).to_list() == events


@given(events=NESTED, words=st.lists(WORD, min_size=5, max_size=5))
@settings(max_examples=10, deadline=None)
@pytest.mark.parametrize("format", list(FORMATS))
def test_every_format_holds_text_and_nested_lists(
    format: str, events: list[list[list[int]]], words: list[str], tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.mktemp("copied") / FORMATS[format]
    size = len(events)
    hits, tags = lists_of(events), ak.Array(words[:size])
    write(path, record({"x": np.arange(size), "tag": tags, "hits": hits}, size), format)
    source = open_events(path)
    back = ak.concatenate(list(source.batches([*source.schema.names, *(one.name for one in source.copied)])))
    assert back["x"].to_list() == list(range(size))
    assert back["tag"].to_list() == tags.to_list()
    if format == "rntuple":
        assert back["hits"].to_list() == events
    else:
        column = copied_column("hits", hits.layout.form)
        assert column is not None
        assert rebuilt(column, back).to_list() == events


def test_real_root_reads_text_and_lists(root: ModuleType, tmp_path: Path) -> None:
    size = 1000
    rng = np.random.default_rng(1)
    inner = rng.integers(0, 4, int((outer := rng.integers(0, 3, size)).sum()))
    hits = ak.unflatten(ak.unflatten(rng.random(inner.sum()).astype("f4"), inner), outer)
    words = ak.Array([["HLT_Mu"] * (entry % 3) for entry in range(size)])
    names = ak.Array([f"{'long' * (entry % 90)}_{entry}" for entry in range(size)])
    events = record({"x": np.arange(size), "name": names, "hits": hits, "words": words}, size)
    for format in ("ttree", "rntuple"):
        write(tmp_path / FORMATS[format], events, format)
    with root.TFile.Open(str(tmp_path / "a.root")) as file:
        tree = file.Get("t")
        assert tree.GetEntries(f'name == "{names[777]}"') == 1
        assert tree.Draw("hits", "", "goff") == inner.sum()
        assert tree.Draw("hits_lengths", "", "goff") == outer.sum()
        assert tree.GetEntries(f"Sum$(hits_lengths) == {int(inner.max())}") == int(
            np.sum(ak.sum(ak.num(hits, axis=2), axis=1) == inner.max())
        )
        entries = [bytes(getattr(entry, "words")).decode() for _, entry in zip(range(3), tree, strict=False)]  # noqa: B009
        assert entries == ["", "HLT_Mu", "HLT_MuHLT_Mu"]
    frame = root.RDataFrame("t", str(tmp_path / "b.root"))
    assert str(frame.GetColumnType("name")) == "std::string"
    assert [str(name) for name in frame.Take["std::string"]("name").GetValue()] == names.to_list()
    flat = frame.Define("flat", "float s = 0; for (auto &row : hits) for (auto v : row) s += v; return s;")
    assert flat.Sum["float"]("flat").GetValue() == pytest.approx(float(ak.sum(hits)), rel=1e-4)


@pytest.mark.parametrize("memory", [1 << 24, 20_000])
def test_c_strings_of_real_root_are_read_empty_and_long_ones_too(root: ModuleType, tmp_path: Path, memory: int) -> None:
    texts = ["" if entry % 5 == 0 else f"c{entry}" * (100 if entry % 7 == 0 else 1) for entry in range(9000)]
    with root.TFile.Open(str(tmp_path / "c.root"), "RECREATE") as file:
        tree = root.TTree("t", "")
        text, x = bytearray(1000), array("i", [0])
        tree.Branch("text", text, "text/C")
        tree.Branch("x", x, "x/I")
        for entry, one in enumerate(texts):
            text[: len(one) + 1] = one.encode() + b"\0"
            x[0] = entry
            tree.Fill()
        file.WriteObject(tree, "t")
    source = open_events(tmp_path / "c.root", memory=memory)
    for columns in (["text"], ["x", "text"]):
        batches = list(source.batches(columns))
        assert ak.concatenate([batch["text"] for batch in batches]).to_list() == texts
    assert len(batches) > 1 or memory > 20_000


def test_arrays_in_lists_and_text_in_lists_are_flat_and_said(tmp_path: Path) -> None:
    pairs = ak.to_regular(ak.Array([[[1.0, 2.0]], [], [[3.0, 4.0], [5.0, 6.0]]]), axis=2)
    words = ak.Array([["ab", "", "c"], [], ["d"]])
    notes = write(tmp_path / "a.root", record({"x": np.arange(3), "pairs": pairs, "words": words}, 3), "ttree")
    said = "is all numbers of an event in a row, the lengths of its inner lists in pairs_lengths"
    assert f"'pairs' was std::string and {said}" in notes
    with uproot.open(tmp_path / "a.root") as file:
        back = file["t"].arrays()
    assert back["pairs"].to_list() == [[1, 2], [], [3, 4, 5, 6]]
    assert back["pairs_lengths"].to_list() == [[2], [], [2, 2]]
    assert [bytes(row).decode() for row in back["words"].to_list()] == ["abc", "", "d"]
    assert back["words_lengths"].to_list() == [[2, 0, 1], [], [1]]


def test_a_name_that_is_taken_is_refused(tmp_path: Path) -> None:
    schema = Schema((Column("hits_lengths", "int32"),), tree="t")
    with pytest.raises(UsageError, match="'hits_lengths', which there is already"):
        create_writer(tmp_path / "a.root", schema, copied=[CopiedColumn("hits", "float32", 2)])
    create_writer(tmp_path / "a.root", schema, format="rntuple", copied=[CopiedColumn("hits", "float32", 2)])


def test_lists_of_their_own_lengths_in_hdf5(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["x"] = np.arange(3.0)
        file["fixed"] = np.array([b"a", b"bc", b""])
        lists = file.create_dataset("lists", 3, dtype=h5py.vlen_dtype("f4"))
        for row, values in enumerate([[1.0, 2.0], [], [3.0]]):
            lists[row] = values
    source = open_events(tmp_path / "a.h5")
    assert {one.name: one.type for one in source.copied} == {"fixed": "string", "lists": "var * float32"}
    back = ak.concatenate(list(source.batches(["fixed", "lists"])))
    assert back["fixed"].to_list() == ["a", "bc", ""]
    assert back["lists"].to_list() == [[1, 2], [], [3]]
