from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hepgen.representations.accumulators import DistinctValues, Moments, RowSample


def rows_and_weights(events: int = 500) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(5)
    rows = np.column_stack([rng.normal(1e6, 1.0, events), rng.integers(0, 5, events), rng.exponential(size=events)])
    rows[rng.random(events) < 0.1, 2] = np.nan
    return rows, rng.uniform(0.5, 2.0, events)


@settings(max_examples=25, deadline=None)
@given(cuts=st.lists(st.integers(0, 500), max_size=5), turn=st.integers(0, 2))
def test_results_depend_on_the_rows_and_not_on_batches_or_workers(cuts: list[int], turn: int) -> None:
    rows, weights = rows_and_weights()
    whole = (Moments(3), DistinctValues(3, 10), RowSample(3, 100))
    for accumulator in whole:
        accumulator.update(rows, weights)
    edges = [0, *sorted(cuts), 500]
    parts = (Moments(3), DistinctValues(3, 10), RowSample(3, 100))
    for index, (start, stop) in enumerate(itertools.pairwise(edges)):
        if index % 3 == turn:  # some parts come from another worker
            others = (Moments(3), DistinctValues(3, 10), RowSample(3, 100, first_row=start))
            for mine, other in zip(parts, others, strict=True):
                other.update(rows[start:stop], weights[start:stop])
                mine.merge(other)
        else:
            for mine in parts:
                mine.update(rows[start:stop], weights[start:stop])
    one, two = whole[0].result(), parts[0].result()
    np.testing.assert_allclose(two.mean, one.mean, rtol=1e-12)
    np.testing.assert_allclose(two.std, one.std, rtol=1e-9)
    for name in ("low", "high", "missing", "infinite", "integral", "rows"):
        np.testing.assert_array_equal(getattr(two, name), getattr(one, name))
    assert [one is None for one in parts[1].result()] == [True, False, True]
    np.testing.assert_allclose(parts[1].result()[1].counts, whole[1].result()[1].counts)
    np.testing.assert_array_equal(parts[2].result()[0], whole[2].result()[0])
    np.testing.assert_array_equal(parts[2].result()[1], whole[2].result()[1])


def test_moments_are_weighted_and_leave_out_what_is_not_finite() -> None:
    rows = np.array([[1.0, np.nan], [3.0, np.inf], [7.0, 2.0]])
    weights = np.array([1.0, 1.0, 2.0])
    moments = Moments(2)
    moments.update(rows, weights)
    result = moments.result()
    assert result.mean[0] == pytest.approx(4.5)
    assert result.std[0] == pytest.approx(np.sqrt(np.average((rows[:, 0] - 4.5) ** 2, weights=weights)))
    assert (result.missing[1], result.infinite[1], result.mean[1]) == (1, 1, 2.0)


def test_a_column_without_values_has_no_moments() -> None:
    moments = Moments(1)
    moments.update(np.full((3, 1), np.nan))
    assert np.isnan(moments.result().mean[0])
    assert not moments.result().integral[0]


def test_a_row_sample_keeps_rows_together_and_estimates_quantiles() -> None:
    rng = np.random.default_rng(1)
    sample = RowSample(2, 4000)
    for _ in range(20):
        values = rng.normal(size=5000)
        sample.update(np.column_stack([values, 2 * values]))
    rows, weights = sample.result()
    assert rows.shape == (4000, 2)
    np.testing.assert_array_equal(rows[:, 1], 2 * rows[:, 0])
    np.testing.assert_allclose(sample.quantiles(0, [0.16, 0.5, 0.84]), [-0.994, 0.0, 0.994], atol=0.06)
    assert weights.sum() == 4000


def test_quantiles_count_the_absolute_weight() -> None:
    sample = RowSample(1, 100)
    sample.update(np.array([[0.0], [1.0], [2.0]]), np.array([1.0, -100.0, 1.0]))
    assert sample.quantiles(0, [0.5])[0] == 1.0
