"""One pass over a file tells what it holds."""

from __future__ import annotations

import json
import math

import awkward as ak
import numpy as np
from paths import DATA

from hepgen.events.reader import open_events
from hepgen.events.schema import Column, schema_of
from hepgen.events.source import MemorySource
from hepgen.events.summary import ColumnSummary, describe


def test_showers_are_described() -> None:
    calls: list[tuple[int, int]] = []
    found = describe(open_events(DATA / "photons.hdf5", memory=1 << 19), lambda *done: calls.append(done))
    assert (found.events, found.schema.convention) == (2000, "calochallenge")
    assert found["incident_energy"].distinct == {256.0 * 2**k for k in range(7)}
    assert (found["incident_energy"].low, found["incident_energy"].high) == (256.0, 16384.0)
    assert found["voxel_energy"].distinct is None
    assert found["voxel_energy"].values == 2000 * 368
    assert calls[-1] == (2000, 2000)
    json.dumps(found.result())


def test_lists_have_lengths_and_text_is_said() -> None:
    muons = describe(open_events(DATA / "muons.root"))
    assert muons["Muon_charge"].distinct == {-1, 1}
    assert muons["Muon_pt"].lengths == [muons["nMuon"].low, muons["nMuon"].high]
    described = describe(open_events(DATA / "zmumu.root"), columns=["pt*"])
    assert described.result()["copied"] == {"Type": "char*"}


def test_values_that_are_not_finite_are_counted_and_left_out() -> None:
    events = ak.Array({"x": np.array([1.0, np.nan, np.inf, 3.0]), "empty": ak.Array([[], [], [], []])})
    found = describe(MemorySource(events, schema_of(events)))
    assert (found["x"].non_finite, found["x"].low, found["x"].high, found["x"].mean) == (2, 1.0, 3.0, 2.0)
    assert found["empty"].result()["low"] is None
    assert math.isnan(found["empty"].mean)


def test_merging_is_the_same_as_one_pass() -> None:
    rng = np.random.default_rng(3)
    values = ak.Array(rng.integers(0, 40, 1000).astype("f8"))
    column = Column("x", "float64")
    whole, first, second = (ColumnSummary(column) for _ in range(3))
    whole.update(values)
    first.update(values[:300])
    second.update(values[300:])
    first.merge(second)
    assert first.result() == whole.result()
