"""Errors of quadratic scores by leaving out one part at a time."""

import numpy as np

from hepgen.evaluation.jackknife import all_but_each, pseudo_values

PARTS = 10


def squared_distance(sums: np.ndarray, events: np.ndarray) -> np.ndarray:
    return np.square(sums / events[:, None]).sum(axis=-1)


def error_of(sample: np.ndarray, *, left_out: bool) -> float:
    """Of the squared length of the mean of a sample, (events, dimensions)."""
    pieces = np.array_split(sample, PARTS)
    sums = np.stack([sample.sum(axis=0), *(piece.sum(axis=0) for piece in pieces)])
    events = np.array([len(sample), *(len(piece) for piece in pieces)], dtype=float)
    if left_out:
        sums, events = all_but_each(sums), all_but_each(events[:, None])[:, 0]
        parts = pseudo_values(squared_distance(sums, events)[None])[0, 1:]
    else:
        parts = squared_distance(sums, events)[1:]
    return float(parts.std(ddof=1) / np.sqrt(PARTS))


def test_near_the_floor_the_error_is_at_most_the_root_of_two_too_large_and_that_of_parts_three_times() -> None:
    rng = np.random.default_rng(3)
    for dimensions in (1, 5):
        samples = rng.normal(size=(400, 500, dimensions))
        true = np.std([np.square(one.mean(axis=0)).sum() for one in samples])
        left, alone = (
            np.sqrt(np.mean([error_of(one, left_out=which) ** 2 for one in samples])) / true for which in (True, False)
        )
        assert 1.1 < left < 1.9
        assert alone > 2.5


def test_where_samples_differ_the_error_is_the_right_one() -> None:
    rng = np.random.default_rng(4)
    samples = rng.normal(0.5, 1.0, size=(300, 500, 2))
    true = np.std([np.square(one.mean(axis=0)).sum() for one in samples])
    found = np.sqrt(np.mean([error_of(one, left_out=True) ** 2 for one in samples]))
    assert 0.9 < found / true < 1.15
