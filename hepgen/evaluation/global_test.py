"""One probability for the whole comparison: could both samples follow one law?"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

import numpy as np

from hepgen.classifiers.judging import Judgement
from hepgen.evaluation.domain import FloatArray
from hepgen.evaluation.histograms import Observable
from hepgen.evaluation.metrics import effective_events
from hepgen.evaluation.probabilities import kolmogorov_p, mann_whitney_p, normal_p
from hepgen.evaluation.report_parts import GlobalTest
from hepgen.evaluation.scores import ScoreBook
from hepgen.evaluation.two_sample import ClassifierResult

NAME = "global.p"
DISTRIBUTIONS = "distributions and classifiers"
ENERGY = "energy distance"
PARTS = "scores against their floor"

SHARES: Mapping[str, float] = {DISTRIBUTIONS: 1 / 2, ENERGY: 1 / 8}
"""Of the chance of a false alarm. Other families share the rest evenly, as do the tests of a family. Two hundred permutations
cannot say less than half a per cent, so that the energy distance needs a large one."""

_LARGER = (
    *("fpd", "kpd", "sliced_w1", "correlation", "separation.mean", "separation.max", "w1m", "w1p", "w1efp", "mmd_emd"),
    *("response.mean.max", "response.width.max", "response.rms.max", "profile.max", "qmse"),
)
_OTHER = ("precision", "recall", "density", "coverage", "coverage_emd", "memorisation.ratio")
"""Scores whose ``z`` is a test: distances, of which only larger ones are improbable, and others."""


def _judgement_p(judgement: Judgement) -> float:
    """Twice the mean of the probabilities of all folds: below p with a chance of at most p, whatever the folds share."""
    found = []
    for fold in judgement.folds:
        sides = (effective_events(fold.weights[fold.labels == side]) for side in (0.0, 1.0))
        found.append(mann_whitney_p(fold.auc(), *sides))
    return found[0] if len(found) == 1 else min(1.0, 2 * float(np.mean(found)))


def factors(families: Sequence[str]) -> list[float]:
    """What the probability of each test is multiplied by, given the family of each.

    Bonferroni with weights (Genovese, Roeder and Wasserman, Biometrika 93 (2006) 509): the inverse factors add up to 1 at
    most, so that the smallest product is below p with a chance of at most p, whatever depends on what.

    Example:
        >>> factors(["distributions and classifiers"] * 3 + ["energy distance", "memorisation", "memorisation"])
        [6.0, 6.0, 6.0, 8.0, 5.333, 5.333]
    """
    counts = Counter(families)
    others = len(counts.keys() - SHARES.keys())
    rest = (1 - sum(SHARES.values())) / max(others, 1)
    return [counts[one] / SHARES.get(one, rest) for one in families]


def add_global(
    book: ScoreBook,
    observables: Sequence[Observable],
    tests: Sequence[ClassifierResult],
    sizes: FloatArray,
    n: int,
    spectrum: str | None = None,
) -> tuple[str, tuple[GlobalTest, ...]]:
    """Add ``global.p``, the smallest of the probabilities below times its factor, and say which it is.

    Half of the chance of a false alarm belongs to the Kolmogorov distances of all observables and the AUCs of all classifiers
    on events that were kept from them, an eighth to the permutations of the energy distance, the rest to what the book
    holds of counts, tails, histograms, pairs and memorisation, each by its law, and to ``z`` of the other scores. That is
    Student's t of parts that share no event. Generated events and half B are interchangeable if both are true, so that
    score less floor is symmetric in every part; the t of such differences is conservative however heavy their tails (Efron,
    JASA 64 (1969) 1278).

    Args:
        book: with the scores; ``global.p`` goes there too.
        observables: whose scores these are.
        tests: what the classifiers found.
        sizes: (observables, 3), effective events of half A, of the generated ones and of half B that have each observable.
        n: events on each side of the one-dimensional scores.
        spectrum: the observable with many entries per event.

    Returns:
        A sentence, and every test that entered, the smallest product first.
    """
    found: list[tuple[str, str, float, float | None]] = []
    for observable, (a, made, b) in zip(observables, sizes.tolist(), strict=True):
        if min(a, made, b) <= 0:
            continue
        value, floor = book.first(f"ks.{observable.name}")  # the sizes are those of the first split
        found.append((f"ks.{observable.name}", DISTRIBUTIONS, kolmogorov_p(value, a, made), kolmogorov_p(floor, a, b)))
    for result in tests:
        value, floor = (_judgement_p(one) for one in (result.generated, result.floor))
        found.append((result.test.score("auc"), DISTRIBUTIONS, value, floor))
    found.append(("energy_distance.p", ENERGY, *book.pair("energy_distance.p")))
    found += book.tests
    for name in (*_LARGER, *_OTHER, *((f"separation.{spectrum}",) if spectrum else ())):
        z = book.z(name)
        if z is not None:
            found.append((name, PARTS, normal_p(z, both_sides=name in _OTHER), None))
    known = [one for one in found if np.isfinite(one[2])]
    if not known:
        return "No global probability: no score is defined.", ()
    corrected = [
        GlobalTest(name, family, p, floor if floor is not None and np.isfinite(floor) else None, factor)
        for (name, family, p, floor), factor in zip(known, factors([one[1] for one in known]), strict=True)
    ]
    corrected.sort(key=lambda one: one.p * one.factor)
    floors = [one.floor * one.factor for one in corrected if one.floor is not None]
    worst = corrected[0]
    overall = min(1.0, worst.p * worst.factor)
    book.add(NAME, overall, min(1.0, *floors) if floors else None, n)
    book.comment(NAME, f"of {len(known)} tests; {worst.name} is {worst.p:.2g}, times {worst.factor:.4g}")
    verdict = "they differ" if overall < 0.05 else "nothing shows that they differ"
    return (
        f"The probability that true events look as different as the generated ones, by the worst of {len(known)} tests and"
        f" corrected for their number, is {overall:.2g} ({worst.name}: {worst.p:.2g}): {verdict}."
    ), tuple(corrected)
