"""Counter-based random numbers: every draw is a function of the seed and of where it is used, never of what came before.

A resumed training needs no state of a random generator, and a block of events can be made by any job. Streams come from
numpy's ``SeedSequence(seed, spawn_key=key)``; the numbers are drawn on the CPU so that every device sees the same.
"""

from __future__ import annotations

import os
from collections.abc import Iterable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from hepgen.generators.base import NoiseSpec

# First words of the keys, so that the streams of training never meet those of sampling (whose keys start with a block).
TRAIN, SHUFFLE, VALIDATE, SCORE, INITIAL, TABLE, CALIBRATE, ACCEPT, BUCKETS, JUDGE = (
    0x7472_0000 + k for k in range(10)
)

_ROUNDS = 6
_BUCKETS = 8


def stream(seed: int, *key: int) -> np.random.Generator:
    """The random generator of a place.

    Example:
        >>> bool(stream(1, 0, 3).random() == stream(1, 0, 3).random())
        True
    """
    return np.random.Generator(np.random.PCG64(np.random.SeedSequence(seed, spawn_key=key)))


def fresh_seed() -> int:
    """A seed of 64 bits from the operating system, for those who give none; it is printed and stored."""
    return int.from_bytes(os.urandom(8), "little")


def uniform(random: np.random.Generator, *shape: int) -> Tensor:
    """Float32 numbers in [0, 1) of the given shape."""
    return torch.from_numpy(random.random(shape, dtype=np.float32))


def seed_torch(random: np.random.Generator, device: torch.device) -> None:
    """Seed the generators inside torch that dropout and the first weights draw from.

    ``torch.manual_seed`` would also queue a call, with a traceback, for every device that is not in use: at each step
    that costs more than the step.
    """
    seed = int(random.integers(2**63))
    torch.default_generator.manual_seed(seed)
    if device.type == "cuda":
        torch.cuda.manual_seed(seed)


def draw(random: np.random.Generator, specs: Iterable[NoiseSpec], events: int, points: int = 0) -> dict[str, Tensor]:
    """The named noise arrays of ``specs``, each of shape (events, ...), float32.

    Args:
        points: number of constituents that a cloud is padded to.

    Raises:
        ValueError: if a law is neither ``normal`` nor ``uniform``.
    """
    noise: dict[str, Tensor] = {}
    for spec in specs:
        # Constituent by constituent: what one gets does not depend on how far the longest event makes others padded.
        shape = (points, events, *spec.shape) if spec.points else (events, *spec.shape)
        if spec.law == "normal":
            array = torch.from_numpy(random.standard_normal(shape, dtype=np.float32))
        elif spec.law == "uniform":
            array = uniform(random, *shape)
        else:
            raise ValueError(f"unknown law '{spec.law}' of the noise '{spec.name}'")
        noise[spec.name] = array.transpose(0, 1).contiguous() if spec.points else array
    return noise


class Shuffle:
    """An endless sequence of row numbers in which every epoch is a permutation of its own, in no memory.

    Where events have lengths, the rows of eight batches are dealt out so that events of about one length come together,
    and little of a batch is padding (as in EPiC-GAN, arXiv:2301.08128).

    The permutation is a Feistel network on Z_a x Z_b with a * b just above the number of rows; the few values that fall
    beyond the rows are sent through it again (Black and Rogaway, "Ciphers with arbitrary finite domains", 2002).

    Example:
        >>> sorted(Shuffle(5, seed=1, stage=0).rows(5, 5).tolist())
        [0, 1, 2, 3, 4]
    """

    def __init__(self, size: int, seed: int, stage: int, lengths: NDArray[np.integer] | None = None) -> None:
        if size < 1:
            raise ValueError("nothing to shuffle")
        self.size = size
        self._lengths = lengths
        self._seed = seed
        self._stage = stage
        self._a = int(np.ceil(np.sqrt(size)))
        self._b = -(-size // self._a)
        self._keys: dict[int, NDArray[np.uint64]] = {}

    def rows(self, start: int, count: int) -> NDArray[np.int64]:
        """Entries ``start`` to ``start + count`` of the sequence, shape (count,)."""
        position = np.arange(start, start + count, dtype=np.int64)
        epochs = position // self.size
        rows = np.empty(count, dtype=np.int64)
        for epoch in range(int(epochs[0]), int(epochs[-1]) + 1) if count else ():
            chosen = epochs == epoch
            rows[chosen] = self._permute(position[chosen] % self.size, self._key(epoch))
        return rows

    def batch(self, number: int, size: int) -> NDArray[np.int64]:
        """The rows of one of the batches of ``size`` events, shape (size,)."""
        if self._lengths is None:
            return self.rows(number * size, size)
        group, place = divmod(number, _BUCKETS)
        rows = self.rows(group * _BUCKETS * size, _BUCKETS * size)
        bucket = int(stream(self._seed, BUCKETS, self._stage, group).permutation(_BUCKETS)[place])
        ordered = rows[np.argsort(self._lengths[rows], kind="stable")]
        return ordered[bucket * size : (bucket + 1) * size]

    def _key(self, epoch: int) -> NDArray[np.uint64]:
        if epoch not in self._keys:
            key = stream(self._seed, SHUFFLE, self._stage, epoch).integers(0, 2**64, size=_ROUNDS, dtype=np.uint64)
            self._keys = {epoch: key}
        return self._keys[epoch]

    def _permute(self, index: NDArray[np.int64], key: NDArray[np.uint64]) -> NDArray[np.int64]:
        value = self._feistel(index.astype(np.uint64), key)
        beyond = value >= self.size
        while beyond.any():
            value[beyond] = self._feistel(value[beyond], key)
            beyond = value >= self.size
        return value.astype(np.int64)

    def _feistel(self, value: NDArray[np.uint64], key: NDArray[np.uint64]) -> NDArray[np.uint64]:
        a, b = np.uint64(self._a), np.uint64(self._b)
        left, right = value // b, value % b
        for turn in range(0, _ROUNDS, 2):
            left = (left + _mix(right ^ key[turn]) % a) % a
            right = (right + _mix(left ^ key[turn + 1]) % b) % b
        return left * b + right


def _mix(value: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """The finaliser of SplitMix64, a bijection of 64-bit words in which every bit depends on every other."""
    value = (value ^ (value >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    value = (value ^ (value >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return value ^ (value >> np.uint64(31))
