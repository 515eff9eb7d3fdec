"""The study of weights beyond the control region: what stands for data, and how they are compared."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from extrapolation import FEATURES, JETS, chi2, log_ratio, read, samples, shape, with_spectrum

TTBAR = Path(__file__).parents[1] / "data" / "ttbar.root"


def test_data_are_distorted_by_a_line_in_the_multiplicity() -> None:
    events = read(TTBAR, (*FEATURES, JETS))
    more = {**events, JETS: events[JETS] + 1}
    twice = {**events, JETS: events[JETS] + 2}
    assert np.allclose(log_ratio(twice) - log_ratio(more), log_ratio(more) - log_ratio(events))
    assert np.abs(shape(events)).max() <= 1
    assert log_ratio(events).max() <= 0
    simulation, data = samples(events, np.random.default_rng(1))
    assert not set(simulation["met"]) & set(data["met"])
    kept, every = (np.mean(shape(part)) for part in (data, events))
    assert kept > every + 3 * shape(events).std() / len(data[JETS]) ** 0.5


def test_the_true_weights_close_and_none_do_not() -> None:
    events = {name: np.tile(column, 6) for name, column in read(TTBAR, (*FEATURES, JETS)).items()}
    kept = np.random.default_rng(2).random(len(events[JETS])) < np.exp(log_ratio(events))
    every, data = (
        np.stack([side[name] for name in FEATURES], 1) for side in (events, {n: c[kept] for n, c in events.items()})
    )
    assert chi2(data, every, np.ones(len(every))) > 3
    assert chi2(data, every, np.exp(log_ratio(events))) < 1


def test_multiplicities_get_the_spectrum_of_the_data() -> None:
    jets, wanted = np.array([6, 6, 7, 12]), np.array([6, 7, 7, 11])
    weights = with_spectrum(jets, np.array([1.0, 3.0, 2.0, 5.0]), wanted)
    assert weights == pytest.approx([0.25, 0.75, 2.0, 1.0])
