"""What the networks of classifiers share: the loop over epochs, and the epoch that is kept."""

from __future__ import annotations

import copy
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from hepgen.classifiers.base import Array, FloatArray, LabelledEvents
from hepgen.errors import UsageError

Criterion = Callable[[Tensor, Tensor, Tensor], Tensor]
"""A number from outputs (events, outputs), labels (events,) and weights (events,)."""


@dataclass(frozen=True)
class FitOptions:
    """Training of a network with Adam.

    Attributes:
        epochs: largest number of passes over the training part.
        batch_size: events per step.
        learning_rate: of Adam.
        patience: epochs without improvement before the training stops; None trains all epochs.
        double: float64 throughout.
        device: where the network runs.
    """

    epochs: int = 40
    batch_size: int = 500
    learning_rate: float = 2e-4
    patience: int | None = 6
    double: bool = False
    device: str = "cpu"

    @property
    def dtype(self) -> torch.dtype:
        return torch.float64 if self.double else torch.float32

    def array(self, values: Array) -> Array:
        """The values in the precision of the network."""
        return np.asarray(values, dtype=np.float64 if self.double else np.float32)


@dataclass(frozen=True)
class Standard:
    """A map of columns to mean 0 and deviation 1, bounded.

    Attributes:
        mean, deviation: of each column, (columns,); a deviation of 0 counts as 1.
        clip: bound of the result.
    """

    mean: FloatArray
    deviation: FloatArray
    clip: float

    @classmethod
    def fit(cls, values: Array, clip: float) -> Standard:
        """On the rows of values, (rows, columns).

        Example:
            >>> Standard.fit(np.array([[1.0, 5.0], [3.0, 5.0]]), 10.0)(np.array([[4.0, 5.0], [99.0, 6.0]])).tolist()
            [[2.0, 0.0], [10.0, 1.0]]
        """
        if not len(values):
            return cls(np.zeros(values.shape[1]), np.ones(values.shape[1]), clip)
        deviation = values.std(axis=0, dtype=np.float64)
        return cls(values.mean(axis=0, dtype=np.float64), np.where(deviation > 0, deviation, 1.0), clip)

    def __call__(self, values: Array) -> Array:
        """Scaled, (..., columns), in the precision of the values."""
        mean, deviation = self.mean.astype(values.dtype), self.deviation.astype(values.dtype)
        scaled: Array = np.clip((values - mean) / deviation, -self.clip, self.clip)
        return scaled


class EventNetwork(ABC):
    """A network that turns the features of an event into a few numbers, and its training.

    Deterministic for a seed, a device and a number of threads; the global random stream of torch stays as it is.
    """

    def __init__(self, options: FitOptions) -> None:
        self.options = options
        self._network: nn.Module | None = None

    @abstractmethod
    def fit_scale(self, features: Array) -> None:
        """Learn from the training part how features are scaled."""

    @abstractmethod
    def inputs(self, features: Array) -> Tensor:
        """What the network takes, (events, inputs), scaled and on its device."""

    @abstractmethod
    def build(self, outputs: int) -> nn.Module:
        """The untrained network, from inputs (events, inputs) to (events, outputs); called after ``fit_scale``."""

    def fit(
        self,
        train: LabelledEvents,
        watch: LabelledEvents,
        seed: int,
        *,
        outputs: int,
        loss: Criterion,
        score: Criterion,
    ) -> None:
        """Train on the first part; keep the epoch that has the largest score on the second.

        Raises:
            UsageError: if a part is empty or a feature is not finite.
        """
        if not len(train) or not len(watch):
            raise UsageError("a classifier needs events to train on and events to watch")
        if not np.isfinite(train.features).all():
            raise UsageError("a feature of a classifier is not finite")
        options = self.options
        self.fit_scale(train.features)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            network = self.build(outputs).to(device=options.device, dtype=options.dtype)
        optimizer = torch.optim.Adam(network.parameters(), lr=options.learning_rate, fused=True)
        x, y, weight = self._tensors(train)
        x_watch, y_watch, weight_watch = self._tensors(watch)
        generator = torch.Generator().manual_seed(seed)
        best, best_score, stale = copy.deepcopy(network.state_dict()), -np.inf, 0
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed + 1)  # dropout draws from the global stream
            for _ in range(options.epochs):
                batches = torch.randperm(len(x), generator=generator).split(options.batch_size)
                _epoch(network, optimizer, loss, ((x[rows], y[rows], weight[rows]) for rows in batches))
                found = float(score(_forward(network, x_watch), y_watch, weight_watch))
                if found > best_score:
                    best, best_score, stale = copy.deepcopy(network.state_dict()), found, 0
                else:
                    stale += 1
                if options.patience is not None and stale >= options.patience:
                    break
        network.load_state_dict(best)
        self._network = network.eval()

    def outputs(self, features: Array) -> Tensor:
        """(events, outputs), on the host.

        Raises:
            UsageError: before ``fit``.
        """
        if self._network is None:
            raise UsageError("a classifier must be trained before it predicts")
        return _forward(self._network, self.inputs(features)).cpu()

    def _tensors(self, events: LabelledEvents) -> tuple[Tensor, Tensor, Tensor]:
        options = self.options
        labels, weights = (
            torch.from_numpy(one).to(device=options.device, dtype=options.dtype)
            for one in (events.labels, events.weights)
        )
        return self.inputs(events.features), labels, weights


def _epoch(
    network: nn.Module,
    optimizer: torch.optim.Optimizer,
    loss: Criterion,
    batches: Iterable[tuple[Tensor, Tensor, Tensor]],
) -> None:
    network.train()
    for x, labels, weights in batches:
        value = loss(network(x), labels, weights)
        optimizer.zero_grad(set_to_none=True)
        value.backward()
        optimizer.step()


def _forward(network: nn.Module, x: Tensor) -> Tensor:
    network.eval()
    with torch.no_grad():
        return torch.cat([network(rows) for rows in x.split(10_000)])
