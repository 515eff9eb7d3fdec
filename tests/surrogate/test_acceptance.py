"""Accepting events: every column has the law of the training events afterwards."""

import json

import awkward as ak
import numpy as np
import pytest
from scipy.stats import ks_2samp

from hepgen.surrogate.acceptance import Acceptance, columns_of

EVENTS = 20_000


def sample(seed: int, *, shift: float, correlation: float, zeros: float, missing: float) -> dict[str, np.ndarray]:
    random = np.random.default_rng(seed)
    x = random.normal(shift, 1, EVENTS)
    y = correlation * x + np.sqrt(1 - correlation**2) * random.normal(size=EVENTS)
    flag = (random.random(EVENTS) >= zeros).astype(float)
    holes = np.where(random.random(EVENTS) < missing, np.nan, random.exponential(size=EVENTS))
    return {"x": x, "y": y, "sum": x + y, "flag": flag, "holes": holes, "constant": np.ones(EVENTS)}


MADE = sample(1, shift=0.2, correlation=0.3, zeros=0.4, missing=0.1)
TRUE = sample(2, shift=0.0, correlation=0.5, zeros=0.5, missing=0.2)


def kept(acceptance: Acceptance, seed: int = 3) -> dict[str, np.ndarray]:
    fresh = sample(seed, shift=0.2, correlation=0.3, zeros=0.4, missing=0.1)
    chosen = acceptance.accept(fresh, np.random.default_rng(seed).random(EVENTS))
    assert chosen.mean() == pytest.approx(acceptance.efficiency, abs=0.02)
    return {name: values[chosen] for name, values in fresh.items()}


def test_accepted_events_have_the_laws_of_the_truth_in_every_column() -> None:
    before = {name: ks_2samp(values, TRUE[name]).statistic for name, values in MADE.items() if name != "holes"}
    assert min(before["x"], before["sum"], before["flag"]) > 0.05
    events = kept(Acceptance.fit(MADE, TRUE))
    # a KS distance of samples of 8,000 and 20,000 is above 0.03 less than once in ten thousand times
    assert all(ks_2samp(values, TRUE[name]).statistic < 0.03 for name, values in events.items() if name != "holes")
    assert np.isnan(events["holes"]).mean() == pytest.approx(0.2, abs=0.02)
    assert np.corrcoef(events["x"], events["y"])[0, 1] == pytest.approx(0.5, abs=0.05)


def test_the_truth_is_taken_with_its_weights_negative_ones_too() -> None:
    weight = np.where(TRUE["flag"] > 0, 3.0, 1.0)
    weight[::10] *= -1.0
    events = kept(Acceptance.fit(MADE, TRUE, weight))
    assert events["flag"].mean() == pytest.approx(0.75, abs=0.02)


def test_the_same_laws_are_left_as_they_are() -> None:
    fitted = Acceptance.fit(MADE, sample(4, shift=0.2, correlation=0.3, zeros=0.4, missing=0.1))
    assert fitted.efficiency > 0.7
    # x, y and their sum can make up for each other: what counts is the weight
    assert sum(term(MADE[term.column]) for term in fitted.terms).std() < 0.1


def test_few_events_say_little() -> None:
    few = {name: values[:30] for name, values in TRUE.items()}
    fitted = Acceptance.fit(MADE, few)
    assert fitted.efficiency > 0.02


def test_it_comes_back_from_json() -> None:
    fitted = Acceptance.fit(MADE, TRUE)
    again = Acceptance.from_dict(json.loads(json.dumps(fitted.to_dict())))
    assert again == fitted
    assert "constant" not in {term.column for term in fitted.terms}


def test_a_column_without_any_value_says_nothing() -> None:
    empty = np.full(100, np.nan)
    fitted = Acceptance.fit({"x": empty}, {"x": empty})
    assert fitted.terms == ()
    assert fitted.efficiency == 1.0


def test_batches_become_numbers_with_missing_values_and_elements_apart() -> None:
    batch = ak.Array({"n": ak.Array([1, None]), "b": [True, False]})
    batch["p"] = ak.from_numpy(np.array([[1.0, 2.0], [3.0, 4.0]], dtype="f4"), regulararray=True)
    found = columns_of(batch)
    assert list(found) == ["n", "b", "p[0]", "p[1]"]
    assert np.isnan(found["n"][1])
    assert found["b"].tolist() == [1.0, 0.0]
    assert found["p[1]"].tolist() == [2.0, 4.0]
