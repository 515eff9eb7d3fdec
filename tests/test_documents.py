"""The documents say what the code does."""

import importlib.util
import re
from pathlib import Path

import pytest

from hepgen import __version__, errors
from hepgen.evaluation.headlines import HEADLINES

ROOT = Path(__file__).parents[1]
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), *ROOT.glob("examples/**/*.md")])


def test_the_page_on_recipes_lists_every_key() -> None:
    spec = importlib.util.spec_from_file_location("make_recipes", ROOT / "docs" / "make_recipes.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    assert module.PAGE.read_text(encoding="utf-8") == module.page(), "run: python docs/make_recipes.py"


def test_the_page_on_exit_codes_lists_every_error() -> None:
    page = (ROOT / "docs" / "exit-codes.md").read_text()
    listed = {int(code) for code in re.findall(r"^\| `(\d+)` ", page, flags=re.MULTILINE)}
    family = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, errors.HepgenError)]
    assert {kind.exit_code for kind in family} <= listed
    assert {0, 1, 2, 3, 4, 5, 75, 85, 130, 143} == listed


def test_the_page_on_scores_explains_every_one_of_the_short_table() -> None:
    page = (ROOT / "docs" / "evaluation.md").read_text(encoding="utf-8")
    named = re.findall(r"`([\w.]+)`", page)
    families = tuple(name.removesuffix("...") for name in named if name.endswith("..."))
    assert [name for name in HEADLINES if name not in named and not name.startswith(families)] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_to_files(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#]+)[^)]*\)", page.read_text(encoding="utf-8")):
        if not target.startswith(("http", "mailto")):
            assert (page.parent / target).exists(), f"{page.name} points to {target}"


def test_the_citation_names_this_version() -> None:
    assert f"version: {__version__}\n" in (ROOT / "CITATION.cff").read_text()
