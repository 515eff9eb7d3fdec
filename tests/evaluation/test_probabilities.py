"""Probabilities are those of scipy, of a count by hand, or of many samples of one law."""

import numpy as np
import pytest
import scipy.stats
from hypothesis import given
from hypothesis import strategies as st

from hepgen.classifiers.calibration import area_under_curve
from hepgen.evaluation.metrics import effective_events
from hepgen.evaluation.probabilities import (
    chi2_p,
    closer_p,
    copies_p,
    counts_p,
    kolmogorov_p,
    mann_whitney_p,
    normal_p,
    shares_p,
)


def test_kolmogorov_and_mann_whitney_are_those_of_scipy() -> None:
    random = np.random.default_rng(1)
    x, y = random.normal(size=900), random.normal(0.1, 1, size=700)
    exact = scipy.stats.ks_2samp(x, y)
    assert kolmogorov_p(exact.statistic, 900, 700) == pytest.approx(exact.pvalue, rel=0.1)
    labels = np.repeat([0.0, 1.0], [900, 700])
    auc = area_under_curve(np.concatenate([x, y]), labels)
    expected = scipy.stats.mannwhitneyu(y, x, alternative="greater", method="asymptotic", use_continuity=False)
    assert mann_whitney_p(auc, 900, 700) == pytest.approx(expected.pvalue, rel=1e-6)
    assert effective_events(np.array([1.0, -1.0, 2.0])) == pytest.approx(4 / 6)


def test_gaussian_and_chi2_are_those_of_scipy() -> None:
    assert normal_p(5.0) == pytest.approx(scipy.stats.norm.sf(5.0))
    assert normal_p(-5.0, both_sides=True) == pytest.approx(2 * scipy.stats.norm.sf(5.0))
    np.testing.assert_allclose(chi2_p([3.0, 90.0], [2, 40]), scipy.stats.chi2.sf([3.0, 90.0], [2, 40]))
    assert np.isnan(chi2_p(3.0, 0))


@given(st.integers(0, 12), st.integers(0, 12), st.integers(20, 60), st.integers(20, 60))
def test_counts_are_fishers_exact_test(first: int, second: int, first_events: int, second_events: int) -> None:
    table = [[first, first_events - first], [second, second_events - second]]
    expected = scipy.stats.fisher_exact(table, alternative="greater").pvalue
    assert counts_p(first, first_events, second, second_events) == pytest.approx(expected, rel=1e-6)
    both = counts_p(first, first_events, second, second_events, both_sides=True)
    assert both == pytest.approx(counts_p(second, second_events, first, first_events, both_sides=True), rel=1e-6)
    assert expected <= both * (1 + 1e-6) or both >= 2 * (1 - expected)


def test_shares_of_weighted_events_count_the_weights() -> None:
    random = np.random.default_rng(2)
    marked, few = random.uniform(size=4000) < 0.03, random.uniform(size=4000) < 0.01
    equal, weights = np.ones(4000), random.uniform(0.5, 1.5, 4000)
    assert shares_p(marked, equal, few, equal) == counts_p(int(marked.sum()), 4000, int(few.sum()), 4000)
    assert shares_p(marked, weights, few, weights) < 1e-6
    light = np.where(marked, weights / 3, weights)
    assert shares_p(marked, light, few, weights) > 0.01  # as much weight as in the other sample
    one = np.arange(4000) == 7
    heavy = np.where(one, 400.0, 1.0)
    assert shares_p(one, heavy, one & False, equal) > 0.1  # a single event proves nothing


def test_closer_events_follow_the_law_of_ranks() -> None:
    assert closer_p(0, 50, 1, 50) == 1.0
    assert closer_p(3, 50, 1, 100) == pytest.approx(50 / 150 * 49 / 149 * 48 / 148)
    random = np.random.default_rng(3)
    found = []
    for _ in range(2000):
        mine, others = random.normal(size=60), random.normal(size=80)
        found.append(closer_p(int((mine < np.sort(others)[3]).sum()), 60, 4, 80))
    for limit in (0.01, 0.05, 0.3):
        assert np.mean(np.array(found) <= limit) < limit + 3 * np.sqrt(limit / 2000)
    assert np.mean(np.array(found) <= 0.3) > 0.15


@pytest.mark.parametrize("values", [5, 500, 50_000])
def test_copies_that_fall_to_both_samples_by_chance_are_no_copies(values: int) -> None:
    random = np.random.default_rng(4)
    found = []
    for _ in range(300):
        mine, others = (random.integers(1, values, size).astype(np.uint64) for size in (400, 700))
        found.append(copies_p(mine, others)[1])
    assert np.mean(np.array(found) < 0.05) <= 0.08


def test_copies_that_one_sample_has_are_improbable() -> None:
    others = np.arange(1000, 3000, dtype=np.uint64)
    mine = np.arange(1, 1001, dtype=np.uint64)
    assert copies_p(mine, others) == (0, 1.0)
    mine[:20] = mine[20:40]
    count, p = copies_p(mine, others)
    assert count == 20
    assert p == pytest.approx((1 / 9) ** 20, rel=1e-6)
    mine[:100] = mine[500]  # one event a hundred times
    assert copies_p(mine, others)[1] < 1e-40
    assert copies_p(others, mine)[1] == 1.0
    assert copies_p(np.zeros(50, dtype=np.uint64), others) == (0, 1.0)  # events without content
    crowd = np.repeat(np.arange(1, 4001, dtype=np.uint64), 2)  # so many that the Gaussian takes over
    assert copies_p(crowd, np.arange(5000, 14_000, dtype=np.uint64))[1] < 1e-12
