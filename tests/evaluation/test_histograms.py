"""Axes and streamed histograms."""

import numpy as np

from hepgen.evaluation.histograms import Axis, Histogram, Observable, axis_for


def test_integers_get_one_bin_each():
    axis = axis_for(Observable("n", "n", integer=True), [0, 1, 1, 4])
    assert axis.edges.tolist() == [-0.5, 0.5, 1.5, 2.5, 3.5, 4.5]


def test_a_log_axis_ignores_what_is_not_positive():
    axis = axis_for(Observable("e", "E", log=True), [0.0, 1.0, 10.0, 100.0])
    assert axis.log
    assert axis.edges[0] > 0


def test_a_constant_observable_has_an_axis():
    axis = axis_for(Observable("c", "c"), [3.0, 3.0])
    assert axis.index([3.0]).tolist() == [1]


def test_fixed_edges_drop_what_lies_outside():
    axis = axis_for(Observable("r", "r", edges=(0.0, 1.0, 2.0)), [9.0])
    counts = axis.count(axis.index([-1.0, 0.5, 5.0]))
    assert counts.tolist() == [1, 1, 0, 1]
    assert axis.scored(counts).tolist() == [1, 0]


def test_a_histogram_filled_in_batches_is_the_whole():
    rng = np.random.default_rng(0)
    values, weights = rng.normal(size=1000), rng.normal(1, 1, size=1000)
    values[::50] = np.nan
    axis = Axis(np.linspace(-2, 2, 11))
    whole, parts = Histogram.empty(axis), Histogram.empty(axis)
    whole.fill(values, weights)
    for piece in np.array_split(np.arange(1000), 7):
        parts.fill(values[piece], weights[piece])
    np.testing.assert_allclose(parts.counts, whole.counts)
    np.testing.assert_allclose(whole.counts.sum(), weights[np.isfinite(values)].sum())
    np.testing.assert_allclose(whole.squares.sum(), (weights[np.isfinite(values)] ** 2).sum())


def test_density_and_its_poisson_error():
    histogram = Histogram.empty(Axis(np.array([0.0, 1.0, 2.0])))
    histogram.fill([0.5, 0.5, 0.5, 0.5, 1.5, 5.0, 5.0, 5.0])
    density, error = histogram.density()
    assert density.tolist() == [0.5, 0.125]
    assert error.tolist() == [0.25, 0.125]
