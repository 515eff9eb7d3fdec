"""Numbers with their waves."""

from __future__ import annotations

import math

import torch

from hepgen.generators.networks.waves import with_waves


def test_waves_have_the_periods_that_they_say() -> None:
    x = torch.tensor([[0.3, -1.2]], dtype=torch.float64)
    seen = with_waves(x, 3)
    assert seen.shape == (1, 2 * 7)
    turned = with_waves(x + torch.tensor([[math.pi, math.pi / 2]], dtype=torch.float64), 3)
    same = torch.isclose(seen, turned)[0]
    # waves of 1, 2 and 4: half a turn brings back those of 2 and 4, a quarter that of 4
    assert same.tolist() == [False] * 2 + [False, True, True, False, False, True] * 2
    assert with_waves(x, 0) is x
