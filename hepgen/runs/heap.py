"""Give memory that is not used any more back to the operating system."""

from __future__ import annotations

import ctypes
import sys


def release_heap() -> None:
    """Return free pages of the heap, which the C library would keep for later; only glibc knows how, else nothing.

    What one phase of a training has freed would otherwise count on top of what the next one takes.
    """
    if sys.platform != "linux":
        return
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(ctypes.c_size_t(0))
