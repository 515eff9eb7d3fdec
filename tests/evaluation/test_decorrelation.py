"""Rejection and sculpting of cuts whose values are known."""

from __future__ import annotations

import math

import numpy as np
import pytest

from hepgen.errors import UsageError
from hepgen.evaluation.decorrelation import inverse_divergence, sculpting_curve, threshold_at


def test_the_rejection_at_half_the_signal_is_that_of_the_normal_law() -> None:
    random = np.random.default_rng(0)
    signal, background = random.normal(1, 1, 200_000), random.normal(0, 1, 200_000)
    (point,) = sculpting_curve(signal, background, random.normal(size=200_000))
    assert point.threshold == pytest.approx(1.0, abs=0.01)
    assert point.rejection == pytest.approx(2 / math.erfc(1 / math.sqrt(2)), rel=0.02)


@pytest.mark.parametrize("against", ["failing", "all"])
def test_a_cut_at_random_reaches_the_floor_and_not_more(against: str) -> None:
    random = np.random.default_rng(1)
    found = []
    for _ in range(40):
        mass, weight = random.normal(size=20_000), np.ones(20_000)
        edges = np.quantile(mass, np.linspace(0, 1, 21)[1:-1])
        inverse, floor = inverse_divergence(mass, weight, random.random(20_000) < 0.1, edges, against)
        found.append(floor / inverse)
    assert np.mean(found) == pytest.approx(1, abs=0.15)


def test_a_cut_on_the_protected_variable_is_seen_with_weights_too() -> None:
    random = np.random.default_rng(2)
    mass = random.normal(size=10_000)
    (sharp,) = sculpting_curve(mass, mass, mass, efficiencies=[0.3])
    assert sharp.inverse_jsd == pytest.approx(1, abs=0.15)
    score = random.normal(size=10_000)
    weight = np.where(score > 0, np.exp(mass), 1.0)  # the weights sculpt, the score does not
    (flat,), (sculpted,) = (
        sculpting_curve(score, score, mass, background_weight=one, bins=10) for one in (np.ones(10_000), weight)
    )
    assert flat.inverse_jsd > 5 * sculpted.inverse_jsd


def test_more_rejection_for_less_signal() -> None:
    random = np.random.default_rng(3)
    points = sculpting_curve(
        random.normal(1, 1, 5000), random.normal(size=5000), random.normal(size=5000), efficiencies=(0.3, 0.5, 0.8)
    )
    assert [one.rejection for one in points] == sorted((one.rejection for one in points), reverse=True)


def test_what_cannot_be_is_said() -> None:
    with pytest.raises(UsageError, match="efficiency"):
        threshold_at(np.arange(3.0), np.ones(3), 1.0)
    nothing = inverse_divergence(np.arange(3.0), np.ones(3), np.zeros(3, bool), np.array([1.0]))
    assert all(math.isnan(one) for one in nothing)
