"""Multivariate distances against closed forms, brute force and scipy."""

import numpy as np
import pytest
import scipy.spatial.distance
import scipy.stats

from hepgen.errors import UsageError
from hepgen.evaluation.multivariate import (
    correlation_distance,
    frechet_distance,
    frechet_extrapolated,
    frechet_intercept,
    kernel_distance,
    neighbour_scores,
)
from hepgen.evaluation.transport import energy_distance, sliced_wasserstein

RNG = np.random.default_rng


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
    with pytest.raises(UsageError, match="two events"):
        energy_distance(np.zeros((1, 2)), np.zeros((5, 2)))
    with pytest.raises(UsageError, match="too few to extrapolate from 10"):
        frechet_intercept(np.zeros((19, 2)), np.zeros((50, 2)), smallest=10)
    with pytest.raises(UsageError, match="not 3 and 4 events"):
        sliced_wasserstein(np.zeros((3, 2)), np.zeros((4, 2)), RNG(0))


def test_an_intercept_has_no_bias_and_an_error_that_fits():
    found = []
    for seed in range(12):
        rng = RNG(seed)
        x, y = rng.normal(size=(4000, 6)), rng.normal(size=(4000, 6)) + np.array([0.3, 0, 0, 0, 0, 0])
        found.append(frechet_intercept(x, y, smallest=250))
    values, errors = np.array(found).T
    assert frechet_distance(x[:250], y[:250]) > 0.11
    assert values.mean() == pytest.approx(0.09, abs=0.01)
    assert np.median(errors) == pytest.approx(values.std(), rel=0.7)


def test_an_intercept_has_an_error_with_two_pieces_too():
    rng = RNG(1)
    for size in (200, 201, 299, 300):
        value, error = frechet_intercept(rng.normal(size=(size, 3)), rng.normal(size=(size, 3)), smallest=100)
        assert np.isfinite(value)
        assert 0 < error < 1


def test_correlations_are_compared_by_the_frobenius_norm():
    rng = RNG(4)
    x = rng.normal(size=(500, 3))
    y = x @ np.array([[1.0, 0.5, 0.0], [0.0, 1.0, 0.2], [0.0, 0.0, 1.0]])
    expected = np.linalg.norm(np.corrcoef(x.T) - np.corrcoef(y.T))
    assert correlation_distance(x, 7 * y + 3) == pytest.approx(expected)
    constant = np.concatenate([x, np.ones((500, 1))], axis=1)
    assert correlation_distance(constant, constant) == 0


def test_slices_see_what_no_single_feature_shows():
    rng = RNG(5)
    x = rng.normal(size=(2000, 2))
    bound = rng.multivariate_normal([0, 0], [[1, 0.8], [0.8, 1]], size=2000)
    floor = sliced_wasserstein(x, rng.normal(size=(2000, 2)), RNG(0))
    assert sliced_wasserstein(x, bound, RNG(0)) > 4 * floor
    moved = sliced_wasserstein(x, x + np.array([1.0, 0.0]), RNG(0), slices=20_000)
    assert moved == pytest.approx(2 / np.pi, rel=0.02)  # the mean of |cos|


def test_the_energy_distance_is_that_of_all_pairs():
    rng = RNG(6)
    x, y = rng.normal(size=(1200, 2)), rng.normal(0.2, 1.3, size=(700, 2))
    pairs = scipy.spatial.distance.cdist
    expected = 2 * pairs(x, y).mean()
    for one in (x, y):
        expected -= pairs(one, one).sum() / (len(one) * (len(one) - 1))
    value, p = energy_distance(x, y, RNG(0), permutations=99)
    assert value == pytest.approx(expected, rel=1e-6)
    assert p == 0.01


def test_permutations_give_truth_any_probability():
    found = [
        energy_distance(*np.split(RNG(seed).normal(size=(200, 2)), 2), RNG(0), permutations=49)[1] for seed in range(40)
    ]
    assert 0.25 < np.mean(found) < 0.75
    assert np.mean(np.array(found) <= 0.1) < 0.3


def test_weights_are_copies_of_events():
    rng = RNG(5)
    x, y = rng.normal(size=(2, 60, 3))
    times = rng.integers(1, 4, 60)
    copied = np.repeat(y, times, axis=0)
    for distance in (correlation_distance, lambda a, b, *w: sliced_wasserstein(a, b, RNG(0), *w)):
        weighted = distance(x, y, np.ones(60), times.astype(float))
        assert weighted == pytest.approx(distance(x, copied, np.ones(60), np.ones(len(copied))), rel=1e-9)
    assert energy_distance(x, y, None, np.ones(60), np.full(60, 7.0))[0] == pytest.approx(energy_distance(x, y)[0])
    assert frechet_distance(x, y, np.full(60, 2.0), np.full(60, 3.0)) == pytest.approx(frechet_distance(x, y))


def test_weights_that_undo_a_tilt_undo_the_distance():
    rng = RNG(6)
    x, y = rng.normal(size=(2, 4000, 2))
    kept = y[rng.uniform(size=4000) < 1 / (1 + np.exp(-2 * y[:, 0]))]
    undone = 1 + np.exp(-2 * kept[:, 0])
    ones = np.ones(4000)
    for distance in (
        frechet_distance,
        lambda a, b, *w: sliced_wasserstein(a, b, RNG(0), *w),
        lambda a, b, *w: energy_distance(a, b, None, *w)[0],
    ):
        assert distance(x, kept, ones, undone) < 0.3 * distance(x, kept, ones, np.ones(len(kept)))
    tilted = energy_distance(x[:500], kept[:500], RNG(1), ones[:500], np.ones(500))[1]
    assert tilted < 0.02 < energy_distance(x[:500], kept[:500], RNG(1), ones[:500], undone[:500])[1]
