"""Distances in one dimension of many pieces of two samples at once: divisions into halves, and the parts of each.

The events of a sample stand in several pieces: in every division whole, and in one of its parts. What belongs to a piece is
the same for every observable, so that it is laid out once; an observable then costs one sort.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hepgen.evaluation.histograms import Axis
from hepgen.evaluation.splits import Split

FloatArray = NDArray[np.float64]

SIDES = 3
"""Half A, generated events, half B, in this order."""

_ENTRIES = 400_000  # sorted at a time
_DIGITS = 12  # of a cumulative share: beyond stands the rounding of a sum over many pieces


@dataclass(frozen=True)
class Pieces:
    """Pieces of the stack of reference and generated events.

    Attributes:
        piece: (events, memberships), number of the piece, -1 where there is none.
        side: (events, memberships), of that piece.
        count: number of pieces.
    """

    piece: NDArray[np.int16]
    side: NDArray[np.int8]
    count: int

    @classmethod
    def of(cls, splits: Sequence[Split], parts: int, reference: int, generated: int) -> Pieces:
        """Every split whole and then its parts, one split after another.

        Example:
            >>> split = Split(np.array([0, 1]), np.array([2, 3]), np.array([0, 1]))
            >>> Pieces.of([split], 2, 4, 2).piece.tolist()
            [[0, 1], [0, 2], [0, 1], [0, 2], [0, 1], [0, 2]]
        """
        piece = np.full((reference + generated, 2 * len(splits)), -1, dtype=np.int16)
        side = np.zeros(piece.shape, dtype=np.int8)
        for number, split in enumerate(splits):
            for place, one in enumerate((split, *split.parts(parts))):
                column = 2 * number + (place > 0)
                for which, rows in enumerate((one.a, one.generated + reference, one.b)):
                    piece[rows, column] = number * (parts + 1) + place
                    side[rows, column] = which
        return cls(piece, side, len(splits) * (parts + 1))

    def sorted(self, values: FloatArray, weights: FloatArray) -> SortedPieces:
        """The events of every piece by the value of an observable, (events,), without those that have none."""
        order = np.argsort(values, kind="stable")
        order = order[~np.isnan(values[order])]
        flat = self.piece[order].ravel()
        found = np.argsort(flat, kind="stable")  # a radix sort of 16 bits
        found = found[np.searchsorted(flat[found], 0) :]
        events = order[found // self.piece.shape[1]]
        piece = flat[found]
        starts = np.searchsorted(piece, np.arange(self.count + 1))
        return SortedPieces(values[events], weights[events], self.side[order].ravel()[found], piece, starts)

    def histograms(self, axis: Axis, values: FloatArray, weights: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Sums of weights and of their squares, (pieces, sides, bins), of the bins that are scored."""
        place = axis.index(values)
        use = (self.piece >= 0) & (place >= 0)[:, None]
        cells = ((self.piece.astype(np.int64) * SIDES + self.side) * axis.size + place[:, None])[use]
        weight = np.broadcast_to(weights[:, None], use.shape)[use]
        shape = (self.count, SIDES, axis.size)
        filled = (
            np.bincount(cells, weights=one, minlength=int(np.prod(shape))).astype(np.float64)
            for one in (weight, weight**2)
        )
        counts, squares = (one.reshape(shape) for one in filled)
        return axis.scored(counts), axis.scored(squares)


@dataclass(frozen=True)
class SortedPieces:
    """Entries of all pieces behind one another, ascending within each.

    Attributes:
        values, weights, side, piece: (entries,).
        starts: (pieces + 1,), where each begins.
    """

    values: FloatArray
    weights: FloatArray
    side: NDArray[np.int8]
    piece: NDArray[np.int16]
    starts: NDArray[np.int64]

    def distances(self) -> FloatArray:
        """Kolmogorov, Wasserstein-1 distance, mean and standard deviation, (4, pieces, sides), of each side from half A.

        Nan where a side has no events in a piece, or their weights cancel.
        """
        found = np.full((4, len(self.starts) - 1, SIDES), np.nan)
        filled = np.flatnonzero(np.diff(self.starts) > 0)
        if not len(filled):
            return found
        at = self.starts[filled]
        cell = self.piece.astype(np.int64) * SIDES + self.side
        totals = np.bincount(cell, weights=self.weights, minlength=found[0].size).reshape(found[0].shape)
        inverse = np.divide(1.0, totals, out=np.zeros_like(totals), where=totals != 0)
        mass = self.weights * inverse.ravel()[cell]
        steps = np.diff(self.values, append=self.values[-1:])
        steps[self.starts[filled[1:]] - 1] = 0.0  # the last of a piece
        first = np.where(self.side == 0, mass, 0.0)
        for which in (1, 2):
            running = np.cumsum(first - np.where(self.side == which, mass, 0.0))
            before = np.concatenate([[0.0], running])[at]
            apart = np.abs(running - np.repeat(before, np.diff(self.starts)[filled]))
            apart = np.round(apart, _DIGITS)
            found[0, filled, which] = np.maximum.reduceat(np.where(steps > 0, apart, 0.0), at)
            found[1, filled, which] = np.add.reduceat(apart * steps, at)
        mean = np.bincount(cell, weights=mass * self.values, minlength=totals.size)
        spread = np.bincount(cell, weights=mass * np.square(self.values - mean[cell]), minlength=totals.size)
        found[2], found[3] = mean.reshape(totals.shape), np.sqrt(np.maximum(spread, 0.0)).reshape(totals.shape)
        usable = totals > 0
        usable &= usable[:, :1]
        found[:, ~usable] = np.nan
        return found

    def sides(self, piece: int) -> tuple[FloatArray, FloatArray]:
        """Values of a piece, (events,), and the weights of each side, (sides, events), 0 in the others."""
        part = slice(self.starts[piece], self.starts[piece + 1])
        return self.values[part], np.stack(
            [np.where(self.side[part] == which, self.weights[part], 0.0) for which in range(SIDES)]
        )


def laid_out(splits: Sequence[Split], parts: int, reference: int, generated: int) -> Iterator[tuple[slice, Pieces]]:
    """Pieces of some splits at a time, so that what is sorted stays small, and which of all pieces they are."""
    size = 2 * sum(len(rows) for rows in (splits[0].a, splits[0].b, splits[0].generated))
    step = max(1, _ENTRIES // max(size, 1))
    for start in range(0, len(splits), step):
        some = splits[start : start + step]
        yield (
            slice(start * (parts + 1), (start + len(some)) * (parts + 1)),
            Pieces.of(some, parts, reference, generated),
        )
