"""Counts of events that truth hardly has, each with its exact probability: tails, limits, defects, copies."""

from __future__ import annotations

from collections.abc import Collection, Sequence

import numpy as np
from numpy.typing import NDArray

from hepgen.evaluation.domain import FloatArray, Pool
from hepgen.evaluation.histograms import Observable
from hepgen.evaluation.limits import Limits
from hepgen.evaluation.probabilities import copies_p, counts_p, shares_p
from hepgen.evaluation.sanity import COPIES, HARMLESS, TRAINED, Hashes, Sanity
from hepgen.evaluation.scores import ScoreBook
from hepgen.evaluation.splits import Split

DEFECTS = "broken events"
TAILS = "tails and histograms"
_TAIL = 0.01


def add_tail_tests(
    book: ScoreBook, reference: Pool, generated: Pool, observables: Sequence[Observable], split: Split
) -> None:
    """Test the events beyond either hundredth of half A: generated ones against half B, which A knows as little."""
    truth, sides = reference.observables[split.a], _sides(reference, generated, split)
    weights = [pool.weights[rows] for pool, rows in sides]
    columns = [pool.observables[rows] for pool, rows in sides]
    for index, one in enumerate(observables):
        known = truth[~np.isnan(truth[:, index]), index]
        if not len(known):
            continue
        low, high = np.quantile(known, [_TAIL, 1 - _TAIL])
        made, true = (values[:, index] for values in columns)
        with np.errstate(invalid="ignore"):
            tails = {"tail_low": (made < low, true < low), "tail_high": (made > high, true > high)}
        for name, (here, there) in tails.items():
            p = shares_p(here, weights[0], there, weights[1], both_sides=True)
            book.add_test(f"{name}.{one.name}", TAILS, p)


def add_limit_test(
    book: ScoreBook, reference: Pool, generated: Pool, observables: Sequence[Observable], split: Split, *, ordered: bool
) -> None:
    """Test the events beyond the limits of half A, in range, order or common values: generated ones against half B."""
    limits = Limits.fit(reference.observables[split.a], observables, ordered=ordered)
    sides = _sides(reference, generated, split)
    flags = [_beyond(limits, pool.observables[rows]) for pool, rows in sides]
    weights = [pool.weights[rows] for pool, rows in sides]
    book.add_test(
        "events beyond the limits of half the reference", DEFECTS, shares_p(flags[0], weights[0], flags[1], weights[1])
    )


def _sides(reference: Pool, generated: Pool, split: Split) -> tuple[tuple[Pool, NDArray[np.int64]], ...]:
    return (generated, split.generated), (reference, split.b)


def _beyond(limits: Limits, values: FloatArray) -> NDArray[np.bool_]:
    """Flags of the events that any limit flags, (events,)."""
    found = [*limits.flags(values).values(), *limits.spikes(values).values()]
    return np.any(found, axis=0) if found else np.zeros(len(values), dtype=bool)


def add_defect_tests(
    book: ScoreBook,
    names: Collection[str],
    reference: tuple[Pool, Sanity, Hashes],
    generated: tuple[Pool, Sanity, Hashes],
) -> None:
    """Test what is wrong with single events: as often in all generated as in all true ones?

    Of copies, more than truth has are improbable; of anything else, fewer as well, since what one sample misses the other
    should. What neither sample has is no test. With event weights shares of the pools are compared, since numbers of events
    say nothing then, and copies only where truth has none.

    Args:
        names: of the problems that an event has by itself, and of copies; what depends on the reference cannot be compared with it.
        reference, generated: pool, sanity and hashes of all events of each.
    """
    (true, true_sanity, true_hashes), (made, made_sanity, made_hashes) = reference, generated
    weighted = any((pool.weights != 1).any() for pool in (true, made))
    for name in sorted(names):
        counts = [one.problems[name].count if name in one.problems else 0 for one in (made_sanity, true_sanity)]
        if not any(counts) or name in HARMLESS:
            continue
        if name == COPIES:
            if not weighted or not counts[1]:
                book.add_test(name, DEFECTS, copies_p(made_hashes, true_hashes)[1])
        elif weighted and name != TRAINED:
            flags = [pool.problems[name] for pool in (made, true)]
            p = shares_p(flags[0], made.weights, flags[1], true.weights, both_sides=True)
            book.add_test(name, DEFECTS, p)
        else:
            p = counts_p(counts[0], made_sanity.events, counts[1], true_sanity.events, both_sides=name != TRAINED)
            book.add_test(name, DEFECTS, p)
