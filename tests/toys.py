"""A representation with two stages and two generator families, as small as the protocols allow."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import awkward as ak
import numpy as np
import torch
from torch import Tensor, nn

from hepgen.events.schema import Column, Schema
from hepgen.events.source import EventSource, MemorySource
from hepgen.generators.base import Generator, NoiseSpec, Objective, StageBatch
from hepgen.representations.base import ConditionRange, Stage, Tensors, Vectors

SCHEMA = Schema(
    (
        Column("energy", "float32", unit="GeV"),
        Column("y", "float32"),
        Column("v", "float32", shape=(2,)),
    ),
    tree="events",
)


def toy_events(count: int, seed: int = 0) -> ak.Array:
    """y ~ N(energy, 1) and v_i ~ N(y, 0.1)."""
    random = np.random.default_rng(seed)
    energy = random.uniform(1, 3, count).astype("f4")
    y = (energy + random.normal(size=count)).astype("f4")
    v = (y[:, None] + 0.1 * random.normal(size=(count, 2))).astype("f4")
    return ak.zip({"energy": energy, "y": y, "v": ak.from_numpy(v, regulararray=True)}, depth_limit=1)


def toy_source(count: int, seed: int = 0, batch_size: int = 300) -> MemorySource:
    return MemorySource(toy_events(count, seed), SCHEMA, batch_size=batch_size)


class ToyRepresentation(Vectors):
    kind: ClassVar[str] = "toy"

    def __init__(self) -> None:
        self.mean = [0.0, 0.0]
        self.scale = [1.0, 1.0]
        self.range = [0.0, 1.0]

    @classmethod
    def build(cls, options: dict[str, Any], schema: Schema) -> ToyRepresentation:
        del options, schema
        return cls()

    @property
    def stages(self) -> tuple[Stage, ...]:
        return (Stage("first", 1, 1, noise=1), Stage("second", 2, 2, unnoise=1, observables=1))

    @property
    def condition_names(self) -> tuple[str, ...]:
        return ("energy",)

    @property
    def validity(self) -> tuple[ConditionRange, ...]:
        return (ConditionRange("energy", self.range[0], self.range[1], "GeV"),)

    def fit(self, source: EventSource) -> None:
        events = ak.concatenate(list(source.batches(["energy", "y", "v"])))
        for place, name in enumerate(("y", "v")):
            values = ak.to_numpy(events[name])
            self.mean[place], self.scale[place] = float(values.mean()), float(values.std())
        energy = ak.to_numpy(events["energy"])
        self.range = [float(energy.min()), float(energy.max())]

    def pack(self, batch: ak.Array) -> Tensors:
        return {
            "condition": torch.from_numpy(ak.to_numpy(batch["energy"]).astype("f4"))[:, None],
            "y": torch.from_numpy(ak.to_numpy(batch["y"]).astype("f4"))[:, None],
            "v": torch.from_numpy(ak.to_numpy(batch["v"]).astype("f4")),
        }

    def unpack(self, tensors: Tensors) -> ak.Array:
        return ak.zip(
            {
                "energy": tensors["condition"][:, 0].numpy(),
                "y": tensors["y"][:, 0].numpy(),
                "v": ak.from_numpy(tensors["v"].numpy(), regulararray=True),
            },
            depth_limit=1,
        )

    def encode(self, tensors: Tensors) -> Tensors:
        return {
            "c": tensors["condition"],
            "y": (tensors["y"] - self.mean[0]) / self.scale[0],
            "v": (tensors["v"] - self.mean[1]) / self.scale[1],
        }

    def augment(self, cached: Tensors, noise: Tensor) -> Tensors:
        return {**cached, "v": torch.where(noise[:, None] < 0.5, cached["v"], cached["v"].flip(1))}

    def features(self, stage: str, cached: Tensors, noise: Tensor) -> tuple[Tensor, Tensor]:
        if stage == "first":
            return cached["y"] + 1e-3 * noise, cached["c"]
        return cached["v"], torch.cat([cached["c"], cached["y"]], 1)

    def observables(self, stage: str, x: Tensor, cached: Tensors) -> Tensor:
        return x[:, :0] if stage == "first" else x.sum(1, keepdim=True) - cached["y"]

    def log_abs_det(self, stage: str, cached: Tensors, noise: Tensor) -> Tensor:
        return torch.zeros(len(noise))

    def start(self, condition: Tensor) -> Tensors:
        return {"condition": condition}

    def stage_condition(self, stage: str, tensors: Tensors) -> Tensor:
        if stage == "first":
            return tensors["condition"]
        return torch.cat([tensors["condition"], (tensors["y"] - self.mean[0]) / self.scale[0]], 1)

    def decode(self, stage: str, x: Tensor, tensors: Tensors, noise: Tensor) -> Tensors:
        if stage == "first":
            return {**tensors, "y": x * self.scale[0] + self.mean[0]}
        return {**tensors, "v": x * self.scale[1] + self.mean[1] + 1e-6 * noise}

    def state(self) -> dict[str, Any]:
        return {"mean": self.mean, "scale": self.scale, "range": self.range}

    @classmethod
    def from_state(cls, state: dict[str, Any]) -> ToyRepresentation:
        one = cls()
        one.mean, one.scale, one.range = state["mean"], state["scale"], state["range"]
        return one


class Gaussian(Generator):
    """x ~ N(mean(condition), sigma(condition)), with dropout in the training."""

    family: ClassVar[str] = "gaussian"

    def __init__(
        self, features: int, conditions: int, options: Any = None, observables: int = 0, points: int = 0
    ) -> None:
        super().__init__(features, conditions, points)
        self.network = nn.Sequential(
            nn.Linear(conditions, 16), nn.Tanh(), nn.Dropout(0.01), nn.Linear(16, 2 * features)
        )

    def noise_spec(self) -> tuple[NoiseSpec, ...]:
        return (NoiseSpec("z", (self.features,)),)

    def sample(self, noise: Mapping[str, Tensor], condition: Tensor, mask: Tensor | None = None) -> Tensor:
        mean, log_sigma = self.network(condition).chunk(2, 1)
        return mean + noise["z"] * log_sigma.exp()

    def log_prob(self, x: Tensor, condition: Tensor) -> Tensor:
        mean, log_sigma = self.network(condition).chunk(2, 1)
        return (-0.5 * ((x - mean) / log_sigma.exp()) ** 2 - log_sigma).sum(1)

    def objectives(self) -> list[Objective]:
        return [
            Objective("likelihood", list(self.parameters()), lambda batch, _: -self.log_prob(batch.x, batch.condition))
        ]


class Players(Generator):
    """A generator and a critic with clipped outputs: two objectives, two optimizers, several critic steps."""

    family: ClassVar[str] = "players"
    select_by_score: ClassVar[bool] = True

    def __init__(
        self, features: int, conditions: int, options: Any = None, observables: int = 0, points: int = 0
    ) -> None:
        super().__init__(features, conditions, points)
        self.player = nn.Sequential(nn.Linear(conditions + 4, 16), nn.ReLU(), nn.Linear(16, features))
        seen = conditions + features + observables
        self.critic = nn.Sequential(nn.Linear(seen, 16), nn.ReLU(), nn.Linear(16, 1), nn.Tanh())

    def noise_spec(self) -> tuple[NoiseSpec, ...]:
        return (NoiseSpec("z", (4,)),)

    def sample(self, noise: Mapping[str, Tensor], condition: Tensor, mask: Tensor | None = None) -> Tensor:
        x: Tensor = self.player(torch.cat([noise["z"], condition], 1))
        return x

    def sampling_parameters(self) -> list[str]:
        return [name for name in self.state_dict() if name.startswith("player")]

    def objectives(self) -> list[Objective]:
        def judged(x: Tensor, batch: StageBatch) -> Tensor:
            value: Tensor = self.critic(torch.cat([x, batch.observe(x), batch.condition], 1))[:, 0]
            return value

        def criticise(batch: StageBatch, noise: Mapping[str, Tensor]) -> Tensor:
            with torch.no_grad():
                made = self.sample(noise, batch.condition)
            return judged(made, batch) - judged(batch.x, batch)

        def play(batch: StageBatch, noise: Mapping[str, Tensor]) -> Tensor:
            return -judged(self.sample(noise, batch.condition), batch).mean()

        override = {"betas": [0.0, 0.9]}
        return [
            Objective("critic", list(self.critic.parameters()), criticise, 3, self.noise_spec(), override),
            Objective("player", list(self.player.parameters()), play, 1, self.noise_spec(), override),
        ]


def toy_surrogate(block_size: int = 50, **data: Any) -> Any:
    """Fitted, with untrained generators: its events have the right shape and no meaning."""
    from hepgen.surrogate.surrogate import Part, Surrogate

    representation = ToyRepresentation()
    representation.fit(toy_source(500))
    torch.manual_seed(0)
    parts = [Part(one.name, "coupling", {}, one.features, one.conditions) for one in representation.stages]
    generators: dict[str, Generator] = {part.stage: Gaussian(part.features, part.conditions).eval() for part in parts}
    table = representation.pack(toy_events(500))["condition"].double().numpy()
    recipe = {"name": "toy", "representation": {"kind": "toy"}, "sampling": {"block_size": block_size}}
    return Surrogate(representation, parts, generators, SCHEMA, recipe, {"inputs": [], "seed": "1"}, table, data)
