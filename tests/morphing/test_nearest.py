"""The nearest places, against a tree of scipy."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial import KDTree

from hepgen.morphing.nearest import nearest


@given(seed=st.integers(0, 10**6), size=st.integers(1, 60), dimensions=st.integers(1, 7), count=st.integers(1, 9))
@settings(max_examples=60, deadline=None)
def test_they_are_those_of_a_tree(seed: int, size: int, dimensions: int, count: int) -> None:
    rng = np.random.default_rng(seed)
    places = rng.normal(size=(size, dimensions)).astype("f4")
    events = np.concatenate([rng.normal(size=(20, dimensions)).astype("f4"), places[:5]])
    count = min(count, size)
    rows, square = nearest(events, np.ascontiguousarray(places.T), count)
    distance = KDTree(places).query(events, count)[0].reshape(len(events), count)
    np.testing.assert_allclose(np.sqrt(np.sort(square, axis=1)), distance, rtol=1e-4, atol=1e-6)
    assert all(len(set(row)) == count for row in rows.tolist())
    exact = ((places[rows] - events[:, None]) ** 2).sum(2)
    np.testing.assert_allclose(square, exact, rtol=1e-4, atol=1e-9)
