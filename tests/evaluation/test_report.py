"""Errors of scores, against the spread that many independent samples have."""

import numpy as np
import pytest

from hepgen.evaluation.distances import Features, add_frechet
from hepgen.evaluation.domain import Pool
from hepgen.evaluation.histograms import Observable, axis_for
from hepgen.evaluation.one_dimensional import add_one_dimensional
from hepgen.evaluation.report import Report
from hepgen.evaluation.scores import Score, ScoreBook
from hepgen.evaluation.splits import random_split, random_splits
from hepgen.evaluation.summary import summary

EVENTS = 2000


def pool(values):
    nothing = np.empty((len(values), 0))
    return Pool(len(values), values[:, None], nothing, np.ones(len(values)), nothing, np.arange(len(values)))


def one_evaluation(rng, shift):
    """Scores of a shifted Gaussian against a Gaussian, of new events each time."""
    reference, generated = rng.normal(size=2 * EVENTS), rng.normal(shift, size=EVENTS)
    split = random_split(len(reference), len(generated), EVENTS, rng)
    book = ScoreBook()
    observable = Observable("x", "x")
    axis = axis_for(observable, rng.normal(size=10_000))
    add_one_dimensional(book, pool(reference), pool(generated), [observable], [axis], [split], 5)
    add_frechet(book, Features(reference[:, None]), Features(generated[:, None]), [split], 5)
    return book.scores()


@pytest.mark.parametrize(("shift", "largest"), [(0.0, 3.5), (0.6, 1.5)])
def test_errors_of_disjoint_parts_are_those_of_independent_samples_or_larger(shift, largest):
    rng = np.random.default_rng(7)
    found = [one_evaluation(rng, shift) for _ in range(60)]
    for name in ("ks.x", "w1.x", "separation.x", "fpd"):
        true_spread = np.std([scores[name].value for scores in found], ddof=1)
        stated = np.sqrt(np.mean([scores[name].error ** 2 for scores in found]))
        assert 0.7 < stated / true_spread < largest, name
        assert found[0][name].n == EVENTS


def test_parts_give_the_error_and_not_the_value():
    score = Score.from_splits([[(0.3, 0.1), (2.0, 1.0), (2.2, 1.2), (2.4, np.nan), (2.6, 1.4)]], 100)
    assert (score.value, score.floor, score.n) == (0.3, 0.1, 100)
    assert score.error == pytest.approx(np.std([2.0, 2.2, 2.4, 2.6], ddof=1) / 2)
    assert score.floor_error == pytest.approx(np.std([1.0, 1.2, 1.4], ddof=1) / 2)


def test_value_and_floor_are_means_over_splits_and_errors_those_of_one():
    parts = [(2.0, 1.0), (2.2, 1.4), (2.4, 1.2)]
    wide = [(2 * value, floor) for value, floor in parts]
    one = Score.from_splits([[(0.3, 0.1), *parts]], 100)
    both = Score.from_splits([[(0.3, 0.1), *parts], [(0.5, 0.2), *wide]], 100)
    assert (both.value, both.floor) == (pytest.approx(0.4), pytest.approx(0.15))
    assert both.error == pytest.approx(one.error * np.sqrt(2.5))
    assert both.floor_error == pytest.approx(one.floor_error)
    assert (one.splits, both.splits, both.error_from) == (1, 2, "parts")
    fits = Score.from_fits([((1.0, 0.3), (0.0, 0.1)), ((3.0, 0.4), (1.0, 0.1))], 10)
    assert (fits.value, fits.floor, fits.splits, fits.error_from) == (2.0, 0.5, 2, "law")
    assert fits.error == pytest.approx(np.sqrt(0.125))
    assert Score.from_fits([((1.0, 0.3), (0.0, 0.1)), ((3.0, None), (1.0, 0.1))], 10).error is None


def test_a_score_without_parts_has_no_error():
    assert Score.from_splits([[(0.3, 0.1)]], 10).error is None
    assert Score.from_splits([[(np.nan, 0.1), *[(0.1, 0.1)] * 3]], 10).comment == "not defined on these samples"


def test_means_widths_and_tails_are_compared_with_weights():
    rng = np.random.default_rng(3)
    reference, wide = pool(rng.normal(10, 2, size=20_000)), rng.normal(11, 3, size=20_000)
    generated = pool(np.concatenate([wide, np.full(5000, 500.0), np.full(100, np.nan)]))
    generated.weights[20_000:25_000] = 0.0
    split = random_split(len(reference), len(generated), 10_000, rng)
    book, observable = ScoreBook(), Observable("x", "x")
    axis = axis_for(observable, reference.observables[:, 0])
    add_one_dimensional(book, reference, generated, [observable], [axis], [split], 10)
    scores = book.scores()
    assert scores["mean.x"].value == pytest.approx(0.5, abs=0.06)
    assert scores["width.x"].value == pytest.approx(1.5, abs=0.05)
    # beyond 10 +- 2.326 * 2, of a law of mean 11 and width 3
    assert scores["tail_low.x"].value == pytest.approx(2.98, rel=0.15)
    assert scores["tail_high.x"].value == pytest.approx(11.18, rel=0.15)
    assert scores["tail_high.x"].z > 3
    assert scores["chi2ndf.x"].value > 20
    for name, perfect in (
        ("mean.x", 0.0),
        ("width.x", 1.0),
        ("tail_low.x", 1.0),
        ("tail_high.x", 1.0),
        ("chi2ndf.x", 1.0),
    ):
        assert scores[name].floor == pytest.approx(perfect, abs=0.6 if name == "chi2ndf.x" else 0.3)


