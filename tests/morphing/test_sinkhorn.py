"""The map of CURTAINs on laws whose optimal map is known."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from fitting import fit_method
from hypothesis import given, settings
from hypothesis import strategies as st
from laws import distance, moved_by, normal_sample, optimal_map, some_law
from torch import Tensor

from hepgen.config.morph_options import SinkhornOptions
from hepgen.errors import InputFileError, UsageError
from hepgen.generators.base import StageBatch
from hepgen.generators.coupling_layers import SplineCoupling
from hepgen.morphing.sinkhorn import SinkhornMap

NOTHING: dict[str, Tensor] = {}


def method_of(features: int, conditions: int = 0, **options: Any) -> SinkhornMap:
    torch.manual_seed(3)
    small = {"top": {"layers": 4, "hidden": [16], "bins": 6, "dropout": 0.0}}
    return SinkhornMap(features, conditions, SinkhornOptions.model_validate(small | options))


def sample_of(x: Tensor, condition: Tensor | None = None, weight: Tensor | None = None) -> StageBatch:
    return StageBatch(x, x[:, :0] if condition is None else condition, weight)


def moved(method: SinkhornMap, x: Tensor, condition: Tensor | None = None, wanted: Tensor | None = None) -> Tensor:
    condition = x[:, :0] if condition is None else condition
    with torch.no_grad():
        return method(x, condition, condition if wanted is None else wanted, NOTHING)


@pytest.mark.parametrize(("features", "two_way"), [(1, False), (2, True)])
def test_one_normal_goes_to_another_with_little_more_movement_than_must_be(features: int, two_way: bool) -> None:
    source, target = some_law(features, 11), some_law(features, 12)
    method = method_of(features, two_way=two_way)
    samples = [sample_of(normal_sample(*law, 10_000, seed)) for seed, law in enumerate((source, target), start=1)]
    fit_method(method, samples[0], samples[1], 80, size=64, rate=1e-2)
    x, true = normal_sample(*source, 5000, 3), normal_sample(*target, 5000, 4)
    best, made = optimal_map(x, source, target), moved(method, x)
    assert distance(x, true) > 0.1
    assert distance(made, true) < 0.02
    assert 0.85 < moved_by(x, made) / moved_by(x, best) < 1.1


def test_a_sample_is_moved_from_one_condition_to_another() -> None:
    """Both sides are one sample, the two side-bands: the mean moves with the condition."""
    random = torch.Generator().manual_seed(5)
    c = torch.rand(10_000, 1, generator=random) * 2 - 1
    x = 0.4 * torch.randn(10_000, 1, generator=random) + c
    method = method_of(1, 1, condition="delta")
    fit_method(method, sample_of(x, c), sample_of(x, c), 60, size=64, rate=1e-2)
    here, there = torch.full((2000, 1), -0.5), torch.full((2000, 1), 0.5)
    start = here + 0.4 * torch.randn(2000, 1, generator=random)
    made = moved(method, start, here, there)
    assert (made - start).mean().item() == pytest.approx(1.0, abs=0.15)
    assert made.std().item() == pytest.approx(0.4, abs=0.1)
    assert (moved(method, start, here) - start).mean().item() == pytest.approx(0.0, abs=0.15)


def test_a_condition_that_is_kept_chooses_the_map() -> None:
    random = torch.Generator().manual_seed(6)
    x, noise = (torch.randn(10_000, 1, generator=random) for _ in range(2))
    c, d = (torch.rand(10_000, 1, generator=random) * 2 - 1 for _ in range(2))
    method = method_of(1, 1)
    fit_method(method, sample_of(0.3 * x, c), sample_of(0.3 * noise + d, d), 60, size=64, rate=1e-2)
    for at in (-0.6, 0.6):
        made = moved(method, 0.3 * x, torch.full((10_000, 1), at))
        assert made.mean().item() == pytest.approx(at, abs=0.15)
    with pytest.raises(UsageError, match="condition: same"):
        method(x[:5], torch.zeros(5, 1), torch.ones(5, 1), NOTHING)


def test_weights_count_and_may_not_be_negative() -> None:
    random = torch.Generator().manual_seed(7)
    x = torch.randn(5000, 1, generator=random)
    y = torch.cat([torch.randn(2500, 1, generator=random) - 2, torch.randn(2500, 1, generator=random) + 1])
    weight = torch.cat([torch.full((2500,), 0.01), torch.full((2500,), 1.99)])
    method = method_of(1)
    fit_method(method, sample_of(x), sample_of(y, None, weight), 60, size=64, rate=1e-2)
    assert moved(method, x).mean().item() == pytest.approx(1.0, abs=0.15)
    batch = sample_of(y, None, torch.where(y[:, 0] > 0, 1.0, -1.0))
    batch.source = sample_of(x, None, torch.zeros(5000))
    with pytest.raises(InputFileError, match="a weight of -1"):
        fit_method(method, sample_of(x), batch, 1)
    delta = method_of(1, 1, condition="delta")  # where the weights of both samples are multiplied
    both = sample_of(y, torch.zeros(5000, 1), batch.weight)
    with pytest.raises(InputFileError, match="a weight of -1"):
        fit_method(delta, both, both, 1)


@settings(deadline=None, max_examples=15)
@given(seed=st.integers(0, 1000), condition=st.sampled_from(["same", "delta", "concatenated"]))
def test_the_inverse_leads_back(seed: int, condition: str) -> None:
    torch.manual_seed(seed)
    method = method_of(3, 1, condition=condition).double()
    for module in method.modules():
        if isinstance(module, SplineCoupling):
            module.randomise()
    x, here = 2 * torch.randn(64, 3, dtype=torch.float64), torch.randn(64, 1, dtype=torch.float64)
    there = here if condition == "same" else torch.randn(64, 1, dtype=torch.float64)
    y = method(x, here, there, NOTHING)
    assert (y - x).abs().max() > 1e-3
    torch.testing.assert_close(method.inverse(y, there, here, NOTHING), x, atol=1e-6, rtol=0)


def test_a_map_of_another_size_has_no_dropout_either() -> None:
    assert SinkhornOptions.model_validate({"top": {"layers": 4}}).top.dropout == SinkhornOptions().top.dropout == 0.0
