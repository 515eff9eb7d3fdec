"""Events that go to noise and come back as events of the target."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from fitting import fit_method
from optimal_normals import FIRST, SECOND, SHIFT, clump, events, movement, normal

from hepgen.config.morph_options import NoisingOptions
from hepgen.errors import UsageError
from hepgen.generators.base import StageBatch
from hepgen.morphing.noising import Noising


def _fitted(target: StageBatch, steps: int = 400, **options: Any) -> Noising:
    torch.manual_seed(0)
    settings = NoisingOptions(**{"layers": 2, "hidden": 32, "steps": 8, **options})
    morph = Noising(target.x.shape[1], target.condition.shape[1], settings)
    fit_method(morph, target, target, steps)
    return morph.requires_grad_(False)


def _noise(size: int, width: int = 2) -> dict[str, torch.Tensor]:
    return {"z": torch.randn(size, width, generator=torch.Generator().manual_seed(5))}


@pytest.fixture(scope="module")
def to_normal() -> Noising:
    return _fitted(normal(20_000, SECOND, SHIFT))


def _from(morph: Noising, side: StageBatch, start: float) -> torch.Tensor:
    morph.options = morph.options.model_copy(update={"start": start})
    return morph(side.x, side.condition, side.condition, _noise(len(side.x), side.x.shape[1]))


def test_pure_noise_gives_the_target_whatever_comes_in(to_normal: Noising) -> None:
    side = normal(5000, seed=2)
    moved = _from(to_normal, side, 1.0)
    np.testing.assert_allclose(moved.mean(0), SHIFT, atol=0.12)
    np.testing.assert_allclose(np.cov(moved.numpy().T), SECOND, atol=0.2)
    other = StageBatch(side.x + 7, side.condition)
    assert torch.equal(_from(to_normal, other, 1.0), moved)


def test_the_later_an_event_turns_back_the_more_of_it_is_lost(to_normal: Noising) -> None:
    side = normal(3000, seed=2)
    moved = {start: _from(to_normal, side, start) for start in (0.05, 0.4, 1.0)}
    lengths = [movement(side.x, one) for one in moved.values()]
    assert lengths == sorted(lengths)
    assert lengths[0] < 0.1
    # Halfway the correlation, +0.6 in the source and -0.3 in the target, is on its way.
    signs = [np.cov(one.numpy().T)[0, 1] for one in moved.values()]
    assert FIRST[0, 1] + 0.1 > signs[0] > signs[1] > signs[2]


def test_the_condition_asked_for_is_the_one_that_counts() -> None:
    random = np.random.default_rng(0)
    condition = random.normal(size=(20_000, 1))
    morph = _fitted(events(2 * condition + 0.5 * random.normal(size=(20_000, 1)), condition))
    x, wanted = torch.zeros(2000, 1), torch.full((2000, 1), 0.7)
    moved = morph(x, 0 * wanted, wanted, _noise(2000, 1))
    assert moved.mean().item() == pytest.approx(1.4, abs=0.15)
    assert moved.std().item() == pytest.approx(0.5, abs=0.15)


def test_negative_weights_cancel_what_they_should() -> None:
    # Were the weights positive, the means would be 0.42 and 0.55 higher.
    target = clump(normal(20_000, SECOND, SHIFT), 2000, 3.0, 1.0, -1.0)
    moved = _from(_fitted(target), normal(5000), 1.0)
    np.testing.assert_allclose(moved.mean(0), SHIFT, atol=0.25)


def test_there_is_no_way_back(to_normal: Noising) -> None:
    side = normal(3)
    with pytest.raises(UsageError, match="no inverse"):
        to_normal.inverse(side.x, side.condition, side.condition, _noise(3))


def test_what_was_trained_can_be_stored(to_normal: Noising) -> None:
    copy = Noising(2, 0, to_normal.options)
    copy.load(to_normal.state_dict())
    side = normal(10)
    assert torch.equal(_from(copy, side, 0.5), _from(to_normal, side, 0.5))
