"""Foreign errors of reading and writing become typed errors of hepgen, each with the path."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import cramjam
import uproot

from hepgen.errors import HepgenError, InputFileError, error_of_reading, error_of_writing

#: What uproot, h5py and the decompressors raise on damaged input. The readers wrap nothing but calls of these libraries,
#: so a mistake of ours is never taken for a damaged file.
READ_ERRORS: tuple[type[Exception], ...] = (
    OSError,
    ValueError,
    LookupError,
    ArithmeticError,
    TypeError,
    AttributeError,
    AssertionError,
    RuntimeError,
    MemoryError,
    EOFError,
    struct.error,
    zlib.error,
    cramjam.DecompressionError,
    uproot.DeserializationError,
    uproot.interpretation.objects.CannotBeStrided,
    uproot.interpretation.objects.CannotBeAwkward,
    uproot.interpretation.identify.UnknownInterpretation,
)


@contextmanager
def reading(path: str | Path, what: str = "") -> Iterator[None]:
    """Turn what a library raises on a damaged file into an `InputFileError` that names it.

    Args:
        path: the file.
        what: what was being read, such as ``tree 'events'``.
    """
    where = f"{path}, {what}" if what else str(path)
    try:
        yield
    except HepgenError:
        raise
    except READ_ERRORS as error:
        known = error_of_reading(error, where) if isinstance(error, OSError) else None
        if known is not None:
            raise known from None
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0][:200]
        raise InputFileError(
            f"cannot read the file: {reason}", where=where, hint="it is damaged, truncated or of an unknown kind"
        ) from error


@contextmanager
def writing(path: str | Path) -> Iterator[None]:
    """Turn an operating-system error of writing into a `UsageError` or an `OutputError` that names the file."""
    try:
        yield
    except OSError as error:
        raise error_of_writing(error, path) from error
