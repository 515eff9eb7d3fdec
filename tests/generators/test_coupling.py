"""What is the coupling flow's own, beyond the contract of all families: clouds as vectors with empty places."""

from __future__ import annotations

import math

import pytest
import torch

from hepgen.config.families import CouplingOptions
from hepgen.errors import ConfigError, ModelError
from hepgen.generators.coupling import MOST_POINTS, CouplingFlow

OPTIONS = CouplingOptions(layers=4, hidden=[16], bins=5)


def flow_of(points: int) -> CouplingFlow:
    torch.manual_seed(5)
    flow = CouplingFlow(2, 1, OPTIONS, points=points).double().eval()
    for parameter in flow.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    return flow


def test_the_density_of_a_cloud_is_that_of_the_constituents_that_there_are() -> None:
    """Against the Jacobian of the map of those of an event alone."""
    flow = flow_of(4)
    condition = torch.randn(3, 1, dtype=torch.float64)
    mask = torch.arange(4) < torch.tensor([[2], [4], [0]])
    z = torch.randn(3, 8, dtype=torch.float64)
    density = flow.log_prob(flow.sample({"z": z}, condition, mask), condition, mask)
    assert density[2] == 0.0
    for event, count in enumerate((2, 4)):

        def made(some: torch.Tensor, event: int = event, count: int = count) -> torch.Tensor:
            places = torch.cat([some, z[event, 2 * count :]])[None]
            one = slice(event, event + 1)
            return flow.sample({"z": places}, condition[one], mask[one])[0, :count].flatten()

        some = z[event, : 2 * count]
        jacobian = torch.autograd.functional.jacobian(made, some)  # type: ignore[no-untyped-call]
        base = -0.5 * (some.square() + math.log(2 * math.pi)).sum()
        torch.testing.assert_close(density[event], base - torch.linalg.slogdet(jacobian).logabsdet)


def test_what_stands_in_the_padding_changes_no_density() -> None:
    flow = flow_of(4)
    mask = torch.arange(4) < torch.tensor([[2], [3]])
    x, condition = torch.randn(2, 4, 2, dtype=torch.float64), torch.zeros(2, 1, dtype=torch.float64)
    other = x.masked_fill(~mask.unsqueeze(2), float("nan"))
    assert torch.equal(flow.log_prob(x, condition, mask), flow.log_prob(other, condition, mask))
    short = flow.log_prob(x[:, :3], condition, mask[:, :3])
    torch.testing.assert_close(short, flow.log_prob(x, condition, mask))


def test_more_constituents_than_the_flow_has_places_for_are_refused() -> None:
    noise = {"z": torch.zeros(1, 8, dtype=torch.float64)}
    condition = torch.zeros(1, 1, dtype=torch.float64)
    with pytest.raises(ModelError, match="an event of 5 constituents is asked for, the flow has places for 4"):
        flow_of(4).sample(noise, condition, torch.ones(1, 5, dtype=torch.bool))
    wide = torch.tensor([[True, False, False, False, False]])
    assert flow_of(4).sample(noise, condition, wide).shape == (1, 5, 2)


def test_clouds_that_are_too_large_for_a_flow_are_refused_with_the_key_that_limits_them() -> None:
    with pytest.raises(ConfigError, match="max_constituents"):
        CouplingFlow(3, 0, OPTIONS, points=MOST_POINTS + 1)
