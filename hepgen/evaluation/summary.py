"""A report in plain words."""

from __future__ import annotations

from hepgen.evaluation.one_dimensional import CONSTANT, METRICS
from hepgen.evaluation.report import Report
from hepgen.evaluation.sanity import COPIES, HABITUAL, TRAINED
from hepgen.evaluation.sanity_words import BROKEN, LEFT_OUT, USUAL, findings
from hepgen.evaluation.scores import Score
from hepgen.evaluation.tables import rounded

_LISTED = 3
_EVEN = 0.95  # effective share of reweighted events from which on nothing stands out

_TESTS = {
    "auc_low": "A classifier that sees every voxel",
    "auc_high": "A classifier that sees the high-level features",
    "auc_trees": "A classifier of boosted trees on the high-level features",
    "auc_set": "A classifier that sees every constituent",
    "auc": "A classifier that sees all columns",
}


def summary(report: Report) -> list[str]:
    """Sentences that say what is good and what is not, the most important first."""
    words = _itself(report)
    words += _overall(report)
    words += _sanity(report)
    words += [sentence for name, who in _TESTS.items() if (sentence := _classifier(report, name, who))]
    words += _observables(report)
    words += _response(report)
    words += _coverage(report)
    words += _weights(report)
    words += _amplification(report)
    words += _memorisation(report)
    return words


def _itself(report: Report) -> list[str]:
    """Whether the reference is judged against itself, by the hashes of the files or by the content of the events."""
    files = report.provenance.get("files", {})
    hashes = [
        {one.get("sha256", one.get("sha256_ends")) for one in files.get(name, ())} - {None}
        for name in ("reference", "generated")
    ]
    nothing = "the comparison says nothing about a generator"
    if hashes[1] and hashes[0] == hashes[1]:
        return [f"The reference is judged against itself, by the same file: {nothing}."]
    n = report.n
    shared, made = n.get("shared", 0), n.get("generated", 0)
    copies = report.sanity.get("reference", {}).get("problems", {}).get(COPIES, {}).get("count", 0)
    # where events of truth repeat each other, those of any two samples do
    repetitive = copies > HABITUAL * n.get("reference", 0)
    if made and shared == made and (not repetitive or shared == n.get("reference", 0)):
        return [f"The reference is judged against itself, every generated event is one of the reference: {nothing}."]
    if shared > HABITUAL * made and not repetitive:
        return [
            f"{shared} of the {made} generated events are events of the reference, bit for bit: they flatter every score."
        ]
    return []


def _overall(report: Report) -> list[str]:
    score = report.scores.get("global.p")
    if score is None or score.value is None:
        return []
    verdict = "the samples differ" if score.value < 0.05 else "by these the samples may follow one law"
    p = f"p = {score.value:.2g}" if score.value > 0 else "p below 1e-300"
    return [f"All tests together: true events look as different with {p}; {verdict}."]


def _sanity(report: Report) -> list[str]:
    made = report.sanity.get("generated", {})
    words = []
    for name, adjective in (("reference", "true"), ("generated", "generated")):
        count = report.sanity.get(name, {}).get("left_out", 0)
        if count:
            words.append(
                f"{_events(count, adjective)} unusable and left out of every score{_listed(report, name, LEFT_OUT)}."
            )
    if made.get("broken", 0):
        also = (
            "every score is given without them as well"
            if report.has_broken
            else "too few are left to judge without them"
        )
        words.append(
            f"{made['broken']} of the generated events that are scored do what true events do not"
            f"{_listed(report, 'generated', BROKEN)}: {also}."
        )
    usual = _listed(report, "generated", USUAL)
    if usual:
        words.append(f"What true events do as well counts as no defect{usual}.")
    if made.get("close_to_training"):
        close, score = len(made["close_to_training"]), report.scores.get("memorisation.close")
        among = f"Among {score.n} generated events that were looked at, " if score is not None else ""
        words.append(f"{among}{_events(close, '' if among else 'generated')} suspiciously close to a training event.")
    return words


def _events(count: int, adjective: str = "") -> str:
    """``1 generated event is``, ``3 are`` without an adjective."""
    words = [str(count), *([adjective, "event" if count == 1 else "events"] if adjective else [])]
    return " ".join([*words, "is" if count == 1 else "are"])


def _listed(report: Report, sample: str, follows: str) -> str:
    """The most frequent problems of a kind, in brackets."""
    found = [one for one in findings(report.sanity, sample) if one.follows == follows]
    more = f"; {len(found) - _LISTED} more" if len(found) > _LISTED else ""
    return f" ({'; '.join(f'{one.count} {one.words}' for one in found[:_LISTED])}{more})" if found else ""


