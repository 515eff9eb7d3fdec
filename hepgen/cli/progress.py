"""Progress of a long computation: a bar for who watches, one line every 30 s for who reads a batch log."""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from hepgen.cli.console import Output, is_terminal, rich_console
from hepgen.cli.quantities import format_duration

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

SECONDS_BETWEEN_LINES = 30.0
SECONDS_WORTH_A_LINE = 5.0
"""A stage that ends before is not mentioned."""


class ProgressDisplay:
    """Shows ``update`` calls with rate, time left and loss.

    Args:
        output: where lines go.
        unit: what is counted: ``steps``, ``events``.
        clock: seconds, monotonic.
    """

    def __init__(self, output: Output, *, unit: str = "steps", clock: Callable[[], float] = time.monotonic) -> None:
        self._output = output
        self._unit = unit
        self._clock = clock
        self._begun: dict[str, float] = {}
        self._last_line = clock()
        self._bar: Progress | None = None
        self._tasks: dict[str, TaskID] = {}
        self._wants_bar = is_terminal(sys.stderr) and not output.quiet

    @property
    def live(self) -> bool:
        """Whether a bar is on the screen."""
        return self._bar is not None

    def update(self, stage: str, step: int, steps: int, loss: float = math.nan, rate: float = 0.0) -> None:
        """Say that ``step`` of ``steps`` are done.

        Args:
            stage: name of what is going on.
            step: number done.
            steps: number in all; 0 where it is not known.
            loss: the loss of now; NaN where there is none.
            rate: per second; measured since the first update of the stage where 0.
        """
        now = self._clock()
        begun = self._begun.setdefault(stage, now)
        if rate <= 0 and now > begun:
            rate = step / (now - begun)
        if self._wants_bar:
            self._draw(stage, step, steps, self._figures(step, steps, loss, rate))
        elif now - self._last_line >= SECONDS_BETWEEN_LINES or (
            0 < steps <= step and now - begun >= SECONDS_WORTH_A_LINE
        ):
            self._last_line = now
            share = f" of {steps} ({100 * step // steps} %)" if steps else ""
            figures = "".join(f", {figure}" for figure in self._figures(step, steps, loss, rate))
            self._output.say(f"{stage}: {step}{share} {self._unit}{figures}")

    def message(self, text: str) -> None:
        """Words in between."""
        self._output.say(text)

    def print_above(self, text: str) -> None:
        """Print above the bar."""
        if self._bar is not None:
            self._bar.console.print(text, soft_wrap=True)

    def close(self) -> None:
        """Take the bar off the screen's care; its last state stays visible."""
        if self._bar is not None:
            self._bar.stop()
            self._bar = None
        self._wants_bar = False

    def _figures(self, step: int, steps: int, loss: float, rate: float) -> list[str]:
        figures = []
        if rate > 0:
            figures.append(f"{rate:.3g} {self._unit}/s" if rate < 1000 else f"{rate:,.0f} {self._unit}/s")
        if rate > 0 and steps > step:
            figures.append(f"{format_duration((steps - step) / rate)} left")
        if not math.isnan(loss):
            figures.append(f"loss {loss:.4g}")
        return figures

    def _draw(self, stage: str, step: int, steps: int, figures: list[str]) -> None:
        from rich.progress import BarColumn, Progress, TextColumn

        if self._bar is None:
            columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.percentage:>3.0f} %"))
            self._bar = Progress(*columns, TextColumn("{task.fields[figures]}"), console=rich_console(sys.stderr))
            self._bar.start()
        if stage not in self._tasks:
            self._tasks[stage] = self._bar.add_task(stage, total=steps or None, figures="")
        self._bar.update(self._tasks[stage], completed=step, total=steps or None, figures=", ".join(figures))
