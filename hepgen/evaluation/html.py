"""The report as one page that needs no network: pictures are embedded, light and dark follow the reader's system."""

from __future__ import annotations

import base64
import html
from collections.abc import Sequence

from hepgen.evaluation.html_tables import (
    divergence_section,
    folded,
    headline_table,
    observable_section,
    plain_table,
)
from hepgen.evaluation.report import Report
from hepgen.evaluation.report_parts import WeightSpectrum
from hepgen.evaluation.sanity_words import sanity_sentences
from hepgen.evaluation.summary import summary
from hepgen.evaluation.tables import (
    CONDITION_HEADER,
    GLOBAL_HEADER,
    PROVENANCE_HEADER,
    SANITY_HEADER,
    STANDOUT_HEADER,
    condition_rows,
    global_rows,
    provenance_rows,
    sanity_rows,
    standout_rows,
)
from hepgen.evaluation.weight_tables import EXTREME_HEADER, EXTREME_WORDS, extreme_rows

_STYLE = """
:root { color-scheme: light dark; --ink: #1d1f21; --soft: #5c6166; --page: #ffffff; --line: #d9dcdf; --card: #f5f6f7;
  --off: #a3152b; }
@media (prefers-color-scheme: dark) {
  :root { --ink: #e4e6e8; --soft: #a3a9ae; --page: #16181a; --line: #3a3f44; --card: #212427; --off: #ff9a9a; }
}
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 72rem; padding: 1.5rem 1rem 4rem; background: var(--page); color: var(--ink);
  font: 1rem/1.5 system-ui, sans-serif; overflow-wrap: break-word; }
h1 { font-size: 1.6rem; line-height: 1.25; } h2 { font-size: 1.2rem; margin-top: 2.2rem; }
p.facts, figcaption, li.note { color: var(--soft); font-size: .92rem; }
ul { padding-left: 1.2rem; } ul.summary li { margin: .4rem 0; }
div.wide { overflow-x: auto; }
table { border-collapse: separate; border-spacing: 0; font-size: .9rem; font-variant-numeric: tabular-nums; width: 100%; }
th, td { padding: .3rem .7rem .3rem 0; border-bottom: 1px solid var(--line); text-align: right; white-space: nowrap; }
th:first-child, td:first-child { text-align: left; } th { color: var(--soft); font-weight: 600; }
td.words, th.words { text-align: left; white-space: normal; min-width: 14rem; }
td.off { color: var(--off); font-weight: 600; }
td small { display: block; color: var(--soft); font-size: .8em; font-weight: 400; line-height: 1.2; }
td:first-child small { white-space: normal; }
@media (max-width: 48rem) {
  table { font-size: .84rem; }
  th:first-child, td:first-child { position: sticky; left: 0; background: var(--page); background-clip: padding-box; max-width: 45vw; white-space: normal;
    padding-right: .5rem; }
}
details { margin: 1rem 0; } summary { cursor: pointer; font-weight: 600; }
details details { margin: .4rem 0 .4rem 1rem; } details details > summary { font-weight: 400; }
div.pictures { display: grid; gap: 1rem; grid-template-columns: repeat(auto-fill, minmax(min(100%, 20rem), 1fr)); }
figure { margin: 0; background: var(--card); border: 1px solid var(--line); border-radius: 6px; padding: .5rem; }
figure img { width: 100%; height: auto; display: block; background: #ffffff; border-radius: 4px; }
div.images { display: grid; gap: 1rem; grid-template-columns: minmax(0, 1fr); margin-bottom: 1rem; }
div.images img { min-width: 44rem; }
figcaption { padding: .4rem .2rem 0; }
"""

