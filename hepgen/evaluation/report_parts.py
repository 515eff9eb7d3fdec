"""Parts of a report that are more than a score: curves, and what single events weigh."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self


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
class Standout:
    """An observable in which the tail of a sample differs from the rest of it.

    Attributes:
        observable: its name.
        ks: Kolmogorov distance between tail and rest.
        tail, rest: medians of the observable.
    """

    observable: str
    ks: float
    tail: float
    rest: float


@dataclass(frozen=True)
class WeightSpectrum:
    """The weights of both samples by one classifier.

    Attributes:
        test: name of the classifier test.
        n: events behind it, of each sample.
        effective: effective share of the generated events after reweighting, (sum w)^2 / (n sum w^2).
        missing: where true events of the largest weights stand out from the other true ones.
        surplus: where generated events of the smallest weights stand out from the other generated ones.
        largest: true events of the largest weights, by their number in the sample.
        smallest: generated events of the smallest weights, by their number in the sample.
    """

    test: str
    n: int
    effective: float
    missing: tuple[Standout, ...]
    surplus: tuple[Standout, ...]
    largest: tuple[int, ...]
    smallest: tuple[int, ...]

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> Self:
        """The inverse of ``dataclasses.asdict``, JSON between."""
        plain: dict[str, Any] = {n: tuple(value) if isinstance(value, list) else value for n, value in content.items()}
        for name in ("missing", "surplus"):
            plain[name] = tuple(Standout(**one) for one in content[name])
        return cls(**plain)
