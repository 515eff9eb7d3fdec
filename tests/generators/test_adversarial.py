"""What is the GAN's own, beyond the contract of all families."""

from __future__ import annotations

from typing import Any, Literal

import pytest
import torch

from hepgen.config.families import GanOptions
from hepgen.errors import ConfigError
from hepgen.generators.adversarial import Gan
from hepgen.generators.base import Objective, StageBatch
from hepgen.training.seeds import draw, stream


def radius_of(weight: float, loss: Literal["wasserstein", "least_squares"] = "wasserstein") -> tuple[float, float]:
    """Mean and width of the squared radius after a short training on the unit sphere in eight dimensions."""
    torch.manual_seed(2)
    options = GanOptions(latent=8, hidden=[32], critic_hidden=[32], critic_steps=2, observables=weight, loss=loss)
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


def test_least_squares_teach_vectors_too() -> None:
    mean, width = radius_of(4.0, "least_squares")
    assert mean == pytest.approx(1.0, abs=0.15)
    assert width < 0.5


def test_a_critic_without_observables_has_none_among_its_inputs() -> None:
    sizes = [Gan(3, 1, GanOptions(observables=weight), 2).critic for weight in (0.0, 1.0)]
    assert [next(one.parameters()).shape[1] for one in sizes] == [4, 6]


def test_what_is_not_set_follows_from_what_is_made() -> None:
    """The Wasserstein GAN of vectors as before, and EPiC-GAN of clouds, each network with one input more: how many there are."""
    vector, cloud = Gan(3, 0, GanOptions()), Gan(3, 0, GanOptions(), points=30)
    assert [one.steps for one in vector.objectives()] == [5, 1]
    assert [one.steps for one in cloud.objectives()] == [1, 1]
    assert [one.optimizer["learning_rate"] for one in vector.objectives()] == [2e-4, 2e-4]
    assert [one.optimizer["learning_rate"] for one in cloud.objectives()] == [1e-4, 1e-4]
    assert {spec.name: spec.shape for spec in vector.noise_spec()} == {"z": (64,)}
    assert {spec.name: spec.shape for spec in cloud.noise_spec()} == {"z": (10,), "each": (3,)}
    sizes = [sum(one.numel() for one in network.parameters()) for network in (cloud.generator, cloud.critic)]
    assert sizes == [424_850 + 128, 313_170 + 128]


CRITICS: list[dict[str, Any]] = [
    {"critic": "epic"},
    {"critic": "pointnet_mix"},
    {"critic": "message_passing", "dropout": 0.0},
]


@pytest.mark.parametrize("options", CRITICS, ids=lambda one: one["critic"])
def test_a_critic_of_clouds_sees_no_order_but_the_condition(options: dict[str, Any]) -> None:
    torch.manual_seed(1)
    critic = Gan(2, 1, GanOptions(**options), points=6).critic
    x, condition, mask = torch.randn(4, 6, 2), torch.randn(4, 2), torch.ones(4, 6, dtype=torch.bool)
    judged = critic(x, condition, mask)
    order = torch.tensor([3, 0, 5, 1, 4, 2])
    torch.testing.assert_close(critic(x[:, order], condition, mask), judged, rtol=1e-4, atol=1e-4)
    assert (critic(x, condition + 1, mask) != judged).all()


def test_a_critic_is_told_how_many_constituents_there_are() -> None:
    """PointNet-Mix, whose maxima and means say nothing of it, tells clouds of equal points apart by their number."""
    torch.manual_seed(1)
    gan = Gan(2, 0, GanOptions(critic="pointnet_mix"), points=6)
    mask = torch.arange(6) < torch.tensor([[6], [3]])
    batch = StageBatch(torch.ones(2, 6, 2), torch.zeros(2, 0), mask=mask)
    noise = draw(stream(1), gan.objectives()[0].noise, 2, 6)
    fixed = {name: array[:1].expand(2, *array.shape[1:]) * 0 for name, array in noise.items()}
    one, other = gan.objectives()[1].loss(batch, fixed).tolist()
    assert one != pytest.approx(other, rel=1e-4)


@pytest.mark.parametrize("options", [{"network": "message_passing"}, {"critic": "message_passing"}])
def test_too_many_pairs_are_refused_with_the_key_that_limits_them(options: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match="max_constituents to 64 or less"):
        Gan(3, 0, GanOptions(**options), points=65)
    Gan(3, 0, GanOptions(), points=190)


def test_few_values_are_spread_in_clouds_only() -> None:
    """Each constituent has noise of its own to make them; of a shower a few numbers make hundreds of empty voxels."""
    assert Gan(3, 1, GanOptions(), points=5).dequantised
    assert not Gan(3, 1, GanOptions()).dequantised
