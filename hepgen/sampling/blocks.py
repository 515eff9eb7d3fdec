"""One block of events: whole forward passes, padded, and another draw for what is not finite."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from hepgen.errors import ModelError
from hepgen.representations.base import Tensors
from hepgen.sampling.seeds import BlockNoise
from hepgen.surrogate.surrogate import Surrogate

MAX_RETRIES = 20
MAX_DRAWS = 1000


@dataclass
class Draws:
    """Counts what a sampling drew.

    Attributes:
        passes: forward passes.
        redrawn: events that had to be drawn again because they were not finite.
    """

    passes: int = 0
    redrawn: int = 0


def sample_block(
    surrogate: Surrogate,
    block: int,
    condition: NDArray[np.float64],
    seed: int,
    *,
    count: int | None = None,
    part: int | None = None,
    draws: Draws | None = None,
) -> Tensors:
    """Physical tensors of a block of events, finite and accepted.

    Each forward pass has ``surrogate.block_size`` rows whatever is asked for, so that an event does not depend on how
    many there are; missing conditions are filled by beginning again with the first. What a pass gives fills the events
    that are still to come, in order; with conditions, a row can only become the event of the same row.

    Args:
        condition: (events, conditions) with 1 to block_size events.
        count: how many of them are asked for; the others only fill the pass. All where None.
        part: which pass of the block, in object mode.
        draws: counts.

    Raises:
        ModelError: if some event is still not finite after 20 draws, or not accepted after 1000.
    """
    size = surrogate.block_size
    count = len(condition) if count is None else count
    counted = draws or Draws()
    filled = np.resize(condition, (size, condition.shape[1])) if len(condition) < size else condition
    rows = torch.from_numpy(filled.astype(surrogate.data.get("condition_dtype", "float32"), copy=False))
    exchangeable = condition.shape[1] == 0
    pending = torch.arange(count)
    found: Tensors = {}
    limit = MAX_RETRIES if surrogate.acceptance is None else MAX_DRAWS
    for retry in range(limit + 1):
        noise = BlockNoise(surrogate, seed, block, retry, part)
        tensors, good = surrogate.sample(rows, noise)
        counted.passes += 1
        counted.redrawn += int((~good[pending]).sum())
        if surrogate.acceptance is not None:
            finite = good.nonzero().squeeze(1)
            sound = {name: tensor[finite] for name, tensor in tensors.items()}
            good[finite] = surrogate.accepted(sound, noise.accept()[finite])
        taken = good.nonzero().squeeze(1)[: len(pending)] if exchangeable else pending[good[pending]]
        if retry == 0 and bool(good[:count].all()):
            return {name: tensor[:count] for name, tensor in tensors.items()}
        places = pending[: len(taken)] if exchangeable else taken
        for name, tensor in tensors.items():
            old, new = _same_width(found.get(name, tensor.new_zeros(count, *tensor.shape[1:])), tensor[taken])
            old[places] = new
            found[name] = old
        pending = pending[len(taken) :] if exchangeable else pending[~good[pending]]
        if len(pending) == 0:
            return found
    raise ModelError(
        f"{len(pending)} events of block {block} are not finite{' or not accepted' * (limit > MAX_RETRIES)} after "
        f"{limit} draws",
        hint="the surrogate is not fit for these conditions: train it longer, or stay within its validity range",
    )


def _same_width(first: Tensor, second: Tensor) -> tuple[Tensor, Tensor]:
    """Both, padded with 0 to the longer axis of constituents where an event is a cloud."""
    if first.ndim < 2 or first.shape[1] == second.shape[1]:
        return first, second
    width = max(first.shape[1], second.shape[1])
    padded = []
    for tensor in (first, second):
        wide = tensor.new_zeros(len(tensor), width, *tensor.shape[2:])
        wide[:, : tensor.shape[1]] = tensor
        padded.append(wide)
    return padded[0], padded[1]
