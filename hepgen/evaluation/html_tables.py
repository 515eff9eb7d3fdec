"""Tables of scores as HTML: each value above its floor and z, differences marked, on narrow screens scrolled sideways."""

from __future__ import annotations

import html
from collections.abc import Sequence

from hepgen.evaluation.headlines import is_headline
from hepgen.evaluation.observable_tables import (
    DIVERGENCE_HEADER,
    METRIC_HEADER,
    ObservableScores,
    Row,
    divergence_rows,
    observable_scores,
)
from hepgen.evaluation.one_dimensional import CONSTANT
from hepgen.evaluation.report import Report
from hepgen.evaluation.scores import Score
from hepgen.evaluation.tables import number, rounded

_NAMED = 5
_SHOWN = 3  # observables of which the binned divergences are shown unfolded


def plain_table(header: Sequence[str], rows: Sequence[Sequence[str]], *, words: Sequence[int] = ()) -> str:
    """A table of text; the columns ``words`` hold sentences, which wrap."""
    kinds = ["words" if index in words else "" for index in range(len(header))]
    lines = [[_cell(text, kind) for text, kind in zip(cells, kinds, strict=True)] for cells in rows]
    return _table([_cell(text, kind, "th") for text, kind in zip(header, kinds, strict=True)], lines)


def folded(title: str, content: str) -> str:
    """Something behind a title."""
    return f"<details><summary>{html.escape(title)}</summary>{content}</details>" if content else ""


def headline_table(report: Report) -> str:
    """The short table, and below it what is not available, by its reason."""
    broken = report.has_broken
    header = ("score", "generated", "floor", "z", *(("without broken",) if broken else ()), "n", "remark")
    shown = [(name, score) for name, score in report.scores.items() if is_headline(name)]
    rows = [
        [
            _cell(name),
            *_scored_cells(score, broken),
            _cell(str(score.n)),
            _cell(score.comment, "words"),
        ]
        for name, score in shown
        if score.value is not None
    ]
    kinds = ["words" if text == "remark" else "" for text in header]
    table = _table([_cell(text, kind, "th") for text, kind in zip(header, kinds, strict=True)], rows)
    return table + _not_available("score", [(name, score.comment) for name, score in shown if score.value is None])


def observable_section(report: Report) -> str:
    """The scores of all observables in one table, then those of each, with errors, and in bins of the conditions."""
    observables = observable_scores(report)
    rows = [
        [_cell(one.name, below=one.constant), *(_score_cell(score) for score in one.metrics)] for one in observables
    ]
    # what a constant one lacks it says below its name
    missing = [
        (one.name, f"{words} ({score.comment})" if score.comment else words)
        for one in observables
        for words, score in one.rows()
        if score.value is None and CONSTANT not in score.comment
    ]
    return (
        _table([_cell(text, "", "th") for text in ("observable", *METRIC_HEADER)], rows)
        + _not_available("observable", missing)
        + folded(
            f"Each observable with errors, divergences and bins of the conditions ({len(observables)})",
            "".join(_details(one) for one in observables),
        )
    )


def divergence_section(report: Report) -> str:
    """The f-divergences by classifiers and of histograms, the largest of these first."""
    by_classifier, binned = divergence_rows(report)
    header = [_cell(text, "", "th") for text in ("estimate", *DIVERGENCE_HEADER)]
    top = [*by_classifier, *((f"histograms of {name}", scores) for name, scores in binned[:_SHOWN])]
    rest = _table(header, [_wide_row(row) for row in binned[_SHOWN:]]) if len(binned) > _SHOWN else ""
    return _table(header, [_wide_row(row) for row in top]) + folded(
        f"Histograms of the other observables ({len(binned) - _SHOWN})", rest
    )


def _details(one: ObservableScores) -> str:
    """All scores of an observable with their errors, and the metrics in every bin."""
    scored = [(words, score) for words, score in one.rows() if score.value is not None]
    broken = any(score.without is not None for _, score in scored)
    header = ("score", "generated", "floor", "z", *(("without broken",) if broken else ()))
    rows = [
        [
            _cell(words),
            *_scored_cells(score, broken),
        ]
        for words, score in scored
    ]
    sizes = sorted({score.n for _, score in scored})
    words = f"{', '.join(map(str, sizes))} events a side. {one.constant}{'.' if one.constant else ''}"
    content = f"<p class='facts'>{html.escape(words)}</p>" + _table([_cell(text, "", "th") for text in header], rows)
    if one.bins:
        header = ("bin", *METRIC_HEADER)
        content += "<p class='facts'>In bins of the conditions; below each score its error, and its floor | z.</p>"
        content += _table([_cell(text, "", "th") for text in header], [_wide_row(row) for row in one.bins])
    return folded(one.name + (" *" if one.differs else ""), content)


def _not_available(what: str, missing: Sequence[tuple[str, str]]) -> str:
    """One sentence for each reason, from names and reasons."""
    by_reason: dict[str, list[str]] = {}
    for name, reason in missing:
        by_reason.setdefault(reason, []).append(name)
    sentences = []
    for reason, names in by_reason.items():
        more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
        count = f"{len(names)} {what}s" if len(names) > 1 else f"1 {what}"
        sentences.append(f"Not available for {count}: {reason}: {', '.join(names[:_NAMED])}{more}.")
    return "".join(f"<p class='facts'>{html.escape(text)}</p>" for text in sentences)


def _wide_row(row: Row) -> list[str]:
    name, scores = row
    return [_cell(name), *(_score_cell(score, error=True) for score in scores)]


def _scored_cells(score: Score, broken: bool) -> list[str]:
    """Value, floor and z with errors below, where asked the value without broken events with its floor below."""
    kind = "off" if score.differs() else ""
    return [
        _cell(number(score.value), kind, below=_error(score.error)),
        _cell(number(score.floor), below=_error(score.floor_error)),
        _cell(score.z_text(), kind),
        *([_cell(number(score.without), below=_floor(score.without_floor))] if broken else []),
    ]


def _score_cell(score: Score | None, *, error: bool = False) -> str:
    """The value, and below it its error where asked, the floor and z."""
    if score is None or score.value is None:
        return _cell("-")
    below = [*([_error(score.error)] if error else []), f"{number(score.floor, 3)} | {score.z_text()}"]
    return _cell(number(score.value, 3), "off" if score.differs() else "", below=below)


def _floor(floor: float | None) -> str:
    return "" if floor is None else f"floor {number(floor, 3)}"


def _error(error: float | None) -> str:
    return "" if error is None else f"\N{PLUS-MINUS SIGN} {rounded(error) if error >= 100 else number(error, 2)}"


def _class(kind: str) -> str:
    return f" class='{kind}'" if kind else ""


def _cell(text: str, kind: str = "", tag: str = "td", *, below: str | Sequence[str] = ()) -> str:
    lines = [below] if isinstance(below, str) else below
    small = "".join(f"<small>{html.escape(line)}</small>" for line in lines if line)
    return f"<{tag}{_class(kind)}>{html.escape(text)}{small}</{tag}>"


def _table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """From cells that are HTML already."""
    lines = "".join(f"<tr>{''.join(cells)}</tr>" for cells in rows)
    head = f"<thead><tr>{''.join(header)}</tr></thead>"
    return f"<div class='wide'><table>{head}<tbody>{lines}</tbody></table></div>"
