from __future__ import annotations

from pathlib import Path

import pytest

from hepgen.cli.recipes import read_recipe
from hepgen.errors import ConfigError

RECIPE = "name: x\ndata: {files: [missing.root]}\nrepresentation: {kind: table}\n"


@pytest.mark.parametrize(
    ("setting", "what", "caret"),
    [
        ("data.cut=met >> 30", "unexpected '>'", "> 30"),
        ("data.cut=sqr(met) > 3", "no function 'sqr'", "sqr(met) > 3"),
        ("data.derived={a: met, double: 2 * (met}", "the expression ends too early", ""),
    ],
)
def test_a_fault_of_an_expression_is_found_before_any_file_is_opened(
    tmp_path: Path, setting: str, what: str, caret: str
) -> None:
    (tmp_path / "recipe.yaml").write_text(RECIPE)
    with pytest.raises(ConfigError) as caught:
        read_recipe(tmp_path / "recipe.yaml", [setting])
    assert caught.value.what == what
    text, marks = caught.value.where.split("\n")
    assert text.split(": ")[0] in {"data.cut", "data.derived.double"}
    assert text[marks.index("^") :] == caret
    assert caught.value.hint


def test_a_recipe_with_sound_expressions_is_read(tmp_path: Path) -> None:
    (tmp_path / "recipe.yaml").write_text(RECIPE)
    assert read_recipe(tmp_path / "recipe.yaml", ["data.cut=met > 30"]).data.cut == "met > 30"


@pytest.mark.parametrize(
    "arguments", [("train", "recipe.yaml", "--dry-run"), ("evaluate", "a.root", "b.root", "--recipe", "recipe.yaml")]
)
def test_the_commands_name_the_key(call, tmp_path: Path, arguments: tuple[str, ...]) -> None:
    (tmp_path / "recipe.yaml").write_text(RECIPE.replace("]}", "], cut: met >> 30}"))
    done = call(*arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert "where: data.cut: met >> 30 (at '> 30')" in done.stderr
