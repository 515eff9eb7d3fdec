"""EPiC layers without gradients are compiled passes beside products: they give what the plain layers give."""

import copy

import pytest
import torch
from threads import made_by

from hepgen.generators.networks.epic import EpicNetwork
from hepgen.generators.networks.packing import frozen


def cloud(events: int, points: int, seed: int = 1) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    random = torch.Generator().manual_seed(seed)
    mask = torch.rand(events, points, generator=random) < 0.7  # padding anywhere
    mask[0] = False
    return torch.randn(events, points, 3, generator=random), torch.randn(events, 4, generator=random), mask


@pytest.mark.parametrize("events", [1, 4, 5, 70])
@pytest.mark.parametrize(
    "options",
    [{}, {"every_layer": True}, {"normalised": True, "sum_scale": 0.1}, {"hidden": 40, "latent": 33}],
    ids=str,
)
@pytest.mark.parametrize("masked", [True, False])
def test_compiled_layers_give_what_plain_ones_give(events: int, options: dict[str, object], masked: bool) -> None:
    torch.manual_seed(2)
    network = EpicNetwork(3, 4, 2, **{"layers": 3, "hidden": 32, "latent": 6, **options})
    x, condition, mask = cloud(events, 70)
    before = x.clone()
    there = mask if masked else None
    expected = network(x, condition, there).detach()
    with torch.inference_mode():
        made = network(x, condition, there)
    torch.testing.assert_close(made, expected, rtol=1e-5, atol=1e-5 * float(expected.abs().max() + 1))
    torch.testing.assert_close(x, before, rtol=0, atol=0)


def test_weights_that_change_are_those_that_are_used() -> None:
    network = EpicNetwork(3, 4, 2, layers=1, hidden=16)
    x, condition, _ = cloud(2, 5)
    with torch.inference_mode():
        first = network(x, condition)
    other = copy.deepcopy(network)
    for weight in other.parameters():
        with torch.no_grad():
            weight.mul_(1.5)
    with torch.inference_mode():
        assert not torch.allclose(other(x, condition), first)
        assert torch.equal(network(x, condition), first)


def test_weights_that_are_fixed_are_packed_once_and_copies_pack_their_own() -> None:
    network = frozen(EpicNetwork(3, 4, 2, layers=1, hidden=16))
    x, condition, _ = cloud(2, 5)
    other = copy.deepcopy(network)
    with torch.inference_mode():
        first = network(x, condition)
    packed = network.packing()
    with torch.no_grad():
        for one in (network, other):
            one.point_end.bias.add_(1.0)
    with torch.inference_mode():
        assert torch.equal(network(x, condition), first)  # nobody changes them, it was said
        torch.testing.assert_close(other(x, condition), first + 1)
    assert network.packing() is packed
    assert other.packing() is not packed


def test_an_event_by_itself_is_the_same_as_among_others() -> None:
    network = EpicNetwork(3, 4, 2, layers=2, hidden=40)
    x, condition, _ = cloud(3, 30)
    with torch.inference_mode():
        every = network(x, condition)
        # a view that is not contiguous, as of an event of a longer batch
        alone = network(x.transpose(0, 1).contiguous().transpose(0, 1)[1:2], condition[1:2])
    assert torch.equal(alone, every[1:2])


def test_weights_made_in_inference_mode_may_change() -> None:
    x, condition, _ = cloud(2, 5)
    with torch.inference_mode():
        network = EpicNetwork(3, 4, 2, layers=1, hidden=16)
        first = network(x, condition)
        network.point_end.bias.add_(1.0)
        torch.testing.assert_close(network(x, condition), first + 1)


def test_threads_share_the_work_and_change_nothing() -> None:
    network = EpicNetwork(3, 4, 2, layers=2, hidden=32)
    x, condition, mask = cloud(64, 64)
    assert torch.equal(*(made_by(threads, network, x, condition, mask) for threads in (1, 3)))
