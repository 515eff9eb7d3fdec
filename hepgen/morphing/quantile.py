"""The quantile morph: each column by itself, its quantiles in the source onto those in the target."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from hepgen.errors import InputFileError
from hepgen.generators.base import StageBatch
from hepgen.morphing.base import Transport

if TYPE_CHECKING:
    from hepgen.config.morph_options import QuantileOptions

_FEWEST = 20  # events of either sample in a bin of the condition
_PER_KNOT = (
    20  # events between two knots: fewer, and every event that is moved repeats the lumps of those that were fitted
)
_CHUNK = 20_000
_TABLES = ("centres", "source", "target")

Array = NDArray[np.float64]


class QuantileMorph(Transport):
    """The map that is best for each column alone, and leaves the correlations of the source's ranks as they are.

    With conditions, there is one map in each of ``bins`` bins of the first of them; the quantiles of an event are
    interpolated between the centres of bins. At a fixed condition the map is monotonic, and has an exact inverse.

    Example:
        >>> from hepgen.config.morph_options import QuantileOptions
        >>> morph = QuantileMorph(1, 0, QuantileOptions(knots=3))
        >>> one = StageBatch(torch.linspace(0, 1, 101)[:, None], torch.empty(101, 0))
        >>> two = StageBatch(torch.linspace(0, 4, 101)[:, None], torch.empty(101, 0))
        >>> morph.fit(one, two, np.random.default_rng(0))
        >>> round(morph(torch.tensor([[0.5]]), torch.empty(1, 0), torch.empty(1, 0), {}).item(), 4)
        2.0
    """

    method: ClassVar[str] = "quantile"
    centres: Tensor
    source: Tensor
    target: Tensor

    def __init__(self, features: int, conditions: int, options: QuantileOptions) -> None:
        super().__init__(features, conditions)
        self.options = options
        self.load({"centres": torch.zeros(1), **{name: torch.zeros(1, features, 2) for name in _TABLES[1:]}})

    def load(self, tensors: Mapping[str, Tensor]) -> None:
        for name in _TABLES:
            self.register_buffer(name, tensors[name])

    def fit(self, source: StageBatch, target: StageBatch, random: np.random.Generator) -> None:
        """Store the quantiles of both samples.

        Raises:
            InputFileError: if a bin of the condition holds too few events of one sample.
        """
        del random
        sides = {"source": source, "target": target}
        arrays = {name: _arrays(side) for name, side in sides.items()}
        places = {name: np.zeros(len(x), dtype=np.int64) for name, (x, _, _) in arrays.items()}
        centres = np.zeros(1)
        if self.conditions and self.options.bins > 1:
            pooled = np.concatenate([condition for _, condition, _ in arrays.values()])
            # Edges are values of the sample, which lie in the bin above them: none is empty, with discrete conditions too.
            edges = np.unique(np.quantile(pooled, np.linspace(0, 1, self.options.bins + 1)[1:-1], method="higher"))
            edges = edges[edges > pooled.min()]
            places = {name: np.searchsorted(edges, c, side="right") for name, (_, c, _) in arrays.items()}
            every = np.searchsorted(edges, pooled, side="right")
            centres = np.array([pooled[every == k].mean() for k in range(len(edges) + 1)])
        found = {name: np.bincount(place, minlength=len(centres)) for name, place in places.items()}
        fewest = min(int(counts.min()) for counts in found.values())
        levels = np.linspace(0, 1, min(self.options.knots, max(_FEWEST, fewest // _PER_KNOT)))
        tables: dict[str, Array] = {}
        for name, (x, _, weight) in arrays.items():
            counts = found[name]
            if counts.min() < _FEWEST:
                raise InputFileError(
                    f"only {counts.min()} events of the {name} lie in bin {int(counts.argmin())} of {len(centres)} of the "
                    "first condition",
                    where="options.quantile.bins",
                    hint="take fewer bins, more events, or samples whose conditions overlap",
                )
            tables[name] = np.stack(
                [_quantiles(x[places[name] == k], weight[places[name] == k], levels) for k in range(len(centres))]
            )
        self.load({"centres": _tensor(centres), **{name: _tensor(table) for name, table in tables.items()}})

    def forward(self, x: Tensor, condition: Tensor, wanted: Tensor, noise: Mapping[str, Tensor]) -> Tensor:
        del noise
        return self._moved(x, (self.source, condition), (self.target, wanted))

    def inverse(self, y: Tensor, condition: Tensor, wanted: Tensor, noise: Mapping[str, Tensor]) -> Tensor:
        del noise
        return self._moved(y, (self.target, condition), (self.source, wanted))

    def _moved(self, x: Tensor, begin: tuple[Tensor, Tensor], end: tuple[Tensor, Tensor]) -> Tensor:
        rows = zip(x.split(_CHUNK), begin[1].split(_CHUNK), end[1].split(_CHUNK), strict=True)
        parts = [_piecewise_linear(part, self._at(begin[0], old), self._at(end[0], new)) for part, old, new in rows]
        return torch.cat(parts) if parts else x

    def _at(self, table: Tensor, condition: Tensor) -> Tensor:
        """The quantiles at the first condition of each event, (events, features, knots), or (1, features, knots)."""
        if len(self.centres) == 1:
            return table
        value = condition[:, 0].contiguous()
        upper = torch.searchsorted(self.centres, value).clamp(1, len(self.centres) - 1)
        low, high = self.centres[upper - 1], self.centres[upper]
        share = ((value - low) / (high - low)).clamp(0, 1)[:, None, None]
        return torch.lerp(table[upper - 1], table[upper], share)


def _piecewise_linear(x: Tensor, begin: Tensor, end: Tensor) -> Tensor:
    """x (events, features) through the knots ``begin`` to ``end``, (events or 1, features, knots); shifted beyond them."""
    # Knots that all events share are searched once for each feature, not copied for each event.
    if len(begin) == 1:
        upper = torch.searchsorted(begin[0], x.T.contiguous()).T.unsqueeze(2)
    else:
        upper = torch.searchsorted(begin.contiguous(), x.unsqueeze(2).contiguous())
    upper = upper.clamp(1, begin.shape[2] - 1)

    def at(table: Tensor, index: Tensor) -> Tensor:
        return table.expand(len(x), -1, -1).gather(2, index).squeeze(2)

    low, high = at(begin, upper - 1), at(begin, upper)
    share = ((x - low) / (high - low).clamp(min=1e-12)).clamp(0, 1)
    inside = torch.lerp(at(end, upper - 1), at(end, upper), share)
    beyond = x - x.clamp(begin[..., 0].expand_as(x), begin[..., -1].expand_as(x))
    return inside + beyond


def _arrays(side: StageBatch) -> tuple[Array, Array, Array]:
    """Features, the first condition and weights, float64."""
    x = side.x.double().cpu().numpy()
    condition = side.condition[:, :1].double().cpu().numpy().sum(axis=1)
    weight = np.ones(len(x)) if side.weight is None else side.weight.double().cpu().numpy()
    return x, condition, weight


def _quantiles(x: Array, weight: Array, levels: Array) -> Array:
    """Weighted quantiles of each column, (features, levels).

    Where negative weights let the cumulative weight fall, it is held at its largest value so far, at most the whole.
    """
    table = np.empty((x.shape[1], len(levels)))
    for column in range(x.shape[1]):
        order = np.argsort(x[:, column], kind="stable")
        total = np.cumsum(weight[order]) - 0.5 * weight[order]
        total = np.maximum.accumulate(np.clip(total, None, total[-1]))
        share = (total - total[0]) / (total[-1] - total[0])
        table[column] = np.interp(levels, share, x[order, column])
    return table


def _tensor(array: Array) -> Tensor:
    return torch.from_numpy(array).float()
