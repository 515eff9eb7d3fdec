"""A density that is known at one value of a parameter, carried to others by its derivative (TRADE, arXiv 2410.19492).

At the reference a conditional flow learns from events. Elsewhere its log density has to change with the parameter c as the true
one does, d/dc log p(x|c) = d/dc log q(x|c) - E_p(x|c)[d/dc log q(x|c)], where q is the density without its norm: powers
of a density (temperatures), a learned ratio of densities to the reference, or whatever physics says of c.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional

from hepgen.generators.base import Generator

# Of events (events, features) at parameters (events, conditions): d/dc log q(x|c), (events,).
Derivative = Callable[[Tensor, Tensor], Tensor]


def parameter_derivative(
    log_prob: Callable[[Tensor, Tensor], Tensor], x: Tensor, condition: Tensor, direction: Tensor, step: float
) -> Tensor:
    """d/dc log p(x|c) along a direction, (events,), by a central difference.

    A difference needs gradients of the first order only, which is what compiled splines have.

    Args:
        x: (events, features).
        condition: c, (events, conditions).
        direction: (conditions,).
        step: half the distance between the two values of c.

    Example:
        >>> x, c = torch.tensor([[2.0]]), torch.tensor([[3.0]])
        >>> parameter_derivative(lambda x, c: (x * c**2)[:, 0], x, c, torch.ones(1), 0.1).item()
        12.0
    """
    above, below = (log_prob(x, condition + sign * step * direction) for sign in (1.0, -1.0))
    return (above - below) / (2 * step)


def derivative_residual(found: Tensor, known: Tensor, log_weight: Tensor | None = None) -> Tensor:
    """What is missing of d/dc log p = d/dc log q - E[d/dc log q], (groups, events), arXiv 2410.19492 eq. 7.

    Args:
        found: d/dc log p of the model, (groups, events); a group is of one value of c.
        known: d/dc log q, (groups, events).
        log_weight: by which the events of a group stand for p(x|c), where they were drawn from another density; the
            mean is self-normalised.

    Example:
        >>> derivative_residual(torch.tensor([[0.0, 2.0]]), torch.tensor([[5.0, 7.0]])).tolist()
        [[1.0, 1.0]]
    """
    weight = torch.full_like(known, 1 / known.shape[1]) if log_weight is None else log_weight.softmax(1)
    return found - (known - (weight * known).sum(1, keepdim=True))


def propagation_loss(
    flow: Generator,
    derivative: Derivative,
    noise: Tensor,
    condition: Tensor,
    direction: Tensor | None = None,
    *,
    step: float = 0.05,
    delta: float = 0.1,
) -> Tensor:
    """Mean Huber loss of the residual where the flow itself puts events, a scalar.

    The events are drawn from the flow at each c and are no part of the gradient: where the flow is right at the
    reference and the residual vanishes between it and c, they follow p(x|c).

    Args:
        flow: with a likelihood, and one array ``z`` of noise.
        derivative: see ``Derivative``.
        noise: (groups, events, features).
        condition: a value of c for each group, (groups, conditions).
        direction: in which c changes, (conditions,); not given: that of the only condition.
        step: see ``parameter_derivative``.
        delta: from where on a residual counts linearly, and not by its square: steep log densities have large ones.
    """
    groups, events = noise.shape[:2]
    along = condition.new_ones(condition.shape[1]) if direction is None else direction
    c = condition.repeat_interleave(events, dim=0)
    with torch.no_grad():
        x = flow.sample({"z": noise.flatten(0, 1)}, c)
        known = derivative(x, c).view(groups, events)
    found = parameter_derivative(flow.log_prob, x, c, along, step).view(groups, events)
    residual = derivative_residual(found, known)
    return functional.huber_loss(residual, torch.zeros_like(residual), delta=delta) / delta


def power_derivative(log_density: Callable[[Tensor], Tensor]) -> Derivative:
    """Of q(x|c) = p(x)^exp(c): c is the logarithm of an inverse temperature, and p the density at c = 0.

    Example:
        >>> derivative = power_derivative(lambda x: -(x**2).sum(1) / 2)
        >>> derivative(torch.tensor([[2.0]]), torch.tensor([[0.0]])).item()
        -2.0
    """

    def derivative(x: Tensor, condition: Tensor) -> Tensor:
        return condition[:, 0].exp() * log_density(x)

    return derivative
