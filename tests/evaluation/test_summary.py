"""The report in plain words."""

from __future__ import annotations

import pytest

from hepgen.evaluation.report import Report
from hepgen.evaluation.scores import Score
from hepgen.evaluation.summary import summary


@pytest.mark.parametrize(("value", "doubted"), [(0.52, True), (0.7, True), (0.8, False), (0.97, False)])
def test_a_blind_control_takes_back_a_good_score_but_not_a_bad_one(value: float, doubted: bool) -> None:
    score = Score(value, 0.01, floor=0.5, n=1000, comment="blind: control 0.80")
    report = Report(kind="table", protocol="fast", seed=1, n={}, scores={"auc": score}, sanity={}, notes=())
    (sentence,) = summary(report)
    assert ("Do not lean on this" in sentence) == doubted


@pytest.mark.parametrize(("error", "words"), [(70.0, "worth about 2190 true ones"), (None, "worth at least 2190")])
def test_equivalent_events_are_said_with_the_factor_or_as_a_bound(error: float | None, words: str) -> None:
    scores = {"equivalent_events": Score(2191.3, error, n=100_000), "amplification": Score(2.19, error)}
    report = Report(kind="table", protocol="fast", seed=1, n={}, scores=scores, sanity={}, notes=())
    (sentence,) = summary(report)
    assert words in sentence
    assert "2.2 times the training events" in sentence


def test_the_whole_comes_first_and_copies_are_no_small_matter():
    scores = {
        "global.p": Score(1e-9, None, 0.5, None, 100),
        "memorisation.ratio": Score(1.0, 0.1, 1.0, 0.0, 100),
        "separation.x": Score(0.01, 0.01, 0.01, 0.0, 100),
        "ks.x": Score(0.2, 0.01, 0.02, 9.0, 100),
    }
    copied = {"exact copy of a training event": {"count": 3, "events": [1, 2, 3]}}
    sanity = {"generated": {"left_out": 0, "broken": 3, "problems": copied, "close_to_training": []}}
    words = summary(Report("table", "fast", {}, 0, scores, sanity))
    assert "the samples differ" in words[0]
    assert any("1 of 1 observables differ" in sentence for sentence in words)
    assert any("single ones are copies" in sentence for sentence in words)
