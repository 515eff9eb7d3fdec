"""Jets in the layout of JetNet and back."""

from __future__ import annotations

from typing import Any

import awkward as ak
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hepgen.errors import InputFileError, RowError, UsageError
from hepgen.events.conversion import Conversion
from hepgen.events.jetnet import from_jetnet, to_jetnet
from hepgen.events.schema import Column, Schema
from hepgen.events.source import MemorySource

EPSILON = 2**-22  # two roundings of float32
NAMES = ("pt", "eta", "phi", "energy")
LISTS = tuple(Column(f"part_{name}", "float64", jagged=True, counter="npart") for name in NAMES)
OF_JET = tuple(Column(f"jet_{name}", "float64", unit="GeV") for name in ("pt", "eta", "phi", "mass"))
SCHEMA = Schema((*OF_JET, Column("npart", "int32"), *LISTS), tree="jets")


def apply(conversion: Conversion, events: ak.Array, schema: Schema) -> Any:
    (batch,) = MemorySource(events, schema).numbered_batches(conversion.columns)
    return conversion.apply(batch)


def a_jet(**changes: Any) -> ak.Array:
    columns = {
        "jet_pt": [60.0], "jet_eta": [0.5], "jet_phi": [3.0], "jet_mass": [7.0], "npart": [3],
        "part_pt": [[10.0, 30.0, 20.0]], "part_eta": [[0.4, 0.5, 0.6]], "part_phi": [[3.1, -3.1, 2.9]],
        "part_energy": [[12.0, 36.0, 25.0]], **changes,
    }  # fmt: skip
    return ak.Array(columns)


@st.composite
def jets(draw: st.DrawFn) -> ak.Array:
    """A few jets of massless constituents, with their sums roughly."""
    seed, counts = draw(st.integers(0, 2**32)), draw(st.lists(st.integers(0, 12), min_size=1, max_size=6))
    rng = np.random.default_rng(seed)
    rows, total = len(counts), sum(counts)
    owner = np.repeat(np.arange(rows), counts)
    jet_eta, jet_phi = rng.uniform(-2, 2, rows), rng.uniform(-np.pi, np.pi, rows)
    pt, eta = rng.lognormal(2, 2, total), jet_eta[owner] + rng.normal(0, 0.3, total)
    phi = (jet_phi[owner] + rng.normal(0, 0.3, total) + np.pi) % (2 * np.pi) - np.pi
    columns = {"jet_pt": rng.lognormal(6, 1, rows), "jet_eta": jet_eta, "jet_phi": jet_phi}
    columns |= {"jet_mass": rng.lognormal(3, 1, rows), "npart": np.array(counts)}
    values = {"pt": pt, "eta": eta, "phi": phi, "energy": pt * np.cosh(eta)}
    return ak.Array(columns | {f"part_{name}": ak.unflatten(one, counts) for name, one in values.items()})


@settings(max_examples=25, deadline=None)
@given(events=jets(), particles=st.integers(1, 14))
def test_kept_constituents_come_back_to_the_precision_of_float32(events: ak.Array, particles: int) -> None:
    there = to_jetnet(SCHEMA, particles=particles)
    packed = apply(there, events, SCHEMA)
    back = apply(from_jetnet(there.schema, "ttree"), packed.events, there.schema).events
    order = ak.argsort(events.part_pt, ascending=False)
    hardest = {name: events[f"part_{name}"][order][:, :particles] for name in NAMES}
    counts = np.asarray(ak.num(hardest["pt"]))
    assert ak.num(back.part_pt).to_list() == counts.tolist()
    for name in ("pt", "eta", "mass"):
        assert np.allclose(np.asarray(back[f"jet_{name}"]), np.asarray(events[f"jet_{name}"]), rtol=EPSILON)
    assert not np.asarray(back.jet_phi).any()
    flat = {name: ak.to_numpy(ak.flatten(one)) for name, one in hardest.items()}
    found = {name: ak.to_numpy(ak.flatten(back[f"part_{name}"])) for name in NAMES}
    away = flat["phi"] - np.repeat(np.asarray(events.jet_phi), counts) - found["phi"]
    assert np.abs((away + np.pi) % (2 * np.pi) - np.pi).max(initial=0) < 4 * EPSILON
    assert np.allclose(found["pt"], flat["pt"], rtol=EPSILON)
    assert np.allclose(found["eta"], flat["eta"], rtol=EPSILON, atol=4 * EPSILON)
    assert np.allclose(found["energy"], flat["energy"], rtol=20 * EPSILON)
    cut = int(ak.sum(ak.num(events.part_pt)) - len(flat["pt"]))
    empty = int(ak.sum(ak.num(events.part_pt) == 0))
    lost = {
        f"constituents beyond the {particles} hardest of their jet": cut,
        "jets without constituents, written as such": empty,
    }
    assert packed.lost == {words: number for words, number in lost.items() if number}


def test_the_arrays_are_those_of_jetnet() -> None:
    found = apply(to_jetnet(SCHEMA, particles=4), a_jet(), SCHEMA).events
    table, features = (ak.to_numpy(found[name])[0] for name in ("particle_features", "jet_features"))
    assert features.tolist() == [60.0, 0.5, 7.0, 3.0]
    expected = [[0.0, 2 * np.pi - 6.1, 0.5, 1], [0.1, -0.1, 1 / 3, 1], [-0.1, 0.1, 1 / 6, 1], [0, 0, 0, 0]]
    assert np.allclose(table, expected, atol=1e-6)
    assert (table.dtype, features.dtype) == (np.float32, np.float32)
    clipped = apply(to_jetnet(SCHEMA, particles=2), a_jet(), SCHEMA)
    assert clipped.events.jet_features.to_list()[0][3] == 2
    assert clipped.lost == {"constituents beyond the 2 hardest of their jet": 1}


