"""The example that reads jets with coffea runs on a file that hepgen wrote, and on the one that it was written from."""

import runpy
import sys
from pathlib import Path

import pytest

from hepgen.events.convert import convert_file
from hepgen.events.reader import open_events

ROOT_DIR = Path(__file__).parents[2]
JETS = ROOT_DIR / "tests" / "data" / "jets.root"


@pytest.mark.filterwarnings("ignore")
def test_coffea_reads_what_hepgen_writes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("coffea", reason="coffea is not installed")
    written = tmp_path / "written.root"
    convert_file(open_events(JETS), written, "ttree")
    script = ROOT_DIR / "examples" / "jets" / "nanoevents.py"
    monkeypatch.setattr(sys, "argv", [str(script), str(JETS), str(written)])
    runpy.run_path(str(script), run_name="__main__")
    _, *rows = (line.split() for line in capsys.readouterr().out.splitlines())
    assert [row[1] for row in rows] == ["360", "360"]
    assert rows[0][1:] == rows[1][1:]
    assert float(rows[0][4]) < 0.5  # GeV: constituents are rounded to 14 bits
