"""Mean weights: never negative, and the same density in whatever the trees see."""

from __future__ import annotations

import awkward as ak
import numpy as np
import pytest

from hepgen.events.schema import schema_of
from hepgen.events.select import WEIGHT
from hepgen.events.source import MemorySource
from hepgen.morphing.positive import PositiveSource, mean_weights


def source_of(columns: dict[str, ak.Array], weight: np.ndarray) -> MemorySource:
    events = ak.zip({**columns, WEIGHT: weight}, depth_limit=1)
    return MemorySource(events, schema_of(events))


def cancelling(rng: np.random.Generator, size: int) -> tuple[np.ndarray, np.ndarray]:
    """Which of two kinds an event is; those of the second cancel each other."""
    kind = rng.random(size) < 0.4
    return kind, np.where(kind, rng.choice([-1.0, 1.0], size), 1.0)


def weights_of(source: MemorySource) -> np.ndarray:
    positive = PositiveSource(source, mean_weights(source, 1))
    return np.concatenate([np.asarray(batch[WEIGHT]) for batch in positive.batches()])


@pytest.mark.parametrize("shape", [(), (3,)], ids=["numbers", "arrays"])
def test_lists_tell_events_apart_whose_weights_cancel(shape: tuple[int, ...]) -> None:
    rng = np.random.default_rng(0)
    kind, weight = cancelling(rng, 6000)
    lengths = rng.poisson(np.where(kind, 12, 5))
    values = ak.unflatten(rng.exponential(size=(int(lengths.sum()), *shape)), lengths)
    found = weights_of(source_of({"pt": values, "m": rng.random(6000)}, weight))
    assert found.min() >= 0
    assert found.sum() == pytest.approx(weight.sum(), rel=1e-6)
    assert np.average(lengths, weights=found) == pytest.approx(np.average(lengths, weights=weight), abs=0.15)
    assert abs(np.average(lengths) - np.average(lengths, weights=weight)) > 2


def test_arrays_of_fixed_size_do_as_well() -> None:
    rng = np.random.default_rng(1)
    kind, weight = cancelling(rng, 6000)
    voxels = rng.exponential(size=(6000, 20)) * np.where(kind, 2.0, 1.0)[:, None]
    found = weights_of(source_of({"voxels": ak.from_numpy(voxels, regulararray=True)}, weight))
    expected = np.average(voxels.sum(1), weights=weight)
    assert np.average(voxels.sum(1), weights=found) == pytest.approx(expected, rel=0.03)
    assert np.average(voxels.sum(1)) > 1.3 * expected
