from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from hepgen.config.recipe import Recipe
from hepgen.errors import ConfigError, InputFileError
from hepgen.representations.base import Stage
from hepgen.runs.data import open_data
from hepgen.runs.plan import check_stages, unfitted_representation

DATA = Path(__file__).parents[1] / "data"
STAGES = (Stage("energies", 5, 1), Stage("shapes", 368, 6))


def recipe(name: str = "ttbar.root", **changes: Any) -> Recipe:
    data = {"files": [str(DATA / name)], **changes.pop("data", {})}
    return Recipe.model_validate({"name": "plan", "data": data, "representation": {"kind": "table"}, **changes})


def test_a_stage_that_exists_may_differ() -> None:
    check_stages(recipe(stages={"shapes": {"generator": "gan"}}), STAGES)


@pytest.mark.parametrize(("name", "hint"), [("shape", "did you mean 'shapes'?"), ("x", "energies, shapes")])
def test_a_stage_that_does_not_exist_is_refused(name: str, hint: str) -> None:
    with pytest.raises(ConfigError) as caught:
        check_stages(recipe(stages={name: {}}), STAGES)
    assert caught.value.where == f"stages.{name}"
    assert hint in caught.value.hint


def test_a_cut_that_leaves_nothing_is_refused() -> None:
    wanted = recipe(data={"cut": "met > 1e9"})
    with pytest.raises(InputFileError, match="no event is left") as caught:
        unfitted_representation(wanted, open_data(wanted, hashes=False))
    assert "cut" in caught.value.hint


def test_what_is_given_in_object_mode_becomes_a_condition() -> None:
    wanted = recipe("muons.root", data={"objects": "Muon", "given": ["nMuon"], "columns": ["Muon_pt", "Muon_eta"]})
    representation = unfitted_representation(wanted, open_data(wanted, hashes=False))
    assert representation.condition_names == ("nMuon",)
