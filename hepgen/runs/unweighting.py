"""The last step of a training that unweights: which generated events to keep."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from hepgen.events.select import WEIGHT
from hepgen.runs.data import RunData
from hepgen.sampling.run import sample_events
from hepgen.surrogate.acceptance import Acceptance, Columns, Values, columns_of
from hepgen.surrogate.surrogate import Surrogate
from hepgen.training.seeds import ACCEPT, stream

_TRUE = 200_000
_MADE = (20_000, 100_000)
_PER_EVENT = 5


def fit_acceptance(surrogate: Surrogate, data: RunData, seed: int) -> Acceptance:
    """The acceptance that gives every written column of a surrogate the distribution of its training events.

    Compares five times as many generated events, but 20,000 at least and 100,000 at most, of other random numbers than any
    sampling with this seed, with the training events: with 200,000 of them, evenly spread, where there are more.

    Args:
        surrogate: trained, without an acceptance.
        data: of its recipe.
        seed: master seed.
    """
    source = data.written()
    step = max(1, -(-source.num_events // _TRUE))
    picked, start = [], 0
    for batch in source.batches():
        picked.append(columns_of(batch[(-start) % step :: step]))
        start += len(batch)
    true = _joined(picked)
    weight = true.pop(WEIGHT, None)
    other = int(stream(seed, ACCEPT).integers(2**63))
    names = [name for name in source.schema.names if name != WEIGHT]
    number = int(np.clip(_PER_EVENT * len(next(iter(true.values()))), *_MADE))
    made = _joined(columns_of(batch[names]) for batch in sample_events(surrogate, number, seed=other))
    return Acceptance.fit(made, true, weight)


def _joined(parts: Iterable[Columns]) -> dict[str, Values]:
    found = list(parts)
    return {name: np.concatenate([part[name] for part in found]) for name in found[0]}
