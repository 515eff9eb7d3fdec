"""Does the generator repeat its training events? Distances to the nearest one, against those of held-out events."""

from __future__ import annotations

import numpy as np

from hepgen.evaluation.distances import Scale
from hepgen.evaluation.domain import Array, Domain, FloatArray, Pool
from hepgen.evaluation.multivariate import squared_distances
from hepgen.evaluation.report import ScoreBook
from hepgen.evaluation.splits import Split
from hepgen.events.source import EventSource

PARTS = 4
CLOSE = 0.01
CHUNK = 4096


def nearest_distances(queries: FloatArray, source: EventSource, domain: Domain, scale: Scale) -> FloatArray:
    """Distance of each query to the nearest event of a source, streaming over all of it, (queries,).

    Args:
        queries: scaled features, (queries, features).
        source: the training events.
        domain: turns batches into features.
        scale: brings features to the scale of the queries.
    """
    points = queries.astype(np.float32)
    nearest = np.full(len(points), np.inf, dtype=np.float32)
    for batch in source.batches(domain.columns):
        events = domain.read(batch)
        usable = np.flatnonzero(events.usable)
        for start in range(0, len(usable), CHUNK):
            rows = usable[start : start + CHUNK]
            features = scale(domain.nearest_features(events.raw[rows], events.conditions[rows])).astype(np.float32)
            best = squared_distances(points, features).argmin(axis=1)
            # the expanded square loses all digits for a copy, so the distance to the nearest is taken again
            nearest = np.minimum(nearest, ((points - features[best]) ** 2).sum(axis=1))
    return np.sqrt(nearest).astype(np.float64)


def add_memorisation(
    book: ScoreBook,
    domain: Domain,
    reference: Pool,
    generated: Pool,
    training: EventSource,
    split: Split,
    size: int,
) -> str:
    """Add ``memorisation.ratio`` and ``memorisation.close``, and say in a sentence what they mean.

    The ratio is the median distance of generated events to their nearest training event over that of held-out ones;
    below 1 the generator stays too near its training sample. ``close`` is the fraction of generated events nearer to a
    training event than 99 % of held-out ones, 0.01 where nothing is memorised. Errors come from four disjoint parts.
    """
    size = min(size, split.size)
    parts = [
        (reference, split.a[:size]),
        (generated, split.generated[:size]),
        (reference, split.b[:size]),
    ]
    features: list[Array] = [domain.nearest_features(pool.raw[rows], pool.conditions[rows]) for pool, rows in parts]
    scale = Scale.fit(features[0], domain.nearest_scale)
    distances = nearest_distances(np.concatenate([scale(x) for x in features]), training, domain, scale)
    held_out, made, floor = np.split(distances, 3)
    limit = float(np.quantile(held_out, CLOSE))
    base = float(np.median(held_out))
    pieces = [np.arange(size), *np.array_split(np.arange(size), PARTS)]
    close = [(float(np.mean(made[rows] < limit)), float(np.mean(floor[rows] < limit))) for rows in pieces]
    book.add_parts("memorisation.close", close, size)
    if base > 0:
        ratios = [(float(np.median(made[rows])) / base, float(np.median(floor[rows])) / base) for rows in pieces]
        book.add_parts("memorisation.ratio", ratios, size)
    if base == 0:
        return "Memorisation cannot be judged: the reference holds the training events themselves."
    return (
        f"The median distance of a generated event to the nearest training event is {np.median(made) / base:.3f} of that"
        f" of a held-out event ({size} events each)."
    )
