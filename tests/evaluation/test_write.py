"""The report on disk."""

import re
from dataclasses import replace

import numpy as np
import pytest
import uproot
from extracts import SMALL, halves, ttbar

from hepgen.errors import UsageError
from hepgen.evaluation.report import Report
from hepgen.evaluation.run import evaluate
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
