"""The report as one page that needs no network: pictures are embedded, light and dark follow the reader's system."""

from __future__ import annotations

import base64
import html
from collections.abc import Sequence

from hepgen.evaluation.report import Report
from hepgen.evaluation.summary import summary
from hepgen.evaluation.tables import (
    CONDITION_HEADER,
    GLOBAL_HEADER,
    OBSERVABLE_HEADER,
    PROVENANCE_HEADER,
    SANITY_HEADER,
    STANDOUT_HEADER,
    condition_rows,
    global_rows,
    observable_rows,
    provenance_rows,
    sanity_rows,
    standout_rows,
)
from hepgen.evaluation.weight_tables import EXTREME_HEADER, EXTREME_WORDS, extreme_rows

_STYLE = """
:root { color-scheme: light dark; --ink: #1d1f21; --soft: #5c6166; --page: #ffffff; --line: #d9dcdf; --card: #f5f6f7; }
@media (prefers-color-scheme: dark) {
  :root { --ink: #e4e6e8; --soft: #a3a9ae; --page: #16181a; --line: #3a3f44; --card: #212427; }
}
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 72rem; padding: 1.5rem 1rem 4rem; background: var(--page); color: var(--ink);
  font: 1rem/1.5 system-ui, sans-serif; overflow-wrap: break-word; }
h1 { font-size: 1.6rem; line-height: 1.25; } h2 { font-size: 1.2rem; margin-top: 2.2rem; }
p.facts, figcaption, li.note { color: var(--soft); font-size: .92rem; }
ul { padding-left: 1.2rem; } ul.summary li { margin: .4rem 0; }
div.wide { overflow-x: auto; }
table { border-collapse: collapse; font-size: .9rem; font-variant-numeric: tabular-nums; width: 100%; }
th, td { padding: .3rem .7rem .3rem 0; border-bottom: 1px solid var(--line); text-align: right; white-space: nowrap; }
th:first-child, td:first-child { text-align: left; } th { color: var(--soft); font-weight: 600; }
td.remark, th.remark { text-align: left; white-space: normal; min-width: 14rem; }
@media (max-width: 48rem) {
  table { font-size: .84rem; } td.remark, th.remark { white-space: nowrap; }
  th:first-child, td:first-child { position: sticky; left: 0; background: var(--page); }
}
details { margin: 1rem 0; } summary { cursor: pointer; font-weight: 600; }
div.pictures { display: grid; gap: 1rem; grid-template-columns: repeat(auto-fill, minmax(min(100%, 20rem), 1fr)); }
figure { margin: 0; background: var(--card); border: 1px solid var(--line); border-radius: 6px; padding: .5rem; }
figure img { width: 100%; height: auto; display: block; background: #ffffff; border-radius: 4px; }
div.images { display: grid; gap: 1rem; grid-template-columns: minmax(0, 1fr); margin-bottom: 1rem; }
div.images img { min-width: 44rem; }
figcaption { padding: .4rem .2rem 0; }
"""


