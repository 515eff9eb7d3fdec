"""Counts of events that truth hardly has go into the global test, each with its probability."""

import numpy as np
import pytest

from hepgen.evaluation.counted import DEFECTS, TAILS, add_defect_tests, add_limit_test, add_tail_tests
from hepgen.evaluation.domain import Pool
from hepgen.evaluation.histograms import Observable
from hepgen.evaluation.report_parts import Problem
from hepgen.evaluation.sanity import COPIES, NEGATIVE_WEIGHT, TRAINED, Sanity
from hepgen.evaluation.scores import ScoreBook
from hepgen.evaluation.splits import random_split

XY = (Observable("x", "x", "GeV"), Observable("y", "y", "GeV"))


def pool(values, weights=None, problems=None):
    size = len(values)
    w = np.ones(size) if weights is None else weights
    return Pool(size, values, np.zeros((size, 0)), w, values[:0], np.arange(size), problems or {})


def ordered(rng, size):
    """x is never above y."""
    return np.sort(rng.exponential(size=(size, 2)), axis=1)


def found_in(book):
    return {name: p for name, _, p, _ in book.tests}


@pytest.mark.parametrize("weighted", [False, True])
def test_a_cut_tail_is_seen_and_truth_is_not(weighted) -> None:
    rng = np.random.default_rng(1)
    reference, made = ordered(rng, 8000), ordered(rng, 4000)
    weights = [rng.uniform(0.5, 1.5, len(x)) if weighted else None for x in (reference, made)]
    split = random_split(8000, 4000, 4000, rng)
    truth, book = ScoreBook(), ScoreBook()
    add_tail_tests(truth, pool(reference, weights[0]), pool(made, weights[1]), XY, split)
    assert {family for _, family, _, _ in truth.tests} == {TAILS}
    assert min(found_in(truth).values()) > 0.01
    cut = made.copy()
    cut[cut[:, 1] > np.quantile(made[:, 1], 0.99)] = made[0]
    add_tail_tests(book, pool(reference, weights[0]), pool(cut, weights[1]), XY, split)
    assert found_in(book)["tail_high.y"] < 1e-6
    assert found_in(book)["tail_low.y"] > 0.01


@pytest.mark.parametrize("what", ["order", "range", "shared value"])
def test_a_hundredth_of_broken_events_is_seen(what) -> None:
    rng = np.random.default_rng(2)
    reference, made = ordered(rng, 8000), ordered(rng, 4000)
    split = random_split(8000, 4000, 4000, rng)
    truth, book = ScoreBook(), ScoreBook()
    add_limit_test(truth, pool(reference), pool(made), XY, split, ordered=True)
    if what == "order":
        made[:40] = made[:40, ::-1]
    elif what == "range":
        made[:40, 1] = 1e3
    else:
        made[:40, 0] = 0.25
        made[:40, 1] += 0.25
    add_limit_test(book, pool(reference), pool(made), XY, split, ordered=True)
    assert min(found_in(truth).values()) > 0.05
    assert book.tests[0][1] == DEFECTS
    assert min(found_in(book).values()) < 1e-9


def sample(events, problems=None, hashes=None, weights=None):
    """A sample of which some events have a problem, by name and number."""
    flags = {name: np.arange(events) < count for name, count in (problems or {}).items()}
    sanity = Sanity(events, 0).with_problems({name: Problem.of(one) for name, one in flags.items()})
    hashes = np.arange(1, events + 1, dtype=np.uint64) if hashes is None else hashes
    return pool(np.zeros((events, 1)), weights, flags), sanity, hashes


def test_defects_are_compared_with_those_of_truth_at_any_size() -> None:
    names = {"broken", "missing", COPIES, TRAINED, NEGATIVE_WEIGHT}
    book = ScoreBook()
    true = sample(3000, {"missing": 300, TRAINED: 30, NEGATIVE_WEIGHT: 0})
    made = sample(1000, {"missing": 100, TRAINED: 10, NEGATIVE_WEIGHT: 50, "broken": 10})
    add_defect_tests(book, names, true, made)
    found = found_in(book)
    assert set(found) == {"broken", "missing", TRAINED}  # no copies anywhere; negative weights are no defect
    assert found["broken"] < 1e-5
    assert min(found["missing"], found[TRAINED]) > 0.3
    few = ScoreBook()
    add_defect_tests(few, names, true, sample(1000, {"missing": 20}))
    assert found_in(few)["missing"] < 1e-9  # what truth has and generated events have not
    assert found_in(few)[TRAINED] == 1.0


def test_copies_are_improbable_where_truth_has_none() -> None:
    hashes = np.arange(5001, 6001, dtype=np.uint64)
    hashes[:10] = hashes[10:20]
    book = ScoreBook()
    add_defect_tests(book, {COPIES}, sample(2000), sample(1000, {COPIES: 10}, hashes))
    assert found_in(book)[COPIES] == pytest.approx((1 / 9) ** 10, rel=1e-6)


def test_with_weights_shares_of_weights_are_compared() -> None:
    book = ScoreBook()
    light = np.where(np.arange(1000) < 400, 0.25, 1.5)  # 400 events of a quarter are 100 of 1,000
    true, made = sample(1000, {"missing": 100}), sample(1000, {"missing": 400}, weights=light)
    add_defect_tests(book, {"missing"}, true, made)
    assert found_in(book)["missing"] > 0.3
    plain = ScoreBook()
    add_defect_tests(plain, {"missing"}, true, sample(1000, {"missing": 400}))
    assert found_in(plain)["missing"] < 1e-9
