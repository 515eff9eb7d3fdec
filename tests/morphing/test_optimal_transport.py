"""Exact optimal transport of samples, and its extension to other events."""

from __future__ import annotations

import sys
from typing import Any

import numpy as np
import pytest
import torch
from optimal_normals import NOTHING, SECOND, SHIFT, clump, events, movement, normal, optimal

from hepgen.config.morph_options import OptimalTransportOptions
from hepgen.errors import ConfigError, UsageError
from hepgen.generators.base import StageBatch
from hepgen.morphing.optimal_transport import OptimalTransport


def _fitted(source: StageBatch, target: StageBatch, **options: Any) -> OptimalTransport:
    morph = OptimalTransport(
        source.x.shape[1], source.condition.shape[1], OptimalTransportOptions(**{"events": 600, **options})
    )
    morph.fit(source, target, np.random.default_rng(0))
    return morph


def _moved(morph: OptimalTransport, side: StageBatch) -> torch.Tensor:
    return morph(side.x, side.condition, side.condition, NOTHING)


def test_fitted_events_go_where_the_best_plan_sends_them() -> None:
    source, target = normal(200), normal(200, SECOND, SHIFT, 1)
    moved = _moved(_fitted(source, target), source)
    distance = torch.cdist(moved, target.x, compute_mode="donot_use_mm_for_euclid_dist")
    assert distance.min(1).values.max() < 1e-3
    assert len(distance.argmin(1).unique()) == 200
    # No two events would gain by an exchange of their places.
    cost = torch.cdist(source.x, moved, compute_mode="donot_use_mm_for_euclid_dist").square()
    kept = cost.diagonal()
    assert (kept[:, None] + kept - cost - cost.T).max() < 1e-2


def test_other_events_go_nearly_where_the_optimal_map_of_normals_sends_them() -> None:
    side = normal(3000, seed=2)
    moved, best = _moved(_fitted(normal(2000), normal(2000, SECOND, SHIFT, 1)), side), optimal(side.x)
    assert 0.9 < movement(side.x, moved) / movement(side.x, best) < 1.1
    assert movement(moved, best) < 0.2
    np.testing.assert_allclose(np.cov(moved.numpy().T), SECOND, atol=0.15)


def test_weights_of_both_samples_count() -> None:
    law = 0.04 * np.eye(2)
    source = clump(normal(400, law), 200, -4.0, 2.0)
    target = clump(normal(400, law, seed=1), 100, 4.0, 4.0)
    moved = _moved(_fitted(source, target), source)
    clumped = source.x[:, 0] < -3
    np.testing.assert_allclose(moved[~clumped].mean(0), [4.0, 4.0], atol=0.1)
    np.testing.assert_allclose(moved[clumped].mean(0), [0.0, 0.0], atol=0.1)


def test_each_condition_has_a_map_of_its_own_however_often_it_comes() -> None:
    random = np.random.default_rng(0)
    first, second = (rate > random.random((600, 1)) for rate in (0.3, 0.7))
    source = events(random.normal(size=(600, 1)), first.astype(float))
    target = events(random.normal(size=(600, 1)) + np.where(second, 2.0, -2.0), second.astype(float))
    moved = _moved(_fitted(source, target), source)
    yes = torch.from_numpy(first[:, 0])
    np.testing.assert_allclose(moved[yes].mean(), 2.0, atol=0.25)
    np.testing.assert_allclose(moved[~yes].mean(), -2.0, atol=0.25)
    np.testing.assert_allclose([moved[yes].std(), moved[~yes].std()], 1.0, atol=0.2)


def test_what_it_cannot_do_is_refused() -> None:
    source, target = normal(100), clump(normal(100), 10, 3.0, 1.0, -1.0)
    with pytest.raises(UsageError, match="negative weights"):
        _fitted(source, target)
    random = np.random.default_rng(0)
    morph = _fitted(*(events(random.normal(size=(50, 2)), random.normal(size=(50, 1))) for _ in range(2)))
    x, condition = torch.zeros(3, 2), torch.zeros(3, 1)
    with pytest.raises(UsageError, match="another one is asked for"):
        morph(x, condition, condition + 1, NOTHING)
    with pytest.raises(UsageError, match="no inverse"):
        morph.inverse(x, condition, condition, NOTHING)


def test_without_its_library_nothing_is_fitted_and_a_stored_map_is_applied(monkeypatch: pytest.MonkeyPatch) -> None:
    morph = OptimalTransport(1, 0, OptimalTransportOptions(neighbours=1))
    morph.require()
    one, two = (StageBatch(torch.tensor([[x], [x + 1]]), torch.empty(2, 0)) for x in (0.0, 4.0))
    morph.fit(one, two, np.random.default_rng(0))
    monkeypatch.setitem(sys.modules, "ot", None)
    with pytest.raises(ConfigError, match="pot is not here") as refused:
        morph.require()
    assert "pip install 'hepgen[pot]'" in str(refused.value.hint)
    assert morph(one.x, one.condition, one.condition, {}).tolist() == [[4.0], [5.0]]


def test_what_was_fitted_can_be_stored() -> None:
    morph = _fitted(normal(100), normal(80, SECOND, SHIFT, 1))
    copy = OptimalTransport(2, 0, OptimalTransportOptions())
    copy.load(morph.state_dict())
    side = normal(2500, seed=3)
    assert torch.equal(_moved(copy, side), _moved(morph, side))
    assert _moved(copy, normal(0)).shape == (0, 2)
