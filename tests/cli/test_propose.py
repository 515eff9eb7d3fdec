from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import awkward as ak
import numpy as np
import pytest

from hepgen.cli.propose import propose_recipe
from hepgen.cli.propose_morph import propose_morph
from hepgen.config.load import parse_recipe
from hepgen.config.yaml import format_yaml, parse_yaml
from hepgen.errors import InputFileError, UsageError
from hepgen.events.schema import Column, Schema, schema_of
from hepgen.events.source import MemorySource
from hepgen.events.summary import ColumnSummary, Description, describe
from hepgen.physics.binning import Binning


def seen(*columns: Column, convention: str = "", low: float = 0.0, high: float = 1.0) -> Description:
    summaries = tuple(ColumnSummary(column, low=low, high=high, values=10) for column in columns)
    return Description(Schema(columns, tree="events", convention=convention), 10, summaries)


def proposed(description: Description, binning: str | None = None, tree: str | None = None) -> dict[str, Any]:
    text = propose_recipe(["data/some file.root"], description, binning, tree)
    assert text.startswith("# printed by")
    raw = parse_yaml(text)
    parse_recipe(raw)
    assert isinstance(raw, dict)
    return raw


SHOWERS = (Column("incident_energy", "float32", unit="MeV"), Column("voxel_energy", "float32", (368,), unit="MeV"))


def test_showers_become_a_calorimeter_with_absolute_paths() -> None:
    recipe = proposed(seen(*SHOWERS, Column("eta", "float32"), convention="calochallenge"), "binning.xml")
    assert recipe["name"] == "some-file"
    assert recipe["data"] == {"files": [str(Path("data/some file.root").absolute())]}
    assert recipe["representation"] == {
        "kind": "calorimeter",
        "binning": str(Path("binning.xml").absolute()),
        "conditions": ["eta"],
    }


def test_showers_without_a_binning_are_refused_with_the_way_out() -> None:
    with pytest.raises(UsageError, match="--binning"):
        proposed(seen(*SHOWERS, convention="calochallenge"))


def test_jets_are_conditioned_on_their_type_and_pt() -> None:
    lists = [Column(f"part_{name}", "float32", jagged=True, counter="npart") for name in ("pt", "eta", "phi", "d0")]
    scalars = [Column(name, "float32") for name in ("jet_pt", "jet_mass", "weight")]
    further = [Column("npart", "int32"), Column("event", "uint64"), Column("image", "float32", (40, 40))]
    description = seen(*lists, *scalars, *further, Column("jet_type", "int32"))
    description.columns[-1].distinct = {1, 6, 21}
    recipe = proposed(description)
    assert recipe["data"]["columns"] == ["*", "!event", "!image"]
    assert recipe["data"]["weight"] == "weight"
    assert recipe["representation"]["kind"] == "particle_cloud"
    assert recipe["representation"]["conditions"] == ["jet_type", "jet_pt"]
    assert recipe["generator"] == "matching"


@pytest.mark.parametrize(("name", "turned"), [("d0", False), ("charge", True), ("deta", True), ("energy", True)])
def test_jets_with_signed_displacements_are_not_turned_in_training(name: str, turned: bool) -> None:
    lists = [Column(f"part_{one}", "float32", jagged=True) for one in ("pt", "eta", "phi", name)]
    description = seen(*lists)
    description.columns[-1].low = -1.0
    assert ("augment" in proposed(description)["representation"]) is turned


@pytest.mark.parametrize("name", ["weight", "genWeight", "mc_weight", "EventWeight", "w"])
def test_a_column_of_weights_is_known_by_its_name(name: str) -> None:
    recipe = proposed(seen(*(Column(one, "float32") for one in ("a", "b", name))))
    assert recipe["data"]["weight"] == name


def test_a_table_leaves_out_event_numbers_counters_and_jagged_columns() -> None:
    description = seen(
        *(Column(name, "float32") for name in ("met", "ht", "mass")),
        Column("nJet", "int32"),
        Column("Jet_pt", "float32", jagged=True, counter="nJet"),
        Column("Jet_eta", "float32", jagged=True, counter="nJet"),
        Column("hits", "float32", (3000,)),
        Column("event", "uint64"),
        Column("evt", "int32"),
        Column("weight", "float64"),
    )
    recipe = proposed(description, tree="events")
    assert recipe["data"]["columns"] == ["*", "!nJet", "!Jet_*", "!hits", "!evt"]
    assert recipe["data"]["weight"] == "weight"
    assert recipe["data"]["tree"] == "events"
    assert recipe["representation"] == {"kind": "table"}
    assert description.schema.select(recipe["data"]["columns"]).names == ("met", "ht", "mass", "event", "weight")


def test_a_plain_table_needs_no_list_of_columns() -> None:
    assert "columns" not in proposed(seen(*(Column(name, "float32") for name in "abc")))["data"]


def test_events_of_objects_become_object_mode() -> None:
    muons = [Column(f"Muon_{name}", "float32", jagged=True, counter="nMuon") for name in ("pt", "eta", "mass")]
    recipe = proposed(seen(Column("nMuon", "uint32"), *muons, Column("Muon_cov", "float32", (3,), jagged=True)))
    assert recipe["data"]["objects"] == "Muon"
    assert recipe["data"]["columns"] == ["Muon_*", "!Muon_cov"]