def test_units_become_gev() -> None:
    schema = SCHEMA.replace(Column(**{**vars(column), "unit": "MeV"}) for column in SCHEMA)
    (row,) = apply(to_jetnet(schema), a_jet(), schema).events.jet_features.to_list()
    assert np.allclose(row, [0.06, 0.5, 0.007, 3.0])
    silent = SCHEMA.replace(Column(**{**vars(column), "unit": ""}) for column in SCHEMA)
    assert apply(to_jetnet(silent, unit="TeV"), a_jet(), silent).events.jet_features.to_list()[0][0] == 60_000
    assert to_jetnet(silent).notes == ("the file has no unit of 'jet_pt': it is taken as GeV",)
    with pytest.raises(UsageError, match="'jet_pt' in MeV"):
        to_jetnet(schema, unit="GeV")


def test_jets_without_columns_of_their_own_are_sums() -> None:
    schema = SCHEMA.select(["part_*", "npart"])
    conversion = to_jetnet(schema)
    assert "those of the sum" in conversion.notes[1]
    features = ak.to_numpy(apply(conversion, a_jet(), schema).events.jet_features)[0]
    px, py = (np.sum([p * f(a) for p, a in ((10, 3.1), (30, -3.1), (20, 2.9))]) for f in (np.cos, np.sin))
    pz = np.sum([p * np.sinh(e) for p, e in ((10, 0.4), (30, 0.5), (20, 0.6))])
    assert np.isclose(features[0], np.hypot(px, py))
    assert np.isclose(features[2], np.sqrt(73**2 - px**2 - py**2 - pz**2))  # the energies count, though they are lost


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"part_pt": [[10.0, np.nan, 20.0]]}, "constituents that are not finite"),
        ({"part_pt": [[10.0, -1.0, 20.0]]}, "constituents of negative pt"),
        ({"part_energy": [[10.0, -11.0, 20.0]]}, "constituents of negative energy"),
        ({"jet_eta": [np.inf]}, "jets that are not finite"),
        ({"jet_pt": [0.0]}, "without a pt above 0"),
        ({"jet_pt": [-60.0]}, "without a pt above 0"),
    ],
)
def test_broken_jets_are_refused_by_their_row(changes: dict[str, Any], words: str) -> None:
    events = ak.concatenate([a_jet(), a_jet(**changes)])
    with pytest.raises(RowError, match=words) as error:
        apply(to_jetnet(SCHEMA), events, SCHEMA)
    assert error.value.row == 1


def test_constituents_of_pt_0_are_counted_and_left_out() -> None:
    done = apply(to_jetnet(SCHEMA), a_jet(part_pt=[[10.0, 0.0, 20.0]]), SCHEMA)
    assert done.events.jet_features.to_list()[0][3] == 2
    assert done.lost == {"jets with constituents of pt 0, which are none": 1}


def test_what_is_no_file_of_jets_is_told_what_jetnet_needs() -> None:
    showers = Schema((Column("incident_energy", "float32"), Column("voxel_energy", "float32", (6,))), tree="showers")
    with pytest.raises(InputFileError, match="it needs jets") as error:
        to_jetnet(showers)
    assert "incident_energy, voxel_energy[6]" in error.value.where
    relative = Schema(tuple(Column(f"part_{name}", "float32", jagged=True) for name in ("ptrel", "etarel", "phirel")))
    with pytest.raises(InputFileError, match="pt and eta of the jets"):
        to_jetnet(relative)
    with pytest.raises(UsageError, match="0 particles"):
        to_jetnet(SCHEMA, particles=0)


def test_a_negative_multiplicity_of_jetnet_is_refused_by_its_row() -> None:
    columns = (Column("jet_features", "float32", (4,)), Column("particle_features", "float32", (1, 4)))
    schema = Schema(columns, "events", "hdf5", "jetnet")
    features = np.array([[100.0, 0.2, 5.0, 1.0], [100.0, 0.2, 5.0, -1.0]], "f4")
    events = ak.Array({"jet_features": features, "particle_features": np.full((2, 1, 4), [0.1, 0.0, 1.0, 1.0], "f4")})
    with pytest.raises(RowError, match="negative multiplicities") as refused:
        apply(from_jetnet(schema, "ttree"), events, schema)
    assert refused.value.row == 1


def test_counts_that_jetnet_gives_otherwise_and_further_datasets_are_named() -> None:
    columns = (Column("jet_features", "float32", (4,)), Column("particle_features", "float32", (2, 4)))
    schema = Schema((*columns, Column("weight", "float32"), Column("jet_pt", "float32")), "events", "hdf5", "jetnet")
    table = np.array([[[0.1, 0.0, 0.5, 1], [0, 0, 0, 0]]], "f4")
    features = np.array([[100.0, 0.2, 5.0, 7.0]], "f4")
    events = ak.Array({"jet_features": features, "particle_features": table, "weight": [2.0], "jet_pt": [9.0]})
    conversion = from_jetnet(schema, "rntuple")
    done = apply(conversion, events, schema)
    assert conversion.dropped == ("jet_pt",)
    assert done.lost == {"values of num_particles that are not the number of particles in the file": 1}
    assert done.events.weight.to_list() == [2.0]
    assert done.events.event.to_list() == [0]
    assert done.events.part_pt.to_list() == [[50.0]]
