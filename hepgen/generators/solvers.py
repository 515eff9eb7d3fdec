"""Solvers of dx/dt = v(x, t) from t = 0, noise, to t = 1, data, or over a part of it, in steps of one length."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor

Velocity = Callable[[Tensor, float], Tensor]

SOLVERS = ("euler", "midpoint", "heun", "adams")
#: Of the latest slopes, the latest first: Adams and Bashforth's steps of second and of third order.
_ADAMS = {2: (3 / 2, -1 / 2), 3: (23 / 12, -16 / 12, 5 / 12)}


def evaluations(solver: str, steps: int) -> int:
    """Evaluations of the velocity that so many steps of a solver take.

    Example:
        >>> [evaluations(name, 10) for name in SOLVERS]
        [10, 20, 20, 11]
    """
    return {"euler": steps, "adams": steps + 1}.get(solver, 2 * steps)


def integrate(velocity: Velocity, x: Tensor, solver: str, steps: int, begin: float = 0.0, end: float = 1.0) -> Tensor:
    """x at t = ``end``, from x at t = ``begin``, by as many `evaluations` of the velocity.

    The error falls with the number of steps (``euler``), with its square (``midpoint``, ``heun``), or with its cube
    (``adams``: Adams and Bashforth's three-step method, which begins with a step of ``midpoint``). ``end`` may lie before
    ``begin``.

    Example:
        >>> import torch
        >>> [round(float(integrate(lambda x, t: x, torch.ones(1), name, 10)), 3) for name in SOLVERS]
        [2.594, 2.714, 2.714, 2.717]
    """
    step = (end - begin) / steps
    if solver == "adams":
        return _adams(velocity, x, steps, begin, step)
    for number in range(steps):
        t = begin + number * step
        slope = velocity(x, t)
        if solver == "midpoint":
            slope = velocity(x + 0.5 * step * slope, t + 0.5 * step)
        elif solver == "heun":
            slope = 0.5 * (slope + velocity(x + step * slope, t + step))
        x = x + step * slope
    return x


def _adams(velocity: Velocity, x: Tensor, steps: int, begin: float, step: float) -> Tensor:
    latest: list[Tensor] = []
    for number in range(steps):
        t = begin + number * step
        latest = [velocity(x, t), *latest[:2]]
        if number:
            slope = sum(weight * one for weight, one in zip(_ADAMS[len(latest)], latest, strict=True))
        else:
            slope = velocity(x + 0.5 * step * latest[0], t + 0.5 * step)
        x = x + step * slope
    return x
