from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
import torch

from hepgen.generators.splines import inverse_spline, num_parameters, spline
from hepgen.generators.tiles import SMALLEST, for_each_tile


@pytest.fixture
def two_threads() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


@pytest.mark.parametrize("size", [0, 1, SMALLEST - 1, 2 * SMALLEST + 1, 7 * SMALLEST + 5])
def test_every_value_is_visited_once(two_threads: None, size: int) -> None:
    visits = np.zeros(size)
    for_each_tile(lambda part: np.add(visits[part], 1, out=visits[part]), size)
    assert (visits == 1).all()


def test_an_error_in_a_tile_reaches_the_caller(two_threads: None) -> None:
    def work(part: slice) -> None:
        if part.start > 0:
            raise ArithmeticError("in a tile")

    with pytest.raises(ArithmeticError, match="in a tile"):
        for_each_tile(work, 4 * SMALLEST)


@pytest.mark.parametrize("direction", [spline, inverse_spline])
def test_the_number_of_threads_changes_no_bit_of_a_spline(two_threads: None, direction: object) -> None:
    random = torch.Generator().manual_seed(5)
    results = []
    x = 3 * torch.randn(300, 131, generator=random)
    raw = torch.randn(num_parameters(8), 300, 131, generator=random)
    for threads in (2, 1):
        torch.set_num_threads(threads)
        a, b = x.clone().requires_grad_(), raw.clone().requires_grad_()
        y, log_slope = direction(a, b, 6.0)  # type: ignore[operator]
        (y.square() + log_slope).sum().backward()
        results.append((y.detach(), log_slope.detach(), a.grad, b.grad))
    for one, other in zip(*results, strict=True):
        assert torch.equal(one, other)


def test_tiles_work_where_gradients_are_never_wanted(two_threads: None) -> None:
    x, raw = torch.randn(300, 131), torch.randn(num_parameters(8), 300, 131)
    with torch.inference_mode():
        y, _ = spline(x, raw, 6.0)
        back, _ = inverse_spline(y, raw, 6.0)
    assert float((back - x).abs().max()) < 0.05
