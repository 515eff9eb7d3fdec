"""Pieces of work side by side on several threads, their results one after the other."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar, TypeVarTuple

import torch

MOST_PIECES = 4
"""Pieces that are worked on at a time, at most; further threads work inside the pieces: memory does not grow with them."""

Result = TypeVar("Result")
Piece = TypeVarTuple("Piece")


def in_order(
    work: Callable[[*Piece], Result], pieces: Iterable[tuple[*Piece]], *, threads: int
) -> Generator[Result, None, None]:
    """What ``work(*piece)`` gives for each piece, in the order of the pieces.

    The caller's thread takes the pieces and hands out the results, so that reading and writing go on beside the work. At
    most two pieces for each worker are under way. ``work`` must not depend on what other pieces do; between one and all
    ``threads`` no result differs.

    Raises:
        Exception: what the work of a piece raises, in its turn. Those that have not begun are dropped then, as they are
            when the generator is closed.

    Example:
        >>> list(in_order(lambda a, b: a + b, [(1, 2), (3, 4), (5, 6)], threads=2))
        [3, 7, 11]
    """
    workers = min(threads, MOST_PIECES)
    if workers < 2:
        for piece in pieces:
            yield work(*piece)
        return
    before = torch.get_num_threads()
    pool = ThreadPoolExecutor(
        workers, thread_name_prefix="piece", initializer=torch.set_num_threads, initargs=(threads // workers,)
    )
    under_way: deque[Future[Result]] = deque()
    try:
        for piece in pieces:
            under_way.append(pool.submit(work, *piece))
            if len(under_way) >= 2 * workers:
                yield under_way.popleft().result()
        while under_way:
            yield under_way.popleft().result()
    finally:
        pool.shutdown(cancel_futures=True)
        torch.set_num_threads(before)  # what the workers have set is what later threads would begin with
