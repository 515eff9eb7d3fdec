"""The house of docs/architecture.md: imports only go from a later room to an earlier one."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "hepgen"
ROOMS = [
    ["errors"],
    ["physics", "config"],
    ["events"],
    ["representations"],
    ["generators"],
    ["classifiers"],
    ["training"],
    ["surrogate"],
    ["sampling"],
    ["morphing"],
    ["runs"],
    ["evaluation"],
    ["cli"],
]
LEVEL = {room: level for level, rooms in enumerate(ROOMS) for room in rooms}
# What a room may not import although it stands below; "torch" and its like are other packages.
FORBIDDEN = {
    "physics": {"torch", "uproot", "awkward"},
    "config": {"torch", "uproot", "awkward", "numpy"},
    "events": {"torch"},
    "generators": {"hepgen.events", "uproot", "awkward"},
    "evaluation": {"hepgen.surrogate", "hepgen.sampling", "hepgen.runs", "hepgen.training", "hepgen.generators"},
    "classifiers": {"hepgen.events", "hepgen.representations", "hepgen.generators"},
}
DISTRIBUTIONS = {"ot": "pot", "pydantic_core": "pydantic", "sklearn": "scikit-learn", "yaml": "pyyaml"}
MODULES = sorted(PACKAGE.rglob("*.py"))


def room_of(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imports_of(path: Path) -> set[str]:
    found: set[str] = set()
    tree = ast.parse(path.read_text(encoding="utf-8"))
    only_types = {
        id(child)
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)
        for child in ast.walk(node)
    }
    for node in ast.walk(tree):
        if id(node) in only_types:
            continue
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module)
    return found


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_imports_only_go_down(path: Path) -> None:
    room = room_of(path)
    if room == "__init__":
        return
    for name in imports_of(path):
        if name.startswith("hepgen."):
            other = name.split(".")[1]
            assert other == room or LEVEL[other] < LEVEL[room], f"{room} imports {name}"
        for forbidden in FORBIDDEN.get(room, ()):
            assert not f"{name}.".startswith(f"{forbidden}."), f"{room} imports {name}"


def test_every_room_is_on_the_page_of_the_house() -> None:
    page = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    rooms = {room_of(path) for path in MODULES} - {"__init__"}
    assert rooms == set(LEVEL)
    assert all(re.search(rf"\| `{room}(/|\.py)` \|", page) for room in rooms)


def test_what_is_imported_is_declared_and_pinned() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    declared = {re.split(r"[^\w-]", text, maxsplit=1)[0] for text in project["dependencies"]}
    pinned = set(re.findall(r"^([\w-]+)==", (ROOT / "constraints.txt").read_text().lower(), flags=re.MULTILINE))
    modules = {name.split(".")[0] for path in MODULES for name in imports_of(path)}
    foreign = modules - {"hepgen"} - sys.stdlib_module_names
    assert {DISTRIBUTIONS.get(name, name) for name in foreign} - declared == set()
    assert declared - pinned == set()


def test_no_module_needs_a_table_of_contents() -> None:
    assert [str(path) for path in MODULES if len(path.read_text().splitlines()) > 350] == []


def test_no_user_input_is_checked_by_assert() -> None:
    asserts = [
        f"{path}:{node.lineno}"
        for path in MODULES
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Assert)
    ]
    assert asserts == []


def test_the_command_line_imports_nothing_heavy() -> None:
    heavy = ("torch", "uproot", "awkward", "matplotlib", "numpy", "h5py", "scipy", "sklearn")
    code = f"import sys, hepgen.cli.main; print([m for m in {heavy!r} if m in sys.modules])"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "[]"
