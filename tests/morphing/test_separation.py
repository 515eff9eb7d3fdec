"""Before, after and the floor: what trees say of held-out events, and what is said of that."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from hepgen.morphing.separation import Area, Sample, Separation, separation_of

SIZE = 600


def _normals(seed: int, mean: float = 0.0, size: int = SIZE) -> Sample:
    return Sample(np.random.default_rng(seed).normal([mean, 0.0], 1.0, (size, 2)), 0, np.ones(size))


def test_a_map_that_helps_is_told_from_one_that_harms() -> None:
    target, source, good = _normals(0, 0.7), _normals(1), _normals(2, 0.7)
    helped = separation_of(target, source, good, 1, most=500)
    assert helped.before is not None
    assert helped.after is not None
    assert helped.before.value > 0.62
    assert helped.after.value < 0.56
    assert (helped.worse, helped.remains, helped.warning) == (False, False, "")
    assert (helped.events, helped.floor_events) == (500, 300)
    harmed = separation_of(target, good, source, 1, most=500)
    assert harmed.worse
    assert "BETTER than before" in harmed.warning
    assert "train longer" in harmed.warning
    half = separation_of(target, source, _normals(1, 0.1), 1, most=500)
    assert not half.worse
    assert half.remains
    assert "still told from the target" in half.words()[-1]


def test_a_map_that_does_nothing_is_not_warned_of() -> None:
    """The same events before and after: the errors of the difference are none, and neither is the difference."""
    target, source = _normals(0, 0.7), _normals(1)
    found = separation_of(target, source, source, 1, most=500)
    assert found.before == found.after
    assert not found.worse


def test_weights_count() -> None:
    """Weights by the true ratio of two normals bring the source to its target."""
    target, source = _normals(0, 0.7, 2000), _normals(1, 0.0, 2000)
    ratio = np.exp(0.7 * source.features[:, 0] - 0.7**2 / 2)
    found = separation_of(target, source, replace(source, weights=ratio), 1, most=2000, verb="weighted")
    assert found.before is not None
    assert found.after is not None
    assert found.before.value > 0.64
    assert found.after.value < 0.55
    assert found.effective == pytest.approx(ratio.sum() ** 2 / np.square(ratio).sum())
    assert f"worth {found.effective:.0f}" in found.words()[1]


def test_conditions_that_are_kept_do_not_count_against_a_map() -> None:
    """x is c and noise in both samples, whose c differ: nothing is to be moved, and trees see the conditions."""

    def sample(seed: int, mean: float) -> Sample:
        random = np.random.default_rng(seed)
        c = random.normal(mean, 1.0, 1500)
        return Sample(np.stack([c, c + random.normal(0, 0.3, 1500)], axis=1), 1, np.ones(1500))

    target, source = sample(0, 0.8), sample(1, 0.0)
    plain = separation_of(target, source, source, 1, most=1500)
    matched = separation_of(target, source, source, 1, most=1500, matched=True)
    assert plain.after is not None
    assert matched.after is not None
    assert plain.after.value > 0.65
    assert matched.after.value < 0.57
    assert matched.matched == pytest.approx(plain.after.value, abs=0.05)
    assert "differ in their conditions" in matched.words()[2]


@pytest.mark.parametrize("case", ["few", "worthless", "negative"])
def test_too_little_to_judge_is_one_sentence(case: str) -> None:
    target, source = _normals(0), _normals(1, 0.0, 150 if case == "few" else SIZE)
    after = source
    if case == "worthless":
        after = replace(source, weights=np.where(np.arange(SIZE) < 20, 1.0, 1e-6))
    if case == "negative":
        after = replace(source, weights=-np.ones(SIZE))
    found = separation_of(target, source, after, 1, most=500)
    words = {"few": "the source has 150 of them, the target 600, and 200 are needed"}
    assert words.get(case, "by their weights they are worth") in found.reason
    assert found.words() == [f"held-out events are not judged: {found.reason}"]
    assert found.warning == ""


def test_it_is_kept_as_json() -> None:
    area = Area(0.5, 0.01)
    full = Separation(before=area, after=area, floor=area, events=300, seen="2 columns", matched=0.6)
    for one in (full, Separation("too few")):
        assert Separation.from_dict(one.to_dict()) == one
