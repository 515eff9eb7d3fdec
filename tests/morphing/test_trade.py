"""Densities carried to other values of a parameter, on a law that is known at all of them."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from hepgen.config.families import CouplingOptions
from hepgen.generators.coupling import CouplingFlow
from hepgen.morphing.trade import derivative_residual, parameter_derivative, power_derivative, propagation_loss


def _log_density(x: Tensor) -> Tensor:
    return -0.5 * x.square().sum(1)


def _log_prob(x: Tensor, condition: Tensor) -> Tensor:
    """A unit normal to the power exp(c), normalised."""
    c = condition[:, 0]
    return c.exp() * _log_density(x) + x.shape[1] / 2 * (c - math.log(2 * math.pi))


def _drawn(groups: int, events: int, condition: Tensor, width: float = 1.0) -> Tensor:
    random = torch.Generator().manual_seed(0)
    return width * torch.randn(groups, events, 2, generator=random) * (-condition / 2).exp()[:, None]


def test_the_true_density_leaves_no_residual() -> None:
    condition = torch.tensor([[-0.7], [0.0], [0.9]])
    x = _drawn(3, 20_000, condition)
    c = condition.repeat_interleave(20_000, dim=0)
    flat = x.flatten(0, 1)
    found = parameter_derivative(_log_prob, flat, c, torch.ones(1), 0.02).view(3, -1)
    known = power_derivative(_log_density)(flat, c).view(3, -1)
    residual = derivative_residual(found, known)
    assert residual.abs().max() < 0.03
    assert (derivative_residual(0 * found, known)).abs().max() > 1


def test_events_of_another_density_stand_for_the_true_one_by_weights() -> None:
    condition = torch.zeros(1, 1)
    x = _drawn(1, 100_000, condition, width=1.5)[0]
    known = power_derivative(_log_density)(x, torch.zeros(len(x), 1))[None]
    found = parameter_derivative(_log_prob, x, torch.zeros(len(x), 1), torch.ones(1), 0.02)[None]
    log_weight = (_log_density(x) - _log_density(x / 1.5))[None]
    assert derivative_residual(found, known, log_weight).abs().max() < 0.03
    assert derivative_residual(found, known).abs().mean() > 0.5


def _spreads(told: bool, steps: int = 250) -> list[float]:
    """Standard deviations at temperatures 0.5, 1 and 2 of a flow that saw events at 1."""
    torch.manual_seed(0)
    flow = CouplingFlow(2, 1, CouplingOptions(layers=2, hidden=[32], bins=8, bound=5, activation="silu"))
    random = torch.Generator().manual_seed(0)
    optimizer = torch.optim.Adam(flow.parameters(), 5e-3)
    for step in range(steps):
        optimizer.param_groups[0]["lr"] = 5e-3 * (1 - step / steps)
        loss = -flow.log_prob(torch.randn(256, 2, generator=random), torch.zeros(256, 1)).mean()
        if told:
            condition = math.log(2.5) * (2 * torch.rand(4, 1, generator=random) - 1)
            noise = torch.randn(4, 64, 2, generator=random)
            loss = loss + propagation_loss(flow, power_derivative(_log_density), noise, condition)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    with torch.no_grad():
        z = torch.randn(20_000, 2, generator=random)
        return [flow.sample({"z": z}, torch.full((len(z), 1), -math.log(t))).std().item() for t in (0.5, 1.0, 2.0)]


def test_a_flow_that_is_told_the_derivative_is_right_where_it_saw_no_events() -> None:
    truth = [math.sqrt(t) for t in (0.5, 1.0, 2.0)]
    assert _spreads(told=True) == pytest.approx(truth, rel=0.06)
    alone = _spreads(told=False)
    assert alone[1] == pytest.approx(truth[1], rel=0.06)
    assert abs(alone[0] / truth[0] - 1) > 0.15
    assert abs(alone[2] / truth[2] - 1) > 0.15
