"""An optimizer for each objective, its schedule, and its state as plain named tensors."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from hepgen.generators.base import Objective


def schedule(step: int, steps: int, warmup: float) -> float:
    """Factor of the learning rate: a linear rise over ``warmup * steps``, then half a cosine to zero (arXiv 1608.03983).

    Example:
        >>> [round(schedule(step, 100, 0.1), 3) for step in (0, 9, 55, 99)]
        [0.1, 1.0, 0.5, 0.0]
    """
    rise = max(1, round(warmup * steps))
    if step < rise:
        return (step + 1) / rise
    fraction = (step - rise) / max(1, steps - rise)
    return 0.5 * (1.0 + math.cos(math.pi * min(1.0, fraction)))


def build_optimizer(objective: Objective, learning_rate: float, weight_decay: float) -> torch.optim.Optimizer:
    """AdamW (arXiv 1711.05101) over the parameters of an objective, which may override any of its options.

    With ``kind: rmsprop`` among what it overrides, RMSProp with torch's smoothing of 0.99.

    Example:
        >>> objective = Objective("x", [torch.nn.Parameter(torch.zeros(1))], loss=None, optimizer={"kind": "rmsprop"})
        >>> type(build_optimizer(objective, 1e-3, 0.0)).__name__
        'RMSprop'
    """
    override = dict(objective.optimizer)
    rate = float(override.pop("learning_rate", learning_rate))
    options: dict[str, Any] = {"weight_decay": weight_decay, **override}
    optimizer: torch.optim.Optimizer
    if options.pop("kind", "adam") == "rmsprop":
        optimizer = torch.optim.RMSprop(objective.parameters, lr=rate, **options)
    else:
        if "betas" in options:
            options["betas"] = tuple(options["betas"])
        optimizer = torch.optim.AdamW(objective.parameters, lr=rate, fused=True, **options)
    for group in optimizer.param_groups:
        group["peak"] = rate
    return optimizer


def set_rate(optimizer: torch.optim.Optimizer, factor: float) -> float:
    """Set the learning rate to ``factor`` times its peak, and return it."""
    rate = 0.0
    for group in optimizer.param_groups:
        rate = group["lr"] = group["peak"] * factor
    return float(rate)


def optimizer_tensors(optimizers: Mapping[str, torch.optim.Optimizer]) -> dict[str, Tensor]:
    """The state of optimizers, named ``objective/index/quantity``."""
    return {
        f"{name}/{index}/{quantity}": tensor
        for name, optimizer in optimizers.items()
        for index, state in optimizer.state_dict()["state"].items()
        for quantity, tensor in state.items()
    }


def load_optimizer_tensors(optimizers: Mapping[str, torch.optim.Optimizer], tensors: dict[str, Tensor]) -> None:
    """The inverse of ``optimizer_tensors``."""
    states: dict[str, dict[int, dict[str, Tensor]]] = {name: {} for name in optimizers}
    for key, tensor in tensors.items():
        name, index, quantity = key.rsplit("/", 2)
        states[name].setdefault(int(index), {})[quantity] = tensor
    for name, optimizer in optimizers.items():
        state = optimizer.state_dict()
        state["state"] = states[name]
        optimizer.load_state_dict(state)
