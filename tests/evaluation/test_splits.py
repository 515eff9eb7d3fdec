"""Disjoint splits, bins of conditions, and the permutation behind the controls."""

import numpy as np

from hepgen.evaluation.splits import common_size, condition_bins, permuted_at_equal_condition, random_split


def test_halves_share_no_event_and_have_the_size_of_the_generated_part():
    size = common_size(101, 40, 1000)
    assert size == 40
    split = random_split(101, 40, size, np.random.default_rng(0))
    assert not set(split.a) & set(split.b)
    assert len(split.a) == len(split.b) == len(set(split.generated)) == 40


def test_parts_share_no_event_and_leave_none_out():
    split = random_split(101, 40, 40, np.random.default_rng(0))
    parts = split.parts(3)
    assert [part.size for part in parts] == [14, 13, 13]
    for side in ("a", "b", "generated"):
        joined = np.concatenate([getattr(part, side) for part in parts])
        assert sorted(joined) == sorted(getattr(split, side))


def test_discrete_energies_get_a_bin_each():
    conditions = np.repeat([256.0, 512.0, 1024.0], 10)[:, None]
    bins = condition_bins(conditions, ("incident_energy",), bare_first=True)
    assert [one.label for one in bins] == ["256", "512", "1024"]
    assert all(one.rows(conditions).sum() == 10 for one in bins)


def test_a_continuous_condition_gets_five_bins_that_leave_nothing_out():
    conditions = np.random.default_rng(0).uniform(1, 100, size=(1000, 1))
    bins = condition_bins(conditions, ("e",), bare_first=False)
    assert len(bins) == 5
    assert all(one.label.startswith("e=") for one in bins)
    wider = np.concatenate([conditions, [[0.0], [1e6]]])
    assert np.sum([one.rows(wider) for one in bins], axis=0).tolist() == [1] * 1002


def test_the_control_keeps_every_column_at_every_condition():
    rng = np.random.default_rng(1)
    conditions = rng.integers(0, 3, size=(300, 1)).astype(float)
    raw = rng.normal(size=(300, 4)) + conditions
    broken = permuted_at_equal_condition(raw, conditions, slice(1, 3), rng)
    np.testing.assert_array_equal(broken[:, [0, 3]], raw[:, [0, 3]])
    assert not np.array_equal(broken[:, 1], raw[:, 1])
    for value in range(3):
        rows = conditions[:, 0] == value
        np.testing.assert_array_equal(np.sort(broken[rows], axis=0), np.sort(raw[rows], axis=0))


def test_a_continuous_condition_is_exchanged_between_neighbours():
    rng = np.random.default_rng(1)
    conditions = rng.uniform(size=(1000, 1))
    broken = permuted_at_equal_condition(conditions.copy(), conditions, slice(0, 1), rng)
    assert np.abs(broken - conditions).max() < 0.06
    assert not np.array_equal(broken, conditions)


def test_narrow_bins_have_names_of_their_own():
    rng = np.random.default_rng(0)
    bins = condition_bins(rng.uniform(6500, 6500.1, size=(500, 1)), ("m",), bare_first=False)
    assert len({one.label for one in bins}) == 5


def test_padding_stays_where_it_is():
    rng = np.random.default_rng(0)
    raw = np.zeros((200, 4))
    raw[:, :2] = rng.uniform(1, 2, size=(200, 2))
    raw[::2, 1] = 0
    raw[:, 2:] = np.where(raw[:, :2] > 0, rng.normal(size=(200, 2)), 0)
    found = permuted_at_equal_condition(raw, np.zeros((200, 0)), slice(2, 4), rng, present=slice(0, 2))
    np.testing.assert_array_equal(found == 0, raw == 0)
    assert not np.array_equal(found[:, 3], raw[:, 3])
    np.testing.assert_allclose(np.sort(found[:, 3]), np.sort(raw[:, 3]))
