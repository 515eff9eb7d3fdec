"""Equivalent events of a generated sample, and the amplification of its training events."""

import numpy as np
import pytest

from hepgen.evaluation.amplification import add_amplification
from hepgen.evaluation.domain import Pool
from hepgen.evaluation.histograms import Observable
from hepgen.evaluation.plots import draw
from hepgen.evaluation.scores import ScoreBook


def pool(values, weights=None):
    values = np.asarray(values, dtype=float).reshape(len(values), -1)
    nothing = np.empty((len(values), 0))
    weights = np.ones(len(values)) if weights is None else weights
    return Pool(len(values), values, nothing, weights, nothing, np.arange(len(values)))


def judge(reference, generated, training=None, observables=None, **options):
    observables = observables or [Observable(f"x{k}", f"x{k}") for k in range(reference.observables.shape[1])]
    book = ScoreBook()
    curve, notes = add_amplification(book, reference, generated, observables, training, **options)
    return book.scores(), curve, notes


def camel_back(rng, events):
    """Two Gaussians of width 1 at -4 and 4 (arXiv 2008.06545)."""
    return rng.choice([-4.0, 4.0], size=events) + rng.normal(size=events)


def fitted(rng, points, events):
    """Events of a double Gaussian with the share, means and widths of the points on either side of 0."""
    sides = [points[points < 0], points[points >= 0]]
    chosen = rng.uniform(size=events) < len(sides[1]) / len(points)
    means, widths = np.array([[side.mean(), side.std(ddof=1)] for side in sides]).T
    return means[chosen.astype(int)] + widths[chosen.astype(int)] * rng.normal(size=events)


def test_a_perfect_generator_is_worth_its_events():
    rng = np.random.default_rng(0)
    scores, curve, _ = judge(pool(rng.normal(size=(20_000, 6))), pool(rng.normal(size=(2000, 6))))
    found = scores["equivalent_events"]
    assert found.value == pytest.approx(2000, rel=0.2)
    assert abs(found.value - 2000) < 3 * found.error
    assert found.floor == pytest.approx(2000, rel=0.25)
    assert abs(found.z) < 3
    assert abs(scores["qmse"].z) < 3
    assert curve is not None


def test_a_biased_generator_saturates():
    rng = np.random.default_rng(1)
    reference = pool(rng.normal(size=20_000))
    many, more = (judge(reference, pool(rng.normal(0.3, 1, size=size))) for size in (40_000, 160_000))
    worth = [scores["equivalent_events"].value for scores, _, _ in (many, more)]
    assert worth[1] == pytest.approx(worth[0], rel=0.25)
    assert worth[1] < 600
    assert many[0]["qmse"].z > 3
    curve = more[1]
    assert curve.generated[-1] == pytest.approx(curve.generated[-2], rel=0.05)
    assert curve.generated[0] > 3 * curve.generated[-1]


def test_a_double_gaussian_fitted_to_a_hundred_points_amplifies_them():
    factors, floors = [], []
    for seed in range(12):
        rng = np.random.default_rng(seed)
        points = camel_back(rng, 100)
        scores, _, _ = judge(pool(camel_back(rng, 40_000)), pool(fitted(rng, points, 10_000)), pool(points))
        factors.append(100 / scores["amplification"].value)
        floors.append(100 / scores["amplification"].floor)
    assert 100 / np.mean(floors) == pytest.approx(1, rel=0.1)
    assert 100 / np.mean(factors) > 2


def test_the_limit_of_the_reference_is_said():
    rng = np.random.default_rng(2)
    scores, curve, notes = judge(
        pool(rng.normal(size=(4000, 2))), pool(rng.normal(size=(50_000, 2))), pool(rng.normal(size=(500, 2)))
    )
    found = scores["equivalent_events"]
    assert found.error is None
    assert found.z is None
    assert "at least this" in found.comment
    assert "at least this" in scores["amplification"].comment
    assert any("2000 true events behind the quantiles resolve at most" in note for note in notes)
    assert any("amplification at least" in note for note in notes)
    assert [line.label for line in curve.lines] == ["expected of truth", "limit of the reference", "training events"]


