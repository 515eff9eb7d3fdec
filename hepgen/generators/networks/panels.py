"""Weights of linear layers in the panels that ``small_products`` multiplies with."""

from __future__ import annotations

import numpy as np
from torch import Tensor, nn
from torch.nn import functional

from hepgen.generators.networks.packing import Weights
from hepgen.generators.networks.small_products import padded, panels


def linear_weights(layer: nn.Linear, inputs: int = 0) -> Weights:
    """Weights in panels, then the bias; see ``in_panels``."""
    return in_panels(layer.weight, layer.bias, inputs)


def in_panels(weight: Tensor, bias: Tensor, inputs: int = 0) -> Weights:
    """Weights (outputs, inputs) in panels and the bias (outputs,), filled up with zeros to whole panels.

    Args:
        inputs: rows of the panels at least, zeros where the layer has no input.
    """
    outputs, given = weight.shape
    rows = functional.pad(weight.detach().t(), (0, 0, 0, max(inputs - given, 0))).numpy()
    return np.concatenate([panels(rows).ravel(), functional.pad(bias.detach(), (0, padded(outputs) - outputs)).numpy()])
