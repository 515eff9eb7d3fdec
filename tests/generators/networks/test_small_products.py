"""Products of a few rows with weights in panels."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hepgen.generators.networks.small_products import WIDE, multiply, padded, panels


@settings(deadline=None, max_examples=60)
@given(
    rows=st.integers(0, 70), inputs=st.integers(1, 70), outputs=st.integers(1, 200), seed=st.integers(0, 2**32 - 1)
)  # fmt: skip
def test_the_product_is_that_of_numpy(rows: int, inputs: int, outputs: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    x, weight = rng.normal(size=(rows, inputs)).astype("f4"), rng.normal(size=(inputs, outputs)).astype("f4")
    beyond = np.full((rows + 1, padded(outputs)), 7.0, np.float32)
    padding = np.zeros(7, np.float32)  # other layers stand before
    weights = np.concatenate([padding, panels(weight).ravel()])
    assert multiply(x, 0, rows, weights, 7, beyond, 0) == len(weights)
    exact = x.astype(np.float64) @ weight.astype(np.float64)
    scale = np.abs(x).astype(np.float64) @ np.abs(weight).astype(np.float64)
    assert np.all(np.abs(beyond[:rows, :outputs] - exact) <= 1e-6 * scale + 1e-30)
    assert np.all(beyond[:rows, outputs:] == 0.0)
    assert np.all(beyond[rows] == 7.0)  # nothing is written behind the result


@pytest.mark.parametrize("rows", range(1, 31))
def test_a_row_does_not_depend_on_how_many_there_are(rows: int) -> None:
    rng = np.random.default_rng(rows)
    width = 5 * WIDE
    x, weights = rng.normal(size=(31, 128)).astype("f4"), panels(rng.normal(size=(128, width)).astype("f4")).ravel()
    every, some = np.empty((31, width), np.float32), np.full((rows + 2, width), 7.0, np.float32)
    multiply(x, 0, 31, weights, 0, every, 0)
    multiply(x, 31 - rows, rows, weights, 0, some, 1)
    assert np.array_equal(some[1:-1], every[31 - rows :])
    assert np.all(some[[0, -1]] == 7.0)


def test_what_is_not_finite_stays_so() -> None:
    x = np.array([[np.nan, 1.0], [np.inf, 1.0], [1.0, 1.0]], np.float32)
    found = np.empty((3, WIDE), np.float32)
    multiply(x, 0, 3, panels(np.ones((2, 3), np.float32)).ravel(), 0, found, 0)
    assert np.isnan(found[0, :3]).all()
    assert np.isposinf(found[1, :3]).all()
    assert found[2, :3].tolist() == [2.0, 2.0, 2.0]