def test_the_proposal_for_jets_is_the_ready_recipe_for_them() -> None:
    lists = [Column(f"part_{name}", "float32", jagged=True) for name in ("pt", "eta", "phi")]
    recipe = proposed(seen(*lists))
    ready = parse_yaml((Path(__file__).parents[2] / "configs/jets.yaml").read_text(encoding="utf-8"))
    for key in ("generator", "options", "stages", "training"):
        assert recipe[key] == ready[key]
    for key in ("augment", "prongs"):
        assert recipe["representation"][key] == ready["representation"][key]


def test_the_proposal_for_images_is_the_ready_recipe_for_them(tmp_path: Path) -> None:
    axis = {"bins": 5, "low": -1.0, "high": 1.0}
    grid = {"pixels": {"x_edges": axis, "y_edges": axis}, "length_unit": ""}
    (tmp_path / "grid.yaml").write_text(format_yaml(grid))
    images = seen(Column("jet_pt", "float32"), Column("image", "float32", (5, 5)))
    geometry = Binning.from_dict(grid)
    raw = parse_yaml(propose_recipe(["images.root"], images, str(tmp_path / "grid.yaml"), None, geometry))
    ready = parse_yaml((Path(__file__).parents[2] / "configs/jet_images.yaml").read_text(encoding="utf-8"))
    for key in ("generator", "options", "stages", "training"):
        assert raw[key] == ready[key]
    for key in ("empty", "shape_first", "layer_noise"):
        assert raw["representation"][key] == ready["representation"][key]


def test_a_nanoaod_file_begins_with_its_jets() -> None:
    columns = [Column(f"{name}_{key}", "float32", jagged=True) for name in ("Tau", "Jet") for key in ("pt", "eta")]
    flags = [Column(f"HLT_{number}", "bool") for number in range(9)]
    text = propose_recipe(["nano.root"], seen(*flags, *columns, convention="nanoaod"), None, None)
    assert "objects: Jet" in text
    assert "# other collections of this file: Tau" in text


def test_columns_without_a_finite_value_are_left_out() -> None:
    description = seen(*(Column(name, "float32") for name in "abcd"))
    description["b"].low, description["b"].high = math.inf, -math.inf
    assert proposed(description)["data"]["columns"] == ["*", "!b"]


def test_nothing_to_learn_is_refused() -> None:
    with pytest.raises(UsageError, match="no column of numbers"):
        proposed(seen(Column("event", "uint64"), Column("weight", "float32")))


def test_a_morph_of_jets_moves_their_numbers_and_says_how_to_move_their_constituents() -> None:
    lists = [Column(f"part_{name}", "float32", jagged=True, counter="npart") for name in ("pt", "eta", "phi")]
    jets, table = seen(*lists, Column("jet_pt", "float32")), seen(Column("jet_pt", "float32"))
    texts = [propose_morph(["a.root"], ["b.root"], both, both, None) for both in (jets, table)]
    assert ["particle_cloud" in text for text in texts] == [True, False]
    raw = parse_yaml(texts[0])
    assert isinstance(raw, dict)
    assert raw["columns"] == ["jet_pt"]


def test_a_morph_says_where_the_samples_do_not_fit() -> None:
    def looked_at(unit: str, **values: np.ndarray) -> Description:
        events = ak.Array(values)
        return describe(MemorySource(events, schema_of(events, units={"pt": unit})))

    line, turn = np.linspace(1, 100, 50), np.linspace(0, 6.2, 50)
    first = looked_at("GeV", pt=line, m=line, phi=turn)
    with pytest.raises(InputFileError, match="'pt' is in GeV in the source and in MeV in the target"):
        propose_morph(["a.root"], ["b.root"], first, looked_at("MeV", pt=line, m=line, phi=turn), None)
    with pytest.raises(InputFileError, match="'phi' runs from 0 to 2 pi in the source and from -pi to pi"):
        propose_morph(["a.root"], ["b.root"], first, looked_at("GeV", pt=line, m=line, phi=turn - 3.1), None)
    text = propose_morph(["a.root"], ["b.root"], first, looked_at("GeV", pt=line, m=line + 1000, phi=turn), None)
    assert parse_yaml(text)["columns"] == ["pt", "phi"]
    assert "nothing in common in it: m (1 to 100 in the source, 1001 to 1100 in the target)" in text
    with pytest.raises(UsageError, match="no column in common that could be moved"):
        propose_morph(["a.root"], ["b.root"], looked_at("", m=line), looked_at("", m=line + 1000), None)


def test_a_morph_leaves_counters_of_lists_alone() -> None:
    both = seen(
        Column("x", "float32"), Column("nhits", "int32"), Column("hits", "float32", jagged=True, counter="nhits")
    )
    raw = parse_yaml(propose_morph(["a.root"], ["b.root"], both, both, None))
    assert isinstance(raw, dict)
    assert raw["columns"] == ["x"]


def test_showers_are_moved_at_the_conditions_that_both_samples_have() -> None:
    grid = {
        "pixels": {"x_edges": {"bins": 5, "low": -1.0, "high": 1.0}, "y_edges": {"bins": 5, "low": -1.0, "high": 1.0}}
    }
    sides = [
        seen(Column("image", "float32", (5, 5)), *(Column(one, "float32") for one in ("jet_pt", "eta", "type")))
        for _ in "ab"
    ]
    for side, value in zip(sides, (1.0, 21.0), strict=True):
        side.columns[-1].low = side.columns[-1].high = value
    raw = parse_yaml(propose_morph(["a.root"], ["b.root"], *sides, "grid.yaml", Binning.from_dict(grid)))
    assert isinstance(raw, dict)
    assert raw["representation"]["conditions"] == ["eta"]
