"""The example that reclusters jets with FastJet runs on a file of jets."""

import runpy
import sys
from pathlib import Path

import pytest

ROOT_DIR = Path(__file__).parents[2]
JETS = ROOT_DIR / "tests" / "data" / "jets.root"


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_jets_are_reclustered_and_compared(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("fastjet")
    picture = tmp_path / "picture.png"
    script = ROOT_DIR / "examples" / "jets" / "recluster.py"
    monkeypatch.setattr(sys, "argv", [str(script), str(JETS), str(JETS), "-o", str(picture), "-n", "60"])
    runpy.run_path(str(script), run_name="__main__")
    lines = capsys.readouterr().out.splitlines()
    rows = {line.split()[0]: line.split() for line in lines if line.startswith(("mass", "soft_drop_mass"))}
    assert rows["mass"][5] == "0.0000"  # a file is like itself
    assert 20 < float(rows["soft_drop_mass"][1]) < float(rows["mass"][1]) < 300
    assert picture.read_bytes().startswith(b"\x89PNG")
