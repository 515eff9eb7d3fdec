from __future__ import annotations

import pytest
from extracts import SMALL, binning, halves, photons, ttbar

from hepgen.cli.requirements import check_names, domain_of
from hepgen.errors import ConfigError
from hepgen.evaluation.gates import Gate
from hepgen.evaluation.run import evaluate

SHOWERS = {"kind": "calorimeter", "binning": binning()}
TABLE = {"kind": "table", "columns": ["met", "m_bb"], "conditions": ["n_btag"], "weight": None}


def check(name, options=SHOWERS, schema=None, *, published=False, training=False):
    domain = domain_of(options, schema or photons()[1])
    check_names([Gate(name, "<", 0.7)], domain, published=published, training=training)


def table(name):
    check(name, TABLE, ttbar()[1])


@pytest.mark.parametrize("options", [SHOWERS, TABLE], ids=["showers", "table"])
def test_every_score_of_a_report_may_be_required(options) -> None:
    reference, made = halves(photons() if options is SHOWERS else ttbar())
    report = evaluate(reference, made, **options, settings=SMALL, seed=1, training=reference)
    assert any(name[-1].isdigit() for name in report.scores)  # of bins
    gates = [Gate(name, "<", 1.0) for name in report.scores]
    check_names(gates, domain_of(options, reference.schema), published=False, training=True)


@pytest.mark.parametrize(
    ("name", "word"),
    [
        ("auc_hihg", "did you mean 'auc_high'"),
        ("auc", "did you mean 'auc_"),
        ("profile.77", "did you mean 'profile."),
        ("separation.respons", "did you mean 'separation.response'"),
        ("quality", "auc_low"),
        ("kpd_median", "--protocol calochallenge"),
        ("memorisation.ratio", "--training"),
        ("auc_high@eta=1", "such as auc_high@1024; conditions: incident_energy"),
    ],
)
def test_a_score_that_no_report_on_showers_has_is_refused(name, word) -> None:
    with pytest.raises(ConfigError) as caught:
        check(name)
    assert word in caught.value.hint
    assert caught.value.where == f"--require {name}<0.7"


@pytest.mark.parametrize(
    ("name", "word"),
    [
        ("auc_high", "a table has auc, "),
        ("ks.mett", "did you mean 'ks.met'"),
        ("auc@2", "such as auc@n_btag=1-2"),
        ("response.mean.max", ""),
    ],
)
def test_a_score_that_no_report_on_a_table_has_is_refused(name, word) -> None:
    with pytest.raises(ConfigError) as caught:
        table(name)
    assert word in caught.value.hint


def test_what_only_an_option_brings_is_allowed_with_it() -> None:
    check("kpd_median", published=True)
    check("memorisation.close", training=True)


def test_bins_are_known_only_from_the_events() -> None:
    check("auc_low@1024")
    check("response.width.1024-2048.5")
    table("ks.max@n_btag=2")
    with pytest.raises(ConfigError, match="there are no conditions"):
        check("auc@1", {**TABLE, "conditions": []}, ttbar()[1])
