"""Flow matching between samples, on laws whose best map is known."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest
import torch
from fitting import fit_method
from hypothesis import given, settings
from hypothesis import strategies as st
from optimal_normals import FIRST, NOTHING, SECOND, SHIFT, clump, events, movement, normal, optimal

from hepgen.config.morph_options import MatchingMorphOptions
from hepgen.errors import UsageError
from hepgen.generators.base import StageBatch
from hepgen.morphing.matching import MatchingMorph

SMALL: dict[str, Any] = {"layers": 2, "hidden": 32}


def _fitted(source: StageBatch, target: StageBatch, steps: int = 200, **options: Any) -> MatchingMorph:
    torch.manual_seed(0)
    size, conditions = source.x.shape[1], source.condition.shape[1]
    morph = MatchingMorph(size, conditions, MatchingMorphOptions(**{**SMALL, **options}))
    fit_method(morph, source, target, steps)
    return morph.requires_grad_(False)


def _moved(morph: MatchingMorph, side: StageBatch, wanted: torch.Tensor | None = None) -> torch.Tensor:
    return morph(side.x, side.condition, side.condition if wanted is None else wanted, NOTHING)


def _restless(conditions: int, **options: Any) -> MatchingMorph:
    """A morph that moves events by a velocity that no one trained."""
    torch.manual_seed(1)
    morph = MatchingMorph(3, conditions, MatchingMorphOptions(**{**SMALL, **options}))
    torch.nn.init.normal_(morph.velocity.network.end.weight, std=0.5)
    return morph.requires_grad_(False)


@pytest.fixture(scope="module")
def between_normals() -> MatchingMorph:
    return _fitted(normal(20_000), normal(20_000, SECOND, SHIFT, 1))


def test_one_normal_goes_to_another_by_nearly_the_shortest_way(between_normals: MatchingMorph) -> None:
    side = normal(5000, seed=2)
    moved, best = _moved(between_normals, side), optimal(side.x)
    assert 0.9 < movement(side.x, moved) / movement(side.x, best) < 1.1
    assert movement(moved, best) < 0.12
    np.testing.assert_allclose(np.cov(moved.numpy().T), SECOND, atol=0.12)


def test_paths_of_optimal_pairs_are_straight_and_those_of_independent_pairs_are_not(
    between_normals: MatchingMorph,
) -> None:
    # One step goes along the velocity at the beginning: that of independent pairs leads to the mean of the target.
    independent = _fitted(normal(20_000), normal(20_000, SECOND, SHIFT, 1), coupling="independent")
    side = normal(5000, seed=2)
    spread = {}
    for morph in (between_normals, independent):
        kept, morph.options = morph.options, morph.options.model_copy(update={"solver": "euler", "steps": 1})
        spread[kept.coupling] = _moved(morph, side).var(0).sum().item() / np.trace(SECOND)
        morph.options = kept
    assert spread["optimal_transport"] > 0.65  # pairs among 64 events are not quite those of the whole samples
    assert spread["independent"] < 0.3
    best = optimal(side.x)
    assert movement(_moved(independent, side), best) > 1.5 * movement(_moved(between_normals, side), best)


@given(seed=st.integers(0, 1000), conditions=st.integers(0, 2), change=st.booleans())
@settings(max_examples=20, deadline=None)
def test_the_inverse_leads_back(seed: int, conditions: int, change: bool) -> None:
    morph = _restless(conditions, change_condition=change)
    morph.options = morph.options.model_copy(update={"steps": 10})  # what is not exact is the solver alone
    random = torch.Generator().manual_seed(seed)
    x, old, new = (torch.randn(100, width, generator=random) for width in (3, conditions, conditions))
    new = new if change else old
    there = morph(x, old, new, NOTHING)
    assert movement(x, there) > 0.3
    torch.testing.assert_close(morph.inverse(there, new, old, NOTHING), x, atol=1e-4, rtol=0)


def test_nothing_moves_before_any_training() -> None:
    morph = MatchingMorph(2, 0, MatchingMorphOptions(**SMALL))
    side = normal(10)
    assert torch.equal(_moved(morph, side), side.x)


def test_a_bridge_of_noise_leads_to_the_target_too() -> None:
    morph = _fitted(normal(20_000), normal(20_000, SECOND, SHIFT, 1), bridge=0.3)
    moved = _moved(morph, normal(5000, seed=2))
    np.testing.assert_allclose(moved.mean(0), SHIFT, atol=0.1)
    np.testing.assert_allclose(np.cov(moved.numpy().T), SECOND, atol=0.2)


def test_weights_of_both_samples_count() -> None:
    # Half of the source's weight, and a third of its events, stand at -4; the target has as much weight at +4.
    law = 0.04 * np.eye(2)
    source = clump(normal(20_000, law), 10_000, -4.0, 2.0)
    target = clump(normal(20_000, law, seed=1), 5_000, 4.0, 4.0)
    morph = _fitted(source, target)
    moved = _moved(morph, normal(2000, law, seed=2))
    # What stood in the middle holds the half of the weight that must go to the right.
    np.testing.assert_allclose(moved.mean(0), [4.0, 4.0], atol=0.3)
    np.testing.assert_allclose(_moved(morph, clump(normal(1, law), 100, -4.0, 1.0)).median(0).values, [0, 0], atol=0.5)


def test_negative_weights_cancel_what_they_should_with_independent_pairs_and_are_refused_else() -> None:
    source = normal(20_000)
    target = clump(normal(20_000, SECOND, SHIFT, 1), 2000, 3.0, 1.0, -1.0)
    with pytest.raises(UsageError, match="negative weights"):
        _fitted(source, target)
    morph = _fitted(source, target, coupling="independent")
    moved = _moved(morph, normal(5000, seed=2))
    np.testing.assert_allclose(moved.mean(0), SHIFT, atol=0.15)
    np.testing.assert_allclose(np.cov(moved.numpy().T), SECOND, atol=0.3)
    positive = dataclasses.replace(target, weight=target.weight.abs())
    wrong = _moved(_fitted(source, positive, coupling="independent"), normal(5000, seed=2))
    assert abs(wrong.mean(0)[0].item() - SHIFT[0]) > 0.3


def _conditional(size: int, factor: float, width: float, place: float, seed: int) -> StageBatch:
    """x is normal of this width about factor * c; c is normal about ``place``."""
    random = np.random.default_rng(seed)
    condition = random.normal(place, 0.8, size=(size, 1))
    return events(factor * condition + width * random.normal(size=(size, 1)), condition)


@pytest.mark.parametrize("coupling", ["optimal_transport", "independent"])
def test_each_condition_has_a_map_of_its_own_however_often_it_comes(coupling: str) -> None:
    source, target = _conditional(20_000, 1.0, 0.5, -0.4, 0), _conditional(20_000, -0.5, 0.3, 0.4, 1)
    morph = _fitted(source, target, 300, coupling=coupling, pairing=128)
    for value in (-0.8, 0.0, 0.8):
        condition = torch.full((2000, 1), value)
        x = value + 0.5 * torch.randn(2000, 1, generator=torch.Generator().manual_seed(3))
        moved = morph(x, condition, condition, NOTHING)
        assert moved.mean().item() == pytest.approx(-0.5 * value, abs=0.12)
        assert moved.std().item() == pytest.approx(0.3, abs=0.12)


@pytest.mark.parametrize("coupling", ["optimal_transport", "independent"])
def test_another_condition_may_be_asked_for_where_that_was_trained(coupling: str) -> None:
    source, target = _conditional(20_000, 1.0, 0.5, -0.2, 0), _conditional(20_000, -0.5, 0.5, 0.2, 1)
    morph = _fitted(source, target, 300, coupling=coupling, change_condition=True, pairing=128)
    for old, new in ((0.5, 0.5), (-0.7, 0.7), (0.7, -0.7)):
        condition, wanted = torch.full((2000, 1), old), torch.full((2000, 1), new)
        x = old + 0.5 * torch.randn(2000, 1, generator=torch.Generator().manual_seed(3))
        moved = morph(x, condition, wanted, NOTHING)
        assert moved.mean().item() == pytest.approx(-0.5 * new, abs=0.15)
        assert moved.std().item() == pytest.approx(0.5, abs=0.15)


def test_another_condition_is_refused_where_it_was_not_trained() -> None:
    morph = _restless(1)
    x, condition = torch.zeros(4, 3), torch.zeros(4, 1)
    assert torch.equal(morph(x, condition, condition.clone(), NOTHING), morph(x, condition, condition, NOTHING))
    with pytest.raises(UsageError, match="another one is asked for"):
        morph(x, condition, condition + 1, NOTHING)


def test_a_batch_of_one_sample_is_refused() -> None:
    with pytest.raises(UsageError, match="no source"):
        _restless(0).pairs(normal(4), torch.zeros(4, 4))


def test_what_was_trained_can_be_stored(between_normals: MatchingMorph) -> None:
    copy = MatchingMorph(2, 0, MatchingMorphOptions(**SMALL))
    copy.load(between_normals.state_dict())
    side = normal(10, FIRST)
    assert torch.equal(_moved(copy, side), _moved(between_normals, side))


@pytest.mark.parametrize("per_feature", [0, 8])
def test_before_any_training_nothing_moves(per_feature: int) -> None:
    x = normal(20).x
    assert torch.equal(
        _moved(MatchingMorph(2, 0, MatchingMorphOptions(hidden=8, per_feature=per_feature)), normal(20)), x
    )
