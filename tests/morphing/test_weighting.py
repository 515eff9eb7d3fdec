"""Log ratios to weights: cut, normalised and judged."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from hepgen.errors import InputFileError, UsageError
from hepgen.morphing.weighting import WeightScale, WeightTally, clip_level, effective_sample_size, fit_scale

logs = arrays.arrays(np.float64, st.integers(2, 50), elements=st.floats(-30, 30))


@given(values=logs, total=st.none() | st.floats(1e-3, 1e6))
def test_weights_add_up_to_what_is_asked_for(values: np.ndarray, total: float | None) -> None:
    weight = np.linspace(1, 2, len(values))
    factors = fit_scale(values, weight, total=total).factors(values)
    assert weight @ factors == pytest.approx(weight.sum() if total is None else total)
    assert np.all(np.diff(factors[np.argsort(values)]) >= 0)


def test_normalised_weights_of_negative_events_add_up_too() -> None:
    random = np.random.default_rng(0)
    weight = np.where(random.random(1000) < 0.2, -1.0, 1.0)
    values = random.normal(size=1000)
    scale = fit_scale(values, weight, quantile=0.99)
    assert weight @ scale.factors(values) == pytest.approx(weight.sum())


def test_ratios_that_overflow_are_normalised() -> None:
    factors = fit_scale(np.array([2000.0, 1999.0]), np.ones(2)).factors(np.array([2000.0, 1999.0]))
    np.testing.assert_allclose(factors, 2 / (1 + np.exp(-1)) * np.array([1.0, np.exp(-1)]))


def test_the_cut_is_at_a_quantile_of_events_or_at_a_ratio() -> None:
    values = np.log(np.arange(1.0, 101.0))
    assert math.exp(clip_level(values, np.ones(100), quantile=0.9)) == pytest.approx(90)
    assert math.exp(clip_level(values, np.ones(100), quantile=0.9, most=50)) == pytest.approx(50)
    assert clip_level(values, np.ones(100)) == math.inf
    # half of the weight lies above 90
    heavy = np.where(np.arange(100) >= 90, 9.0, 1.0)
    assert math.exp(clip_level(values, -heavy, quantile=0.5)) == pytest.approx(90)
    scale = fit_scale(values, np.ones(100), quantile=0.9)
    factors = scale.factors(values)
    assert factors[-1] == pytest.approx(factors[89])
    assert factors.sum() == pytest.approx(100)


@pytest.mark.parametrize("options", [{"quantile": 0.0}, {"quantile": 1.5}, {"most": 0.0}])
def test_senseless_cuts_are_refused(options: dict[str, float]) -> None:
    with pytest.raises(UsageError):
        fit_scale(np.zeros(3), np.ones(3), **options)


def test_samples_without_a_shape_are_refused() -> None:
    with pytest.raises(InputFileError, match="cannot be scaled"):
        fit_scale(np.array([5.0, 0.0]), np.array([-1.0, 1.5]))
    with pytest.raises(InputFileError, match="1 of 2 events is not a number"):
        fit_scale(np.array([np.nan, 0.0]), np.ones(2))


def test_blocks_count_as_the_whole() -> None:
    random = np.random.default_rng(1)
    values, weight = random.normal(size=300), random.uniform(-0.2, 1, size=300)
    scale = fit_scale(values, weight, quantile=0.95)
    whole, parts = WeightTally(), WeightTally()
    new = whole.update(values, weight, scale)
    for rows in np.array_split(np.arange(300), 7):
        np.testing.assert_array_equal(parts.update(values[rows], weight[rows], scale), new[rows])
    for name, value in vars(whole).items():
        assert getattr(parts, name) == pytest.approx(value), name
    assert whole.effective == pytest.approx(effective_sample_size(new))
    assert whole.after == pytest.approx(weight.sum())


def _doubts(source: np.ndarray, shift: float, size: float = 1.0, **cut: float) -> list[str]:
    """Of the exact ratio of a normal at ``shift`` to the source's, which is at 0, times ``size``."""
    values = size * (shift * source - shift**2 / 2)
    tally = WeightTally()
    tally.update(values, np.ones(len(source)), fit_scale(values, np.ones(len(source)), **cut))
    return [*tally.doubts(), *tally.misfit()]


def test_doubts_are_said_where_there_are_any() -> None:
    source = np.random.default_rng(0).normal(size=5000)
    assert _doubts(source, 0.5) == []
    far = " ".join(_doubts(source, 5.0))
    assert "hardly overlap" in far
    assert "one event carries" in far
    assert "mean ratio" in far
    assert "no difference" in " ".join(_doubts(source, 1e-5))
    assert "the cut of large ratios takes away" in " ".join(_doubts(source, 1.5, most=2.0))
    assert "hardly overlap" not in " ".join(_doubts(source, 1.5, most=2.0))
    # a ratio twice as steep as it ought to be is not one
    assert "should be 1" in " ".join(_doubts(source, 1.0, 2.0))


def test_nothing_counted_is_no_doubt() -> None:
    assert WeightTally().doubts() == WeightTally().misfit() == []


def test_a_part_of_the_source_need_not_have_the_mean_ratio_of_all_of_it() -> None:
    source = np.random.default_rng(0).normal(size=5000)
    values = 0.5 * source - 0.125
    scale = fit_scale(values, np.ones(5000))
    part = WeightTally()
    part.update(values[source > 1], np.ones(int((source > 1).sum())), scale)
    assert part.mean_ratio > 1.2
    assert part.doubts() == []


def test_a_scale_without_a_cut_cuts_nothing() -> None:
    assert WeightScale(math.inf, 0.0).factors(np.array([-np.inf])).tolist() == [0.0]
