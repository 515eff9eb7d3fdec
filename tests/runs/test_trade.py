"""A density that is carried to values of a parameter at which no event was seen: from a file to a file."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import uproot

from hepgen.config.load import parse_recipe
from hepgen.config.morph import MorphRecipe
from hepgen.errors import ConditionRangeError, ConfigError
from hepgen.events.reader import open_events
from hepgen.morphing.apply import morph_to_file
from hepgen.morphing.model import MorphModel
from hepgen.morphing.wanted import SetConditions
from hepgen.runs.morph import train_morph
from hepgen.sampling.conditions import parse_law

SMALL = {"layers": 2, "hidden": [24], "bins": 8, "activation": "silu"}
PLANE = {"scale": "affine", "low": -8.0, "high": 8.0}
PARAMETER = {"scale": "affine", "low": -1.0, "high": 1.0}


def _events(path: Path, size: int = 4000, parameter: float = 0.0) -> Path:
    x = np.random.default_rng(0).normal(size=(size, 2)) * math.exp(-parameter / 2)
    with uproot.recreate(path) as file:
        file["events"] = {
            "x": x[:, 0],
            "y": x[:, 1],
            "c": np.full(size, parameter),
            "number": np.arange(size, dtype=np.int32),
        }
    return path


def _recipe(path: Path, steps: int = 1, **changed: Any) -> MorphRecipe:
    columns = {"x": PLANE, "y": PLANE, "c": PARAMETER} | changed.pop("columns", {})
    recipe = parse_recipe(
        {
            "task": "morph", "name": "t", "source": {"files": [str(path)]}, "target": {"files": [str(path)]},
            "columns": ["x", "y"], "method": "trade",
            "representation": {"kind": "table", "conditions": ["c"], "columns": columns},
            "options": {"trade": {"derivative": "-exp(c) * (x**2 + y**2) / 2", **SMALL, **changed}},
            "training": {"steps": steps, "batch_size": 256, "learning_rate": 5e-3, "ema": 0.98},
        }
    )  # fmt: skip
    assert isinstance(recipe, MorphRecipe)
    return recipe


def test_events_are_moved_to_a_temperature_that_none_of_them_had(tmp_path: Path) -> None:
    path = _events(tmp_path / "events.root")
    train_morph(_recipe(path, 300), tmp_path / "run", seed=1)
    model = MorphModel.load(tmp_path / "run")
    for c in (-0.6, 0.6):
        wanted = SetConditions([parse_law(f"c={c}")], model)
        summary = morph_to_file(model, open_events(str(path)), tmp_path / f"{c}.root", wanted=wanted, seed=2)
        moved = uproot.open(tmp_path / f"{c}.root")["events"].arrays(library="np")
        assert summary.outside == 0
        assert np.all(moved["c"] == c)
        assert np.array_equal(moved["number"], np.arange(4000))
        for name in ("x", "y"):
            assert moved[name].std() == pytest.approx(math.exp(-c / 2), rel=0.06)
    with pytest.raises(ConditionRangeError, match=r"c = 1\.5 is outside the range of the training, -1 to 1"):
        SetConditions([parse_law("c=1.5")], model)


@pytest.mark.parametrize(
    ("changed", "words", "where"),
    [
        ({"columns": {"c": {}}}, "the condition 'c' has one value", "representation.columns.c"),
        ({"columns": {"c": {"low": -1.0, "high": 1.0}}}, "not encoded by a straight line", "representation.columns.c.scale"),
        ({"columns": {"c": {"scale": "affine"}}}, "of one value", "representation.columns.c.scale"),
        ({"derivative": "-energy"}, "no column 'energy'", "-energy"),
        ({"derivative": "log(x)"}, "the derivative is nan at x = -", "options.trade.derivative"),
        ({"derivative": "x +"}, "x +", "x +"),
    ],
)  # fmt: skip
def test_what_says_nothing_of_other_values_is_refused(
    changed: dict[str, Any], words: str, where: str, tmp_path: Path
) -> None:
    recipe = _recipe(_events(tmp_path / "events.root", 400), **changed)
    with pytest.raises(ConfigError) as caught:
        train_morph(recipe, tmp_path / "run", seed=1)
    assert words in str(caught.value)
    assert where in str(caught.value)
    if "nan at" not in words:  # that one shows in the training
        assert not (tmp_path / "run").exists()


def test_a_recipe_names_one_parameter_and_its_derivative(tmp_path: Path) -> None:
    path = _events(tmp_path / "events.root", 400)
    recipe = _recipe(path)
    two = recipe.representation.model_copy(update={"conditions": ["c", "number"]})
    with pytest.raises(ConfigError, match="along one condition, here there are 2"):
        train_morph(recipe.model_copy(update={"representation": two}), tmp_path / "run", seed=1)
    with pytest.raises(ConfigError, match=r"the method 'trade' needs options\.trade\.derivative"):
        parse_recipe({**recipe.model_dump(mode="json"), "options": {}})
