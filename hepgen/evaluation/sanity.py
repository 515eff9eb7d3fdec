"""What is wrong with single events, before any score: counted and listed, so that scores can be given without them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import awkward as ak
import numpy as np
from numpy.typing import NDArray

from hepgen.evaluation.domain import Array, FloatArray
from hepgen.evaluation.report_parts import Problem, SampleSanity

COPIES = "exact copy of an earlier event"
TRAINED = "exact copy of a training event"
HABITUAL = 1e-3
"""A problem that a larger share of the reference has belongs to the sample: it makes no event broken."""

EMPTY = "no voxel above the threshold"
NEGATIVE_WEIGHT = "negative weight"
BAD_WEIGHT = "weights that are not finite"
LONG = "more constituents than are judged"
AZIMUTHS = "azimuths beyond 2 pi"
HARMLESS = frozenset({NEGATIVE_WEIGHT, LONG})
"""What is said, but is no defect: weights may be negative."""

Hashes = NDArray[np.uint64]
Flags = NDArray[np.bool_]


@dataclass(frozen=True)
class Sanity:
    """What is wrong in a sample.

    Attributes:
        events: number of events.
        left_out: number that no score could take.
        problems: by name in words.
        close: pairs of a generated and a training event, by number, that are suspiciously close.
    """

    events: int
    left_out: int
    problems: Mapping[str, Problem] = field(default_factory=dict)
    close: tuple[tuple[int, int], ...] = ()

    def with_problems(self, found: Mapping[str, Problem]) -> Sanity:
        """With further problems; those that no event has are left out."""
        return replace(self, problems={**self.problems, **{name: one for name, one in found.items() if one.count}})

    @property
    def scored(self) -> int:
        """Number of events that scores can take."""
        return self.events - self.left_out

    def habitual(self) -> frozenset[str]:
        """Problems of more than one event in a thousand."""
        return frozenset(name for name, one in self.problems.items() if one.count > HABITUAL * self.events)


def content_hashes(raw: Array, conditions: FloatArray) -> Hashes:
    """A 64-bit number per event, the same for the same content, 0 for events without any, (events,)."""
    bits = np.ascontiguousarray(raw + 0.0).view(np.uint32 if raw.dtype == np.float32 else np.uint64).astype(np.uint64)
    bits = np.concatenate([bits, np.ascontiguousarray(conditions + 0.0).view(np.uint64)], axis=1)
    factors = np.random.default_rng(1).integers(1, 2**64, size=bits.shape[1], dtype=np.uint64) | np.uint64(1)
    mixed = (bits ^ (bits >> np.uint64(29))) * factors
    result = (mixed ^ (mixed >> np.uint64(32))).sum(axis=1, dtype=np.uint64)
    result[~(np.nan_to_num(raw) != 0).any(axis=1)] = 0
    return np.asarray(result)


def copies(hashes: Hashes) -> Flags:
    """Flags of events that are a copy of an earlier one, (events,).

    Example:
        >>> copies(np.array([5, 7, 5, 0, 0], dtype=np.uint64)).tolist()
        [False, False, True, False, False]
    """
    _, first = np.unique(hashes, return_index=True)
    repeated = np.ones(len(hashes), dtype=bool)
    repeated[first] = False
    return np.asarray(repeated & (hashes != 0))


def copied_from(hashes: Hashes, training: Hashes) -> Flags:
    """Flags of events whose hash is among those of the training events, (events,)."""
    return np.asarray(np.isin(hashes, training) & (hashes != 0))


def weights_of(batch: ak.Array, column: str | None) -> tuple[FloatArray, dict[str, Flags]]:
    """Weights of the events of a batch, (events,), 1 where there is no column, and what is wrong with them by its name.

    Example:
        >>> weights, problems = weights_of(ak.Array({"w": [1.0, -0.5, np.inf]}), "w")
        >>> [name for name, flags in problems.items() if flags[2]], weights_of(ak.Array({"w": [3.0]}), None)[0].tolist()
        (['weights that are not finite'], [1.0])
    """
    if column is None:
        return np.ones(len(batch)), {}
    weights = ak.to_numpy(batch[column]).astype(np.float64)
    return weights, {BAD_WEIGHT: ~np.isfinite(weights), NEGATIVE_WEIGHT: weights < 0}


def shared_events(first: Hashes, second: Hashes) -> int:
    """How many events two samples have in common, each counted once; those without content do not count.

    Example:
        >>> shared_events(np.array([5, 5, 7, 0], dtype=np.uint64), np.array([5, 7, 7, 0], dtype=np.uint64))
        2
    """
    (one, here), (other, there) = (np.unique(found[found != 0], return_counts=True) for found in (first, second))
    _, mine, yours = np.intersect1d(one, other, assume_unique=True, return_indices=True)
    return int(np.minimum(here[mine], there[yours]).sum())


def sanity_table(samples: Mapping[str, Sanity], broken: Mapping[str, int]) -> dict[str, dict[str, Any]]:
    """`SampleSanity` of both samples as dictionaries.

    Args:
        samples: by name.
        broken: events of each that ``without`` scores leave out, of those that are scored.
    """
    table = {
        name: asdict(SampleSanity(found.events, found.left_out, broken[name], dict(found.problems), list(found.close)))
        for name, found in samples.items()
    }
    for found in table.values():
        for one in found["problems"].values():
            if not one["left_out"]:
                del one["left_out"]
    return table
