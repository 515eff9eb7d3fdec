"""A small training loop for methods of morphing, on arrays in memory."""

from __future__ import annotations

import dataclasses

import numpy as np
import torch

from hepgen.generators.base import StageBatch
from hepgen.morphing.base import Method
from hepgen.training.optimizers import build_optimizer, schedule, set_rate
from hepgen.training.seeds import draw


def rows_of(side: StageBatch, rows: np.ndarray) -> StageBatch:
    chosen = torch.from_numpy(rows)
    return StageBatch(side.x[chosen], side.condition[chosen], None if side.weight is None else side.weight[chosen])


def fit_method(
    method: Method,
    source: StageBatch,
    target: StageBatch,
    steps: int,
    size: int = 256,
    seed: int = 0,
    rate: float = 3e-3,
) -> list[float]:
    """``fit``, then so many steps of each phase; the losses of the objective that comes last."""
    random = np.random.default_rng(seed)
    method.fit(source, target, random)
    method.train()
    objectives = method.objectives()
    losses: list[float] = []
    for phase in sorted({objective.phase for objective in objectives}):
        now = [objective for objective in objectives if objective.phase == phase]
        optimizers = [build_optimizer(objective, rate, 0.0) for objective in now]
        for step in range(steps):
            method.anneal(schedule(step, steps, 0.02))
            for objective, optimizer in zip(now, optimizers, strict=True):
                set_rate(optimizer, schedule(step, steps, 0.02))
                for _ in range(objective.steps):
                    one, two = (random.integers(len(side.x), size=size) for side in (source, target))
                    batch = dataclasses.replace(rows_of(target, two), source=rows_of(source, one))
                    loss = objective.loss(batch, draw(random, objective.noise, size))
                    optimizer.zero_grad()
                    loss.backward(inputs=objective.parameters)
                    optimizer.step()
                    losses.append(loss.item())
    method.eval()
    return losses
