"""The Sinkhorn divergence against POT, and what a divergence promises."""

from __future__ import annotations

import numpy as np
import ot
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from hepgen.errors import InputFileError, UsageError
from hepgen.morphing.sinkhorn_divergence import sinkhorn_divergence


def samples(seed: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    random = torch.Generator().manual_seed(seed)
    x = torch.randn(30, 3, generator=random, dtype=torch.float64)
    y = 0.7 * torch.randn(40, 3, generator=random, dtype=torch.float64) + 0.5
    a, b = (torch.rand(size, generator=random, dtype=torch.float64) for size in (30, 40))
    return x, y, a, b


def by_pot(x: Tensor, y: Tensor, a: Tensor, b: Tensor, epsilon: float) -> float:
    """The same divergence from the plans of another library."""

    def cost_of(one: Tensor, two: Tensor, p: Tensor, q: Tensor) -> float:
        shares = [(w / w.sum()).numpy() for w in (p, q)]
        cost = 0.5 * ot.dist(one.numpy(), two.numpy())
        plan = ot.sinkhorn(*shares, cost, epsilon, method="sinkhorn_log", numItermax=500, stopThr=1e-9, warn=False)
        product = np.outer(*shares)
        seen = plan > 0
        return float((plan * cost).sum() + epsilon * (plan[seen] * np.log(plan[seen] / product[seen])).sum())

    return cost_of(x, y, a, b) - 0.5 * (cost_of(x, x, a, a) + cost_of(y, y, b, b))


@pytest.mark.parametrize("epsilon", [1.0, 0.1])
@pytest.mark.parametrize("weighted", [True, False])
def test_it_is_that_of_pot(epsilon: float, weighted: bool) -> None:
    x, y, a, b = samples(1)
    if not weighted:
        a, b = torch.ones_like(a), torch.ones_like(b)
    found = sinkhorn_divergence(x, y, a if weighted else None, b if weighted else None, epsilon=epsilon, iterations=500)
    assert found.item() == pytest.approx(by_pot(x, y, a, b, epsilon), rel=1e-4)


def test_few_iterations_are_near_the_end() -> None:
    x, y, a, b = samples(2)
    assert sinkhorn_divergence(x, y, a, b, epsilon=0.05).item() == pytest.approx(by_pot(x, y, a, b, 0.05), rel=0.03)


def test_its_gradient_is_that_of_its_value() -> None:
    x, y, a, b = samples(3)
    x.requires_grad_()
    found = sinkhorn_divergence(x, y, a, b, epsilon=0.2, iterations=500)
    (gradient,) = torch.autograd.grad(found, x)
    for place in ((0, 0), (7, 2)):
        ends = []
        for step in (-1e-4, 1e-4):
            near = x.detach().clone()
            near[place] += step
            ends.append(sinkhorn_divergence(near, y, a, b, epsilon=0.2, iterations=500).item())
        assert gradient[place].item() == pytest.approx((ends[1] - ends[0]) / 2e-4, rel=1e-4, abs=1e-7)


@settings(deadline=None, max_examples=10)
@given(seed=st.integers(0, 1000), epsilon=st.sampled_from([0.05, 0.1, 10.0]), far=st.sampled_from([0.0, 1.0, 1e3]))
def test_it_is_symmetric_0_between_equal_samples_and_finite_far_away(seed: int, epsilon: float, far: float) -> None:
    x, y, a, b = samples(seed)
    y = y + far
    there = sinkhorn_divergence(x, y, a, b, epsilon=epsilon, iterations=200)
    back = sinkhorn_divergence(y, x, b, a, epsilon=epsilon, iterations=200)
    assert torch.isfinite(there)
    assert there.item() == pytest.approx(back.item(), rel=0.05, abs=1e-3)
    assert there > 0
    assert sinkhorn_divergence(x, x.clone(), a, a.clone(), epsilon=epsilon, iterations=200).abs() < 0.02 * max(
        1, epsilon
    )


def test_an_event_of_weight_0_is_not_there() -> None:
    x, y, a, b = samples(4)
    more = torch.cat([x, torch.full((1, 3), 50.0, dtype=x.dtype)])
    without = torch.cat([a, torch.zeros(1, dtype=a.dtype)])
    found = sinkhorn_divergence(more, y, without, b, epsilon=0.1, iterations=300)
    assert found.item() == pytest.approx(sinkhorn_divergence(x, y, a, b, epsilon=0.1, iterations=300).item(), rel=1e-5)


def test_negative_weights_are_refused() -> None:
    x, y, a, b = samples(5)
    a[3] = -0.25
    with pytest.raises(InputFileError, match=r"a weight of -0\.25.*flows_for_flows"):
        sinkhorn_divergence(x, y, a, b)
    with pytest.raises(InputFileError, match="no weight above 0"):
        sinkhorn_divergence(x, y, None, torch.zeros_like(b))
    with pytest.raises(UsageError, match="an entropy of 0"):
        sinkhorn_divergence(x, y, epsilon=0)
