"""The ``hepgen`` command: the table of commands, and how each kind of failure leaves the process.

Nothing here or below imports torch, uproot, awkward or matplotlib before a command runs that needs it.
"""

from __future__ import annotations

import errno
import signal
import sys
from collections.abc import Sequence
from types import FrameType, TracebackType
from typing import NoReturn

import typer
from typer.main import get_command

from hepgen.cli import config, convert, decorrelate, evaluate, inspect, morph, sample, train
from hepgen.cli.console import output
from hepgen.cli.options import Version, with_common
from hepgen.errors import HepgenError, Interrupted, OutputError, UsageError

_RETRY = {errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.ESTALE, errno.EROFS, errno.EFBIG}
_REFUSED = {errno.EACCES, errno.EPERM, errno.EISDIR, errno.ENOTDIR}

app = typer.Typer(
    name="hepgen",
    help="Fast simulation of particle-physics events: train a surrogate on an event file, sample events to ROOT.",
    epilog="A first job: hepgen inspect FILE --config > recipe.yaml; hepgen train recipe.yaml -o run; "
    "hepgen sample run -n 1e5 -o events.root",
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,  # Rich's help costs as much time as everything else together, markdown and all
)
for _command in (
    inspect.inspect, convert.convert, train.train, sample.sample, morph.morph, decorrelate.decorrelate,
    evaluate.evaluate,
):  # fmt: skip
    app.command(_command.__name__)(with_common(_command))
app.add_typer(config.app, name="config")


@app.callback()
def hepgen(version: Version = False) -> None:
    """The options of ``hepgen`` itself."""


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run a command and leave with its exit code (``docs/exit-codes.md``)."""
    sys.excepthook = report_bug
    signal.signal(signal.SIGTERM, _terminated)
    words = list(sys.argv[1:] if arguments is None else arguments)
    command = get_command(app)
    try:
        result = command.main(words, prog_name="hepgen", standalone_mode=False)
    except typer.TyperException as error:
        result = _wrong_usage(error)
    except HepgenError as error:
        result = _refused(error, words)
    except OSError as error:
        result = _refused(_system_error(error), words)
    except KeyboardInterrupt:
        result = 130
    if result == 130:
        output().close_display()
        output().warn("interrupted before anything could be saved")
    sys.exit(result if isinstance(result, int) else 0)


def report_bug(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    """The ``sys.excepthook``: whatever nobody foresaw is a bug of ours. Python then exits with 1."""
    del trace
    sink = output()
    sink.error(
        "this is a bug in hepgen, please report it",
        f"{kind.__name__}: {error}",
        " ".join(["hepgen", *sys.argv[1:]]),
        "send the output of the same command with -v, and the files if you can",
    )
    sink.traceback(error)


def _refused(error: HepgenError, words: Sequence[str]) -> int:
    """Say what was wrong, where, and what to do, each in one line."""
    sink = output()
    names = [command.name for command in app.registered_commands] + [group.name for group in app.registered_groups]
    help_of = ["hepgen", *(word for word in words[:1] if word in names), "-h"]
    label = "stopped" if isinstance(error, Interrupted) else "error"
    sink.error(
        label, error.what, error.where or " ".join(["hepgen", *words]), error.hint or f"see '{' '.join(help_of)}'"
    )
    sink.traceback(error)
    return error.exit_code


def _wrong_usage(error: typer.TyperException) -> int:
    """A command line that Typer could not read: three lines, with the nearest known spelling as the hint."""
    context = getattr(error, "ctx", None)
    if type(error).__name__ == "NoArgsIsHelpError" and context is not None:
        sys.stderr.write(context.get_help() + "\n")
        return error.exit_code
    what, _, hint = error.format_message().partition(". Did you mean ")
    hint = f"did you mean {hint}" if hint else ""
    possible = getattr(error, "possibilities", None)
    if possible:
        what, hint = str(getattr(error, "message", what)), f"did you mean '{possible[0]}'?"
    path = context.command_path if context is not None else "hepgen"
    return _refused(UsageError(what[:1].lower() + what[1:], where=path, hint=hint or f"see '{path} -h'"), [])


def _system_error(error: OSError) -> HepgenError:
    """A failure of the machine, not of ours: a full disk may pass (75), a refused path is a matter of usage (2)."""
    where = str(error.filename or "")
    if error.errno in _RETRY:
        return OutputError(str(error.strerror), where=where, hint="free some space or choose another place; then retry")
    if error.errno in _REFUSED and where:
        return UsageError(str(error.strerror), where=where, hint="choose another path, or change its permissions")
    raise error


def _terminated(number: int, frame: FrameType | None) -> NoReturn:
    """SIGTERM where nothing can be saved: unwind, so that no part file is left, and exit with 143."""
    del number, frame
    raise SystemExit(128 + signal.SIGTERM)
