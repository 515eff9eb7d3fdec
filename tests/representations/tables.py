"""Tables for the tests: sources held in memory, and the small real ntuple."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import awkward as ak
import numpy as np
import uproot

from hepgen.events.schema import Column, Schema

DATA = Path(__file__).parents[1] / "data"


class MemorySource:
    """An event source over an array in memory."""

    def __init__(self, events: ak.Array, schema: Schema, step: int = 400) -> None:
        self.events, self.schema, self.step = events, schema, step

    @property
    def num_events(self) -> int:
        return len(self.events)

    def batches(self, columns: Sequence[str] | None = None) -> Iterator[ak.Array]:
        chosen = self.events if columns is None else self.events[list(columns)]
        for start in range(0, len(chosen), self.step):
            yield chosen[start : start + self.step]


def source_of(columns: Mapping[str, Any], step: int = 400) -> MemorySource:
    """Source of named numpy arrays of the same length."""
    arrays = {name: np.asarray(values) for name, values in columns.items()}
    schema = Schema(tuple(Column(name, str(a.dtype), a.shape[1:]) for name, a in arrays.items()), tree="events")
    events = ak.Array({name: ak.from_numpy(array, regulararray=True) for name, array in arrays.items()})
    return MemorySource(events, schema, step)


def ttbar_source() -> MemorySource:
    with uproot.open(DATA / "ttbar.root") as file:
        arrays = file["events"].arrays(library="np")
    return source_of(arrays)
