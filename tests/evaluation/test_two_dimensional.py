"""Pairs of observables: a lost correlation is found in the pair that it binds."""

import numpy as np
import pytest

from hepgen.evaluation.domain import Pool
from hepgen.evaluation.histograms import Observable
from hepgen.evaluation.scores import ScoreBook
from hepgen.evaluation.splits import Split, random_split
from hepgen.evaluation.two_dimensional import add_pairs, pair_chi2, quantile_bins

NAMES = [Observable(name, name) for name in ("x", "y", "z")]


def pool(values, weights=None):
    size = len(values)
    w = np.ones(size) if weights is None else weights
    return Pool(size, values, np.zeros((size, 0)), w, values[:0], np.arange(size))


def events(rng, size, correlation):
    x, y, z = rng.normal(size=(3, size))
    return np.stack([x, correlation * x + np.sqrt(1 - correlation**2) * y, z], axis=1)


def scores(generated, weights=None, seed=0):
    rng = np.random.default_rng(seed)
    book = ScoreBook()
    reference = pool(events(rng, 4000, 0.8))
    split = random_split(4000, len(generated), 2000, rng)
    add_pairs(book, reference, pool(generated, weights), NAMES, [split], 5)
    return book.scores()


def test_a_lost_correlation_is_found_in_its_pair():
    rng = np.random.default_rng(5)
    truth, lost = scores(events(rng, 2000, 0.8)), scores(events(rng, 2000, 0.4))
    assert abs(truth["chi2ndf_2d.max"].z) < 3
    assert truth["chi2ndf_2d.mean"].value == pytest.approx(1.0, abs=0.35)
    assert lost["chi2ndf_2d.max"].value > 5
    assert lost["chi2ndf_2d.max"].z > 3
    assert lost["chi2ndf_2d.max"].comment == "x and y"


def test_weights_count_as_copies_do():
    rng = np.random.default_rng(1)
    bins = rng.integers(0, 8, size=(500, 3))
    others = rng.integers(0, 8, size=(400, 3))
    ones = np.ones(500)
    plain = pair_chi2(bins, others, ones, np.ones(400))
    np.testing.assert_allclose(plain, pair_chi2(bins, others, ones, np.full(400, 3.0)), rtol=1e-5)
    assert np.isnan(np.diag(plain)).all()
    np.testing.assert_allclose(plain, plain.T)


def test_chi2_of_a_pair_is_that_of_its_histogram():
    rng = np.random.default_rng(2)
    a, b = rng.integers(0, 3, size=(2, 3000, 2))
    one, other = (np.histogram2d(*x.T, bins=(np.arange(4), np.arange(4)))[0] for x in (a, b))
    expected = np.sum((one - other) ** 2 / (one + other)) / 8
    found = pair_chi2(a, b, np.ones(3000), np.ones(3000))
    assert found[0, 1] == pytest.approx(expected, rel=1e-5)


def test_missing_values_and_spikes_have_bins_of_their_own():
    reference = np.array([0.0] * 50 + list(range(1, 51)))[:, None]
    found = quantile_bins(np.array([[0.0], [0.5], [49.0], [np.nan]]), reference)
    assert found[3, 0] == 8
    assert found[0, 0] == found[1, 0] < found[2, 0]
    empty = quantile_bins(np.array([[1.0]]), np.full((3, 1), np.nan))
    assert empty[0, 0] == 8


def test_one_observable_makes_no_pair():
    book = ScoreBook()
    rows = np.arange(10)
    add_pairs(book, pool(np.zeros((20, 1))), pool(np.zeros((10, 1))), NAMES[:1], [Split(rows, rows + 10, rows)], 2)
    assert book.scores() == {}
