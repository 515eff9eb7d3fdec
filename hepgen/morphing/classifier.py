"""Weights by a network that tells two samples apart (DCTR, arXiv 1907.08209)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional

from hepgen.errors import ConfigError, ModelError
from hepgen.generators.base import Objective, StageBatch
from hepgen.generators.networks.mlp import MLP
from hepgen.morphing.base import Reweighting, weighted_mean

if TYPE_CHECKING:
    from hepgen.config.morph_options import ClassifierOptions


class ClassifierWeights(Reweighting):
    """The logit of a classifier is the log ratio of the densities that it learned from, arXiv 1907.08209 eq. 4.

    Both samples enter the loss with the same sum of weights, so that the logit holds no ratio of their sizes. Weights
    with signs are weights: the cross-entropy is linear in them, and its minimum is the ratio of the net densities. Where
    the net density of a finite sample is negative a logit would grow without end: ``bound`` holds it.

    With ``linear`` the logit is a(x) + sum_i c_i b_i(x) of the conditions c. A network that may bend in c says nothing of
    values that it did not see; a straight line says what it assumes, and a control region can refute it (the idea
    of arXiv 2008.03636, with weights in the place of a map). Whoever encodes the conditions must not hold them at the ends of
    the training's range: in a table they want ``scale: affine``.

    The members of an ensemble start from different weights; the average of their log ratios has the smaller variance.

    Raises:
        ConfigError: if a ratio that knows conditions is asked for without any.

    Example:
        >>> from hepgen.config.morph_options import ClassifierOptions
        >>> weights = ClassifierWeights(2, 0, ClassifierOptions(hidden=[8]))
        >>> weights.log_ratio(torch.zeros(3, 2), torch.empty(3, 0)).tolist()
        [0.0, 0.0, 0.0]
    """

    method: ClassVar[str] = "classifier"

    def __init__(self, features: int, conditions: int, options: ClassifierOptions) -> None:
        super().__init__(features, conditions)
        if (options.ratio != "joint" or options.linear) and not conditions:
            raise ConfigError(
                f"the ratio '{options.ratio}'{', linear,' if options.linear else ''} needs conditions, and there are none",
                where="options.classifier",
                hint="name them in representation.conditions",
            )
        self.options = options
        self.changes_condition = options.ratio == "parametrised"

        def networks(inputs: int) -> nn.ModuleList:
            """Of the features, whose number is given, and the conditions."""
            inputs, outputs = (inputs, 1 + conditions) if options.linear else (inputs + conditions, 1)
            return nn.ModuleList(
                MLP(
                    inputs, options.hidden, outputs,
                    activation=options.activation, dropout=options.dropout, zero_last=True,
                )
                for _ in range(options.ensemble)
            )  # fmt: skip

        self.networks = networks(features)
        # What tells the samples apart by their conditions alone.
        self.priors = networks(0) if options.ratio == "conditional" else None

    def objectives(self) -> list[Objective]:
        def cross_entropy(batch: StageBatch, noise: Mapping[str, Tensor]) -> Tensor:
            del noise
            return self._cross_entropy(batch)

        return [Objective("cross_entropy", list(self.parameters()), cross_entropy)]

    def _cross_entropy(self, batch: StageBatch) -> Tensor:
        source = batch.source
        if source is None:
            raise ModelError("the classifier of a morph is trained on two samples, here is one")
        # The batches are drawn independently: the target's conditions are any, for an event of the source.
        asked = batch.condition if self.options.ratio == "parametrised" else source.condition
        pairs = [(self.networks, batch.x, source.x)]
        if self.priors is not None:
            pairs.append((self.priors, batch.x[:, :0], source.x[:, :0]))
        losses = []
        for networks, positive, negative in pairs:
            is_target = functional.softplus(-self._members(networks, positive, batch.condition)).mean(0)
            is_source = functional.softplus(self._members(networks, negative, asked)).mean(0)
            losses.append((weighted_mean(is_target, batch.weight) + weighted_mean(is_source, source.weight)) / 2)
        return torch.stack(losses).sum()

    def log_ratio(self, x: Tensor, condition: Tensor) -> Tensor:
        joint = self._members(self.networks, x, condition).mean(0)
        return joint if self.priors is None else joint - self._members(self.priors, x[:, :0], condition).mean(0)

    def _members(self, networks: nn.ModuleList, x: Tensor, condition: Tensor) -> Tensor:
        """The log ratio of each member of an ensemble, (members, events)."""
        if self.options.linear:
            outputs = [network(x) for network in networks]
            logits = torch.stack([one[:, 0] + (one[:, 1:] * condition).sum(1) for one in outputs])
        else:
            logits = torch.stack([network(torch.cat([x, condition], 1)).squeeze(1) for network in networks])
        return self.options.bound * torch.tanh(logits / self.options.bound)
