"""Weights that are not negative and say the same of a sample: each event counts with the mean weight of events like it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import awkward as ak
import numpy as np
from numpy.typing import NDArray
from sklearn.ensemble import HistGradientBoostingRegressor

from hepgen.classifiers.trees import short_seed
from hepgen.errors import InputFileError
from hepgen.events.select import WEIGHT
from hepgen.events.source import EventSource, NumberedBatch, SourceBase, as_numbered, record

FloatArray = NDArray[np.float64]

_MOST = 200_000
_LEAST_LEAF = 20
_LEAVES = 100  # at most so many leaves hold the events of a tree: a mean of signs takes many events


class MeanWeights:
    """The mean weight of events as a function of their columns, by boosted trees, never negative.

    Where the weights of a Monte Carlo cancel, the density of a sample is the density of its events times their mean
    weight; so the sample with mean weights has the same density, without negative weights (Andersen, Gutschow, Maier and
    Prestel, arXiv:2005.09375; with trees in the place of cells). A transport, which moves masses, takes it where it
    cannot take the weights themselves.

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
        self._scale = float(weight.sum() / made.sum())

    def __call__(self, x: FloatArray) -> FloatArray:
        """(events, columns) to (events,)."""
        return self._scale * np.maximum(np.asarray(self._trees.predict(x), dtype=np.float64), 0.0)


class PositiveSource(SourceBase):
    """A source with mean weights in the place of its own.

    Args:
        source: events of numbers, with ``_weight``.
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
    """Those of a source of numbers with ``_weight``, of at most about 200,000 of its events, evenly spread."""
    step = max(1, source.num_events // _MOST)
    x, weight = [], []
    for batch in source.batches(list(source.schema.names)):
        x.append(_numbers(batch, source.schema.names)[::step])
        weight.append(np.asarray(batch[WEIGHT], dtype=np.float64)[::step])
    return MeanWeights(np.concatenate(x), np.concatenate(weight), seed)


def _numbers(events: ak.Array, names: Sequence[str]) -> FloatArray:
    """All columns but the weight side by side, (events, numbers)."""
    parts = [ak.to_numpy(events[name]).astype(np.float64).reshape(len(events), -1) for name in names if name != WEIGHT]
    return np.concatenate(parts, axis=1)