_HOW_TO_READ = (
    "The floor is what one half of the reference scores against the other half at the same size; z is how significantly the"
    " score differs from that, in standard deviations of a Gaussian (inf: they differ by the same in every part), coloured"
    " beyond 3. Errors come from parts of the samples that share no event. Controls, probabilities, bounds and scores of all"
    " events have none. What is never below 0, as a divergence, may be estimated a little below 0 where there is nothing to"
    " see. 'without broken' is the score, and its floor, without the events that are counted as broken."
)
_OBSERVABLES = (
    "Below each score its floor | z. Distances are 0 and chi2/ndf, ratios of widths and tails are 1 where both samples follow"
    " one law; W1 and the shift of the mean are in standard deviations of the reference, tails the share of events below and"
    " above the central 98 % of the reference over its own. Coloured, and first, is what differs by more than three standard"
    " deviations."
)
_DIVERGENCES = (
    "By the density ratio of each classifier and by the histograms of single observables; below each its floor | z. JSD in"
    " units of ln 2, KL of the truth from the generator and back in nats, Hellinger squared."
)
_PROBABILITIES = (
    "The probabilities of Kolmogorov distances (ks), of chi2 and of the energy distance are those of the first division of the"
    " reference into halves, since their laws are of one division; the scores above are means over all divisions. The floor is"
    " the probability of half B."
)


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
    said = set(sanity_sentences(report.sanity))
    notes = "".join(f'<li class="note">{html.escape(note)}</li>' for note in report.notes if note not in said)
    sections = [
        f"<h1>{html.escape(title)}</h1><p class='facts'>{html.escape(facts)}</p>",
        f"<h2>Summary</h2><ul class='summary'>{sentences}</ul>",
        f"<h2>Sanity</h2>{_sanity(report)}",
        f"<h2>Scores</h2><p class='facts'>{_HOW_TO_READ}</p>{headline_table(report)}",
        f"<h2>Observables</h2><p class='facts'>{_OBSERVABLES}</p>{observable_section(report)}",
        f"<h2>Divergences</h2><p class='facts'>{_DIVERGENCES}</p>{divergence_section(report)}",
        f"<h2>Read this with it</h2><ul>{notes}</ul>",
    ]
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
    further = (
        ("What the global probability is made of", _PROBABILITIES, GLOBAL_HEADER, global_rows(report)),
        ("What was compared", "", PROVENANCE_HEADER, provenance_rows(report)),
        ("By condition and layer", "", CONDITION_HEADER, condition_rows(report)),
    )
    sections += [
        folded(f"{name} ({len(rows)} rows)", f"<p class='facts'>{words}</p>" * bool(words) + plain_table(head, rows))
        for name, words, head, rows in further
        if rows
    ]
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


def _sanity(report: Report) -> str:
    """What is wrong with single events of either sample, or that nothing is."""
    rows = sanity_rows(report)
    looked = " and ".join(f"{found['events']} {name}" for name, found in report.sanity.items())
    if not rows:
        return f"<p class='facts'>Nothing is wrong with any of the {html.escape(looked)} events.</p>"
    words = (
        f"Of {looked} events. Unusable ones are left out of every score; where others are broken, every score is given"
        " without them as well. Numbers count from 0."
    )
    return f"<p class='facts'>{html.escape(words)}</p>{plain_table(SANITY_HEADER, rows, words=(0, 4))}"


def _where_it_fails(report: Report) -> str:
    words = "".join(f"<li>{html.escape(_of_weights(one))}</li>" for one in report.weights)
    rows = standout_rows(report)
    return (
        "<h2>Where it fails</h2><p class='facts'>The weight of an event is the density of the truth over that of the"
        " generator, by a calibrated classifier on events that it was not trained on. Missing are the 5 % of the true events"
        " with the largest weights, surplus the 5 % of the generated ones with the smallest; listed are the observables in"
        f" which they differ from the rest of their sample.</p><ul>{words}</ul>"
        f"{plain_table(STANDOUT_HEADER, rows) if rows else ''}"
        f"<p class='facts'>{EXTREME_WORDS}</p>{plain_table(EXTREME_HEADER, extreme_rows(report), words=(3,))}"
    )


def _of_weights(one: WeightSpectrum) -> str:
    """What a classifier says of single events, in words."""
    nothing = [what for what, found in (("missing", one.missing), ("surplus", one.surplus)) if not found]
    stands = f" The {' and the '.join(nothing)} ones stand out in no observable." if nothing else ""
    return (
        f"By the classifier '{one.test}' ({one.n} events a side) generated events, reweighted to the truth, are worth"
        f" {100 * one.effective:.0f} % of their number.{stands}"
    )
