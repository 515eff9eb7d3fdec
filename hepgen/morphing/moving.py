"""A block of events through a map: the event as one vector, then its constituents, where it has any."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import awkward as ak
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from hepgen.events.casts import checked_cast
from hepgen.events.schema import Column
from hepgen.generators.base import NoiseSpec
from hepgen.morphing.base import Reweighting, Transport
from hepgen.morphing.model import MorphModel
from hepgen.morphing.wanted import Wanted
from hepgen.representations.base import Tensors
from hepgen.training.seeds import draw, stream, uniform

_ENCODE, _DECODE = 1, 2
_EVENTS, _CLOUDS = 0, 1


@dataclass(frozen=True)
class Encoded:
    """Events of a block.

    Attributes:
        physical, cached: as the representation packs and encodes them.
        x: features of the event, (events, features).
        condition: (events, conditions), as a method sees them.
        asked: physical conditions that the events shall have, None where each keeps its own.
        context: the same as a method sees them.
    """

    physical: Tensors
    cached: Tensors
    x: Tensor
    condition: Tensor
    asked: Tensor | None
    context: Tensor


def encoded(model: MorphModel, block: int, batch: ak.Array, wanted: Wanted, seed: int) -> Encoded:
    """The events of a block in the space of the model.

    Args:
        batch: the columns that the model has learned.
        wanted: which conditions the events shall have.
    """
    space, stage = model.space, model.space.stage
    # Whole blocks of random numbers, so that an event does not depend on how many there are in the last one.
    noise = uniform(stream(seed, block, _EVENTS, 0, _ENCODE), model.block_size, stage.noise)[: len(batch)]
    with torch.inference_mode():
        physical = model.representation.pack(batch)
        cached = model.representation.encode(physical)
        x, condition = space.features(stage.name, cached, noise)
        asked = wanted.rows(block, physical["condition"], model, seed)
        context = condition if asked is None else space.condition(asked)
    return Encoded(physical, cached, x, condition, asked, context)


def moved(
    model: MorphModel, block: int, events: Encoded, seed: int, *, inverse: bool = False
) -> tuple[ak.Array, NDArray[np.float64]]:
    """What becomes of the events of a block, and how far each was moved.

    Args:
        inverse: lead from the target to the source.

    Returns:
        The columns anew, and the distance in the features of the event, (events,): NaN where the method failed, and the
        columns mean nothing.
    """
    method, space, size, full = model.method, model.space, len(events.x), model.block_size
    if not isinstance(method, Transport):
        raise TypeError("this model moves nothing")
    unnoise = uniform(stream(seed, block, _EVENTS, 0, _DECODE), full, space.stage.unnoise)[:size]
    drawn = draw(stream(seed, block, _EVENTS, 0), method.noise_spec(), full)
    given = {name: array[:size].to(model.device) for name, array in drawn.items()}
    with torch.inference_mode():
        x, device = events.x, model.device
        step = method.inverse if inverse else method.forward
        y = step(x.to(device), events.condition.to(device), events.context.to(device), given).cpu()
        good = torch.isfinite(y).all(1)
        y[~good] = x[~good]
        tensors = space.decode(y, events.physical["condition"] if events.asked is None else events.asked, unnoise)
        if model.clouds is not None:
            tensors, sound = _with_clouds(model, block, events.cached, tensors, seed, inverse=inverse)
            good &= sound
        made = model.representation.unpack(tensors)
    distance = (y - x).double().norm(dim=1)
    distance[~good] = math.nan
    return made, distance.numpy()


def weighed(model: MorphModel, events: Encoded) -> tuple[ak.Array | None, NDArray[np.float64]]:
    """The log ratio of every event of a block; and the columns with the conditions that are asked for, where any are."""
    method, device = model.method, model.device
    if not isinstance(method, Reweighting):
        raise TypeError("this model gives no weights")
    with torch.inference_mode():
        logs = method.log_ratio(events.x.to(device), events.context.to(device)).cpu().double().numpy()
    if events.asked is None:
        return None, logs
    return model.representation.unpack({**events.physical, "condition": events.asked}), logs


def _with_clouds(
    model: MorphModel, block: int, cached: Tensors, tensors: Tensors, seed: int, *, inverse: bool
) -> tuple[Tensors, Tensor]:
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
    noise = draw(stream(seed, block, _CLOUDS, 0, _ENCODE), (spread,), full, mask.shape[1])["spread"][:size]
    drawn = draw(stream(seed, block, _CLOUDS, 0), clouds.noise_spec(), full, there.shape[1])
    x, condition = space.features(stage.name, cached, noise)
    wanted = space.stage_condition(stage.name, tensors).float()
    device = model.device
    y = (clouds.inverse if inverse else clouds.forward)(
        x.to(device), mask.to(device), condition.to(device), wanted.to(device), there.to(device),
        {name: array[:size].to(device) for name, array in drawn.items()},
    ).cpu()  # fmt: skip
    sound = torch.isfinite(y).flatten(1).all(1)
    y[~sound] = 0.0
    return space.decode(stage.name, y, tensors, torch.empty(size, 0)), sound


def replaced(name: str, old: Any, new: Any, rows: NDArray[np.int64]) -> Any:
    """A column, of numbers or of lists, with the new values of some events, in the type that it has.

    Raises:
        ModelError: if the type of the file does not hold a new value.

    Example:
        >>> replaced("n", ak.Array([[1], [2, 2]]), ak.Array([[], [3]]), np.array([1])).to_list()
        [[1], [3]]
    """
    if isinstance(old, ak.Array) and "var" in old.typestr:
        index = np.arange(len(old))
        index[rows] += len(old)
        return ak.concatenate([old, new])[index]
    known = ak.to_numpy(old).copy()
    known[rows] = checked_cast(ak.to_numpy(new)[rows], Column(name, known.dtype.name), keep_nonfinite=True)
    return known
