"""Coupling layers with rational-quadratic splines, and stacks of them: maps with an exact inverse and Jacobian.

Neural spline flows, arXiv:1906.04032. Inside, events stand last: (features, events).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import torch
from torch import Tensor, nn

from hepgen.generators.networks.mlp import MLP
from hepgen.generators.splines import inverse_spline, num_parameters, spline

if TYPE_CHECKING:
    from hepgen.config.families import CouplingOptions

# Any number does: a bundle holds the permutations themselves.
PERMUTATION_SEED = 1906
# Events go through in chunks whose spline parameters stay near the processor; and the hidden layers, of few features.
_CACHED_NUMBERS = 2**19
_SMALLEST_CHUNK, _LARGEST_CHUNK = 128, 3400


class SplineCoupling(nn.Module):
    """One coupling layer: the features that pass choose the splines that map the others.

    Args:
        passed: number of features that pass.
        moved: number of features that are mapped.
        conditions: number of conditioning features.
        options: bins, bound, hidden widths.
    """

    def __init__(self, passed: int, moved: int, conditions: int, options: CouplingOptions) -> None:
        super().__init__()
        self.bound = options.bound
        self.moved = moved
        self.num_parameters = num_parameters(options.bins)
        self.network = MLP(
            passed + conditions, options.hidden, moved * self.num_parameters,
            activation=options.activation, dropout=options.dropout, zero_last=True,
        )  # fmt: skip

    def randomise(self) -> None:
        """Start anywhere near the identity, where it would start there exactly."""
        last = self.network.layers[-1]
        nn.init.normal_(cast("nn.Linear", last).weight, std=0.5 / cast("nn.Linear", last).in_features ** 0.5)

    def _splines(self, passed: Tensor, condition: Tensor) -> Tensor:
        raw = self.network.events_last(torch.cat([passed, condition]))
        return raw.view(self.num_parameters, self.moved, -1)

    def forward(self, passed: Tensor, moved: Tensor, condition: Tensor) -> tuple[Tensor, Tensor]:
        """Data to latent: the mapped features and log|det J| of shape (events,). All arguments have events last."""
        y, log_slope = spline(moved, self._splines(passed, condition), self.bound)
        return y, log_slope.sum(0)

    def inverse(self, passed: Tensor, moved: Tensor, condition: Tensor) -> tuple[Tensor, Tensor]:
        """Latent to data, and log|det J| of this direction."""
        x, log_slope = inverse_spline(moved, self._splines(passed, condition), self.bound)
        return x, log_slope.sum(0)


class CouplingPair(nn.Module):
    """A permutation of the features and two coupling layers, so that every feature is mapped once.

    Args:
        order: permutation of the features, shape (features,); its first half passes in the first layer.
        conditions: number of conditioning features.
        options: see ``SplineCoupling``.
    """

    order: Tensor
    restore: Tensor

    def __init__(self, order: Tensor, conditions: int, options: CouplingOptions) -> None:
        super().__init__()
        passed = len(order) // 2
        moved = len(order) - passed
        self.sizes = [passed, moved]
        self.register_buffer("order", order)
        self.register_buffer("restore", order.argsort())
        self.first = SplineCoupling(passed, moved, conditions, options)
        # A single feature has no other half to map.
        self.second = SplineCoupling(moved, passed, conditions, options) if len(order) > 1 else None

    def forward(self, x: Tensor, condition: Tensor) -> tuple[Tensor, Tensor]:
        """Data to latent: (features, events) and log|det J| of shape (events,)."""
        a, b = torch.split(x[self.order], self.sizes)
        b, log_det = self.first(a, b, condition)
        if self.second is not None:
            a, change = self.second(b, a, condition)
            log_det = log_det + change
        return torch.cat([a, b])[self.restore], log_det

    def inverse(self, z: Tensor, condition: Tensor) -> tuple[Tensor, Tensor]:
        """Latent to data, and log|det J| of this direction."""
        a, b = torch.split(z[self.order], self.sizes)
        log_det = z.new_zeros(z.shape[1])
        if self.second is not None:
            a, log_det = self.second.inverse(b, a, condition)
        b, change = self.first.inverse(a, b, condition)
        return torch.cat([a, b])[self.restore], log_det + change


class CouplingStack(nn.ModuleList):
    """Pairs of coupling layers one after the other, each with a permutation of its own; as it starts, the identity.

    Args:
        features: number of features that are mapped.
        conditions: number of conditioning features.
        options: see ``SplineCoupling``; the number of layers is rounded up to whole pairs.

    Example:
        >>> from hepgen.config.families import CouplingOptions
        >>> stack = CouplingStack(2, 0, CouplingOptions(layers=2, hidden=[8]))
        >>> y, log_det = stack(torch.tensor([[0.5, -1.0]]), torch.empty(1, 0))
        >>> y.tolist(), abs(log_det.item()) < 1e-6
        ([[0.5, -1.0]], True)
    """

    def __init__(self, features: int, conditions: int, options: CouplingOptions) -> None:
        shuffle = torch.Generator().manual_seed(PERMUTATION_SEED)
        orders = [torch.randperm(features, generator=shuffle) for _ in range((options.layers + 1) // 2)]
        super().__init__(CouplingPair(order, conditions, options) for order in orders)
        width = (features - features // 2) * num_parameters(options.bins)
        self._chunk = min(max(_SMALLEST_CHUNK, _CACHED_NUMBERS // width), _LARGEST_CHUNK)

    def forward(self, x: Tensor, condition: Tensor, *, inverse: bool = False) -> tuple[Tensor, Tensor]:
        """Data (events, features) to latent of the same shape and log|det J|, (events,); latent to data if ``inverse``."""
        x, condition = x.T.contiguous(), condition.T.contiguous()
        log_det = x.new_zeros(x.shape[1])
        for module in reversed(self) if inverse else self:
            pair = cast("CouplingPair", module)
            x, change = pair.inverse(x, condition) if inverse else pair(x, condition)
            log_det = log_det + change
        return x.T, log_det

    def mapped(self, x: Tensor, condition: Tensor, *, inverse: bool = False) -> Tensor:
        """As ``forward``, a chunk of events at a time and without the Jacobian, which is fastest for many events."""
        parts = zip(x.split(self._chunk), condition.split(self._chunk), strict=True)
        return torch.cat([self(some, given, inverse=inverse)[0] for some, given in parts])
