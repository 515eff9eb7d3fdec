"""A fully connected network that tells two samples apart."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from torch import Tensor, nn

from hepgen.classifiers.base import Array, FloatArray, LabelledEvents
from hepgen.classifiers.calibration import area_under_curve
from hepgen.classifiers.fitting import Criterion, EventNetwork, FitOptions, Standard

Select = Literal["area", "accuracy", "loss"]


@dataclass(frozen=True)
class NetworkOptions(FitOptions):
    """Shape and training of the network.

    Attributes:
        hidden: width of each hidden layer; LeakyReLU follows each.
        standardise: scale every feature to mean 0 and deviation 1 on the training part, bounded at ``clip`` deviations.
        clip: see there.
        dropout: probability.
        select: the epoch that is kept: with the largest area under the ROC curve, the best accuracy, or the lowest loss,
            on the watched part. A network that begins to be overconfident has a rising loss while it still learns to
            tell the samples apart: chosen by its loss it looks blinder than it is.
    """

    hidden: tuple[int, ...] = (512, 512, 512)
    standardise: bool = True
    clip: float = 10.0
    dropout: float = 0.0
    select: Select = "area"


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


class DenseNetwork(EventNetwork):
    """Fully connected layers on standardised features."""

    options: NetworkOptions

    def __init__(self, options: NetworkOptions | None = None) -> None:
        super().__init__(options or NetworkOptions())
        self._standard: Standard | None = None
        self._width = 0

    def fit_scale(self, features: Array) -> None:
        self._width = features.shape[1]
        self._standard = Standard.fit(features, self.options.clip) if self.options.standardise else None

    def inputs(self, features: Array) -> Tensor:
        values = self.options.array(features)
        if self._standard is not None:
            values = self._standard(values)
        return torch.from_numpy(np.ascontiguousarray(values)).to(self.options.device)

    def build(self, outputs: int) -> nn.Module:
        layers: list[nn.Module] = []
        width = self._width
        for hidden in self.options.hidden:
            layers += [nn.Linear(width, hidden), nn.LeakyReLU()]
            if self.options.dropout:
                layers.append(nn.Dropout(self.options.dropout))
            width = hidden
        return nn.Sequential(*layers, nn.Linear(width, outputs))


class BinaryClassifier:
    """Binary cross-entropy on a network of one output, the best epoch kept.

    Args:
        network: untrained.
        select: see ``NetworkOptions``.
    """

    def __init__(self, network: EventNetwork, select: Select = "area") -> None:
        self._network = network
        self._select = select

    def fit(self, train: LabelledEvents, watch: LabelledEvents, seed: int) -> None:
        """Train on the first part; the second chooses the epoch.

        Raises:
            UsageError: if a part is empty or a feature is not finite.
        """
        self._network.fit(train, watch, seed, outputs=1, loss=_cross_entropy, score=_SCORES[self._select])

    def predict(self, features: Array) -> FloatArray:
        """Probability of label 1, (events,).

        Raises:
            UsageError: before ``fit``.
        """
        return torch.sigmoid(self._network.outputs(features)).squeeze(1).numpy().astype(np.float64)


class NetworkClassifier(BinaryClassifier):
    """A fully connected network; deterministic for a seed, a device and a number of threads."""

    def __init__(self, options: NetworkOptions | None = None) -> None:
        self.options = options or NetworkOptions()
        super().__init__(DenseNetwork(self.options), self.options.select)


def _cross_entropy(logits: Tensor, labels: Tensor, weights: Tensor) -> Tensor:
    return nn.functional.binary_cross_entropy_with_logits(logits.squeeze(1), labels, weight=weights)


def _area(logits: Tensor, labels: Tensor, weights: Tensor) -> Tensor:
    values = (one.double().cpu().numpy() for one in (logits.squeeze(1), labels, weights))
    return torch.tensor(area_under_curve(*values))


def _accuracy(logits: Tensor, labels: Tensor, weights: Tensor) -> Tensor:
    return (weights * ((logits.squeeze(1) > 0) == (labels > 0.5))).sum() / weights.sum()


def _negative_loss(logits: Tensor, labels: Tensor, weights: Tensor) -> Tensor:
    return -_cross_entropy(logits, labels, weights)


_SCORES: dict[Select, Criterion] = {"area": _area, "accuracy": _accuracy, "loss": _negative_loss}
