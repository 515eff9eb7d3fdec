"""What a recipe says of its data: which columns are learned, derived, or only help."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hepgen.config.load import load_recipe, parse_recipe
from hepgen.errors import ConfigError
from hepgen.runs.data import RunData, open_data

DATA = Path(__file__).parents[1] / "data"
CONFIGS = Path(__file__).parents[2] / "configs"


def opened(**data: Any) -> RunData:
    columns = data.pop("columns", ["met", "jet1_pt", "m_jj"])
    recipe = {
        "schema_version": 1,
        "name": "data",
        "data": {"files": [str(DATA / "ttbar.root")], "columns": columns, **data},
        "representation": {"kind": "table"},
        "generator": "coupling",
    }
    return open_data(parse_recipe(recipe), hashes=False)


def test_helpers_are_neither_learned_nor_written() -> None:
    data = opened(
        columns=["met", "jet1_*"], define={"half": "met / 2", "hard": "m_jj"}, derived={"m_bb": "half + 1"},
        cut="hard > 50",
    )  # fmt: skip
    assert set(data.learned.names) == {"met", "jet1_pt", "jet1_eta", "jet1_phi", "jet1_btag"}
    assert set(data.output.names) == {*data.learned.names, "m_bb"}
    # 'hard' is made of a column that is not generated: it serves the cut, and the surrogate does not hear of it
    assert data.facts()["derived"] == {"half": "met / 2", "m_bb": "half + 1"}


def test_a_helper_of_a_derived_column_needs_generated_columns() -> None:
    with pytest.raises(ConfigError, match="'half' is made of 'm_jj', which is not generated") as caught:
        opened(columns=["met"], define={"half": "m_jj / 2"}, derived={"m_bb": "half + 1"})
    assert caught.value.where == "data.define.half"


def test_a_helper_does_not_hide_a_column_of_the_file() -> None:
    with pytest.raises(ConfigError, match="the file has a column 'met'"):
        opened(define={"met": "jet1_pt"})
    with pytest.raises(ConfigError, match="both a helper"):
        opened(define={"x": "met"}, derived={"x": "met"})


def test_the_recipe_with_derived_masses_computes_those_of_the_file() -> None:
    """The file's masses are made with the jets' own masses, which it does not hold: equal to a few per cent."""
    masses = ["m_jj", "m_jjj", "m_jlv", "m_bb", "m_wbb", "m_wwbb"]
    files = [str(DATA / "ttbar.root")]
    data = open_data(load_recipe(CONFIGS / "ttbar_derived.yaml", data=files), hashes=False)
    assert set(data.learned.names).isdisjoint(masses)
    plain = open_data(load_recipe(CONFIGS / "ttbar.yaml", data=files), hashes=False)
    assert set(data.output.names) == set(plain.output.names)
    (computed,), (true,) = list(data.events.batches(masses)), list(plain.events.batches(masses))
    for mass in masses:
        ratio = computed[mass].to_numpy() / true[mass].to_numpy()
        assert np.median(ratio) == pytest.approx(1, abs=0.005), mass
        assert np.quantile(np.abs(ratio - 1), 0.9) < 0.1, mass
