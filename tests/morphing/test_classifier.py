"""The classifier's weights, on laws whose ratio is known."""

from __future__ import annotations

import pytest
import torch
from fitting import fit_method
from normals import log_ratio_of, shifted, with_signs

from hepgen.config.morph_options import ClassifierOptions
from hepgen.errors import ConfigError, ModelError
from hepgen.generators.base import StageBatch
from hepgen.morphing.base import build_method
from hepgen.morphing.classifier import ClassifierWeights

STEPS = 400


def _fitted(source: StageBatch, target: StageBatch, steps: int = STEPS, **options: object) -> ClassifierWeights:
    torch.manual_seed(0)
    features, conditions = source.x.shape[1], target.condition.shape[1]
    method = build_method("classifier", features, conditions, {"hidden": [32, 32], **options})
    assert isinstance(method, ClassifierWeights)
    fit_method(method, source, target, steps)
    return method.eval()


def _ratio(method: ClassifierWeights, x: torch.Tensor, condition: torch.Tensor | None = None) -> torch.Tensor:
    with torch.no_grad():
        return method.log_ratio(x, x[:, :0] if condition is None else condition)


def _error(method: ClassifierWeights) -> float:
    x = shifted(5000, 0.0, 9).x
    return float((_ratio(method, x) - log_ratio_of(x, 0.3)).square().mean().sqrt())


def test_the_ratio_of_two_normals_is_found_and_calibrated() -> None:
    method = _fitted(shifted(50_000, -0.3, 0), shifted(20_000, 0.3, 1))
    assert _error(method) < 0.12  # of 0.85 without any weight
    source, target = shifted(50_000, -0.3, 2).x, shifted(50_000, 0.3, 3).x
    logs, reached = _ratio(method, source), _ratio(method, target)
    assert logs.exp().mean() == pytest.approx(1.0, abs=0.05)
    # Calibrated: where the network says r, target events are r times as many as those of the source.
    for low in (-1.5, -0.5, 0.5, 1.0):
        inside, among = (((one > low) & (one < low + 0.5)).sum().item() for one in (logs, reached))
        mean = logs[(logs > low) & (logs < low + 0.5)].exp().mean().item()
        assert among / inside == pytest.approx(mean, rel=0.12)


def test_weights_of_both_signs_are_weights() -> None:
    source, target = with_signs(shifted(50_000, -0.3, 0), 0.5, 2), with_signs(shifted(50_000, 0.3, 1), -0.5, 3)
    assert _error(_fitted(source, target)) < 0.2
    unsigned = [StageBatch(side.x, side.condition) for side in (source, target)]
    assert _error(_fitted(*unsigned)) > 0.25


def test_a_ratio_is_bounded_where_the_net_density_is_negative() -> None:
    x = torch.zeros(1000, 1)
    source = StageBatch(x, x[:, :0], torch.tensor([1.0, -1.4]).repeat(500) / -0.2)
    method = _fitted(source, StageBatch(x, x[:, :0]), 300, bound=3.0)
    assert _ratio(method, x[:1]).abs().item() <= 3


def _with_theta(size: int, seed: int, slope: float) -> StageBatch:
    theta = 2 * shifted(size, 0.0, seed + 100, 1).x.clamp(-1, 1)
    return StageBatch(shifted(size, 0.0, seed, 1).x + slope * theta, theta)


def test_a_source_without_parameters_is_reweighted_to_any() -> None:
    source, target = _with_theta(50_000, 0, 0.0), _with_theta(50_000, 1, 0.4)
    source.condition = torch.zeros_like(source.condition)  # the source is of one value of the parameter
    method = _fitted(source, target, ratio="parametrised")
    x = shifted(4000, 0.0, 5, 1).x
    for theta in (-1.0, 0.5, 1.0):
        shift = 0.4 * theta
        found = _ratio(method, x, torch.full_like(x, theta))
        assert (found - (shift * x[:, 0] - shift**2 / 2)).square().mean().sqrt() < 0.12


def test_conditions_are_reweighted_or_left_alone() -> None:
    # x given c is the same in both samples, c is not
    source, target = _with_theta(50_000, 0, 0.4), _with_theta(50_000, 1, 0.4)
    c = shifted(50_000, 0.0, 7, 1).x
    source.condition, source.x = c, source.x * 0 + 0.4 * c + shifted(50_000, 0.0, 8, 1).x
    target.condition, target.x = c + 0.6, 0.4 * (c + 0.6) + shifted(50_000, 0.0, 9, 1).x
    joint, conditional = (_fitted(source, target, ratio=ratio) for ratio in ("joint", "conditional"))
    logs = _ratio(joint, source.x, source.condition)
    assert (logs - (0.6 * c[:, 0] - 0.18)).square().mean().sqrt() < 0.15
    assert _ratio(conditional, source.x, source.condition).square().mean().sqrt() < 0.15


def test_an_ensemble_is_the_mean_of_its_members() -> None:
    method = _fitted(shifted(5000, -0.3, 0), shifted(5000, 0.3, 1), 100, ensemble=3)
    x = shifted(100, 0.0, 2).x
    members = method._members(method.networks, x, x[:, :0])
    assert members.shape == (3, 100)
    assert members.std(0).max() > 0
    torch.testing.assert_close(_ratio(method, x), members.mean(0).detach())


def test_weights_learned_at_few_jets_go_on_to_more() -> None:
    jets = torch.tensor([-1.0, 0.0, 1.0]).repeat(15_000)[:, None]
    source, target = (StageBatch(shifted(45_000, 0.0, seed, 1).x, jets) for seed in (0, 1))
    target.x = target.x + 0.25 * target.condition
    for ratio in ("joint", "conditional"):
        method = _fitted(source, target, 400, linear=True, ratio=ratio)
        x = torch.tensor([[-1.0], [1.0]])
        for more in (-1.0, 2.0):  # two was never seen
            low, high = _ratio(method, x, torch.full_like(x, more)).tolist()
            assert (high - low) / 2 == pytest.approx(0.25 * more, abs=0.08)


def test_what_cannot_be_is_refused() -> None:
    with pytest.raises(ConfigError, match="'conditional' needs conditions"):
        ClassifierWeights(2, 0, ClassifierOptions(ratio="conditional"))
    with pytest.raises(ConfigError, match="linear"):
        ClassifierWeights(2, 0, ClassifierOptions(linear=True))
    method = ClassifierWeights(2, 0, ClassifierOptions(hidden=[4]))
    with pytest.raises(ModelError, match="two samples"):
        method.objectives()[0].loss(shifted(10, 0.0, 0), {})
