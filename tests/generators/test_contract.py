"""What every registered family of generators must do."""

from __future__ import annotations

import importlib
from typing import Any

import pytest
import torch

from hepgen.config.families import FAMILIES
from hepgen.generators.base import Generator, NoiseSpec, StageBatch
from hepgen.training.seeds import draw, stream

SMALL = {
    "coupling": {"layers": 4, "hidden": [16], "bins": 5},
    "gan": {"latent": 6, "hidden": [16], "critic_hidden": [16], "width": 16, "messages": [8, 8], "updates": [16]},
    "matching": {"layers": 2, "hidden": 16, "steps": 3},
    "mean_flow": {"layers": 2, "hidden": 16, "steps": 3},
}
POINTS = 7
CLOUDS: dict[str, list[dict[str, Any]]] = {
    "coupling": [{}],
    "gan": [
        {"network": "epic"},
        {"network": "epic", "loss": "wasserstein"},
        {"critic": "pointnet_mix"},
        {"critic": "pointnet_mix", "loss": "wasserstein"},
        {"network": "message_passing", "dropout": 0.0},
        {"network": "message_passing", "dropout": 0.0, "loss": "wasserstein"},
    ],
    "matching": [
        {"network": "epic", "latent": 4},
        {"network": "transformer", "heads": 4, "waves": 2},
        {"solver": "heun"},
    ],
    "mean_flow": [{"network": "epic", "latent": 4, "waves": 1}, {"network": "transformer", "heads": 4}],
}
"""Options with which a family that makes clouds is tested, beside the small ones."""


def build(
    family: str, features: int, conditions: int, observables: int = 0, points: int = 0, **more: object
) -> Generator:
    module, _, name = FAMILIES[family].path.partition(":")
    torch.manual_seed(5)
    options = FAMILIES[family].options(**{**SMALL.get(family, {}), **more})
    kind = getattr(importlib.import_module(module), name)
    generator: Generator = kind(features, conditions, options, observables, points)
    for parameter in generator.parameters():  # away from an identity start
        torch.nn.init.normal_(parameter, std=0.3)
    return generator


def noise_of(generator: Generator, events: int, points: int = 0) -> dict[str, torch.Tensor]:
    return draw(stream(3, 0), generator.noise_spec(), events, points)


every_family = pytest.mark.parametrize("family", sorted(FAMILIES))
every_shape = pytest.mark.parametrize(("features", "conditions"), [(1, 0), (2, 1), (7, 3)])


@every_family
@every_shape
def test_samples_have_the_shape_of_the_stage_and_are_finite(family: str, features: int, conditions: int) -> None:
    generator = build(family, features, conditions).eval()
    x = generator.sample(noise_of(generator, 50), torch.randn(50, conditions))
    assert x.shape == (50, features)
    assert torch.isfinite(x).all()


@every_family
def test_an_event_depends_on_its_own_noise_and_condition_only(family: str) -> None:
    generator = build(family, 5, 2).eval()
    noise, condition = noise_of(generator, 20), torch.randn(20, 2)
    alone = generator.sample({name: array[3:4] for name, array in noise.items()}, condition[3:4])
    torch.testing.assert_close(generator.sample(noise, condition)[3:4], alone, rtol=1e-5, atol=1e-5)


@every_family
@pytest.mark.parametrize("observables", [0, 2])
def test_every_objective_gives_finite_gradients_to_its_parameters(family: str, observables: int) -> None:
    generator = build(family, 4, 1, observables).train()
    batch = StageBatch(torch.randn(30, 4), torch.randn(30, 1), observe=lambda x: x[:, :observables].square())
    for objective in generator.objectives():
        loss = objective.loss(batch, draw(stream(1, 2), objective.noise, 30))
        assert loss.shape in {(), (30,)}
        generator.zero_grad()
        torch.autograd.backward(loss.mean(), inputs=objective.parameters)
        grads = [parameter.grad for parameter in objective.parameters]
        assert all(grad is not None and torch.isfinite(grad).all() for grad in grads)
        assert any(grad is not None and grad.abs().sum() > 0 for grad in grads)


@every_family
def test_everything_is_computed_where_the_tensors_are(family: str) -> None:
    """On torch's device without memory, which refuses a tensor of any other: what a GPU would refuse too."""
    generator = build(family, 4, 1, 2).train().to("meta")
    condition = torch.empty(30, 1, device="meta")
    batch = StageBatch(torch.empty(30, 4, device="meta"), condition, observe=lambda x: x[:, :2].square())

    def moved(specs: tuple[NoiseSpec, ...]) -> dict[str, torch.Tensor]:
        return {name: array.to("meta") for name, array in draw(stream(1, 2), specs, 30).items()}

    for objective in generator.objectives():
        objective.loss(batch, moved(objective.noise)).mean().backward(inputs=objective.parameters)
        assert all(one.grad is not None and one.grad.device.type == "meta" for one in objective.parameters)
    with torch.inference_mode():
        assert generator.eval().sample(moved(generator.noise_spec()), condition).device.type == "meta"


@every_family
def test_sampling_needs_only_the_sampling_parameters(family: str) -> None:
    generator = build(family, 4, 1).eval()
    noise, condition = noise_of(generator, 9), torch.randn(9, 1)
    before = generator.sample(noise, condition).detach()
    kept = {name: value for name, value in generator.state_dict().items() if name in generator.sampling_parameters()}
    other = build(family, 4, 1).eval()
    for parameter in other.parameters():
        torch.nn.init.zeros_(parameter)
    other.load_state_dict(kept, strict=False)
    assert torch.equal(other.sample(noise, condition), before)


@every_family
def test_extreme_features_give_no_nan_in_loss_or_gradient(family: str) -> None:
    generator = build(family, 3, 1).train()
    x = torch.tensor([[1e4, -1e4, 0.0], [6.0, -6.0, 5.999999], [0.0, 1e-30, -1e-30]])
    for objective in generator.objectives():
        loss = objective.loss(StageBatch(x, torch.zeros(3, 1)), draw(stream(1, 2), objective.noise, 3)).mean()
        generator.zero_grad()
        torch.autograd.backward(loss, inputs=objective.parameters)
        assert torch.isfinite(loss)
        assert all(p.grad is not None and torch.isfinite(p.grad).all() for p in objective.parameters)


def has_likelihood(family: str) -> bool:
    module, _, name = FAMILIES[family].path.partition(":")
    return getattr(importlib.import_module(module), name).log_prob is not Generator.log_prob


@pytest.mark.parametrize("family", [name for name in sorted(FAMILIES) if has_likelihood(name)])
@every_shape
def test_the_density_of_a_likelihood_family_is_that_of_its_samples(family: str, features: int, conditions: int) -> None:
    generator = build(family, features, conditions).double().eval()
    condition = torch.randn(6, conditions, dtype=torch.float64)
    z = noise_of(generator, 6)["z"].double()
    x = generator.sample({"z": z}, condition)
    base = -0.5 * (z * z).sum(1) - 0.5 * features * torch.log(torch.tensor(2 * torch.pi, dtype=torch.float64))
    for event in range(6):
        jacobian = torch.autograd.functional.jacobian(  # type: ignore[no-untyped-call]
            lambda one, c=condition[event : event + 1]: generator.sample({"z": one[None]}, c)[0], z[event]
        )
        expected = base[event] - torch.linalg.slogdet(jacobian).logabsdet
        torch.testing.assert_close(
            generator.log_prob(x[event : event + 1], condition[event : event + 1])[0], expected, rtol=1e-5, atol=1e-4
        )
