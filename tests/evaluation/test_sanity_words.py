"""What is wrong with events, in words."""

from hepgen.evaluation.report import Report
from hepgen.evaluation.sanity_words import ALLOWED, BROKEN, LEFT_OUT, USUAL, findings, sanity_sentences
from hepgen.evaluation.summary import summary
from hepgen.evaluation.tables import SANITY_HEADER, sanity_rows


def sanity():
    """A sample with one problem in 20 observables, one that is usual, one that is allowed, and unusable events."""
    spiked = {f"x{i} has one value in many events, {i}.5": {"count": 20, "events": [5, 6]} for i in range(20)}
    problems = {
        **spiked,
        "weight or condition is not finite": {"count": 3, "events": [1, 2, 3], "left_out": 3},
        "y is not finite": {"count": 4, "events": [3, 4, 7, 8], "left_out": 1},
        "exact copy of an earlier event": {"count": 60, "events": list(range(20))},
        "negative weight": {"count": 7, "events": [1]},
    }
    common = {"events": 1000, "close_to_training": []}
    usual = {"exact copy of an earlier event": {"count": 50, "events": list(range(20))}}
    return {
        "reference": {**common, "left_out": 0, "broken": 0, "problems": usual},
        "generated": {**common, "left_out": 3, "broken": 23, "problems": problems},
    }


def test_problems_of_one_kind_are_one_finding():
    found = findings(sanity(), "generated")
    assert [(one.count, one.follows) for one in found] == [
        ("3", LEFT_OUT), ("1", LEFT_OUT), ("20", BROKEN), ("3", BROKEN), ("60", USUAL), ("7", ALLOWED),
    ]  # fmt: skip
    assert found[2].words == "one value in many events in 20 observables (x0, x1, x2, ...)"
    assert found[2].events == (5, 6)


def test_counts_of_a_group_may_differ():
    problems = {f"x{i} outside the range of true events, 0 to 1": {"count": i + 1, "events": [i]} for i in range(4)}
    (one,) = findings({"generated": {"events": 9, "problems": problems}}, "generated")
    assert (one.count, one.listed()) == ("1 to 4", "0, 1, 2, 3")


def test_a_note_is_made_of_each_finding():
    notes = sanity_sentences(sanity())
    assert sum("one value in many events" in note for note in notes) == 1
    assert "generated: 3 events are left out of every score." in notes
    assert any("60 of 1000" in note and "counts as no defect" in note for note in notes)


def test_the_summary_keeps_unusable_broken_and_usual_events_apart():
    words = summary(Report("table", "fast", {"reference": 1000, "generated": 1000}, 0, {}, sanity()))
    unusable, broken, usual = words
    assert unusable.startswith("3 generated events are unusable and left out of every score (3 weight or condition")
    assert broken.startswith("23 of the generated events")
    assert "one value in many events in 20 observables" in broken
    assert "copy" not in broken
    assert "weight" not in broken
    assert usual == "What true events do as well counts as no defect (60 exact copy of an earlier event)."


def test_the_table_has_both_samples():
    rows = sanity_rows(Report("table", "fast", {}, 0, {}, sanity()))
    assert all(len(row) == len(SANITY_HEADER) for row in rows)
    assert {row[3] for row in rows} == {"reference", "generated"}


def test_the_same_file_is_noticed_by_its_hash():
    one = [{"path": "a", "size": 3, "sha256": "x"}]
    report = Report("table", "fast", {}, 0, {}, {}, provenance={"files": {"reference": one, "generated": one}})
    assert "judged against itself, by the same file" in summary(report)[0]
    other = {"files": {"reference": one, "generated": [{**one[0], "sha256": "y"}]}}
    assert summary(Report("table", "fast", {}, 0, {}, {}, provenance=other)) == []
