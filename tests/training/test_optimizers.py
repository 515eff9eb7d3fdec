"""Optimizers as objectives want them, and what of them a checkpoint keeps."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
import torch

from hepgen.generators.base import Objective, StageBatch
from hepgen.training.optimizers import build_optimizer, load_optimizer_tensors, optimizer_tensors


def nothing(batch: StageBatch, noise: Mapping[str, torch.Tensor]) -> torch.Tensor:
    return torch.zeros(())


def objective_of(kind: str) -> Objective:
    return Objective("x", [torch.nn.Parameter(torch.ones(3))], nothing, optimizer={"kind": kind})


def step(objective: Objective, optimizer: torch.optim.Optimizer) -> None:
    objective.parameters[0].grad = torch.tensor([1.0, -0.1, 0.01])
    optimizer.step()


@pytest.mark.parametrize("kind", ["adam", "rmsprop"])
def test_a_resumed_optimizer_goes_on_as_if_it_had_not_stopped(kind: str) -> None:
    one, other = objective_of(kind), objective_of(kind)
    first, second = build_optimizer(one, 0.1, 0.0), build_optimizer(other, 0.1, 0.0)
    step(one, first)
    with torch.no_grad():
        other.parameters[0].copy_(one.parameters[0])
    kept = {name: tensor.clone() for name, tensor in optimizer_tensors({"x": first}).items()}
    load_optimizer_tensors({"x": second}, kept)
    step(one, first)
    step(other, second)
    assert torch.equal(one.parameters[0], other.parameters[0])


def test_rmsprop_is_that_of_the_lectures() -> None:
    """Without momentum: lr g / (sqrt((1 - alpha) g^2) + eps) at the first step, the same for all but tiny gradients."""
    objective = objective_of("rmsprop")
    step(objective, build_optimizer(objective, 0.01, 0.0))
    expected = 1 - 0.01 / 0.1 * torch.tensor([1.0, -1.0, 1.0])
    torch.testing.assert_close(objective.parameters[0].detach(), expected, rtol=1e-4, atol=1e-4)
