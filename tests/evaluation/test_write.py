"""The report on disk."""

import re
from dataclasses import replace

import numpy as np
import pytest
import uproot
from extracts import SMALL, halves, ttbar

from hepgen.errors import UsageError
from hepgen.evaluation.html import page
from hepgen.evaluation.observable_tables import METRIC_HEADER, METRIC_WORDS
from hepgen.evaluation.one_dimensional import METRICS
from hepgen.evaluation.report import Report
from hepgen.evaluation.run import evaluate
from hepgen.evaluation.sanity_words import sanity_sentences
from hepgen.evaluation.scores import Score
from hepgen.evaluation.shower_images import shower_images
from hepgen.evaluation.summary import summary
from hepgen.evaluation.write import write_report
from hepgen.physics.binning import Binning, Layer


@pytest.fixture(scope="module")
def report():
    reference, generated = halves(ttbar())
    return evaluate(
        reference, generated, kind="table", columns=["n_jets", "n_btag"], conditions=[], settings=SMALL, seed=1
    )


def test_a_report_is_one_page_without_network_and_pictures_in_two_formats(report, tmp_path):
    page = write_report(report, tmp_path / "out", plots=3)
    text = page.read_text()
    assert text.startswith("<!DOCTYPE html>")
    assert not re.findall(r"(?:src|href)=[\"'](?!data:)", text)
    assert "url(" not in text
    assert "prefers-color-scheme: dark" in text
    assert 'name="viewport"' in text
    assert text.count("data:image/png;base64,") == 3
    assert text.index("Summary") < text.index("<table>")
    assert Report.from_json((tmp_path / "out/report.json").read_text()).scores == report.scores
    for name in ("n_jets", "n_btag", "log_weight.all"):
        assert (tmp_path / f"out/plots/{name}.png").read_bytes().startswith(b"\x89PNG")
        assert (tmp_path / f"out/plots/{name}.pdf").read_bytes().startswith(b"%PDF")
    assert not list((tmp_path / "out").glob("*.part"))


def test_the_page_shows_every_score_of_an_observable_beside_its_floor(report, tmp_path):
    text = write_report(report, tmp_path, plots=0).read_text()
    parts = re.split(r"<h2>", text)
    titles = [part.partition("<")[0] for part in parts[1:]]
    assert titles[:5] == ["Summary", "Sanity", "Scores", "Observables", "Divergences"]
    shown = parts[titles.index("Observables") + 1]
    for words in (*METRIC_HEADER, *METRIC_WORDS.values(), "JSD, binned", "squared Hellinger, binned"):
        assert words in shown, words
    score = report.scores["chi2ndf.n_jets"]
    assert f"{score.floor:.3g} | {score.z:+.1f}" in shown
    assert f"\N{PLUS-MINUS SIGN} {score.error:.2g}" in shown
    divergences = parts[titles.index("Divergences") + 1]
    assert "classifier on all columns" in divergences
    assert "histograms of n_btag" in divergences
    assert f"{report.scores['kl_reverse'].value:.3g}" in divergences


def test_scores_in_bins_of_a_condition_are_on_the_page(report):
    scores = {**report.scores, **{f"{metric}.n_jets@a-b": Score(0.123, 0.1, 0.2, 9.0, 50) for metric in METRICS}}
    text = page(replace(report, scores=scores), [])
    assert "<td>a-b</td>" in text
    assert text.count("0.2 | +9.0") == len(METRICS)


def test_the_page_says_of_which_division_the_probabilities_of_kolmogorov_are(report):
    section = page(report, []).partition("What the global probability is made of")[2]
    assert "Kolmogorov distances (ks), of chi2 and of the energy distance are those of the first division" in section
    assert "ks.n_jets" in section


def test_the_page_says_in_words_what_is_not_there(report):
    constant = {f"{metric}.n_jets": Score(None, comment="constant: 4 in both samples") for metric in METRICS[2:]}
    constant["ks.n_jets"] = Score(0.0, 0.0, 0.0, 0.0, 50, comment="constant: 4 in both samples")
    missing = {name: Score(None, n=50, comment="too few events") for name in ("kpd", "fpd", "auc")}
    (weights,) = report.weights
    changed = replace(
        report,
        scores={**report.scores, **constant, **missing},
        weights=(replace(weights, missing=(), surplus=()),),
        sanity={name: {**found, "problems": {}} for name, found in report.sanity.items()},
    )
    text = page(changed, [])
    assert "<td>n_jets<small>constant: 4 in both samples</small></td>" in text
    assert text.count("too few events") == 1
    assert "Not available for 3 scores: too few events: " in text
    assert "The missing and the surplus ones stand out in no observable" in text
    assert "Nothing is wrong with any of the 750 reference and 750 generated events" in text
    assert "KS to the rest" not in text


def test_notes_of_sanity_are_on_the_page_once(report):
    found = {**report.sanity["generated"], "problems": {"x is odd": {"count": 3, "events": [1, 2, 3]}}}
    sanity = {**report.sanity, "generated": found}
    notes = (*sanity_sentences(sanity), "something else.")
    text = page(replace(report, sanity=sanity, notes=notes), [])
    assert text.count("x is odd") == 1
    assert text.index("x is odd") < text.index("<h2>Scores") < text.index("something else.")


def test_images_are_on_the_page_beside_the_plots_and_not_in_the_json(report, tmp_path):
    showers = np.ones((5, 4), dtype=np.float32)
    images = shower_images(showers, showers, Binning((Layer(0, (0.0, 1.0), 1), Layer(1, (0.0, 1.0), 3))))
    with_images = replace(report, images=images)
    assert with_images == report
    assert with_images.to_json() == report.to_json()
    text = write_report(with_images, tmp_path, plots=0).read_text()
    assert text.count("data:image/png;base64,") == 2
    assert text.index("<h2>Pictures") < text.index("mean shower, all layers") < text.index("mean shower in layer 1")
    assert (tmp_path / "plots/shower_layers.pdf").exists()


def test_every_histogram_is_in_the_root_file_even_if_it_is_not_drawn(report, tmp_path):
    write_report(report, tmp_path, plots=0)
    with uproot.open(tmp_path / "histograms.root") as file:
        for pair in report.histograms:
            for sample in ("reference", "generated"):
                histogram = file[f"{sample}/{pair.observable.name}"]
                np.testing.assert_array_equal(histogram.values(flow=True), getattr(pair, sample).counts)
                np.testing.assert_array_equal(histogram.variances(flow=True), getattr(pair, sample).squares)


def test_the_summary_states_auc_floor_and_size(report):
    words = " ".join(summary(report))
    assert "AUC of" in words
    assert "truth against truth gives" in words
    assert "events a side" in words


def test_the_table_shows_every_headline_with_its_size(report):
    rows = {row[0]: row for row in report.table()}
    assert {"auc", "fpd", "ks.max", "separation.mean"} <= set(rows)
    assert "ks.n_jets" not in rows
    assert "ks.n_jets" in {row[0] for row in report.table(everything=True)}


def test_a_folder_that_cannot_be_made_is_a_typed_error(report, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match="cannot be written"):
        write_report(report, tmp_path / "file" / "out")


def test_importing_the_evaluation_does_not_import_matplotlib():
    import subprocess
    import sys

    code = "import sys, hepgen.evaluation.run, hepgen.evaluation.write; sys.exit('matplotlib' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
