"""Events where true ones of the same condition do not lie, though others do."""

import numpy as np

from hepgen.evaluation.domain import Pool
from hepgen.evaluation.outliers import add_outliers
from hepgen.evaluation.scores import ScoreBook
from hepgen.evaluation.splits import condition_bins, random_split


def pool(values, conditions, weights=None):
    size = len(values)
    w = np.ones(size) if weights is None else weights
    return Pool(size, values, conditions, w, values[:0], np.arange(size))


def sample(rng, size):
    conditions = rng.choice([1.0, 100.0], size=(size, 1))
    return rng.normal(conditions, 0.02 * conditions), conditions


def score(share, weights=None):
    rng = np.random.default_rng(3)
    (true, true_conditions), (made, conditions) = sample(rng, 8000), sample(rng, 4000)
    rows = rng.permutation(4000)[: int(share * 4000)]
    made[rows] = rng.normal(100, 2, size=(len(rows), 1))  # well within the range of all, not at condition 1
    book = ScoreBook()
    bins = condition_bins(true_conditions, ("e",), bare_first=False)
    split = random_split(8000, 4000, 4000, rng)
    add_outliers(book, pool(true, true_conditions), pool(made, conditions, weights), bins, [split])
    return book.scores()["outliers"]


def test_truth_has_none_and_a_few_wrong_events_are_seen():
    assert score(0.0).value < 0.002
    assert abs(score(0.0).z) < 2
    assert abs(score(0.01).value - 0.005) < 0.003  # half of them had that condition anyway
    assert score(0.01).z > 3


def test_weights_count():
    assert score(0.01, np.full(4000, 2.0)).value == score(0.01).value
    assert score(0.01, np.zeros(4000) + 1e-9).value > 0
