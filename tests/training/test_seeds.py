import numpy as np
import pytest

from hepgen.generators.base import NoiseSpec
from hepgen.training.seeds import Shuffle, draw, stream


@pytest.mark.parametrize("size", [1, 2, 3, 7, 100, 1009])
def test_every_epoch_is_a_permutation_of_its_own(size: int) -> None:
    shuffle = Shuffle(size, seed=3, stage=1)
    epochs = [shuffle.rows(epoch * size, size) for epoch in range(3)]
    for epoch in epochs:
        assert np.array_equal(np.sort(epoch), np.arange(size))
    if size > 10:
        assert not np.array_equal(epochs[0], epochs[1])


def test_rows_do_not_depend_on_how_they_are_asked_for() -> None:
    whole = Shuffle(50, seed=3, stage=1).rows(0, 130)
    parts = np.concatenate([Shuffle(50, seed=3, stage=1).rows(start, 13) for start in range(0, 130, 13)])
    assert np.array_equal(whole, parts)


def test_shuffled_neighbours_are_uncorrelated() -> None:
    rows = Shuffle(10_000, seed=1, stage=0).rows(0, 10_000)
    assert abs(np.corrcoef(rows[:-1], rows[1:])[0, 1]) < 0.05
    assert abs(np.corrcoef(rows, np.arange(10_000))[0, 1]) < 0.05


def test_streams_differ_in_every_part_of_the_key() -> None:
    first = [stream(1, *key).random() for key in ((0, 0, 0), (0, 0, 1), (0, 1, 0), (1, 0, 0), (0, 0), (0, 0, 0, 0))]
    assert len(set(first)) == len(first)
    assert stream(2**127, 0).random() == stream(2**127, 0).random()


def test_noise_has_the_law_that_is_asked_for() -> None:
    noise = draw(stream(1, 2), [NoiseSpec("z", (2, 3)), NoiseSpec("t", (), "uniform")], 2000)
    assert noise["z"].shape == (2000, 2, 3)
    assert abs(float(noise["z"].std()) - 1) < 0.02
    assert 0 <= float(noise["t"].min()) < float(noise["t"].max()) < 1
    with pytest.raises(ValueError, match="unknown law"):
        draw(stream(1), [NoiseSpec("z", (1,), "cauchy")], 1)
