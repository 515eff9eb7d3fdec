"""Flows for flows on laws whose optimal map is known, and what its options promise."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from fitting import fit_method
from hypothesis import given, settings
from hypothesis import strategies as st
from laws import distance, moved_by, normal_sample, optimal_map, some_law
from torch import Tensor

from hepgen.config.morph_options import FlowsForFlowsOptions
from hepgen.errors import UsageError
from hepgen.generators.base import StageBatch
from hepgen.generators.coupling_layers import SplineCoupling
from hepgen.morphing.flows_for_flows import FlowsForFlows

NOTHING: dict[str, Tensor] = {}
FLOW = {"layers": 4, "hidden": [16], "bins": 6, "dropout": 0.0}
SMALL = {"base": FLOW, "top": FLOW}


def method_of(features: int, conditions: int = 0, **options: Any) -> FlowsForFlows:
    torch.manual_seed(3)
    return FlowsForFlows(features, conditions, FlowsForFlowsOptions.model_validate(SMALL | options))


def sample_of(x: Tensor, condition: Tensor | None = None, weight: Tensor | None = None) -> StageBatch:
    return StageBatch(x, x[:, :0] if condition is None else condition, weight)


def moved(method: FlowsForFlows, x: Tensor, condition: Tensor | None = None, wanted: Tensor | None = None) -> Tensor:
    condition = x[:, :0] if condition is None else condition
    with torch.no_grad():
        return method(x, condition, condition if wanted is None else wanted, NOTHING)


@pytest.mark.parametrize("features", [1, 2, 6])
@pytest.mark.parametrize("condition", ["same", "delta", "concatenated"])
def test_it_begins_as_the_identity_and_can_leave_it(features: int, condition: str) -> None:
    method = method_of(features, 2, condition=condition)
    x, c = torch.randn(50, features), torch.randn(50, 2)
    torch.testing.assert_close(moved(method, x, c), x, atol=1e-5, rtol=0)
    batch = sample_of(x + 1, c)
    batch.source = sample_of(x, c)
    bases, objective = method.objectives()
    fit_method(method, sample_of(x, c), batch, 1)  # of bases and map
    assert (moved(method, x, c) - x).abs().max() > 1e-4
    assert {id(p) for p in bases.parameters}.isdisjoint({id(p) for p in objective.parameters})


def test_it_may_begin_elsewhere() -> None:
    x = torch.randn(50, 2)
    assert moved_by(x, moved(method_of(2, identity=False), x)) > 0.05


@pytest.mark.parametrize(("features", "variant"), [(2, "two_way"), (2, "unidirectional")])
def test_one_normal_goes_to_another_with_little_more_movement_than_must_be(features: int, variant: str) -> None:
    source, target = some_law(features, 11), some_law(features, 12)
    method = method_of(features, variant=variant)
    fit_method(
        method,
        sample_of(normal_sample(*source, 10_000, 1)),
        sample_of(normal_sample(*target, 10_000, 2)),
        150,
        rate=1e-2,
    )
    x, true = normal_sample(*source, 5000, 3), normal_sample(*target, 5000, 4)
    best, made = optimal_map(x, source, target), moved(method, x)
    assert distance(x, true) > 0.1
    assert distance(made, true) < 0.01
    assert 0.9 < moved_by(x, made) / moved_by(x, best) < 1.1


def test_densities_end_to_end_move_events_further() -> None:
    """Two samples of one law of four lumps: nothing has to move."""
    random = torch.Generator().manual_seed(8)
    corners = torch.randint(2, (12_000, 2), generator=random) * 2.0 - 1
    x, y = (0.9 * corners + 0.25 * torch.randn(12_000, 2, generator=random)).split(6000)
    movement = {}
    for variant in ("two_way", "base_transfer"):
        method = method_of(2, variant=variant)
        fit_method(method, sample_of(x), sample_of(y), 100, rate=1e-2)
        movement[variant] = moved_by(x, moved(method, x))
    assert movement["two_way"] < 0.7 * movement["base_transfer"]


def test_the_penalty_is_what_it_says() -> None:
    x, none = torch.randn(100, 3), torch.empty(100, 0)
    batch = sample_of(torch.randn(100, 3))
    batch.source = sample_of(x)
    losses = {}
    for penalty in ("none", "l1", "l2"):
        method = method_of(3, identity=False, penalty=penalty, penalty_weight=0.5)
        losses[penalty] = method.objectives()[1].loss(batch, NOTHING).item()
        for name, factor in (("late", 0.75), ("gone", 0.5)):
            method.anneal(factor)
            losses[f"{penalty}, {name}"] = method.objectives()[1].loss(batch, NOTHING).item()
        judged = method.eval().objectives()[1].loss(batch, NOTHING).item()
        assert judged == pytest.approx(losses["none"])
    with torch.no_grad():
        steps = [method(x, none, none, NOTHING) - x, method.inverse(batch.x, none, none, NOTHING) - batch.x]
    first = 0.5 * sum(step.abs().sum(1).mean().item() for step in steps)
    second = 0.5 * sum(step.square().sum(1).mean().item() for step in steps)
    assert first > 0.01
    assert losses["l1"] - losses["none"] == pytest.approx(first, rel=1e-2)
    assert losses["l2"] - losses["none"] == pytest.approx(second, rel=1e-2)
    assert losses["l2, late"] - losses["none"] == pytest.approx(0.5 * second, rel=1e-2)
    assert losses["l2, gone"] == pytest.approx(losses["none"])


def test_a_penalty_that_does_not_fade_holds_events_back() -> None:
    x, y = torch.randn(5000, 1), torch.randn(5000, 1) + 1
    method = method_of(1, penalty="l2", penalty_weight=0.5, penalty_fades=False)
    fit_method(method, sample_of(x), sample_of(y), 100, rate=1e-2)
    # A shift t of each direction costs (1 - t)^2 / 2 + t^2 / 2.
    assert moved(method, x).mean().item() == pytest.approx(0.5, abs=0.1)


def test_one_lump_becomes_four() -> None:
    from sklearn.ensemble import HistGradientBoostingClassifier
    from sklearn.metrics import roc_auc_score

    def told_apart(one: Tensor, two: Tensor) -> float:
        x, label = torch.cat([one, two]).numpy(), [0] * len(one) + [1] * len(two)
        trees = HistGradientBoostingClassifier(max_iter=40, random_state=0).fit(x[::2], label[::2])
        return float(roc_auc_score(label[1::2], trees.predict_proba(x[1::2])[:, 1]))

    random = torch.Generator().manual_seed(8)
    corners = torch.randint(2, (12_000, 2), generator=random) * 2.0 - 1
    target = 0.9 * corners + 0.25 * torch.randn(12_000, 2, generator=random)
    source = torch.randn(12_000, 2, generator=random)
    method = method_of(2)
    fit_method(method, sample_of(source[:8000]), sample_of(target[:8000]), 150, rate=1e-2)
    before, after = told_apart(source[8000:], target[8000:]), told_apart(moved(method, source[8000:]), target[8000:])
    assert before > 0.8
    assert after < 0.64


def rotated(x: Tensor, angle: Tensor) -> Tensor:
    cosine, sine = angle.cos(), angle.sin()
    return torch.cat([cosine * x[:, :1] - sine * x[:, 1:], sine * x[:, :1] + cosine * x[:, 1:]], dim=1)


def test_a_rotation_by_the_condition_is_learned() -> None:
    random = torch.Generator().manual_seed(4)
    x, y = (torch.randn(10_000, 2, generator=random) * torch.tensor([1.0, 0.3]) for _ in range(2))
    angles = [torch.rand(10_000, 1, generator=random) * 1.5 - 0.75 for _ in range(2)]
    method = method_of(2, 1)
    fit_method(method, sample_of(x, angles[0]), sample_of(rotated(y, angles[1]), angles[1]), 120, rate=1e-2)
    for angle in (-0.6, 0.0, 0.6):
        asked = torch.full((len(x), 1), angle)
        assert distance(moved(method, x, asked), rotated(y, asked)) < 0.02
    assert distance(x, rotated(y, torch.full((len(x), 1), 0.6))) > 0.05


@pytest.mark.parametrize("condition", ["delta", "concatenated"])
def test_a_sample_is_moved_from_one_condition_to_another(condition: str) -> None:
    """Both sides are one sample, as in arXiv:2305.04646: the mean moves with the condition."""
    random = torch.Generator().manual_seed(5)
    c = torch.rand(10_000, 1, generator=random) * 2 - 1
    x = 0.4 * torch.randn(10_000, 2, generator=random) + c * torch.tensor([1.0, -0.5])
    method = method_of(2, 1, condition=condition)
    fit_method(method, sample_of(x, c), sample_of(x, c), 120, rate=1e-2)
    here, there = torch.full((2000, 1), -0.5), torch.full((2000, 1), 0.5)
    start = 0.4 * torch.randn(2000, 2, generator=random) + here * torch.tensor([1.0, -0.5])
    made = moved(method, start, here, there)
    assert (made - start).mean(0).tolist() == pytest.approx([1.0, -0.5], abs=0.1)
    assert made.std(0).tolist() == pytest.approx([0.4, 0.4], abs=0.06)
    stayed = moved(method, start, here)
    assert (stayed - start).mean(0).tolist() == pytest.approx([0.0, 0.0], abs=0.1)


def test_densities_end_to_end_take_any_condition() -> None:
    random = torch.Generator().manual_seed(6)
    c = torch.rand(10_000, 1, generator=random) * 2 - 1
    x = 0.4 * torch.randn(10_000, 1, generator=random) + c
    method = method_of(1, 1, variant="base_transfer")
    fit_method(method, sample_of(x, c), sample_of(x, c), 150, rate=1e-2)
    here, there = torch.full((1000, 1), -0.5), torch.full((1000, 1), 0.5)
    start = here + 0.4 * torch.randn(1000, 1, generator=random)
    assert (moved(method, start, here, there) - start).mean().item() == pytest.approx(1.0, abs=0.1)


def test_a_map_that_keeps_conditions_refuses_another_one() -> None:
    method, x = method_of(2, 1), torch.randn(5, 2)
    with pytest.raises(UsageError, match="condition: same"):
        method(x, torch.zeros(5, 1), torch.ones(5, 1), NOTHING)


@settings(deadline=None, max_examples=25)
@given(
    seed=st.integers(0, 1000),
    features=st.integers(1, 5),
    variant=st.sampled_from(["two_way", "unidirectional", "base_transfer"]),
    condition=st.sampled_from(["same", "delta", "concatenated"]),
)
def test_the_inverse_leads_back(seed: int, features: int, variant: str, condition: str) -> None:
    torch.manual_seed(seed)
    options = FlowsForFlowsOptions.model_validate(SMALL | {"variant": variant, "condition": condition})
    method = FlowsForFlows(features, 1, options).double()
    for module in method.modules():
        if isinstance(module, SplineCoupling):
            module.randomise()
    x, here = 2 * torch.randn(64, features, dtype=torch.float64), torch.randn(64, 1, dtype=torch.float64)
    there = here if condition == "same" else torch.randn(64, 1, dtype=torch.float64)
    y = method(x, here, there, NOTHING)
    assert variant == "base_transfer" or (y - x).abs().max() > 1e-3
    torch.testing.assert_close(method.inverse(y, there, here, NOTHING), x, atol=1e-6, rtol=0)


def test_weights_count_and_may_be_negative() -> None:
    """A lump of the source that weights of 1 and -1 take away, and one of the target that counts half."""
    random = torch.Generator().manual_seed(7)
    x = torch.cat([torch.randn(8000, 1, generator=random), torch.full((1000, 1), 2.5)])
    x = x + 0.1 * torch.randn(9000, 1, generator=random)
    weight = torch.cat([torch.ones(8000), torch.ones(500), -torch.ones(500)])
    y = torch.cat([torch.randn(4000, 1, generator=random) - 2, torch.randn(4000, 1, generator=random) + 1])
    half = torch.cat([torch.full((4000,), 1e-3), torch.full((4000,), 2 - 1e-3)])
    method = method_of(1)
    fit_method(method, sample_of(x, None, weight * 9 / 8), sample_of(y, None, half), 150, size=512, rate=1e-2)
    made = moved(method, x[:8000])
    assert made.mean().item() == pytest.approx(1.0, abs=0.15)
    assert made.std().item() == pytest.approx(1.0, abs=0.15)


def test_what_was_trained_can_be_stored() -> None:
    method, copy = (method_of(2, 1, identity=False, condition="delta") for _ in range(2))
    fit_method(
        method, sample_of(torch.randn(50, 2), torch.rand(50, 1)), sample_of(torch.randn(50, 2), torch.rand(50, 1)), 2
    )
    copy.load({name: method.state_dict()[name] for name in method.sampling_parameters()})
    x, c = torch.randn(10, 2), torch.rand(10, 1)
    assert torch.equal(moved(method, x, c, c + 0.1), moved(copy, x, c, c + 0.1))


def test_a_batch_of_one_sample_is_refused() -> None:
    with pytest.raises(UsageError, match="two samples"):
        method_of(2).objectives()[0].loss(sample_of(torch.randn(5, 2)), NOTHING)


def test_the_loss_that_chooses_a_checkpoint_is_the_likelihood_of_both_directions() -> None:
    """Of the identity between equal normal laws: twice their entropy."""
    method = method_of(2).eval()
    batch = sample_of(torch.randn(20_000, 2))
    batch.source = sample_of(torch.randn(20_000, 2))
    found = method.objectives()[-1].loss(batch, NOTHING).item()
    assert found == pytest.approx(2 * 2 * 0.5 * math.log(2 * math.pi * math.e), rel=0.02)
