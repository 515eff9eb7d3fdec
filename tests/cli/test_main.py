"""How each kind of failure leaves the process: exit code, three lines on stderr, nothing on stdout."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from hepgen import errors
from hepgen.config import load

HEAVY = ("torch", "uproot", "awkward", "matplotlib", "h5py", "numpy", "scipy", "sklearn", "rich")


def test_help_is_printed_without_heavy_imports(run) -> None:
    code = (
        "import atexit, json, sys\n"
        "atexit.register(lambda: sys.stderr.write(json.dumps([m for m in sys.modules if '.' not in m])))"
    )
    for arguments in (["--help"], ["train", "-h"], ["sample", "-h"]):
        done = run(*arguments, code=code)
        assert done.returncode == 0
        assert "Usage: hepgen" in done.stdout
        assert not set(json.loads(done.stderr)) & set(HEAVY)


def test_every_command_has_the_common_options(call) -> None:
    for command in ("inspect", "train", "sample", "evaluate"):
        text = call(command, "-h").stdout
        for flag in ("--seed", "--device", "--threads", "--memory", "--force", "-q,", "-v,", "--log-file", "--version"):
            assert flag in text, f"{command} {flag}"


def test_version_is_data(call) -> None:
    for arguments in (["--version"], ["inspect", "--version"]):
        done = call(*arguments)
        assert (done.returncode, done.stderr) == (0, "")
        assert done.stdout.startswith("hepgen ")


def test_no_arguments_give_help_on_stderr(run) -> None:
    done = run()
    assert (done.returncode, done.stdout) == (2, "")
    assert "Commands:" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "hint"),
    [
        (["trian"], "did you mean 'train'?"),
        (["inspect", "--jsn", "x"], "did you mean '--json'?"),
        (["sample", "m", "-n", "1.5", "-o", "x.root"], "see 'hepgen sample -h'"),
        (["train"], "see 'hepgen train -h'"),
        (["train", "r.yaml", "-o", "run", "--budget", "30"], "see 'hepgen train -h'"),
        (["inspect", "x", "--device", "gpu"], "see 'hepgen inspect -h'"),
        (["config", "shwo"], "did you mean 'show'?"),
    ],
)
def test_wrong_usage_is_three_lines_and_exit_2(call, arguments: list[str], hint: str) -> None:
    done = call(*arguments)
    assert (done.returncode, done.stdout) == (2, "")
    what, where, advice = done.stderr.splitlines()
    assert what.startswith("error: ")
    assert where.startswith("where: hepgen")
    assert advice == f"hint: {hint}"


def test_options_come_from_the_environment_and_flags_win(call, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HEPGEN_MEMORY", "3Q")
    done = call("config", "schema")
    assert done.returncode == 2
    assert "HEPGEN_MEMORY" in done.stderr
    assert call("config", "families", "--memory", "1GB").returncode == 0


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("UsageError", 2),
        ("ConfigError", 2),
        ("InputFileError", 3),
        ("ConditionRangeError", 3),
        ("ModelError", 4),
        ("TrainingError", 4),
        ("QualityGateError", 5),
        ("OutputError", 75),
        ("Interrupted", 85),
    ],
)
def test_every_typed_error_has_its_exit_code(call, monkeypatch: pytest.MonkeyPatch, name: str, code: int) -> None:
    def fail(task: str) -> None:
        raise getattr(errors, name)("no tree", where="a.root", hint="look")

    monkeypatch.setattr(load, "schema", fail)
    done = call("config", "schema")
    assert (done.returncode, done.stdout) == (code, "")
    label = "stopped" if name == "Interrupted" else "error"
    assert done.stderr == f"{label}: no tree\nwhere: a.root\nhint: look\n"


def fail_with(raised: str) -> str:
    """Code that makes ``hepgen config schema`` raise."""
    return (
        "import hepgen.errors, hepgen.config.load, os, signal, time, errno\n"
        f"def fail(task):\n    raise {raised}\n"
        "hepgen.config.load.schema = fail"
    )


def test_an_error_without_place_or_hint_is_three_lines_all_the_same(run) -> None:
    done = run("config", "schema", code=fail_with("hepgen.errors.ModelError('damaged')"))
    assert done.stderr == "error: damaged\nwhere: hepgen config schema\nhint: see 'hepgen config -h'\n"


def test_a_bug_exits_1_and_asks_for_a_report(run) -> None:
    done = run("config", "schema", code=fail_with("KeyError('voxel')"))
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.splitlines()[0] == "this is a bug in hepgen, please report it: KeyError: 'voxel'"
    assert "Traceback" not in done.stderr


def test_tracebacks_come_with_verbose_and_go_to_the_log_file(run, tmp_path: Path) -> None:
    done = run("config", "schema", "-v", code=fail_with("KeyError('voxel')"))
    assert "Traceback (most recent call last)" in done.stderr
    done = run("config", "schema", "--log-file", "run.log", code=fail_with("hepgen.errors.ModelError('damaged')"))
    assert "Traceback" not in done.stderr
    assert "Traceback" in (tmp_path / "run.log").read_text()


@pytest.mark.parametrize(
    ("raised", "code"),
    [
        ("OSError(errno.ENOSPC, 'No space left on device', '/scratch/x')", 75),
        ("PermissionError(errno.EACCES, 'Permission denied', '/root/x')", 2),
        ("OSError(errno.EINVAL, 'Invalid argument')", 1),
        ("KeyboardInterrupt", 130),
    ],
)
def test_failures_of_the_machine_are_told_from_bugs(run, raised: str, code: int) -> None:
    done = run("config", "schema", code=fail_with(raised))
    assert (done.returncode, done.stdout) == (code, "")
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_signals_that_find_nothing_to_save(number: int, code: int, tmp_path: Path) -> None:
    program = (
        "import signal, sys, time, hepgen.config.load, hepgen.cli.main\n"
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"  # ignored where the tests run in the background
        "def wait(task):\n"
        "    try:\n        print('ready', file=sys.stderr, flush=True); time.sleep(60)\n"
        "    finally:\n        open('cleaned', 'w').close()\n"
        "hepgen.config.load.schema = wait\n"
        "hepgen.cli.main.main(['config', 'schema'])"
    )
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    with subprocess.Popen(
        [sys.executable, "-c", program], cwd=tmp_path, env=environment, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stderr is not None
        assert process.stderr.readline() == "ready\n"
        process.send_signal(number)
        words = process.stderr.read()
    assert process.returncode == code
    assert (tmp_path / "cleaned").exists()
    assert "Traceback" not in words


def test_a_closed_pipe_is_no_error(tmp_path: Path) -> None:
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    command = f"set -o pipefail; {sys.executable} -m hepgen.cli config schema | true"
    done = subprocess.run(
        ["bash", "-c", command], env=environment, cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_the_shell_can_complete_commands_and_options(run) -> None:
    environment = {"_HEPGEN_COMPLETE": "complete_bash", "COMP_WORDS": "hepgen tr", "COMP_CWORD": "1"}
    assert run(env=environment).stdout.strip() == "train"
