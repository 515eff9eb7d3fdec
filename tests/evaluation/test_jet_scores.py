"""The published scores of jets, and the energy mover's distance against a linear program."""

import json

import numpy as np
import pytest
from extracts import DATA
from scipy.optimize import linprog

from hepgen.evaluation.domain import Pool
from hepgen.evaluation.energy_movers import coverage_and_mmd, distance_matrix, energy_movers_distance
from hepgen.evaluation.jet_features import blocks_of
from hepgen.evaluation.jet_scores import add_jet_scores
from hepgen.evaluation.scores import ScoreBook
from hepgen.evaluation.splits import Split


def toy(rng, constituents, scale=1.0):
    pt = rng.exponential(size=constituents) * scale
    return np.stack([pt, *rng.normal(scale=0.3, size=(2, constituents))], axis=1)


def by_linear_program(first, second, radius):
    """The definition: no constituent gives or takes more than its pt, the smaller total is moved."""
    n, m = len(first), len(second)
    angles = np.hypot(*(first[:, None, 1:] - second[None, :, 1:]).transpose(2, 0, 1))
    rows = np.kron(np.eye(n), np.ones(m))
    columns = np.kron(np.ones(n), np.eye(m))
    totals = first[:, 0].sum(), second[:, 0].sum()
    found = linprog(
        angles.ravel() / radius,
        A_ub=np.concatenate([rows, columns]),
        b_ub=np.concatenate([first[:, 0], second[:, 0]]),
        A_eq=np.ones((1, n * m)),
        b_eq=[min(totals)],
    )
    return found.fun + abs(totals[0] - totals[1])


@pytest.mark.parametrize("seed", range(6))
def test_the_distance_is_that_of_a_linear_program(seed):
    rng = np.random.default_rng(seed)
    first, second = toy(rng, rng.integers(1, 7)), toy(rng, rng.integers(1, 7), scale=1.5)
    # angles up to 2 R, so that making pt from nothing never saves a way
    found = energy_movers_distance(first, second, radius=1.5)
    assert found == pytest.approx(by_linear_program(first, second, 1.5), rel=1e-6)
    assert energy_movers_distance(second, first, radius=1.5) == pytest.approx(found, rel=1e-9)


def test_analytic_distances():
    jet = toy(np.random.default_rng(1), 5)
    assert energy_movers_distance(jet, jet) == pytest.approx(0.0, abs=1e-12)
    one, moved = np.array([[2.0, 0.0, 0.0]]), np.array([[2.0, 0.3, 0.4]])
    assert energy_movers_distance(one, moved, radius=0.8) == pytest.approx(2 * 0.5 / 0.8)
    assert energy_movers_distance(one, one * [1.25, 1, 1]) == pytest.approx(0.5)
    assert energy_movers_distance(one, one[:0]) == pytest.approx(2.0)
    assert energy_movers_distance(one[:0], one[:0]) == 0.0


def test_coverage_counts_matched_jets_and_mmd_the_distance_of_each_real_one():
    distances = np.array([[0.1, 0.9, 0.9], [0.2, 0.8, 0.9], [0.9, 0.9, 0.3]])
    coverage, mmd = coverage_and_mmd(distances)
    assert coverage == pytest.approx(2 / 3)
    assert mmd == pytest.approx((0.1 + 0.8 + 0.3) / 3)


def pool_of(jets):
    """Relative eta, phi, pt as raw values of jets of pt 1."""
    blocks = [jets[..., 2], jets[..., 0], jets[..., 1], 0 * jets[..., 0]]
    leading = np.tile([1.0, 0.0, 0.0, jets.shape[1]], (len(jets), 1))
    raw = np.concatenate([leading, *blocks], axis=1).astype("f4")
    rows = len(raw)
    return Pool(rows, np.zeros((rows, 0)), np.zeros((rows, 0)), np.ones(rows), raw, np.arange(rows))


@pytest.fixture(scope="module")
def golden():
    with np.load(DATA / "jets_golden.npz") as file:
        return json.loads(str(file["facts"])), pool_of(file["A"]), pool_of(file["B"])


def test_scores_are_those_of_jetnet(golden):
    facts, real, made = golden
    every, book = np.arange(400), ScoreBook()
    add_jet_scores(book, real, made, [Split(every, every, every)], 4, repeats=0)
    scores = book.scores()
    assert scores["w1m"].value == pytest.approx(facts["w1m_full"], rel=1e-4)
    assert scores["w1p"].value == pytest.approx(np.mean(facts["w1p_full_eta_phi_pt"]), rel=1e-4)
    for name in ("w1m", "w1p", "w1efp"):
        assert scores[name].floor == 0.0
        assert scores[name].error > 0
        assert scores[name].n == 400


def test_coverage_and_matching_distance_have_floors_on_truth(golden):
    _, real, made = golden
    book, rows = ScoreBook(), np.arange(400)
    split = Split(rows[:200], rows[200:], rows[:200])
    add_jet_scores(book, real, made, [split], 2, hardest=5, repeats=2, matched=25)
    scores = book.scores()
    assert 0.1 < scores["coverage_emd"].value <= 1
    assert scores["mmd_emd"].value > scores["mmd_emd"].floor > 0
    assert (scores["mmd_emd"].n, scores["mmd_emd"].comment) == (25, "mean of 2 x 25 jets")
    alone = ScoreBook()
    add_jet_scores(alone, real, made, [split], 2, hardest=5, repeats=1, matched=25)
    assert alone.scores()["coverage_emd"].comment == "of 25 jets; no error: one group only"
    first = blocks_of(real.raw[:3], 5)
    np.testing.assert_allclose(np.diag(distance_matrix(first, first)), 0.0, atol=1e-7)
