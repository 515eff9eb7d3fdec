"""Where a generator fails: a known defect is found, in the right events and observables."""

from dataclasses import replace

import awkward as ak
import numpy as np
import pytest
from extracts import SMALL

from hepgen.evaluation.report import Report
from hepgen.evaluation.run import evaluate
from hepgen.evaluation.summary import summary
from hepgen.evaluation.write import write_report
from hepgen.events.schema import Column, Schema
from hepgen.events.source import MemorySource

OPTIONS = {"kind": "table", "columns": ["met", "pt", "eta"], "conditions": [], "weight": None}
WORK = replace(SMALL, max_events=None)


def events(count: int, seed: int) -> dict[str, np.ndarray]:
    random = np.random.default_rng(seed)
    return {"met": random.exponential(40, count), "pt": random.exponential(60, count), "eta": random.normal(size=count)}


def source(columns: dict[str, np.ndarray]) -> MemorySource:
    return MemorySource(ak.zip(columns, depth_limit=1), Schema(tuple(Column(n, "float64") for n in columns), tree="t"))


@pytest.fixture(scope="module")
def report() -> tuple[Report, np.ndarray, np.ndarray]:
    """A fifth of the generated events has a met that no other has; met of reference and of generated events."""
    true, made = events(8000, 1), events(4000, 2)
    made["met"] += np.where(np.arange(4000) % 5 == 0, 300.0, 0.0)
    return evaluate(source(true), source(made), **OPTIONS, settings=WORK, seed=1), true["met"], made["met"]


def test_the_observable_and_the_events_that_fail_are_named(report) -> None:
    found, true, made = report
    (weights,) = found.weights
    assert weights.surplus[0].observable == "met"
    assert weights.surplus[0].tail > weights.surplus[0].rest + 200
    assert np.median(made[[one.event for one in weights.generated.smallest]]) > 300
    assert np.median(made[[one.event for one in weights.generated.largest]]) < 300
    assert np.median(true[[one.event for one in weights.reference.largest]]) < 300
    for extremes in (weights.reference, weights.generated):
        values = [[one.weight for one in end] for end in (extremes.largest, extremes.smallest)]
        assert values == [sorted(values[0], reverse=True), sorted(values[1])]
        assert min(values[0]) > 1 > max(values[1])
    assert 0.5 < weights.effective < 0.95
    assert any("surplus events in met" in sentence for sentence in summary(found))
    assert found.scores["hellinger"].value > 3 * abs(found.scores["hellinger"].floor)
    assert found.scores["kl_reverse"].value > 0.05


def test_truth_has_even_weights() -> None:
    (weights,) = evaluate(source(events(8000, 3)), source(events(4000, 4)), **OPTIONS, settings=WORK, seed=1).weights
    assert weights.effective > 0.95


def test_the_weights_are_drawn_written_and_read(report, tmp_path) -> None:
    found, _, _ = report
    (picture,) = (pair for pair in found.histograms if pair.observable.name.startswith("log_weight"))
    for histogram in (picture.reference, picture.generated):
        assert histogram.counts.sum() == pytest.approx(found.weights[0].n, rel=0.1)
    assert Report.from_json(found.to_json()).weights == found.weights
    page = write_report(found, tmp_path, plots=2).read_text()
    assert (tmp_path / "plots" / "log_weight.all.png").exists()
    assert "Where it fails" in page
    first = found.weights[0].reference.largest[0]
    assert f"{first.event} ({first.weight:.3g})" in page
    assert "<td>met</td>" in page.replace(' class="remark"', "")
