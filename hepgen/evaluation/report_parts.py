"""Parts of a report that are more than a score: sanity, curves, images, and what events weigh."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

_LISTED = 20


@dataclass(frozen=True)
class Problem:
    """Something that is wrong with some events.

    Attributes:
        count: number of events that have it.
        events: the first of them, by their number in the sample.
        left_out: number of them that no score could take.
    """

    count: int
    events: list[int]
    left_out: int = 0

    @classmethod
    def of(
        cls,
        flags: NDArray[np.bool_],
        numbers: NDArray[np.int64] | None = None,
        usable: NDArray[np.bool_] | None = None,
    ) -> Self:
        """From flags of events, whose numbers are their places where not given; all are usable where nothing is said."""
        places = np.flatnonzero(flags)
        listed = np.sort(places if numbers is None else numbers[places])[:_LISTED]
        return cls(len(places), listed.tolist(), 0 if usable is None else int((~usable[places]).sum()))

    def joined(self, other: Problem) -> Problem:
        """With that of later events."""
        listed = [*self.events, *other.events][:_LISTED]
        return Problem(self.count + other.count, listed, self.left_out + other.left_out)


def collect(
    problems: dict[str, Problem],
    flags: Mapping[str, NDArray[np.bool_]],
    numbers: NDArray[np.int64],
    usable: NDArray[np.bool_] | None = None,
) -> None:
    """Add what is wrong with further events, by name, to what was wrong with those before."""
    for name, wrong in flags.items():
        found = Problem.of(wrong, numbers, usable)
        problems[name] = problems[name].joined(found) if name in problems else found


@dataclass(frozen=True)
class SampleSanity:
    """What is wrong in one sample, over all its events.

    Attributes:
        events: number of events in the sample.
        left_out: number of events that no score could take.
        broken: number of events, among those that are scored, that the scores ``without`` broken events leave out.
        problems: what is wrong, by a name in words.
        close_to_training: pairs of a generated and a training event, by number, that are suspiciously close.
    """

    events: int
    left_out: int
    broken: int
    problems: dict[str, Problem]
    close_to_training: list[tuple[int, int]]


@dataclass(frozen=True)
class Line:
    """What is drawn behind a curve: a law or a limit, or, of a single point, a marker."""

    label: str
    x: tuple[float, ...]
    y: tuple[float, ...]


@dataclass(frozen=True)
class Curve:
    """Points of both samples over a common axis: a layer profile, or response against energy.

    Every sequence has one entry per point; errors are statistical. Points that are nan are not drawn.
    """

    name: str
    x_label: str
    y_label: str
    x: tuple[float, ...]
    reference: tuple[float, ...]
    reference_error: tuple[float, ...]
    generated: tuple[float, ...]
    generated_error: tuple[float, ...]
    log_x: bool = False
    log_y: bool = False
    lines: tuple[Line, ...] = ()


@dataclass(frozen=True)
class ImageRow:
    """Mean energy densities of both samples along the radius, at one layer or in one angular bin, or along y at one x.

    Attributes:
        low, high: where the row lies: number of the layer -+ 0.5, angles in rad, or edges in x.
        r_edges: edges of its rings, mm, or of its pixels in y; every layer may have its own.
        reference, generated: mean over all showers in each ring, in the unit of the image.
        reference_error, generated_error: statistical errors.
    """

    low: float
    high: float
    r_edges: tuple[float, ...]
    reference: tuple[float, ...]
    reference_error: tuple[float, ...]
    generated: tuple[float, ...]
    generated_error: tuple[float, ...]


@dataclass(frozen=True)
class ShowerImage:
    """The average shower of both samples over a part of the readout.

    Attributes:
        name: of its files.
        title: in words.
        rows: one for each layer or angular bin.
        polar: whether the rows are angles.
        labels: of the rows, where they are layers; none of pixels.
        unit: of what is shown.
        length_unit: of the edges.
    """

    name: str
    title: str
    rows: tuple[ImageRow, ...]
    polar: bool = False
    labels: tuple[str, ...] = ()
    unit: str = "MeV/mm$^2$"
    length_unit: str = "mm"

    @property
    def pixels(self) -> bool:
        """Whether the rows are bins in x."""
        return not self.polar and not self.labels


@dataclass(frozen=True)
class Standout:
    """An observable in which the tail of a sample differs from the rest of it.

    Attributes:
        observable: its name.
        ks: Kolmogorov distance between tail and rest.
        tail: median of the observable in the tail.
        rest: its median in the rest.
    """

    observable: str
    ks: float
    tail: float
    rest: float


@dataclass(frozen=True)
class WeightedEvent:
    """An event and its weight.

    Attributes:
        event: its number in the sample.
        weight: density of the truth over that of the generator.
    """

    event: int
    weight: float


@dataclass(frozen=True)
class Extremes:
    """The events of a sample that weigh most and least.

    Attributes:
        largest: events of the largest weights, the largest first.
        smallest: events of the smallest weights, the smallest first.
    """

    largest: tuple[WeightedEvent, ...]
    smallest: tuple[WeightedEvent, ...]

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> Self:
        """The inverse of ``dataclasses.asdict``, JSON between."""
        return cls(**{end: tuple(WeightedEvent(**one) for one in events) for end, events in content.items()})


@dataclass(frozen=True)
class GlobalTest:
    """One of the tests behind ``global.p``.

    Attributes:
        name: of the score, or what is counted.
        family: what kind of test.
        p: probability of as large a difference between samples of one law.
        floor: the same of half B of the reference; null where half B is what the generated events are compared with.
        factor: what corrects it for all tests; ``global.p`` is the smallest product of both, 1 at most.
    """

    name: str
    family: str
    p: float
    floor: float | None
    factor: float


@dataclass(frozen=True)
class WeightSpectrum:
    """The weights of both samples by one classifier.

    Attributes:
        test: name of the classifier test.
        n: events behind it, of each sample.
        effective: effective share of the generated events after reweighting, (sum w)^2 / (n sum w^2), times the share of
            the truth that their weights reach, the mean of w, where that is below 1.
        missing: where true events of the largest weights stand out from the other true ones.
        surplus: where generated events of the smallest weights stand out from the other generated ones.
        reference: true events of the largest weights (what is missing) and of the smallest.
        generated: generated events of the largest weights and of the smallest (what there is too much of).
    """

    test: str
    n: int
    effective: float
    missing: tuple[Standout, ...]
    surplus: tuple[Standout, ...]
    reference: Extremes
    generated: Extremes

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> Self:
        """The inverse of ``dataclasses.asdict``, JSON between."""
        plain: dict[str, Any] = {n: tuple(value) if isinstance(value, list) else value for n, value in content.items()}
        for name in ("missing", "surplus"):
            plain[name] = tuple(Standout(**one) for one in content[name])
        for name in ("reference", "generated"):
            plain[name] = Extremes.from_dict(content[name])
        return cls(**plain)
