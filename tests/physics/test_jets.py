"""Jet observables against golden values of jetnet and energyflow, brute force and analytic cases."""

import itertools
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hepgen.errors import UsageError
from hepgen.physics.energy_flow import energy_flow_polynomials, graphs
from hepgen.physics.jets import (
    energy_correlation_d2,
    exclusive_kt_axes,
    jet_momentum,
    n_subjettiness,
)

DATA = Path(__file__).parents[1] / "data"


@pytest.fixture(scope="module")
def golden() -> dict[str, Any]:
    with np.load(DATA / "jets_golden.npz") as file:
        found: dict[str, Any] = {name: file[name] for name in file}
    return {**found, "facts": json.loads(str(found["facts"]))}


def parts(jets: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """pt, eta, phi of jets in the order of JetNet."""
    return jets[..., 2].astype(float), jets[..., 0].astype(float), jets[..., 1].astype(float)


def toy_jets(seed: int, jets: int = 6, constituents: int = 7, empty: int = 2) -> tuple[np.ndarray, ...]:
    random = np.random.default_rng(seed)
    pt = random.exponential(size=(jets, constituents))
    pt[:, constituents - random.integers(0, empty + 1) :] = 0.0
    return pt, random.normal(scale=0.4, size=pt.shape), random.uniform(-np.pi, np.pi, size=pt.shape)


def delta_r(eta: np.ndarray, phi: np.ndarray, i: int, j: int) -> float:
    around = abs(phi[i] - phi[j]) % (2 * np.pi)
    return float(np.hypot(eta[i] - eta[j], min(around, 2 * np.pi - around)))


def test_energy_flow_polynomials_and_momenta_are_those_of_energyflow_and_jetnet(golden: dict[str, Any]) -> None:
    jets = parts(golden["A"][:40])
    for name in ("36", "5"):
        which = [tuple((a, b) for a, b in graph) for graph in golden["facts"][f"graphs{name}"]]
        np.testing.assert_allclose(energy_flow_polynomials(*jets, which), golden[f"efp{name}_A"], rtol=1e-5)
    momentum = jet_momentum(*jets)
    for name in ("pt", "eta", "mass"):
        np.testing.assert_allclose(getattr(momentum, name), golden[f"{name}_A"], rtol=1e-5, atol=1e-7)


def test_threads_that_share_the_jets_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    jets = toy_jets(2, jets=50)
    whole = energy_flow_polynomials(*jets)
    monkeypatch.setattr("hepgen.physics.energy_flow._CHUNK", 200)
    np.testing.assert_allclose(energy_flow_polynomials(*jets, threads=3), whole, rtol=1e-12)


def test_the_graphs_are_those_of_energyflow(golden: dict[str, Any]) -> None:
    """Every one of its 36 is one of ours under other names of the vertices: as many, and of the same values."""
    jets = toy_jets(1, constituents=5)
    theirs = energy_flow_polynomials(*jets, [tuple(map(tuple, graph)) for graph in golden["facts"]["graphs36"]])
    ours = energy_flow_polynomials(*jets)
    assert len(graphs(4)) == 36
    assert [len(graphs(degree)) for degree in range(4)] == [1, 2, 5, 13]
    np.testing.assert_allclose(np.sort(ours, axis=1), np.sort(theirs, axis=1), rtol=1e-9)


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 1000), which=st.sampled_from(graphs(4)), beta=st.sampled_from([0.5, 1.0, 2.0]))
def test_polynomials_are_the_sums_that_their_graphs_say(seed: int, which: Any, beta: float) -> None:
    pt, eta, phi = toy_jets(seed, jets=2, constituents=3, empty=1)
    vertices = 1 + max((max(edge) for edge in which), default=0)
    expected = []
    for p, h, f in zip(pt, eta, phi, strict=True):
        total = 0.0
        for chosen in itertools.product(range(len(p)), repeat=vertices):
            term = np.prod(p[list(chosen)])
            for a, b in which:
                term *= delta_r(h, f, chosen[a], chosen[b]) ** beta
            total += term
        expected.append(total)
    found = energy_flow_polynomials(pt, eta, phi, [which], beta=beta)[:, 0]
    np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-12)


def test_a_graph_of_four_vertices_all_joined_is_refused() -> None:
    with pytest.raises(UsageError, match="cannot be summed"):
        energy_flow_polynomials(*toy_jets(1), [tuple(itertools.combinations(range(4), 2))])


def test_padding_changes_nothing() -> None:
    pt, eta, phi = toy_jets(3, empty=0)
    longer = [
        np.concatenate([one, np.full((len(one), 3), fill)], axis=1) for one, fill in ((pt, 0.0), (eta, 9.0), (phi, 1.0))
    ]
    np.testing.assert_allclose(energy_flow_polynomials(*longer), energy_flow_polynomials(pt, eta, phi))
    np.testing.assert_allclose(energy_correlation_d2(*longer), energy_correlation_d2(pt, eta, phi))
    np.testing.assert_allclose(jet_momentum(*longer, 0.1).mass, jet_momentum(pt, eta, phi, 0.1).mass)
    np.testing.assert_allclose(n_subjettiness(*longer, 3), n_subjettiness(pt, eta, phi, 3))


