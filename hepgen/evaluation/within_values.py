"""Features of events beside those of the reference at the same value of a discrete condition, such as the type of a jet."""

from __future__ import annotations

import warnings
from dataclasses import dataclass

import numpy as np

from hepgen.evaluation.domain import FloatArray
from hepgen.evaluation.splits import MAX_DISCRETE

_FEWEST = 20
"""Events of the reference that a mean and a width take."""


@dataclass(frozen=True)
class WithinValues:
    """Standardises features by their means and widths at each value of a discrete condition.

    A type that does not go with its event shows in both together only: trees, which split by one column after the other, find
    that with many events and late. Relative to its type the event stands out by itself.

    Attributes:
        column: of the condition.
        values: of the condition, (values,).
        means, widths: of the features, (values, features).
    """

    column: int
    values: FloatArray
    means: FloatArray
    widths: FloatArray

    def __call__(self, features: FloatArray, conditions: FloatArray) -> FloatArray:
        """Standardised features, (events, features); nan at values that few events of the reference have."""
        result = np.full(features.shape, np.nan)
        for value, mean, width in zip(self.values, self.means, self.widths, strict=True):
            rows = conditions[:, self.column] == value
            result[rows] = (features[rows] - mean) / width
        return result


def within_values(features: FloatArray, conditions: FloatArray, column: int) -> WithinValues:
    """Means and widths of features (events, features) of the reference at each value of a condition.

    Example:
        >>> features = np.repeat([[0.0], [2.0], [10.0], [30.0]], 10, axis=0)
        >>> types = np.repeat([[6.0], [6.0], [21.0], [21.0]], 10, axis=0)
        >>> within = within_values(features, types, 0)
        >>> within(np.array([[2.0], [2.0], [2.0]]), np.array([[6.0], [21.0], [5.0]])).round(1).ravel().tolist()
        [1.0, -1.8, nan]
    """
    values, counts = np.unique(conditions[:, column], return_counts=True)
    values = values[counts >= _FEWEST]
    rows = [features[conditions[:, column] == value] for value in values]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # a feature that no event of this value has
        means = np.array([np.nanmean(one, axis=0) for one in rows]).reshape(len(values), features.shape[1])
        widths = np.array([np.nanstd(one, axis=0) for one in rows]).reshape(means.shape)
    return WithinValues(column, values, means, np.where(widths > 0, widths, 1.0))


def discrete_conditions(conditions: FloatArray) -> list[int]:
    """The columns of two and more values, but not more than the bins of conditions tell apart.

    Example:
        >>> discrete_conditions(np.stack([np.arange(100) % 3, np.arange(100), np.ones(100)], axis=1))
        [0]
    """
    return [
        column for column in range(conditions.shape[1]) if 2 <= len(np.unique(conditions[:, column])) <= MAX_DISCRETE
    ]
