"""One probability for the whole: it is honest for truth, and small for a difference that any test sees."""

from dataclasses import replace

import awkward as ak
import numpy as np
import pytest
from extracts import SMALL

from hepgen.evaluation.global_test import DISTRIBUTIONS, add_global, factors
from hepgen.evaluation.run import evaluate
from hepgen.evaluation.scores import ScoreBook
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


@pytest.mark.parametrize("weight", [None, "w"])
def test_truth_is_seldom_called_different(weight) -> None:
    found = []
    for seed in range(12):
        random = np.random.default_rng(seed)
        report = evaluate(source(random, 800), source(random, 400), **OPTIONS, weight=weight, settings=WORK, seed=seed)
        found.append(report.scores["global.p"].value)
    assert np.mean(np.array(found) < 0.05) <= 2 / 12
    assert max(found) <= 1.0


@pytest.mark.parametrize(("shifts", "who"), [({"x": 0.5}, "ks.x"), ({"correlation": 0.95}, "chi2ndf_2d.max")])
def test_a_shift_or_a_lost_correlation_makes_it_small(shifts, who) -> None:
    random = np.random.default_rng(3)
    report = evaluate(
        source(random, 3000), source(random, 1500, **shifts), **OPTIONS, settings=replace(WORK, max_events=None)
    )
    score, tests = report.scores["global.p"], {one.name: one for one in report.tests}
    assert score.value < 0.05 < score.floor
    assert score.value == min(one.p * one.factor for one in report.tests)
    assert f"of {len(tests)} tests" in score.comment
    assert tests[who].p * tests[who].factor < 0.01
    assert any("they differ" in note for note in report.notes)


def changed(random: np.random.Generator, what: str) -> MemorySource:
    """1,500 events of which fifteen are copies, not a number, beyond all others or of one value."""
    events = ak.concatenate(list(source(random, 1500).batches()))
    columns = {name: ak.to_numpy(events[name]).copy() for name in events.fields}
    for values in columns.values():
        if what == "copies":
            values[:15] = values[15:30]
    if what in {"nan", "outliers", "spike"}:
        columns["x"][:15] = {"nan": np.nan, "outliers": 40.0, "spike": 0.123}[what]
    return MemorySource(ak.zip(columns, depth_limit=1), source(random, 1).schema)


@pytest.mark.parametrize("what", ["truth", "copies", "nan", "outliers", "spike"])
def test_a_hundredth_of_broken_events_makes_it_small(what) -> None:
    random = np.random.default_rng(5)
    report = evaluate(source(random, 3000), changed(random, what), **OPTIONS, settings=WORK, seed=1)
    score = report.scores["global.p"]
    if what == "truth":
        assert score.value > 0.05
        return
    assert score.value < 1e-3
    assert report.tests[0].family == "broken events"
    if score.without is not None:
        assert score.without > 0.05


def test_copied_training_events_make_it_small() -> None:
    random = np.random.default_rng(6)
    events = ak.concatenate(list(source(random, 1500).batches()))
    schema = source(random, 1).schema
    seen = ak.concatenate([ak.concatenate(list(source(random, 1500).batches())), events[:30]])
    columns = {name: ak.to_numpy(events[name]) for name in events.fields}
    columns["x"] = columns["x"] + 1e-6  # nearly copies
    made = ak.zip(columns, depth_limit=1)
    report = evaluate(
        source(random, 3000),
        MemorySource(made, schema),
        **OPTIONS,
        training=MemorySource(seen, schema),
        settings=replace(WORK, nearest=1500, max_events=None),
    )
    assert report.scores["global.p"].value < 1e-3
    assert report.tests[0].family == "memorisation"


def test_factors_share_the_chance_of_a_false_alarm() -> None:
    families = [DISTRIBUTIONS] * 30 + ["energy distance"] + ["broken events"] * 4 + ["memorisation"] * 2
    found = factors(families)
    assert sum(1 / one for one in found) == pytest.approx(1.0)
    assert found[0] == 60
    assert sum(1 / one for one in factors([DISTRIBUTIONS] * 3)) < 1


def test_tests_without_a_probability_do_not_enter() -> None:
    book = ScoreBook()
    book.add_test("a", "some", float("nan"))
    sentence, tests = add_global(book, (), (), np.zeros((0, 3)), 100)
    assert "No global probability" in sentence
    assert tests == ()
    book.add_test("b", "some", 1e-4, float("nan"))
    _, tests = add_global(book, (), (), np.zeros((0, 3)), 100)
    (only,) = tests
    assert (only.name, only.floor) == ("b", None)
    assert book.scores()["global.p"].value == pytest.approx(1e-4 / (3 / 8))


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
