"""Reading two samples within bounded memory: random pools of events for the scores, histograms over all events."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from hepgen.errors import InputFileError
from hepgen.evaluation.domain import Array, Domain, FloatArray, Pool, events_of
from hepgen.evaluation.histograms import Axis, Histogram
from hepgen.evaluation.limits import Limits
from hepgen.evaluation.report_parts import Problem, collect
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
) -> tuple[Pool, Sanity, Hashes]:
    """One pass over a source: a random pool of its events, and the sanity and the hashes of all.

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
        collect(problems, events.problems, np.arange(offset, offset + count), events.usable)
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
    return pool, Sanity(offset, left_out).with_problems(problems | found_in_whole), hashes[:offset]


@dataclass
class Totals:
    """What is added up over all events of a sample.

    Attributes:
        histograms: of each observable.
        sketches: of each observable.
        spectrum: of all positive raw values, where this kind of events has one.
        limits: what events must keep to, or None.
        problems: which of them do not.
    """

    histograms: list[Histogram]
    sketches: Sequence[Sketch]
    spectrum: Histogram | None
    limits: Limits | None = None
    problems: dict[str, Problem] = field(default_factory=dict)

    def add(self, observables: FloatArray, weights: FloatArray, entries: NDArray[np.int64]) -> None:
        """Add events: observables (events, observables), weights and numbers (events,)."""
        for values, histogram, sketch in zip(observables.T, self.histograms, self.sketches, strict=True):
            histogram.fill(values, weights)
            sketch.fill(values, weights)
        if self.limits is not None:
            collect(self.problems, self.limits.flags(observables), entries)

    def add_raw(self, raw: Array, weights: FloatArray) -> None:
        """Add raw values, (events, width), to the spectrum."""
        if self.spectrum is not None:
            positive = raw > 0
            self.spectrum.fill(raw[positive], np.broadcast_to(weights[:, None], raw.shape)[positive])


def add_up(
    source: EventSource,
    pool: Pool,
    domain: Domain,
    axes: Sequence[Axis],
    spectrum_axis: Axis | None,
    sketches: Sequence[Sketch],
    limits: Limits | None = None,
) -> Totals:
    """Histograms and sketches of every observable, the spectrum, and events beyond the limits, over all events of a source.

    What the pool holds of all events is taken from there; for the rest there is a second pass over the source.
    """
    spectrum = None if spectrum_axis is None else Histogram.empty(spectrum_axis)
    totals = Totals([Histogram.empty(axis) for axis in axes], sketches, spectrum, limits)
    observed, kept = len(pool) >= pool.total, spectrum is None or len(pool.raw) >= pool.total
    if observed:
        totals.add(pool.observables, pool.weights, pool.entries)
    if kept:
        totals.add_raw(pool.raw, pool.weights[: len(pool.raw)])
    if observed and kept:
        return totals
    offset = 0
    for events in events_of(source, domain):
        usable = np.flatnonzero(events.usable)
        raw, conditions, weights = events.raw[usable], events.conditions[usable], events.weights[usable]
        if not observed:
            totals.add(domain.observe(raw, conditions), weights, usable + offset)
        if not kept:
            totals.add_raw(raw, weights)
        offset += len(events.usable)
    return totals
