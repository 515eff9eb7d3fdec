"""The events that weigh most and least, as rows of text."""

from __future__ import annotations

from hepgen.evaluation.report import Report

EXTREME_HEADER = ("classifier", "sample", "weights", "events")
EXTREME_WORDS = (
    "The events of the largest and of the smallest weights by their number in the sample, with the weight in brackets. True"
    " events of large weights are most missing, generated ones of small weights most in surplus."
)


def extreme_rows(report: Report) -> list[tuple[str, ...]]:
    """A row for each classifier, sample and end."""
    return [
        (
            one.test,
            sample,
            end,
            ", ".join(f"{found.event} ({found.weight:.3g})" for found in getattr(getattr(one, sample), end)),
        )
        for one in report.weights
        for sample in ("reference", "generated")
        for end in ("largest", "smallest")
    ]
