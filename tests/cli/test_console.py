from __future__ import annotations

import errno
import io
import json
import os
import pty
import select
import sys
from pathlib import Path

import pytest
import typer

from hepgen.cli import progress
from hepgen.cli.console import Output
from hepgen.errors import HepgenError, OutputError, UsageError


def test_data_goes_to_stdout_and_words_to_stderr(capsys: pytest.CaptureFixture[str]) -> None:
    sink = Output()
    sink.data("42")
    sink.say("hello")
    sink.detail("too much")
    sink.warn("careful")
    captured = capsys.readouterr()
    assert captured.out == "42\n"
    assert captured.err == "hello\nwarning: careful\n"


def test_quiet_keeps_warnings_and_verbose_adds_details(capsys: pytest.CaptureFixture[str]) -> None:
    for sink in (Output(quiet=True), Output(verbose=True)):
        sink.say("hello")
        sink.detail("more")
        sink.warn("careful")
    assert capsys.readouterr().err == "warning: careful\nhello\nmore\nwarning: careful\n"


def test_json_holds_null_where_a_number_is_not_finite(capsys: pytest.CaptureFixture[str]) -> None:
    Output().json({"a": float("nan"), "b": [1.5, float("inf")], "c": {"d": "x"}})
    assert json.loads(capsys.readouterr().out) == {"a": None, "b": [1.5, None], "c": {"d": "x"}}


def test_an_error_is_three_lines_whatever_is_in_it(capsys: pytest.CaptureFixture[str]) -> None:
    Output(quiet=True).error("error", "two\nlines [bold]", "file.root", "try again")
    assert capsys.readouterr().err == "error: two lines [bold]\nwhere: file.root\nhint: try again\n"


def test_a_caret_below_a_text_becomes_words(capsys: pytest.CaptureFixture[str]) -> None:
    Output().error("error", "unexpected '>'", "met >> 30\n     ^", "")
    assert "where: met >> 30 (at '> 30')\n" in capsys.readouterr().err


def test_the_log_file_gets_every_word_with_the_time(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    sink = Output(quiet=True, log_file=tmp_path / "run.log")
    sink.say("hello")
    sink.traceback(KeyError("x"))
    sink.close()
    text = (tmp_path / "run.log").read_text()
    assert "T" in text.split()[0]
    assert "hello" in text
    assert "KeyError" in text
    assert capsys.readouterr().err == ""


def test_a_log_file_that_cannot_be_written_is_a_typed_error(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="log file"):
        Output(log_file=tmp_path)
    with pytest.raises(UsageError, match="log file does not exist") as caught:
        Output(log_file=tmp_path / "logs" / "run.log")
    assert caught.value.where == str(tmp_path / "logs")


@pytest.mark.parametrize(("number", "kind"), [(errno.EACCES, UsageError), (errno.ENOSPC, OutputError)])
def test_a_log_file_may_be_refused_for_good_or_for_now(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, kind: type[HepgenError]
) -> None:
    def refuse(path: Path, *arguments: object, **named: object) -> None:
        raise OSError(number, os.strerror(number), str(path))

    monkeypatch.setattr(Path, "open", refuse)
    with pytest.raises(kind) as caught:
        Output(log_file=tmp_path / "run.log")
    assert type(caught.value) is kind


def test_a_table_shows_markup_as_text(capsys: pytest.CaptureFixture[str]) -> None:
    Output().table("title", ["column", "type"], [["Muon_pt", "float32[0 to 5]"], ["[red]", ""]])
    out = capsys.readouterr().out
    assert "float32[0 to 5]" in out
    assert "[red]" in out


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def test_a_batch_log_gets_one_line_every_30_seconds(capsys: pytest.CaptureFixture[str]) -> None:
    clock = Clock()
    display = progress.ProgressDisplay(Output(), clock=clock)
    for step in range(1, 101):
        clock.now = float(step)
        display.update("shapes", step, 100, -1.5, 2.0)
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 4  # at 30, 60 and 90 s, and at the end
    assert lines[0] == "shapes: 30 of 100 (30 %) steps, 2 steps/s, 35s left, loss -1.5"
    assert lines[-1].startswith("shapes: 100 of 100 (100 %)")


def test_progress_without_a_total_or_a_loss_says_what_it_knows(capsys: pytest.CaptureFixture[str]) -> None:
    clock = Clock()
    display = progress.ProgressDisplay(Output(), unit="events", clock=clock)
    display.update("reading", 0, 0)
    clock.now = 31.0
    display.update("reading", 62000, 0)
    assert capsys.readouterr().err == "reading: 62000 events, 2,000 events/s\n"


def test_quiet_progress_is_silent(capsys: pytest.CaptureFixture[str]) -> None:
    display = progress.ProgressDisplay(Output(quiet=True))
    display.update("shapes", 10, 10, 1.0, 1.0)
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(("term", "bar"), [("xterm", True), ("dumb", False)])
def test_a_bar_is_drawn_on_a_terminal_that_can(monkeypatch: pytest.MonkeyPatch, term: str, bar: bool) -> None:
    leader, follower = pty.openpty()
    monkeypatch.setenv("TERM", term)
    with os.fdopen(follower, "w") as stream:
        monkeypatch.setattr(sys, "stderr", stream)
        sink = Output()
        display = sink.progress()
        display.update("shapes", 1, 10, -1.0, 2.0)
        assert display.live == bar
        display.update("shapes", 10, 10, -2.0, 2.0)
        sink.say("between")
        sink.close_display()
        assert not display.live
        stream.flush()
        text = ""
        while select.select([leader], [], [], 0.1)[0]:
            text += os.read(leader, 65536).decode()
    os.close(leader)
    assert ("shapes" in text) == bar  # in a log, a stage of less than 5 s is not worth a line
    assert "between" in text
    assert ("\x1b[" in text) == bar


def test_a_reader_that_went_away_ends_data_quietly(monkeypatch: pytest.MonkeyPatch) -> None:
    class Gone(io.StringIO):
        def write(self, text: str) -> int:
            raise BrokenPipeError

        def fileno(self) -> int:
            return spare

    spare = os.open(os.devnull, os.O_WRONLY)
    monkeypatch.setattr(sys, "stdout", Gone())
    with pytest.raises(typer.Exit):
        Output().data("x")
    os.close(spare)
