"""Work on many values without the interpreter, shared out over the threads."""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache

import torch

SMALLEST = 2**12
"""Values below which a thread costs more than it gives."""


def for_each_tile(work: Callable[[slice], None], size: int) -> None:
    """Call ``work`` for slices that cover ``range(size)``, one on each of torch's threads.

    ``work`` must release the interpreter's lock, and write into its own slice only.

    Example:
        >>> found = []
        >>> for_each_tile(found.append, 10)
        >>> found
        [slice(0, 10, None)]
    """
    tiles = max(1, min(torch.get_num_threads(), size // SMALLEST))
    step = -(-size // tiles)
    first, *others = [slice(start, min(start + step, size)) for start in range(0, max(size, 1), max(step, 1))]
    waiting = [_pool(os.getpid(), torch.get_num_threads()).submit(work, part) for part in others]
    try:
        work(first)
    finally:
        for one in waiting:
            one.result()


def for_each_rows(work: Callable[[int, int], None], rows: int, width: int) -> None:
    """Call ``work(begin, end)`` for rows of so many values that cover all of them, see ``for_each_tile``.

    Example:
        >>> for_each_rows(lambda begin, end: print(begin, end), 10, 3)
        0 10
    """
    # a row belongs to the tile of its first value
    for_each_tile(lambda part: work(-(-part.start // width), -(-part.stop // width)), rows * width)


@lru_cache(maxsize=1)
def _pool(process: int, threads: int) -> ThreadPoolExecutor:
    """One pool for each process: threads do not survive a fork."""
    del process
    return ThreadPoolExecutor(threads - 1, thread_name_prefix="tiles")
