"""Caches of clouds: no padding is stored, and batches hold events of about one length."""

from pathlib import Path

import numpy as np
import pytest
import torch
from tables import DATA

from hepgen.errors import TrainingError
from hepgen.events.reader import open_events
from hepgen.representations.base import COUNT
from hepgen.representations.particle_cloud import CONSTITUENTS, ParticleCloudRepresentation
from hepgen.training.cache import EncodedCache, encode_source
from hepgen.training.seeds import Shuffle


@pytest.fixture(scope="module")
def cloud() -> ParticleCloudRepresentation:
    source = open_events(DATA / "jets.root")
    representation = ParticleCloudRepresentation(source.schema)
    representation.fit(source)
    return representation


def cached(cloud: ParticleCloudRepresentation, path: Path, memory: int) -> EncodedCache:
    source = open_events(DATA / "jets.root")
    return encode_source(source, cloud, memory=memory, path=path, fingerprint="a")


def test_memory_and_file_hold_the_same_constituents(cloud: ParticleCloudRepresentation, tmp_path: Path) -> None:
    path = tmp_path / "train.bin"
    source = open_events(DATA / "jets.root")
    batch = next(iter(source.batches()))
    rows = np.array([7, 300, 0, 7])
    expected = cloud.encode(cloud.pack(batch[rows]))
    caches = [cached(cloud, path, memory) for memory in (1 << 30, 100, 100)]  # the last finds the file of the second
    assert [cache.in_memory for cache in caches] == [True, False, False]
    for cache in caches:
        assert cache.lengths is not None
        assert (cache.lengths[rows] == expected[COUNT].numpy()).all()
        found = cache.gather(rows)
        assert set(found) == set(expected)
        for name, tensor in expected.items():
            assert torch.equal(found[name], tensor), name
        assert cloud.mask(CONSTITUENTS, found) is not None
    constituents = caches[0].lengths.sum()
    stored = path.with_suffix(".constituents").stat().st_size
    assert caches[1].constituents is not None
    assert stored == constituents * caches[1].constituents.record.itemsize
    for cache in caches:
        cache.close()
    with pytest.raises(ValueError, match="closed"):
        caches[1].gather(rows)


def test_a_file_of_constituents_that_was_cut_short_is_written_again(
    cloud: ParticleCloudRepresentation, tmp_path: Path
) -> None:
    path = tmp_path / "train.bin"
    cached(cloud, path, 100).close()
    points = path.with_suffix(".constituents")
    whole = points.read_bytes()
    points.write_bytes(whole[:-1])
    again = cached(cloud, path, 100)
    assert points.read_bytes() == whole
    points.write_bytes(whole[:100])
    with pytest.raises(TrainingError, match="cut short"):
        again.gather(np.array([300]))
    again.close()


def test_batches_of_one_length_hold_every_event_once_an_epoch() -> None:
    lengths = np.random.default_rng(1).integers(1, 100, 160)
    dealt = Shuffle(160, seed=3, stage=0, lengths=lengths)
    batches = [dealt.batch(number, 20) for number in range(8)]
    assert sorted(np.concatenate(batches).tolist()) == list(range(160))
    widths = [lengths[batch].max() - lengths[batch].min() for batch in batches]
    plain = Shuffle(160, seed=3, stage=0)
    usual = [lengths[batch].max() - lengths[batch].min() for batch in (plain.batch(k, 20) for k in range(8))]
    assert np.mean(widths) < 0.3 * np.mean(usual)
    assert not np.all(np.diff([lengths[batch].mean() for batch in batches]) > 0)  # in no order of length
    assert (dealt.batch(5, 20) == Shuffle(160, seed=3, stage=0, lengths=lengths).batch(5, 20)).all()
