"""One probability for the whole: it is honest for truth, and small for a difference that any test sees."""

from dataclasses import replace

import awkward as ak
import numpy as np
import pytest
import scipy.stats
from extracts import SMALL

from hepgen.classifiers.calibration import area_under_curve
from hepgen.evaluation.global_test import kolmogorov_p, mann_whitney_p
from hepgen.evaluation.metrics import effective_events
from hepgen.evaluation.run import evaluate
from hepgen.events.schema import Column, Schema
from hepgen.events.source import MemorySource

WORK = replace(SMALL, trees=replace(SMALL.trees, rounds=10), folds=1)
OPTIONS = {"kind": "table", "columns": ["x", "y", "n"], "conditions": []}


def source(random: np.random.Generator, count: int, correlation: float = 0.0, **shifts: float) -> MemorySource:
    x = random.normal(size=count)
    y = correlation * x + np.sqrt(1 - correlation**2) * random.normal(size=count)
    columns = {
        "x": x + shifts.get("x", 0.0),
        "y": y,
        "n": random.integers(0, 4, count),
        "w": random.uniform(0.2, 1.8, count),
    }
    kinds = {"n": "int64"}
    return MemorySource(
        ak.zip(columns, depth_limit=1),
        Schema(tuple(Column(one, kinds.get(one, "float64")) for one in columns), tree="t"),
    )


def test_probabilities_are_those_of_scipy() -> None:
    random = np.random.default_rng(1)
    x, y = random.normal(size=900), random.normal(0.1, 1, size=700)
    exact = scipy.stats.ks_2samp(x, y)
    assert kolmogorov_p(exact.statistic, 900, 700) == pytest.approx(exact.pvalue, rel=0.1)
    labels = np.repeat([0.0, 1.0], [900, 700])
    auc = area_under_curve(np.concatenate([x, y]), labels)
    expected = scipy.stats.mannwhitneyu(y, x, alternative="greater", method="asymptotic", use_continuity=False)
    assert mann_whitney_p(auc, 900, 700) == pytest.approx(expected.pvalue, rel=1e-6)
    assert effective_events(np.array([1.0, -1.0, 2.0])) == pytest.approx(4 / 6)


@pytest.mark.parametrize("weight", [None, "w"])
def test_truth_is_seldom_called_different(weight) -> None:
    found = []
    for seed in range(12):
        random = np.random.default_rng(seed)
        report = evaluate(source(random, 800), source(random, 400), **OPTIONS, weight=weight, settings=WORK, seed=seed)
        found.append(report.scores["global.p"].value)
    assert np.mean(np.array(found) < 0.05) <= 2 / 12
    assert max(found) <= 1.0


@pytest.mark.parametrize(("shifts", "who"), [({"x": 0.5}, "ks.x"), ({"correlation": 0.95}, "")])
def test_a_shift_or_a_lost_correlation_makes_it_small(shifts, who) -> None:
    random = np.random.default_rng(3)
    report = evaluate(
        source(random, 3000), source(random, 1500, **shifts), **OPTIONS, settings=replace(WORK, max_events=None)
    )
    score = report.scores["global.p"]
    assert score.value < 0.05 < score.floor
    assert "of 5 tests" in score.comment
    assert who in score.comment
    assert any("they differ" in note for note in report.notes)


def test_missing_values_do_not_make_truth_look_different() -> None:
    found = []
    for seed in range(12):
        random = np.random.default_rng(seed)
        columns = [{name: random.normal(size=size) for name in ("x", "y", "n", "w")} for size in (1600, 800)]
        for one in columns:
            one["x"][random.uniform(size=len(one["x"])) < 0.9] = np.nan
        schema = Schema(tuple(Column(name, "float64") for name in ("x", "y", "n", "w")), tree="t")
        sources = [MemorySource(ak.zip(one, depth_limit=1), schema) for one in columns]
        found.append(evaluate(*sources, **OPTIONS, settings=WORK, seed=seed).scores["global.p"].value)
    assert np.mean(np.array(found) < 0.05) <= 2 / 12
