"""The combinations of some discrete values as the values of one discrete distribution."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from hepgen.representations.maps.fitting import discrete
from hepgen.representations.maps.gaussianise import Gaussianise, Interval


class Combinations(nn.Module):
    """Rows of discrete values that occur, each with its probability, on one standard normal.

    A generator that gives a standard normal gives the rows exactly as often as they occurred, and none that never did:
    every correlation of the values is kept, which a flow in several dimensions has to learn around the steps of each.

    Warning:
        A row that is none of them is taken for one that begins alike.

    Args:
        rows: the combinations, shape (combinations, values), all different.
        weights: how often each occurred, shape (combinations,).

    Example:
        >>> import torch
        >>> both = Combinations([[0.0, 0.0], [1.0, 1.0]], [1.0, 3.0])
        >>> both.inverse(torch.tensor([[-1.0], [0.0]])).tolist()
        [[0.0, 0.0], [1.0, 1.0]]
        >>> both.interval(torch.tensor([[1.0, 1.0]])).width.item()
        0.75
    """

    rows: Tensor

    def __init__(self, rows: Sequence[Sequence[float]], weights: Sequence[float]) -> None:
        super().__init__()
        table = np.asarray(rows, dtype=np.float32)
        order = np.lexsort(table.T[::-1])
        table, counted = table[order], np.asarray(weights, dtype=np.float64)[order]
        self.weights = tuple(float(weight) for weight in counted)
        self.register_buffer("rows", torch.from_numpy(table))
        self.codes = Gaussianise([discrete(np.arange(len(table), dtype=np.float64), counted)])
        # A row is found value by value: how its beginning and its next value are numbered, in ascending order.
        self._middles: list[Tensor] = []
        self._beginnings: list[Tensor] = []
        begun = np.zeros(len(table), dtype=np.int64)
        for column in table.T:
            values, place = np.unique(column, return_inverse=True)
            self._middles.append(torch.from_numpy((values[1:] + values[:-1]) / 2))
            known, begun = np.unique(begun * len(values) + place, return_inverse=True)
            self._beginnings.append(torch.from_numpy(known))

    def index(self, rows: Tensor) -> Tensor:
        """The number of each row of shape (events, values), shape (events,)."""
        begun = torch.zeros(len(rows), dtype=torch.int64, device=rows.device)
        for column, middles, known in zip(rows.unbind(1), self._middles, self._beginnings, strict=True):
            key = begun * (len(middles) + 1) + torch.bucketize(column.contiguous(), middles)
            begun = torch.searchsorted(known, key).clamp(max=len(known) - 1)
        return begun

    def interval(self, rows: Tensor) -> Interval:
        """Interval of cumulative probability of each row; its fields have shape (events, 1)."""
        return self.codes.interval(self.index(rows).double()[:, None])

    def inverse(self, z: Tensor) -> Tensor:
        """Rows (events, values), float32, of latent values (events, 1)."""
        return self.rows[self.codes.inverse(z)[:, 0].long()]

    def state(self) -> dict[str, Any]:
        """JSON-able plain numbers."""
        return {"rows": self.rows.tolist(), "weights": list(self.weights)}

    @classmethod
    def from_state(cls, state: dict[str, Any]) -> Combinations:
        return cls(state["rows"], state["weights"])
