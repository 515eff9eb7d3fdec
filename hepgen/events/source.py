"""Where batches of events come from."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Protocol, runtime_checkable

import awkward as ak

from hepgen.events.schema import Schema


@runtime_checkable
class EventSource(Protocol):
    """A re-iterable stream of record batches of one schema; nothing holds a whole file.

    ``batches`` may be called any number of times and gives the same events in the same order each time.
    """

    @property
    def schema(self) -> Schema: ...

    @property
    def num_events(self) -> int:
        """Number of events that ``batches`` gives in all."""
        ...

    def batches(self, columns: Sequence[str] | None = None) -> Iterator[ak.Array]:
        """Yield non-empty record arrays with the given columns (all of the schema where None), in the file's order."""
        ...
