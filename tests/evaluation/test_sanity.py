"""Copies, broken events and the scores without them."""

from functools import cache

import awkward as ak
import numpy as np
from extracts import SMALL, halves, table, ttbar

from hepgen.evaluation.report_parts import Problem
from hepgen.evaluation.run import evaluate
from hepgen.evaluation.sanity import Sanity, content_hashes, copied_from, copies
from hepgen.evaluation.summary import summary
from hepgen.events.source import MemorySource

OPTIONS = {"kind": "table", "settings": SMALL, "seed": 2}


def test_equal_events_have_equal_hashes_whatever_the_sign_of_zero():
    raw = np.array([[1.0, 0.0], [1.0, -0.0], [2.0, 0.0], [0.0, 0.0]])
    found = content_hashes(raw, np.ones((4, 1)))
    assert found[0] == found[1] != found[2]
    assert found[3] == 0
    assert copies(found).tolist() == [False, True, False, False]
    assert copied_from(found, found[2:]).tolist() == [False, False, True, False]
    assert content_hashes(raw, np.arange(4.0)[:, None])[0] != content_hashes(raw, np.arange(4.0)[:, None])[1]


def test_a_problem_lists_the_first_events_and_counts_all():
    flags = np.ones(30, dtype=bool)
    one = Problem.of(flags, np.arange(100, 130)[::-1])
    assert (one.count, len(one.events), one.events[0]) == (30, 20, 100)
    assert one.joined(Problem(5, [500])).count == 35
    assert Sanity(1000, 0).with_problems({"a": Problem(0, []), "b": Problem(2, [1, 2])}).habitual() == {"b"}


@cache
def broken_report():
    """One in fifty generated events has a jet that is too hard, one is a copy of a training event, one of another."""
    reference, generated = halves(ttbar())

    def harder(values):
        values[::50] += 1e5
        return values

    made = table(generated, jet1_pt=harder)
    events = ak.concatenate(list(made.batches()))
    events = ak.concatenate([events[:200], events[10:11], events[200:]])
    training = MemorySource(events[300:302], made.schema)
    return evaluate(reference, MemorySource(events, made.schema, batch_size=128), training=training, **OPTIONS)


def test_broken_events_are_counted_and_listed():
    problems = broken_report().sanity["generated"]["problems"]
    (name,) = (name for name in problems if name.startswith("jet1_pt outside the range"))
    assert problems[name]["events"][:3] == [0, 50, 100]
    assert problems[name]["count"] == 15
    assert problems["exact copy of an earlier event"] == {"count": 1, "events": [200]}
    assert problems["exact copy of a training event"] == {"count": 2, "events": [300, 301]}


def test_every_score_is_given_without_them_too():
    report = broken_report()
    for name, score in report.scores.items():
        if score.value is not None and not name.startswith("control."):
            assert score.without is not None, name
    worst = report.scores["mean.jet1_pt"]
    assert worst.value > 10 * abs(worst.without)
    assert report.scores["fpd"].without < report.scores["fpd"].value
    assert report.scores["auc"].without < report.scores["auc"].value + 0.01
    assert "without broken" in report.header()
    assert all(len(row) == len(report.header()) for row in report.table())
    assert any("every score is given without them" in sentence for sentence in summary(report))
    assert any(note.startswith("generated: 2 of 751 events: exact copy of a training event") for note in report.notes)


def test_where_nothing_is_broken_nothing_is_given_twice():
    reference, generated = halves(ttbar())
    report = evaluate(reference, generated, **OPTIONS)
    assert report.sanity["generated"]["broken"] == 0
    assert not report.has_broken
    assert report.header() == ("score", "generated", "floor", "z", "n", "remark")


def test_copies_that_the_reference_has_too_are_no_defect():
    reference, generated = halves(ttbar())
    columns = ["n_jets", "n_btag"]
    report = evaluate(reference, generated, columns=columns, **OPTIONS)
    assert report.sanity["generated"]["problems"]["exact copy of an earlier event"]["count"] > 700
    assert report.sanity["generated"]["broken"] == 0
    assert any("counts as no defect" in note for note in report.notes)


def test_pairs_that_are_too_close_are_listed():
    reference, generated = halves(ttbar())
    rng = np.random.default_rng(0)
    near = {"jet1_pt": lambda x: x * (1 + 1e-5 * rng.normal(size=len(x)).astype(x.dtype))}
    training = ak.concatenate(list(generated.batches()))[:300]
    report = evaluate(reference, table(generated, **near), training=MemorySource(training, generated.schema), **OPTIONS)
    pairs = report.sanity["generated"]["close_to_training"]
    assert len(pairs) > 20
    assert all(made == trained for made, trained in pairs)
    (sentence,) = (sentence for sentence in summary(report) if "suspiciously close to a training event" in sentence)
    assert sentence.startswith(f"Among 200 generated events that were looked at, {len(pairs)} are")
    assert "suspiciously close" in " ".join(report.notes)


def test_columns_that_do_not_follow_their_definition_are_broken():
    samples = []
    for source in halves(ttbar()):
        masses = np.concatenate([ak.to_numpy(batch["m_wbb"]) for batch in source.batches()])
        samples.append(table(source, m_wwbb=lambda _, masses=masses: masses))
    reference, generated = samples
    higher = table(generated, m_wbb=lambda x: np.where(np.arange(len(x)) % 50 == 0, 1.01 * x, x).astype(x.dtype))
    laws = {"m_wbb": "m_wwbb"}
    report = evaluate(reference, higher, laws=laws, **OPTIONS)
    assert report.sanity["generated"]["problems"]["m_wbb is not what its definition gives"]["count"] == 15
    assert report.scores["ks.m_wbb"].without is not None
    assert "ks.m_wwbb" not in report.scores
    assert not evaluate(reference, generated, laws=laws, **OPTIONS).has_broken
