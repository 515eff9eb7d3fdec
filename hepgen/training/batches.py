"""Batches of one stage out of encoded events: of one sample, or of two between which a map is trained."""

from __future__ import annotations

import dataclasses
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from hepgen.generators.base import StageBatch
from hepgen.representations.base import Stage, Tensors
from hepgen.training.cache import WEIGHT, EncodedCache
from hepgen.training.ragged import Rows
from hepgen.training.seeds import Shuffle, stream, uniform

SOURCE = 1 << 20
"""Added to the number of a stage: the source of a morph is shuffled in an order of its own."""


class StageSpace(Protocol):
    """What batches are made with: a representation, or what stands for one."""

    def mask(self, stage: str, tensors: Tensors) -> Tensor | None: ...

    def augment(self, cached: Tensors, noise: Tensor) -> Tensors: ...

    def features(self, stage: str, cached: Tensors, noise: Tensor) -> tuple[Tensor, Tensor]: ...

    def observables(self, stage: str, x: Tensor, cached: Tensors) -> Tensor: ...


class Batches(Protocol):
    """Where the batches of a training come from.

    Attributes:
        size: number of events of an epoch.
    """

    size: int

    def rows(self, number: int, size: int) -> Rows:
        """The rows of one of the batches of ``size`` events of the shuffled sample."""
        ...

    def in_order(self, most: int) -> Rows:
        """The first rows, events of about one length side by side."""
        ...

    def batch(self, rows: Rows, random: np.random.Generator, *, augment: bool, dequantised: bool) -> StageBatch:
        """The events of these rows; ``random`` augments and dequantises them where that is asked for."""
        ...


class StageBatches:
    """Events of one sample.

    Args:
        representation: fitted.
        stage: of it.
        number: position of the stage, part of every key of random numbers.
        cache: the encoded events.
        mean_weight: the weight that counts as 1: the mean of the training sample.
        by_length: whether clouds of about one length come together, which saves padding; not where they are paired.
    """

    def __init__(
        self,
        representation: StageSpace,
        stage: Stage,
        number: int,
        cache: EncodedCache,
        *,
        mean_weight: float,
        seed: int,
        device: str | torch.device = "cpu",
        by_length: bool = True,
    ) -> None:
        self.size = cache.size
        self._representation = representation
        self._stage = stage
        self._cache = cache
        self._mean_weight = mean_weight
        self._device = torch.device(device)
        self._lengths = cache.lengths if stage.points and by_length else None
        self._shuffle = Shuffle(cache.size, seed, number, self._lengths)

    def rows(self, number: int, size: int) -> Rows:
        return self._shuffle.batch(number, size)

    def in_order(self, most: int) -> Rows:
        every = np.arange(min(self.size, most))
        return every if self._lengths is None else every[np.argsort(self._lengths[every], kind="stable")]

    def batch(self, rows: Rows, random: np.random.Generator, *, augment: bool, dequantised: bool) -> StageBatch:
        name = self._stage.name
        cached = self._cache.gather(rows)
        weight = cached.pop(WEIGHT, None)
        if augment:
            cached = self._representation.augment(cached, uniform(random, len(rows)))
        mask = self._representation.mask(name, cached)
        events = (len(rows),) if mask is None else mask.shape
        noise = uniform(random, *events, self._stage.noise)
        x, condition = self._representation.features(
            name, cached, noise if dequantised else torch.full_like(noise, self._stage.still)
        )

        def observe(made: Tensor) -> Tensor:
            moved = {name: tensor.to(made.device) for name, tensor in cached.items()}
            with torch.autocast(self._device.type, enabled=False):  # sums of energies want all digits
                return self._representation.observables(name, made.float(), moved)

        return StageBatch(
            x.to(self._device),
            condition.to(self._device),
            None if weight is None else (weight / self._mean_weight).to(self._device),
            observe,
            None if mask is None else mask.to(self._device),
        )


class PairBatches:
    """Events of a target, each batch with as many events of a source, drawn independently.

    An epoch is one of the target.

    Args:
        target, source: the two samples.
    """

    def __init__(self, target: Batches, source: Batches) -> None:
        self.size = target.size
        self._target = target
        self._source = source

    def rows(self, number: int, size: int) -> Rows:
        return np.stack([self._target.rows(number, size), self._source.rows(number, size)], axis=1)

    def in_order(self, most: int) -> Rows:
        target, source = self._target.in_order(most), self._source.in_order(most)
        return np.stack([target, np.resize(source, len(target))], axis=1)

    def batch(self, rows: Rows, random: np.random.Generator, *, augment: bool, dequantised: bool) -> StageBatch:
        target = self._target.batch(rows[:, 0], random, augment=augment, dequantised=dequantised)
        source = self._source.batch(rows[:, 1], random, augment=augment, dequantised=dequantised)
        return dataclasses.replace(target, source=source)


def drawn_rows(size: int, most: int, seed: int, *key: int) -> Rows:
    """At most so many rows, all where there are no more, drawn without replacement, in order."""
    if size <= most:
        return np.arange(size)
    return np.sort(stream(seed, *key).choice(size, most, replace=False))
