"""Files on their way to stdout: ROOT seeks while it writes, so they are spooled in ``$TMPDIR`` and copied."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from hepgen.errors import OutputError, UsageError


@contextmanager
def spooled(target: str, file_format: str | None) -> Iterator[Path]:
    """The path to write to; for ``-`` a temporary one, copied to stdout when the block is left without an exception.

    Raises:
        UsageError: if stdout is a terminal.
        OutputError: if whoever reads stdout goes away.
    """
    if target != "-":
        yield Path(target)
        return
    if sys.stdout.isatty():
        raise UsageError("events are not written to a terminal", where="-o -", hint="redirect stdout, or name a file")
    with tempfile.TemporaryDirectory(prefix="hepgen-") as folder:
        path = Path(folder) / ("events.hdf5" if file_format == "hdf5" else "events.root")
        yield path
        try:
            with path.open("rb") as file:
                shutil.copyfileobj(file, sys.stdout.buffer, 1 << 20)
            sys.stdout.buffer.flush()
        except BrokenPipeError:
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            raise OutputError(
                "whoever read stdout went away", where="-o -", hint="check the command behind the pipe, then try again"
            ) from None
