"""Several generators in one evaluation: the better one has the higher log-posterior."""

import pytest
from extracts import SMALL, binning, halves, photons, rows_of, showers, table, ttbar

from hepgen.cli.judge import named_files
from hepgen.errors import InputFileError, UsageError
from hepgen.evaluation.headlines import is_headline
from hepgen.evaluation.run import evaluate


def test_generators_of_tables_are_put_in_order():
    reference, generated = halves(ttbar())
    bad = table(generated, met=lambda x: x * 2)
    report = evaluate(reference, generated, kind="table", also={"bad": bad}, settings=SMALL, seed=3)
    good, worse = report.scores["logpost.generated"], report.scores["logpost.bad"]
    assert good.value > worse.value + 0.2
    assert good.floor == worse.floor
    assert is_headline("logpost.bad")
    assert "logpost.bad" in [row[0] for row in report.table()]


def test_generators_of_showers_are_judged_by_voxels_and_by_features():
    reference, generated = halves(photons())
    bad = showers(generated, lambda voxels, energy: (voxels * 3, energy))
    options = {"kind": "calorimeter", "binning": binning(), "threshold": 1.0, "settings": SMALL, "seed": 3}
    found = evaluate(reference, generated, also={"bad": bad}, **options).scores
    for test in ("logpost_low", "logpost_high"):
        assert found[f"{test}.generated"].value > found[f"{test}.bad"].value
    with pytest.raises(InputFileError, match="the bad sample has 20 usable events"):
        evaluate(reference, generated, also={"bad": rows_of(photons(), slice(0, 20))}, **options)


@pytest.mark.parametrize("texts", [["a.root"], ["=a.root"], ["a b=c.root"], ["x=a", "x=b"], ["generated=a.root"]])
def test_what_is_no_name_and_file_is_refused(texts):
    with pytest.raises(UsageError, match=r"cannot read|is taken"):
        named_files(texts)
