"""Known distortions of true events: each takes generated events, a stock and a strength, and gives the events back.

The strength is a share of the events, but for ``scaled``, where it is a share of the value.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import awkward as ak
import numpy as np

from hepgen.events.source import record


@dataclass(frozen=True)
class Stock:
    """What a distortion takes from: events of the training, true ones that are in neither sample, random numbers."""

    training: ak.Array
    spare: ak.Array
    rng: np.random.Generator


Distortion = Callable[[ak.Array, Stock, float], ak.Array]


def with_column(events: ak.Array, name: str, values: np.ndarray) -> ak.Array:
    columns = {field: events[field] for field in events.fields}
    columns[name] = ak.from_numpy(values, regulararray=True)
    return record(columns, len(events))


def column_of(events: ak.Array, name: str) -> np.ndarray:
    return np.array(ak.to_numpy(events[name]))


def some(events: ak.Array, strength: float, rng: np.random.Generator) -> np.ndarray:
    """Rows of that share of the events."""
    return rng.permutation(len(events))[: round(strength * len(events))]


def swapped(events: ak.Array, rows: np.ndarray, others: ak.Array) -> ak.Array:
    """The events with other events in place of some rows, in the order of the rows."""
    order = np.arange(len(events))
    order[rows] = len(events) + np.arange(len(rows))
    return ak.concatenate([events, others])[order]


def scaled(events: ak.Array, stock: Stock, strength: float, *, column: str, each: bool) -> ak.Array:
    """A column times 1 + strength, or of each event times a normal number about 1 of that width."""
    values = column_of(events, column)
    factor = 1 + strength * (stock.rng.standard_normal(len(values)) if each else np.ones(len(values)))
    factor = factor.astype(values.dtype).reshape(-1, *[1] * (values.ndim - 1))
    return with_column(events, column, values * np.maximum(factor, 0))


def response(events: ak.Array) -> np.ndarray:
    voxels, energy = ak.to_numpy(events["voxel_energy"]), ak.to_numpy(events["incident_energy"])
    return np.asarray(voxels.sum(axis=1) / energy.reshape(-1))


def tail_cut(
    events: ak.Array,
    stock: Stock,
    strength: float,
    *,
    rank: Callable[[ak.Array], np.ndarray],
) -> ak.Array:
    """The events of the largest values, so many of all, are others that have none so large."""
    limit = np.quantile(rank(events), 1 - strength)
    rows = np.flatnonzero(rank(events) > limit)
    below = np.flatnonzero(rank(stock.spare) <= limit)
    return swapped(events, rows, stock.spare[stock.rng.choice(below, size=len(rows), replace=False)])


def foreign_layer(events: ak.Array, stock: Stock, strength: float, *, part: slice) -> ak.Array:
    """A layer of the showers is that of another one of the same incident energy."""
    voxels, energy = column_of(events, "voxel_energy"), column_of(events, "incident_energy").reshape(-1)
    other, others_energy = column_of(stock.spare, "voxel_energy"), column_of(stock.spare, "incident_energy").reshape(-1)
    for row in some(events, strength, stock.rng):
        voxels[row, part] = other[stock.rng.choice(np.flatnonzero(others_energy == energy[row])), part]
    return with_column(events, "voxel_energy", voxels)


def hot_cell(events: ak.Array, stock: Stock, strength: float, *, cell: int, share: float) -> ak.Array:
    """One cell has that share of the incident energy more."""
    voxels, rows = column_of(events, "voxel_energy"), some(events, strength, stock.rng)
    voxels[rows, cell] += share * column_of(events, "incident_energy").reshape(-1)[rows]
    return with_column(events, "voxel_energy", voxels)


def fewer_voxels(events: ak.Array, stock: Stock, strength: float) -> ak.Array:
    """Every second hit voxel is empty, and the others hold its energy."""
    voxels, rows = column_of(events, "voxel_energy"), some(events, strength, stock.rng)
    chosen = voxels[rows]
    kept = np.where(np.cumsum(chosen > 0, axis=1) % 2 == 1, chosen, 0)
    voxels[rows] = kept * (chosen.sum(axis=1) / np.maximum(kept.sum(axis=1), 1e-9))[:, None]
    return with_column(events, "voxel_energy", voxels)


def foreign_column(events: ak.Array, stock: Stock, strength: float, *, column: str) -> ak.Array:
    values, rows = column_of(events, column), some(events, strength, stock.rng)
    values[rows] = stock.rng.choice(column_of(stock.spare, column), size=len(rows), replace=False)
    return with_column(events, column, values)


def one_value(events: ak.Array, stock: Stock, strength: float, *, column: str, value: float) -> ak.Array:
    values = column_of(events, column)
    values[some(events, strength, stock.rng)] = value
    return with_column(events, column, values)


def one_more(events: ak.Array, stock: Stock, strength: float, *, column: str) -> ak.Array:
    values = column_of(events, column)
    values[some(events, strength, stock.rng)] += 1
    return with_column(events, column, values)


def copied_training(events: ak.Array, stock: Stock, strength: float) -> ak.Array:
    rows = some(events, strength, stock.rng)
    return swapped(events, rows, stock.training[stock.rng.choice(len(stock.training), size=len(rows), replace=False)])


def copied_within(events: ak.Array, stock: Stock, strength: float) -> ak.Array:
    rows = some(events, strength, stock.rng)
    others = np.setdiff1d(np.arange(len(events)), rows)
    return swapped(events, rows, events[stock.rng.choice(others, size=len(rows))])


def broken(events: ak.Array, stock: Stock, strength: float, *, column: str) -> ak.Array:
    values = column_of(events, column)
    values.reshape(len(values), -1)[some(events, strength, stock.rng), 0] = np.nan
    return with_column(events, column, values)
