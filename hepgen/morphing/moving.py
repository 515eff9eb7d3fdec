"""A block of events through a map: the event as one vector, then its constituents, where it has any."""

from __future__ import annotations

import math
from typing import Any

import awkward as ak
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from hepgen.generators.base import NoiseSpec
from hepgen.morphing.base import Transport
from hepgen.morphing.model import MorphModel
from hepgen.morphing.wanted import Wanted
from hepgen.representations.base import Tensors
from hepgen.training.seeds import draw, stream, uniform

ENCODE, _DECODE = 1, 2
_EVENTS, _CLOUDS = 0, 1


def moved_block(
    model: MorphModel, block: int, batch: ak.Array, wanted: Wanted, seed: int, *, inverse: bool = False
) -> tuple[ak.Array, NDArray[np.float64]]:
    """What becomes of the events of a block, and how far each was moved.

    Args:
        batch: the columns that the model has learned.
        wanted: which conditions the events shall have.
        inverse: lead from the target to the source.

    Returns:
        The columns anew, and the distance in the features of the event, (events,): NaN where the method failed, and the
        columns mean nothing.
    """
    method, space, size, full = model.method, model.space, len(batch), model.block_size
    if not isinstance(method, Transport):
        raise TypeError("this model moves nothing")
    stage = space.stage
    # Whole blocks of random numbers, so that an event does not depend on how many there are in the last one.
    noise = uniform(stream(seed, block, _EVENTS, 0, ENCODE), full, stage.noise)[:size]
    unnoise = uniform(stream(seed, block, _EVENTS, 0, _DECODE), full, stage.unnoise)[:size]
    drawn = draw(stream(seed, block, _EVENTS, 0), method.noise_spec(), full)
    given = {name: array[:size].to(model.device) for name, array in drawn.items()}
    with torch.inference_mode():
        physical = model.representation.pack(batch)
        cached = model.representation.encode(physical)
        x, condition = space.features(stage.name, cached, noise)
        asked = wanted.rows(block, physical["condition"], model, seed)
        context = condition if asked is None else space.condition(asked)
        step = method.inverse if inverse else method.forward
        y = step(x.to(model.device), condition.to(model.device), context.to(model.device), given).cpu()
        good = torch.isfinite(y).all(1)
        y[~good] = x[~good]
        tensors = space.decode(y, physical["condition"] if asked is None else asked, unnoise)
        if model.clouds is not None:
            tensors, sound = _with_clouds(model, block, cached, tensors, seed)
            good &= sound
        events = model.representation.unpack(tensors)
    distance = (y - x).double().norm(dim=1)
    distance[~good] = math.nan
    return events, distance.numpy()


def _with_clouds(model: MorphModel, block: int, cached: Tensors, tensors: Tensors, seed: int) -> tuple[Tensors, Tensor]:
    """Events that were moved with their constituents, which were those of ``cached``; and which of them are finite."""
    space, clouds, full = model.space.representation, model.clouds, model.block_size
    stage = model.space.clouds
    if clouds is None or stage is None:
        raise TypeError("this model moves no clouds")
    mask, there = space.mask(stage.name, cached), space.mask(stage.name, tensors)
    if mask is None or there is None:
        raise TypeError("a stage of clouds has masks")
    size = len(mask)
    spread = NoiseSpec("spread", (stage.noise,), "uniform", points=True)
    noise = draw(stream(seed, block, _CLOUDS, 0, ENCODE), (spread,), full, mask.shape[1])["spread"][:size]
    drawn = draw(stream(seed, block, _CLOUDS, 0), clouds.noise_spec(), full, there.shape[1])
    x, condition = space.features(stage.name, cached, noise)
    wanted = space.stage_condition(stage.name, tensors).float()
    device = model.device
    y = clouds(
        x.to(device), mask.to(device), condition.to(device), wanted.to(device), there.to(device),
        {name: array[:size].to(device) for name, array in drawn.items()},
    ).cpu()  # fmt: skip
    sound = torch.isfinite(y).flatten(1).all(1)
    y[~sound] = 0.0
    return space.decode(stage.name, y, tensors, torch.empty(size, 0)), sound


def replaced(old: Any, new: Any, rows: NDArray[np.int64]) -> Any:
    """A column, of numbers or of lists, with the new values of some events.

    Example:
        >>> replaced(ak.Array([[1], [2, 2]]), ak.Array([[], [3]]), np.array([1])).to_list()
        [[1], [3]]
    """
    if isinstance(old, ak.Array) and "var" in old.typestr:
        index = np.arange(len(old))
        index[rows] += len(old)
        return ak.concatenate([old, new])[index]
    known = ak.to_numpy(old).copy()
    known[rows] = ak.to_numpy(new)[rows]
    return known
