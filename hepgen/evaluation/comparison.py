"""The steps of one evaluation, in order."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from hepgen.evaluation.amplification import add_amplification
from hepgen.evaluation.checks import (
    MIN_EVENTS,
    check_angles,
    check_content,
    check_pool,
    check_scales,
    condition_notes,
    protocol_notes,
    size_notes,
)
from hepgen.evaluation.counted import add_defect_tests
from hepgen.evaluation.density_ratio import weight_spectrum
from hepgen.evaluation.domain import Domain, Pool
from hepgen.evaluation.generators import GENERATED, add_log_posteriors
from hepgen.evaluation.histograms import Axis, HistogramPair
from hepgen.evaluation.limits import Limits
from hepgen.evaluation.memorisation import add_memorisation
from hepgen.evaluation.metrics import UNWEIGHTED, effective_events
from hepgen.evaluation.protocols import Protocol
from hepgen.evaluation.report import Report
from hepgen.evaluation.report_parts import Curve, Problem
from hepgen.evaluation.samples import add_up, read_pool
from hepgen.evaluation.sanity import HARMLESS, Hashes, Sanity, sanity_table, shared_events
from hepgen.evaluation.sanity_words import sanity_sentences
from hepgen.evaluation.scores import Score, ScoreBook
from hepgen.evaluation.scoring import MIN_BIN, Plan, Scorer
from hepgen.evaluation.splits import condition_bins
from hepgen.evaluation.streaming import add_all_events, add_all_pooled, empty_sketches
from hepgen.evaluation.two_sample import ClassifierResult
from hepgen.events.source import EventSource


def say_nothing(text: str) -> None:
    """For nobody who wants to know."""
    del text


@dataclass(frozen=True)
class _Sample:
    """A sample as it is judged."""

    source: EventSource
    pool: Pool
    sanity: Sanity
    hashes: Hashes
    limits: Limits | None = None

    @property
    def judged(self) -> tuple[Pool, Sanity, Hashes]:
        return self.pool, self.sanity, self.hashes


class Comparison:
    """One evaluation.

    Args:
        domain: kind of events.
        work: sizes and repeats.
        seed: of every random choice.
        memory: bytes that the pools of raw events may take.
        tell: is told what is going on.
        notes: sentences that the notes of the report begin with.
    """

    def __init__(
        self,
        domain: Domain,
        work: Protocol,
        seed: int,
        memory: int,
        tell: Callable[[str], None],
        notes: Sequence[str] = (),
    ) -> None:
        self.domain, self.work, self.seed, self.memory, self.tell = domain, work, seed, memory, tell
        self.notes = tuple(notes)
        streams = np.random.SeedSequence(seed).spawn(8)
        self.rngs = [np.random.default_rng(stream) for stream in (*streams[:5], *streams[6:])]
        self.classifier_seed = int(streams[5].generate_state(1)[0])

    def run(
        self,
        reference_source: EventSource,
        generated_source: EventSource,
        training: EventSource | None,
        also: Mapping[str, EventSource],
        quick: bool,
        asked: int | None,
    ) -> Report:
        domain, work, book = self.domain, self.work, ScoreBook()
        self.tell("reading the samples")
        trained: Pool | None = None
        hashes: Hashes | None = None
        if training is not None:
            trained, _, hashes = read_pool(training, domain, self.rngs[5], rows=self._pool_rows(), raw_rows=0)
        reference, generated = self._samples(reference_source, generated_source, hashes)
        true, made = reference.pool, generated.pool
        bins = condition_bins(true.conditions, domain.condition_names, bare_first=domain.kind == "calorimeter")
        axes, spectrum_axis = domain.axes(true)
        plan = Plan.make(
            true, made, bins, (self.rngs[2], self.rngs[3], self.rngs[4]), work.max_events or len(true), work.splits
        )
        scorer = Scorer(domain, work, true, made, axes, spectrum_axis, bins, self.classifier_seed, self.tell)

        scorer.add(book, plan)
        curve, words = self._add_amplification(book, true, made, trained)
        results = scorer.add_classifiers(book, plan.raw)
        notes = []
        if also:
            self._add_generators(book, true, {GENERATED: made}, also)
        close: tuple[tuple[int, int], ...] = ()
        if training is not None:
            self.tell("distances to the training events")
            compared = book, domain, true, made, training, plan.raw, work.nearest
            sentence, close = add_memorisation(*compared)
            notes.append(sentence)
        else:
            notes.append(
                "Memorisation is not judged: no training sample was given (--quick leaves out that of the model)."
            )
        names = set(reference.pool.problems)  # what events have by themselves: limits come from the reference
        add_defect_tests(book, names, reference.judged, generated.judged)
        sentence, tests = scorer.add_global(book, results, plan.split)
        notes = [*words, sentence, *notes]
        self.tell("histograms over all events")
        histograms, further = _add_up(book, domain, reference, generated, axes, spectrum_axis)
        made_sanity = replace(generated.sanity, close=close).with_problems(further)
        habitual = reference.sanity.habitual() | HARMLESS
        broken = {name: one.pool.broken(habitual) for name, one in (("reference", reference), ("generated", generated))}
        flagged = {name: int(flags.sum()) for name, flags in broken.items()}
        sanity = sanity_table({"reference": reference.sanity, "generated": made_sanity}, flagged)
        clean = self._without_broken(scorer, plan, results, broken["reference"], broken["generated"], training, trained)

        scores = book.scores(clean)

        found = [weight_spectrum(one, true, made, plan.raw, domain.observables) for one in results]
        return Report(
            kind=domain.kind,
            protocol=work.name + (" (quick)" if quick else ""),
            n={
                "reference": true.total,
                "generated": made.total,
                "shared": shared_events(reference.hashes, generated.hashes),
                "side": plan.split.size,
                "classifier_side": plan.raw.size,
            },
            seed=self.seed,
            scores=scores,
            sanity=sanity,
            notes=(
                *self.notes,
                *sanity_sentences(sanity),
                *_weight_notes(scores, true, made),
                *condition_notes(true, made, domain.condition_names, bins),
                *_bin_notes(plan),
                *scorer.missing(plan.raw),
                *_control_notes(book, results),
                *notes,
                *protocol_notes(domain.kind, work),
                *size_notes(domain.kind, work, quick, plan.raw.size, asked),
            ),
            histograms=(
                *histograms,
                *(picture for _, picture in found),
            ),
            curves=(*domain.curves(true, made, bins), *(() if curve is None else (curve,))),
            images=domain.images(true, made),
            weights=tuple(spectrum for spectrum, _ in found),
            tests=tests,
        )

    def _add_generators(
        self, book: ScoreBook, reference: Pool, known: Mapping[str, Pool], also: Mapping[str, EventSource]
    ) -> None:
        """The log-posterior of each of several generators, by every classifier that can take them all."""
        self.tell(f"classifiers of {len(known) + len(also)} generators")
        pools = dict(known) | {name: self._pool(source, self.rngs[6], None)[0] for name, source in also.items()}
        for name, source in also.items():
            check_pool(pools[name], source, name)
        rows = len(reference.raw)
        largest, parts = self.work.max_events, self.work.parts
        for test in self.domain.tests(reference.raw, reference.conditions[:rows]):
            if test.posterior is not None:
                compared = book, test, reference, pools
                add_log_posteriors(*compared, seed=self.classifier_seed, max_events=largest, parts=parts)

    def _samples(
        self, reference: EventSource, generated: EventSource, trained: Hashes | None
    ) -> tuple[_Sample, _Sample]:
        """Both samples, with what is wrong in them."""
        true, true_sanity, true_hashes = self._pool(reference, self.rngs[0], trained)
        made, made_sanity, made_hashes = self._pool(generated, self.rngs[1], trained)
        for name, pool, source in (("reference", true, reference), ("generated", made, generated)):
            check_pool(pool, source, name)
        check_content(true, made, generated)
        check_scales(self.domain, true, made, generated)
        check_angles(self.domain, true, made, generated)
        limits = Limits.fit(true.observables, self.domain.observables, ordered=self.domain.kind == "table")
        spikes = limits.spikes(made.observables)
        made = replace(made, problems={**made.problems, **limits.flags(made.observables), **spikes})
        made_sanity = made_sanity.with_problems({name: Problem.of(one, made.entries) for name, one in spikes.items()})
        found = _Sample(generated, made, made_sanity, made_hashes, limits)
        return _Sample(reference, true, true_sanity, true_hashes), found

    def _pool(
        self, source: EventSource, rng: np.random.Generator, trained: Hashes | None
    ) -> tuple[Pool, Sanity, Hashes]:
        width = max(self.domain.raw_bytes, 1)
        affordable = max(self.memory // 4 // width, 200)
        wanted = source.num_events if self.work.max_events is None else 2 * self.work.max_events
        raw_rows = min(wanted, affordable)
        pool_rows = max(self._pool_rows(), raw_rows)
        return read_pool(source, self.domain, rng, rows=pool_rows, raw_rows=raw_rows, training=trained)

    def _pool_rows(self) -> int:
        return min(self.work.pool_events, self.memory // 4 // (8 * len(self.domain.observables)))

    def _add_amplification(
        self, book: ScoreBook, reference: Pool, generated: Pool, trained: Pool | None
    ) -> tuple[Curve | None, list[str]]:
        """Equivalent events, by the observables of the training events too."""
        compared = book, reference, generated, self.domain.observables, trained
        return add_amplification(*compared, conditioned=bool(self.domain.condition_names))

    def _without_broken(
        self,
        scorer: Scorer,
        plan: Plan,
        results: Sequence[ClassifierResult],
        reference: np.ndarray,
        generated: np.ndarray,
        training: EventSource | None,
        trained: Pool | None,
    ) -> ScoreBook | None:
        """Every score without the flagged events; None where none is flagged or nothing is left."""
        clean = plan.without(reference, generated)
        if (
            not (reference.any() or generated.any())
            or min(split.size for split in (*clean.splits, *clean.raws)) < MIN_EVENTS // 2
        ):
            return None
        self.tell("scores without broken events")
        book = ScoreBook()
        quiet = replace(scorer, tell=say_nothing)
        quiet.add(book, clean)
        add_all_pooled(book, scorer.reference.take(~reference), scorer.generated.take(~generated))
        self._add_amplification(book, scorer.reference.take(~reference), scorer.generated.take(~generated), trained)
        left = quiet.add_verdicts(book, results, plan.raw, reference, generated)
        if training is not None:
            compared = self.domain, scorer.reference, scorer.generated, training, clean.raw, self.work.nearest
            add_memorisation(book, *compared)
        quiet.add_global(book, left, clean.split)
        return book


def _add_up(
    book: ScoreBook,
    domain: Domain,
    reference: _Sample,
    generated: _Sample,
    axes: Sequence[Axis],
    spectrum_axis: Axis | None,
) -> tuple[list[HistogramPair], dict[str, Problem]]:
    """Histograms of all events of both samples, the scores that take all of them, and generated ones beyond the limits."""
    sketches = empty_sketches(reference.pool.observables, generated.pool.observables)
    true, made = (
        add_up(one.source, one.pool, domain, axes, spectrum_axis, sketch, one.limits)
        for one, sketch in zip((reference, generated), sketches, strict=True)
    )
    usable = (reference.sanity.scored, generated.sanity.scored)
    add_all_events(book, *sketches, reference.pool.observables, usable)
    pairs = list(zip(domain.observables, true.histograms, made.histograms, strict=True))
    if domain.spectrum is not None and true.spectrum is not None and made.spectrum is not None:
        pairs.append((domain.spectrum, true.spectrum, made.spectrum))
    return [HistogramPair(*row) for row in pairs], made.problems


def _bin_notes(plan: Plan) -> list[str]:
    words = f"Fewer than {MIN_BIN} events a side, no separate scores, at: {', '.join(plan.small)}."
    return [words] if plan.small else []


def _weight_notes(scores: Mapping[str, Score], reference: Pool, generated: Pool) -> list[str]:
    if all((pool.weights == 1).all() for pool in (reference, generated)):
        return []
    names = ", ".join(name for name, score in scores.items() if UNWEIGHTED in score.comment)
    worth = " and ".join(
        f"{effective_events(pool.weights):.0f} ({name})"
        for name, pool in (("reference", reference), ("generated", generated))
    )
    sizes = " and ".join(str(len(pool)) for pool in (reference, generated))
    return [
        (
            f"By their weights {sizes} events are worth {worth}. Event weights do not enter {names}, nor the tails behind"
            " 'where it fails'; all other scores and the pictures take them."
        )
    ]


def _control_notes(book: ScoreBook, results: Sequence[ClassifierResult]) -> list[str]:
    names = [(result.test.score("auc"), result.test.control) for result in results]
    return [
        f"Control of {name}: the same classifier tells truth from truth with {control} at"
        f" {book.score(f'control.{name}').text()}."
        for name, control in names
    ]
