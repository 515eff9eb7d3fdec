"""The ROOT macro on jets reads constituents of two files, in real ROOT."""

from pathlib import Path

import pytest

ROOT_DIR = Path(__file__).parents[2]
JETS = ROOT_DIR / "tests" / "data" / "jets.root"


def test_masses_of_two_files_are_drawn(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    root = pytest.importorskip("ROOT")
    picture = tmp_path / "picture.png"
    macro = ROOT_DIR / "examples" / "root" / "jets.C"
    assert int(root.gROOT.ProcessLine(f'.x {macro}("{JETS}", "{JETS}", "{picture}")')) == 0
    assert picture.read_bytes().startswith(b"\x89PNG")
    root.gSystem.Exec("true")
    lines = [line for line in capfd.readouterr().out.splitlines() if "mean" in line]
    assert len(lines) == 2
    assert lines[0] == lines[1]
