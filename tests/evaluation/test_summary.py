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
