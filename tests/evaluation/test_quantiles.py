"""The quantile mean squared error: its law for truth, and what is read off by it."""

import numpy as np
import pytest

from hepgen.evaluation.quantiles import Ruler, expected_qmse, place, quantile_edges

OBSERVABLES = 4


def correlated(rng, events, shift=0.0):
    common = rng.normal(size=(events, 1))
    return common + rng.normal(size=(events, OBSERVABLES)) + shift


def ruler_of(values, count, weights=None):
    weights = np.ones(len(values)) if weights is None else weights
    edges = [quantile_edges(column, weights, count) for column in values.T]
    return Ruler(edges, place(values, edges), weights)


def measure(ruler, values, weights=None):
    return ruler.measure(place(values, ruler.edges), np.ones(len(values)) if weights is None else weights)


def worth(found):
    """Equivalent events by the mean excess: single ones scatter asymmetrically."""
    return found[0].unit / np.mean([one.excess for one in found])


@pytest.mark.parametrize(("quantiles", "events", "truth"), [(10, 400, 2000), (25, 3000, 2500)])
def test_truth_follows_the_law_with_the_term_of_the_finite_reference(quantiles, events, truth):
    rng = np.random.default_rng(1)
    found = [measure(ruler_of(correlated(rng, truth), quantiles), correlated(rng, events)) for _ in range(150)]
    mean = np.mean([one.qmse for one in found])
    assert mean == pytest.approx(expected_qmse(quantiles, events, truth), rel=0.04)
    assert mean - expected_qmse(quantiles, events) > 5 * np.std([one.qmse for one in found]) / np.sqrt(150)


@pytest.mark.parametrize(("events", "shift"), [(1000, 0.0), (2000, 0.2)])
def test_errors_are_the_spread_of_independent_samples(events, shift):
    rng = np.random.default_rng(2)
    found = [measure(ruler_of(correlated(rng, 2500), 25), correlated(rng, events, shift)) for _ in range(150)]
    spread = np.std([one.qmse for one in found], ddof=1)
    assert np.mean([one.error for one in found]) == pytest.approx(spread, rel=0.2)
    read_off = [one.equivalent for one in found]
    assert np.mean([one.equivalent_error for one in found]) == pytest.approx(np.std(read_off, ddof=1), rel=0.3)


def test_true_events_are_worth_their_number():
    rng = np.random.default_rng(3)
    found = [measure(ruler_of(correlated(rng, 5000), 50), correlated(rng, 800)) for _ in range(80)]
    assert worth(found) == pytest.approx(800, rel=0.06)


def test_what_cannot_be_resolved_is_a_lower_bound():
    rng = np.random.default_rng(4)
    ruler = ruler_of(correlated(rng, 2000), 20)
    found = measure(ruler, correlated(rng, 200_000))
    assert not found.resolved
    assert found.equivalent_error is None
    assert 2000 < found.equivalent <= ruler.resolution
    assert ruler.only(0).resolution < ruler.resolution


def test_pieces_share_no_event_and_have_the_qmse_of_their_size():
    rng = np.random.default_rng(5)
    ruler, values = ruler_of(correlated(rng, 2000), 20), correlated(rng, 10_050)
    index, weights = place(values, ruler.edges), np.ones(len(values))
    pieces = ruler.of_pieces(index, weights, 100)
    assert pieces.shape == (100,)
    assert pieces[3] == pytest.approx(ruler.measure(index[300:400], weights[:100]).qmse)
    assert pieces.mean() == pytest.approx(expected_qmse(20, 100, 2000), rel=0.05)


def test_negative_weights_count_their_effective_events():
    rng = np.random.default_rng(6)
    signs = np.where(rng.uniform(size=4000) < 0.1, -1.0, 1.0)
    ruler = ruler_of(correlated(rng, 4000), 10, signs)
    np.testing.assert_allclose(ruler.shares, 0.1, atol=0.005)
    assert ruler.events == signs.sum() ** 2 / 4000
    of_truth = [measure(ruler_of(correlated(rng, 4000), 10, signs), correlated(rng, 500)) for _ in range(60)]
    assert worth(of_truth) == pytest.approx(500, rel=0.1)
    of_signed = [measure(ruler_of(correlated(rng, 4000), 10), correlated(rng, 1000), signs[:1000]) for _ in range(60)]
    assert worth(of_signed) == pytest.approx(signs[:1000].sum() ** 2 / 1000, rel=0.1)


def test_a_spike_merges_the_quantiles_that_it_spans():
    values = np.concatenate([np.zeros(500), np.random.default_rng(8).uniform(1, 2, size=500)])[:, None]
    ruler = ruler_of(values, 10)
    assert ruler.bins.tolist() == [6]
    np.testing.assert_allclose(ruler.shares[0], [0.5, 0.1, 0.1, 0.1, 0.1, 0.1])
    assert measure(ruler, values).qmse == 0


def test_missing_values_are_left_out():
    rng = np.random.default_rng(9)
    ruler, values = ruler_of(correlated(rng, 2000), 10), correlated(rng, 1000)
    holes = np.concatenate([values, np.full((300, OBSERVABLES), np.nan)])
    assert measure(ruler, holes).qmse == pytest.approx(measure(ruler, values).qmse)
