"""Reading two samples within bounded memory: random pools of events for the scores, histograms over all events."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from hepgen.errors import InputFileError
from hepgen.evaluation.domain import Array, Domain, FloatArray, Pool, events_of
from hepgen.evaluation.histograms import Axis, Histogram
from hepgen.evaluation.report_parts import Problem
from hepgen.evaluation.sanity import COPIES, TRAINED, Hashes, Sanity, content_hashes, copied_from, copies
from hepgen.evaluation.streaming import Sketch
from hepgen.events.source import EventSource


def read_pool(
    source: EventSource,
    domain: Domain,
    rng: np.random.Generator,
    *,
    rows: int,
    raw_rows: int,
    training: Hashes | None = None,
) -> tuple[Pool, Sanity]:
    """One pass over a source: a random pool of its events, and the sanity of all.

    Args:
        source: where the events come from.
        domain: of the events.
        rng: chooses the pool.
        rows: of the pool at most.
        raw_rows: of them with raw values.
        training: hashes of the training events, of which there must be no copies.

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
    problems: dict[str, Problem] = {}
    flags: list[dict[str, NDArray[np.bool_]]] = []
    hashes = np.empty(total, dtype=np.uint64)
    offset = left_out = 0
    for events in events_of(source, domain):
        count = len(events.weights)
        numbers = np.arange(offset, offset + count)
        for name, wrong in events.problems.items():
            found = Problem.of(wrong, numbers)
            problems[name] = problems[name].joined(found) if name in problems else found
        left_out += int((~events.usable).sum())
        hashes[offset : offset + count] = content_hashes(events.raw, events.conditions)
        first, last = np.searchsorted(chosen_sorted, [offset, offset + count])
        local = chosen_sorted[first:last] - offset
        places = order[first:last]
        use = events.usable[local]
        local, places = local[use], places[use]
        raw, conditions = events.raw[local], events.conditions[local]
        observed = domain.observe(raw, conditions)
        parts.append((places, Pool(total, observed, conditions, events.weights[local], raw[:0], local + offset)))
        flags.append({name: wrong[local] for name, wrong in events.problems.items()})
        keep = places < raw_rows
        raw_parts.append((places[keep], raw[keep]))
        offset += count
    rank = np.argsort(np.concatenate([places for places, _ in parts]), kind="stable")
    raw_rank = np.argsort(np.concatenate([places for places, _ in raw_parts]), kind="stable")
    if not len(rank):
        raise InputFileError(
            "no usable event in the sample",
            where=f"tree '{source.schema.tree}'",
            hint="; ".join(f"{name}: {found.count}" for name, found in problems.items() if found.count),
        )
    entries = np.concatenate([part.entries for _, part in parts])[rank]
    of_whole = {COPIES: copies(hashes[:offset])}
    if training is not None:
        of_whole[TRAINED] = copied_from(hashes[:offset], training)
    pool = Pool(
        total,
        np.concatenate([part.observables for _, part in parts])[rank],
        np.concatenate([part.conditions for _, part in parts])[rank],
        np.concatenate([part.weights for _, part in parts])[rank],
        np.concatenate([raw for _, raw in raw_parts])[raw_rank],
        entries,
        {name: np.concatenate([part[name] for part in flags])[rank] for name in problems}
        | {name: wrong[entries] for name, wrong in of_whole.items()},
    )
    found_in_whole = {name: Problem.of(wrong) for name, wrong in of_whole.items()}
    return pool, Sanity(offset, left_out).with_problems(problems | found_in_whole)


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
    for events in events_of(source, domain):
        raw, conditions = events.raw[events.usable], events.conditions[events.usable]
        yield domain.observe(raw, conditions), raw, events.weights[events.usable]
