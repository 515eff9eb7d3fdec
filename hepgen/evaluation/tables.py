"""Tables of a report as rows of text."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from hepgen.evaluation.report import Report
from hepgen.evaluation.sanity_words import findings


def file_stem(name: str) -> str:
    """A file name for an observable.

    Example:
        >>> file_stem("Jet_pt[0]/x")
        'Jet_pt_0_x'
    """
    return re.sub(r"[^A-Za-z0-9._-]+", "_", name).strip("_") or "observable"


def number(value: float | None, digits: int = 4) -> str:
    """A number for a table, a dash where there is none."""
    return "-" if value is None else f"{value:.{digits}g}"


def rounded(count: float) -> str:
    """A large number to three digits, without an exponent.

    Example:
        >>> rounded(18477.75)
        '18500'
    """
    return f"{float(f'{count:.3g}'):.0f}"


_IN_BIN = re.compile(r"(auc\w*|separation\.mean|separation\.max|ks\.max)@")


def condition_rows(report: Report) -> list[tuple[str, ...]]:
    """Per bin of the conditions: the scores over all observables that were made there, and of layers, with their floors."""
    return [
        (name, score.text(), number(score.floor), score.z_text(), str(score.n))
        for name, score in report.scores.items()
        if _IN_BIN.match(name) or (name.startswith(("response.", "profile.")) and not name.endswith(".max"))
    ]


def standout_rows(report: Report) -> list[tuple[str, ...]]:
    """Per classifier: the observables in which missing and surplus events stand out."""
    return [
        (spectrum.test, what, one.observable, number(one.ks, 3), number(one.tail), number(one.rest))
        for spectrum in report.weights
        for what, found in (("missing", spectrum.missing), ("surplus", spectrum.surplus))
        for one in found
    ]


def sanity_rows(report: Report) -> list[tuple[str, ...]]:
    """What is wrong with single events of either sample: in how many, what follows, and the numbers of the first of them."""
    return [
        (one.words, one.count, one.follows, which, one.listed())
        for which in report.sanity
        for one in findings(report.sanity, which)
    ]


def global_rows(report: Report) -> list[tuple[str, ...]]:
    """What the global probability is made of: p, that of truth, what corrects it, and the product, the smallest first."""
    return [
        (
            one.name,
            one.family,
            number(one.p, 2),
            number(one.floor, 2),
            number(one.factor),
            number(min(1.0, one.p * one.factor), 2),
        )
        for one in report.tests
    ]


GLOBAL_HEADER = ("test", "family", "p", "floor", "times", "is")

SANITY_HEADER = ("problem", "events", "counted as", "sample", "numbers of the first")

STANDOUT_HEADER = ("classifier", "events", "observable", "KS to the rest", "median", "median of the rest")

CONDITION_HEADER = ("score", "value", "floor", "z", "n")


def provenance_rows(report: Report) -> list[tuple[str, ...]]:
    """What the provenance says, one entry a row, named by where it stands."""
    return list(_leaves(report.provenance))


def _leaves(value: object, name: str = "") -> Iterator[tuple[str, ...]]:
    if isinstance(value, Mapping):
        for key, inner in value.items():
            yield from _leaves(inner, f"{name}.{key}" if name else str(key))
    elif isinstance(value, list):
        for number, inner in enumerate(value):
            yield from _leaves(inner, f"{name}.{number}" if len(value) > 1 else name)
    else:
        yield (name, str(value))


PROVENANCE_HEADER = ("what", "is")
