"""What measures the speed of a morph: the time of a process, and the copy that it is compared to."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import uproot
from morph_speed import Usage, copy, usage_of

QCD = Path(__file__).parents[1] / "data" / "dijets_qcd.root"


def test_the_time_of_a_process_is_its_own() -> None:
    idle = usage_of([sys.executable, "-c", "import time; time.sleep(0.5)"])
    assert idle.wall >= 0.5 > idle.cpu > 0
    assert Usage(2.0, 1.0).row("morph", 1000).split() == [
        "morph",
        "500",
        "events/s",
        "wall",
        "1000.00",
        "us",
        "CPU/event",
    ]
    with pytest.raises(subprocess.CalledProcessError):
        usage_of([sys.executable, "-c", "raise SystemExit(3)"])


def test_the_reference_writes_every_column_as_often_as_it_is_asked(tmp_path: Path) -> None:
    copy(str(QCD), "events", 3, str(tmp_path / "out.root"))
    before, after = (uproot.open({str(path): "events"}).arrays(library="np") for path in (QCD, tmp_path / "out.root"))
    assert set(before) == set(after)
    for name, column in before.items():
        assert np.array_equal(np.tile(column, 3), after[name])
