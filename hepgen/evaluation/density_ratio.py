"""Where a generator fails: the density ratio on both samples, and the observables in which its tails stand out.

The weight of an event is the density of the truth over that of the generator, by a calibrated classifier (arXiv:2305.16774):
generated events of small weight are what there is too much of, true events of large weight what is missing.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from hepgen.classifiers.calibration import log_ratio
from hepgen.evaluation.domain import FloatArray, Pool
from hepgen.evaluation.histograms import Axis, Histogram, HistogramPair, Observable
from hepgen.evaluation.metrics import effective_events, kolmogorov_distance
from hepgen.evaluation.report_parts import Extremes, Standout, WeightedEvent, WeightSpectrum
from hepgen.evaluation.splits import IntArray, Split
from hepgen.evaluation.two_sample import ClassifierResult

TAIL = 0.05
"""Share of a sample, by weight, that counts as its tail."""

LOG_WEIGHT = "log_weight"
"""Name of the pictures, with the classifier's behind it."""

BINS = 40
REACH = (0.1, 3.0)
"""Decimal logarithms of weights are drawn at least from -0.1 to 0.1 and at most from -3 to 3; the rest is in the last bins."""

LISTED = 10
OBSERVABLES = 5
_SIGNIFICANT = 2.0  # a Kolmogorov distance of a tail of n events counts from this over the root of n on


def weight_spectrum(
    result: ClassifierResult,
    reference: Pool,
    generated: Pool,
    split: Split,
    observables: Sequence[Observable],
) -> tuple[WeightSpectrum, HistogramPair]:
    """What a classifier that told half A from generated events says of single events, and the weights of both samples.

    Args:
        result: of the classifier test, on events that it was not trained on.
        reference, generated: pools.
        split: rows of the pools that the verdict numbers: half A first, then the generated events.
        observables: of the pools.
    """
    test, verdict = result.test, result.generated.whole()
    logs = log_ratio(verdict.smooth, verdict.labels, verdict.weights)
    true = verdict.labels > 0.5
    rows_true = split.a[verdict.rows[true]]
    rows_made = split.generated[verdict.rows[~true] - len(split.a)]
    label = "log10 of the density of the truth over the generator's" + (f", {test.name}" if test.name else "")
    decimal = logs / np.log(10)
    reach = float(np.clip(1.1 * np.quantile(np.abs(decimal), 0.999), *REACH))
    drawn = (_histogram(decimal[side], verdict.weights[side], reach) for side in (true, ~true))
    picture = HistogramPair(Observable(f"{LOG_WEIGHT}.{test.name or 'all'}", label), *drawn)
    weight = np.exp(logs[~true]) * verdict.weights[~true]
    size = len(weight)
    # ties, which boosted trees make, in the order of the events
    order_true = np.argsort(-logs[true], kind="stable")
    order_made = np.argsort(logs[~true], kind="stable")
    found = WeightSpectrum(
        test=test.name or "all",
        n=min(size, int(true.sum())),
        effective=effective_events(weight) / size * min(1.0, float(weight.mean())),
        missing=_standouts(reference.observables[rows_true], order_true, observables),
        surplus=_standouts(generated.observables[rows_made], order_made, observables),
        reference=_extremes(reference.entries[rows_true], logs[true]),
        generated=_extremes(generated.entries[rows_made], logs[~true]),
    )
    return found, picture


def _extremes(numbers: IntArray, logs: FloatArray) -> Extremes:
    """The events of the largest and of the smallest weights, by their numbers and the logarithms of their weights, (events,).

    Example:
        >>> found = _extremes(np.array([7, 8, 9]), np.log([1.0, 0.5, 2.0]))
        >>> [one.event for one in found.largest], [one.event for one in found.smallest]
        ([9, 7, 8], [8, 7, 9])
    """
    ends = (np.argsort(sign * logs, kind="stable")[:LISTED] for sign in (-1, 1))
    return Extremes(
        *(tuple(WeightedEvent(int(numbers[row]), float(np.exp(logs[row]))) for row in rows) for rows in ends)
    )


def _histogram(values: FloatArray, weights: FloatArray, reach: float) -> Histogram:
    histogram = Histogram.empty(Axis(np.linspace(-reach, reach, BINS + 1)))
    histogram.fill(np.clip(values, -reach, reach), weights)
    return histogram


def _standouts(values: FloatArray, order: IntArray, observables: Sequence[Observable]) -> tuple[Standout, ...]:
    """Observables, (events, observables), in which the first events of an order differ from the others, worst first."""
    size = max(1, round(TAIL * len(order)))
    found = []
    for observable, column in zip(observables, values.T, strict=True):
        tail, rest = (part[~np.isnan(part)] for part in (column[order[:size]], column[order[size:]]))
        if min(len(tail), len(rest)) < 2:
            continue
        distance = kolmogorov_distance(tail, rest)
        if distance > _SIGNIFICANT / np.sqrt(len(tail)):
            found.append(Standout(observable.name, distance, float(np.median(tail)), float(np.median(rest))))
    return tuple(sorted(found, key=lambda one: -one.ks)[:OBSERVABLES])
