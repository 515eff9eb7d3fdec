"""Residual perceptrons without gradients are one compiled function: it gives what the layers give."""

import copy

import pytest
import torch
from threads import made_by

from hepgen.generators.networks.residual import ResidualMLP


@pytest.mark.parametrize("events", [0, 1, 55, 56, 57, 400])
@pytest.mark.parametrize("sizes", [(3, 2, 4, 2, 32), (1, 1, 1, 0, 40), (6, 17, 6, 3, 128), (40, 3, 45, 1, 20)], ids=str)
def test_the_compiled_network_gives_what_its_layers_give(events: int, sizes: tuple[int, ...]) -> None:
    inputs, conditions, outputs, layers, hidden = sizes
    torch.manual_seed(1)
    network = ResidualMLP(inputs, conditions, outputs, layers=layers, hidden=hidden)
    x, given = 3 * torch.randn(events, inputs), torch.randn(events, conditions)
    before = x.clone()
    expected = network(x, given).detach()
    with torch.inference_mode():
        made = network(x, given)
        torch.testing.assert_close(made, expected, rtol=1e-5, atol=2e-6)
        assert torch.equal(x, before)
        if events > 1:  # an event does not depend on the others
            assert torch.equal(network(x[1:], given[1:]), made[1:])


def test_weights_that_change_and_inputs_that_are_not_finite() -> None:
    network = ResidualMLP(2, 1, 2, layers=1, hidden=16)
    x, given = torch.tensor([[float("nan"), 0.0], [1.0, 2.0]]), torch.ones(2, 1)
    with torch.inference_mode():
        first = network(x, given)
    assert first[0].isnan().all()
    assert first[1].isfinite().all()
    other = copy.deepcopy(network)
    with torch.no_grad():
        other.end.bias.add_(1.0)
    with torch.inference_mode():
        torch.testing.assert_close(other(x, given)[1], first[1] + 1)
        assert torch.equal(network(x, given)[1], first[1])


def test_threads_share_the_work_and_change_nothing() -> None:
    network = ResidualMLP(3, 2, 3, layers=2, hidden=64)
    x, given = torch.randn(3000, 3), torch.randn(3000, 2)
    assert torch.equal(*(made_by(threads, network, x, given) for threads in (1, 3)))
