"""What the evaluation must know of a kind of events; calorimeters, jets and tables each answer in a module of their own."""

from __future__ import annotations

from collections.abc import Callable, Container, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import awkward as ak
import numpy as np
from numpy.typing import NDArray

from hepgen.classifiers.base import ClassPosterior, SampleClassifier
from hepgen.evaluation.histograms import Axis, Observable
from hepgen.evaluation.report_parts import Curve, ShowerImage
from hepgen.evaluation.scores import ScoreBook
from hepgen.evaluation.splits import ConditionBin, Split
from hepgen.events.schema import Schema
from hepgen.events.source import EventSource, as_numbered, naming_entries, numbered_pieces

FloatArray = NDArray[np.float64]
Array = NDArray[np.floating]


@dataclass(frozen=True)
class Events:
    """Events of a batch as arrays.

    Attributes:
        raw: (events, width), what a low-level classifier sees before scaling: voxels in MeV, or columns.
        conditions: (events, conditions).
        weights: (events,).
        usable: (events,), false for events that no score can take (a voxel that is not finite).
        problems: (events,) flags of what is wrong, by a name in words.
    """

    raw: Array
    conditions: FloatArray
    weights: FloatArray
    usable: NDArray[np.bool_]
    problems: dict[str, NDArray[np.bool_]] = field(default_factory=dict)


@dataclass(frozen=True)
class Pool:
    """A random part of a sample, in random order.

    Attributes:
        total: events in the sample.
        observables: (rows, observables).
        conditions: (rows, conditions).
        weights: (rows,).
        raw: (raw rows, width), of the first rows.
        entries: (rows,), number of each event in its sample.
        problems: (rows,) flags of what is wrong, by a name in words.
    """

    total: int
    observables: FloatArray
    conditions: FloatArray
    weights: FloatArray
    raw: Array
    entries: NDArray[np.int64]
    problems: Mapping[str, NDArray[np.bool_]] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.weights)

    def take(self, rows: NDArray[np.int64] | NDArray[np.bool_]) -> Pool:
        """The chosen rows; those of them that have raw values must come first."""
        number = np.flatnonzero(rows) if rows.dtype == bool else rows
        return Pool(
            self.total,
            self.observables[number],
            self.conditions[number],
            self.weights[number],
            self.raw[number[number < len(self.raw)]],
            self.entries[number],
            {name: flags[number] for name, flags in self.problems.items()},
        )

    def broken(self, habitual: Container[str]) -> NDArray[np.bool_]:
        """Flags of the events with a problem that does not belong to such samples, (rows,)."""
        wrong = [flags for name, flags in self.problems.items() if name not in habitual]
        return np.any(wrong, axis=0) if wrong else np.zeros(len(self), dtype=bool)


@dataclass(frozen=True)
class ClassifierTest:
    """One classifier two-sample test.

    Attributes:
        name: ``low``, ``high``, ``trees``, ``set``, or empty where a kind has one test only; the score is ``auc_<name>``.
        title: what the classifier looks at, in words.
        features: raw (events, width) and conditions (events, conditions) to the classifier's input.
        classifier: makes an untrained classifier.
        control: what the control permutes, in words.
        part: the columns of ``raw`` that the control permutes together.
        posterior: makes an untrained classifier of several samples; None where a kind has none.
        present: columns of ``raw``, one for each of ``part``, that are 0 where there is nothing to permute.
    """

    name: str
    title: str
    features: Callable[[Array, FloatArray], Array]
    classifier: Callable[[], SampleClassifier]
    control: str
    part: slice
    posterior: Callable[[], ClassPosterior] | None = None
    present: slice | None = None

    def score(self, quantity: str) -> str:
        """``auc_low`` for the quantity ``auc``."""
        return f"{quantity}_{self.name}" if self.name else quantity


@dataclass(frozen=True)
class Compared:
    """Two pools, and which rows of them are compared.

    Attributes:
        reference, generated: the pools.
        bins: of the conditions.
        splits: of one-dimensional scores.
        raw_splits: of all others; their rows have raw values.
        parts: that share no event, behind the errors.
    """

    reference: Pool
    generated: Pool
    bins: Sequence[ConditionBin]
    splits: Sequence[Split]
    raw_splits: Sequence[Split]
    parts: int


class Domain(Protocol):
    """A kind of events: how a batch becomes observables and features."""

    @property
    def kind(self) -> str: ...

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns that ``read`` needs."""
        ...

    @property
    def raw_bytes(self) -> int:
        """Memory of the raw values of an event."""
        ...

    @property
    def observables(self) -> tuple[Observable, ...]: ...

    @property
    def spectrum(self) -> Observable | None:
        """An observable with many entries per event, filled from every positive raw value."""
        ...

    @property
    def condition_names(self) -> tuple[str, ...]: ...

    @property
    def distance_scale(self) -> str:
        """How the features of distances are scaled: see ``hepgen.evaluation.distances.Scale``."""
        ...

    @property
    def nearest_scale(self) -> str: ...

    def for_file(self, schema: Schema) -> Domain:
        """The same for a file whose columns have other names."""
        ...

    def read(self, batch: ak.Array) -> Events: ...

    def observe(self, raw: Array, conditions: FloatArray) -> FloatArray:
        """The observables, (events, observables); nan where an event has none."""
        ...

    def distance_features(self, raw: Array, conditions: FloatArray) -> FloatArray:
        """Features of the Frechet distance and of neighbour scores, before scaling, (events, features)."""
        ...

    def nearest_features(self, raw: Array, conditions: FloatArray) -> Array:
        """Features in which the distance to the nearest training event is measured, before scaling."""
        ...

    def axes(self, pool: Pool) -> tuple[list[Axis], Axis | None]:
        """Axes of the observables and of the spectrum, by the reference."""
        ...

    def tests(self, reference: Array, conditions: FloatArray) -> tuple[ClassifierTest, ...]:
        """The classifier tests; the reference chooses what their controls permute."""
        ...

    def add_own(self, book: ScoreBook, compared: Compared) -> None:
        """Add the scores that only this kind of events has."""
        ...

    def curves(self, reference: Pool, generated: Pool, bins: Sequence[ConditionBin]) -> tuple[Curve, ...]:
        """Curves that only this kind of events has."""
        ...

    def images(self, reference: Pool, generated: Pool) -> tuple[ShowerImage, ...]:
        """Average events, where this kind of events has any."""
        ...


class PlainDomain:
    """What a kind of events without scores and pictures of its own answers."""

    def add_own(self, book: ScoreBook, compared: Compared) -> None:
        """None."""

    def curves(self, reference: Pool, generated: Pool, bins: Sequence[ConditionBin]) -> tuple[Curve, ...]:
        """None."""
        return ()

    def images(self, reference: Pool, generated: Pool) -> tuple[ShowerImage, ...]:
        """None."""
        return ()


def events_of(source: EventSource, domain: Domain) -> Iterator[Events]:
    """All events of a source, in pieces: a batch as read is large, and each step of what follows makes an array of its size.

    Raises:
        InputFileError: if an event cannot be read, naming its file and its entry there.
    """
    numbered, own = as_numbered(source), domain.for_file(source.schema)
    for piece in numbered_pieces(numbered, own.columns):
        with naming_entries(numbered, piece):
            events = own.read(piece.events)
        yield events
