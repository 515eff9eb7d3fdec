"""Distances of all events, streamed, against those of the whole arrays."""

from dataclasses import replace

import numpy as np
import pytest
from extracts import SMALL, halves, table, ttbar

from hepgen.evaluation.metrics import kolmogorov_distance, wasserstein_distance
from hepgen.evaluation.run import evaluate
from hepgen.evaluation.streaming import Sketch, sketch_distances, sketch_edges

RNG = np.random.default_rng


def streamed(samples, weights, known, most):
    """The distances, with edges from the first ``known`` events of each sample, filled in batches of 100."""
    edges = sketch_edges(*(x[:known] for x in samples), most)
    sketches = [Sketch.empty(edges) for _ in samples]
    for sketch, x, w in zip(sketches, samples, weights, strict=True):
        for start in range(0, len(x), 100):
            sketch.fill(x[start : start + 100], w[start : start + 100])
    return sketch_distances(*sketches)


def exact(samples, weights):
    kept = [~np.isnan(x) for x in samples]
    arguments = [x[keep] for x, keep in zip((*samples, *weights), (*kept, *kept), strict=True)]
    return kolmogorov_distance(*arguments), wasserstein_distance(*arguments)


def columns():
    """Every column of the bundled table in two halves; the second is stretched where it is not of whole numbers."""
    reference, generated = halves(ttbar())
    for column in reference.schema:
        values = [
            np.concatenate([np.asarray(batch[column.name], dtype=float) for batch in source.batches()])
            for source in (reference, generated)
        ]
        values[1] = values[1] if np.dtype(column.dtype).kind in "iu" else 1.1 * values[1]
        yield column.name, values


@pytest.mark.parametrize("weighted", [False, True])
def test_every_value_an_edge_is_exact(weighted):
    for name, samples in columns():
        weights = [np.where(RNG(1).random(len(x)) < 0.2, -0.5, 1.5) if weighted else np.ones(len(x)) for x in samples]
        assert streamed(samples, weights, None, 10_000) == pytest.approx(exact(samples, weights), rel=1e-9), name


def test_whole_numbers_are_exact_though_few_are_known():
    for name, samples in columns():
        if np.all(samples[0] == samples[0].round()):
            weights = [np.ones(len(x)) for x in samples]
            assert streamed(samples, weights, 200, 50) == pytest.approx(exact(samples, weights), rel=1e-9), name


def test_few_edges_of_some_of_the_events_are_near():
    rng = RNG(3)
    samples = [rng.exponential(size=40_000), 1.05 * rng.exponential(size=50_000)]
    samples[0][::7] = np.nan
    weights = [rng.choice([1.0, 1.0, -0.3], size=len(x)) for x in samples]
    true_ks, true_w1 = exact(samples, weights)
    ks, w1 = streamed(samples, weights, 10_000, 2_000)
    assert ks == pytest.approx(true_ks, rel=5e-3)
    assert ks <= true_ks + 1e-9
    assert w1 == pytest.approx(true_w1, rel=1e-3)


def test_values_beyond_all_edges_count():
    samples = [np.array([0.0, 1.0, 9.0]), np.array([0.0, 1.0, -7.0])]
    ones = [np.ones(3), np.ones(3)]
    assert streamed(samples, ones, 2, 100) == pytest.approx(exact(samples, ones))


def test_without_a_value_there_is_no_distance():
    nothing = np.full(5, np.nan)
    assert np.isnan(streamed([nothing, np.arange(5.0)], [np.ones(5)] * 2, None, 100)).all()
    assert np.isnan(streamed([nothing, nothing], [np.ones(5)] * 2, None, 100)).all()


def test_the_scores_of_a_report_are_of_all_events_not_of_the_pools():
    reference, generated = halves(ttbar())
    moved = table(generated, met=lambda x: x * np.float32(1.5))
    few = replace(SMALL, pool_events=300, max_events=100)
    report = evaluate(reference, moved, kind="table", settings=few, seed=2)
    distances = {}
    for column in reference.schema:
        values = [
            np.concatenate([np.asarray(batch[column.name], dtype=float) for batch in source.batches()])
            for source in (reference, moved)
        ]
        distances[column.name] = kolmogorov_distance(*values), wasserstein_distance(*values) / values[0].std()
    score = report.scores["ks.max.all"]
    assert score.value == pytest.approx(max(ks for ks, _ in distances.values()), rel=2e-2)
    assert score.n == min(reference.num_events, moved.num_events)
    # the unit is the standard deviation of the 300 events of the pool
    assert report.scores["w1.max.all"].value == pytest.approx(distances["met"][1], rel=0.2)
