"""``evaluate``: two samples in, a report out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Protocol as Interface

import numpy as np

from hepgen.errors import UsageError, suggest
from hepgen.evaluation.amplification import add_amplification
from hepgen.evaluation.checks import (
    check_columns,
    check_sizes,
    condition_notes,
    sanity_notes,
    sanity_table,
    size_notes,
)
from hepgen.evaluation.columns import TableDomain
from hepgen.evaluation.density_ratio import weight_spectrum
from hepgen.evaluation.distances import (
    Scale,
    add_correlations,
    add_frechet,
    add_frechet_intercept,
    add_neighbours,
    add_published_distances,
)
from hepgen.evaluation.domain import ClassifierTest, Domain, Pool
from hepgen.evaluation.global_test import add_global
from hepgen.evaluation.histograms import HistogramPair, axis_for
from hepgen.evaluation.memorisation import add_memorisation
from hepgen.evaluation.metrics import effective_events, kolmogorov_distance
from hepgen.evaluation.one_dimensional import add_one_dimensional, add_spectrum
from hepgen.evaluation.protocols import Protocol, choose_protocol
from hepgen.evaluation.report import Report, ScoreBook
from hepgen.evaluation.report_parts import Curve, WeightSpectrum
from hepgen.evaluation.response import add_profile, add_response, energy_bins, shower_curves
from hepgen.evaluation.samples import Sanity, fill_histograms, read_pool
from hepgen.evaluation.showers import ShowerDomain
from hepgen.evaluation.splits import ConditionBin, Split, common_size, condition_bins, random_split
from hepgen.evaluation.two_sample import add_classifier_test
from hepgen.events.source import EventSource
from hepgen.physics.binning import Binning

LARGEST_SIDE = 50_000
MIN_BIN = 100


class Watcher(Interface):
    """Somebody who is told what the evaluation does."""

    def message(self, text: str) -> None: ...


def _say_nothing(text: str) -> None:
    del text


def evaluate(
    reference: EventSource,
    generated: EventSource,
    *,
    kind: str,
    binning: Binning | None = None,
    energy: str = "incident_energy",
    voxels: str = "voxel_energy",
    conditions: Sequence[str] = (),
    columns: Sequence[str] | None = None,
    weight: str | None = None,
    threshold: float | None = None,
    protocol: str = "fast",
    quick: bool = False,
    max_events: int | None = None,
    seed: int = 0,
    training: EventSource | None = None,
    memory: int = 1 << 30,
    device: str = "cpu",
    settings: Protocol | None = None,
    progress: Watcher | None = None,
) -> Report:
    """Compare a generated sample with a reference, every score beside the value that two true samples give.

    The reference is divided at random into halves A and B; scores compare as many generated events as B has with A,
    floors compare B with A. Errors come from disjoint parts of the halves (``Score.from_parts``), those of classifiers
    are the spread over repeats, each with halves and a training of its own.

    Args:
        reference: true events, not used in the training.
        generated: events of the surrogate.
        kind: ``calorimeter`` or ``table``.
        binning: of a calorimeter.
        energy, voxels: columns of a calorimeter.
        conditions: further conditions of a calorimeter, all conditions of a table.
        columns: of a table that are judged; all scalar ones where None.
        weight: column of event weights of a table, in both samples.
        threshold: MeV, voxels below it are set to 0 in both samples; None sets none.
        protocol: ``fast`` or ``calochallenge``.
        quick: smaller networks, fewer splits.
        max_events: events a side of the classifiers.
        seed: of every random choice; the same samples and seed give the same report.
        training: the training events, for the memorisation line.
        memory: bytes that the pools of raw events may take.
        device: where the networks of the classifiers run.
        settings: sizes and repeats in detail, instead of ``protocol``, ``quick`` and ``max_events``.
        progress: is told what is going on.

    Raises:
        UsageError: for an unknown kind, or a calorimeter without a binning.
        ConfigError: for an unknown protocol.
        InputFileError: if a column is missing, a unit differs, or a sample is too small.
    """
    tell = progress.message if progress is not None else _say_nothing
    work = settings or choose_protocol(protocol, quick=quick, max_events=max_events)
    domain: Domain
    if kind == "calorimeter":
        if binning is None:
            raise UsageError("a calorimeter is judged on its binning", hint="give --model or --recipe")
        domain = ShowerDomain(
            binning,
            energy=energy,
            voxels=voxels,
            conditions=tuple(conditions),
            threshold=threshold or 0.0,
            official=work.official,
            network=replace(work.network, device=device),
        )
    elif kind == "table":
        chosen = None if columns is None else tuple(columns)
        domain = TableDomain(
            reference.schema, columns=chosen, conditions=tuple(conditions), weight=weight, trees=work.trees
        )
    else:
        raise UsageError(f"no kind '{kind}'", hint=suggest(kind, ["calorimeter", "table"]) or "calorimeter or table")
    samples = {"reference": reference, "generated": generated}
    if training is not None:
        samples["training"] = training
    for which, source in samples.items():
        check_columns(source, domain, reference, which)
    return _Evaluation(domain, work, seed, memory, tell, binning).run(reference, generated, training, quick, max_events)


class _Evaluation:
    """The steps of one evaluation, in order."""

    def __init__(
        self,
        domain: Domain,
        work: Protocol,
        seed: int,
        memory: int,
        tell: Callable[[str], None],
        binning: Binning | None,
    ) -> None:
        self.domain, self.work, self.seed, self.tell, self.binning = domain, work, seed, tell, binning
        self.memory = memory
        self.book = ScoreBook()
        self.tests: tuple[ClassifierTest, ...] = ()
        self.weights: list[WeightSpectrum] = []
        self.pictures: list[HistogramPair] = []
        streams = np.random.SeedSequence(seed).spawn(7)
        self.rng_reference, self.rng_generated, self.rng_splits, self.rng_raw, self.rng_other = (
            np.random.default_rng(stream) for stream in streams[:5]
        )
        self.rng_training = np.random.default_rng(streams[6])
        self.seeds = streams[5].generate_state(work.repeats).tolist()

    def run(
        self,
        reference_source: EventSource,
        generated_source: EventSource,
        training: EventSource | None,
        quick: bool,
        asked: int | None,
    ) -> Report:
        domain, work, book = self.domain, self.work, self.book
        self.tell("reading the samples")
        reference, true_sanity = self._pool(reference_source, self.rng_reference)
        generated, made_sanity = self._pool(generated_source, self.rng_generated)
        check_sizes(reference, generated)
        sanity = {"reference": true_sanity, "generated": made_sanity}
        bins = condition_bins(reference.conditions, domain.condition_names, bare_first=domain.kind == "calorimeter")
        notes = sanity_notes(sanity) + condition_notes(reference, generated, domain.condition_names, bins)

        self.tell("one-dimensional scores")
        size = common_size(len(reference), len(generated), LARGEST_SIDE)
        split = first = random_split(len(reference), len(generated), size, self.rng_splits)
        axes, spectrum_axis = domain.axes(reference)
        add_one_dimensional(book, reference, generated, domain.observables, axes, split, work.parts)
        self._add_all_events(reference, generated)
        notes += self._add_bins(reference, generated, bins)
        trained = None if training is None else self._training_pool(training)
        conditioned = bool(domain.condition_names)
        curve, words = add_amplification(
            book, reference, generated, domain.observables, trained, conditioned=conditioned
        )
        notes += words
        curves: tuple[Curve, ...] = () if curve is None else (curve,)
        if self.binning is not None and domain.kind == "calorimeter":
            energies = energy_bins(bins, reference)
            add_response(book, reference, generated, energies, split, work.parts)
            add_profile(book, reference, generated, self.binning, split, work.parts)
            curves = (*shower_curves(reference, generated, energies, self.binning), *curves)

        largest = work.max_events or len(reference)
        side = common_size(len(reference.raw), len(generated.raw), largest)
        raw_sizes = len(reference.raw), len(generated.raw)
        raw_splits = [random_split(*raw_sizes, side, self.rng_raw) for _ in range(work.repeats)]
        if domain.spectrum is not None and spectrum_axis is not None:
            name, split = domain.spectrum.name, raw_splits[0]
            add_spectrum(book, name, spectrum_axis, reference.raw, generated.raw, split, work.parts)
        self._add_distances(reference, generated, raw_splits)
        notes += self._add_classifiers(reference, generated, raw_splits, bins)
        halves = reference.weights[first.a], generated.weights[first.generated]
        effective = (effective_events(halves[0]), effective_events(halves[1]))
        notes.append(add_global(book, domain.observables, self.tests, effective, size))
        notes += size_notes(domain.kind, work, quick, side, asked)
        if training is not None:
            self.tell("distances to the training events")
            notes.append(add_memorisation(book, domain, reference, generated, training, raw_splits[0], work.nearest))
        else:
            notes.append("Memorisation is not judged: no training sample was given.")

        self.tell("histograms over all events")
        filled = [
            fill_histograms(source, pool, domain, axes, spectrum_axis)
            for source, pool in ((reference_source, reference), (generated_source, generated))
        ]
        observables = list(domain.observables)
        if domain.spectrum is not None:
            observables.append(domain.spectrum)
        pairs = tuple(HistogramPair(*row) for row in zip(observables, *filled, strict=True))
        return Report(
            kind=domain.kind,
            protocol=work.name + (" (quick)" if quick else ""),
            n={
                "reference": reference.total,
                "generated": generated.total,
                "side": size,
                "classifier_side": side,
            },
            seed=self.seed,
            scores=book.scores(),
            sanity=sanity_table(sanity),
            notes=tuple(notes),
            histograms=(*pairs, *self.pictures),
            curves=curves,
            weights=tuple(self.weights),
        )

    def _pool(self, source: EventSource, rng: np.random.Generator) -> tuple[Pool, Sanity]:
        width = max(self._raw_bytes(source), 1)
        affordable = max(self.memory // 4 // width, 200)
        wanted = source.num_events if self.work.max_events is None else 2 * self.work.max_events
        raw_rows = min(wanted, affordable)
        return read_pool(source, self.domain, rng, rows=max(self._pool_rows(), raw_rows), raw_rows=raw_rows)

    def _training_pool(self, source: EventSource) -> Pool:
        """Observables of training events, without their raw values."""
        return read_pool(source, self.domain, self.rng_training, rows=self._pool_rows(), raw_rows=0)[0]

    def _pool_rows(self) -> int:
        return min(self.work.pool_events, self.memory // 4 // (8 * len(self.domain.observables)))

    def _raw_bytes(self, source: EventSource) -> int:
        """Bytes of the raw values of one event."""
        shapes = [source.schema[name].shape for name in self.domain.columns]
        return 4 * sum(int(np.prod(shape)) for shape in shapes)

    def _add_all_events(self, reference: Pool, generated: Pool) -> None:
        """``ks.max.all``: the largest KS distance of all pooled events of both samples; it has no floor."""
        pairs = zip(reference.observables.T, generated.observables.T, strict=True)
        distances = []
        for true, made in pairs:
            use_true, use_made = ~np.isnan(true), ~np.isnan(made)
            weights = reference.weights[use_true], generated.weights[use_made]
            distances.append(kolmogorov_distance(true[use_true], made[use_made], *weights))
        self.book.add("ks.max.all", float(np.nanmax(distances)), None, min(len(reference), len(generated)))
        self.book.comment(
            "ks.max.all", f"{len(reference)} reference against {len(generated)} generated events, no floor"
        )

    def _add_bins(self, reference: Pool, generated: Pool, bins: Sequence[ConditionBin]) -> list[str]:
        """One-dimensional scores within each bin of the conditions."""
        small = []
        for one in bins:
            true = reference.take(one.rows(reference.conditions))
            made = generated.take(one.rows(generated.conditions))
            size = common_size(len(true), len(made), LARGEST_SIDE)
            if size < MIN_BIN:
                small.append(one.label)
                continue
            split = random_split(len(true), len(made), size, self.rng_other)
            columns = true.observables.T
            axes = [axis_for(x, column) for x, column in zip(self.domain.observables, columns, strict=True)]
            compared = self.book, true, made, self.domain.observables, axes, split, self.work.parts
            add_one_dimensional(*compared, suffix=f"@{one.label}", details=False)
        words = f"Fewer than {MIN_BIN} events a side, no separate scores, at: {', '.join(small)}."
        return [words] if small else []

    def _add_distances(self, reference: Pool, generated: Pool, splits: Sequence[Split]) -> None:
        self.tell("distances in many dimensions")
        features = [
            self.domain.distance_features(pool.raw, pool.conditions[: len(pool.raw)]) for pool in (reference, generated)
        ]
        scale = Scale.fit(features[0], self.domain.distance_scale)
        true, made = (scale(x) for x in features)
        add_frechet(self.book, true, made, splits[0], self.work.parts)
        add_frechet_intercept(self.book, true, made, splits[0])
        if self.work.official and splits[0].size >= 10_000:
            add_published_distances(self.book, true, made, splits, self.rng_other)
        standard = Scale.fit(features[0], "deviation")
        if splits[0].size > 10:
            scaled = standard(features[0]), standard(features[1])
            add_correlations(self.book, *scaled, splits[0], self.work.parts, self.seed)
            add_neighbours(self.book, *scaled, splits[0], self.work.parts, self.work.neighbours)

    def _add_classifiers(
        self, reference: Pool, generated: Pool, splits: Sequence[Split], bins: Sequence[ConditionBin]
    ) -> list[str]:
        notes = []
        rows = len(reference.raw)
        self.tests = self.domain.tests(reference.raw, reference.conditions[:rows])
        for test in self.tests:
            self.tell(f"classifier on {test.title}, {splits[0].size} events a side, {len(splits)} repeats")
            found = add_classifier_test(self.book, test, reference, generated, splits, bins, self.seeds)
            weights = weight_spectrum(test, found, reference, generated, splits[0], self.domain.observables)
            self.weights.append(weights[0])
            self.pictures.append(weights[1])
            name = test.score("auc")
            notes.append(
                f"Control of {name}: the same classifier tells truth from truth with {test.control} at"
                f" {self.book.mean(f'control.{name}'):.3f}."
            )
        return notes
