"""One block of events: whole forward passes, padded, and another draw for what is not finite."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from hepgen.errors import ModelError
from hepgen.representations.base import Tensors
from hepgen.sampling.seeds import BlockNoise
from hepgen.surrogate.surrogate import Surrogate

MAX_RETRIES = 20


@dataclass
class Redrawn:
    """Counts the events that had to be drawn again because they were not finite."""

    events: int = 0


def sample_block(
    surrogate: Surrogate,
    block: int,
    condition: NDArray[np.float64],
    seed: int,
    *,
    part: int | None = None,
    redrawn: Redrawn | None = None,
) -> Tensors:
    """Physical tensors of one forward pass of a block.

    The pass has ``surrogate.block_size`` rows whatever is asked for, so that an event does not depend on how many there
    are; missing conditions are filled by beginning again with the first.

    Args:
        condition: (events, conditions) with 1 to block_size events.
        part: which pass of the block, in object mode.

    Raises:
        ModelError: if some event is still not finite after 20 redraws.
    """
    count, size = len(condition), surrogate.block_size
    filled = np.resize(condition, (size, condition.shape[1])) if count < size else condition
    rows = torch.from_numpy(filled.astype(surrogate.data.get("condition_dtype", "float32"), copy=False))
    tensors, good = surrogate.sample(rows, BlockNoise(surrogate, seed, block, 0, part))
    for retry in range(1, MAX_RETRIES + 1):
        bad = ~good[:count]
        if not bool(bad.any()):
            return {name: tensor[:count] for name, tensor in tensors.items()}
        if redrawn is not None:
            redrawn.events += int(bad.sum())
        again, fine = surrogate.sample(rows, BlockNoise(surrogate, seed, block, retry, part))
        for name, tensor in tensors.items():
            tensors[name] = torch.where((~good).reshape(-1, *[1] * (tensor.ndim - 1)), again[name], tensor)
        good = good | fine
    raise ModelError(
        f"{int((~good[:count]).sum())} events of block {block} are not finite after {MAX_RETRIES} draws",
        hint="the surrogate is not fit for these conditions: train it longer, or stay within its validity range",
    )
