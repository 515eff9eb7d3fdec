"""Clouds of one law moved onto those of another, given what their events are."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch
from torch import Tensor

from hepgen.config.morph_options import MatchingMorphOptions
from hepgen.errors import UsageError
from hepgen.generators.base import StageBatch
from hepgen.morphing.cloud_matching import CloudMatching, resized
from hepgen.training.optimizers import build_optimizer, schedule, set_rate
from hepgen.training.seeds import draw

LONGEST = 8


def clouds(random: np.random.Generator, events: int, place: float, width: float, least: int) -> StageBatch:
    """Normal constituents at ``place`` times the event's number, which is its condition with the count."""
    counts = torch.from_numpy(random.integers(least, least + 4, events))
    number = torch.from_numpy(random.uniform(0.5, 1.5, (events, 1)).astype(np.float32))
    mask = torch.arange(LONGEST) < counts[:, None]
    z = torch.from_numpy(random.standard_normal((events, LONGEST, 2)).astype(np.float32))
    x = (place * number[:, None] + width * z) * mask[..., None]
    return StageBatch(x, torch.cat([number, counts[:, None] / LONGEST], 1), mask=mask)


def untrained(**options: object) -> CloudMatching:
    torch.manual_seed(0)
    chosen = MatchingMorphOptions.model_validate({"layers": 2, "hidden": 32, "steps": 6, **options})
    return CloudMatching(2, 2, chosen, LONGEST)


def apply(morph: CloudMatching, source: StageBatch, wanted: Tensor, there: Tensor, back: bool = False) -> Tensor:
    assert source.mask is not None
    noise = draw(np.random.default_rng(1), morph.noise_spec(), len(source.x), there.shape[1])
    with torch.inference_mode():
        return (morph.inverse if back else morph.forward)(source.x, source.mask, source.condition, wanted, there, noise)


@pytest.fixture(scope="module")
def trained() -> CloudMatching:
    """From clouds of 2 to 5 constituents of width 1 to those of 5 to 8 of width 0.5, elsewhere, and back."""
    morph, random = untrained(inverse=True), np.random.default_rng(0)
    objective = morph.objectives()[0]
    optimizer = build_optimizer(objective, 5e-3, 0.0)
    for step in range(250):
        source, target = clouds(random, 64, -1.0, 1.0, 2), clouds(random, 64, 1.0, 0.5, 5)
        loss = objective.loss(
            dataclasses.replace(target, source=source), draw(random, objective.noise, 64, target.points)
        )
        set_rate(optimizer, schedule(step, 250, 0.02))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return morph.eval()


def test_clouds_get_the_law_that_belongs_to_what_their_event_has_become(trained: CloudMatching) -> None:
    random = np.random.default_rng(5)
    source, target = clouds(random, 4000, -1.0, 1.0, 2), clouds(random, 4000, 1.0, 0.5, 5)
    order = [side.condition[:, 0].argsort() for side in (source, target)]  # the monotone map of the event's number
    source = StageBatch(source.x[order[0]], source.condition[order[0]], mask=source.mask[order[0]])
    wanted, there = target.condition[order[1]], target.mask[order[1]]
    made = apply(trained, source, wanted, there)
    assert (made[~there] == 0).all()
    rest = (made - wanted[:, :1, None])[there]
    assert rest.mean(0).abs().max() < 0.05
    assert (rest.std(0) - 0.5).abs().max() < 0.05
    for half in (wanted[:, 0] < 1, wanted[:, 0] >= 1):  # the place follows the event
        assert ((made - wanted[:, :1, None])[half][there[half]].mean(0)).abs().max() < 0.1


def test_clouds_of_the_target_get_the_law_of_the_source(trained: CloudMatching) -> None:
    random = np.random.default_rng(6)
    source, target = clouds(random, 4000, -1.0, 1.0, 2), clouds(random, 4000, 1.0, 0.5, 5)
    order = [side.condition[:, 0].argsort() for side in (source, target)]
    target = StageBatch(target.x[order[1]], target.condition[order[1]], mask=target.mask[order[1]])
    wanted, there = source.condition[order[0]], source.mask[order[0]]
    made = apply(trained, target, wanted, there, back=True)
    assert (made[~there] == 0).all()
    rest = (made + wanted[:, :1, None])[there]
    assert rest.mean(0).abs().max() < 0.08
    assert (rest.std(0) - 1).abs().max() < 0.08
    assert trained.invertible
    plain = untrained()
    assert not plain.invertible
    with pytest.raises(UsageError, match="has no inverse"):
        apply(plain, target, wanted, there, back=True)


