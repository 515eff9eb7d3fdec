"""The quantile morph on laws whose map is known."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from hepgen.config.morph_options import QuantileOptions
from hepgen.errors import InputFileError
from hepgen.generators.base import StageBatch
from hepgen.morphing.quantile import QuantileMorph

NOTHING: dict[str, torch.Tensor] = {}


def _sample(size: int, scale: float, shift: float, seed: int, conditions: int = 0) -> StageBatch:
    random = torch.Generator().manual_seed(seed)
    x = scale * torch.randn(size, 2, generator=random) + shift
    return StageBatch(x, torch.rand(size, conditions, generator=random))


@cache
def _fitted(conditions: int = 0, **options: int) -> QuantileMorph:
    morph = QuantileMorph(2, conditions, QuantileOptions(**options))
    morph.fit(
        _sample(20_000, 1.0, 0.0, 0, conditions), _sample(20_000, 2.0, 1.0, 1, conditions), np.random.default_rng(0)
    )
    return morph


def test_one_normal_is_moved_onto_another() -> None:
    morph = _fitted()
    x = torch.tensor([[-1.0, 0.0], [0.5, 1.0]])
    moved = morph(x, x[:, :0], x[:, :0], NOTHING)
    torch.testing.assert_close(moved, 2 * x + 1, atol=0.1, rtol=0)


@given(seed=st.integers(0, 1000), conditions=st.integers(0, 1))
def test_the_inverse_leads_back(seed: int, conditions: int) -> None:
    morph = _fitted(conditions, bins=3)
    sample = _sample(200, 1.5, 0.3, seed, conditions)
    there = morph(sample.x, sample.condition, sample.condition, NOTHING)
    back = morph.inverse(there, sample.condition, sample.condition, NOTHING)
    torch.testing.assert_close(back, sample.x, atol=1e-3, rtol=1e-3)


def test_each_condition_has_a_map_of_its_own() -> None:
    source, target = _sample(40_000, 1.0, 0.0, 0, 1), _sample(40_000, 1.0, 0.0, 1, 1)
    target.x += 3 * target.condition
    morph = QuantileMorph(2, 1, QuantileOptions(bins=10))
    morph.fit(source, target, np.random.default_rng(0))
    x = torch.zeros(2, 2)
    condition = torch.tensor([[0.2], [0.8]])
    moved = morph(x, condition, condition, NOTHING)
    assert moved[0].tolist() == pytest.approx([0.6, 0.6], abs=0.12)
    assert moved[1].tolist() == pytest.approx([2.4, 2.4], abs=0.12)
    # The quantile of an event at its own condition, in the target at another one.
    elsewhere = morph(x, condition, condition.flip(0), NOTHING)
    assert elsewhere[0].tolist() == pytest.approx([2.4, 2.4], abs=0.12)


def test_weights_count_and_may_be_negative() -> None:
    source = _sample(30_000, 1.0, 0.0, 0)
    double = torch.cat([source.x, torch.full((3000, 2), 9.0), torch.full((3000, 2), 9.0)])
    weight = torch.cat([torch.ones(30_000), torch.ones(3000), -torch.ones(3000)])
    target = _sample(30_000, 1.0, 1.0, 2)
    morph = QuantileMorph(2, 0, QuantileOptions())
    morph.fit(StageBatch(double, double[:, :0], weight), target, np.random.default_rng(0))
    x = torch.tensor([[0.0, 0.0]])
    torch.testing.assert_close(morph(x, x[:, :0], x[:, :0], NOTHING), x + 1, atol=0.06, rtol=0)


def test_a_condition_that_one_side_does_not_have_is_refused() -> None:
    source, target = _sample(500, 1.0, 0.0, 0, 1), _sample(500, 1.0, 0.0, 1, 1)
    target.condition += 5
    with pytest.raises(InputFileError, match="only 0 events of the source"):
        QuantileMorph(2, 1, QuantileOptions(bins=4)).fit(source, target, np.random.default_rng(0))


def test_what_was_fitted_can_be_stored() -> None:
    morph = _fitted(1, bins=3)
    copy = QuantileMorph(2, 1, QuantileOptions(bins=3))
    copy.load(morph.state_dict())
    x, condition = torch.randn(10, 2), torch.rand(10, 1)
    assert torch.equal(morph(x, condition, condition, NOTHING), copy(x, condition, condition, NOTHING))
