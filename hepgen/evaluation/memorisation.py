"""Does the generator repeat its training events? Distances to the nearest one, against those of held-out events."""

from __future__ import annotations

from math import ceil

import numpy as np
from numpy.typing import NDArray

from hepgen.evaluation.distances import Scale
from hepgen.evaluation.domain import Array, Domain, FloatArray, Pool, events_of
from hepgen.evaluation.metrics import UNWEIGHTED
from hepgen.evaluation.multivariate import squared_distances
from hepgen.evaluation.probabilities import closer_p
from hepgen.evaluation.scores import ScoreBook
from hepgen.evaluation.splits import Split
from hepgen.events.source import EventSource

MEMORISATION = "memorisation"
PARTS = 10
CLOSE = 0.01
SUSPICIOUS = 0.5
CHUNK = 4096


def nearest_events(
    queries: FloatArray, source: EventSource, domain: Domain, scale: Scale
) -> tuple[FloatArray, NDArray[np.int64]]:
    """Distance of each query to the nearest event of a source, and its number, streaming over all of it, (queries,) each.

    Args:
        queries: scaled features, (queries, features).
        source: the training events.
        domain: turns batches into features.
        scale: brings features to the scale of the queries.
    """
    points = queries.astype(np.float32)
    nearest = np.full(len(points), np.inf, dtype=np.float32)
    number = np.full(len(points), -1, dtype=np.int64)
    offset = 0
    for events in events_of(source, domain):
        usable = np.flatnonzero(events.usable)
        for start in range(0, len(usable), CHUNK):
            rows = usable[start : start + CHUNK]
            features = scale(domain.nearest_features(events.raw[rows], events.conditions[rows])).astype(np.float32)
            best = squared_distances(points, features).argmin(axis=1)
            # the expanded square loses all digits for a copy, so the distance to the nearest is taken again
            distance = ((points - features[best]) ** 2).sum(axis=1)
            number = np.where(distance < nearest, rows[best] + offset, number)
            nearest = np.minimum(nearest, distance)
        offset += len(events.usable)
    return np.sqrt(nearest).astype(np.float64), number


def add_memorisation(
    book: ScoreBook,
    domain: Domain,
    reference: Pool,
    generated: Pool,
    training: EventSource,
    split: Split,
    size: int,
) -> tuple[str, tuple[tuple[int, int], ...]]:
    """Add ``memorisation.ratio`` and ``memorisation.close``, say what they mean, and list the pairs that are too close.

    The ratio is the median distance of generated events to their nearest training event over that of held-out ones;
    below 1 the generator stays too near its training sample. ``close`` is the fraction of generated events nearer to a
    training event than 99 % of held-out ones, 0.01 where nothing is memorised. Errors of the ratio come from ten parts
    that share no event, those of the share from counting.

    Returns:
        A sentence, and the pairs (number of the generated event, number of the training event), the closest first, that are
        closer than half the distance of any held-out event to its nearest training event.
    """
    size = min(size, split.size)
    parts = [
        (reference, split.a[:size]),
        (generated, split.generated[:size]),
        (reference, split.b[:size]),
    ]
    features: list[Array] = [domain.nearest_features(pool.raw[rows], pool.conditions[rows]) for pool, rows in parts]
    scale = Scale.fit(features[0], domain.nearest_scale)
    distances, numbers = nearest_events(np.concatenate([scale(x) for x in features]), training, domain, scale)
    held_out, made, floor = np.split(distances, 3)
    if any((pool.weights != 1).any() for pool in (reference, generated)):
        for name in ("memorisation.ratio", "memorisation.close"):
            book.comment(name, UNWEIGHTED)
    limit = float(np.quantile(held_out, CLOSE))
    base = float(np.median(held_out))
    pieces = [np.arange(size), *np.array_split(np.arange(size), PARTS)]
    close = float(np.mean(made < limit)), float(np.mean(floor < limit))
    book.add_fit("memorisation.close", _with_error(close[0], size), _with_error(close[1], size), size)
    if base > 0:
        ratios = [(float(np.median(made[rows])) / base, float(np.median(floor[rows])) / base) for rows in pieces]
        book.add_parts("memorisation.ratio", ratios, size)
    if base == 0:
        return "Memorisation cannot be judged: the reference holds the training events themselves.", ()
    if all((pool.weights == 1).all() for pool in (reference, generated)):
        _add_tests(book, held_out, made, floor)
    order = np.argsort(made, kind="stable")
    near = order[made[order] < SUSPICIOUS * float(np.concatenate([held_out, floor]).min())]
    rows = generated.entries[split.generated[:size][near]]
    pairs = tuple(zip(rows.tolist(), np.split(numbers, 3)[1][near].tolist(), strict=True))
    return (
        f"The median distance of a generated event to the nearest training event is {np.median(made) / base:.3f} of that"
        f" of a held-out event; of the {size} generated events that were looked at {len(pairs)} are suspiciously close, nearer than"
        f" {SUSPICIOUS:g} of the distance of any held-out event."
    ), pairs


def _add_tests(book: ScoreBook, held_out: FloatArray, made: FloatArray, floor: FloatArray) -> None:
    """Test the distances to the nearest training event: how many are below the nearest hundredth of held-out events, or below all."""
    for name, share in (("memorisation.close", CLOSE), ("closer to a training event than any held-out one", 0.0)):
        p_values = []
        for tested, others in ((made, held_out if share else np.concatenate([held_out, floor])), (floor, held_out)):
            rank = max(1, ceil(share * len(others)))
            count = int((tested < np.partition(others, rank - 1)[rank - 1]).sum())
            p_values.append(closer_p(count, len(tested), rank, len(others)))
        book.add_test(name, MEMORISATION, *p_values)


def _with_error(share: float, size: int) -> tuple[float, float]:
    """A share and its error: its own counting error, and that of the events that set the limit."""
    return share, float(np.sqrt((share * (1 - share) + CLOSE * (1 - CLOSE)) / size))
