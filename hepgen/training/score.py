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

    The truth takes the same road as what is generated: its features are decoded, stage by stage.

    Args:
        representation: fitted.
        stage: name of the stage.
        held_out: physical tensors of held-out events, as ``pack`` gives them.
        score: the callable that compares generated with true events.
        key: seed and number of the stage: the noise is the same at every call.
    """

    def __init__(
        self, representation: Representation, stage: str, held_out: Tensors, score: Score, key: tuple[int, int]
    ) -> None:
        self._representation = representation
        self._score = score
        self._key = key
        self._events = len(held_out["condition"])
        random = stream(key[0], SCORE, key[1], 0)
        cached = representation.encode(held_out)
        self._truth = representation.start(held_out["condition"])
        for one in representation.stages:
            self._before = self._truth
            mask = representation.mask(one.name, cached)
            events = (self._events,) if mask is None else mask.shape
            x, _ = representation.features(one.name, cached, uniform(random, *events, one.noise))
            self._truth = representation.decode(
                one.name, x, dict(self._before), uniform(random, self._events, one.unnoise)
            )
            self._stage = one
            if one.name == stage:
                break
        self._seen = representation.scored(self._truth)

    def __call__(self, generator: Generator) -> float:
        """The score of a generator, infinite if it makes anything that is not finite."""
        device = next(generator.parameters()).device
        parts: list[Tensors] = []
        for start in range(0, self._events, _CHUNK):
            before = {name: tensor[start : start + _CHUNK] for name, tensor in self._before.items()}
            count = len(before["condition"])
            random = stream(self._key[0], SCORE, self._key[1], 1, start)
            mask = self._representation.mask(self._stage.name, before)
            points = 0 if mask is None else mask.shape[1]
            noise = {name: n.to(device) for name, n in draw(random, generator.noise_spec(), count, points).items()}
            with torch.no_grad():
                condition = self._representation.stage_condition(self._stage.name, before).to(device, torch.float32)
                x = generator.sample(noise, condition, None if mask is None else mask.to(device)).cpu()
                if not bool(torch.isfinite(x).all()):
                    return float("inf")
                unnoise = uniform(random, count, self._stage.unnoise)
                parts.append(self._representation.decode(self._stage.name, x, before, unnoise))
        seen = [self._representation.scored(part) for part in parts]
        generated = {name: torch.cat([part[name] for part in seen]) for name in seen[0]}
        value = self._score(generated, self._seen)
        return value if np.isfinite(value) else float("inf")
