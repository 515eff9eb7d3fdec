"""Pieces of work side by side: in order, bounded, and none left behind."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest
import torch

from hepgen.morphing.in_order import MOST_PIECES, in_order

PATIENCE = 60.0


@pytest.fixture(autouse=True)
def _same_threads() -> Iterator[None]:
    before = torch.get_num_threads()
    yield
    assert torch.get_num_threads() == before


def test_pieces_run_side_by_side_and_come_in_order() -> None:
    second_begun = threading.Event()

    def work(number: int) -> int:
        if number == 1:
            second_begun.set()
        if number == 0 and not second_begun.wait(PATIENCE):
            raise TimeoutError("the first piece ran alone")
        return number

    assert list(in_order(work, ((k,) for k in range(20)), threads=2)) == list(range(20))


@pytest.mark.parametrize("threads", [1, 2, 64])
def test_few_pieces_are_taken_ahead(threads: int) -> None:
    taken: list[int] = []

    def pieces() -> Iterator[tuple[int]]:
        for k in range(100):
            taken.append(k)
            yield (k,)

    most = 1 if threads == 1 else 2 * min(threads, MOST_PIECES)
    for place, _ in enumerate(in_order(lambda k: k, pieces(), threads=threads)):
        assert len(taken) <= place + most


@pytest.mark.parametrize("threads", [1, 2])
def test_an_error_comes_in_its_turn_and_ends_the_work(threads: int) -> None:
    begun: list[int] = []

    def work(number: int) -> int:
        begun.append(number)
        if number == 3:
            raise ValueError("piece 3")
        return number

    found: list[int] = []
    with pytest.raises(ValueError, match="piece 3"):
        found.extend(in_order(work, ((k,) for k in range(100)), threads=threads))
    assert found == [0, 1, 2]
    assert len(begun) <= 3 + 2 * threads


def test_a_closed_generator_leaves_no_thread() -> None:
    before = set(threading.enumerate())
    results = in_order(lambda k: k, ((k,) for k in range(100)), threads=2)
    assert next(results) == 0
    results.close()
    assert set(threading.enumerate()) <= before


def test_threads_of_torch_are_shared_out_and_restored() -> None:
    def threads_of_torch(number: int = 0) -> int:
        return torch.get_num_threads()

    assert set(in_order(threads_of_torch, ((k,) for k in range(8)), threads=2)) == {1}
    assert set(in_order(threads_of_torch, ((k,) for k in range(8)), threads=2 * MOST_PIECES)) == {2}
    later: list[int] = []
    thread = threading.Thread(target=lambda: later.append(threads_of_torch()))
    thread.start()
    thread.join()
    assert later == [torch.get_num_threads()]
