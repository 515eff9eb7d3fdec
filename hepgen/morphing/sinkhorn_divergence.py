"""The debiased Sinkhorn divergence between two weighted samples, differentiable in the places of their events.

Entropic optimal transport in the log domain (Peyre and Cuturi, arXiv:1803.00567, section 4.4), debiased as in Feydy et
al., arXiv:1810.08278. Gradients come from one last update at fixed potentials (the envelope theorem), not through the
iterations.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from hepgen.errors import InputFileError, UsageError

_SHRINK = 0.25  # of epsilon in each step of its schedule: lengths are halved


def sinkhorn_divergence(
    x: Tensor,
    y: Tensor,
    x_weight: Tensor | None = None,
    y_weight: Tensor | None = None,
    *,
    epsilon: float = 0.01,
    iterations: int = 5,
) -> Tensor:
    """S(x, y) = OT(x, y) - OT(x, x) / 2 - OT(y, y) / 2 with the cost \\|x - y\\|^2 / 2: 0 between equal samples.

    Args:
        x: (events, features).
        y: (other events, features).
        x_weight, y_weight: (events,), not negative; they need no norm. None: all the same.
        epsilon: of the entropy, in units of the cost. Its root is the length below which differences are blurred.
        iterations: updates of the potentials at the end, after a schedule that leads down to ``epsilon``.

    Raises:
        InputFileError: if a weight is negative, or all are 0: a transport moves a mass.

    Example:
        >>> x = torch.tensor([[0.0], [1.0]])
        >>> round(sinkhorn_divergence(x, x + 2, epsilon=1e-3).item(), 3)
        2.0
    """
    a, b = _log_shares(x, x_weight), _log_shares(y, y_weight)
    arguments = (epsilon, iterations)
    cross = entropic_transport(x, y, a, b, *arguments)
    own = entropic_transport(x, x, a, a, *arguments) + entropic_transport(y, y, b, b, *arguments)
    return cross - 0.5 * own


def entropic_transport(x: Tensor, y: Tensor, a: Tensor, b: Tensor, epsilon: float, iterations: int) -> Tensor:
    """OT(x, y): the cost and epsilon times the Kullback-Leibler divergence of the plan from the product of the samples.

    Args:
        x: (events, features).
        y: (other events, features).
        a, b: log of the shares of events, (events,), (other events,); -inf for an event that does not count.
        epsilon, iterations: see ``sinkhorn_divergence``.

    Raises:
        UsageError: if ``epsilon`` is not positive.
    """
    if not epsilon > 0:
        raise UsageError(f"an entropy of {epsilon} is no entropy", hint="take a positive number")
    # Equal samples have equal potentials: the mean of both updates, which settles in a few steps.
    symmetric = x is y and a is b
    with torch.no_grad():
        cost = _cost(x, y)
        f, g = torch.zeros_like(a), torch.zeros_like(b)
        for step in _schedule(float(cost.max()), epsilon, iterations):
            if symmetric:
                f = 0.5 * (f + _update(cost, f, b, step))
                g = f
            else:
                f = _update(cost, g, b, step)
                g = _update(cost.T, f, a, step)
    # One more update, with the gradient of the cost alone: potentials are stationary.
    end_f = _update(_cost(x, y.detach()), g, b, epsilon)
    end_g = _update(_cost(y, x.detach()), f, a, epsilon)
    return (a.exp() * end_f).sum() + (b.exp() * end_g).sum()


def _cost(x: Tensor, y: Tensor) -> Tensor:
    """\\|x - y\\|^2 / 2 of all pairs, (events, other events)."""
    return 0.5 * (x.square().sum(1)[:, None] + y.square().sum(1)) - x @ y.T


def _update(cost: Tensor, potential: Tensor, log_share: Tensor, epsilon: float) -> Tensor:
    """The potential of the rows that goes with one of the columns: a soft minimum, arXiv:1810.08278 eq. 11."""
    return -epsilon * torch.logsumexp(log_share + (potential - cost) / epsilon, dim=1)


def _schedule(largest: float, epsilon: float, iterations: int) -> list[float]:
    """From the largest cost down to ``epsilon``, where there are ``iterations`` more.

    Example:
        >>> _schedule(1.0, 0.1, 2)
        [1.0, 0.25, 0.1, 0.1]
    """
    steps = max(0, math.ceil(math.log(max(largest, epsilon) / epsilon) / -math.log(_SHRINK)))
    return [largest * _SHRINK**step for step in range(steps)] + [epsilon] * max(1, iterations)


def _log_shares(x: Tensor, weight: Tensor | None) -> Tensor:
    if weight is None:
        return x.new_full((len(x),), -math.log(max(1, len(x))))
    least, total = float(weight.min()), weight.sum()
    if least < 0 or float(total) <= 0:
        what = f"a weight of {least:.3g}" if least < 0 else "no weight above 0"
        raise InputFileError(
            f"a transport of events moves a mass, and an event here has {what}",
            hint="take the method 'flows_for_flows', which takes negative weights, or cut such events",
        )
    return (weight / total).log()
