"""How the tests of the command line run a command: in a process of its own, or in this one."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from hepgen.cli import console
from hepgen.cli.main import main

DATA = Path(__file__).parents[1] / "data"
Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def data() -> Path:
    """The folder of the extracts."""
    return DATA


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """Run ``hepgen`` with arguments in a process of its own, without a terminal, in an empty folder."""
    return lambda *arguments, **settings: run_hepgen(tmp_path, *arguments, **settings)


@dataclass(frozen=True)
class Done:
    """What a command left: as `subprocess.CompletedProcess`, for a command in this process."""

    returncode: int
    stdout: str
    stderr: str


@pytest.fixture
def call(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Callable[..., Done]:
    """Run ``hepgen`` with arguments in this process, in an empty folder; a bug passes through as an exception."""

    def run_here(*arguments: str | Path) -> Done:
        monkeypatch.chdir(tmp_path)
        monkeypatch.setattr(sys, "excepthook", sys.excepthook)
        capfd.readouterr()
        before = signal.getsignal(signal.SIGTERM)
        try:
            main([str(argument) for argument in arguments])
        except SystemExit as error:
            code = int(error.code or 0)
        finally:
            signal.signal(signal.SIGTERM, before)
        captured = capfd.readouterr()
        return Done(code, captured.out, captured.err)

    return run_here


def run_hepgen(
    folder: Path, *arguments: str | Path, code: str = "", env: dict[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """``code`` is Python that runs before the command, in the same process."""
    program = f"{code}\nimport hepgen.cli.main\nhepgen.cli.main.main()"
    clean = {key: value for key, value in os.environ.items() if not key.startswith("HEPGEN_")}
    return subprocess.run(
        [sys.executable, "-c", program, *map(str, arguments)],
        capture_output=True,
        text=True,
        cwd=folder,
        env={**clean, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(DATA.parents[1]), **(env or {})},
        timeout=120,
        check=False,
    )


@pytest.fixture(autouse=True)
def _fresh_output(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    for variable in [name for name in os.environ if name.startswith("HEPGEN_")]:
        monkeypatch.delenv(variable)
    for variable in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
        monkeypatch.setenv(variable, "1")
    yield
    console.open_output().close()
