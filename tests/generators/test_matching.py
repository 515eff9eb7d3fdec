"""What is the own of flow matching and of average velocities, beyond the contract of all families."""

from __future__ import annotations

from functools import cache
from typing import Any

import pytest
import torch
from pydantic import ValidationError

from hepgen.config.families import MatchingOptions, MeanFlowOptions
from hepgen.generators.base import Generator, StageBatch
from hepgen.generators.matching import FlowMatching, event_loss, stratified, trained_times
from hepgen.generators.mean_flow import MeanFlow
from hepgen.training.seeds import draw, stream

STEPS, EVENTS = 400, 2000
RATE = 3e-3


def ring(events: int, seed: int) -> torch.Tensor:
    """Eight Gaussians on a circle, (events, 2)."""
    random = torch.Generator().manual_seed(seed)
    angle = torch.randint(0, 8, (events,), generator=random) * torch.pi / 4
    centre = torch.stack([angle.cos(), angle.sin()], 1)
    return 1.4 * centre + 0.1 * torch.randn(events, 2, generator=random)


def distance(made: torch.Tensor, true: torch.Tensor) -> float:
    """Sliced Wasserstein distance."""
    angle = torch.arange(16) * torch.pi / 16
    slices = torch.stack([angle.cos(), angle.sin()])
    return float(((made @ slices).sort(0).values - (true @ slices).sort(0).values).abs().mean())


def trained(generator: Generator) -> Generator:
    (objective,) = generator.objectives()
    optimizer = torch.optim.Adam(objective.parameters, RATE)
    for step in range(STEPS):
        optimizer.param_groups[0]["lr"] = RATE * (1 - step / STEPS)
        batch = StageBatch(ring(200, step), torch.zeros(200, 0))
        optimizer.zero_grad()
        objective.loss(batch, draw(stream(1, step), objective.noise, 200)).mean().backward()
        optimizer.step()
    return generator.eval()


@cache
def flow() -> FlowMatching:
    torch.manual_seed(0)
    made = trained(FlowMatching(2, 0, MatchingOptions(layers=2, hidden=48)))
    assert isinstance(made, FlowMatching)
    return made


def judged(generator: Any, **options: Any) -> float:
    generator.options = generator.options.model_copy(update=options)
    x0 = torch.randn(EVENTS, 2, generator=torch.Generator().manual_seed(8))
    with torch.inference_mode():
        return distance(generator.sample({"x0": x0}, torch.zeros(EVENTS, 0)), ring(EVENTS, 10_000))


def test_a_flow_makes_the_law_that_it_learnt() -> None:
    assert judged(flow(), solver="midpoint", steps=20) < 0.2
    assert judged(flow(), solver="heun", steps=20) < 0.2


def test_one_step_of_an_average_velocity_beats_one_of_a_velocity() -> None:
    torch.manual_seed(0)
    average = trained(MeanFlow(2, 0, MeanFlowOptions(layers=2, hidden=48)))
    euler = judged(flow(), solver="euler", steps=1)
    assert euler > 0.6
    assert judged(average, steps=1) < 0.3 * euler
    assert judged(average, steps=4) < 0.3 * euler


def test_two_evaluations_a_step_follow_the_flow_better_than_one() -> None:
    x0 = {"x0": torch.randn(300, 2, generator=torch.Generator().manual_seed(8))}

    def made(solver: str, steps: int) -> torch.Tensor:
        flow().options = flow().options.model_copy(update={"solver": solver, "steps": steps})
        with torch.inference_mode():
            return flow().sample(x0, torch.zeros(300, 0))

    exact = made("midpoint", 200)
    error = {name: float((made(name, steps) - exact).norm()) for name, steps in (("euler", 40), ("midpoint", 20))}
    assert error["midpoint"] < 0.5 * error["euler"]
    assert float((made("heun", 20) - exact).norm()) < 0.5 * error["euler"]