def _classifier(report: Report, name: str, who: str) -> str:
    score = report.scores.get(name)
    if score is None or score.value is None:
        return ""
    floor = 0.5 if score.floor is None else score.floor
    excess = score.value - max(floor, 0.5)
    if excess < 0.02:
        verdict = "it cannot tell them apart"
    elif excess < 0.1:
        verdict = "it hardly tells them apart"
    elif excess < 0.25:
        verdict = "it sees a difference"
    else:
        verdict = "it tells them apart easily"
    # a blind classifier may miss a difference, so its low AUC is worth little; one that it does see is there
    in_doubt = "blind" in score.comment and excess < 0.25
    blind = " Do not lean on this: the control shows the classifier to be blind." if in_doubt else ""
    unsure = "" if score.error is not None else "; without an error, since the parts have too few events"
    return (
        f"{who} tells generated from true events with an AUC of {score.text()}{unsure} (0.5 is a guess, 1 is certainty; truth"
        f" against truth gives {floor:.3f}; {score.n} events a side): {verdict}.{blind}"
    )


def _observables(report: Report) -> list[str]:
    found: list[tuple[float, str, Score]] = []
    for name, score in report.scores.items():
        prefix, _, rest = name.partition(".")
        if prefix == "separation" and rest not in {"mean", "max"} and "@" not in rest and score.value is not None:
            found.append((score.value - (score.floor or 0.0), rest, score))
    if not found:
        return []
    found.sort(key=lambda entry: -entry[0])
    off = [entry for entry in found if _differs(report, entry[1])]
    worst = ", ".join(
        f"{name} (separation power {score.value:.3g}, floor {score.floor or 0.0:.3g})" for _, name, score in found[:3]
    )
    words = [
        f"{len(off)} of {len(found)} observables differ by more than three standard deviations from their floor in shape, distance, mean or tails; largest separation: {worst}."
    ]
    odd = [(name, report.scores[f"ks.{name}"].comment) for _, name, _ in off if f"ks.{name}" in report.scores]
    constant = [f"{name} ({comment.removeprefix(CONSTANT)})" for name, comment in odd if comment.startswith(CONSTANT)]
    if constant:
        words.append(f"Constant in one sample, or at another value than in the other: {', '.join(constant)}.")
    return words


def _differs(report: Report, name: str) -> bool:
    """Whether any score of an observable is beyond three standard deviations."""
    scores = (report.scores.get(f"{metric}.{name}") for metric in METRICS)
    return any(score is not None and score.differs() for score in scores)


def _response(report: Report) -> list[str]:
    mean, width, layers = (report.scores.get(x) for x in ("response.mean.max", "response.width.max", "profile.max"))
    if mean is None or width is None or mean.value is None or width.value is None:
        return []
    words = [
        (
            f"The mean of E_tot/E_inc is right within {100 * mean.value:.2g} % and its width within"
            f" {100 * width.value:.2g} % at every energy (truth against truth: {100 * (mean.floor or 0):.2g} % and"
            f" {100 * (width.floor or 0):.2g} %)."
        )
    ]
    if layers is not None and layers.value is not None:
        words.append(
            f"The mean energy of every layer with more than 1 % of the shower is right within"
            f" {100 * layers.value:.2g} % (truth against truth: {100 * (layers.floor or 0):.2g} %)."
        )
    return words


def _coverage(report: Report) -> list[str]:
    score = report.scores.get("coverage")
    if score is None or score.value is None or score.floor is None:
        return []
    return [
        f"The generated events cover {100 * score.value:.0f} % of the true ones (truth: {100 * score.floor:.0f} %)."
    ]


def _weights(report: Report) -> list[str]:
    words = []
    for one in report.weights:
        worst = [
            f"{what} events in {found[0].observable}"
            for what, found in (("missing", one.missing), ("surplus", one.surplus))
            if found
        ]
        where = f"; what stands out most: {' and '.join(worst)}" if worst and one.effective < _EVEN else ""
        name = f" (classifier {one.test})" if len(report.weights) > 1 else ""
        words.append(
            f"Reweighted to the truth{name}, generated events are worth {100 * one.effective:.0f} % of their number{where}."
        )
    return words


def _amplification(report: Report) -> list[str]:
    score, factor = report.scores.get("equivalent_events"), report.scores.get("amplification")
    if score is None or score.value is None:
        return []
    bound = "at least" if score.error is None else "about"
    trained = f": {factor.value:.2g} times the training events" if factor is not None and factor.value else ""
    return [
        (
            f"In the distributions of single observables, {score.n} generated events are worth {bound}"
            f" {rounded(score.value)} true ones{trained}."
        )
    ]


def _memorisation(report: Report) -> list[str]:
    score = report.scores.get("memorisation.ratio")
    if score is None or score.value is None:
        return []
    made = report.sanity.get("generated", {})
    copied = made.get("problems", {}).get(TRAINED, {}).get("count", 0)
    if copied or made.get("close_to_training"):
        verdict = "single ones are copies, or nearly so, as listed above"
    else:
        verdict = (
            "nothing hints at copies of training events" if score.value > 0.95 else "it may repeat training events"
        )
    return [
        f"Generated events are {score.value:.3f} times as far from the training events as held-out ones: {verdict}."
    ]
