"""One probability for the whole comparison: could both samples follow one law?"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.special import kolmogorov, ndtr

from hepgen.evaluation.domain import FloatArray
from hepgen.evaluation.histograms import Observable
from hepgen.evaluation.metrics import effective_events
from hepgen.evaluation.scores import ScoreBook
from hepgen.evaluation.two_sample import ClassifierResult, Judgement

NAME = "global.p"
_FEW_TESTS = 10


def kolmogorov_p(distance: float, first: float, second: float) -> float:
    """Probability of as large a Kolmogorov distance of samples of so many events of one law; too large for tied values."""
    return float(kolmogorov(distance * np.sqrt(first * second / (first + second))))


def mann_whitney_p(auc: float, first: float, second: float) -> float:
    """Probability of as large an AUC of a classifier that has seen none of the events, for samples of one law.

    Example:
        >>> mann_whitney_p(0.5, 100, 100), mann_whitney_p(0.6, 100, 100)
        (0.5, 0.00728)
    """
    return float(ndtr(-(auc - 0.5) / np.sqrt((first + second + 1) / (12 * first * second))))


def _judgement_p(judgement: Judgement) -> float:
    """Twice the mean of the probabilities of all folds: below p with a chance of at most p, whatever the folds share."""
    found = []
    for fold in judgement.folds:
        sides = (effective_events(fold.weights[fold.labels == side]) for side in (0.0, 1.0))
        found.append(mann_whitney_p(fold.auc(), *sides))
    return found[0] if len(found) == 1 else min(1.0, 2 * float(np.mean(found)))


def add_global(
    book: ScoreBook,
    observables: Sequence[Observable],
    tests: Sequence[ClassifierResult],
    sizes: FloatArray,
    n: int,
) -> str:
    """Add ``global.p``, the smallest of the probabilities below times their number, and say which it is.

    Those are the Kolmogorov distance of each observable, the AUCs of each classifier test on the events that were kept from
    it, and, of fewer than ten others, the permutations of the energy distance. Multiplied by their number (Bonferroni) the smallest is below 0.05 for at most one
    in twenty pairs of true samples, whatever depends on what.

    Args:
        book: with the scores; ``global.p`` goes there too.
        observables: whose scores these are.
        tests: what the classifiers found.
        sizes: (observables, 3), effective events of half A, of the generated ones and of half B that have each observable.
        n: events on each side of the one-dimensional scores.
    """
    found: list[tuple[str, float, float]] = []
    for observable, (a, made, b) in zip(observables, sizes.tolist(), strict=True):
        if min(a, made, b) <= 0:
            continue
        value, floor = book.pair(f"ks.{observable.name}")
        found.append((f"ks.{observable.name}", kolmogorov_p(value, a, made), kolmogorov_p(floor, a, b)))
    for result in tests:
        value, floor = (_judgement_p(one) for one in (result.generated, result.floor))
        found.append((result.test.score("auc"), value, floor))
    # two hundred permutations cannot say less than half a per cent: of many tests that is never the smallest
    if len(found) < _FEW_TESTS:
        value, floor = book.pair("energy_distance.p")
        found.append(("energy_distance.p", value, floor))
    known = [one for one in found if np.isfinite(one[1]) and np.isfinite(one[2])]
    if not known:
        return "No global probability: no score is defined."
    name, smallest, _ = min(known, key=lambda one: one[1])
    overall, of_truth = (min(1.0, len(known) * p) for p in (smallest, min(floor for _, _, floor in known)))
    book.add(NAME, overall, of_truth, n)
    book.comment(NAME, f"of {len(known)} tests; the smallest is that of {name}")
    verdict = "they differ" if overall < 0.05 else "nothing shows that they differ"
    return (
        f"The probability that true events look as different as the generated ones, by the worst of {len(known)} tests and"
        f" corrected for their number, is {overall:.2g} ({name}: {smallest:.2g}): {verdict}."
    )
