"""Judging a generator by physics while it trains, for families whose loss does not tell how good it is."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch

from hepgen.generators.base import Generator
from hepgen.representations.base import Representation, Tensors
from hepgen.training.seeds import SCORE, draw, stream, uniform

Score = Callable[[Tensors, Tensors], float]
"""``score(generated, truth)`` of physical tensors, the lower the better."""

_CHUNK = 1024


class StageScore:
    """Generates one stage for held-out events whose conditions and earlier stages are true, and scores the result.

    Args:
        representation: fitted.
        stage: name of the stage.
        truth: physical tensors of held-out events, as ``pack`` gives them.
        score: the callable that compares generated with true events.
        key: seed and number of the stage: the noise is the same at every call.
    """

    def __init__(
        self, representation: Representation, stage: str, truth: Tensors, score: Score, key: tuple[int, int]
    ) -> None:
        self._representation = representation
        self._stage = next(one for one in representation.stages if one.name == stage)
        self._truth = truth
        self._score = score
        self._key = key

    def __call__(self, generator: Generator) -> float:
        """The score of a generator, infinite if it makes anything that is not finite."""
        device = next(generator.parameters()).device
        parts: list[Tensors] = []
        events = len(self._truth["condition"])
        for start in range(0, events, _CHUNK):
            true = {name: tensor[start : start + _CHUNK] for name, tensor in self._truth.items()}
            count = len(true["condition"])
            random = stream(self._key[0], SCORE, self._key[1], start)
            noise = draw(random, generator.noise_spec(), count)
            with torch.no_grad():
                condition = self._representation.stage_condition(self._stage.name, true)
                x = generator.sample(
                    {name: array.to(device) for name, array in noise.items()}, condition.to(device, torch.float32)
                ).cpu()
                if not bool(torch.isfinite(x).all()):
                    return float("inf")
                parts.append(
                    self._representation.decode(
                        self._stage.name, x, dict(true), uniform(random, count, self._stage.unnoise)
                    )
                )
        generated = {name: torch.cat([part[name] for part in parts]) for name in parts[0]}
        value = self._score(generated, self._truth)
        return value if np.isfinite(value) else float("inf")
