from __future__ import annotations

import pytest
import torch

from hepgen.generators.networks.dropout import Dropout


@pytest.mark.parametrize("probability", [0.001, 0.05, 0.5, 0.9])
def test_the_share_that_is_dropped_and_the_mean_are_right(probability: float) -> None:
    torch.manual_seed(1)
    dropped = Dropout(probability)(torch.ones(999, 1001))
    size = dropped.numel()
    sigma = (probability * (1 - probability) / size) ** 0.5
    assert (dropped == 0).float().mean().item() == pytest.approx(probability, abs=5 * sigma + 2**-17)
    assert torch.unique(dropped).numel() == 2
    assert dropped.mean().item() == pytest.approx(1, abs=5 * sigma / (1 - probability))


def test_neighbours_are_dropped_independently() -> None:
    torch.manual_seed(2)
    kept = (Dropout(0.5)(torch.ones(400_000)) > 0).double() - 0.5
    for lag in range(1, 9):  # four numbers share one draw
        assert abs((kept[lag:] * kept[:-lag]).mean().item()) < 5 * 0.25 / kept.numel() ** 0.5


def test_gradients_pass_where_numbers_were_kept() -> None:
    x = torch.ones(3, 5, requires_grad=True)
    y = Dropout(0.4)(x)
    y.sum().backward()
    assert torch.equal(x.grad, y.detach())


def test_the_same_seed_drops_the_same() -> None:
    dropout, x = Dropout(0.3), torch.randn(7, 11)
    torch.manual_seed(3)
    first = dropout(x)
    torch.manual_seed(3)
    assert torch.equal(dropout(x), first)


def test_nothing_is_dropped_outside_training_or_without_a_probability() -> None:
    x = torch.randn(4, 4)
    assert Dropout(0.5).eval()(x) is x
    assert Dropout(0.0)(x) is x


def test_it_fades_in_quarters() -> None:
    torch.manual_seed(4)
    dropout, x = Dropout(0.8), torch.ones(100_000)
    for factor, share in ((1.0, 0.8), (0.7, 0.6), (0.5, 0.4), (0.2, 0.2), (0.1, 0.0)):
        dropout.fade(factor)
        dropped = dropout(x)
        assert (dropped == 0).float().mean().item() == pytest.approx(share, abs=0.01)
        assert dropped.mean().item() == pytest.approx(1, abs=0.03)


def test_an_empty_tensor_stays_empty() -> None:
    assert Dropout(0.5)(torch.ones(0, 3)).shape == (0, 3)
