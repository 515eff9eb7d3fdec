"""Solvers of flows: what they take, and how their error falls."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from hepgen.generators.solvers import SOLVERS, evaluations, integrate

ORDERS = {"euler": 1, "midpoint": 2, "heun": 2, "adams": 3}


def slope(x: Tensor, t: float) -> Tensor:
    return x * (1 + 2 * t)


def error(solver: str, steps: int, begin: float, end: float) -> float:
    x = torch.tensor([1.0, -0.5], dtype=torch.float64)
    exact = x * math.exp(end + end**2 - begin - begin**2)
    return float((integrate(slope, x, solver, steps, begin, end) - exact).abs().max())


@pytest.mark.parametrize(("begin", "end"), [(0.0, 1.0), (1.0, 0.0), (0.5, 1.0)])
@pytest.mark.parametrize("solver", SOLVERS)
def test_errors_fall_with_the_order_of_the_solver(solver: str, begin: float, end: float) -> None:
    ratio = error(solver, 40, begin, end) / error(solver, 80, begin, end)
    assert math.log2(ratio) == pytest.approx(ORDERS[solver], abs=0.25)


@pytest.mark.parametrize("steps", [1, 2, 3, 7])
@pytest.mark.parametrize("solver", SOLVERS)
def test_evaluations_are_counted(solver: str, steps: int) -> None:
    times: list[float] = []

    def counted(x: Tensor, t: float) -> Tensor:
        times.append(t)
        return x

    integrate(counted, torch.ones(1), solver, steps)
    assert len(times) == evaluations(solver, steps)
    assert all(0 <= t <= 1 for t in times)


def test_a_straight_path_takes_one_step_of_any() -> None:
    x = torch.tensor([0.3, 2.0])
    for solver in SOLVERS:
        assert integrate(lambda at, _: torch.full_like(at, 1.5), x, solver, 1).tolist() == pytest.approx([1.8, 3.5])
