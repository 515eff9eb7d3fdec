"""A trained decorrelation: what ``task: decorrelate`` leaves and ``hepgen decorrelate`` takes."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from hepgen.config.decorrelate import DecorrelationOptions
from hepgen.errors import ModelError
from hepgen.events.schema import Schema
from hepgen.morphing.bundles import inputs_of, open_bundle, stored_weights, weights_of
from hepgen.morphing.decorrelation import Decorrelation
from hepgen.morphing.scores import STAGE, ScoreSpace
from hepgen.representations.base import Tensors
from hepgen.surrogate.bundle import Bundle, write_bundle

PREFIX = f"{STAGE}.0.0."
TASK = "decorrelate"


@dataclass
class DecorrelationModel:
    """The maps of discriminants and protected columns, and the flow between them.

    Attributes:
        space: fitted.
        flow: in evaluation mode, float64: at one protected value the order of scores must not hang on rounding.
        schema: columns that are read from a file.
        recipe: resolved, plain values.
        provenance: see ``hepgen.surrogate.provenance``.
        facts: plain values: ``ranges`` of the protected columns, ``define`` (expressions of those that are no column of the
            file), ``split``, ``cut``.
    """

    space: ScoreSpace
    flow: Decorrelation
    schema: Schema
    recipe: dict[str, Any]
    provenance: dict[str, Any]
    facts: dict[str, Any] = field(default_factory=dict)
    model_sha256: str = ""

    def __post_init__(self) -> None:
        self.flow = self.flow.eval().requires_grad_(False).double()

    @property
    def discriminants(self) -> tuple[str, ...]:
        return tuple(self.space.discriminants)

    @property
    def protected(self) -> tuple[str, ...]:
        return tuple(self.space.protected)

    @property
    def block_size(self) -> int:
        """Events per block."""
        return int(self.recipe["block_size"])

    def scores(self, physical: Tensors) -> Tensor:
        """Decorrelated discriminants, (events, discriminants), float64, of what ``ScoreSpace.pack`` gives."""
        x, condition = self.space.standardised(physical)
        device = next(self.flow.parameters()).device
        with torch.inference_mode():
            found: Tensor = self.flow(x.to(device), condition.to(device)).cpu()
        return found

    def bundle(self) -> Bundle:
        """The content of the bundle's files."""
        config = {
            "task": TASK,
            "options": self.flow.options.model_dump(mode="json"),
            "schema": self.schema.to_dict(),
            "recipe": self.recipe,
            "facts": self.facts,
        }
        tensors = {name: tensor.float() for name, tensor in weights_of(self.flow, PREFIX).items()}
        state = {**self.space.state(), "kind": STAGE}
        return Bundle(config, state, self.provenance, {"ranges": self.facts.get("ranges", {})}, tensors, self._card())

    def save(self, folder: str | Path) -> None:
        """Write the bundle.

        Raises:
            OutputError: if the file system refuses.
        """
        bundle = self.bundle()
        write_bundle(Path(folder), bundle)
        self.model_sha256 = bundle.model_sha256

    @classmethod
    def load(cls, path: str | Path, *, device: str = "cpu") -> DecorrelationModel:
        """Read a bundle, or the bundle of a run folder.

        Raises:
            ModelError: if there is none, or it is of another task, or a file of it is damaged.
        """
        bundle = open_bundle(path, TASK)
        config = bundle.config
        if bundle.representation.get("kind") != STAGE:
            raise ModelError("this is not the space of a decorrelation", where=str(path), hint="copy the model anew")
        space = ScoreSpace.from_state(bundle.representation)
        # a bundle that names no waves was trained without
        options = DecorrelationOptions.model_validate({"waves": 0, **config["options"]})
        flow = Decorrelation(len(space.discriminants), len(space.protected), options)
        flow.load_state_dict(stored_weights(bundle, flow, PREFIX, str(path)))
        schema = Schema.from_dict(config["schema"])
        return cls(
            space, flow.to(device), schema, config["recipe"], bundle.provenance, config["facts"], bundle.model_sha256
        )

    def _card(self) -> str:
        """Markdown of the card."""
        training = self.provenance.get("training", {})
        ranges = self.facts.get("ranges", {})
        law = "uniform on (0, 1)" if self.flow.options.output == "uniform" else "standard normal"
        lines = [
            f"# {self.recipe['name']}",
            "",
            f"A hepgen decorrelation: scores that are {law} on background at any value of the protected columns.",
            "`hepgen decorrelate MODEL FILE -o OUT` writes them. At one protected value a larger score stays larger.",
            "",
            "## Columns",
            "",
            f"Discriminants: {', '.join(f'`{name}`' for name in self.discriminants)}.",
            "",
            *(f"- protected `{name}`: {low:g} to {high:g}" for name, (low, high) in ranges.items()),
            "",
            "## Training",
            "",
            f"- {training.get('events', '?')} events of background, cut: `{self.facts.get('cut') or 'none'}`",
            *inputs_of(self.provenance),
        ]
        return "\n".join(lines) + "\n"
