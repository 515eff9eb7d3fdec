import os
import signal
import time

import pytest

from hepgen.training.signals import StopFlag


@pytest.mark.parametrize("name", ["SIGTERM", "SIGINT", "SIGUSR1", "SIGUSR2", "SIGHUP"])
def test_a_signal_sets_the_flag_and_nothing_else(name: str) -> None:
    before = signal.getsignal(getattr(signal, name))
    with StopFlag() as stop:
        assert stop.reason == ""
        os.kill(os.getpid(), getattr(signal, name))
        assert stop.reason == name
        assert stop.signal == getattr(signal, name)
    assert signal.getsignal(getattr(signal, name)) == before


def test_the_time_limit_is_a_reason() -> None:
    assert StopFlag(time.monotonic() - 1).reason == "the time limit"
    assert StopFlag(time.monotonic() + 60).reason == ""


def test_who_can_save_nothing_leaves_as_the_signal_would() -> None:
    with StopFlag() as stop:
        stop.leave()
        os.kill(os.getpid(), signal.SIGINT)
        with pytest.raises(KeyboardInterrupt):
            stop.leave()
        os.kill(os.getpid(), signal.SIGTERM)
        with pytest.raises(SystemExit, match="143"):
            stop.leave()
