"""Who goes to whom."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from hepgen.errors import UsageError
from hepgen.generators.base import StageBatch
from hepgen.morphing.pairing import (
    assigned,
    drawn_by_condition,
    drawn_by_weight,
    refuse_negative_weights,
    shared_out,
    transport_cost,
)


@given(weight=st.lists(st.floats(0, 10), min_size=1, max_size=30), place=st.floats(0, 0.999))
def test_rows_are_drawn_as_often_as_their_weight_says(weight: list[float], place: float) -> None:
    law = np.array(weight) + 1e-3
    counts = np.bincount(drawn_by_weight(law, place), minlength=len(law))
    assert counts.sum() == len(law)
    assert np.abs(counts - law / law.mean()).max() < 1 + 1e-9


def test_the_source_takes_the_conditions_of_the_target() -> None:
    random = np.random.default_rng(0)
    condition, wanted = random.normal(size=(1000, 1)), random.normal(0.7, 0.5, size=(1000, 1))
    rows = drawn_by_condition(wanted, condition, np.ones(1000), random.random(1000))
    assert condition[rows].mean() == pytest.approx(wanted.mean(), abs=0.02)
    assert np.abs(condition[rows] - wanted).mean() < 0.03


def test_discrete_conditions_are_met_exactly() -> None:
    random = np.random.default_rng(0)
    condition, wanted = (random.integers(3, size=(256, 1)).astype(float) for _ in range(2))
    rows = drawn_by_condition(wanted, condition, np.ones(256), random.random(256))
    assert np.array_equal(condition[rows], wanted)


def test_weights_count_among_neighbours() -> None:
    condition = np.zeros((100, 1))
    weight = np.where(np.arange(100) < 50, 3.0, 1.0)
    share = shared_out(np.zeros((4, 1)), condition, weight)
    assert share[:, :50].sum(axis=1) == pytest.approx(0.75)
    with pytest.raises(UsageError, match="weight 0"):
        shared_out(np.zeros((4, 1)), condition, 0 * weight)


def test_pairs_have_the_least_cost_and_conditions_are_dear() -> None:
    x = np.array([[0.0], [1.0]])
    condition = np.array([[0.0], [1.0]])
    free = transport_cost(x, x, condition, condition[::-1], 0.0)
    dear = transport_cost(x, x, condition, condition[::-1], 100.0)
    assert assigned(free).tolist() == [0, 1]
    assert assigned(dear).tolist() == [1, 0]


def test_negative_weights_are_refused_by_name() -> None:
    side = StageBatch(torch.zeros(4, 1), torch.empty(4, 0), torch.tensor([1.0, 2.0, 2.0, -1.0]))
    refuse_negative_weights([None, StageBatch(side.x, side.condition)], "here", "hint")
    with pytest.raises(UsageError, match="25 % of the events have negative weights"):
        refuse_negative_weights([side], "here", "hint")
