"""Which column the control of a table permutes."""

import numpy as np

from hepgen.evaluation.columns import most_predictable


def test_columns_of_few_values_do_not_predict_each_other_by_their_order():
    rng = np.random.default_rng(1)
    x = rng.normal(size=2000)
    related = x + 0.5 * rng.normal(size=2000)
    few = [rng.integers(0, 2, 2000), np.where(rng.random(2000) < 0.001, 0.105659, 0.105658), np.ones(2000)]
    assert most_predictable(np.stack([*few, x, related], axis=1), 5) in {3, 4}


def test_missing_values_rank_above_all_others():
    rng = np.random.default_rng(1)
    flag = rng.random(2000) < 0.5
    holes = np.where(flag, np.nan, rng.normal(size=2000))
    assert most_predictable(np.stack([rng.normal(size=2000), holes, flag], axis=1), 2) == 1
