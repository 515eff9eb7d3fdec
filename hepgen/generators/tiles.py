"""Elementwise work on a CPU, in tiles that stay in the cache and share the threads.

torch spreads one operation over the threads only where it is large, and a chain of many operations on large arrays waits
for memory. A tile goes through the whole chain at once, on one thread.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache

import torch

# torch runs an operation on fewer values than LARGEST on the calling thread; below SMALLEST its overhead counts.
LARGEST = 2**15
SMALLEST = 2**12


def for_each_tile(work: Callable[[slice], None], size: int, device: torch.device) -> None:
    """Call ``work`` for slices that cover ``range(size)``, by turns or on all of torch's threads.

    ``work`` must write into its own slice only; gradients are not recorded in it. On other devices, and while torch
    compiles, there is one slice for all.

    Example:
        >>> x = torch.ones(100_000)
        >>> for_each_tile(lambda part: x[part].neg_(), len(x), x.device)
        >>> float(x.sum())
        -100000.0
    """
    if device.type != "cpu" or torch.compiler.is_compiling():
        work(slice(0, size))
        return
    threads = torch.get_num_threads()
    tiles = max(1, -(-size // LARGEST), min(threads, size // SMALLEST))
    if threads > 1 and tiles > 1:
        tiles = -(-tiles // threads) * threads
    step = -(-size // tiles)
    parts = [slice(start, min(start + step, size)) for start in range(0, size, step)]
    if threads == 1 or len(parts) == 1:
        for part in parts:
            work(part)
        return
    inference = torch.is_inference_mode_enabled()

    def share(first: int) -> None:
        # modes are those of the thread
        with torch.inference_mode(inference), torch.no_grad():
            for part in parts[first::threads]:
                work(part)

    others = [_pool(os.getpid(), threads).submit(share, first) for first in range(1, threads)]
    try:
        share(0)
    finally:
        for other in others:
            other.result()


@lru_cache(maxsize=1)
def _pool(process: int, threads: int) -> ThreadPoolExecutor:
    """One pool for each process: threads do not survive a fork."""
    del process
    return ThreadPoolExecutor(threads - 1, thread_name_prefix="tiles")
