"""What a critic and a generator minimise in a game, event by event, for vectors and for clouds."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

Shown = tuple[Tensor, Tensor]
"""What a critic is shown of events: features (events, ...) and observables (events, observables)."""
Judge = Callable[[Tensor, Tensor], Tensor]
"""A critic of what it is shown, one number per event, shape (events,)."""


def wasserstein(judge: Judge, true: Shown, fake: Shown, mix: Tensor, penalty: float) -> Tensor:
    """The loss of a critic that estimates the Wasserstein distance, (events,) (arXiv:1704.00028, eq. 3).

    Args:
        judge: the critic.
        true, fake: events, those of one place under the same conditions and with the same mask.
        mix: (events,), uniform in [0, 1).
        penalty: weight of the gradient penalty.
    """
    return judge(*fake) - judge(*true) + penalty * gradient_penalty(judge, true, fake, mix)


def gradient_penalty(judge: Judge, true: Shown, fake: Shown, mix: Tensor) -> Tensor:
    """The squared distance from 1 of the slope of a critic somewhere between true and made events, (events,).

    Two-sided, as in the paper. A critic is blind to padding, which therefore adds nothing to the slope.

    Example:
        >>> ones, none = torch.ones(1, 4), torch.zeros(1, 0)
        >>> gradient_penalty(lambda x, _: 3 * x[:, 0], (ones, none), (-ones, none), torch.tensor([0.5])).tolist()
        [4.0]
    """
    between = []
    for one, other in zip(true, fake, strict=True):
        share = mix.view(-1, *[1] * (one.ndim - 1))
        between.append((share * one + (1 - share) * other).requires_grad_())
    slopes = torch.autograd.grad(judge(*between).sum(), between, create_graph=True, materialize_grads=True)
    square = sum((slope.square().flatten(1).sum(1) for slope in slopes), mix.new_zeros(len(mix)))
    # A root that has a gradient at 0.
    return ((square + 1e-12).sqrt() - 1).square()


def least_squares(judge: Judge, true: Shown, fake: Shown) -> Tensor:
    """The loss of a critic that gives 1 to true and 0 to made events, (events,) (arXiv:1611.04076, eq. 9)."""
    return 0.5 * ((judge(*true) - 1).square() + judge(*fake).square())


def deceive(judged: Tensor, kind: str) -> Tensor:
    """The loss of a generator whose events were given these numbers: (events,) to (events,).

    Args:
        judged: by the critic.
        kind: ``wasserstein`` or ``least_squares``.

    Example:
        >>> deceive(torch.tensor([3.0]), "wasserstein").tolist(), deceive(torch.tensor([3.0]), "least_squares").tolist()
        ([-3.0], [2.0])
    """
    return -judged if kind == "wasserstein" else 0.5 * (judged - 1).square()
