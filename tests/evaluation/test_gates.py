"""Quality gates."""

import pytest

from hepgen.errors import ConfigError, QualityGateError
from hepgen.evaluation.gates import check_gates, parse_gates
from hepgen.evaluation.report import Report
from hepgen.evaluation.scores import Score


def report(**scores):
    return Report("table", "fast", {}, 0, scores, {})


GOOD = report(
    auc_high=Score(0.7, 0.01, 0.5, 20.0, 1000), auc_low=Score(0.6, 0.01), w=Score(None, comment="not defined")
)


@pytest.mark.parametrize("text", ["auc_high<0.75", "auc_high <= 0.7", " auc_high>0.5", "auc_high>=0.7"])
def test_a_requirement_that_holds_passes(text):
    check_gates(GOOD, [text])


def test_each_failing_requirement_is_listed_with_value_and_error():
    with pytest.raises(QualityGateError) as caught:
        check_gates(GOOD, ["auc_high<0.65", "auc_low<0.65", "auc_low<0.55"])
    words = str(caught.value)
    assert "2 requirements do not hold" in words
    assert "auc_high = 0.7 +- 0.01, required < 0.65, off by 0.05" in words
    assert "auc_low = 0.6 +- 0.01, required < 0.55" in words
    assert caught.value.exit_code == 5


def test_a_score_without_value_fails_its_requirement():
    with pytest.raises(QualityGateError, match="not available \\(not defined\\)"):
        check_gates(GOOD, ["w<1"])


def test_an_unknown_score_is_a_slip_of_the_pen():
    with pytest.raises(ConfigError, match="did you mean 'auc_high'"):
        check_gates(GOOD, ["auc_hihg<0.75"])


@pytest.mark.parametrize("text", ["auc_high", "auc_high=0.5", "<0.5", "auc_high<x", "auc_high<nan", "auc_high<"])
def test_what_cannot_be_read_is_refused(text):
    with pytest.raises(ConfigError):
        parse_gates([text])


def test_the_name_of_a_bin_may_hold_an_equals_sign() -> None:
    (gate,) = parse_gates(["auc@n_btag=1<0.7"])
    assert (gate.name, gate.sign, gate.limit) == ("auc@n_btag=1", "<", 0.7)


def test_a_gate_on_a_score_that_is_not_there_hides_no_other():
    report = Report("table", "fast", {}, 0, {"auc": Score(0.7, 0.01, 0.5, 20.0, 100)}, {})
    with pytest.raises(QualityGateError, match=r"auc = 0\.7 .*fpd_intercept is not in the report"):
        check_gates(report, ["fpd_intercept<1", "auc<0.6"])
    with pytest.raises(ConfigError, match="no score 'fpd_intercept'"):
        check_gates(report, ["fpd_intercept<1", "auc<0.8"])