def test_noise_of_the_longer_sample_serves_both_ways() -> None:
    """The way back fills up clouds of the source, which may be longer than those of the target."""
    random = np.random.default_rng(9)
    source, target = clouds(random, 16, 0.0, 1.0, 5), clouds(random, 16, 0.0, 1.0, 1)
    assert target.mask is not None
    short = StageBatch(target.x[:, :4], target.condition, mask=target.mask[:, :4], source=source)
    assert short.points == LONGEST
    objective = untrained(inverse=True).objectives()[0]
    assert objective.loss(short, draw(random, objective.noise, 16, short.points)).isfinite()


def test_the_order_of_constituents_and_padding_do_not_matter(trained: CloudMatching) -> None:
    source = clouds(np.random.default_rng(6), 50, -1.0, 1.0, 5)
    assert source.mask is not None
    full = source.mask.clone()
    plain = apply(trained, source, source.condition, full)
    turned = StageBatch(source.x.clone(), source.condition, mask=full)
    turned.x[:, :5] = source.x[:, :5].flip(1)
    again = apply(trained, turned, source.condition, full)
    torch.testing.assert_close(again[:, :5], plain[:, :5].flip(1), rtol=1e-4, atol=1e-4)


def test_pairs_are_of_events_that_are_alike_and_of_constituents_that_lie_near(trained: CloudMatching) -> None:
    random = np.random.default_rng(7)
    source, target = clouds(random, 128, 0.0, 1.0, 2), clouds(random, 128, 0.0, 1.0, 2)
    target.source = source
    places, more = torch.rand(128, 2), torch.randn(128, LONGEST, 2)
    pairs = trained.pairs(target, places, more)
    begin, end = pairs.given[:, :2], pairs.given[:, 2:]
    assert (begin - end).norm(dim=1).mean() < 0.3 * (source.condition - target.condition).norm(dim=1).mean()
    apart = (pairs.x - pairs.y).square().sum(-1)[pairs.mask].mean()
    plain = (pairs.x - pairs.y.roll(1, 0)).square().sum(-1)[pairs.mask & pairs.mask.roll(1, 0)].mean()
    assert apart < 0.6 * plain
    assert sorted(pairs.y.flatten().tolist()) == sorted(target.x.flatten().tolist())


def test_weights_draw_events_and_negative_ones_need_independent_pairs() -> None:
    random = np.random.default_rng(8)
    source, target = clouds(random, 64, 0.0, 1.0, 2), clouds(random, 64, 0.0, 1.0, 2)
    target.source = source
    target.weight = torch.zeros(64)
    target.weight[3] = 64.0
    places, more = torch.rand(64, 2), torch.randn(64, LONGEST, 2)
    pairs = untrained().pairs(target, places, more)
    assert (pairs.given[:, 2:] == target.condition[3]).all()
    assert pairs.weight is None
    source.weight = torch.ones(64)
    source.weight[0] = -1.0
    with pytest.raises(UsageError, match="negative weights"):
        untrained().pairs(target, places, more)
    free = untrained(coupling="independent").pairs(target, places, more)
    assert free.weight is not None
    assert free.weight[3] == 64
    assert free.weight.sum() == 64


def test_what_is_missing_is_noise_and_what_is_too_much_is_left_out() -> None:
    x, mask = torch.arange(1.0, 7.0).view(2, 3, 1), torch.tensor([[True, True, True], [True, False, False]])
    there = torch.tensor([[True, True, False, False], [True, True, True, True]])
    found = resized(x, mask, there, torch.full((2, 4, 1), 9.0))
    assert found[..., 0].tolist() == [[1, 2, 0, 0], [4, 9, 9, 9]]
