"""What ``hepgen evaluate`` leaves out of the reference."""

from __future__ import annotations

from pathlib import Path

import pytest

from hepgen.cli.console import Output
from hepgen.cli.judge import Judge
from hepgen.config.load import parse_recipe
from hepgen.events.split import SplitRule

MUONS = str(Path(__file__).parents[1] / "data" / "muons.root")


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
