"""A fully connected network that tells two samples apart."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from torch import Tensor, nn

from hepgen.classifiers.base import Array, FloatArray, LabelledEvents
from hepgen.classifiers.calibration import area_under_curve
from hepgen.errors import UsageError


@dataclass(frozen=True)
class NetworkOptions:
    """Shape and training of the network.

    Attributes:
        hidden: width of each hidden layer; LeakyReLU follows each.
        epochs: largest number of passes over the training part.
        batch_size: events per step.
        learning_rate: of Adam.
        double: float64 throughout.
        standardise: scale every feature to mean 0 and deviation 1 on the training part, bounded at ``clip`` deviations.
        clip: see there.
        dropout: probability.
        select: the epoch that is kept: with the largest area under the ROC curve, the best accuracy, or the lowest loss,
            on the watched part. A network that begins to be overconfident has a rising loss while it still learns to
            tell the samples apart: chosen by its loss it looks blinder than it is.
        patience: epochs without improvement before the training stops; None trains all epochs.
        device: where the network runs.
    """

    hidden: tuple[int, ...] = (512, 512, 512)
    epochs: int = 40
    batch_size: int = 500
    learning_rate: float = 2e-4
    double: bool = False
    standardise: bool = True
    clip: float = 10.0
    dropout: float = 0.0
    select: Literal["area", "accuracy", "loss"] = "area"
    patience: int | None = 6
    device: str = "cpu"


CALOCHALLENGE = NetworkOptions(
    hidden=(2048, 2048, 2048),
    epochs=50,
    batch_size=1000,
    learning_rate=2e-4,
    double=True,
    standardise=False,
    select="accuracy",
    patience=None,
)
"""The network of the CaloChallenge's ``evaluate.py`` (arXiv 2410.21611)."""


class NetworkClassifier:
    """Binary cross-entropy, Adam, the best epoch kept; deterministic for a seed, a device and a number of threads."""

    def __init__(self, options: NetworkOptions | None = None) -> None:
        self.options = options or NetworkOptions()
        self._network: nn.Sequential | None = None
        self._mean = np.zeros(1)
        self._scale = np.ones(1)

    def fit(self, train: LabelledEvents, watch: LabelledEvents, seed: int) -> None:
        """Train on the first part; the second chooses the epoch.

        Raises:
            UsageError: if a part is empty or a feature is not finite.
        """
        if not len(train) or not len(watch):
            raise UsageError("a classifier needs events to train on and events to watch")
        if not np.isfinite(train.features).all():
            raise UsageError("a feature of a classifier is not finite")
        options = self.options
        self._fit_scale(train.features)
        generator = torch.Generator().manual_seed(seed)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            network = self._build(train.features.shape[1])
        optimizer = torch.optim.Adam(network.parameters(), lr=options.learning_rate)
        x, y, weight = self._tensors(train)
        x_watch, y_watch, weight_watch = self._tensors(watch)
        best, best_score, stale = copy.deepcopy(network.state_dict()), -np.inf, 0
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed + 1)  # dropout draws from the global stream
            for _ in range(options.epochs):
                network.train()
                for rows in torch.randperm(len(x), generator=generator).split(options.batch_size):
                    logits = network(x[rows]).squeeze(1)
                    loss = nn.functional.binary_cross_entropy_with_logits(logits, y[rows], weight=weight[rows])
                    optimizer.zero_grad(set_to_none=True)
                    loss.backward()
                    optimizer.step()
                score = self._score(network, x_watch, y_watch, weight_watch)
                if score > best_score:
                    best, best_score, stale = copy.deepcopy(network.state_dict()), score, 0
                else:
                    stale += 1
                if options.patience is not None and stale >= options.patience:
                    break
        network.load_state_dict(best)
        self._network = network.eval()

    def predict(self, features: Array) -> FloatArray:
        """Probability of label 1, (events,).

        Raises:
            UsageError: before ``fit``.
        """
        if self._network is None:
            raise UsageError("a classifier must be trained before it predicts")
        return torch.sigmoid(self._logits(self._network, self._scaled(features))).cpu().numpy().astype(np.float64)

    def _build(self, features: int) -> nn.Sequential:
        layers: list[nn.Module] = []
        width = features
        for hidden in self.options.hidden:
            layers += [nn.Linear(width, hidden), nn.LeakyReLU()]
            if self.options.dropout:
                layers.append(nn.Dropout(self.options.dropout))
            width = hidden
        network = nn.Sequential(*layers, nn.Linear(width, 1))
        return network.to(device=self.options.device, dtype=self._dtype)

    @property
    def _dtype(self) -> torch.dtype:
        return torch.float64 if self.options.double else torch.float32

    def _fit_scale(self, features: Array) -> None:
        self._mean, self._scale = np.zeros(features.shape[1]), np.ones(features.shape[1])
        if self.options.standardise:
            self._mean = features.mean(axis=0, dtype=np.float64)
            deviation = features.std(axis=0, dtype=np.float64)
            self._scale = np.where(deviation > 0, deviation, 1.0)

    def _scaled(self, features: Array) -> Tensor:
        dtype = np.float64 if self.options.double else np.float32
        values = np.asarray(features, dtype=dtype)
        if self.options.standardise:
            values = (values - self._mean.astype(dtype)) / self._scale.astype(dtype)
            values = np.clip(values, -self.options.clip, self.options.clip)
        return torch.from_numpy(np.ascontiguousarray(values)).to(self.options.device)

    def _tensors(self, events: LabelledEvents) -> tuple[Tensor, Tensor, Tensor]:
        labels = torch.from_numpy(events.labels).to(device=self.options.device, dtype=self._dtype)
        weights = torch.from_numpy(events.weights).to(device=self.options.device, dtype=self._dtype)
        return self._scaled(events.features), labels, weights

    @staticmethod
    def _logits(network: nn.Sequential, x: Tensor) -> Tensor:
        network.eval()
        with torch.no_grad():
            return torch.cat([network(rows).squeeze(1) for rows in x.split(10_000)])

    def _score(self, network: nn.Sequential, x: Tensor, y: Tensor, weight: Tensor) -> float:
        logits = self._logits(network, x)
        if self.options.select == "area":
            score, labels, weights = (one.double().cpu().numpy() for one in (logits, y, weight))
            return area_under_curve(score, labels, weights)
        if self.options.select == "accuracy":
            return float((weight * ((logits > 0) == (y > 0.5))).sum() / weight.sum())
        return -float(nn.functional.binary_cross_entropy_with_logits(logits, y, weight=weight))
