"""Binned observables: axes that suit the reference, and pairs of histograms with their statistical errors."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

FloatArray = NDArray[np.float64]
MAX_INTEGER_BINS = 100


@dataclass(frozen=True)
class Observable:
    """A number per event that is compared between the samples.

    Attributes:
        name: as it stands in the scores (``energy.2``, ``jet_pt``).
        label: for axes, without the unit.
        unit: ``MeV``, ``mm``, empty where there is none.
        log: whether its axis is logarithmic.
        integer: whether it takes integer values only.
        edges: bin edges where a protocol fixes them; entries outside are then dropped.
    """

    name: str
    label: str
    unit: str = ""
    log: bool = False
    integer: bool = False
    edges: tuple[float, ...] | None = None


@dataclass(frozen=True)
class Axis:
    """Bin edges, and whether what lies outside counts in two further bins (``flow``) or is dropped."""

    edges: FloatArray
    flow: bool = True
    log: bool = False

    @property
    def size(self) -> int:
        """Number of bins, the two of under- and overflow included."""
        return len(self.edges) + 1

    def index(self, values: ArrayLike) -> NDArray[np.int64]:
        """Bin of each value: 0 is underflow, ``size - 1`` overflow, -1 not a number; the last edge is inclusive.

        Example:
            >>> Axis(np.array([0.0, 1.0, 2.0])).index([-1.0, 0.0, 1.5, 2.0, 3.0, np.nan]).tolist()
            [0, 1, 2, 2, 3, -1]
        """
        x = np.asarray(values, dtype=np.float64)
        place = np.searchsorted(self.edges, x, side="right")
        place = np.where(x == self.edges[-1], len(self.edges) - 1, place)
        return np.where(np.isnan(x), -1, place)

    def count(self, index: NDArray[np.int64], weights: FloatArray | None = None) -> FloatArray:
        """Sum of weights per bin, ``(size,)``, of indices from ``index``."""
        use = index >= 0
        weight = None if weights is None else np.asarray(weights, dtype=np.float64)[use]
        return np.bincount(index[use], weights=weight, minlength=self.size).astype(np.float64)

    def scored(self, counts: FloatArray) -> FloatArray:
        """The bins that a separation power takes, of (..., size): all of them, or those between the edges."""
        return counts if self.flow else counts[..., 1:-1]


def axis_for(observable: Observable, reference: ArrayLike, bins: int = 50) -> Axis:
    """An axis for an observable, from its fixed edges or from the finite values of the reference.

    Integers get unit bins around them where they span at most 100. Continuous observables get equal bins (equal in the
    logarithm where asked and possible) between the 0.05 % and 99.95 % quantiles.
    """
    if observable.edges is not None:
        return Axis(np.asarray(observable.edges), flow=False, log=observable.log)
    x = np.asarray(reference, dtype=np.float64)
    x = x[np.isfinite(x)]
    if observable.log and np.any(x > 0):
        low, high = np.quantile(x[x > 0], [0.0005, 0.9995])
        if high > low:
            return Axis(np.geomspace(low, high, bins + 1), log=True)
    if not len(x):
        return Axis(np.array([-0.5, 0.5]))
    low, high = (x.min(), x.max()) if observable.integer else np.quantile(x, [0.0005, 0.9995])
    if observable.integer and high - low <= MAX_INTEGER_BINS:
        return Axis(np.arange(np.floor(low), np.ceil(high) + 2) - 0.5)
    if not high > low:
        width = max(abs(low), 1.0) * 1e-3
        return Axis(np.array([low - width, low + width]))
    return Axis(np.linspace(low, high, bins + 1))


@dataclass
class Histogram:
    """Sums of weights and of their squares on an axis, filled batch by batch."""

    axis: Axis
    counts: FloatArray
    squares: FloatArray

    @classmethod
    def empty(cls, axis: Axis) -> Histogram:
        return cls(axis, np.zeros(axis.size), np.zeros(axis.size))

    def fill(self, values: ArrayLike, weights: ArrayLike | None = None) -> None:
        """Add events; values that are not a number are left out."""
        index = self.axis.index(values)
        weight = np.ones(index.shape) if weights is None else np.asarray(weights, dtype=np.float64)
        self.counts = self.counts + self.axis.count(index, weight)
        self.squares = self.squares + self.axis.count(index, weight**2)

    def density(self) -> tuple[FloatArray, FloatArray]:
        """Fraction of the sample in each bin between the edges, and its statistical error, each (bins,)."""
        total = self.counts.sum() or 1.0
        return self.counts[1:-1] / total, np.sqrt(self.squares[1:-1]) / abs(total)


@dataclass(frozen=True)
class HistogramPair:
    """One observable of both samples, all events."""

    observable: Observable
    reference: Histogram
    generated: Histogram
