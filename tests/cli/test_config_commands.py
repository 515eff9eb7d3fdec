from __future__ import annotations

import json
from pathlib import Path

import pytest

from hepgen.config.methods import METHODS
from hepgen.config.yaml import parse_yaml

RECIPE = "name: x\ndata: {files: [a.root]}\nrepresentation: {kind: table}\n"


def test_the_schema_is_json_with_descriptions(call) -> None:
    found = json.loads(call("config", "schema").stdout)
    assert found["$schema"].startswith("https://json-schema.org")
    assert found["properties"]["data"]


def test_families_are_listed_with_their_options(call) -> None:
    found = json.loads(call("config", "families", "--json").stdout)
    assert {"coupling", "gan"} <= set(found)
    assert found["coupling"]["options"]["layers"] > 0
    words = call("config", "families").stdout
    assert all(f"{name}: " in words for name in found)


def test_the_methods_of_morphing_are_listed_with_what_they_cannot_do_without(call) -> None:
    found = json.loads(call("config", "methods", "--json").stdout)
    assert set(found) == set(METHODS)
    assert found["trade"]["options"]["derivative"] is None
    assert found["flows_for_flows"]["options"]["penalty"] == "l1"
    words = call("config", "methods").stdout
    assert "derivative = (required): d/dc log q(x|c)" in words
    assert all(f"\n{name}: " in f"\n{words}" for name in METHODS)


def test_show_resolves_paths_and_settings(call, tmp_path: Path) -> None:
    (tmp_path / "recipe.yaml").write_text(RECIPE)
    done = call("config", "show", "recipe.yaml", "--set", "training.batch_size=64")
    shown = parse_yaml(done.stdout)
    assert shown["training"]["batch_size"] == 64
    assert shown["data"]["files"] == [str(tmp_path / "a.root")]
    again = json.loads(call("config", "show", "recipe.yaml", "--json", "--data", "b.root").stdout)
    assert again["data"]["files"] == [str(tmp_path / "b.root")]


@pytest.mark.parametrize(
    ("text", "arguments", "word"),
    [
        (RECIPE.replace("name:", "nmae:"), [], "did you mean 'name'?"),
        (RECIPE, ["--set", "generator=copling"], "did you mean 'coupling'?"),
        (RECIPE, ["--set", "training.batch_size=0"], "batch_size"),
        (RECIPE, ["--set", "data.cut=met >> 30"], "data.cut: met >> 30 (at '> 30')"),
        (RECIPE, ["--set", "data.derived={double: 2 * (met}"], "data.derived.double: 2 * (met (at its end)"),
        ("- a\n- b\n", [], "not a recipe"),
        ("name: [", [], "not YAML"),
    ],
)
def test_a_wrong_recipe_is_three_lines(call, tmp_path: Path, text: str, arguments: list[str], word: str) -> None:
    (tmp_path / "recipe.yaml").write_text(text)
    done = call("config", "show", "recipe.yaml", *arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert len(done.stderr.splitlines()) == 3
    assert word in done.stderr
