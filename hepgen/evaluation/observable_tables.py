"""What a report says of single observables and of f-divergences, as rows of scores that a page can lay out."""

from __future__ import annotations

import re
from dataclasses import dataclass

from hepgen.evaluation.one_dimensional import CONSTANT, DIVERGENCES, METRICS
from hepgen.evaluation.report import Report
from hepgen.evaluation.scores import Score

METRIC_WORDS = {
    "separation": "separation power",
    "ks": "Kolmogorov distance",
    "w1": "W1 [std]",
    "chi2ndf": "chi2/ndf",
    "mean": "shift of the mean [std]",
    "width": "ratio of widths",
    "tail_low": "low tail ratio",
    "tail_high": "high tail ratio",
}
METRIC_HEADER = ("separation", "KS", "W1 [std]", "chi2/ndf", "mean [std]", "width ratio", "low tail", "high tail")
DIVERGENCE_HEADER = ("JSD", "KL", "KL reverse", "chi2", "Hellinger")
DIVERGENCE_WORDS = {"jsd": "JSD", "kl": "KL divergence", "chi2": "chi2 divergence", "hellinger": "squared Hellinger"}
_BY_CLASSIFIER = ("jsd", "kl", "kl_reverse", "chi2", "hellinger")
_CLASSIFIERS = {
    "": "classifier on all columns",
    "_low": "classifier on every voxel",
    "_high": "classifier on high-level features",
    "_trees": "boosted trees on high-level features",
    "_set": "classifier on every constituent",
}

Row = tuple[str, tuple[Score | None, ...]]


@dataclass(frozen=True)
class ObservableScores:
    """Every score of one observable.

    Attributes:
        name: of the observable.
        constant: where it has one value only, and which; empty where it varies in both samples.
        metrics: one score for each of ``METRICS``, in their order; None where there is none.
        further: other scores by what they are: divergences of the histograms, equivalent events.
        bins: the same as ``metrics`` in each bin of the conditions.
    """

    name: str
    constant: str
    metrics: tuple[Score | None, ...]
    further: tuple[tuple[str, Score], ...]
    bins: tuple[Row, ...]

    @property
    def differs(self) -> bool:
        """Whether any of the metrics is more than three standard deviations from its floor."""
        return any(score is not None and score.differs() for score in self.metrics)

    def rows(self) -> list[tuple[str, Score]]:
        """All scores of all conditions together, by what they are."""
        named = zip(METRIC_WORDS.values(), self.metrics, strict=True)
        return [(words, score) for words, score in named if score is not None] + list(self.further)


def observable_scores(report: Report) -> list[ObservableScores]:
    """The scores of every observable: those that differ first, in each group the largest separation above its floor first."""
    scores = report.scores
    names = [name.removeprefix("separation.") for name in scores if name.startswith("separation.")]
    names = [name for name in names if "@" not in name and name not in {"mean", "max"}]
    bins: dict[str, dict[str, None]] = {name: {} for name in names}
    for full in scores:
        metric, _, rest = full.partition(".")
        name, sign, label = rest.partition("@")
        if metric in METRICS and sign and name in bins:
            bins[name][label] = None

    def badness(one: ObservableScores) -> tuple[bool, float]:
        separation = one.metrics[0]
        excess = 0.0 if separation is None else (separation.value or 0.0) - (separation.floor or 0.0)
        return not one.differs, -excess

    return sorted((_of_one(report, name, list(bins[name])) for name in names), key=badness)


def _of_one(report: Report, name: str, labels: list[str]) -> ObservableScores:
    scores = report.scores
    distance = scores.get(f"ks.{name}", Score(None))
    constant = next((word for word in distance.comment.split("; ") if word.startswith(CONSTANT)), "")
    further = {f"{words}, binned": f"{key}.{name}" for key, words in DIVERGENCE_WORDS.items()}
    further["equivalent events"] = f"equivalent_events.{name}"
    return ObservableScores(
        name,
        constant,
        tuple(scores.get(f"{metric}.{name}") for metric in METRICS),
        tuple((words, scores[full]) for words, full in further.items() if full in scores),
        tuple((label, tuple(scores.get(f"{metric}.{name}@{label}") for metric in METRICS)) for label in labels),
    )


def divergence_rows(report: Report) -> tuple[list[Row], list[Row]]:
    """The f-divergences by each classifier, and those of the histograms of each observable, the largest JSD first."""
    scores = report.scores
    suffixes = [match[1] for name in scores if (match := re.fullmatch(r"jsd((?:_\w+)?)", name))]
    by_classifier: list[Row] = [
        (
            _CLASSIFIERS.get(suffix, f"classifier {suffix}"),
            tuple(scores.get(f"{key}{suffix}") for key in _BY_CLASSIFIER),
        )
        for suffix in suffixes
    ]
    places = [_BY_CLASSIFIER.index(key) for key in DIVERGENCES]
    binned: list[Row] = []
    for name in scores:
        if name.startswith("jsd."):
            row: list[Score | None] = [None] * len(_BY_CLASSIFIER)
            for place, key in zip(places, DIVERGENCES, strict=True):
                row[place] = scores.get(f"{key}.{name.removeprefix('jsd.')}")
            binned.append((name.removeprefix("jsd."), tuple(row)))
    return by_classifier, sorted(binned, key=lambda one: -((one[1][0] or Score(None)).value or 0.0))
