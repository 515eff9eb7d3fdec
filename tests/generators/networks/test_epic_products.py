"""Products of an EPiC layer with what follows them, against numpy."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from hepgen.generators.networks.epic_products import multiply_closed, multiply_told
from hepgen.generators.networks.small_products import WIDE, panels

SLOPE = np.float32(0.1)
Rows = NDArray[np.float32]


def _rectified(x: Rows) -> Rows:
    return np.maximum(x, SLOPE * x)


@settings(deadline=None, max_examples=40)
@given(
    rows=st.integers(0, 40), first=st.integers(0, 5), width=st.sampled_from([WIDE, 3 * WIDE]), seed=st.integers(0, 999)
)
def test_both_products_of_a_layer_are_those_of_numpy(rows: int, first: int, width: int, seed: int) -> None:
    rng = np.random.default_rng(seed)

    def normal(*shape: int) -> Rows:
        return rng.normal(size=shape).astype("f4")

    x, start, tells, totals = normal(50, width), normal(50, width), normal(4, width), normal(4, width)
    one, two, bias = normal(width, width), normal(width, width), normal(width)
    weights = np.concatenate([panels(one).ravel(), panels(two).ravel(), bias])
    events = np.sort(rng.integers(0, 4, 50))
    chosen = slice(first, first + rows)

    near = np.full((41, width), 7.0, np.float32)
    multiply_told(x, first, rows, weights, 0, near, tells, events, SLOPE)
    np.testing.assert_allclose(near[:rows], _rectified(x[chosen] @ one + tells[events[chosen]]), rtol=1e-4, atol=1e-4)
    assert np.all(near[rows:] == 7.0)

    before, sums = x.copy(), totals.copy()
    multiply_closed(near, rows, weights, width * width, x, first, start, totals, events, SLOPE)
    expected = before.copy()
    expected[chosen] = _rectified(near[:rows] @ two + before[chosen] + bias) + start[chosen]
    np.testing.assert_allclose(x, expected, rtol=1e-4, atol=1e-3)
    np.add.at(sums, events[chosen], x[chosen])
    np.testing.assert_allclose(totals, sums, rtol=1e-4, atol=1e-4)


def test_what_is_not_finite_stays_so() -> None:
    x, event = np.zeros((1, WIDE), np.float32), np.zeros(1, np.int64)
    x[0, 0] = np.nan
    near = np.empty((1, WIDE), np.float32)
    multiply_told(
        x, 0, 1, panels(np.eye(WIDE, dtype="f4")).ravel(), 0, near, np.zeros((1, WIDE), np.float32), event, SLOPE
    )
    assert np.isnan(near).all()  # a product with zero is not a number either
