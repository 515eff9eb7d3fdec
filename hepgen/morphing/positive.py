"""Weights that are not negative and say the same of a sample: each event counts with the mean weight of events like it."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import awkward as ak
import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from sklearn.ensemble import HistGradientBoostingRegressor

from hepgen.classifiers.trees import short_seed
from hepgen.errors import InputFileError
from hepgen.events.schema import Schema
from hepgen.events.select import WEIGHT
from hepgen.events.source import EventSource, NumberedBatch, SourceBase, as_numbered, record

FloatArray = NDArray[np.float64]

_MOST = 200_000
_MOST_NUMBERS = 20_000_000  # of these events: showers of thousands of voxels have thousands of columns
_MOST_TILTED = 50  # columns
_TAIL = 4.0  # widths from the middle beyond which a value counts no further
_LEADING = 8  # elements of a list that the trees see one by one
_LEAST_LEAF = 20
_LEAVES = 100  # at most so many leaves hold the events of a tree: a mean of signs takes many events


class MeanWeights:
    """The mean weight of events as a function of their columns, by boosted trees, never negative.

    Where the weights of a Monte Carlo cancel, the density of a sample is the density of its events times their mean
    weight; so the sample with mean weights has the same density, without negative weights (Andersen, Gutschow, Maier and
    Prestel, arXiv:2005.09375; with trees in the place of cells). A transport, which moves masses, takes it where it
    cannot take the weights themselves.

    Trees fluctuate, and where weights cancel all but completely, cutting at 0 makes too much of them. So their weights are
    multiplied by exp(l . s(x)), s the columns and their squares in units of their widths: the least change, by relative
    entropy, that gives s the mean that it has by the weights themselves, as nearly as the statistics know it.

    Args:
        x: (events, columns), NaN where a value is absent.
        weight: (events,).
        seed: of the trees.

    Raises:
        InputFileError: if nothing is left but 0.

    Example:
        >>> random = np.random.default_rng(0)
        >>> x = random.uniform(-1, 1, (4000, 1))
        >>> weight = np.where(random.random(4000) < 0.25, -1.0, 1.0) * (x[:, 0] > 0) + 1.0 * (x[:, 0] < 0)
        >>> found = MeanWeights(x, weight, 0)(np.array([[-0.5], [0.5]]))
        >>> bool(0.9 < found[0] < 1.1), bool(0.35 < found[1] < 0.65)
        (True, True)
    """

    def __init__(self, x: FloatArray, weight: FloatArray, seed: int) -> None:
        leaf = max(_LEAST_LEAF, len(x) // _LEAVES)
        self._trees = HistGradientBoostingRegressor(
            min_samples_leaf=leaf, early_stopping=True, random_state=short_seed(seed)
        )
        self._trees.fit(x, weight)
        made = np.maximum(self._trees.predict(x), 0.0)
        if not made.sum() > 0:
            raise InputFileError("negative weights outweigh the others everywhere", hint="look at the weight column")
        there = np.isfinite(x)
        known, events = np.where(there, x, 0.0), np.maximum(there.sum(axis=0), 1)
        self._middle = known.sum(axis=0) / events
        width = np.sqrt((np.where(there, known - self._middle, 0.0) ** 2).sum(axis=0) / events)
        self._width = np.where(width > 0, width, 1.0)
        terms = self._terms(x)
        self._tilt = _tilt(terms, made, weight)
        self._scale = float(weight.sum() / (made * np.exp(terms @ self._tilt)).sum())

    def __call__(self, x: FloatArray) -> FloatArray:
        """(events, columns) to (events,)."""
        made = np.maximum(np.asarray(self._trees.predict(x), dtype=np.float64), 0.0)
        found: FloatArray = self._scale * made * np.exp(self._terms(x) @ self._tilt)
        return found

    def _terms(self, x: FloatArray) -> FloatArray:
        """Columns and their squares in units of their widths, (events, terms); a missing value is in the middle."""
        inside = np.clip((x - self._middle) / self._width, -_TAIL, _TAIL)[:, :_MOST_TILTED]
        inside = np.nan_to_num(inside, nan=0.0)
        return np.concatenate([inside, inside**2], axis=1)


def _tilt(terms: FloatArray, made: FloatArray, weight: FloatArray) -> FloatArray:
    """The factors of exp(l . s) that bring the means of s by the weights made near those by the weights given, (terms,).

    Minimises log sum made exp(l . s) - l . mean + l^2 var / 2, var the variance of the mean: beyond its error a mean is
    not followed.
    """
    share = weight / weight.sum()
    mean = share @ terms
    variance = (share**2) @ (terms - mean) ** 2
    log_made = np.log(np.maximum(made / made.sum(), np.finfo(np.float64).tiny))

    def objective(tilt: FloatArray) -> tuple[float, FloatArray]:
        logs = log_made + terms @ tilt
        top = logs.max()
        shares = np.exp(logs - top)
        total = shares.sum()
        gradient: FloatArray = shares @ terms / total - mean + variance * tilt
        return float(top + np.log(total) - tilt @ mean + 0.5 * variance @ tilt**2), gradient

    found: FloatArray = minimize(objective, np.zeros(terms.shape[1]), jac=True, method="L-BFGS-B").x
    return found


class PositiveSource(SourceBase):
    """A source with mean weights in the place of its own.

    Args:
        source: events with ``_weight``.
        weights: of events by their other columns, in the order of the schema.
    """

    def __init__(self, source: EventSource, weights: MeanWeights) -> None:
        self._source = as_numbered(source)
        self._weights = weights
        self.schema, self.files = self._source.schema, self._source.files
        self.starts, self.skipped = self._source.starts, self._source.skipped

    @property
    def num_events(self) -> int:
        return self._source.num_events

    def numbered_batches(self, columns: Sequence[str] | None = None) -> Iterator[NumberedBatch]:
        names = list(self.schema.names if columns is None else columns)
        if WEIGHT not in names:
            yield from self._source.numbered_batches(names)
            return
        for batch in self._source.numbered_batches(list(self.schema.names)):
            found = {name: batch.events[name] for name in names}
            found[WEIGHT] = self._weights(_numbers(batch.events, self.schema.names))
            yield batch.with_events(record(found, len(batch)))


def mean_weights(source: EventSource, seed: int) -> MeanWeights:
    """Those of a source with ``_weight``, of at most about 200,000 of its events, evenly spread.

    Of arrays the trees see the sum beside the elements, of lists the length, the sum, and the first eight elements.
    """
    most = min(_MOST, max(1, _MOST_NUMBERS // _width(source.schema)))
    step = max(1, source.num_events // most)
    x, weight = [], []
    for batch in source.batches(list(source.schema.names)):
        x.append(_numbers(batch[::step], source.schema.names))
        weight.append(np.asarray(batch[WEIGHT], dtype=np.float64)[::step])
    return MeanWeights(np.concatenate(x), np.concatenate(weight), seed)


def _width(schema: Schema) -> int:
    """How many numbers of an event the trees see."""
    return sum(math.prod(one.shape) * (_LEADING + 2 if one.jagged else 1) + bool(one.shape) for one in schema)


def _numbers(events: ak.Array, names: Sequence[str]) -> FloatArray:
    """All columns but the weight side by side, (events, numbers)."""
    return np.concatenate([_flat(events[name]) for name in names if name != WEIGHT], axis=1)


def _flat(values: ak.Array) -> FloatArray:
    """A column as numbers, (events, numbers), an array with its sum; of lists what the trees see, NaN where they are shorter."""
    if values.layout.purelist_isregular:
        plain: FloatArray = ak.to_numpy(values).astype(np.float64).reshape(len(values), -1)
        return plain if plain.shape[1] == 1 else np.column_stack([plain.sum(axis=1), plain])
    if values.ndim > 2:
        return np.concatenate(
            [_flat(values[..., part]) for part in range(int(values.type.content.content.size))], axis=1
        )
    lists = ak.values_astype(values, np.float64)
    leading = ak.to_numpy(ak.fill_none(ak.pad_none(lists, _LEADING, clip=True), np.nan))
    return np.column_stack([np.asarray(ak.num(lists)), np.asarray(ak.sum(lists, axis=1)), leading])
