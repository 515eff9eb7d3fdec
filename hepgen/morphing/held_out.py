"""Held-out events through a trained model, and how well they are told from the target's afterwards."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Iterator

import awkward as ak
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from hepgen.events.select import WEIGHT
from hepgen.events.source import EventSource
from hepgen.morphing.base import Reweighting
from hepgen.morphing.model import MorphModel
from hepgen.morphing.moving import encoded, moved, weighed
from hepgen.morphing.separation import Sample, Separation, separation_of
from hepgen.morphing.stream import blocks
from hepgen.morphing.wanted import KeptConditions, Wanted
from hepgen.morphing.weighting import scale_of
from hepgen.representations.base import Representation, Tensors
from hepgen.representations.calorimeter import CalorimeterRepresentation
from hepgen.training.batches import drawn_rows
from hepgen.training.seeds import JUDGE, stream

MOST = 5000
"""Events of either side that are judged."""
MOST_CLOUDS = 2000
"""The same for jets with constituents, which take longer to move."""
_BLOCK = 1000
_SOURCE, _TARGET, _ORDER = 0, 1, 2

FloatArray = NDArray[np.float64]


def judge_held_out(model: MorphModel, source: EventSource, target: EventSource, seed: int) -> Separation:
    """How well trees tell events that did not train, moved or weighted, from those of the target.

    Events keep their conditions. A method that learns to change them is asked for those of the target's events, before
    and after, as in its training.

    Args:
        source, target: events that did not train, which share none; ``_weight`` among their columns where there are weights.
        seed: of the choice of events, and of all that is random in the map.
    """
    begun = time.perf_counter()
    most = MOST if model.clouds is None else MOST_CLOUDS
    theirs = _target(model, target, 2 * most, seed)
    asked = _Asked(theirs.features[:, : theirs.conditions]) if model.method.changes_condition else KeptConditions()
    if not len(theirs) or not source.num_events:
        return Separation("the recipe holds none back (split)")
    before, after = _source(model, source, asked, most, seed)
    verb = "moved" if model.moves else "weighted"
    kept = model.moves and not model.method.changes_condition
    found = separation_of(theirs, before, after, seed, most=most, verb=verb, matched=kept)
    return dataclasses.replace(found, seen=_seen(model), seconds=time.perf_counter() - begun)


class _Asked:
    """Conditions of events of the target, one after the other, for the events of the source."""

    def __init__(self, rows: FloatArray) -> None:
        self.names: tuple[str, ...] = ()
        self._rows = torch.from_numpy(rows)

    def rows(self, block: int, own: Tensor, model: MorphModel, seed: int) -> Tensor:
        del seed
        places = (torch.arange(len(own)) + block * _size(model)) % len(self._rows)
        return self._rows[places].to(own.dtype)


def _size(model: MorphModel) -> int:
    """Events of a block: there are random numbers for those of a block of the model."""
    return min(_BLOCK, model.block_size)


def drawn(model: MorphModel, source: EventSource, most: int, seed: int, side: int) -> Iterator[ak.Array]:
    """At most so many events, drawn from all, in blocks and in the order of the file."""
    rows = drawn_rows(source.num_events, most, seed, JUDGE, side)
    names = [*model.schema.names, *([WEIGHT] if WEIGHT in source.schema else [])]
    start = 0
    for batch in blocks(source, _size(model), names):
        inside = rows[(rows >= start) & (rows < start + len(batch))] - start
        start += len(batch)
        if len(inside):
            yield batch[inside]


def _target(model: MorphModel, source: EventSource, most: int, seed: int) -> Sample:
    found = [
        (judged(model.representation, model.representation.pack(batch[list(model.schema.names)])), _weights(batch))
        for batch in drawn(model, source, most, seed, _TARGET)
    ]
    return _sample(model, [one for one, _ in found], [one for _, one in found], seed, _TARGET)


def _source(model: MorphModel, source: EventSource, asked: Wanted, most: int, seed: int) -> tuple[Sample, Sample]:
    """Events as they are, and moved or weighted, in the same order."""
    representation = model.representation
    before: list[FloatArray] = []
    after: list[FloatArray] = []
    weights: list[FloatArray] = []
    factors: list[FloatArray] = []
    for block, batch in enumerate(drawn(model, source, most, seed, _SOURCE)):
        events = encoded(model, block, batch[list(model.schema.names)], asked, seed)
        physical = events.physical if events.asked is None else {**events.physical, "condition": events.asked}
        before.append(judged(representation, physical))
        weights.append(_weights(batch))
        if isinstance(model.method, Reweighting):
            after.append(before[-1])
            factors.append(scale_of(model.facts["weighting"]).factors(weighed(model, events)[1]))
            continue
        made, distance = moved(model, block, events, seed)
        failed = np.isnan(distance)[:, None]  # such an event stays as it is
        after.append(np.where(failed, before[-1], judged(representation, representation.pack(made))))
        factors.append(np.ones(len(batch)))
    new = [one * factor for one, factor in zip(weights, factors, strict=True)]
    return _sample(model, before, weights, seed, _SOURCE), _sample(model, after, new, seed, _SOURCE)


def _weights(batch: ak.Array) -> FloatArray:
    return np.asarray(batch[WEIGHT], dtype=np.float64) if WEIGHT in batch.fields else np.ones(len(batch))


def _sample(model: MorphModel, parts: list[FloatArray], weights: list[FloatArray], seed: int, side: int) -> Sample:
    """Parts behind each other, in random order."""
    conditions = len(model.representation.condition_names)
    if not parts:
        return Sample(np.empty((0, conditions)), conditions, np.empty(0))
    features, weight = np.concatenate(parts), np.concatenate(weights)
    order = stream(seed, JUDGE, _ORDER, side).permutation(len(features))
    return Sample(features[order], conditions, weight[order])


def judged(representation: Representation, tensors: Tensors) -> FloatArray:
    """What trees see of events: (events, columns), conditions first; NaN where a value is absent.

    All columns of a table, as they stand in the file; of jets with constituents their numbers, the hardest constituents
    and how momentum is spread; of showers the energies of the layers.

    Args:
        tensors: physical ones.
    """
    parts = [tensors["condition"]]
    if isinstance(representation, CalorimeterRepresentation):
        first = representation.stages[0]
        still = torch.full((len(parts[0]), first.noise), first.still)
        parts.append(representation.features(first.name, representation.encode(tensors), still)[0])
    else:
        scored = representation.scored(tensors)
        parts += [x for name, x in scored.items() if name != "condition" and x.is_floating_point()]
    return torch.cat([one.flatten(1).double() for one in parts], dim=1).cpu().numpy()


def _seen(model: MorphModel) -> str:
    if isinstance(model.representation, CalorimeterRepresentation):
        what = "the energies of the layers"
    elif model.clouds is not None:
        what = "the numbers of the jets, their hardest constituents and the spread of momentum"
    else:
        what = f"{len(model.moved)} columns"
    conditions = len(model.representation.condition_names)
    return what + (f" and {conditions} condition{'s' * (conditions > 1)}" if conditions else "")
