"""Jets with all their constituents, moved onto jets of another kind: from files to a map and through files and back."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import awkward as ak
import numpy as np
import pytest
import uproot
from tables import DATA

from hepgen.config.load import parse_recipe
from hepgen.config.methods import METHODS
from hepgen.config.morph import MorphRecipe
from hepgen.errors import ConfigError, InputFileError, Interrupted, UsageError
from hepgen.events.reader import open_events
from hepgen.events.schema import Schema
from hepgen.events.select import select_events
from hepgen.events.writer import create_writer
from hepgen.morphing.apply import Morphing, morph_to_file
from hepgen.morphing.model import MorphModel
from hepgen.morphing.summary import MorphSummary
from hepgen.morphing.wanted import SetConditions
from hepgen.physics.jets import summed
from hepgen.physics.particles import particle_mass
from hepgen.runs.morph import train_morph
from hepgen.sampling.conditions import parse_law

JETS = DATA / "jets.root"
LISTS = ["part_pt", "part_eta", "part_phi", "part_energy", "part_charge", "part_pdgid"]


def recipe(method: str = "matching", **more: Any) -> MorphRecipe:
    content = {
        "task": "morph", "name": "jets", "columns": ["*", "!jet_pdgid"], "method": method,
        "source": {"files": [str(JETS)], "cut": "jet_pdgid == 21"},
        "target": {"files": [str(JETS)], "cut": "jet_pdgid == 6"},
        "representation": {"kind": "particle_cloud", "augment": ["reflection", "rotation"]},
        "options": {"matching": {"layers": 2, "hidden": 16, "steps": 2}},
        "training": {"steps": 8, "batch_size": 32, "validate_every": 4}, "block_size": 100,
    }  # fmt: skip
    found = parse_recipe({**content, **more})
    assert isinstance(found, MorphRecipe)
    return found


def apply(model: MorphModel, out: Path, source: Path = JETS, **options: Any) -> MorphSummary:
    return morph_to_file(model, open_events(str(source)), out, seed=7, force=True, **options)


def read(path: Path) -> ak.Array:
    with uproot.open(path) as file:
        return file["jets"].arrays()


@pytest.fixture(scope="module")
def moved(tmp_path_factory: pytest.TempPathFactory) -> tuple[MorphModel, Path]:
    """A map of gluon jets onto top jets, and the file that it makes of both."""
    folder = tmp_path_factory.mktemp("jets")
    model = train_morph(recipe(), folder / "run", seed=3)
    apply(MorphModel.load(folder / "run"), folder / "moved.root", old_values=True)
    return model, folder


def test_jets_come_back_with_their_columns_and_constituents_that_sum_to_them(moved: Any) -> None:
    _, folder = moved
    made, true = open_events(folder / "moved.root"), open_events(JETS)
    shape = {one.name: (one.dtype, one.jagged, one.counter) for one in made.schema}
    assert {one.name: (one.dtype, one.jagged, one.counter) for one in true.schema}.items() <= shape.items()
    events = read(folder / "moved.root")
    counts = ak.to_numpy(ak.num(events.part_pt))
    for name in LISTS:
        assert (ak.to_numpy(ak.num(events[name])) == counts).all()
        assert (ak.to_numpy(events["n" + name]) == counts).all()
    gluons = ak.to_numpy(events.jet_pdgid) == 21
    flat = {name: ak.to_numpy(ak.flatten(events[name])).astype(float) for name in LISTS}
    mass = np.array([particle_mass(code) for code in flat["part_pdgid"].astype(int)])
    sums = summed(flat["part_pt"], flat["part_eta"], flat["part_phi"], mass, counts)
    for role in ("pt", "eta", "mass"):
        apart = np.abs(getattr(sums, role) - ak.to_numpy(events[f"jet_{role}"]))[gluons]
        assert apart.max() < 2e-4 * (1 if role == "eta" else 1000)
    assert (ak.to_numpy(ak.min(events.part_pt, axis=1)) > 0.4).all()


def test_what_is_not_of_the_source_stays_as_it_was_and_the_old_values_stand_beside_the_new(moved: Any) -> None:
    _, folder = moved
    events, before = read(folder / "moved.root"), read(JETS)
    gluons = ak.to_numpy(before.jet_pdgid) == 21
    assert (ak.to_numpy(events.morph_outside) == ~gluons).all()
    assert ak.all(events.jet_pdgid == before.jet_pdgid)
    for name in [*LISTS, "jet_mass"]:
        assert events[f"{name}_before"].to_list() == before[name].to_list()
        assert events[name][~gluons].to_list() == before[name][~gluons].to_list()
    assert np.mean(ak.to_numpy(events.jet_mass != before.jet_mass)[gluons]) > 0.99
    assert (ak.to_numpy(events.morph_distance)[gluons] > 0).all()


def test_constituents_follow_a_jet_that_is_given_another_pt(tmp_path: Path) -> None:
    conditioned = {"kind": "particle_cloud", "conditions": ["jet_pt"]}
    options = {"matching": {"layers": 2, "hidden": 16, "steps": 2, "change_condition": True}}
    model = train_morph(recipe(representation=conditioned, options=options), tmp_path / "run", seed=3)
    apply(model, tmp_path / "out.root", wanted=SetConditions([parse_law("jet_pt=700")], model))
    events, before = read(tmp_path / "out.root"), read(JETS)
    gluons = ak.to_numpy(before.jet_pdgid) == 21
    np.testing.assert_allclose(ak.to_numpy(events.jet_pt)[gluons], 700, rtol=1e-4)
    total = np.hypot(
        ak.to_numpy(ak.sum(events.part_pt * np.cos(events.part_phi), axis=1)),
        ak.to_numpy(ak.sum(events.part_pt * np.sin(events.part_phi), axis=1)),
    )
    np.testing.assert_allclose(total[gluons], 700, rtol=1e-3)


def test_a_jet_does_not_depend_on_how_many_there_are(moved: Any, tmp_path: Path) -> None:
    model, folder = moved
    whole = read(folder / "moved.root")
    few = Morphing(model, select_events(open_events(str(JETS)), keep=lambda entry, _: entry < 230), seed=7)
    found = ak.concatenate(list(few.batches()))
    assert len(found) == 230
    assert (ak.to_numpy(ak.num(found.part_pt)) == ak.to_numpy(ak.num(whole.part_pt))[:230]).all()
    np.testing.assert_allclose(
        ak.to_numpy(ak.flatten(found.part_pt)), ak.to_numpy(ak.flatten(whole.part_pt[:230])), rtol=1e-3
    )


def test_a_closure_test_looks_at_the_numbers_of_jets(tmp_path: Path) -> None:
    both = {"source": {"files": [str(JETS)]}, "training": {"steps": 4, "batch_size": 32}}
    model = train_morph(recipe(closure=True, **both), tmp_path / "run", seed=3)
    numbers = {"jet_pt", "jet_eta", "jet_phi", "jet_mass"}
    assert {*numbers, *(f"width of {name}" for name in numbers)} < set(model.facts["closure"]["shifts"])


def test_the_two_networks_are_stored_and_there_is_no_inverse_unless_it_was_learned(moved: Any, tmp_path: Path) -> None:
    model, folder = moved
    loaded = MorphModel.load(folder / "run")
    assert loaded.clouds is not None
    for name, tensor in model.clouds.state_dict().items():
        assert np.array_equal(tensor, loaded.clouds.state_dict()[name])
    assert set(model.provenance["training"]["steps"]) == {"events", "constituents"}
    with pytest.raises(UsageError, match="this map of jets with constituents has no inverse") as caught:
        apply(model, tmp_path / "back.root", inverse=True)
    assert "options.matching.inverse=true" in str(caught.value)


def test_a_way_back_that_was_learned_is_stored_and_leads_from_the_target(tmp_path: Path) -> None:
    options = {"matching": {"layers": 2, "hidden": 16, "steps": 2, "inverse": True}}
    train_morph(recipe(options=options), tmp_path / "run", seed=3)
    model = MorphModel.load(tmp_path / "run")
    apply(model, tmp_path / "back.root", inverse=True)
    events, before = read(tmp_path / "back.root"), read(JETS)
    tops = ak.to_numpy(before.jet_pdgid) == 6
    assert (ak.to_numpy(events.morph_outside) == ~tops).all()
    assert events.part_pt[~tops].to_list() == before.part_pt[~tops].to_list()
    assert np.mean(ak.to_numpy(events.jet_mass != before.jet_mass)[tops]) > 0.99
    total = ak.to_numpy(ak.sum(events.part_pt * np.cos(events.part_phi), axis=1))
    np.testing.assert_allclose(
        total[tops], ak.to_numpy(events.jet_pt * np.cos(events.jet_phi))[tops], rtol=1e-3, atol=0.1
    )


def test_a_training_that_was_left_goes_on_with_its_stages(moved: Any, tmp_path: Path) -> None:
    model, _ = moved
    with pytest.raises(Interrupted):
        train_morph(recipe(), tmp_path / "run", seed=3, max_time=0.0)
    again = train_morph(recipe(), tmp_path / "run", seed=3, resume=True)
    for name, tensor in model.clouds.state_dict().items():
        assert np.array_equal(tensor, again.clouds.state_dict()[name])


@pytest.mark.parametrize("method", [name for name, one in METHODS.items() if not one.clouds])
def test_methods_that_move_no_clouds_say_so_before_anything_is_written(method: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=f"'{method}' does not move the constituents of jets.*method: matching"):
        train_morph(recipe(method, options={"trade": {"derivative": "jet_pt"}}), tmp_path / "run", seed=3)
    assert not (tmp_path / "run").exists()


def test_a_list_of_the_constituents_that_the_model_does_not_know_is_refused(tmp_path: Path) -> None:
    """Its values would belong to constituents that are gone."""
    given = open_events(str(JETS))
    lists = [replace(given.schema[name], counter="npart") for name in LISTS]
    numbers = [given.schema[name] for name in ("jet_pt", "jet_eta", "jet_phi", "jet_mass", "jet_pdgid")]
    schema = Schema((*numbers, *lists, replace(lists[0], name="part_d0")), tree="jets")
    with create_writer(tmp_path / "shared.root", schema) as writer:
        for batch in given.batches():
            writer.write(ak.with_field(batch, batch.part_pt, "part_d0"))
    source = {"files": [str(tmp_path / "shared.root")], "cut": "jet_pdgid == 21"}
    target = {"files": [str(tmp_path / "shared.root")], "cut": "jet_pdgid == 6"}
    columns = ["*", "!jet_pdgid", "!part_d0"]
    model = train_morph(recipe(source=source, target=target, columns=columns), tmp_path / "run", seed=3)
    with pytest.raises(InputFileError, match="'part_d0' has a value for each constituent"):
        apply(model, tmp_path / "out.root", tmp_path / "shared.root")
