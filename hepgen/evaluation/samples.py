"""Reading two samples within bounded memory: random pools of events for the scores, histograms over all events."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hepgen.errors import InputFileError
from hepgen.evaluation.domain import Array, Domain, Events, FloatArray, Pool
from hepgen.evaluation.histograms import Axis, Histogram
from hepgen.evaluation.streaming import Sketch
from hepgen.events.source import EventSource, pieces

MAX_LISTED = 20


@dataclass(frozen=True)
class Sanity:
    """What is wrong in a sample, over all its events.

    Attributes:
        events: number of events.
        left_out: number that no score could take.
        problems: name to number of events, and the first event numbers.
        duplicates: events that are an exact copy of an earlier one (empty events apart).
    """

    events: int
    left_out: int
    problems: dict[str, tuple[int, list[int]]]
    duplicates: int


def read_pool(
    source: EventSource, domain: Domain, rng: np.random.Generator, *, rows: int, raw_rows: int
) -> tuple[Pool, Sanity]:
    """One pass over a source: a random pool of its events, and the sanity of all.

    Raises:
        InputFileError: if the source has no event, or none that is usable.
    """
    total = source.num_events
    if total < 1:
        raise InputFileError("a sample without events cannot be judged", where=f"tree '{source.schema.tree}'")
    chosen = rng.choice(total, size=min(rows, total), replace=False)
    order = np.argsort(chosen, kind="stable")
    chosen_sorted = chosen[order]
    parts: list[tuple[NDArray[np.int64], Pool]] = []
    raw_parts: list[tuple[NDArray[np.int64], Array]] = []
    problems: dict[str, tuple[int, list[int]]] = {}
    hashes = np.empty(total, dtype=np.uint64)
    offset = left_out = 0
    for events in _read(source, domain):
        count = len(events.weights)
        for name, flags in events.problems.items():
            before, listed = problems.get(name, (0, []))
            where = (np.flatnonzero(flags)[: MAX_LISTED - len(listed)] + offset).tolist()
            problems[name] = (before + int(flags.sum()), listed + where)
        left_out += int((~events.usable).sum())
        hashes[offset : offset + count] = _hashes(events.raw, events.conditions)
        first, last = np.searchsorted(chosen_sorted, [offset, offset + count])
        local = chosen_sorted[first:last] - offset
        places = order[first:last]
        use = events.usable[local]
        local, places = local[use], places[use]
        raw, conditions = events.raw[local], events.conditions[local]
        observed = domain.observe(raw, conditions)
        parts.append((places, Pool(total, observed, conditions, events.weights[local], raw[:0], local + offset)))
        keep = places < raw_rows
        raw_parts.append((places[keep], raw[keep]))
        offset += count
    rank = np.argsort(np.concatenate([places for places, _ in parts]), kind="stable")
    raw_rank = np.argsort(np.concatenate([places for places, _ in raw_parts]), kind="stable")
    if not len(rank):
        raise InputFileError(
            "no usable event in the sample",
            where=f"tree '{source.schema.tree}'",
            hint="; ".join(f"{name}: {count}" for name, (count, _) in problems.items() if count),
        )
    pool = Pool(
        total,
        np.concatenate([part.observables for _, part in parts])[rank],
        np.concatenate([part.conditions for _, part in parts])[rank],
        np.concatenate([part.weights for _, part in parts])[rank],
        np.concatenate([raw for _, raw in raw_parts])[raw_rank],
        np.concatenate([part.entries for _, part in parts])[rank],
    )
    found = {name: entry for name, entry in problems.items() if entry[0]}
    return pool, Sanity(offset, left_out, found, _duplicates(hashes[:offset]))


def fill_histograms(
    source: EventSource,
    pool: Pool,
    domain: Domain,
    axes: Sequence[Axis],
    spectrum_axis: Axis | None,
    sketches: Sequence[Sketch],
) -> list[Histogram]:
    """Histograms of every observable, and of the spectrum last, over all events of the source; fills the sketches too.

    A second pass over the source is made only where the pool does not hold all of its events.
    """
    histograms = [Histogram.empty(axis) for axis in axes]
    spectrum = None if spectrum_axis is None else Histogram.empty(spectrum_axis)
    whole = len(pool.raw) >= len(pool) and len(pool) >= pool.total
    for observables, raw, weights in [(pool.observables, pool.raw, pool.weights)] if whole else _stream(source, domain):
        for values, histogram, sketch in zip(observables.T, histograms, sketches, strict=True):
            histogram.fill(values, weights)
            sketch.fill(values, weights)
        if spectrum is not None:
            positive = raw > 0
            spectrum.fill(raw[positive], np.broadcast_to(weights[:, None], raw.shape)[positive])
    return histograms if spectrum is None else [*histograms, spectrum]


def _stream(source: EventSource, domain: Domain) -> Iterator[tuple[FloatArray, Array, FloatArray]]:
    for events in _read(source, domain):
        raw, conditions = events.raw[events.usable], events.conditions[events.usable]
        yield domain.observe(raw, conditions), raw, events.weights[events.usable]


def _read(source: EventSource, domain: Domain) -> Iterator[Events]:
    """In pieces: a batch as read is large, and each step of what follows makes an array of its size."""
    for batch in source.batches(domain.columns):
        for piece in pieces(batch):
            yield domain.read(piece)


def _hashes(raw: Array, conditions: FloatArray) -> NDArray[np.uint64]:
    """A 64-bit number per event, 0 for events without content, (events,)."""
    bits = np.ascontiguousarray(raw + 0.0).view(np.uint32 if raw.dtype == np.float32 else np.uint64).astype(np.uint64)
    bits = np.concatenate([bits, np.ascontiguousarray(conditions + 0.0).view(np.uint64)], axis=1)
    factors = np.random.default_rng(1).integers(1, 2**64, size=bits.shape[1], dtype=np.uint64) | np.uint64(1)
    mixed = (bits ^ (bits >> np.uint64(29))) * factors
    result = (mixed ^ (mixed >> np.uint64(32))).sum(axis=1, dtype=np.uint64)
    result[~(np.nan_to_num(raw) != 0).any(axis=1)] = 0
    return np.asarray(result)


def _duplicates(hashes: NDArray[np.uint64]) -> int:
    """Number of events that are a copy of another; sorts in place, since there may be many millions."""
    hashes.sort()
    return int(np.count_nonzero((hashes[1:] == hashes[:-1]) & (hashes[1:] != 0)))
