"""What a training or a sampling tells whoever watches it; the terminal lives elsewhere."""

from __future__ import annotations

from typing import Protocol


class Progress(Protocol):
    """Somebody who watches; the command line draws a bar or writes lines, the tests listen."""

    def update(self, stage: str, step: int, steps: int, loss: float, rate: float) -> None:
        """``step`` of ``steps`` is done, at ``rate`` per second; ``loss`` is NaN where there is none."""
        ...

    def message(self, text: str) -> None:
        """One line for the user."""
        ...


class Silent:
    """Nobody watches."""

    def update(self, stage: str, step: int, steps: int, loss: float, rate: float) -> None:
        """Take no notice."""

    def message(self, text: str) -> None:
        """Take no notice."""