def page(
    report: Report,
    pictures: Sequence[tuple[str, bytes]],
    title: str = "Generated against reference",
    images: Sequence[tuple[str, bytes]] = (),
) -> str:
    """The whole page.

    Args:
        report: what to show.
        pictures: caption and PNG of each.
        title: of the page.
        images: caption and PNG of those that take the whole width.
    """
    n = report.n
    facts = (
        f"{report.kind}, protocol {report.protocol}, seed {report.seed}; {n.get('reference', 0)} reference and"
        f" {n.get('generated', 0)} generated events; one-dimensional scores with {n.get('side', 0)} and classifiers with"
        f" {n.get('classifier_side', 0)} events a side."
    )
    sentences = "".join(f"<li>{html.escape(sentence)}</li>" for sentence in summary(report))
    notes = "".join(f'<li class="note">{html.escape(note)}</li>' for note in report.notes)
    sections = [
        f"<h1>{html.escape(title)}</h1><p class='facts'>{html.escape(facts)}</p>",
        f"<h2>Summary</h2><ul class='summary'>{sentences}</ul>",
        (
            "<h2>Scores</h2><p class='facts'>The floor is what one half of the reference scores against the other half at"
            " the same size; z is how significantly it differs from that, in standard deviations of a Gaussian. Errors come from parts of the samples that share no event;"
            " 'without broken' is the score without the events that the sanity checks flag.</p>"
        ),
        _table(report.header(), report.table(), remark=True),
        f"<h2>Read this with it</h2><ul>{notes}</ul>",
    ]
    sections.append(_folded("What the global probability is made of", GLOBAL_HEADER, global_rows(report)))
    sections.append(_folded("Events that are broken", SANITY_HEADER, sanity_rows(report)))
    if pictures or images:
        sections.append("<h2>Pictures</h2>")
    if images:
        sections.append(
            "<p class='facts'>The average shower. Grey is without energy; ratios are grey too where either sample leaves"
            f" them uncertain by more than half.</p><div class='images'>{_figures(images)}</div>"
        )
    if pictures:
        sections.append(
            "<p class='facts'>All events of both samples; bars and bands are statistical errors.</p>"
            f"<div class='pictures'>{_figures(pictures)}</div>"
        )
    if report.weights:
        sections.append(_where_it_fails(report))
    sections.append(_folded("What was compared", PROVENANCE_HEADER, provenance_rows(report)))
    sections.append(_folded("Every observable", OBSERVABLE_HEADER, observable_rows(report)))
    sections.append(_folded("By condition and layer", CONDITION_HEADER, condition_rows(report)))
    body = "\n".join(sections)
    return (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{html.escape(title)}</title><style>{_STYLE}</style></head>\n<body>\n{body}\n</body></html>\n"
    )


def _figures(pictures: Sequence[tuple[str, bytes]]) -> str:
    """Captions and embedded pictures, each in a frame that scrolls where the picture is too wide for it."""
    return "".join(
        f"<figure><div class='wide'><img alt=\"{html.escape(caption)}: reference and generated\" loading='lazy'"
        f" src='data:image/png;base64,{base64.b64encode(image).decode()}'></div>"
        f"<figcaption>{html.escape(caption)}</figcaption></figure>"
        for caption, image in pictures
    )


def _where_it_fails(report: Report) -> str:
    words = "".join(
        f"<li>By the classifier '{html.escape(one.test)}' ({one.n} events a side) generated events, reweighted to the truth,"
        f" are worth {100 * one.effective:.0f} % of their number.</li>"
        for one in report.weights
    )
    return (
        "<h2>Where it fails</h2><p class='facts'>The weight of an event is the density of the truth over that of the"
        " generator, by a calibrated classifier on events that it was not trained on. Missing are the 5 % of the true events"
        " with the largest weights, surplus the 5 % of the generated ones with the smallest; listed are the observables in"
        f" which they differ from the rest of their sample.</p><ul>{words}</ul>"
        f"{_table(STANDOUT_HEADER, standout_rows(report))}"
        f"<p class='facts'>{EXTREME_WORDS}</p>{_table(EXTREME_HEADER, extreme_rows(report), remark=True)}"
    )


def _folded(title: str, header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    if not rows:
        return ""
    return f"<details><summary>{html.escape(title)} ({len(rows)} rows)</summary>{_table(header, rows)}</details>"


def _table(header: Sequence[str], rows: Sequence[Sequence[str]], *, remark: bool = False) -> str:
    """A table that scrolls on a narrow screen; the last column holds words where ``remark``."""

    def row(cells: Sequence[str], tag: str) -> str:
        last = len(cells) - 1
        kinds = [' class="remark"' if remark and index == last else "" for index in range(len(cells))]
        inner = (f"<{tag}{kind}>{html.escape(cell)}</{tag}>" for kind, cell in zip(kinds, cells, strict=True))
        return f"<tr>{''.join(inner)}</tr>"

    lines = "".join(row(cells, "td") for cells in rows)
    return f"<div class='wide'><table><thead>{row(header, 'th')}</thead><tbody>{lines}</tbody></table></div>"
