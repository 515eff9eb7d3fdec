"""What every registered family that makes clouds must do, beyond what it does with vectors."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from test_contract import CLOUDS, POINTS, build, noise_of

from hepgen.config.families import FAMILIES
from hepgen.generators.base import Generator, NoiseSpec, StageBatch
from hepgen.training.seeds import draw, stream

LENGTHS = torch.tensor([3, 7, 1, 0, 5, 7, 2, 4, 1, 6, 3, 0])
EVENTS, FEATURES, CONDITIONS = len(LENGTHS), 3, 2


def words(one: Any) -> str:
    return one if isinstance(one, str) else "-".join(map(str, one.values()))


every_cloud = pytest.mark.parametrize(
    ("family", "options"),
    [(family, options) for family in sorted(CLOUDS) for options in CLOUDS[family]],
    ids=words,
)

# A coupling flow has a place for each constituent.
every_cloud_without_order = pytest.mark.parametrize(
    ("family", "options"),
    [(family, options) for family in sorted(CLOUDS) if family != "coupling" for options in CLOUDS[family]],
    ids=words,
)


def cloud(family: str, options: dict[str, Any], conditions: int = CONDITIONS) -> Generator:
    return build(family, FEATURES, conditions, points=POINTS, **options).eval()


def masked(width: int = POINTS) -> torch.Tensor:
    return torch.arange(width) < LENGTHS[:, None]


def made(
    generator: Generator, noise: dict[str, torch.Tensor], condition: torch.Tensor, mask: torch.Tensor
) -> torch.Tensor:
    with torch.inference_mode():
        return generator.sample(noise, condition, mask)


def rows_of(noise: dict[str, torch.Tensor], rows: slice) -> dict[str, torch.Tensor]:
    return {name: array[rows] for name, array in noise.items()}


def close(one: torch.Tensor, other: torch.Tensor) -> None:
    torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-4 * float(other.abs().max()))


def test_every_family_that_makes_clouds_is_tested() -> None:
    assert {name for name, family in FAMILIES.items() if family.clouds} == set(CLOUDS)


@every_cloud
@pytest.mark.parametrize("conditions", [0, CONDITIONS])
def test_clouds_are_finite_and_padding_is_0(family: str, options: dict[str, Any], conditions: int) -> None:
    generator, mask = cloud(family, options, conditions), masked()
    x = made(generator, noise_of(generator, EVENTS, POINTS), torch.randn(EVENTS, conditions), mask)
    assert x.shape == (EVENTS, POINTS, FEATURES)
    assert torch.isfinite(x).all()
    assert (x[~mask] == 0).all()
    assert (x[mask] != 0).all()


@every_cloud
def test_only_empty_clouds_are_all_padding(family: str, options: dict[str, Any]) -> None:
    generator, mask = cloud(family, options), torch.zeros(EVENTS, POINTS, dtype=torch.bool)
    assert (made(generator, noise_of(generator, EVENTS, POINTS), torch.randn(EVENTS, CONDITIONS), mask) == 0).all()


@every_cloud_without_order
def test_constituents_are_in_no_order(family: str, options: dict[str, Any]) -> None:
    generator, mask = cloud(family, options), masked()
    noise, condition = noise_of(generator, EVENTS, POINTS), torch.randn(EVENTS, CONDITIONS)
    order = torch.stack([torch.cat([torch.randperm(int(n)), torch.arange(int(n), POINTS)]) for n in LENGTHS])
    of_points = {spec.name for spec in generator.noise_spec() if spec.points}
    assert of_points
    rows = torch.arange(EVENTS)[:, None]
    moved = {name: array[rows, order] if name in of_points else array for name, array in noise.items()}
    close(made(generator, moved, condition, mask), made(generator, noise, condition, mask)[rows, order])


@every_cloud
def test_a_cloud_does_not_depend_on_how_far_it_is_padded(family: str, options: dict[str, Any]) -> None:
    generator, condition = cloud(family, options), torch.randn(EVENTS, CONDITIONS)
    short, wide = (
        made(generator, noise_of(generator, EVENTS, width), condition, masked(width)) for width in (POINTS, POINTS + 5)
    )
    close(wide[:, :POINTS], short)
    assert (wide[:, POINTS:] == 0).all()


@every_cloud
def test_a_cloud_depends_on_its_own_noise_and_condition_only(family: str, options: dict[str, Any]) -> None:
    generator, mask = cloud(family, options), masked()
    noise, condition = noise_of(generator, EVENTS, POINTS), torch.randn(EVENTS, CONDITIONS)
    together = made(generator, noise, condition, mask)
    for event in range(EVENTS):
        row = slice(event, event + 1)
        close(made(generator, rows_of(noise, row), condition[row], mask[row]), together[row])


@every_cloud_without_order
def test_constituents_depend_on_each_other_and_on_the_condition(family: str, options: dict[str, Any]) -> None:
    generator, mask = cloud(family, options), torch.ones(1, POINTS, dtype=torch.bool)
    noise, condition = noise_of(generator, 1, POINTS), torch.randn(1, CONDITIONS)
    before = made(generator, noise, condition, mask)
    assert (made(generator, noise, condition + 1, mask) != before).all()
    for spec in generator.noise_spec():
        if spec.points:
            noise[spec.name][0, 0] += 1
    assert (made(generator, noise, condition, mask)[0, 1:] != before[0, 1:]).all()


@every_cloud
def test_sampling_with_gradients_gives_the_same_clouds(family: str, options: dict[str, Any]) -> None:
    generator, mask = cloud(family, options), masked()
    noise, condition = noise_of(generator, EVENTS, POINTS), torch.randn(EVENTS, CONDITIONS)
    kept = {name: array.clone() for name, array in noise.items()}
    close(made(generator, noise, condition, mask), generator.sample(noise, condition, mask).detach())
    assert all(torch.equal(noise[name], array) for name, array in kept.items())


@every_cloud
def test_every_objective_trains_its_parameters_and_is_blind_to_padding(family: str, options: dict[str, Any]) -> None:
    generator, condition = cloud(family, options).train(), torch.randn(EVENTS, CONDITIONS)
    x = torch.randn(EVENTS, POINTS + 5, FEATURES)
    for objective in generator.objectives():
        losses = []
        for width, padding in ((POINTS, 0.0), (POINTS + 5, 3.0)):
            mask = masked(width)
            batch = StageBatch(torch.where(mask.unsqueeze(2), x[:, :width], padding), condition, mask=mask)
            losses.append(objective.loss(batch, noise_of_objective(objective.noise, width)))
        assert losses[0].shape in {(), (EVENTS,)}
        close(losses[1].detach(), losses[0].detach())
        generator.zero_grad()
        torch.autograd.backward(losses[0].mean(), inputs=objective.parameters)
        grads = [parameter.grad for parameter in objective.parameters]
        assert all(grad is not None and torch.isfinite(grad).all() for grad in grads)
        # a constant that a critic adds to all events alike changes no Wasserstein loss
        assert sum(grad is not None and bool(grad.abs().sum() > 0) for grad in grads) > 0.8 * len(grads)


def noise_of_objective(specs: tuple[NoiseSpec, ...], width: int) -> dict[str, torch.Tensor]:
    """Noise that is the same whatever the width: what is of events in streams of its own."""
    parts = [draw(stream(1, number), [spec], EVENTS, width) for number, spec in enumerate(specs)]
    return {name: array for part in parts for name, array in part.items()}


@every_cloud
def test_clouds_are_computed_where_the_tensors_are(family: str, options: dict[str, Any]) -> None:
    generator = cloud(family, options).train().to("meta")
    condition, mask = torch.empty(EVENTS, CONDITIONS, device="meta"), masked().to("meta")
    batch = StageBatch(torch.empty(EVENTS, POINTS, FEATURES, device="meta"), condition, mask=mask)

    def moved(specs: tuple[NoiseSpec, ...]) -> dict[str, torch.Tensor]:
        return {name: array.to("meta") for name, array in draw(stream(1, 2), specs, EVENTS, POINTS).items()}

    for objective in generator.objectives():
        objective.loss(batch, moved(objective.noise)).mean().backward(inputs=objective.parameters)
        assert all(one.grad is not None and one.grad.device.type == "meta" for one in objective.parameters)
    assert made(generator.eval(), moved(generator.noise_spec()), condition, mask).device.type == "meta"


@every_cloud
def test_one_cloud_of_one_constituent_trains_and_samples(family: str, options: dict[str, Any]) -> None:
    generator, mask = cloud(family, options), torch.ones(1, 1, dtype=torch.bool)
    batch = StageBatch(torch.randn(1, 1, FEATURES), torch.zeros(1, CONDITIONS), mask=mask)
    for objective in generator.train().objectives():
        assert torch.isfinite(objective.loss(batch, draw(stream(2), objective.noise, 1, 1))).all()
    assert torch.isfinite(made(generator.eval(), noise_of(generator, 1, 1), batch.condition, mask)).all()
