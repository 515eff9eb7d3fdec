"""How many true events are the generated ones worth? Their quantile mean squared error against that of truth.

Half A of the reference divides the axis of each observable into quantiles (``hepgen.evaluation.quantiles``); half B is the
truth sample. The qMSE is averaged over all observables that are continuous: integer ones, and those of which spikes
leave fewer than half of the quantiles, are left out; a narrower spike only merges the quantiles that it spans.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from hepgen.evaluation.domain import FloatArray, Pool
from hepgen.evaluation.histograms import Observable
from hepgen.evaluation.metrics import effective_events
from hepgen.evaluation.quantiles import IndexArray, Measurement, Ruler, place, quantile_edges
from hepgen.evaluation.report_parts import Curve, Line
from hepgen.evaluation.scores import ScoreBook
from hepgen.evaluation.tables import rounded

MOST_QUANTILES = 50
QUANTILE_EVENTS = 100
FEWEST_QUANTILES = 3
SMALLEST_PIECE = 100
FEWEST_PIECES = 5
LISTED = 3
BOUND = "at least this: the reference resolves no more"


@dataclass(frozen=True)
class _Sample:
    """Quantiles, (events, observables), and weights of events."""

    index: IndexArray
    weights: FloatArray

    def __len__(self) -> int:
        return len(self.weights)

    def first(self, count: int) -> _Sample:
        return _Sample(self.index[:count], self.weights[:count])

    def measured(self, ruler: Ruler) -> Measurement:
        return ruler.measure(self.index, self.weights)


def add_amplification(
    book: ScoreBook,
    reference: Pool,
    generated: Pool,
    observables: Sequence[Observable],
    training: Pool | None = None,
    *,
    conditioned: bool = False,
) -> tuple[Curve | None, list[str]]:
    """Add ``qmse``, ``equivalent_events``, the latter also of each observable, and ``amplification`` of training events.

    ``qmse`` takes equally many generated and true events. ``equivalent_events`` takes all generated ones: the size of a true
    sample (without weights) of the same qMSE, by the 1/N law after what the finite half A adds is taken off; its floor is
    what half B is read off as, which should be its own number. Where the excess is within two errors, the score is a lower
    bound and has no error. ``amplification`` is ``equivalent_events`` over the number of training events; its floor is what
    the training events themselves are read off as, over their number. Errors are those of one training: what another
    sample of training events would give is not in them.

    Args:
        book: takes the scores.
        reference, generated: in random order.
        observables: columns of the pools.
        training: the training events.
        conditioned: whether events were generated for conditions, which may be those of the reference.

    Returns:
        The curves of qMSE against the number of events, None where there are too few events, and sentences on them.
    """
    half = len(reference) // 2
    weights = reference.weights[:half]
    edges = {
        number: inner
        for number, observable in enumerate(observables)
        if not observable.integer and (inner := _edges(reference.observables[:half, number], weights)) is not None
    }
    left_out = [one.name for number, one in enumerate(observables) if number not in edges]
    for number, observable in enumerate(observables):
        if not observable.integer and number not in edges:
            _unknown(book, f"equivalent_events.{observable.name}", half, "too few events, or too many of one value")
    if not edges:
        words = "no continuous observable, or too few true events for quantiles"
        for name in ("qmse", "equivalent_events", *(("amplification",) if training is not None else ())):
            _unknown(book, name, half, words)
        return None, [f"Amplification is not judged: {words}."]
    columns, inner_edges = list(edges), list(edges.values())

    def sample(pool: Pool, rows: slice = slice(None)) -> _Sample:
        return _Sample(place(pool.observables[rows][:, columns], inner_edges), pool.weights[rows])

    ruler = Ruler(inner_edges, place(reference.observables[:half][:, columns], inner_edges), weights)
    true, made = sample(reference, slice(half, None)), sample(generated)
    trained = sample(training) if training is not None else None

    size = min(len(true), len(made))
    pair = made.first(size).measured(ruler), true.first(size).measured(ruler)
    book.add_fit("qmse", (pair[0].qmse, pair[0].error), (pair[1].qmse, pair[1].error), size)
    found = _add_equivalent(book, "equivalent_events", ruler, true, made)
    single: dict[str, float] = {}
    for place_of, number in enumerate(columns):
        name = observables[number].name
        parts = (_Sample(one.index[:, place_of : place_of + 1], one.weights) for one in (true.first(len(made)), made))
        single[name] = _add_equivalent(book, f"equivalent_events.{name}", ruler.only(place_of), *parts).equivalent
    notes = [_words(ruler, found, single, len(made), left_out)]
    if conditioned:
        notes.append(
            "Generated events with the conditions of the reference follow its fluctuations: observables that hang on"
            " these make the equivalent events too many."
        )
    if training is not None and trained is not None:
        notes.append(_add_factor(book, ruler, found, trained, training.total / len(training), len(made)))
    return _curve(ruler, true, made, trained), notes


def _edges(values: FloatArray, weights: FloatArray) -> FloatArray | None:
    """Edges of at most 50 quantiles of at least about 100 events; None of an observable that is not continuous enough."""
    present = ~np.isnan(values)
    if weights[present].sum() <= 0:
        return None
    count = min(MOST_QUANTILES, int(effective_events(weights[present]) // QUANTILE_EVENTS))
    if count < FEWEST_QUANTILES:
        return None
    edges = quantile_edges(values[present], weights[present], count)
    return edges if 2 * (len(edges) + 1) >= count else None


def _unknown(book: ScoreBook, name: str, size: int, words: str) -> None:
    book.add(name, float("nan"), None, size)
    book.comment(name, words)


def _add_equivalent(book: ScoreBook, name: str, ruler: Ruler, true: _Sample, made: _Sample) -> Measurement:
    """Add the read-off of all generated events, and as its floor that of at most as many true ones."""
    found, floor = made.measured(ruler), true.first(len(made)).measured(ruler)
    values = [(one.equivalent, one.equivalent_error) for one in (found, floor)]
    book.add_fit(name, values[0], values[1], len(made))
    if found.bound:
        book.comment(name, BOUND)
    of_floor = [f"{len(true)} true events"] if len(true) < len(made) else []
    if floor.bound:
        of_floor.append("at least this")
    if of_floor:
        book.comment(name, f"floor: {', '.join(of_floor)}")
    return found


def _add_factor(
    book: ScoreBook, ruler: Ruler, found: Measurement, trained: _Sample, events_per_row: float, size: int
) -> str:
    """Add ``amplification``, and say what it is."""
    at_floor = trained.measured(ruler)
    number = at_floor.events * events_per_row
    error, floor_error = found.equivalent_error, at_floor.equivalent_error
    book.add_fit(
        "amplification",
        (found.equivalent / number, None if error is None else error / number),
        (at_floor.equivalent / at_floor.events, None if floor_error is None else floor_error / at_floor.events),
        size,
    )
    if found.bound:
        book.comment("amplification", BOUND)
    if 2 * found.sampling > found.excess:
        book.comment("amplification", "more generated events would show a larger one")
    if not np.isfinite(found.equivalent + at_floor.equivalent):
        return "Amplification is not judged: an observable of a sample has no values."
    return (
        f"The {number:.0f} training events have a quantile mean squared error of {at_floor.qmse:.3g} and are read off as"
        f" {_about(at_floor)} true ones; all generated ones have {found.qmse:.3g}: amplification"
        f" {'at least ' if found.bound else ''}{found.equivalent / number:.3g}."
    )


def _words(ruler: Ruler, found: Measurement, single: dict[str, float], size: int, left_out: Sequence[str]) -> str:
    if not np.isfinite(found.equivalent):
        return "Equivalent events are not known: an observable of the generated events has no values."
    worst = sorted(single, key=lambda name: single[name])[:LISTED]
    listed = ", ".join(f"{name} ({rounded(single[name])})" for name in worst)
    skipped = f" Not continuous, so left out: {', '.join(left_out)}." if left_out else ""
    return (
        f"By the quantile mean squared error of {len(ruler.bins)} observables in at most {ruler.bins.max()} quantiles,"
        f" {size} generated events are worth {_about(found)} true ones; {ruler.events:.0f} true events behind the quantiles"
        f" resolve at most {rounded(ruler.resolution)}. Least in {listed}.{skipped}"
    )


def _about(one: Measurement) -> str:
    return f"{'at least' if one.bound else 'about'} {rounded(one.equivalent)}"


def _curve(ruler: Ruler, true: _Sample, made: _Sample, trained: _Sample | None) -> Curve:
    """qMSE against the number of events, of generated and true ones, with the law of truth."""
    ends = {len(true), len(made)}
    grid = SMALLEST_PIECE * 2 ** np.arange(0, max(0.0, np.log2(max(ends) / SMALLEST_PIECE)))
    sizes = sorted({*(int(one) for one in grid), *ends})
    reference, generated = (np.array([_at_size(ruler, one, size) for size in sizes]) for one in (true, made))
    alone = true.measured(ruler).sampling * len(true)
    x = np.geomspace(sizes[0], sizes[-1], 40)
    limit = ruler.noise + ruler.unit / ruler.resolution
    lines = [
        Line("expected of truth", tuple(x.tolist()), tuple((alone / x + ruler.noise).tolist())),
        Line("limit of the reference", (float(x[0]), float(x[-1])), (limit, limit)),
    ]
    if trained is not None:
        lines.append(Line("training events", (float(len(trained)),), (trained.measured(ruler).qmse,)))
    true_points, true_errors, made_points, made_errors = (
        tuple(column.tolist()) for column in (*reference.T, *generated.T)
    )
    return Curve(
        name="amplification",
        x_label="number of events",
        y_label="quantile mean squared error",
        x=tuple(float(one) for one in sizes),
        reference=true_points,
        reference_error=true_errors,
        generated=made_points,
        generated_error=made_errors,
        log_x=True,
        log_y=True,
        lines=tuple(lines),
    )


def _at_size(ruler: Ruler, one: _Sample, size: int) -> tuple[float, float]:
    """Mean qMSE of the disjoint pieces of a size, and its error for half A as it is; nan where there is no piece."""
    if size > len(one):
        return float("nan"), float("nan")
    values = ruler.of_pieces(one.index, one.weights, size)
    if len(values) < FEWEST_PIECES:
        return float(values.mean()), one.first(size).measured(ruler).own_error / float(np.sqrt(len(values)))
    return float(values.mean()), float(values.std(ddof=1) / np.sqrt(len(values)))
