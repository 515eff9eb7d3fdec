"""What ``hepgen evaluate`` leaves out of the reference."""

from __future__ import annotations

from pathlib import Path

import pytest

from hepgen.cli.console import Output
from hepgen.cli.judge import Judge
from hepgen.config.load import parse_recipe
from hepgen.events.jets import find_jets
from hepgen.events.reader import open_events
from hepgen.events.split import SplitRule

DATA = Path(__file__).parents[1] / "data"
MUONS = str(DATA / "muons.root")


@pytest.mark.parametrize("objects", [None, "Muon"])
def test_the_events_that_are_left_are_counted_as_what_they_are(
    objects: str | None, capsys: pytest.CaptureFixture[str]
) -> None:
    data = {"files": [MUONS], "objects": objects} if objects else {"files": [MUONS]}
    recipe = parse_recipe({"name": "muons", "data": data, "representation": {"kind": "table"}})
    judge = Judge(recipe, None, SplitRule("fraction", test=0.3), ({"path": MUONS},))
    left = judge.held_out(judge.open(MUONS, 1 << 25), MUONS, Output())
    said = capsys.readouterr().err
    assert ("objects of its test events" in said) == (objects is not None)
    assert f" {left.num_events} " in said


def test_a_recipe_of_clouds_judges_jets_by_its_conditions_and_names() -> None:
    schema = open_events(DATA / "jets.root").schema
    cloud = {"kind": "particle_cloud", "conditions": ["jet_pdgid"]}
    recipe = {"name": "jets", "data": {"files": ["jets.root"]}, "generator": "matching"}
    found = Judge(parse_recipe({**recipe, "representation": cloud})).options(schema, schema)
    assert (found["kind"], found["conditions"]) == ("jets", ["jet_pt", "jet_pdgid"])
    assert found["jets"] == find_jets(schema)
    named = {**cloud, "roles": {"jet_mass": "jet_eta"}}  # any other column
    assert (
        Judge(parse_recipe({**recipe, "representation": named})).options(schema, schema)["jets"].jet_mass == "jet_eta"
    )
