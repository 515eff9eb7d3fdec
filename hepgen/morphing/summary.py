"""What a morphing did, in figures."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True)
class MorphSummary:
    """What a morphing did.

    Attributes:
        events: number of events written.
        outside: events beyond what the training saw, or that its cut leaves out.
        unmoved: of these, and of those that the method could not move, how many are as they were.
        failed: events that the method was given and found no finite values for.
        distance: mean distance that events were moved, in widths of the features; NaN for weights.
        effective: effective number of events by their new weights; NaN for a map.
    """

    path: str
    events: int
    outside: int
    unmoved: int
    failed: int
    distance: float
    effective: float
    seed: int
    seconds: float
    events_per_second: float
    peak_memory: int
    notes: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """As JSON; the seed as text, because it may be larger than a double holds."""
        found = {**asdict(self), "seed": str(self.seed), "notes": list(self.notes)}
        return {
            name: None if isinstance(value, float) and math.isnan(value) else value for name, value in found.items()
        }
