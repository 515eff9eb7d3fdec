"""Solvers of dx/dt = v(x, t) from t = 0, noise, to t = 1, data, or over a part of it, in steps of one length."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor

Velocity = Callable[[Tensor, float], Tensor]

EVALUATIONS = {"euler": 1, "midpoint": 2, "heun": 2}
"""Network evaluations of a step; its error falls with the square of the steps where there are two."""


def integrate(velocity: Velocity, x: Tensor, solver: str, steps: int, begin: float = 0.0, end: float = 1.0) -> Tensor:
    """x at t = ``end``, from x at t = ``begin``, by ``EVALUATIONS[solver] * steps`` evaluations of the velocity.

    ``end`` may lie before ``begin``.

    Example:
        >>> import torch
        >>> [round(float(integrate(lambda x, t: x, torch.ones(1), name, 10)), 3) for name in EVALUATIONS]
        [2.594, 2.714, 2.714]
    """
    step = (end - begin) / steps
    for number in range(steps):
        t = begin + number * step
        slope = velocity(x, t)
        if solver == "midpoint":
            slope = velocity(x + 0.5 * step * slope, t + 0.5 * step)
        elif solver == "heun":
            slope = 0.5 * (slope + velocity(x + step * slope, t + step))
        x = x + step * slope
    return x