@pytest.mark.parametrize(("solver", "evaluations"), [("euler", 5), ("midpoint", 10), ("heun", 10)])
def test_the_evaluations_are_those_that_are_stated(solver: Any, evaluations: int) -> None:
    generator = FlowMatching(2, 0, MatchingOptions(layers=1, hidden=4, solver=solver, steps=5))
    calls = []
    generator.velocity.register_forward_hook(lambda *_: calls.append(1))
    generator.sample({"x0": torch.zeros(3, 2)}, torch.zeros(3, 0))
    assert len(calls) == evaluations == generator.evaluations


def test_the_derivative_along_the_path_is_that_of_differences() -> None:
    """The error of the average velocity, from a network whose average velocity is known, is 0."""
    flow = MeanFlow(1, 0, MeanFlowOptions(layers=1, hidden=4, pieces=1.0, loss="squared"))
    # From noise to the point 2 the velocity is (2 - x) / (1 - t) on every path, and so is its average over any piece.
    del flow.velocity
    flow.velocity = lambda x, times, *_: (2 - x) / (1 - times[:, :1])  # type: ignore[assignment]
    noise = {"x0": torch.randn(50, 1), "times": 0.9 * torch.rand(50, 5)}
    loss = flow._loss(StageBatch(torch.full((50, 1), 2.0), torch.zeros(50, 0)), noise)
    torch.testing.assert_close(loss, torch.zeros(50), atol=1e-4, rtol=0)


def test_a_jet_counts_once_however_long_it_is() -> None:
    mask = torch.tensor([[True, False], [True, True]])
    error = torch.tensor([[[2.0], [99.0]], [[2.0], [2.0]]])
    assert event_loss(error, mask, "squared").tolist() == [4.0, 4.0]
    assert (event_loss(error, mask, "huber") < 2.0).all()


def test_times_cover_the_unit_interval_evenly_in_an_order_of_their_own() -> None:
    draws = torch.rand(100, 2, generator=torch.Generator().manual_seed(1))
    times = stratified(draws)
    assert sorted((times * 100).long().tolist()) == list(range(100))
    assert abs(float(torch.corrcoef(torch.stack([times, torch.arange(100.0)]))[0, 1])) < 0.3
    normal = trained_times(draws, "logit-normal")
    assert float(normal.std()) < float(times.std())
    assert bool(((normal >= 0) & (normal <= 1)).all())


def test_heads_must_divide_the_width() -> None:
    with pytest.raises(ValidationError, match="cannot be divided among 7 heads"):
        MatchingOptions(network="transformer", hidden=16, heads=7)


def _switches(events: int, seed: int) -> torch.Tensor:
    """60 independent numbers that are mostly near -1 and one time in ten near 1, (events, 60)."""
    random = torch.Generator().manual_seed(seed)
    on = torch.rand(events, 60, generator=random) < 0.1
    return torch.where(on, 1.0, -1.0) + 0.1 * torch.randn(events, 60, generator=random)


def test_a_perceptron_of_each_feature_makes_more_decisions_than_a_narrow_network() -> None:
    """16 units cannot hold 60 switches: without a look at each, numbers end up in between."""
    between = {}
    for width in (0, 16):
        torch.manual_seed(1)
        options = MatchingOptions(layers=1, hidden=16, steps=10, frequencies=4, per_feature=width)
        generator = FlowMatching(60, 0, options)
        (objective,) = generator.objectives()
        optimizer = torch.optim.Adam(objective.parameters, 5e-3)
        for step in range(STEPS):
            batch = StageBatch(_switches(128, step), torch.zeros(128, 0))
            optimizer.zero_grad()
            objective.loss(batch, draw(stream(1, step), objective.noise, 128)).mean().backward()
            optimizer.step()
        with torch.inference_mode():
            made = generator.eval().sample(draw(stream(2, 0), generator.noise_spec(), 500), torch.zeros(500, 0))
        between[width] = float((made.abs() < 0.5).float().mean())
        assert made.shape == (500, 60)
    assert between[16] < 0.3 * between[0]
