from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import kstest

from hepgen.representations.maps import fitting
from hepgen.representations.maps.distribution import Distribution
from hepgen.representations.maps.gaussianise import Gaussianise


def column(kind: str, seed: int, events: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    normal = rng.normal(size=events)
    made: dict[str, Any] = {
        "normal": lambda: 40 + 5 * normal,
        "tiny": lambda: 1e-12 * normal,
        "lognormal": lambda: np.exp(3 * normal),
        "cauchy": lambda: rng.standard_cauchy(events),
        "pareto": lambda: 25 * (1 + rng.pareto(2.5, events)),
        "uniform": lambda: rng.uniform(-np.pi, np.pi, events),
        "spike": lambda: np.where(rng.random(events) < 0.4, 80.4, 80.4 + rng.exponential(10, events)),
        "spikes": lambda: np.where(rng.random(events) < 0.1, 1.0, np.where(rng.random(events) < 0.1, -3.0, normal)),
        "cluster": lambda: np.where(
            rng.random(events) < 0.5, 91.2 * (1 + 1e-5 * normal), 60 + 100 * rng.random(events)
        ),
        "rounded": lambda: np.round(50 + 20 * normal, 1),
    }
    values = made[kind]()
    return np.asarray(values, dtype=np.float32).astype(np.float64)


KINDS = ("normal", "tiny", "lognormal", "cauchy", "pareto", "uniform", "spike", "spikes", "cluster", "rounded")


def fit(values: np.ndarray) -> Distribution:
    return fitting.continuous(values, np.ones(len(values)), values.min(), values.max())


@settings(max_examples=40, deadline=None)
@given(kind=st.sampled_from(KINDS), seed=st.integers(0, 2**31), events=st.integers(5, 3000))
def test_values_come_back_and_nothing_leaves_the_range(kind: str, seed: int, events: int) -> None:
    values = column(kind, seed, events)
    gaussianise = Gaussianise([fit(values)])
    x = torch.from_numpy(values)[:, None]
    z = gaussianise(x, torch.rand(x.shape, generator=torch.Generator().manual_seed(seed))).float()
    assert torch.isfinite(z).all()
    spread = np.quantile(values, 0.9) - np.quantile(values, 0.1)
    np.testing.assert_allclose(gaussianise.inverse(z), x, rtol=1e-5, atol=1e-6 * spread)
    wild = torch.cat([torch.linspace(-50, 50, 201), torch.tensor([-1e30, 1e30, -torch.inf, torch.inf])])[:, None]
    out = gaussianise.inverse(wild)
    assert torch.isfinite(out).all()
    assert out.min() >= values.min()
    assert out.max() <= values.max()
    assert (out[1:201] - out[:200]).min() >= -1e-12 * np.abs(values).max()


@pytest.mark.parametrize("kind", KINDS)
def test_the_latent_values_are_standard_normal(kind: str) -> None:
    values = column(kind, 3, 20_000)
    gaussianise = Gaussianise([fit(values)])
    z = gaussianise(
        torch.from_numpy(values)[:, None], torch.rand(20_000, 1, generator=torch.Generator().manual_seed(1))
    )
    assert kstest(z.flatten().numpy(), "norm").statistic < 0.012


@pytest.mark.parametrize("kind", KINDS)
def test_random_latents_give_the_distribution_back(kind: str) -> None:
    values = column(kind, 3, 20_000)
    z = torch.randn(20_000, 1, generator=torch.Generator().manual_seed(2))
    made = Gaussianise([fit(values)]).inverse(z).flatten().numpy().astype(np.float32)
    grid = np.unique(np.quantile(values, np.linspace(0, 1, 500)).astype(np.float32))
    difference = np.searchsorted(np.sort(made), grid, "right") - np.searchsorted(np.sort(values), grid, "right")
    assert np.abs(difference).max() / 20_000 < 0.02


def test_a_spike_is_an_atom_that_comes_back_exactly() -> None:
    values = column("spike", 3, 5000)
    distribution = fit(values)
    assert [atom for atom in distribution.atoms if atom is not None] == [float(np.float32(80.4))]
    z = Gaussianise([distribution]).inverse(torch.randn(50_000, 1, generator=torch.Generator().manual_seed(2)))
    assert (z == float(np.float32(80.4))).double().mean().item() == pytest.approx(0.4, abs=0.02)


@pytest.mark.parametrize("kind", ["normal", "lognormal", "cauchy", "uniform"])
def test_log_abs_det_agrees_with_autograd(kind: str) -> None:
    values = column(kind, 3, 2000)
    gaussianise = Gaussianise([fit(values)])
    x = torch.from_numpy(np.sort(values)[5:-5])[:, None].requires_grad_(True)
    noise = torch.full_like(x, 0.5)
    (slope,) = torch.autograd.grad(gaussianise(x, noise).sum(), x)
    torch.testing.assert_close(gaussianise.log_abs_det(x, noise), torch.log(slope.flatten()))


@settings(max_examples=30, deadline=None)
@given(
    seed=st.integers(0, 2**31),
    mean=st.floats(0.5, 5000),
    events=st.integers(2, 2000),
    offset=st.integers(-5000, 5000),
    sentinel=st.booleans(),
)
def test_whole_numbers_come_back_exactly(seed: int, mean: float, events: int, offset: int, sentinel: bool) -> None:
    rng = np.random.default_rng(seed)
    values = np.append(rng.poisson(mean, events) + float(offset), [offset - 1.0])
    if sentinel:
        values[: events // 3] = -9999.0
    distribution = fitting.integer(values, np.ones(len(values)), values.min(), values.max())
    gaussianise = Gaussianise([distribution])
    x = torch.from_numpy(values)[:, None]
    for noise in (torch.rand(x.shape), torch.zeros(x.shape), torch.full(x.shape, 1 - 2**-24)):
        torch.testing.assert_close(gaussianise.inverse(gaussianise(x, noise).float()), x, rtol=0, atol=0)
    out = gaussianise.inverse(torch.linspace(-50, 50, 301)[:, None])
    assert out.min() == values.min()
    assert out.max() == values.max()
    assert (out == out.round()).all()


@settings(max_examples=30, deadline=None)
@given(weights=st.lists(st.floats(0, 1e6), min_size=1, max_size=64), seed=st.integers(0, 2**31))
def test_discrete_values_come_back_exactly(weights: list[float], seed: int) -> None:
    rng = np.random.default_rng(seed)
    values = np.unique(rng.integers(-1000, 1000, len(weights)) * 0.37)
    distribution = fitting.discrete(values, np.array(weights[: len(values)]) + 1e-9)
    gaussianise = Gaussianise([distribution])
    x = torch.from_numpy(values)[:, None]
    for noise in (torch.rand(x.shape), torch.zeros(x.shape), torch.full(x.shape, 1 - 2**-24)):
        torch.testing.assert_close(gaussianise.inverse(gaussianise(x, noise)), x, rtol=0, atol=0)
    assert set(gaussianise.inverse(torch.linspace(-50, 50, 301)[:, None]).flatten().tolist()) <= set(values.tolist())


def test_the_density_of_whole_numbers_is_their_probability() -> None:
    values = np.repeat([0.0, 1.0, 2.0, 3.0], [10, 40, 30, 20])
    gaussianise = Gaussianise([fitting.integer(values, np.ones(100), 0.0, 3.0)])
    x, noise = torch.tensor([[0.0], [1.0], [2.0], [3.0]]), torch.full((4, 1), 0.3)
    z = gaussianise(x, noise)
    log_mass = gaussianise.log_abs_det(x, noise) + torch.distributions.Normal(0.0, 1.0).log_prob(z).flatten()
    torch.testing.assert_close(log_mass.exp(), torch.tensor([0.1, 0.4, 0.3, 0.2], dtype=torch.float64))


def test_bounds_wider_than_the_data_can_be_reached_but_not_passed() -> None:
    values = np.random.default_rng(3).uniform(1, 9, 1000)
    gaussianise = Gaussianise([fitting.continuous(values, np.ones(1000), values.min(), values.max(), (0.0, 10.0))])
    out = gaussianise.inverse(torch.tensor([[-50.0], [50.0]]))
    torch.testing.assert_close(out.flatten(), torch.tensor([0.0, 10.0], dtype=torch.float64))


def test_weights_move_the_quantiles() -> None:
    values = np.random.default_rng(3).uniform(0, 1, 20_000)
    gaussianise = Gaussianise([fitting.continuous(values, values, values.min(), values.max())])
    assert gaussianise.inverse(torch.zeros(1, 1)).item() == pytest.approx(np.sqrt(0.5), abs=0.01)


def test_state_survives_json_with_identical_outputs() -> None:
    gaussianise = Gaussianise([fit(column(kind, 3, 2000)) for kind in KINDS])
    again = Gaussianise.from_state(json.loads(json.dumps(gaussianise.state(), allow_nan=False)))
    z = torch.randn(500, len(KINDS), generator=torch.Generator().manual_seed(2))
    assert torch.equal(again.inverse(z), gaussianise.inverse(z))
