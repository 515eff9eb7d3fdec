"""Event tables as the evaluation sees them: every scalar column is an observable."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import awkward as ak
import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata

from hepgen.classifiers.multiclass import TreePosterior
from hepgen.classifiers.trees import TreeClassifier, TreeOptions
from hepgen.errors import InputFileError
from hepgen.evaluation.domain import Array, ClassifierTest, Events, FloatArray, PlainDomain, Pool
from hepgen.evaluation.histograms import Axis, Observable, axis_for
from hepgen.evaluation.sanity import weights_of
from hepgen.events.schema import Schema

MAX_ELEMENTS = 64
_TAKEN = {"mean", "max", "max.all"}  # names of scores over all columns
_TOLERANCE = 1e-3


class TableDomain(PlainDomain):
    """The columns of a table.

    Args:
        schema: of the reference.
        columns: names to judge; all scalar numeric ones where None. Fixed-size columns count element by element.
        conditions: columns that the classifier is given and that bins are made of, not judged themselves.
        weight: column of event weights.
        laws: columns that must agree with another one, which holds what their definition gives.
        trees: options of the classifier.

    Raises:
        InputFileError: if a column is missing, jagged, or none is left.
    """

    kind = "table"
    spectrum = None
    distance_scale = "deviation"
    nearest_scale = "deviation"

    def __init__(
        self,
        schema: Schema,
        *,
        columns: tuple[str, ...] | None = None,
        conditions: tuple[str, ...] = (),
        weight: str | None = None,
        laws: Mapping[str, str] | None = None,
        trees: TreeOptions | None = None,
    ) -> None:
        self.condition_names = conditions
        self.laws = dict(laws or {})
        self.weight = weight
        self.trees = trees or TreeOptions()
        apart = {*conditions, weight, "_weight", *self.laws.values()}
        chosen = [schema[name] for name in columns] if columns is not None else list(schema)
        chosen = [column for column in chosen if column.name not in apart]
        numeric = [column for column in chosen if not column.jagged and np.dtype(column.dtype).kind in "biuf"]
        self.left_out = tuple(column.name for column in chosen if column not in numeric)
        large = too_large(schema, [column.name for column in numeric])
        numeric = [column for column in numeric if column.name not in large]
        if not numeric:
            raise InputFileError("no scalar numeric column to judge", where=f"tree '{schema.tree}'")
        self.names = tuple(column.name for column in numeric)
        further = (*self.laws, *self.laws.values(), *conditions, *((weight,) if weight else ()))
        self.columns = tuple(dict.fromkeys((*self.names, *further)))
        for name in (*conditions, *((weight,) if weight else ())):
            if schema[name].jagged or schema[name].shape:
                raise InputFileError(f"column '{name}' is not a scalar", hint="conditions and weights are scalars")
        found = []
        for column in numeric:
            count = int(np.prod(column.shape))
            name = f"column.{column.name}" if column.name in _TAKEN else column.name
            labels = [name] if not column.shape else [f"{name}[{i}]" for i in range(count)]
            whole = np.dtype(column.dtype).kind in "biu"
            found += [Observable(label, label, column.unit, integer=whole) for label in labels]
        self.observables = tuple(found)

    @property
    def raw_bytes(self) -> int:
        """Memory of the columns of an event."""
        return 8 * len(self.observables)

    def for_file(self, schema: Schema) -> TableDomain:
        """The same: columns go by their names."""
        del schema
        return self

    def read(self, batch: ak.Array) -> Events:
        """Columns, conditions and weights of a batch; infinite values become nan and are counted."""
        parts = [ak.to_numpy(batch[name]) for name in self.names]
        raw = np.concatenate([np.asarray(x, dtype=np.float64).reshape(len(batch), -1) for x in parts], axis=1)
        conditions = np.zeros((len(batch), len(self.condition_names)))
        for index, name in enumerate(self.condition_names):
            conditions[:, index] = ak.to_numpy(batch[name])
        weights, wrong = weights_of(batch, self.weight)
        problems = {
            f"{observable.name} is not finite": ~np.isfinite(raw[:, index])
            for index, observable in enumerate(self.observables)
        }
        finite = np.isfinite(conditions).all(axis=1)
        problems["conditions that are not finite"] = ~finite
        for name, law in self.laws.items():
            problems[f"{name} is not what its definition gives"] = _apart(batch[name], batch[law])
        raw[~np.isfinite(raw)] = np.nan
        return Events(raw, conditions, weights, finite & np.isfinite(weights), problems | wrong)

    def observe(self, raw: Array, conditions: FloatArray) -> FloatArray:
        """The columns themselves."""
        return np.asarray(raw, dtype=np.float64)

    def distance_features(self, raw: Array, conditions: FloatArray) -> FloatArray:
        """Columns and conditions; missing values stay nan."""
        return np.concatenate([raw, conditions], axis=1).astype(np.float64)

    def nearest_features(self, raw: Array, conditions: FloatArray) -> Array:
        """As ``distance_features``."""
        return self.distance_features(raw, conditions)

    def axes(self, pool: Pool) -> tuple[list[Axis], None]:
        """Axes by the reference."""
        return [axis_for(x, pool.observables[:, index]) for index, x in enumerate(self.observables)], None

    def tests(self, reference: Array, conditions: FloatArray) -> tuple[ClassifierTest, ...]:
        """One boosted-tree test; the control permutes the column that the others predict best."""
        index = most_predictable(self.distance_features(reference, conditions), reference.shape[1])
        words = f"column '{self.observables[index].name}' permuted among events of equal condition"
        part = slice(index, index + 1)
        return (ClassifierTest("", "all columns", self._features, self._classifier, words, part, self._posterior),)

    def _classifier(self) -> TreeClassifier:
        return TreeClassifier(self.trees)

    def _posterior(self) -> TreePosterior:
        return TreePosterior(self.trees)

    @staticmethod
    def _features(raw: Array, conditions: FloatArray) -> Array:
        return np.concatenate([raw, conditions], axis=1)


def _apart(values: ak.Array, expected: ak.Array) -> NDArray[np.bool_]:
    """Flags of events in which a number differs from what it should be by more than the rounding of files, (events,)."""
    here, there = (ak.to_numpy(one).astype(np.float64) for one in (values, expected))
    with np.errstate(invalid="ignore"):
        return np.asarray(np.abs(here - there) > _TOLERANCE * (1e-6 + np.maximum(np.abs(here), np.abs(there))))


def most_predictable(values: FloatArray, candidates: int) -> int:
    """Index, among the first columns, of the one whose rank is best predicted linearly by the ranks of all others.

    Missing values (nan) rank above all others; equal values share a rank, or else two columns of few values would seem
    to predict each other by the order of their events.

    Example:
        >>> rng = np.random.default_rng(0)
        >>> x, y = rng.normal(size=(2, 500))
        >>> most_predictable(np.stack([rng.normal(size=500), x + y, x, y], axis=1), 4)
        1
    """
    ranks = np.asarray(rankdata(np.where(np.isnan(values), np.inf, values), axis=0), dtype=np.float64)
    varying = np.ptp(np.nan_to_num(values), axis=0) > 0
    ranks[:, ~varying] = 0.0
    deviation = ranks.std(axis=0)
    scaled = (ranks - ranks.mean(axis=0)) / np.where(deviation > 0, deviation, 1.0)
    correlation = scaled.T @ scaled / len(scaled) + 1e-3 * np.eye(values.shape[1])
    explained = 1.0 - 1.0 / (np.diag(np.linalg.inv(correlation)) * np.diag(correlation))
    return int(np.argmax(np.where(varying, explained, -1.0)[:candidates]))


def too_large(schema: Schema, names: Sequence[str]) -> list[str]:
    """Columns of more numbers an event than a table is judged by.

    Example:
        >>> from hepgen.events.schema import Column
        >>> too_large(Schema((Column("image", "float32", (25, 25)), Column("pt", "float32"))), ["image", "pt"])
        ['image']
    """
    return [name for name in names if int(np.prod(schema[name].shape)) > MAX_ELEMENTS]
