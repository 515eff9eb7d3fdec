"""docs/commands.md names every command and every option, and none that does not exist."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from typer.main import get_command

from hepgen.cli.main import app

PAGE = Path(__file__).parents[2] / "docs" / "commands.md"


def options() -> dict[str, set[str]]:
    """Long options of each command."""
    group = get_command(app)
    commands = {**group.commands, **group.commands["config"].commands}
    return {
        name: {flag for parameter in command.params for flag in parameter.opts if flag.startswith("--")}
        for name, command in commands.items()
    }


@pytest.mark.parametrize("name", ["inspect", "convert", "train", "sample", "morph", "decorrelate", "evaluate"])
def test_every_option_of_a_command_is_documented(name: str) -> None:
    text = PAGE.read_text()
    common = text[: text.index("## inspect")]
    section = text[text.index(f"## {name}") :].split("\n## ")[0]
    for flag in options()[name] - {"--help"}:
        assert re.search(rf"{flag}\b", section) or re.search(rf"{flag}\b", common), flag


def test_no_option_is_documented_that_does_not_exist() -> None:
    known = {flag for flags in options().values() for flag in flags} | {"--install-completion"}
    assert set(re.findall(r"(?<![\w-])--[a-z][a-z-]+", PAGE.read_text())) <= known
