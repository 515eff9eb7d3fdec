"""Events made a few at a time, clouds side by side with those of about their length, so that little is padding."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

import numpy as np
import torch
from torch import Tensor
from torch.nn.utils import parametrize

from hepgen.generators.base import NoiseSpec

Noise = Mapping[str, Tensor]
Make = Callable[[Noise, Tensor, Tensor | None], Tensor]

CACHED_NUMBERS = 2**18
"""Numbers of a layer that a CPU core has at a time: 2,048 constituents of width 128 took least time of 256 to 2,048."""
NUMBERS = 2**24
"""Numbers of a layer that any other device has at a time."""


def in_chunks(
    make: Make,
    specs: Iterable[NoiseSpec],
    noise: Noise,
    condition: Tensor,
    mask: Tensor | None,
    width: int,
    tiles: int = 1,
) -> Tensor:
    """What ``make(noise, condition, mask)`` gives for all events, a few at a time.

    An event must not depend on the others, as in ``Generator.sample``.

    Args:
        make: gets None for a mask without padding.
        specs: of the noise.
        noise: (events, ...), or (events, constituents, ...).
        condition: (events, conditions).
        mask: (events, constituents), padding behind; None for vectors.
        width: features of an event or of a constituent in a layer of the network.
        tiles: how many times what stays in the cache a CPU is given at once, for networks that divide it themselves.

    Returns:
        (events, features), or (events, constituents, features) in which padding is 0.
    """
    if mask is not None and mask.shape[0] == 1 and mask.is_cpu and np.count_nonzero(mask.numpy()) == mask.shape[1]:
        return make(noise, condition, None)  # an event by itself takes little more than the calls around it
    numbers = tiles * CACHED_NUMBERS * torch.get_num_threads() if condition.device.type == "cpu" else NUMBERS
    rows = max(1, numbers // width)
    if mask is not None:
        return by_length(make, specs, noise, condition, mask, rows)
    parts = zip(*(array.split(rows) for array in (*noise.values(), condition)), strict=True)
    return torch.cat([make(dict(zip(noise, part[:-1], strict=True)), part[-1], None) for part in parts])


def by_length(
    make: Make, specs: Iterable[NoiseSpec], noise: Noise, condition: Tensor, mask: Tensor, room: int
) -> Tensor:
    """What ``make(noise, condition, mask)`` gives for clouds, in chunks of events of about one length, each as short as it can be.

    Args:
        make, specs, noise, condition, mask: see ``in_chunks``; what of the noise is of constituents is cut with the mask.
        room: number of constituents of a chunk.

    Example:
        >>> lengths = []
        >>> def twice(noise, condition, mask):
        ...     lengths.append(noise["z"].shape[1])
        ...     return 2 * noise["z"]
        >>> mask = torch.tensor([[True, False, False], [True, True, False]])
        >>> spec = NoiseSpec("z", (1,), points=True)
        >>> by_length(twice, [spec], {"z": torch.ones(2, 3, 1)}, torch.zeros(2, 0), mask, 9).squeeze(2).tolist()
        [[2.0, 0.0, 0.0], [2.0, 2.0, 0.0]]
        >>> lengths
        [2]
    """
    if mask.is_meta:  # no values to sort by
        return make(noise, condition, mask) * mask.unsqueeze(2)
    of_points = {spec.name for spec in specs if spec.points}
    counts, order = mask.sum(1).sort(descending=True, stable=True)
    lengths = counts.tolist()
    parts: list[Tensor] = []
    first = 0
    with parametrize.cached():  # normalised weights once for all chunks
        while first < len(lengths) and lengths[first] > 0:
            length = lengths[first]
            rows = order[first : first + max(1, room // length)]
            first += len(rows)
            cut = {name: array[rows, :length] if name in of_points else array[rows] for name, array in noise.items()}
            full = lengths[first - 1] == length
            there = mask[rows, :length]
            made = make(cut, condition[rows], None if full else there)
            parts.append(made if full else made * there.unsqueeze(2))
    if not parts:  # nothing but empty events
        return make(noise, condition, mask) * mask.unsqueeze(2)
    every = [torch.nn.functional.pad(part, (0, 0, 0, mask.shape[1] - part.shape[1])) for part in parts]
    made = torch.cat(every)
    made = torch.nn.functional.pad(made, (0, 0, 0, 0, 0, len(mask) - len(made)))
    return made[order.argsort()]
