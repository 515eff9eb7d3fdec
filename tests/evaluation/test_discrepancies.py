"""Kernel and energy distance of all but each part, against the same distances of what is left."""

import numpy as np
import pytest

from hepgen.evaluation.discrepancies import left_out_discrepancies, nearness, polynomial
from hepgen.evaluation.jackknife import pseudo_values
from hepgen.evaluation.multivariate import squared_mmd
from hepgen.evaluation.transport import energy_distance

PARTS = 4


def samples(seed: int = 0, shift: float = 0.3) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    return rng.normal(size=(41, 3)), rng.normal(shift, 1.2, size=(38, 3))


def without_each(*arrays: np.ndarray) -> list[list[np.ndarray]]:
    """The arrays whole, then without each of their parts."""
    pieces = [np.array_split(np.arange(len(one)), PARTS) for one in arrays]
    left = [
        [np.delete(one, rows[part], axis=0) for one, rows in zip(arrays, pieces, strict=True)] for part in range(PARTS)
    ]
    return [list(arrays), *left]


def test_the_kernel_distance_of_all_but_each_part_is_that_of_what_is_left() -> None:
    x, y = samples()
    found = left_out_discrepancies((x, None), [(y, None), (x + 1, None)], polynomial, PARTS)
    assert found.shape == (1 + PARTS, 2)
    assert found[:, 0] == pytest.approx([squared_mmd(*pair) for pair in without_each(x, y)])
    assert found[:, 1] == pytest.approx([squared_mmd(*pair) for pair in without_each(x, x + 1)])


def test_the_energy_distance_takes_weights_that_may_be_negative() -> None:
    x, y = samples()
    rng = np.random.default_rng(1)
    v, w = rng.uniform(0, 2, len(x)), np.where(rng.uniform(size=len(y)) < 0.1, -1.0, 1.0)
    found = left_out_discrepancies((x, v), [(y, w)], nearness, PARTS)[:, 0]
    expected = [energy_distance(a, b, None, c, d)[0] for a, b, c, d in without_each(x, y, v, w)]
    assert found == pytest.approx(expected)


def test_weights_that_cancel_have_no_distance() -> None:
    x, y = samples()
    weights = np.where(np.arange(len(y)) % 2, 1.0, -1.0)
    assert np.isnan(left_out_discrepancies((x, None), [(y, weights)], nearness, PARTS)[0, 0])


@pytest.mark.parametrize("kernel", [polynomial, nearness])
@pytest.mark.parametrize(("shift", "low", "high"), [(0.0, 1.0, 1.7), (0.5, 0.85, 1.25)])
def test_the_error_is_the_spread_of_independent_samples(kernel, shift: float, low: float, high: float) -> None:
    """Near the floor it is the root of two too large at most, where parts of their own would say three times too much."""
    rng = np.random.default_rng(2)
    values, errors = [], []
    for _ in range(150):
        x, y = rng.normal(size=(200, 2)), rng.normal(shift, 1.0, size=(200, 2))
        found = left_out_discrepancies((x, None), [(y, None)], kernel, 10)
        pseudo = pseudo_values(found[None, :, 0])[0]
        values.append(pseudo[0])
        errors.append(pseudo[1:].std(ddof=1) / np.sqrt(10))
    ratio = np.sqrt(np.mean(np.square(errors))) / np.std(values)
    assert low < ratio < high
