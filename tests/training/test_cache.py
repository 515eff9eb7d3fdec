from pathlib import Path

import awkward as ak
import numpy as np
import pytest
import torch
from toys import SCHEMA, ToyRepresentation, toy_events, toy_source

from hepgen.errors import InputFileError, RowError, TrainingError
from hepgen.events.schema import Column
from hepgen.events.source import MemorySource
from hepgen.representations.base import Tensors
from hepgen.training.cache import encode_source


def test_memory_and_file_hold_the_same_rows(tmp_path: Path) -> None:
    representation = ToyRepresentation()
    source = toy_source(1000)
    representation.fit(source)
    caches = [
        encode_source(source, representation, memory=memory, path=tmp_path / "train.bin", fingerprint="a")
        for memory in (1 << 20, 100)
    ]
    assert [cache.in_memory for cache in caches] == [True, False]
    rows = np.array([999, 0, 3, 3, 500])
    for name, tensor in caches[0].gather(rows).items():
        assert torch.equal(tensor, caches[1].gather(rows)[name])
    caches[1].close()
    with pytest.raises(ValueError, match="closed"):
        caches[1].gather(rows)


def test_a_complete_file_is_used_again_and_another_fingerprint_is_not(tmp_path: Path) -> None:
    path = tmp_path / "train.bin"
    representation = ToyRepresentation()

    def first(seed: int, fingerprint: str) -> float:
        cache = encode_source(toy_source(50, seed), representation, memory=0, path=path, fingerprint=fingerprint)
        value = float(cache.gather(np.array([0]))["y"])
        cache.close()
        return value

    a = first(0, "a")
    assert first(1, "a") == a
    assert first(1, "b") != a
    path.with_name("train.bin.json").write_text("{")
    assert first(0, "b") == a
    path.write_bytes(path.read_bytes()[:-1])
    assert first(1, "b") != a


def test_weights_are_cached(tmp_path: Path) -> None:
    events = ak.with_field(toy_events(20), np.arange(20.0), "_weight")
    schema = SCHEMA.replace((*SCHEMA.columns, Column("_weight", "float64")))
    cache = encode_source(
        MemorySource(events, schema), ToyRepresentation(), memory=1 << 20, path=tmp_path / "x", fingerprint=""
    )
    assert cache.gather(np.array([7]))["_weight"].tolist() == [7.0]
    assert cache.mean_weight == 9.5


class RefusesNegative(ToyRepresentation):
    """Knows only the row of what it refuses."""

    def pack(self, batch: ak.Array) -> Tensors:
        bad = np.flatnonzero(ak.to_numpy(batch["y"]) < -1e6)
        if len(bad):
            raise RowError("a negative 'y'", int(bad[0]))
        return super().pack(batch)


def test_an_event_that_is_refused_is_named_by_its_entry(tmp_path: Path) -> None:
    events = toy_events(400)
    y = ak.to_numpy(events["y"]).copy()
    y[350] = -1e9
    source = MemorySource(ak.with_field(events, y, "y"), SCHEMA, batch_size=100, name="toys")
    with pytest.raises(InputFileError, match="negative 'y'") as refused:
        encode_source(source, RefusesNegative(), memory=1 << 20, path=tmp_path / "x", fingerprint="")
    assert refused.value.where == "entry 350 of toys"


def test_no_events_and_values_that_are_not_finite_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputFileError, match="no events"):
        encode_source(toy_source(0), ToyRepresentation(), memory=1 << 20, path=tmp_path / "x", fingerprint="")
    events = toy_events(400)
    y = ak.to_numpy(events["y"]).copy()
    y[350] = np.nan
    source = MemorySource(ak.with_field(events, y, "y"), SCHEMA, batch_size=100)
    with pytest.raises(TrainingError, match="'y' of event 350"):
        encode_source(source, ToyRepresentation(), memory=1 << 20, path=tmp_path / "x", fingerprint="")
