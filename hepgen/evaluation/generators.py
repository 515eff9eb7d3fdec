"""Several generators in one training: how probable a classifier of all of them finds each for a true event."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from hepgen.classifiers.base import (
    FOLDS,
    ClassPosterior,
    FloatArray,
    LabelledEvents,
    label_classes,
    rotation,
    stratified_folds,
)
from hepgen.errors import UsageError
from hepgen.evaluation.domain import ClassifierTest, Pool
from hepgen.evaluation.scores import ScoreBook

GENERATED = "generated"
"""Name of the sample that is judged, beside those of other generators."""


def add_log_posteriors(
    book: ScoreBook,
    test: ClassifierTest,
    reference: Pool,
    generators: Mapping[str, Pool],
    *,
    seed: int,
    max_events: int | None = None,
    parts: int = 10,
) -> None:
    """Add ``logpost.NAME`` of each generator: the mean over true events x of log p(NAME | x) (arXiv:2410.21611).

    The classes are the generators and the truth itself, with equally many events and equal shares. Higher is better; the
    floor, the mean of log p(truth | x), is what a perfect generator would reach, and what is missing to it is the
    Kullback-Leibler divergence from the truth to the generator, in nats, as far as the classifier sees it. Five
    classifiers are trained, each on three fifths of all classes, and every true event is judged by the one that has
    neither been trained on it nor watched on it. The error comes from parts of the true events, no part of which was
    judged by two classifiers, so that it holds what the trainings differ by.

    Args:
        book: where the scores go.
        test: features and classifier.
        reference: true events.
        generators: generated events by the name of the generator.
        seed: of the choice of events, their division and the trainings.
        max_events: events of each class; as many as the smallest has where None.
        parts: disjoint parts of the true events behind the errors.

    Raises:
        UsageError: if the test has no classifier of several samples, no generator is given, or one has few events.
    """
    if test.posterior is None:
        raise UsageError(f"the classifier test on {test.title} cannot tell several generators apart")
    if not generators:
        raise UsageError("there is no generator to judge")
    pools = [*generators.values(), reference]
    size = min(len(pool.raw) for pool in pools)
    size = size if max_events is None else min(size, max_events)
    if size < FOLDS * parts:
        raise UsageError(f"{size} events of each generator are too few to be told apart: {FOLDS * parts} are needed")
    rng = np.random.default_rng(seed)
    folds = _judge(test.posterior, _stack(test, pools, size, rng), seed, rng)
    pieces = -(-parts // FOLDS)
    found = [_mean(np.concatenate(folds))]
    found += [_mean(fold[start::pieces]) for fold in folds for start in range(pieces)]
    for number, name in enumerate(generators):
        score = f"{test.score('logpost')}.{name}"
        book.add_parts(score, [(float(means[number]), float(means[-1])) for means in found], size)
        book.comment(score, f"higher is better, {-np.log(len(pools)):.3f} if all {len(pools)} classes were equal")


def _stack(test: ClassifierTest, pools: list[Pool], size: int, rng: np.random.Generator) -> LabelledEvents:
    """Random events of each pool, of equal number, labelled in order."""
    rows = [rng.permutation(len(pool.raw))[:size] for pool in pools]
    chosen = list(zip(pools, rows, strict=True))
    features = [test.features(pool.raw[use], pool.conditions[use]) for pool, use in chosen]
    return label_classes(features, [pool.weights[use] for pool, use in chosen])


def _judge(
    make: Callable[[], ClassPosterior], events: LabelledEvents, seed: int, rng: np.random.Generator
) -> list[FloatArray]:
    """For each fold, of its events of the last class: the log-posteriors and then the weight, (events, classes + 1)."""
    divided = stratified_folds(events.labels, FOLDS, rng)
    found = []
    for number in range(FOLDS):
        train, watch, held = rotation(divided, number)
        judged = events.take(held[events.labels[held] == events.labels.max()])
        posterior = make()
        posterior.fit(events.take(train), events.take(watch), seed)
        found.append(np.column_stack([posterior.log_posterior(judged.features), judged.weights]))
    return found


def _mean(judged: FloatArray) -> FloatArray:
    """Weighted mean of each log-posterior, (classes,)."""
    weights = judged[:, -1]
    total = weights.sum()
    return np.asarray(weights @ judged[:, :-1] / (total or np.nan))
