"""Standardisation with a mean and a width that follow a condition."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Self

import torch
from torch import Tensor

_SMALLEST_WIDTH = 1e-3


class ConditionalStandardise:
    """z = (x - mean(c)) / width(c), mean and width piecewise linear in a scalar condition c.

    Showers change with the energy far more than from one to the next: taken out here, a network need not learn it.

    Args:
        knots: values of c between which mean and width are interpolated, ascending; constant outside.

    Example:
        >>> import torch
        >>> scale = ConditionalStandardise([0.0, 1.0])
        >>> c, x = torch.tensor([0.0, 0.0, 1.0, 1.0]), torch.tensor([[1.0], [3.0], [10.0], [30.0]])
        >>> scale.update(x, c)
        >>> scale.finish()
        >>> scale.forward(x, c).flatten().tolist()
        [-1.0, 1.0, -1.0, 1.0]
    """

    def __init__(self, knots: Sequence[float]) -> None:
        self._knots = torch.tensor(list(knots), dtype=torch.float64)
        self._sums: list[Tensor] = []
        self.mean = torch.empty(0)
        self.width = torch.empty(0)

    def _shares(self, c: Tensor) -> Tensor:
        """Weight of each knot, (events, knots), rows sum to 1."""
        knots = self._knots.to(c)
        if len(knots) == 1:
            return torch.ones_like(c).unsqueeze(1)
        rise = ((c.unsqueeze(1) - knots[:-1]) / (knots[1:] - knots[:-1])).clamp(0, 1)
        edge = torch.ones_like(rise[:, :1])
        return torch.cat([edge, rise], 1) - torch.cat([rise, torch.zeros_like(edge)], 1)

    def update(self, x: Tensor, c: Tensor, weight: Tensor | None = None) -> None:
        """Add events to the fit: x (events, features), c (events,), weight (events,)."""
        shares = self._shares(c.double())
        if weight is not None:
            shares = shares * weight.double().unsqueeze(1)
        x = x.double()
        sums = [shares.sum(0).unsqueeze(1), shares.T @ x, shares.T @ (x * x)]
        self._sums = sums if not self._sums else [a + b for a, b in zip(self._sums, sums, strict=True)]

    def finish(self) -> None:
        """Turn the sums into mean and width."""
        count, first, second = self._sums
        count = count.clamp(min=1e-12)
        mean = first / count
        width = (second / count - mean * mean).clamp(min=_SMALLEST_WIDTH**2).sqrt()
        self.mean, self.width = mean.float(), width.float()
        self._sums = []

    def _at(self, c: Tensor) -> tuple[Tensor, Tensor]:
        shares = self._shares(c)
        return shares @ self.mean.to(c), shares @ self.width.to(c)

    def forward(self, x: Tensor, c: Tensor) -> Tensor:
        """(events, features) at c (events,)."""
        mean, width = self._at(c)
        return (x - mean) / width

    def inverse(self, z: Tensor, c: Tensor) -> Tensor:
        mean, width = self._at(c)
        return z * width + mean

    def log_abs_det(self, c: Tensor) -> Tensor:
        """log|det dz/dx| per event, (events,)."""
        return -self._at(c)[1].log().sum(1)

    def state(self) -> dict[str, Any]:
        return {"knots": self._knots.tolist(), "mean": self.mean.tolist(), "width": self.width.tolist()}

    @classmethod
    def from_state(cls, state: dict[str, Any]) -> Self:
        restored = cls(state["knots"])
        restored.mean = torch.tensor(state["mean"], dtype=torch.float32)
        restored.width = torch.tensor(state["width"], dtype=torch.float32)
        return restored