def brute_force_axes(pt: np.ndarray, eta: np.ndarray, phi: np.ndarray, number: int) -> list[tuple[float, ...]]:
    """Exclusive kT, one pair after the other, with four-vectors in lists."""
    found = [
        np.array([p * np.cosh(h), p * np.cos(f), p * np.sin(f), p * np.sinh(h)])
        for p, h, f in zip(pt, eta, phi, strict=True)
        if p > 0
    ]

    def place(vector: np.ndarray) -> tuple[float, float, float]:
        p = float(np.hypot(vector[1], vector[2]))
        return p, float(np.arcsinh(vector[3] / p)), float(np.arctan2(vector[2], vector[1]))

    while len(found) > number:
        places = np.array([place(vector) for vector in found])
        pairs = itertools.combinations(range(len(found)), 2)
        scale = {
            (i, j): min(places[i, 0], places[j, 0]) ** 2 * delta_r(places[:, 1], places[:, 2], i, j) ** 2
            for i, j in pairs
        }
        i, j = min(scale, key=lambda pair: scale[pair])
        found[i] = found[i] + found.pop(j)
    return sorted(place(vector) for vector in found)


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 1000), number=st.integers(1, 4))
def test_axes_and_subjettiness_are_those_of_brute_force(seed: int, number: int) -> None:
    pt, eta, phi = toy_jets(seed)
    axes = exclusive_kt_axes(pt, eta, phi, number)
    tau = n_subjettiness(pt, eta, phi, number, beta=1.5, radius=0.7)[:, -1]
    for jet in range(len(pt)):
        expected = brute_force_axes(pt[jet], eta[jet], phi[jet], number)
        np.testing.assert_allclose(sorted(map(tuple, axes[jet][axes[jet, :, 0] > 0])), expected, rtol=1e-9)
        total = 0.0
        for p, h, f in zip(pt[jet], eta[jet], phi[jet], strict=True):
            near = min(delta_r(np.array([h, a[1]]), np.array([f, a[2]]), 0, 1) for a in expected)
            total += p * near**1.5
        assert tau[jet] == pytest.approx(total / (0.7**1.5 * pt[jet].sum()), rel=1e-9)


def test_d2_is_the_sum_over_pairs_and_triples() -> None:
    pt, eta, phi = toy_jets(5)
    found = energy_correlation_d2(pt, eta, phi, beta=2.0)
    for jet, (p, h, f) in enumerate(zip(pt, eta, phi, strict=True)):
        z = p / jet_momentum(pt, eta, phi).pt[jet]
        e2 = sum(z[i] * z[j] * delta_r(h, f, i, j) ** 2 for i, j in itertools.combinations(range(len(p)), 2))
        e3 = sum(
            z[i] * z[j] * z[k] * (delta_r(h, f, i, j) * delta_r(h, f, i, k) * delta_r(h, f, j, k)) ** 2
            for i, j, k in itertools.combinations(range(len(p)), 3)
        )
        assert found[jet] == pytest.approx(e3 / e2**3, rel=1e-9)


def test_jets_of_few_constituents_have_their_limits() -> None:
    pt, eta, phi = np.array([[1.0, 2.0, 0.0], [1.0, 0.0, 0.0]]), np.array([[0.0, 0.3, 0.0]] * 2), np.zeros((2, 3))
    assert n_subjettiness(pt, eta, phi, 2)[:, 1].tolist() == [0.0, 0.0]
    assert n_subjettiness(pt, eta, phi, 1)[0, 0] > 0
    assert n_subjettiness(np.zeros((1, 3)), eta[:1], phi[:1], 3).tolist() == [[0.0, 0.0, 0.0]]
    two, one = energy_correlation_d2(pt, eta, phi)
    assert two == 0.0
    assert np.isnan(one)
    with pytest.raises(UsageError, match="0 axes"):
        n_subjettiness(pt, eta, phi, 0)


def test_what_is_compiled_gives_what_numpy_gives(monkeypatch: pytest.MonkeyPatch) -> None:
    toys = toy_jets(8, jets=20, constituents=25, empty=12)
    found = n_subjettiness(*toys, 4), energy_correlation_d2(*toys, beta=1.7)
    monkeypatch.setattr("hepgen.physics.jets._kernel", lambda: None)
    np.testing.assert_allclose(found[0], n_subjettiness(*toys, 4), rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(found[1], energy_correlation_d2(*toys, beta=1.7), rtol=1e-9)


def test_a_constituent_of_negative_squared_mass_takes_energy_away() -> None:
    """What 14 bits of energy and pt leave of a massless constituent."""
    pt, mass = np.array([[10.0, 10.0]]), np.array([[1.0, -1.0]])
    jet = jet_momentum(pt, np.zeros((1, 2)), np.array([[0.0, np.pi]]), mass)
    assert jet.mass[0] == pytest.approx(np.sqrt(101) + np.sqrt(99), rel=1e-12)


def test_polynomials_of_more_edges_are_the_sums_too() -> None:
    """Graphs that leave matrices which are not symmetric on the way."""
    pt, eta, phi = toy_jets(4, jets=2, constituents=4, empty=0)
    for which in [((0, 1), (0, 1), (1, 2), (2, 3), (0, 3), (3, 4)), ((0, 2), (2, 3), (2, 3), (1, 3), (0, 4), (1, 4))]:
        expected = [0.0, 0.0]
        for jet in range(2):
            for chosen in itertools.product(range(4), repeat=5):
                term = np.prod(pt[jet, list(chosen)])
                for a, b in which:
                    term *= delta_r(eta[jet], phi[jet], chosen[a], chosen[b])
                expected[jet] += term
        np.testing.assert_allclose(energy_flow_polynomials(pt, eta, phi, [which])[:, 0], expected, rtol=1e-9)
