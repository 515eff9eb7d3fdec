"""The physics score that chooses a checkpoint where a loss cannot: distances of one-dimensional distributions."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from hepgen.representations.base import Tensors

_PROJECTIONS = 32
_COLUMNS = 512
_BINS = 4
_VALUES = 16

Array = NDArray[np.float64]


def physics_distance(generated: Tensors, truth: Tensors) -> float:
    """How far generated events are from true ones of the same conditions; 0 for the same, about 1 for one width.

    For every physical quantity that is not the same in both, in bins of the first condition: the shift of the mean, the
    change of the width and the Wasserstein distance, each in widths of the truth, averaged over the columns, over
    random projections of them (which feel correlations) and over their sum. Columns are compared by their ranks in the
    truth: a voxel that is seldom hit has a mean and a width that hang on few events, and those would drown the others.

    Args:
        generated, truth: physical tensors by name, (events, ...), with the same ``condition``.
    """
    bins = condition_bins(truth["condition"].double().numpy())
    distances = []
    for name, tensor in truth.items():
        if name == "condition" or not tensor.is_floating_point():
            continue
        true = tensor.double().numpy().reshape(len(tensor), -1)
        made = generated[name].double().numpy().reshape(len(tensor), -1)
        if true.shape[1] == 0 or np.array_equal(true, made, equal_nan=True):
            continue
        distances += [_distance(made[chosen], true[chosen]) for chosen in bins]
    return float(np.mean(distances)) if distances else 0.0


def condition_bins(condition: Array) -> list[NDArray[np.int64]]:
    """Events by the first condition: by its value where there are at most 16, else in 4 bins of equal content."""
    if condition.shape[1] == 0 or len(condition) < 2 * _BINS:
        return [np.arange(len(condition))]
    values = condition[:, 0]
    distinct = np.unique(values)
    if len(distinct) <= _VALUES:
        bins = [np.flatnonzero(values == value) for value in distinct]
    else:
        bins = list(np.array_split(np.argsort(values, kind="stable"), _BINS))
    return [chosen for chosen in bins if len(chosen) > 1]


def _distance(made: Array, true: Array) -> float:
    """Of one quantity in one bin, (events, columns) each."""
    missing = np.nanmin(true, axis=0, initial=0.0) - 3 * np.nanstd(np.nan_to_num(true), axis=0)
    made, true = np.where(np.isnan(made), missing, made), np.where(np.isnan(true), missing, true)
    width = true.std(axis=0)
    varying = np.flatnonzero(width > 0)
    if len(varying) == 0:
        return float(np.abs(made - true).mean() > 0)
    chosen = varying[np.argsort(-width[varying], kind="stable")[:_COLUMNS]]
    a, b = _ranks(made[:, chosen], true[:, chosen]), _ranks(true[:, chosen], true[:, chosen])
    mean, spread = b.mean(axis=0), np.maximum(b.std(axis=0), 1e-12)
    a, b = (a - mean) / spread, (b - mean) / spread
    columns = _one_dimensional(a, b)
    total = _one_dimensional(made.sum(axis=1, keepdims=True), true.sum(axis=1, keepdims=True))
    directions = np.random.default_rng(0).normal(size=(len(chosen), _PROJECTIONS))
    projections = _one_dimensional(a @ directions, b @ directions)
    return (columns + total + projections) / 3


def _ranks(values: Array, true: Array) -> Array:
    """The share of the truth below each value, column by column; ties count half."""
    result = np.empty_like(values)
    for column in range(true.shape[1]):
        ordered = np.sort(true[:, column])
        below = np.searchsorted(ordered, values[:, column], side="left")
        result[:, column] = 0.5 * (below + np.searchsorted(ordered, values[:, column], side="right")) / len(ordered)
    return result


def _one_dimensional(made: Array, true: Array) -> float:
    """Shift, change of width and Wasserstein distance in widths of the truth, averaged over columns."""
    width = np.maximum(true.std(axis=0), 1e-12)
    shift = np.abs(made.mean(axis=0) - true.mean(axis=0)) / width
    stretch = np.abs(made.std(axis=0) / width - 1)
    transport = np.abs(np.sort(made, axis=0) - np.sort(true, axis=0)).mean(axis=0) / width
    # A quantity that is far off counts as far off, not more: one wild column must not hide the others.
    return float(np.minimum(shift + stretch + transport, 10.0).mean())
