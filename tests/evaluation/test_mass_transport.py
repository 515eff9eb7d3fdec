"""The least cost of moving masses, against the network simplex of POT."""

from __future__ import annotations

import numpy as np
import ot
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hepgen.evaluation.mass_transport import least_cost


def problem(rng: np.random.Generator, n: int, m: int, *, whole: bool) -> tuple[np.ndarray, ...]:
    """Masses of one sum, and costs; whole numbers have many plans of equal cost, and masses of zero."""
    if whole:
        supply = rng.multinomial(20, np.full(n, 1 / n)).astype(float)
        demand = rng.multinomial(20, np.full(m, 1 / m)).astype(float)
        return supply / 20, demand / 20, rng.integers(0, 4, (n, m)).astype(float)
    supply, demand = rng.exponential(size=n) ** 3, rng.exponential(size=m) ** 3
    return supply / supply.sum(), demand / demand.sum(), rng.random((n, m)) ** 2


@given(seed=st.integers(0, 10**6), n=st.integers(1, 25), m=st.integers(1, 25), whole=st.booleans())
@settings(max_examples=150, deadline=None)
def test_it_is_as_low_as_that_of_the_network_simplex(seed: int, n: int, m: int, whole: bool) -> None:
    supply, demand, cost = problem(np.random.default_rng(seed), n, m, whole=whole)
    expected = ot.emd2(supply, demand, cost, center_dual=False)
    assert least_cost(supply, demand, cost) == pytest.approx(expected, rel=1e-9, abs=1e-12)


@pytest.mark.parametrize("size", [100, 200])
def test_large_problems_and_scales(size: int) -> None:
    supply, demand, cost = problem(np.random.default_rng(size), size, size + 10, whole=False)
    expected = ot.emd2(supply, demand, cost, center_dual=False)
    for mass, price in ((1.0, 1.0), (1e6, 1e-3), (1e-9, 1e4)):
        assert least_cost(mass * supply, mass * demand, price * cost) == pytest.approx(
            mass * price * expected, rel=1e-9
        )


def test_nothing_to_move_costs_nothing() -> None:
    assert least_cost(np.zeros(2), np.zeros(3), np.ones((2, 3))) == 0.0
