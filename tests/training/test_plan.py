import math
from pathlib import Path

import pytest

from hepgen.errors import ModelError
from hepgen.training.plan import Plan, StagePlan, measure, shares


class Clock:
    """A clock that only moves when something works."""

    now = 0.0

    def work(self, seconds: float) -> None:
        self.now += seconds

    def __call__(self) -> float:
        return self.now


def test_the_steps_and_validations_fill_the_budget() -> None:
    clock = Clock()
    plan = measure(100.0, 50, lambda: clock.work(0.1), lambda: clock.work(2.0), lambda: False, clock)
    assert plan is not None
    total = clock.now + plan.steps * 0.1 + plan.steps / 50 * 2.0
    assert 90 < total < 100


def test_measuring_takes_a_small_part_of_the_budget_and_at_least_one_step() -> None:
    clock = Clock()
    plan = measure(100.0, 10**9, lambda: clock.work(4.0), lambda: clock.work(0), lambda: False, clock)
    assert plan is not None
    assert clock.now <= 8.0
    clock = Clock()
    plan = measure(1.0, 10**9, lambda: clock.work(50.0), lambda: clock.work(0), lambda: False, clock)
    assert plan is not None
    assert plan.steps == 1


def test_a_stop_request_ends_the_measurement() -> None:
    assert measure(1.0, 5, lambda: None, lambda: None, lambda: True) is None


def test_the_plan_is_stored_and_read(tmp_path: Path) -> None:
    plan = Plan(tmp_path / "plan.json")
    plan.stages["shapes"] = StagePlan(17, 3.0, 0.1, 0.2)
    plan.spent["shapes"] = 2.5
    plan.store()
    again = Plan(tmp_path / "plan.json")
    assert again.stages == plan.stages
    assert again.spent == plan.spent
    (tmp_path / "plan.json").write_text('{"stages": 3}')
    with pytest.raises(ModelError, match="plan of the run is damaged"):
        Plan(tmp_path / "plan.json")


def test_shares_add_up_to_one() -> None:
    for given in ({}, {"a": 0.2}, {"a": 0.2, "b": 0.3}, {"a": 1.0}, {"other": 0.9}):
        assert math.isclose(sum(shares({"a": 5, "b": 100}, given).values()), 1.0)