@pytest.mark.parametrize(
    ("whole", "parts", "differs"),
    [
        ((1.0, 0.0), [(1.0, 0.0)] * 5, True),
        ((0.3, 0.3), [(0.3, 0.3)] * 5, False),
        ((0.1 + 0.2, 0.3), [(0.1 + 0.2, 0.3)] * 5, False),  # rounding
        ((0.999, 1.0), [(1.0, 1.0)] * 5, False),  # the parts say that nothing differs
        ((1.0, 0.0), [(1.0, 1e-17 * part) for part in range(40)], True),
    ],
)
def test_without_an_error_what_differs_in_every_part_differs_for_certain(whole, parts, differs):
    score = Score.from_splits([[whole, *parts]], 100)
    assert score.infinite_z == score.differs() == differs
    assert (score.z_text() in {"+inf", "-inf"}) == differs
    assert score.z is None or np.isfinite(score.z)


def test_what_is_unusual_in_a_score_is_said_in_words():
    book = ScoreBook()
    book.add_parts("auc", [(0.7, 0.5), (np.nan, np.nan)], 50)
    book.add_parts("jsd_low", [(-0.01, 0.0), (-0.02, 0.0), (-0.03, 0.01)], 50)
    book.add_parts("mean.x", [(-0.01, 0.0), (-0.02, 0.0), (-0.03, 0.01)], 50)
    book.add_parts("w1.x", [(np.nan, np.nan)] * 3, 50)
    book.explain("w1.x", "constant: 1 in both samples")
    scores = book.scores()
    assert scores["auc"].comment == "no error: too few events in each part"
    assert "below 0" in scores["jsd_low"].comment
    assert scores["mean.x"].comment == ""
    assert scores["w1.x"].comment == "constant: 1 in both samples"
    words = summary(Report("table", "fast", {}, 0, {"auc": scores["auc"]}, {}))
    assert "without an error, since the parts have too few events" in words[0]


def test_halves_that_vary_by_rounding_only_make_no_ratio_of_widths():
    rng = np.random.default_rng(1)
    reference, generated = 1e-9 * rng.normal(size=4000), 1e-9 * rng.normal(size=2000)
    reference[:2], generated[:2] = 1.0, 1.0
    book, observable = ScoreBook(), Observable("x", "x")
    splits = random_splits(4000, 2000, 2000, rng, 10)
    pools = pool(reference), pool(generated)
    assert any((split.a >= 2).all() for split in splits)
    add_one_dimensional(book, *pools, [observable], [axis_for(observable, reference)], splits, 10)
    score = book.scores()["width.x"]
    assert max(score.value, score.floor) < 10
    assert abs(score.z or 0.0) < 3


def test_significance_takes_the_error_of_the_difference():
    rng = np.random.default_rng(0)
    common, own = rng.normal(size=10), 0.1 * rng.normal(size=(2, 10))
    parts = list(zip(1.0 + common + own[0], common + own[1], strict=True))
    alike = Score.from_splits([[(1.0, 0.0), *parts]], 100)
    apart = Score.from_splits([[(1.0, 0.0), *zip(1.0 + common, common[::-1], strict=True)]], 100)
    assert alike.z > 5 > apart.z
    few = Score.from_splits([[(1.0, 0.0), parts[0], parts[1], *[(np.nan, np.nan)] * 8]], 100)
    assert few.z is None or few.z < alike.z


def test_weights_of_any_scale_give_the_same_divergences():
    rng = np.random.default_rng(1)
    x, y = rng.normal(size=6000), rng.normal(0.3, 1, size=3000)
    found = []
    for scale in (1.0, 1e-4):
        reference, generated = pool(x), pool(y)
        reference.weights[:], generated.weights[:] = scale, scale
        book, observable = ScoreBook(), Observable("x", "x")
        split = random_split(6000, 3000, 3000, np.random.default_rng(2))
        add_one_dimensional(book, reference, generated, [observable], [axis_for(observable, x)], [split], 5)
        found.append({name: score.value for name, score in book.scores().items()})
    assert found[0] == pytest.approx(found[1], rel=1e-6)
