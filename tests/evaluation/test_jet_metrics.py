"""Distances of jets against the golden values of jetnet 0.2.5."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hepgen.evaluation.metrics import wasserstein_distance
from hepgen.evaluation.multivariate import frechet_distance, frechet_extrapolated, kernel_distance, squared_mmd
from hepgen.physics.energy_flow import energy_flow_polynomials
from hepgen.physics.jets import jet_momentum

DATA = Path(__file__).parents[1] / "data"

Jets = tuple[np.ndarray, np.ndarray, np.ndarray]


@pytest.fixture(scope="module")
def golden() -> tuple[dict[str, Any], list[Jets], list[np.ndarray]]:
    """Facts, the two sets of jets (pt, eta, phi), and their 36 polynomials over the largest of the first set."""
    with np.load(DATA / "jets_golden.npz") as file:
        facts: dict[str, Any] = json.loads(str(file["facts"]))
        sets = [tuple(file[name][..., place].astype(float) for place in (2, 0, 1)) for name in "AB"]
    polynomials = [energy_flow_polynomials(*jets) for jets in sets]
    largest = np.abs(polynomials[0]).max(axis=0)
    return facts, sets, [one / largest for one in polynomials]


def test_w1m_and_w1p_are_those_of_jetnet(golden: Any) -> None:
    facts, sets, _ = golden
    masses = [jet_momentum(*jets).mass for jets in sets]
    assert wasserstein_distance(*masses) == pytest.approx(facts["w1m_full"], rel=1e-5)
    for place, expected in zip((1, 2, 0), facts["w1p_full_eta_phi_pt"], strict=True):
        values = [jets[place][jets[0] > 0] for jets in sets]
        assert wasserstein_distance(*values) == pytest.approx(expected, rel=1e-5)


def test_plain_frechet_and_mmd_are_those_of_jetnet(golden: Any) -> None:
    facts, _, (a, b) = golden
    assert frechet_distance(a, b) == pytest.approx(facts["frechet_single_full400_normed"], rel=1e-5)
    assert squared_mmd(a[:300], b[:300]) == pytest.approx(facts["mmd4_unbiased_first300_normed"], rel=1e-5)


def test_fpd_and_kpd_are_those_of_jetnet_within_their_errors(golden: Any) -> None:
    facts, _, (a, b) = golden
    value, error = frechet_extrapolated(a, b, np.random.default_rng(1), min_samples=20_000, max_samples=50_000)
    expected, spread = facts["fpd_default"]
    assert abs(value - expected) < 3 * np.hypot(error, spread)
    value, error = kernel_distance(a, b, np.random.default_rng(1), batch_size=300)
    expected, spread = facts["kpd_bs300"]
    assert abs(value - expected) < np.hypot(error, spread)
