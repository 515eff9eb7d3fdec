"""What no true event does: ranges that truth keeps and broken events leave, and orders of columns."""

import numpy as np
import pytest

from hepgen.evaluation.histograms import Observable
from hepgen.evaluation.limits import Limits, Range

X, Y, N = Observable("x", "x", "GeV"), Observable("y", "y", "GeV"), Observable("n", "n", integer=True)


def limits(*columns, observables=(X, Y, N), ordered=False):
    return Limits.fit(np.stack(columns, axis=1), observables[: len(columns)], ordered=ordered)


@pytest.mark.parametrize("draw", ["uniform", "exponential", "normal", "lognormal"])
def test_truth_seldom_leaves_its_range(draw):
    rng = np.random.default_rng(3)
    found = 0
    for _ in range(50):
        values = getattr(rng, draw)(size=(2, 4000))
        found += sum(int(flags.sum()) for flags in limits(values[0]).flags(values[1][:, None]).values())
    assert found <= 3


def test_an_edge_is_found_close_behind_the_events():
    rng = np.random.default_rng(0)
    found = limits(rng.uniform(-np.pi, np.pi, 10_000))
    assert found.ranges.high[0] == pytest.approx(np.pi, rel=0.05)
    flags = found.flags(np.array([[0.0], [4.0], [np.nan]]))
    ((name, wrong),) = flags.items()
    assert name.startswith("x outside the range of true events, ")
    assert name.endswith("GeV")
    assert wrong.tolist() == [False, True, False]


def test_whole_numbers_end_where_many_events_end_and_one_step_behind_few():
    many = limits(np.repeat([2.0, 3.0, 4.0], 200))
    few = limits(np.repeat([2.0, 3.0, 4.0], [200, 200, 20]))
    assert (round(many.ranges.low[0], 3), round(many.ranges.high[0], 3)) == (2, 4)
    assert (round(few.ranges.low[0], 3), round(few.ranges.high[0], 3)) == (2, 5)


def test_a_column_that_never_exceeds_another_must_not():
    rng = np.random.default_rng(1)
    x, y = np.sort(rng.exponential(size=(2, 3000)), axis=0)
    found = limits(x, y, ordered=True)
    assert found.orders == ((0, 1),)
    flags = found.flags(np.array([[1.0, 2.0], [2.0, 1.0]]))
    assert flags["x above y, which no true event has"].tolist() == [False, True]
    assert limits(x, y + 50, ordered=True).orders == ()  # far apart: nothing is said by it
    assert limits(x, rng.exponential(size=3000), ordered=True).orders == ()


def test_without_values_there_is_no_range():
    empty = limits(np.full(10, np.nan))
    assert np.isnan(empty.ranges.low[0])
    assert empty.flags(np.array([[1.0]])) == {}


def test_a_value_that_many_events_share_is_found_unless_truth_shares_it():
    rng = np.random.default_rng(2)
    x = rng.normal(size=2000)
    made = rng.normal(size=2000)
    made[:30] = 0.25
    flags = limits(x).spikes(made[:, None])
    assert next(iter(flags)) == "x has one value in many events, 0.25"
    assert int(next(iter(flags.values())).sum()) == 30
    spiky = x.copy()
    spiky[:40] = 0.25
    assert limits(spiky).spikes(made[:, None]) == {}
    assert limits(x, x, np.zeros(2000)).spikes(np.zeros((2000, 3))[:, :3]).keys() != set()


def test_a_tight_range_follows_the_tail():
    rng = np.random.default_rng(4)
    normal, heavy = rng.normal(size=5000), rng.standard_cauchy(size=5000)
    tight = Range.fit(np.stack([normal, heavy], axis=1), tight=True)
    wide = Range.fit(np.stack([normal, heavy], axis=1))
    assert 4 < tight.high[0] < 8 < wide.high[0]
    assert tight.high[1] > 10 * heavy.max()


def test_negative_energies_are_named_where_truth_has_none():
    rng = np.random.default_rng(2)
    names = ("jet1_pt", "m_jj", "lepton_phi", "mass_cut")
    values = np.abs(rng.normal(50, 20, size=(1000, 4)))
    values[7, 1] = -1.0  # as a missing pair of jets may be written
    values[8, 0] = np.nan
    found = Limits.fit(values, [Observable(name, name) for name in names])
    rows = np.full((5, 4), 50.0)
    rows[[0, 1, 2, 3], [0, 1, 2, 3]] = -1e-3
    flags = {name: wrong for name, wrong in found.flags(rows).items() if name.startswith("negative")}
    assert {name: np.flatnonzero(wrong).tolist() for name, wrong in flags.items()} == {
        "negative jet1_pt, which no true event has": [0],
        "negative mass_cut, which no true event has": [3],
    }
