from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import kendalltau, ks_2samp

from hepgen.training.calibration import Calibration


def skewed(events: int, seed: int = 1) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    true = np.column_stack([rng.normal(size=events), rng.gamma(2.0, size=events)]).astype(np.float32)
    made = np.column_stack([0.1 + 0.9 * rng.normal(size=4 * events), rng.gamma(2.5, size=4 * events)])
    return made.astype(np.float32), true


def test_generated_features_get_the_law_of_the_events() -> None:
    made, true = skewed(10_000)
    fresh, _ = skewed(10_000, seed=2)
    calibrated = Calibration.fit(made, true)(torch.from_numpy(fresh)).numpy()
    for column in range(2):
        assert ks_2samp(fresh[:, column], true[:, column]).statistic > 0.03
        assert ks_2samp(calibrated[:, column], true[:, column]).pvalue > 0.01


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**31), st.integers(50, 2000))
def test_the_order_of_the_events_is_kept(seed: int, events: int) -> None:
    made, true = skewed(events, seed)
    calibrated = Calibration.fit(made, true)(torch.from_numpy(5 * made)).numpy()
    assert np.isfinite(calibrated).all()
    for column in range(2):
        order = np.argsort(made[:, column], kind="stable")
        assert (np.diff(calibrated[order, column]) >= -1e-5).all()


def test_a_generator_that_is_right_is_left_as_it_is() -> None:
    _, true = skewed(50_000)
    made, _ = np.split(np.tile(true, (2, 1)), 2)
    x = torch.from_numpy(true[:1000])
    torch.testing.assert_close(Calibration.fit(made, true)(x), x, rtol=0, atol=2e-4)


def test_correlations_of_ranks_are_kept() -> None:
    rng = np.random.default_rng(1)
    shared = rng.normal(size=2000)
    made = np.column_stack([shared + rng.normal(size=2000), shared]).astype(np.float32)
    true = rng.exponential(size=(2000, 2)).astype(np.float32)
    calibrated = Calibration.fit(made, true)(torch.from_numpy(made)).numpy()
    assert kendalltau(*calibrated.T).statistic > 0.99 * kendalltau(*made.T).statistic


def test_beyond_the_quantiles_features_are_shifted() -> None:
    made, true = skewed(5000)
    calibration = Calibration.fit(made, true)
    far = calibration(torch.tensor([[100.0, 100.0], [-100.0, -100.0]]))
    torch.testing.assert_close(far[0], 100 + calibration.true[:, -1] - calibration.made[:, -1])
    torch.testing.assert_close(far[1], -100 + calibration.true[:, 0] - calibration.made[:, 0])


def test_a_value_of_its_own_is_met_exactly() -> None:
    rng = np.random.default_rng(1)
    true = np.where(rng.random((5000, 1)) < 0.6, -1.0, rng.normal(3, 0.1, (5000, 1))).astype(np.float32)
    made = rng.normal(size=(20_000, 1)).astype(np.float32)
    calibrated = Calibration.fit(made, true)(torch.from_numpy(made)).numpy()
    assert np.mean(calibrated == -1.0) > 0.55
    back = Calibration.fit(true, made[:5000])(torch.from_numpy(true))  # an atom has one image
    assert torch.isfinite(back).all()


def test_weights_count() -> None:
    rng = np.random.default_rng(1)
    true = rng.uniform(size=(20_000, 1)).astype(np.float32)
    made = np.tile(true, (2, 1))
    weight = np.where(true[:, 0] < 0.5, -3.0, 1.0).astype(np.float32)
    conditional = Calibration.fit(made, true, weight)
    x = torch.tensor([[0.2], [0.8]])
    torch.testing.assert_close(conditional(x), x, rtol=0, atol=0.01)  # the same weights on both sides
    shifted = Calibration.fit(np.sqrt(made), true, weight)
    assert torch.median(shifted(torch.from_numpy(np.sqrt(true)))).item() == pytest.approx(0.5, abs=0.01)
    medians = [float(Calibration.fit(made, true, one).true[0, 30]) for one in (None, weight)]
    assert medians == pytest.approx([0.5, 1 / 3], abs=0.01)  # 3/4 of the weight lies below one half
