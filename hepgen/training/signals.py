"""Stop requests: signals and a time limit set a flag, and the loop looks at it between two steps.

Nothing is saved inside a handler: a checkpoint written there may meet a half-made step. The first signal of a batch
system (TERM, USR1, USR2, HUP) or of a terminal (INT) is enough.
"""

from __future__ import annotations

import signal
import threading
import time
from types import FrameType, TracebackType
from typing import Any, Self

_NAMES = ("SIGTERM", "SIGINT", "SIGUSR1", "SIGUSR2", "SIGHUP")


class StopFlag:
    """Listens for signals while it is entered, and knows the time limit.

    Args:
        deadline: value of ``time.monotonic()`` at which to stop, or None.

    Example:
        >>> with StopFlag() as stop:
        ...     stop.reason
        ''
    """

    def __init__(self, deadline: float | None = None) -> None:
        self._deadline = deadline
        self._signal = 0
        self._previous: dict[int, Any] = {}

    @property
    def signal(self) -> int:
        """Number of the signal that came, or 0."""
        return self._signal

    @property
    def reason(self) -> str:
        """Why to stop, or an empty string."""
        if self._signal:
            return signal.Signals(self._signal).name
        if self._deadline is not None and time.monotonic() >= self._deadline:
            return "the time limit"
        return ""

    def leave(self) -> None:
        """Unwind where nothing can be saved: a signal that came ends the process as if nobody had listened.

        Raises:
            KeyboardInterrupt: for SIGINT.
            SystemExit: for another signal, with the code that a shell gives it.
        """
        if self._signal == signal.SIGINT:
            raise KeyboardInterrupt
        if self._signal:
            raise SystemExit(128 + self._signal)

    def _note(self, number: int, frame: FrameType | None) -> None:
        del frame
        self._signal = number

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():
            for name in _NAMES:
                number = getattr(signal, name, None)
                if number is not None:
                    self._previous[number] = signal.signal(number, self._note)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, handler in self._previous.items():
            signal.signal(number, handler if handler is not None else signal.SIG_DFL)
        self._previous.clear()
