"""Timing side by side: candidates take turns, so that a machine that slows down slows all of them."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping


def medians(
    candidates: Mapping[str, Callable[[], object]], repeats: int, clock: Callable[[], float] = time.perf_counter
) -> dict[str, list[float]]:
    """Seconds of each call, after one call that is not counted: ``repeats`` rounds of every candidate in turn.

    Where other work takes turns on the same core, ``clock=time.process_time`` leaves its time out.
    """
    for call in candidates.values():
        call()
    seconds: dict[str, list[float]] = {name: [] for name in candidates}
    for _ in range(repeats):
        for name, call in candidates.items():
            begun = clock()
            call()
            seconds[name].append(clock() - begun)
    return seconds


def row(name: str, seconds: list[float], events: int, reference: list[float]) -> str:
    """One line: median microseconds per event, spread, and the median of the ratios to the reference round by round."""
    median = statistics.median(seconds)
    ratio = statistics.median([r / s for s, r in zip(seconds, reference, strict=True)])
    spread = f"{1e6 * min(seconds) / events:.2f} to {1e6 * max(seconds) / events:.2f}"
    return f"{name:<28} {1e6 * median / events:10.2f} us/event  ({spread})  {ratio:6.2f} x as fast as the reference"
