"""The ROOT macro in examples/root draws one quantity from two files, in real ROOT."""

from pathlib import Path
from typing import Any

import pytest

ROOT_DIR = Path(__file__).parents[2]
MACRO = ROOT_DIR / "examples" / "root" / "compare.C"
TTBAR = ROOT_DIR / "tests" / "data" / "ttbar.root"
MUONS = ROOT_DIR / "tests" / "data" / "muons.root"


@pytest.fixture(scope="module")
def root() -> Any:
    return pytest.importorskip("ROOT")


def compare(root: Any, first: Path, second: Path, *arguments: str) -> int:
    quoted = ", ".join(f'"{argument}"' for argument in (first, second, *arguments))
    return int(root.gROOT.ProcessLine(f".x {MACRO}({quoted})"))


@pytest.mark.parametrize(
    ("path", "tree", "expression", "selection"),
    [
        (TTBAR, "events", "m_lv", "met > 30"),
        (MUONS, "Events", "Muon_pt", "Muon_pt < 100"),
    ],
)
def test_a_picture_is_drawn(root: Any, tmp_path: Path, path: Path, tree: str, expression: str, selection: str) -> None:
    picture = tmp_path / "picture.png"
    assert compare(root, path, path, tree, expression, str(picture), selection) == 0
    assert picture.read_bytes().startswith(b"\x89PNG")


@pytest.mark.filterwarnings("ignore:The selected TTree subset is empty:RuntimeWarning")
@pytest.mark.parametrize(
    ("tree", "expression", "selection"),
    [("Events", "m_jjj", ""), ("events", "m_jjjj", ""), ("events", "m_jjj", "m_jjj < -1")],
)
def test_nothing_is_drawn_of_what_is_not_there(
    root: Any, tmp_path: Path, tree: str, expression: str, selection: str
) -> None:
    picture = tmp_path / "picture.png"
    assert compare(root, TTBAR, TTBAR, tree, expression, str(picture), selection) != 0
    assert not picture.exists()
