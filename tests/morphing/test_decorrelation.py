"""Decorrelation on a toy whose discriminant follows the protected variable closely."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from torch import Tensor

from hepgen.classifiers.calibration import area_under_curve
from hepgen.config.decorrelate import DecorrelationOptions
from hepgen.errors import ConfigError
from hepgen.evaluation.decorrelation import sculpting_curve
from hepgen.generators.base import StageBatch
from hepgen.morphing.decorrelation import Decorrelation, cumulative_normal


def _background(size: int, seed: int) -> StageBatch:
    """Scores whose place and width follow a protected mass: correlation 0.8."""
    random = torch.Generator().manual_seed(seed)
    mass, noise = torch.randn(2, size, 1, generator=random)
    return StageBatch(0.8 * mass + 0.6 * torch.exp(0.3 * mass) * noise, mass)


def _signal(size: int, seed: int) -> StageBatch:
    batch = _background(size, seed)
    random = torch.Generator().manual_seed(seed + 1)
    mass = 0.3 * torch.randn(size, 1, generator=random) + 0.5
    return StageBatch(batch.x - 0.8 * batch.condition + 0.8 * mass + 1.2, mass)


def _trained(sample: StageBatch, steps: int = 400, **options: object) -> Decorrelation:
    torch.manual_seed(0)
    given = {"hidden": [32], "layers": 1, **options}
    flow = Decorrelation(sample.x.shape[1], sample.condition.shape[1], DecorrelationOptions.model_validate(given))
    (objective,) = flow.objectives()
    optimizer = torch.optim.Adam(objective.parameters, 1e-2)
    random = torch.Generator().manual_seed(1)
    for step in range(steps):
        optimizer.param_groups[0]["lr"] = 1e-2 * (1 - step / steps)
        rows = torch.randint(len(sample.x), (512,), generator=random)
        weight = torch.ones(512) if sample.weight is None else sample.weight[rows]
        loss = (weight * objective.loss(StageBatch(sample.x[rows], sample.condition[rows]), {})).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return flow.eval().requires_grad_(False)


@pytest.fixture(scope="module")
def flow() -> Decorrelation:
    return _trained(_background(50_000, 0))


def test_the_score_no_longer_knows_the_mass(flow: Decorrelation) -> None:
    test = _background(40_000, 5)
    score, mass = flow(test.x, test.condition)[:, 0].numpy(), test.condition[:, 0].double().numpy()
    assert np.corrcoef(test.x[:, 0], mass)[0, 1] > 0.75
    assert abs(np.corrcoef(score, mass)[0, 1]) < 0.02
    assert abs(np.corrcoef(score**2, mass**2)[0, 1]) < 0.03
    # uniform in every slice of the mass
    for rows in np.array_split(np.argsort(mass), 8):
        distance = np.abs(np.sort(score[rows]) - (np.arange(len(rows)) + 0.5) / len(rows)).max()
        assert distance < 0.04


def test_the_mass_of_what_passes_is_sculpted_less(flow: Decorrelation) -> None:
    signal, background = _signal(20_000, 7), _background(40_000, 6)
    mass = background.condition[:, 0].double().numpy()
    (before,) = sculpting_curve(signal.x[:, 0].double().numpy(), background.x[:, 0].double().numpy(), mass, bins=20)
    scores = [flow(one.x, one.condition)[:, 0].numpy() for one in (signal, background)]
    (after,) = sculpting_curve(*scores, mass, bins=20)
    assert before.inverse_jsd < 10
    assert after.inverse_jsd > 30 * before.inverse_jsd
    assert after.rejection > 3


def test_the_roc_curve_at_a_fixed_mass_is_what_it_was(flow: Decorrelation) -> None:
    random = np.random.default_rng(3)
    x = torch.from_numpy(random.normal(0, 2, 5000).astype(np.float32))[:, None]
    label = (random.random(5000) < 0.5).astype(float)
    for mass in (-1.5, 0.0, 2.0):
        score = flow(x, torch.full_like(x, mass))[:, 0].numpy()
        assert np.array_equal(np.argsort(score, kind="stable"), np.argsort(x[:, 0].numpy(), kind="stable"))
        assert area_under_curve(score, label) == area_under_curve(x[:, 0].double().numpy(), label)


@given(
    values=arrays.arrays(np.float32, st.integers(2, 60), elements=st.floats(-15, 15, width=32), unique=True),
    mass=st.floats(-4, 4, width=32),
)
def test_a_larger_score_stays_larger(flow: Decorrelation, values: np.ndarray, mass: float) -> None:
    x = torch.from_numpy(np.sort(values))[:, None]
    score = flow(x, torch.full_like(x, mass))[:, 0]
    assert (score.diff() > 0).all() or _closest(values) < 1e-6
    assert (score.diff() >= 0).all()
    assert ((score > 0) & (score < 1)).all()


@pytest.mark.parametrize("size", [1, 2, 3, 15, 17, 31, 60])
def test_equal_scores_stay_equal_wherever_they_stand(flow: Decorrelation, size: int) -> None:
    random = torch.Generator().manual_seed(size)
    for precise in (flow, copy.deepcopy(flow).double()):
        x, mass = torch.randn(2, 40, 1, generator=random).to(next(precise.parameters()).dtype)
        for one, at in zip(x, mass, strict=True):
            assert len(precise(one.expand(size, 1), at.expand(size, 1)).unique()) == 1
    assert flow(torch.empty(0, 1), torch.empty(0, 1)).shape == (0, 1)


def _closest(values: np.ndarray) -> float:
    return float(np.diff(np.sort(values)).min())


def test_the_tail_is_monotone_and_inside_one() -> None:
    z = torch.cat([-torch.logspace(30, -3, 500).double(), torch.logspace(-3, 30, 500).double()])
    u = cumulative_normal(z)
    assert ((u > 0) & (u <= 1)).all()
    assert (u.diff() >= 0).all()
    inside = z.abs() < 1e6
    assert (u[inside] < 1).all()
    edge = torch.tensor([5 - 1e-9, 5 + 1e-9], dtype=torch.float64)
    assert cumulative_normal(edge).diff().item() == pytest.approx(2e-9 * 1.4867e-6, abs=3e-16)
    torch.testing.assert_close(cumulative_normal(z), 1 - cumulative_normal(-z), atol=1e-15, rtol=0)


def test_the_normal_output_is_standard_normal() -> None:
    flow = _trained(_background(30_000, 0), 250, output="normal")
    test = _background(20_000, 5)
    z = flow(test.x, test.condition)
    assert z.mean().item() == pytest.approx(0, abs=0.05)
    assert z.std().item() == pytest.approx(1, abs=0.05)
    x = torch.tensor([[50.0], [60.0]])  # far out the map is the identity
    assert flow(x, torch.zeros(2, 1)).flatten().tolist() == [50.0, 60.0]


def test_weights_count_with_their_signs() -> None:
    sample = _background(30_000, 0)
    more = _background(6_000, 1)
    x = torch.cat([sample.x, more.x + 1, more.x + 1])
    weight = torch.cat([torch.ones(30_000), torch.ones(6_000), -torch.ones(6_000)])
    condition = torch.cat([sample.condition, more.condition, more.condition])
    signed = _trained(StageBatch(x, condition, weight / weight.mean()), 300)
    test = _background(20_000, 5)
    assert signed(test.x, test.condition).mean().item() == pytest.approx(0.5, abs=0.02)


def test_several_discriminants_are_decorrelated_each_by_itself() -> None:
    one, two = _background(20_000, 0), _background(20_000, 1)
    both = StageBatch(torch.cat([one.x, -two.x], 1), torch.cat([one.condition, two.condition], 1))
    flow = _trained(both, 200)
    moved = both.x.clone()
    moved[:, 1] += 1
    before, after = flow(both.x, both.condition), flow(moved, both.condition)
    assert torch.equal(before[:, 0], after[:, 0])
    assert (after[:, 1] > before[:, 1]).all()
    correlation: Tensor = torch.corrcoef(torch.cat([before, both.condition.double()], 1).T)[:2, 2:]
    assert correlation.abs().max() < 0.06


def test_steps_along_the_mass_are_followed_with_waves() -> None:
    """As of trees that have cut on it."""

    def steps(size: int, seed: int) -> StageBatch:
        mass, noise = torch.randn(2, size, 1, generator=torch.Generator().manual_seed(seed))
        return StageBatch(torch.where((mass * 2.5).floor() % 2 == 0, 1.0, -1.0) + 0.7 * noise, mass)

    test = steps(40_000, 5)
    apart = []
    for waves in (0, 4):
        flow = _trained(steps(40_000, 0), 250, waves=waves)
        rank = flow(test.x, test.condition)[:, 0]
        step = ((test.condition[:, 0] * 2.5).floor() % 2 == 0) & (test.condition[:, 0].abs() < 2)
        apart.append(abs(rank[step].mean() - rank[~step].mean()).item())
    assert apart[1] < 0.05
    assert apart[1] < 0.3 * apart[0]


def test_nothing_protected_is_refused() -> None:
    with pytest.raises(ConfigError, match="protected"):
        Decorrelation(1, 0, DecorrelationOptions())
