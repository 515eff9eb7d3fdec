"""The report in plain words."""

from __future__ import annotations

import pytest

from hepgen.evaluation.report import Report, Score
from hepgen.evaluation.summary import summary


@pytest.mark.parametrize(("value", "doubted"), [(0.52, True), (0.7, True), (0.8, False), (0.97, False)])
def test_a_blind_control_takes_back_a_good_score_but_not_a_bad_one(value: float, doubted: bool) -> None:
    score = Score(value, 0.01, floor=0.5, n=1000, comment="blind: control 0.80")
    report = Report(kind="table", protocol="fast", seed=1, n={}, scores={"auc": score}, sanity={}, notes=())
    (sentence,) = summary(report)
    assert ("Do not lean on this" in sentence) == doubted
