"""What is the GAN's own, beyond the contract of all families."""

from __future__ import annotations

import pytest
import torch

from hepgen.config.families import GanOptions
from hepgen.generators.adversarial import Gan
from hepgen.generators.base import Objective, StageBatch
from hepgen.training.seeds import draw, stream


def radius_of(weight: float) -> tuple[float, float]:
    """Mean and width of the squared radius after a short training on the unit sphere in eight dimensions."""
    torch.manual_seed(2)
    options = GanOptions(latent=8, hidden=[32], critic_hidden=[32], critic_steps=2, observables=weight)
    gan = Gan(8, 0, options, 1)

    def radius(x: torch.Tensor) -> torch.Tensor:
        return x.square().sum(1, keepdim=True)

    objectives: list[Objective] = gan.objectives()
    optimizers = [torch.optim.Adam(one.parameters, 2e-3, betas=(0.0, 0.9)) for one in objectives]
    for step in range(200):
        for number, (one, optimizer) in enumerate(zip(objectives, optimizers, strict=True)):
            for turn in range(one.steps):
                noise = draw(stream(1, step, number, turn), one.noise, 128)
                x = torch.nn.functional.normalize(torch.randn(128, 8))
                optimizer.zero_grad()
                loss = one.loss(StageBatch(x, torch.zeros(128, 0), observe=radius), noise)
                loss.mean().backward(inputs=one.parameters)
                optimizer.step()
    made = radius(gan.sample({"z": torch.randn(2000, 8)}, torch.zeros(2000, 0)).detach())
    return float(made.mean()), float(made.std())


def test_a_critic_that_sees_an_observable_teaches_it() -> None:
    _, blind = radius_of(0.0)
    mean, width = radius_of(4.0)
    assert mean == pytest.approx(1.0, abs=0.15)
    assert width < 0.7 * blind


def test_a_critic_without_observables_has_none_among_its_inputs() -> None:
    sizes = [Gan(3, 1, GanOptions(observables=weight), 2).critic for weight in (0.0, 1.0)]
    assert [next(one.parameters()).shape[1] for one in sizes] == [4, 6]