def test_a_generated_sample_that_is_too_small_to_amplify_is_said():
    rng = np.random.default_rng(3)
    scores, _, _ = judge(pool(rng.normal(size=10_000)), pool(rng.normal(size=300)), pool(rng.normal(size=600)))
    assert "more generated events" in scores["amplification"].comment


def test_curves_follow_the_law_and_end_with_their_samples():
    rng = np.random.default_rng(4)
    _, curve, _ = judge(pool(rng.normal(size=(10_000, 5))), pool(rng.normal(size=(20_000, 5))))
    assert curve.x[-1] == 20_000
    assert np.isnan(curve.reference[-1])
    law = np.interp(curve.x, curve.lines[0].x, curve.lines[0].y)
    inside = np.isfinite(curve.reference)
    np.testing.assert_allclose(np.array(curve.reference)[inside], law[inside], rtol=0.2)
    np.testing.assert_allclose(curve.generated, law, rtol=0.2)
    assert np.all(np.array(curve.generated_error) > 0)


def test_the_curve_is_drawn_with_what_truth_cannot_reach(tmp_path):
    rng = np.random.default_rng(8)
    _, curve, _ = judge(pool(rng.normal(size=2000)), pool(rng.normal(0.5, 1, size=4000)), pool(rng.normal(size=100)))
    assert draw(curve, tmp_path).startswith(b"\x89PNG")
    assert (tmp_path / "amplification.pdf").exists()


def test_integers_and_spikes_are_left_out_and_few_events_are_no_score():
    rng = np.random.default_rng(5)
    values = np.stack([rng.normal(size=8000), rng.integers(0, 4, size=8000), np.zeros(8000)], axis=1)
    names = [Observable("x", "x"), Observable("count", "count", integer=True), Observable("spike", "spike")]
    scores, _, notes = judge(pool(values), pool(values[:2000]), observables=names)
    assert "equivalent_events.count" not in scores
    assert scores["equivalent_events.spike"].value is None
    assert "one value" in scores["equivalent_events.spike"].comment
    assert "left out: count, spike." in notes[0]
    scores, curve, notes = judge(pool(values[:400]), pool(values[:300]), pool(values[:100]), names)
    assert curve is None
    for name in ("qmse", "equivalent_events", "amplification"):
        assert scores[name].value is None
        assert "too few true events" in scores[name].comment
    assert "not judged" in notes[0]


def test_a_column_without_values_is_said():
    rng = np.random.default_rng(9)
    values = rng.normal(size=(2000, 2))
    empty = np.stack([values[:, 0], np.full(2000, np.nan)], axis=1)
    scores, _, notes = judge(pool(rng.normal(size=(4000, 2))), pool(empty), pool(values))
    for name in ("qmse", "equivalent_events", "amplification", "equivalent_events.x1"):
        assert scores[name].value is None
        assert "not defined" in scores[name].comment
    assert scores["equivalent_events.x0"].value > 500
    assert all("no values" in note for note in notes)


def test_weights_of_the_generated_events_are_respected():
    rng = np.random.default_rng(6)
    reference, values = pool(rng.normal(size=20_000)), rng.normal(0.3, 1, size=20_000)
    towards_truth = np.exp(0.5 * 0.3**2 - 0.3 * values)
    worth = [judge(reference, pool(values, weights))[0]["equivalent_events"].value for weights in (None, towards_truth)]
    assert worth[0] < 600
    assert worth[1] > 3000


def test_a_warning_comes_with_conditions():
    rng = np.random.default_rng(7)
    one = pool(rng.normal(size=2000))
    assert any("conditions of the reference" in note for note in judge(one, one, conditioned=True)[2])
    assert not any("conditions of the reference" in note for note in judge(one, one)[2])
