"""The one place where a command speaks: data to stdout, words to stderr, everything to the log file."""

from __future__ import annotations

import errno
import json
import os
import sys
import time
import traceback
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import typer

from hepgen.errors import OutputError, UsageError

if TYPE_CHECKING:
    from rich.console import Console

    from hepgen.cli.progress import ProgressDisplay

_PASSING = {errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.ESTALE}


class Output:
    """Where the words and the results of one command go.

    Args:
        quiet: keep to warnings and errors.
        verbose: say details and show tracebacks.
        log_file: file that gets every word, with the time.

    Raises:
        UsageError, OutputError: if the log file cannot be opened.
    """

    def __init__(self, *, quiet: bool = False, verbose: bool = False, log_file: Path | None = None) -> None:
        self.quiet = quiet
        self.verbose = verbose
        self._log: IO[str] | None = None
        self.display: ProgressDisplay | None = None
        if log_file is not None:
            self._log = _open_log(log_file)

    def say(self, text: str) -> None:
        """Words for a human, on stderr; silent with ``-q``."""
        self._words(text, shown=not self.quiet)

    def detail(self, text: str) -> None:
        """Words for a human who asked for more with ``-v``."""
        self._words(text, shown=self.verbose and not self.quiet)

    def warn(self, text: str) -> None:
        """Words that ``-q`` does not silence."""
        self._words(f"warning: {text}", shown=True, style="yellow")

    def error(self, label: str, what: str, where: str, hint: str) -> None:
        """The three lines of an error: what was wrong, where, and what to do."""
        self.close_display()
        for name, text, style in ((label, what, "bold red"), ("where", where, "bold"), ("hint", hint, "bold")):
            self._words(
                f"{name}: {' '.join(_without_caret(text).split())}", shown=True, style=style, only=len(name) + 1
            )

    def traceback(self, error: BaseException) -> None:
        """The traceback of an error, where ``-v`` or ``--log-file`` asked for it."""
        text = "".join(traceback.format_exception(error)).rstrip()
        self._words(text, shown=self.verbose)

    def data(self, text: str) -> None:
        """Data on stdout. A reader that has seen enough (``| head``) ends the command quietly."""
        try:
            sys.stdout.write(text if text.endswith("\n") else text + "\n")
            sys.stdout.flush()
        except BrokenPipeError:
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            raise typer.Exit(0) from None

    def json(self, value: Mapping[str, Any]) -> None:
        """One JSON object on stdout, strict: what is not finite becomes null."""
        self.data(json.dumps(_finite(value), indent=2, ensure_ascii=False, allow_nan=False))

    def table(self, title: str, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
        """A table of results on stdout; the first column and those without a header are flushed left, others right."""
        # a title of Rich's is broken to the width of the table
        from rich.box import SIMPLE_HEAD
        from rich.table import Table
        from rich.text import Text

        table = Table(box=SIMPLE_HEAD, pad_edge=False)
        for number, column in enumerate(columns):
            table.add_column(Text(column), justify="left" if number == 0 or not column else "right", overflow="fold")
        for row in rows:
            table.add_row(*(Text(cell) for cell in row))
        console = rich_console(sys.stdout)
        if not console.is_terminal:
            console.width = 200
        with console.capture() as capture:
            console.print(table)
        lines = [line.rstrip() for line in capture.get().splitlines()]
        self.data("\n".join([title, *lines] if title else lines))

    def progress(self, *, unit: str = "steps") -> ProgressDisplay:
        """What a long computation reports to: a bar on a terminal, else a line every 30 s."""
        from hepgen.cli.progress import ProgressDisplay

        self.display = ProgressDisplay(self, unit=unit)
        return self.display

    def close_display(self) -> None:
        """End the bar, if there is one, so that words come after it."""
        if self.display is not None:
            self.display.close()
            self.display = None

    def close(self) -> None:
        """Close the log file."""
        self.close_display()
        if self._log is not None:
            self._log.close()
            self._log = None

    def _words(self, text: str, *, shown: bool, style: str = "", only: int | None = None) -> None:
        if self._log is not None:
            self._log.write(f"{time.strftime('%Y-%m-%dT%H:%M:%S')} {text}\n")
        if not shown:
            return
        if self.display is not None and self.display.live:
            self.display.print_above(text)
            return
        try:
            if style and is_terminal(sys.stderr):
                from rich.text import Text

                painted = Text(text)
                painted.stylize(style, 0, only)
                rich_console(sys.stderr).print(painted, soft_wrap=True)
            else:
                sys.stderr.write(text + "\n")
                sys.stderr.flush()
        except BrokenPipeError:  # nobody reads our words any more: the work goes on
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stderr.fileno())


def _open_log(path: Path) -> IO[str]:
    """The log file, to write on at its end.

    Raises:
        UsageError: if its folder does not exist, or it may not be written.
        OutputError: if it cannot be written for now.
    """
    try:
        return path.open("a", encoding="utf-8", buffering=1)
    except OSError as error:
        if not path.parent.exists():
            raise UsageError(
                "the folder of the log file does not exist", where=str(path.parent), hint="make it first"
            ) from None
        kind = OutputError if error.errno in _PASSING else UsageError
        raise kind(
            f"the log file cannot be written: {error.strerror}",
            where=str(path),
            hint="choose another path for --log-file",
        ) from None


def is_terminal(stream: IO[str]) -> bool:
    """Whether a stream is a terminal that can redraw a line."""
    return stream.isatty() and os.environ.get("TERM", "") not in ("dumb", "unknown")


def rich_console(stream: IO[str]) -> Console:
    """A Rich console that writes plain text: no markup, no highlighting; it honours NO_COLOR."""
    from rich.console import Console

    return Console(file=stream, markup=False, highlight=False, emoji=False)


_open: list[Output] = []


def open_output(*, quiet: bool = False, verbose: bool = False, log_file: Path | None = None) -> Output:
    """Make the output of this process, once its options are known."""
    for old in _open:
        old.close()
    _open[:] = [Output(quiet=quiet, verbose=verbose, log_file=log_file)]
    return _open[0]


def output() -> Output:
    """The output of this process; a plain one before the options are known."""
    return _open[0] if _open else open_output()


def _without_caret(text: str) -> str:
    """A text whose last line is a caret below the place of a fault, with that place in words.

    Example:
        >>> _without_caret("met >> 30\\n     ^")
        "met >> 30 (at '> 30')"
    """
    text_above, newline, marks = text.rpartition("\n")
    if not newline or marks.strip() != "^":
        return text
    rest = " ".join(text_above[marks.index("^") :].split())
    return f"{text_above} (at {repr(rest[:20]) if rest else 'its end'})"


def _finite(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    if isinstance(value, float):
        return value if value - value == 0.0 else None
    return value
