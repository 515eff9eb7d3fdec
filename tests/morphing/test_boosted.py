"""Boosted trees as weights, on laws whose ratio is known."""

from __future__ import annotations

import sys

import numpy as np
import pytest
import torch
from fitting import fit_method
from normals import log_ratio_of, shifted, with_signs

from hepgen.config.morph_options import BoostedOptions
from hepgen.errors import ConfigError, InputFileError
from hepgen.generators.base import StageBatch
from hepgen.morphing.base import build_method
from hepgen.morphing.boosted import BoostedWeights

ENGINES = ["sklearn", "hep_ml"]


def _fitted(engine: str, source: StageBatch, target: StageBatch, **options: int) -> BoostedWeights:
    if engine == "hep_ml":
        pytest.importorskip("hep_ml", reason="hep_ml is an optional extra", exc_type=ImportError)
    method = build_method(
        "boosted", source.x.shape[1], source.condition.shape[1], {"engine": engine, "min_leaf": 100, **options}
    )
    assert isinstance(method, BoostedWeights)
    assert fit_method(method, source, target, 0) == []
    return method


def _error(method: BoostedWeights) -> float:
    x = shifted(5000, 0.0, 9).x
    return float((method.log_ratio(x, x[:, :0]) - log_ratio_of(x, 0.3)).square().mean().sqrt())


@pytest.mark.parametrize("engine", ENGINES)
def test_the_ratio_of_two_normals_is_found(engine: str) -> None:
    method = _fitted(engine, shifted(10_000, -0.3, 0), shifted(5_000, 0.3, 1))
    assert _error(method) < 0.25  # of 0.85 without any weight


def test_weights_of_both_signs_are_weights() -> None:
    source, target = with_signs(shifted(10_000, -0.3, 0), 0.3, 2), with_signs(shifted(10_000, 0.3, 1), -0.3, 3)
    assert _error(_fitted("sklearn", source, target)) < 0.3
    # without their signs the same events make the samples look more alike
    unsigned = [StageBatch(side.x, side.condition) for side in (source, target)]
    assert _error(_fitted("sklearn", *unsigned)) > 0.3


def test_hep_ml_is_not_given_negative_weights() -> None:
    with pytest.raises(InputFileError, match="negative"):
        _fitted("hep_ml", with_signs(shifted(2000, -0.3, 0), 0.3, 2), shifted(2000, 0.3, 1))


@pytest.mark.parametrize("engine", ENGINES)
def test_the_size_of_a_sample_and_of_its_weights_change_no_ratio(engine: str) -> None:
    source, target = shifted(10_000, 0.0, 0), shifted(5_000, 0.0, 1)
    source.weight = torch.full((10_000,), 3.0)
    method = _fitted(engine, source, target)
    assert method.log_ratio(source.x, source.condition).mean().abs() < 0.03


@pytest.mark.parametrize("engine", ENGINES)
def test_conditions_are_features(engine: str) -> None:
    source, target = shifted(10_000, 0.0, 0, 1), shifted(10_000, 0.0, 1, 1)
    source.condition, target.condition = shifted(10_000, 0.0, 2, 1).x, shifted(10_000, 0.0, 3, 1).x
    target.x = target.x + 0.8 * (target.condition > 0)
    method = _fitted(engine, source, target)
    at_one, at_minus_one = (method.log_ratio(torch.tensor([[1.0]]), torch.tensor([[c]])).item() for c in (1.0, -1.0))
    assert at_one == pytest.approx(0.8 - 0.32, abs=0.25)
    assert at_minus_one == pytest.approx(0.0, abs=0.2)


def test_what_hep_ml_predicts_the_arrays_give() -> None:
    reweight = pytest.importorskip("hep_ml.reweight", reason="hep_ml is an optional extra", exc_type=ImportError)
    source, target = shifted(4000, -0.3, 0, 3), shifted(4000, 0.3, 1, 3)
    method = _fitted("hep_ml", source, target, trees=30)
    seed = int(np.random.default_rng(0).integers(2**31))
    library = reweight.GBReweighter(
        n_estimators=30, learning_rate=0.2, max_depth=3, min_samples_leaf=100, gb_args={"random_state": seed}
    )
    library.fit(source.x.numpy(), target.x.numpy())
    x = shifted(3000, 0.0, 5, 3).x
    # hep_ml's weights have any sum
    norm = np.log(library.predict_weights(source.x.numpy()).mean())
    expected = np.log(library.predict_weights(x.numpy())) - norm
    np.testing.assert_allclose(method.log_ratio(x, x[:, :0]), expected, atol=1e-6, rtol=0)
    assert abs(norm) > 0.01


def test_what_was_fitted_can_be_stored() -> None:
    method = _fitted("sklearn", shifted(2000, -0.3, 0), shifted(2000, 0.3, 1), trees=20)
    copy = BoostedWeights(2, 0, BoostedOptions())
    copy.load(method.state_dict())
    x = shifted(100, 0.0, 2).x
    assert torch.equal(copy.log_ratio(x, x[:, :0]), method.log_ratio(x, x[:, :0]))
    assert {tensor.dtype for tensor in method.state_dict().values()} == {torch.int64, torch.float32}


def test_too_few_events_are_refused() -> None:
    with pytest.raises(InputFileError, match="the target has 150 events"):
        _fitted("sklearn", shifted(2000, 0.0, 0), shifted(150, 0.0, 1))


def test_an_engine_that_is_not_installed_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "hep_ml", None)
    monkeypatch.delitem(sys.modules, "hep_ml.reweight", raising=False)
    weights = BoostedWeights(1, 0, BoostedOptions(engine="hep_ml"))  # as for a model that was fitted elsewhere
    with pytest.raises(ConfigError, match="hep_ml is not here"):
        weights.require()
    BoostedWeights(1, 0, BoostedOptions()).require()
