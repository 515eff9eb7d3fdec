"""A strictly increasing map to about a standard normal."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from scipy.special import ndtr, ndtri
from scipy.stats import kstest

from hepgen.errors import InputFileError
from hepgen.representations.maps.monotone import MonotoneNormal


def _crowded(size: int, seed: int) -> np.ndarray:
    """Scores of a good classifier in float32: most within 1e-3 of 0 or 1, a tenth of them exactly 1."""
    random = np.random.default_rng(seed)
    logits = random.choice([-8.0, 8.0], size) + 2 * random.normal(size=size)
    scores = (1 / (1 + np.exp(-logits))).astype(np.float32)
    scores[random.random(size) < 0.1] = 1
    return scores.astype(np.float64)


def test_crowded_scores_become_normal_and_none_fall_together() -> None:
    scale = MonotoneNormal.fit(_crowded(50_000, 0))
    other = _crowded(50_000, 1)
    low, high = scale.interval(other)
    smooth = ndtri(np.random.default_rng(2).uniform(ndtr(low), ndtr(high)))
    assert kstest(smooth, "norm").statistic < 0.015
    distinct = np.unique(other)
    assert (np.diff(scale(distinct)) > 0).all()
    assert len(distinct) > 1000


def test_an_atom_stands_for_its_middle_and_spans_its_probability() -> None:
    random = np.random.default_rng(0)
    scale = MonotoneNormal.fit(np.where(random.random(20_000) < 0.4, 0.0, random.random(20_000) + 1e-9))
    assert scale(np.array([0.0])).item() == pytest.approx(-0.842, abs=0.02)  # probability 0.2
    (low,), (high,) = scale.interval(np.array([0.0]))
    assert low < -3
    assert high == pytest.approx(-0.253, abs=0.03)  # probability 0.4
    (low,), (high,) = scale.interval(np.array([0.5]))
    assert low == high == pytest.approx(0.524, abs=0.03)  # probability 0.7


def test_scores_of_a_few_values_are_all_atoms() -> None:
    values = np.random.default_rng(0).integers(0, 5, 5000) / 4
    scale = MonotoneNormal.fit(values)
    assert len(scale.atoms) == 5
    low, high = scale.interval(np.linspace(0, 1, 5))
    assert (low < high).all()
    assert high[:-1] == pytest.approx(low[1:])


@given(
    sample=arrays.arrays(np.float32, st.integers(2, 300), elements=st.floats(-1e3, 1e3, width=32)),
    values=arrays.arrays(np.float32, st.integers(2, 40), elements=st.floats(-3e3, 3e3, width=16), unique=True),
)
def test_a_larger_value_stays_larger(sample: np.ndarray, values: np.ndarray) -> None:
    sample = np.concatenate([sample, np.repeat(sample[:1], 15), sample[:1] + 1]).astype(np.float64)
    scale = MonotoneNormal.fit(sample)
    ordered = np.unique(np.concatenate([np.sort(values).astype(np.float64), sample]))
    ordered = ordered[np.concatenate([[True], np.diff(ordered) > 1e-6])]
    assert (np.diff(scale(ordered)) > 0).all()
    low, high = scale.interval(ordered)
    assert ((low <= scale(ordered) + 1e-9) & (scale(ordered) <= high + 1e-9)).all()


def test_the_map_goes_on_beyond_what_was_seen() -> None:
    scale = MonotoneNormal.fit(np.random.default_rng(0).random(1000) * 0.9)
    assert (np.diff(scale(np.array([-5.0, -0.1, 0.0, 0.9, 0.95, 1.0, 50.0]))) > 0.1).all()
    assert np.isnan(scale(np.array([np.nan]))).all()


def test_weights_count_by_their_size() -> None:
    values = np.linspace(0, 1, 2000)
    scale = MonotoneNormal.fit(values, np.where(values > 0.5, -3.0, 1.0))
    assert scale(np.array([0.5])).item() == pytest.approx(-0.674, abs=0.02)


def test_numbers_go_through_json() -> None:
    scale = MonotoneNormal.fit(_crowded(2000, 0))
    again = MonotoneNormal.from_state(json.loads(json.dumps(scale.state())))
    assert np.array_equal(again(_crowded(500, 1)), scale(_crowded(500, 1)))
    assert np.array_equal(again.interval(_crowded(500, 1)), scale.interval(_crowded(500, 1)))


@pytest.mark.parametrize(
    ("values", "weights", "message"),
    [([1.0, 1.0], None, "the same"), ([], None, "no values"), ([1.0, 2.0], [0.0, 0.0], "weights are zero")],
)
def test_what_cannot_be_scaled_is_refused(values: list[float], weights: list[float] | None, message: str) -> None:
    with pytest.raises(InputFileError, match=message):
        MonotoneNormal.fit(np.array(values), None if weights is None else np.array(weights))
