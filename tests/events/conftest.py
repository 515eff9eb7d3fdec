"""Real ROOT as the oracle, and a tree of every kind of branch written by it."""

from __future__ import annotations

import warnings
from array import array
from pathlib import Path
from types import ModuleType

import pytest

DATA = Path(__file__).parents[1] / "data"


@pytest.fixture(scope="session")
def root() -> ModuleType:
    """Real ROOT; the tests that need it are skipped where there is none."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        module = pytest.importorskip("ROOT")
        module.gROOT.SetBatch(True)
        module.gErrorIgnoreLevel = module.kError
    return module


@pytest.fixture(scope="session")
def all_branches(root: ModuleType, tmp_path_factory: pytest.TempPathFactory) -> str:
    """50 entries in ``folder/events``: scalars, fixed and variable arrays, vectors, and what cannot be read."""
    path = str(tmp_path_factory.mktemp("root") / "all.root")
    root.gInterpreter.Declare("struct HepgenTwoLeaves { float a; int b; };")
    with root.TFile.Open(path, "RECREATE") as file:
        folder = file.mkdir("folder")
        folder.cd()
        tree = root.TTree("events", "every kind of branch")
        scalars = {}
        for code, leaf in zip("bBhHiIlLfd", "BbSsIiLlFD", strict=True):
            scalars[leaf] = array("q" if code == "l" else "Q" if code == "L" else code, [0])
            tree.Branch(f"x{leaf}", scalars[leaf], f"x{leaf}/{leaf}")
        flag = array("b", [0])
        tree.Branch("flag", flag, "flag/O")
        grid = array("f", [0] * 6)
        tree.Branch("grid", grid, "grid[2][3]/F")
        number, listed, pairs = array("i", [0]), array("d", [0] * 4), array("f", [0] * 12)
        tree.Branch("number", number, "number/I")
        tree.Branch("listed", listed, "listed[number]/D")
        tree.Branch("pairs", pairs, "pairs[number][3]/F")
        leaves = root.HepgenTwoLeaves()
        tree.Branch("two", leaves, "a/F:b/I")
        vectors = {
            kind: root.std.vector(kind)() for kind in ("float", "double", "int", "short", "unsigned long", "bool")
        }
        for kind, values in vectors.items():
            tree.Branch(f"vector_{kind.replace(' ', '_')}", values)
        nested = root.std.vector("std::vector<float>")()
        text, words = root.std.string(), root.std.vector("std::string")()
        momentum, table = root.TLorentzVector(), root.std.map("int", "float")()
        for name, values in (
            ("nested", nested),
            ("text", text),
            ("words", words),
            ("momentum", momentum),
            ("table", table),
        ):
            tree.Branch(name, values)
        for entry in range(50):
            for values in scalars.values():
                values[0] = entry
            flag[0] = entry % 2
            for k in range(6):
                grid[k] = entry + k
            number[0] = entry % 4
            for k in range(number[0]):
                listed[k] = entry + k
            leaves.a, leaves.b = entry, -entry
            for values in (*vectors.values(), nested, words):
                values.clear()
            for k in range(entry % 5):
                for kind, values in vectors.items():
                    values.push_back(k % 2 == 0 if kind == "bool" else entry + k)
                words.push_back("word")
            nested.push_back(vectors["float"])
            tree.Fill()
        folder.WriteObject(tree, "events")
    return path
