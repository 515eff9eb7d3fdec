"""Metrics against closed forms, hand-made numbers and scipy."""

import numpy as np
import pytest
import scipy.stats

from hepgen.evaluation.metrics import (
    chi2_per_bin,
    kolmogorov_distance,
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


def test_chi2_is_one_per_degree_of_freedom_for_equal_laws_weights_or_not():
    rng = RNG(5)
    found = []
    for _ in range(200):
        (x, y), w = rng.normal(size=(2, 2000)), rng.uniform(0.5, 1.5, size=2000)
        edges = np.linspace(-2, 2, 21)
        counts = [
            np.histogram(x, edges)[0],
            np.histogram(y, edges, weights=w)[0],
            np.histogram(y, edges, weights=w**2)[0],
        ]
        found.append(chi2_per_bin(counts[0], counts[0], counts[1], counts[2])[0])
    assert np.mean(found) == pytest.approx(1, abs=0.06)
    assert np.isnan(chi2_per_bin([3, 0], [3, 0], [4, 0], [4, 0])[0])
    assert np.isnan(chi2_per_bin([0, 0], [0, 0], [4, 1], [4, 1])[0])


def test_ties_do_not_make_a_distance():
    x = np.repeat([1.0, 2.0, 3.0], 10)
    assert kolmogorov_distance(x, x[::-1]) == pytest.approx(0, abs=1e-12)
    assert kolmogorov_distance([1, 1, 2], [1, 2, 2]) == pytest.approx(1 / 3)


def test_a_weight_is_a_repetition_and_a_negative_one_takes_away():
    assert kolmogorov_distance([0, 1], [0, 1], [3, 1], [1, 1]) == pytest.approx(0.25)
    assert kolmogorov_distance([0, 1, 1], [0], [1, 1, -1], [2]) == pytest.approx(0)
