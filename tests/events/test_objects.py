"""Object mode: objects become rows and are nested again."""

from __future__ import annotations

import awkward as ak
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from paths import DATA

from hepgen.errors import ConfigError, InputFileError
from hepgen.events.objects import explode, joined, nest, nested_schema, object_counts
from hepgen.events.reader import open_events
from hepgen.events.schema import Column, Schema
from hepgen.events.source import MemorySource
from hepgen.events.split import PARTS, SplitRule, split_source

SCHEMA = Schema(
    (
        Column("nJet", "int64"),
        Column("Jet_pt", "float64", jagged=True, counter="nJet"),
        Column("Jet_id", "int64", jagged=True, counter="nJet"),
        Column("met", "float64"),
        Column("vertex", "float64", (3,)),
        Column("GenJet_pt", "float64", jagged=True),
    )
)


def make_events(counts: list[int]) -> ak.Array:
    total, rng = sum(counts), np.random.default_rng(1)
    columns = {
        "nJet": np.array(counts),
        "Jet_pt": ak.unflatten(rng.random(total), counts),
        "Jet_id": ak.unflatten(np.arange(total), counts),
        "met": rng.random(len(counts)),
        "vertex": rng.random((len(counts), 3)),
        "GenJet_pt": ak.unflatten(rng.random(total), counts),
    }
    return ak.zip(columns, depth_limit=1)


@settings(max_examples=40, deadline=None)
@given(st.lists(st.integers(0, 5), min_size=1, max_size=20), st.integers(1, 7))
def test_nest_undoes_explode(counts: list[int], batch_size: int) -> None:
    events = make_events(counts)
    source = MemorySource(events, SCHEMA, batch_size=batch_size)
    rows = explode(source, "Jet", ["met", "vertex", "GenJet_pt"])
    assert rows.num_events == sum(counts)
    batches = list(rows.batches())
    if not batches:
        return
    exploded = ak.concatenate(batches)
    nested = nest(exploded, object_counts(events, "Jet_pt"), rows.elements)
    back = joined(events, nested)
    assert all(ak.array_equal(back[name], events[name]) for name in events.fields)
    assert np.array_equal(exploded["met"], np.repeat(ak.to_numpy(events["met"]), counts))
    assert np.array_equal(ak.to_numpy(exploded["vertex"]), np.repeat(ak.to_numpy(events["vertex"]), counts, axis=0))
    assert np.array_equal(exploded["GenJet_pt"], ak.flatten(events["GenJet_pt"]))


def test_the_schema_of_rows_and_of_the_output() -> None:
    rows = explode(MemorySource(make_events([2, 1]), SCHEMA), "Jet", ["met"])
    assert rows.schema.names == ("met", "Jet_pt", "Jet_id")
    assert not any(column.jagged for column in rows.schema)
    assert (rows.elements, rows.given, rows.counter) == (("Jet_pt", "Jet_id"), ("met",), "nJet")
    assert nested_schema(rows, rows.given).names == ("nJet", "Jet_pt", "Jet_id", "met")


def test_a_collection_may_be_named_by_its_counter() -> None:
    source = open_events(DATA / "hzz.root")
    assert explode(source, "NJet").elements == explode(source, "Jet").elements
    assert len(explode(source, "Jet").elements) == 6


def test_no_such_collection_gets_a_suggestion() -> None:
    with pytest.raises(ConfigError, match="did you mean 'Muon'"):
        explode(open_events(DATA / "muons.root"), "Muons")


def test_lists_of_other_lengths_cannot_be_given() -> None:
    events = make_events([2, 3])
    events["GenJet_pt"] = ak.Array([[1.0, 2.0], [1.0]])
    with pytest.raises(InputFileError, match="has 1 elements where 'Jet_pt' has 3") as caught:
        list(explode(MemorySource(events, SCHEMA), "Jet", ["GenJet_pt"]).batches())
    assert caught.value.where == "entry 1"


def test_counts_that_do_not_add_up_are_refused() -> None:
    with pytest.raises(InputFileError, match="3 objects"):
        nest(ak.Array({"pt": [1.0, 2.0, 3.0]}), np.array([1, 1]))


def test_the_objects_of_an_event_stay_in_one_part() -> None:
    source = open_events(DATA / "muons.root", memory=20_000)
    rows = explode(source, "Muon")
    rule = SplitRule("fraction", validation=0.3, test=0.3)
    found = {
        part: set(np.concatenate([b.entry for b in split_source(rows, rule, part).numbered_batches()]))
        for part in PARTS
    }
    assert not found["train"] & found["test"]
    assert not found["train"] & found["validation"]
    events = {part: split_source(source, rule, part) for part in PARTS}
    for part in PARTS:
        assert sum(len(b) for b in explode(events[part], "Muon").batches()) == sum(
            len(b) for b in split_source(rows, rule, part).batches()
        )
