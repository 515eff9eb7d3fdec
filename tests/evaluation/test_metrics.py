"""Metrics against closed forms, hand-made numbers and scipy."""

import numpy as np
import pytest
import scipy.stats

from hepgen.errors import UsageError
from hepgen.evaluation.metrics import (
    frechet_distance,
    frechet_extrapolated,
    kernel_distance,
    kolmogorov_distance,
    neighbour_scores,
    separation_power,
    wasserstein_distance,
)

RNG = np.random.default_rng


def test_separation_power_by_hand():
    # unit sums (1/2, 1/2, 0) and (1/4, 1/2, 1/4): 0.5 * (1/16 / (3/4) + 0 + 1/16 / (1/4)) = 1/6
    assert separation_power([2, 2, 0], [1, 2, 1]) == pytest.approx(1 / 6)
    assert separation_power([3, 4], [3, 4]) == 0
    assert separation_power([1, 0], [0, 9]) == 1
    assert np.isnan(separation_power([0, 0], [1, 1]))


def test_one_dimensional_distances_agree_with_scipy():
    rng = RNG(0)
    x, y = rng.normal(size=300), rng.normal(0.3, 1.2, size=200)
    wx, wy = rng.uniform(size=300), rng.uniform(size=200)
    assert kolmogorov_distance(x, y) == pytest.approx(scipy.stats.ks_2samp(x, y).statistic)
    assert wasserstein_distance(x, y) == pytest.approx(scipy.stats.wasserstein_distance(x, y))
    assert wasserstein_distance(x, y, wx, wy) == pytest.approx(scipy.stats.wasserstein_distance(x, y, wx, wy))


def test_ties_do_not_make_a_distance():
    x = np.repeat([1.0, 2.0, 3.0], 10)
    assert kolmogorov_distance(x, x[::-1]) == pytest.approx(0, abs=1e-12)
    assert kolmogorov_distance([1, 1, 2], [1, 2, 2]) == pytest.approx(1 / 3)


def test_a_weight_is_a_repetition_and_a_negative_one_takes_away():
    assert kolmogorov_distance([0, 1], [0, 1], [3, 1], [1, 1]) == pytest.approx(0.25)
    assert kolmogorov_distance([0, 1, 1], [0], [1, 1, -1], [2]) == pytest.approx(0)


def test_frechet_distance_of_gaussians_has_its_closed_form():
    rng = RNG(1)
    x = rng.normal(size=(20_000, 3))
    shift, scale = np.array([1.0, 0.0, -0.5]), np.array([2.0, 1.0, 0.5])
    expected = shift @ shift + np.sum((scale - 1) ** 2)
    assert frechet_distance(x, x * scale + shift) == pytest.approx(expected, rel=0.03)
    assert frechet_distance(x, x) == pytest.approx(0, abs=1e-9)


def test_frechet_distance_of_constants_is_the_analytic_case_of_jetnet():
    assert frechet_distance(np.full((10, 2), 2.0), np.zeros((10, 2))) == pytest.approx(8)
    value, _ = frechet_extrapolated(
        np.full((50, 2), 2.0), np.zeros((50, 2)), RNG(0), min_samples=20, max_samples=50, repeats=2
    )
    assert value == pytest.approx(8, rel=1e-3)
    assert kernel_distance(np.full((50, 2), 2.0), np.zeros((50, 2)), RNG(0))[0] == pytest.approx(624)


def test_extrapolation_removes_most_of_the_bias():
    rng = RNG(2)
    x, y = rng.normal(size=(4000, 6)), rng.normal(size=(4000, 6))
    value, error = frechet_extrapolated(x, y, rng, min_samples=400, max_samples=4000, repeats=5)
    assert value < frechet_distance(x[:400], y[:400]) / 3
    assert error > 0


def test_neighbour_scores_see_a_lost_mode_and_a_new_one():
    rng = RNG(3)
    modes = np.array([[0.0, 0.0], [20.0, 0.0]])
    both = np.concatenate([mode + rng.normal(size=(200, 2)) for mode in modes])
    fresh = np.concatenate([mode + rng.normal(size=(200, 2)) for mode in modes])
    good = neighbour_scores(both, fresh)
    assert good.coverage > 0.9
    assert good.precision > 0.85
    lost = neighbour_scores(both, rng.normal(size=(400, 2)))
    assert lost.coverage < 0.55
    assert lost.recall < 0.6
    assert lost.precision > 0.85
    wrong = neighbour_scores(both, fresh + np.array([0.0, 50.0]))
    assert wrong.precision == 0
    assert wrong.coverage == 0


def test_too_few_events_are_refused():
    with pytest.raises(UsageError, match="two events"):
        frechet_distance(np.zeros((1, 2)), np.zeros((5, 2)))
    with pytest.raises(UsageError, match="more than 5 events"):
        neighbour_scores(np.zeros((5, 2)), np.zeros((50, 2)))
