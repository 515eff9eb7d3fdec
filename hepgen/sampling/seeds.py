"""Seeds of sampling: every block has streams of its own, so that any job can make any block.

``SeedSequence(seed, spawn_key=(block, stage, retry))`` gives the noise of a stage; decoding, the drawing of conditions
and the rows of object mode have longer keys.
"""

from __future__ import annotations

import hashlib

import numpy as np
from torch import Tensor

from hepgen.representations.base import Stage
from hepgen.surrogate.surrogate import StageNoise, Surrogate
from hepgen.training.seeds import draw, stream, uniform

_DECODE = 1
_CONDITIONS = 2
_ACCEPT = 3


def run_number(seed: int) -> int:
    """A number of 31 bits, never 0, that stands for a seed in ``run`` columns: the first bits of its SHA-256.

    Example:
        >>> run_number(1) != run_number(2)
        True
    """
    return max(1, int.from_bytes(hashlib.sha256(str(seed).encode()).digest()[:4], "little") & 0x7FFF_FFFF)


def event_numbers(seed: int, first: int, count: int) -> np.ndarray[tuple[int], np.dtype[np.uint64]]:
    """Numbers of the events ``first`` to ``first + count`` of a seed, unique over seeds and jobs, uint64.

    The upper half is ``run_number(seed)``, the lower half counts.

    Raises:
        ValueError: beyond the 2^32 events that one seed can number.
    """
    if first + count > 2**32:
        raise ValueError("one seed numbers at most 4294967296 events")
    return np.arange(first, first + count, dtype=np.uint64) + (np.uint64(run_number(seed)) << np.uint64(32))


def condition_stream(seed: int, block: int) -> np.random.Generator:
    """The stream that draws the conditions of a block."""
    return stream(seed, block, 0, 0, _CONDITIONS)


class BlockNoise:
    """Noise of the stages of a block, for ``Surrogate.sample``.

    Args:
        surrogate: whose stages.
        seed: master seed.
        block: number of the block.
        retry: 0, or how often the block was drawn before.
        part: which forward pass of the block, where it has several (object mode).
    """

    def __init__(self, surrogate: Surrogate, seed: int, block: int, retry: int, part: int | None = None) -> None:
        self._surrogate = surrogate
        self._seed = seed
        self._block = block
        self._tail: tuple[int, ...] = () if part is None else (part,)
        self._retry = retry

    def __call__(self, number: int, points: int = 0) -> StageNoise:
        stage: Stage = self._surrogate.representation.stages[number]
        rows = self._surrogate.block_size
        # The extra word of a part comes after a 0, which no other key has in its place.
        more = (0, *self._tail) if self._tail else ()
        key = (self._block, number, self._retry)
        specs = self._surrogate.generators[stage.name].noise_spec()
        noise = draw(stream(self._seed, *key, *more), specs, rows, points)
        return noise, uniform(stream(self._seed, *key, _DECODE, *self._tail), rows, stage.unnoise)

    def accept(self) -> Tensor:
        """The random numbers that decide which events are kept, (block_size,)."""
        key = (self._block, 0, self._retry, _ACCEPT, *self._tail)
        return uniform(stream(self._seed, *key), self._surrogate.block_size)
