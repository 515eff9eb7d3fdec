"""The options that every command shares, spelled once: the same flag means the same everywhere."""

from __future__ import annotations

import dataclasses
import functools
import inspect
import re
import typing
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

import typer

import hepgen
from hepgen.cli import console
from hepgen.cli.cores import available_cores, use_threads
from hepgen.cli.quantities import parse_count, parse_duration, parse_size
from hepgen.errors import UsageError

if typing.TYPE_CHECKING:
    from hepgen.events.reader import FileSource

T = TypeVar("T")
_PANEL = "Common options"


def parser(function: Callable[[str], T]) -> Callable[[str | T], T]:
    """A parser of option values from a function that raises ValueError; values that are parsed already pass."""

    @functools.wraps(function)
    def parse(text: str | T) -> T:
        if not isinstance(text, str):
            return text
        try:
            return function(text)
        except ValueError as error:
            raise typer.BadParameter(str(error)) from None

    return parse


def _device(text: str) -> str:
    if not re.fullmatch(r"auto|cpu|mps|cuda(:\d+)?", text):
        raise ValueError(f"'{text}' is not a device; choose auto, cpu, cuda, cuda:N or mps")
    return text


def _seed(text: str) -> int:
    if not re.fullmatch(r"\d+", text):
        raise ValueError(f"'{text}' is not a seed; a seed is a whole number, 0 or above")
    return int(text)


def print_version(wanted: bool) -> None:
    """The eager callback of ``--version``."""
    if wanted:
        typer.echo(f"hepgen {hepgen.__version__}")
        raise typer.Exit


def common(flag: str, help: str, *more: str, **settings: Any) -> Any:
    """An option of every command; ``HEPGEN_FLAG`` stands for it."""
    return typer.Option(flag, *more, help=help, envvar=_variable(flag), rich_help_panel=_PANEL, **settings)


def own(flag: str, help: str, *more: str, env: bool = True, **settings: Any) -> Any:
    """An option of one command; ``HEPGEN_FLAG`` stands for it, unless it may be repeated or ``env`` is false."""
    envvar = None if not env else _variable(flag)
    return typer.Option(flag, *more, help=help, envvar=envvar, show_envvar=False, **settings)


def _variable(flag: str) -> str:
    return "HEPGEN_" + flag.lstrip("-").replace("-", "_").upper()


Version = Annotated[bool, typer.Option("--version", help="Show the version.", callback=print_version, is_eager=True)]
Count = parser(parse_count)
Duration = parser(parse_duration)


OutputFile = Annotated[
    str, typer.Option("--output", "-o", metavar="FILE|-", help="OUT.root, .h5 or .hdf5; - is stdout.")
]
FileFormat = Annotated[
    Literal["ttree", "rntuple", "hdf5"] | None, own("--format", "Format; else by the name of the file.")
]
DropUnwritable = Annotated[bool, own("--drop-unwritable", "Leave out columns that the format cannot hold.")]


def refuse_two_on_stdout(out: str, as_json: bool, where: str) -> None:
    """Refuse events and their summary on stdout at once.

    Raises:
        UsageError: naming the command.
    """
    if out == "-" and as_json:
        raise UsageError("stdout cannot carry both the events and --json", where=where, hint="name a file")


@dataclass(frozen=True)
class Common:
    """What every command takes.

    Attributes:
        seed: of every random number; drawn, printed and stored where None.
        device: ``auto``, ``cpu``, ``cuda``, ``cuda:N`` or ``mps``.
        threads: number of processor threads; the cores that this job may use where None.
        memory: bytes that the command may take above what its imports take.
        force: overwrite what exists.
        quiet: no words on stderr but warnings and errors.
        verbose: more words, and tracebacks.
        log_file: file to which every word goes as well, with times and tracebacks.
    """

    seed: Annotated[
        int | None,
        common(
            "--seed", "Seed of all random numbers; drawn and printed if not given.", parser=parser(_seed), metavar="INT"
        ),
    ] = None
    device: Annotated[
        str, common("--device", "Where to compute: auto, cpu, cuda or mps.", parser=parser(_device), metavar="NAME")
    ] = "auto"
    threads: Annotated[
        int | None,
        common(
            "--threads", "Processor threads; by default the cores that this job may use.", parser=Count, metavar="INT"
        ),
    ] = None
    memory: Annotated[
        int,
        common(
            "--memory",
            "Memory to stay within, e.g. 1GB.",
            parser=parser(parse_size),
            metavar="SIZE",
            show_default="1GB",
        ),
    ] = 10**9
    force: Annotated[bool, common("--force", "Overwrite what exists.")] = False
    quiet: Annotated[bool, common("--quiet", "Warnings and errors only.", "-q")] = False
    verbose: Annotated[bool, common("--verbose", "More words, and tracebacks of errors.", "-v")] = False
    log_file: Annotated[Path | None, common("--log-file", "Write every word to this file, too.", dir_okay=False)] = None
    version: Annotated[
        bool,
        typer.Option(
            "--version", help="Show the version.", callback=print_version, is_eager=True, rich_help_panel=_PANEL
        ),
    ] = False

    @property
    def cores(self) -> int:
        """The threads to use: what was asked for, or the cores that this job may use."""
        return self.threads if self.threads is not None else available_cores()

    @property
    def batch_memory(self) -> int:
        """Bytes of one batch of events, so that decoding and what comes after it stay within the memory asked for."""
        return max(1 << 20, min(64 << 20, self.memory // 8))


def warn_of_input(sink: console.Output, source: FileSource, events: int, cut: str | None) -> None:
    """Say which columns of an input cannot be copied, and where nothing was read of it.

    Args:
        source: the input.
        events: that were read.
        cut: of the command line.
    """
    for name, reason in source.skipped.items():
        sink.warn(f"'{name}' cannot be read, and is not in the output: {reason}")
    if not events:
        sink.warn(f"no event was read: {'no event passes the cut' if cut and len(source) else 'the input is empty'}")


def with_common(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command the common options: its parameter ``common`` becomes one option per field of `Common`.

    Before the command runs, words go where ``-q``, ``-v`` and ``--log-file`` say, and the threads are bound.
    """
    hints = typing.get_type_hints(command, include_extras=True)
    shared = typing.get_type_hints(Common, include_extras=True)
    parameters = [
        parameter.replace(annotation=hints[name])
        for name, parameter in inspect.signature(command).parameters.items()
        if name != "common"
    ]
    parameters += [
        inspect.Parameter(
            field.name, inspect.Parameter.KEYWORD_ONLY, default=field.default, annotation=shared[field.name]
        )
        for field in dataclasses.fields(Common)
    ]

    @functools.wraps(command)
    def run(**values: Any) -> None:
        options = Common(**{field.name: values.pop(field.name) for field in dataclasses.fields(Common)})
        console.open_output(quiet=options.quiet, verbose=options.verbose, log_file=options.log_file)
        use_threads(options.cores)
        command(**values, common=options)

    vars(run)["__signature__"] = inspect.Signature(parameters)
    run.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    return run
