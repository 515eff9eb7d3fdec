"""Foreign errors of reading and writing become typed errors of hepgen, each with the path."""

from __future__ import annotations

import errno
import struct
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import cramjam
import uproot

from hepgen.errors import HepgenError, InputFileError, OutputError

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
    except FileNotFoundError:
        raise InputFileError("no such file", where=where, hint="check the path") from None
    except PermissionError:
        raise InputFileError("the file may not be read", where=where, hint="check its permissions") from None
    except READ_ERRORS as error:
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0][:200]
        raise InputFileError(
            f"cannot read the file: {reason}", where=where, hint="it is damaged, truncated or of an unknown kind"
        ) from error


#: Failures of a file system that a later try may not meet.
PASSING = (errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.ESTALE, errno.EFBIG, errno.EROFS, errno.EACCES, errno.EPERM)


@contextmanager
def writing(path: str | Path) -> Iterator[None]:
    """Turn an operating-system error of writing into an `OutputError` that names the file."""
    try:
        yield
    except OSError as error:
        hint = {
            errno.ENOSPC: "the disk is full: free some space and run the same command again",
            errno.EDQUOT: "the quota is used up: free some space and run the same command again",
            errno.EACCES: "the folder may not be written to",
            errno.ENOENT: "the folder does not exist",
        }.get(error.errno or 0, "check the file system and run the same command again")
        raise OutputError(f"cannot write: {error.strerror or error}", where=str(path), hint=hint) from error
