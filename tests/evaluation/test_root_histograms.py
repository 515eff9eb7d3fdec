"""The histograms of a report as ROOT itself reads them."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import uproot

from hepgen.evaluation.histograms import Axis, Histogram, HistogramPair, Observable
from hepgen.evaluation.root_histograms import write_histograms

VALUES = np.array([-1.0, 0.5, 0.5, 1.5, 7.0])
WEIGHTS = np.array([1.0, -2.0, 1.0, 0.5, 3.0])
LOGARITHMIC = Axis(np.geomspace(1.0, 1000.0, 4), log=True)


def pair(observable: Observable, axis: Axis, weights: np.ndarray | None = None) -> HistogramPair:
    reference, generated = Histogram.empty(axis), Histogram.empty(axis)
    reference.fill(VALUES, weights)
    generated.fill(VALUES[1:4], weights if weights is None else weights[1:4])
    return HistogramPair(observable, reference, generated)


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    target = tmp_path_factory.mktemp("histograms") / "histograms.root"
    write_histograms(
        [
            pair(Observable("mass[0]", "mass", "GeV"), Axis(np.array([0.0, 1.0, 2.0])), WEIGHTS),
            pair(Observable("mass_0", "another mass"), Axis(np.array([0.0, 1.0, 2.0]))),
            pair(Observable("energy.1", "energy in layer 1", "MeV", log=True), LOGARITHMIC),
        ],
        target,
    )
    return target


@pytest.fixture(scope="module")
def root() -> Any:
    return pytest.importorskip("ROOT")


def test_uproot_reads_both_samples_with_variances_and_flow(path: Path) -> None:
    with uproot.open(path) as file:
        names = {f"{sample}/{name}" for sample in ("reference", "generated") for name in ("mass_0", "energy.1")}
        names |= {"reference/mass_0_2", "generated/mass_0_2"}
        assert set(file.keys(cycle=False)) == names | {"reference", "generated"}
        histogram = file["reference/mass_0"]
        np.testing.assert_allclose(histogram.values(flow=True), [1.0, -1.0, 0.5, 3.0])
        np.testing.assert_allclose(histogram.variances(flow=True), [1.0, 5.0, 0.25, 9.0])
        assert histogram.title == "mass"
        assert histogram.axis().member("fTitle") == "mass [GeV]"
        assert file["generated/mass_0_2"].values(flow=True).tolist() == [0, 2, 1, 0]
        assert not path.with_name("histograms.root.part").exists()


def test_a_logarithmic_axis_keeps_its_edges(path: Path) -> None:
    with uproot.open(path) as file:
        np.testing.assert_allclose(file["reference/energy.1"].axis().edges(), LOGARITHMIC.edges)


def test_real_root_reads_contents_errors_and_statistics(root: Any, path: Path) -> None:
    with root.TFile.Open(str(path)) as file:
        weighted, plain, energy = (file.Get(f"reference/{name}") for name in ("mass_0", "mass_0_2", "energy.1"))
        assert weighted.ClassName() == "TH1D"
        assert (weighted.GetName(), weighted.GetTitle()) == ("mass_0", "mass")
        assert weighted.GetXaxis().GetTitle() == "mass [GeV]"
        assert [weighted.GetBinContent(index) for index in range(4)] == [1.0, -1.0, 0.5, 3.0]
        errors = [weighted.GetBinError(index) for index in range(4)]
        assert errors == pytest.approx([1.0, 5.0**0.5, 0.5, 3.0])
        assert weighted.Integral(0, 3) == pytest.approx(WEIGHTS.sum())
        assert weighted.GetEntries() == pytest.approx(WEIGHTS.sum() ** 2 / (WEIGHTS**2).sum())
        assert plain.GetEntries() == len(VALUES)
        assert plain.GetMean() == pytest.approx((0.5 + 0.5 + 1.5) / 3)
        assert plain.GetStdDev() == pytest.approx(np.std([0.5, 0.5, 1.5]))
        assert energy.GetXaxis().IsVariableBinSize()
        assert energy.GetXaxis().GetBinLowEdge(2) == pytest.approx(10.0)
        assert not plain.GetXaxis().IsVariableBinSize()


def test_real_root_adds_and_divides_them_with_their_errors(root: Any, path: Path) -> None:
    with root.TFile.Open(str(path)) as file:
        ratio = file.Get("generated/mass_0_2").Clone("ratio")
        ratio.Divide(file.Get("reference/mass_0_2"))
        assert ratio.GetBinContent(1) == pytest.approx(1.0)
        assert ratio.GetBinError(1) == pytest.approx(1.0)


def test_a_report_without_histograms_and_a_folder_with_a_colon_are_no_obstacle(tmp_path: Path) -> None:
    folder = tmp_path / "seed:1"
    folder.mkdir()
    write_histograms([], folder / "histograms.root")
    with (folder / "histograms.root").open("rb") as stream, uproot.open(stream) as file:
        assert set(file.keys(cycle=False)) == {"reference", "generated"}
