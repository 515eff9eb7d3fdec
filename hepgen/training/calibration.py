"""One-dimensional laws made exact after a training: quantiles of what is generated, mapped onto those of the events.

A likelihood hardly feels a shift of one feature by a few per cent of its width, and physics does. The map is monotone in
each feature, so it keeps all rank correlations (the copula) of the generator.
"""

from __future__ import annotations

from typing import Self

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.special import ndtr, ndtri
from torch import Tensor, nn

from hepgen.representations.accumulators import weighted_quantiles

_KNOTS = 61
_FARTHEST = 3.0  # in widths of a normal
_BEYOND = 20  # events that lie outside the outermost knots on each side
_LEAST_STEP = 1e-6

Values = NDArray[np.float32]


class Calibration(nn.Module):
    """For each feature a monotone map, straight between quantiles and a shift outside.

    Args:
        made: quantiles of the generated features, shape (features, knots), ascending.
        true: the same quantiles of the events' features.

    Example:
        >>> import torch
        >>> halved = Calibration(torch.tensor([[-2.0, 0.0, 2.0]]), torch.tensor([[-1.0, 0.0, 1.0]]))
        >>> halved(torch.tensor([[-1.0], [1.0], [3.0]])).squeeze(1).tolist()
        [-0.5, 0.5, 2.0]
    """

    made: Tensor
    true: Tensor

    def __init__(self, made: Tensor, true: Tensor) -> None:
        super().__init__()
        self.register_buffer("made", made)
        self.register_buffer("true", true)

    @classmethod
    def fit(cls, made: Values, true: Values, weight: Values | None = None) -> Self:
        """From generated and true features, each (events, features).

        Args:
            made: generated features; a whole number of times as many events as there are true ones, in their order.
            true: features of events.
            weight: weights of the true events, shape (events,); their absolute values count.
        """
        reach = min(_FARTHEST, float(ndtri(1 - min(0.4, _BEYOND / max(len(true), 1)))))
        levels = ndtr(np.linspace(-reach, reach, _KNOTS))
        repeated = None if weight is None else np.tile(weight, len(made) // len(true))
        lower, upper = _quantiles(made, levels, repeated), _quantiles(true, levels, weight)
        # An atom has many quantiles at one place: the map needs them apart.
        lower = np.maximum.accumulate(lower, axis=0) + _LEAST_STEP * np.arange(_KNOTS)[:, None]
        return cls(*(torch.from_numpy(np.ascontiguousarray(one.T, dtype=np.float32)) for one in (lower, upper)))

    def forward(self, x: Tensor) -> Tensor:
        """(events, features) to the same shape."""
        values = x.T.contiguous()
        right = torch.searchsorted(self.made, values).clamp(1, self.made.shape[1] - 1)
        a, b, c, d = (table.gather(1, place) for table in (self.made, self.true) for place in (right - 1, right))
        inside = torch.clamp((values - a) / (b - a), 0.0, 1.0)
        beyond = torch.clamp(values - self.made[:, -1:], min=0.0) + torch.clamp(values - self.made[:, :1], max=0.0)
        return (c + inside * (d - c) + beyond).T


def _quantiles(values: Values, levels: NDArray[np.float64], weight: Values | None) -> NDArray[np.float64]:
    """Quantiles of every column, shape (levels, columns)."""
    if weight is None:
        found: NDArray[np.float64] = np.quantile(values, levels, axis=0)
        return found
    counted = np.abs(weight, dtype=np.float64)
    return np.stack([weighted_quantiles(column, counted, levels) for column in values.T], axis=1)
