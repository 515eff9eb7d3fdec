"""Constituents that sum to a given four-momentum."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hepgen.physics.jets import summed
from hepgen.physics.projection import project_constituents


@settings(deadline=None, max_examples=60)
@given(st.integers(0, 2**32 - 1), st.integers(2, 40), st.floats(0.5, 2.0), st.floats(0.0, 0.5))
def test_the_sum_is_the_jet_and_the_order_and_the_floor_stay(
    seed: int, count: int, factor: float, floor: float
) -> None:
    rng = np.random.default_rng(seed)
    pt = floor + rng.exponential(10.0, count) + 1e-3
    eta, phi = rng.normal(0.0, 0.2, (2, count))
    mass = rng.choice([0.0, 0.13957, 0.938], count)
    counts = np.array([count])
    true = summed(pt, eta + 0.7, phi + 3.0, mass, counts)
    least = summed(pt, np.zeros(count), np.zeros(count), mass, counts).mass[0]
    target = least + factor * (true.mass[0] - least)
    jet = np.array([[true.pt[0] * rng.uniform(0.8, 1.25) + 2 * floor, 0.7, 3.0, target]])
    new_pt, new_eta, new_phi, met = project_constituents(pt, eta, phi, mass, counts, jet, floor)
    made = summed(new_pt, new_eta, new_phi, mass, counts)
    assert made.pt[0] == pytest.approx(jet[0, 0], rel=1e-6)
    assert made.eta[0] == pytest.approx(0.7, abs=1e-5)
    assert made.phi[0] == pytest.approx(3.0, abs=1e-5)
    if met[0]:
        assert made.mass[0] == pytest.approx(target, rel=1e-3, abs=1e-3)
    assert new_pt.min() >= floor - 1e-12
    assert (np.argsort(new_pt, kind="stable") == np.argsort(pt, kind="stable")).all()


def test_what_is_right_already_stays_as_it_is() -> None:
    pt, eta, phi = np.array([50.0, 20.0, 5.0]), np.array([0.05, -0.1, 0.2]), np.array([0.1, -0.2, 0.0])
    counts = np.array([3])
    total = summed(pt, eta, phi, np.zeros(3), counts)
    jet = np.stack([total.pt, total.eta, total.phi, total.mass], axis=1)
    new_pt, new_eta, new_phi, met = project_constituents(pt, eta - total.eta, phi - total.phi, np.zeros(3), counts, jet)
    assert met.all()
    np.testing.assert_allclose(new_pt, pt, rtol=1e-6)
    np.testing.assert_allclose(new_eta, eta, atol=1e-6)
    np.testing.assert_allclose(new_phi, phi, atol=1e-6)


def test_one_constituent_takes_pt_and_direction_and_keeps_its_mass() -> None:
    pt, eta, phi, met = project_constituents(
        np.array([80.0]), np.array([0.0]), np.array([0.0]), np.array([0.14]), np.array([1]),
        np.array([[100.0, -0.3, 1.0, 60.0]]),
    )  # fmt: skip
    assert not met.any()
    assert pt[0] == pytest.approx(100.0)
    assert (eta[0], phi[0]) == pytest.approx((-0.3, 1.0))


def test_a_mass_below_those_of_the_constituents_gives_the_nearest() -> None:
    mass = np.array([0.9, 0.9])
    pt, eta, phi, met = project_constituents(
        np.array([10.0, 9.0]), np.array([0.1, -0.1]), np.array([0.1, -0.1]), mass, np.array([2]),
        np.array([[20.0, 0.0, 0.0, 0.5]]),
    )  # fmt: skip
    made = summed(pt, eta, phi, mass, np.array([2]))
    assert not met.any()
    assert made.pt[0] == pytest.approx(20.0)
    assert 1.8 <= made.mass[0] < 1.81
