"""Distances of all pieces at once are those of each piece by itself."""

import numpy as np
import pytest

from hepgen.evaluation.histograms import Axis
from hepgen.evaluation.metrics import kolmogorov_distance, wasserstein_distance
from hepgen.evaluation.pieces import laid_out
from hepgen.evaluation.splits import random_splits


@pytest.mark.parametrize("entries", [500, 400_000])
def test_every_piece_has_its_own_distances(entries, monkeypatch):
    monkeypatch.setattr("hepgen.evaluation.pieces._ENTRIES", entries)
    rng = np.random.default_rng(2)
    true, made = rng.normal(size=201), rng.normal(0.3, 2, size=150)
    true[::7], made[::5] = np.nan, np.round(made[::5])
    weights = rng.uniform(0.1, 2, size=len(true) + len(made))
    splits = random_splits(len(true), len(made), 100, rng, 3)
    axis = Axis(np.linspace(-1, 1, 5))
    expected = [one for split in splits for one in (split, *split.parts(4))]
    values, seen = np.concatenate([true, made]), 0
    for place, pieces in laid_out(splits, 4, len(true), len(made)):
        found = pieces.sorted(values, weights).distances()
        counts, squares = pieces.histograms(axis, values, weights)
        for number, one in enumerate(expected[place]):
            sides = [rows[~np.isnan(values[rows])] for rows in (one.a, one.generated + len(true), one.b)]
            for which, rows in enumerate(sides):
                x, w = values[rows], weights[rows]
                np.testing.assert_allclose(counts[number, which], axis.count(axis.index(x), w))
                np.testing.assert_allclose(squares[number, which], axis.count(axis.index(x), w**2))
                mean = np.average(x, weights=w)
                width = np.sqrt(np.average((x - mean) ** 2, weights=w))
                np.testing.assert_allclose(found[2:, number, which], [mean, width])
                if which:
                    pair = values[sides[0]], x, weights[sides[0]], w
                    distances = kolmogorov_distance(*pair), wasserstein_distance(*pair)
                    np.testing.assert_allclose(found[:2, number, which], distances, rtol=1e-9)
            seen += 1
    assert seen == 15


def test_an_empty_side_spoils_no_other_piece():
    rng = np.random.default_rng(2)
    splits = random_splits(80, 40, 40, rng, 2)
    values = rng.normal(size=120)
    values[splits[0].parts(4)[1].b] = np.nan
    ((_, pieces),) = laid_out(splits, 4, 80, 40)
    found = pieces.sorted(values, np.ones(120)).distances()
    assert np.isnan(found[:, 2, 2]).all()
    assert np.isfinite(found[:2, :, 1]).all()
    rows = [x[~np.isnan(values[x])] for x in (splits[0].parts(4)[2].a, splits[0].parts(4)[2].b)]
    assert found[0, 3, 2] == pytest.approx(kolmogorov_distance(*(values[x] for x in rows)))
