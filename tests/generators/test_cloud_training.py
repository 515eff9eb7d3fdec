"""Short trainings on rings of points, whose number varies: that the networks, losses and masks of clouds teach something."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from hepgen.config.families import CouplingOptions, GanOptions
from hepgen.generators.adversarial import Gan
from hepgen.generators.base import Generator, StageBatch
from hepgen.generators.coupling import CouplingFlow
from hepgen.training.optimizers import build_optimizer, schedule, set_rate
from hepgen.training.seeds import draw, stream

POINTS, EVENTS = 6, 32
SMALL: dict[str, Any] = {
    "layers": 2,
    "critic_layers": 1,
    "width": 16,
    "messages": [8, 8],
    "updates": [16],
    "dropout": 0.0,
}


def rings(events: int, random: torch.Generator, *, growing: bool = False) -> tuple[torch.Tensor, torch.Tensor]:
    """Points on a circle of radius 2, or where it grows of a third of their number, and their mask."""
    counts = torch.randint(2, POINTS + 1, (events, 1), generator=random)
    angle = 2 * torch.pi * torch.rand(events, POINTS, generator=random)
    mask = torch.arange(POINTS) < counts
    radius = counts.unsqueeze(2) / 3 if growing else 2.0
    return radius * torch.stack([angle.cos(), angle.sin()], 2) * mask.unsqueeze(2), mask


def radii(generator: Generator, step: int, mask: torch.Tensor) -> torch.Tensor:
    """Of the points that it makes, (events, POINTS)."""
    noise = draw(stream(9, step), generator.noise_spec(), len(mask), POINTS)
    with torch.no_grad():
        return generator.sample(noise, torch.zeros(len(mask), 0), mask).norm(dim=2)


def train(generator: Generator, steps: int, rate: float, *, growing: bool = False) -> list[float]:
    """The mean radius before the training, and every third step of its second half."""
    random = torch.Generator().manual_seed(3)
    objectives = generator.objectives()
    for one in objectives:
        one.optimizer["learning_rate"] = rate
    optimizers = [build_optimizer(one, rate, 0.0) for one in objectives]
    _, mask = rings(100, random)
    found = [float(radii(generator, 0, mask)[mask].mean())]
    for step in range(steps):
        for number, (one, optimizer) in enumerate(zip(objectives, optimizers, strict=True)):
            set_rate(optimizer, schedule(step, steps, 0.02))
            for turn in range(one.steps):
                x, there = rings(EVENTS, random, growing=growing)
                noise = draw(stream(1, step, number, turn), one.noise, EVENTS, POINTS)
                optimizer.zero_grad()
                loss = one.loss(StageBatch(x, torch.zeros(EVENTS, 0), mask=there), noise).mean()
                loss.backward(inputs=one.parameters)
                torch.nn.utils.clip_grad_norm_(one.parameters, 5.0)
                optimizer.step()
        if 2 * step >= steps and step % 3 == 0:
            found.append(float(radii(generator, step, mask)[mask].mean()))
    return found


# A game goes round in circles at first: what counts is where it has been in its second half.


def test_an_epic_gan_finds_the_radius_of_a_ring() -> None:
    torch.manual_seed(1)
    before, *late = train(Gan(2, 0, GanOptions(critic_steps=4, **SMALL), points=POINTS), 60, 1e-3)
    assert before < 1.3
    assert sum(late) / len(late) == pytest.approx(2.0, abs=0.5)


def test_a_message_passing_gan_comes_nearer_to_the_radius_of_a_ring() -> None:
    torch.manual_seed(1)
    options = GanOptions(network="message_passing", loss="wasserstein", critic_steps=2, **SMALL)
    before, *late = train(Gan(2, 0, options, points=POINTS), 90, 1e-3)
    assert before < 0.4
    assert 0.6 < sum(late) / len(late) < 3.0


def test_a_flow_learns_how_points_depend_on_how_many_there_are() -> None:
    """It is told by the places that are empty alone."""
    torch.manual_seed(1)
    flow = CouplingFlow(2, 0, CouplingOptions(layers=4, hidden=[32], bins=5), points=POINTS)
    mask = torch.arange(POINTS) < torch.tensor([[2], [6]]).repeat_interleave(500, 0)
    few, many = slice(None, 500), slice(500, None)

    def means() -> tuple[float, float]:
        made = radii(flow, 1, mask)
        return float(made[few, :2].mean()), float(made[many].mean())

    before = means()
    assert before[0] == pytest.approx(before[1], rel=0.1)
    train(flow, 100, 5e-3, growing=True)
    assert means() == pytest.approx((2 / 3, 2.0), rel=0.2)
