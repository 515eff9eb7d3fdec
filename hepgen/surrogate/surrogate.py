"""A trained surrogate: what ``train`` leaves and ``sample`` takes."""

from __future__ import annotations

import copy
import importlib
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from hepgen.config.families import find_family
from hepgen.errors import ModelError, UsageError
from hepgen.events.expressions import Expression
from hepgen.events.schema import Schema
from hepgen.events.select import apply_derived
from hepgen.generators.base import Generator
from hepgen.generators.networks.packing import frozen
from hepgen.representations import registry
from hepgen.representations.base import Representation, Tensors
from hepgen.surrogate.acceptance import Acceptance, columns_of
from hepgen.surrogate.bundle import Bundle, read_bundle, write_bundle
from hepgen.surrogate.card import write_card
from hepgen.training.calibration import Calibration
from hepgen.training.checkpoint import CheckpointStore

_CALIBRATION = "calibration."
DRAFT = "draft"
"""Folder in ``RUN/checkpoints`` that holds the bundle of an unfinished run, all but its weights."""

StageNoise = tuple[Mapping[str, Tensor], Tensor]
"""Noise of the generator by name, and uniform noise of the decoding, of shape (events, stage.unnoise)."""
NoiseOf = Callable[[int, int], StageNoise]
"""The noise of a stage by its number, and by the number of constituents that an event is padded to (0: a vector)."""


def build_generator(
    family: str, features: int, conditions: int, options: Mapping[str, Any], observables: int = 0, points: int = 0
) -> Generator:
    """An untrained generator of a registered family.

    Raises:
        ConfigError: if there is no such family.
    """
    found = find_family(family)
    module, _, name = found.path.partition(":")
    kind = getattr(importlib.import_module(module), name)
    generator: Generator = kind(features, conditions, found.options.model_validate(dict(options)), observables, points)
    return generator


@dataclass(frozen=True)
class Part:
    """The network of a stage, as ``config.json`` describes it."""

    stage: str
    family: str
    options: dict[str, Any]
    features: int
    conditions: int
    slice: int = 0
    replica: int = 0
    observables: int = 0
    points: int = 0

    def build(self) -> Generator:
        return build_generator(self.family, self.features, self.conditions, self.options, self.observables, self.points)

    @property
    def prefix(self) -> str:
        return f"{self.stage}.{self.slice}.{self.replica}."


@dataclass
class Surrogate:
    """A representation and one generator per stage.

    Attributes:
        representation: fitted.
        parts: description of each generator, in the order of the stages.
        generators: by stage; in evaluation mode.
        schema: columns that are generated, as they stood in the training file.
        recipe: resolved, plain values.
        provenance: see ``hepgen.surrogate.provenance``.
        conditions: rows drawn from the training sample, shape (rows, conditions), physical units, float64.
        data: how the training data was made: ``split``, ``derived``, ``weight`` (column, sum, events), ``objects``
            (columns, and counts of training events), ``condition_dtype`` (of the
            physical conditions).
        model_sha256: hash of the weights file, empty for a draft.
        calibrations: by stage, where there is one: what is done to the features that its generator makes.
        acceptance: by what chance a generated event is kept; None keeps all.
    """

    representation: Representation
    parts: list[Part]
    generators: dict[str, Generator]
    schema: Schema
    recipe: dict[str, Any]
    provenance: dict[str, Any]
    conditions: NDArray[np.float64]
    data: dict[str, Any] = field(default_factory=dict)
    model_sha256: str = ""
    calibrations: dict[str, Calibration] = field(default_factory=dict)
    acceptance: Acceptance | None = None

    @property
    def block_size(self) -> int:
        """Events per block, the unit of random numbers and of forward passes."""
        return int(self.recipe.get("sampling", {}).get("block_size", 1000))

    @property
    def device(self) -> torch.device:
        for generator in self.generators.values():
            for parameter in generator.parameters():
                return parameter.device
        return torch.device("cpu")

    def to(self, device: str | torch.device) -> Surrogate:
        """Move the generators; the representation works on the CPU."""
        for generator in self.generators.values():
            generator.to(device)
        return self

    def with_solver_steps(self, steps: int) -> Surrogate:
        """The same weights, with so many steps along every path that its generators follow, in the place of the recipe's.

        Raises:
            UsageError: if no generator follows a path, or there is not at least one step.
        """
        options: dict[str, Any] = {name: getattr(one, "options", None) for name, one in self.generators.items()}
        moving = {name: one for name, one in options.items() if hasattr(one, "steps")}
        if not moving or steps < 1:
            what = "steps are whole numbers from 1 on" if moving else "no generator of this model takes steps"
            raise UsageError(what, where="--solver-steps", hint="" if moving else "leave it out")
        generators = dict(self.generators)
        for name, one in moving.items():
            generators[name] = copy.copy(generators[name])
            generators[name].options = one.model_copy(update={"steps": steps})
        parts = [
            replace(part, options={**part.options, "steps": steps}) if part.stage in moving else part
            for part in self.parts
        ]
        return replace(self, generators=generators, parts=parts)

    def sample(self, condition: Tensor, noise: NoiseOf) -> tuple[Tensors, Tensor]:
        """Generate events: a pure function of conditions and noise.

        Args:
            condition: (events, conditions), physical units.
            noise: gives the noise of a stage.

        Returns:
            Physical tensors of all stages, and which events are finite, shape (events,).
        """
        device = self.device
        good = torch.ones(len(condition), dtype=torch.bool)
        with torch.inference_mode():
            tensors = self.representation.start(condition)
            for number, stage in enumerate(self.representation.stages):
                mask = self.representation.mask(stage.name, tensors)
                given, unnoise = noise(number, 0 if mask is None else mask.shape[1])
                context = self.representation.stage_condition(stage.name, tensors).to(device, torch.float32)
                there = None if mask is None else mask.to(device)
                x = self.generators[stage.name].sample(
                    {name: n.to(device) for name, n in given.items()}, context, there
                )
                x = x.cpu()
                if stage.name in self.calibrations:
                    x = self.calibrations[stage.name](x)
                good &= torch.isfinite(x).flatten(1).all(1)
                tensors = self.representation.decode(stage.name, x, tensors, unnoise)
            for tensor in tensors.values():
                if tensor.is_floating_point():  # NaN stands for a missing value of a table
                    good &= ~torch.isinf(tensor).reshape(len(tensor), -1).any(1)
        return tensors, good

    @cached_property
    def derived(self) -> dict[str, Expression]:
        """Columns that are computed from generated ones, and their helpers, in the order in which they need each other."""
        return {name: Expression.parse(text) for name, text in self.data.get("derived", {}).items()}

    def accepted(self, tensors: Tensors, uniform: Tensor) -> Tensor:
        """Which generated events are kept, (events,): a pure function of the events, finite, and of uniform noise."""
        if self.acceptance is None:
            return torch.ones(len(uniform), dtype=torch.bool)
        events = apply_derived(self.representation.unpack(tensors), self.derived, self.schema)
        kept = self.acceptance.accept(columns_of(events), uniform.double().numpy())
        return torch.from_numpy(kept)

    def bundle(self, scores: Mapping[str, Mapping[str, Any]] | None = None, dtype: str = "float32") -> Bundle:
        """The content of the bundle's files, with weights in ``dtype`` (float32 or float16) if there are generators."""
        parts = [asdict(part) for part in self.parts]
        config = {
            "task": "generate",
            "parts": parts,
            "dtype": dtype,
            "schema": self.schema.to_dict(),
            "recipe": self.recipe,
            "data": self.data,
            "acceptance": None if self.acceptance is None else self.acceptance.to_dict(),
        }
        validity = {
            "ranges": [asdict(one) for one in self.representation.validity],
            "names": list(self.representation.condition_names),
            "table": self.conditions.tolist(),
        }
        tensors: dict[str, Tensor] = {}
        for part in self.parts if self.generators else ():
            state = self.generators[part.stage].state_dict()
            for name in self.generators[part.stage].sampling_parameters():
                tensor = state[name]
                tensors[part.prefix + name] = tensor.to(getattr(torch, dtype)) if tensor.is_floating_point() else tensor
            for name, tensor in self._calibration_tensors(part.stage).items():
                tensors[part.prefix + name] = tensor
        return Bundle(
            config,
            {**self.representation.state(), "kind": self.representation.kind},
            self.provenance,
            validity,
            tensors if self.generators else None,
            write_card(self.recipe, parts, self.representation.validity, self.schema.names, self.provenance, scores),
        )

    def _calibration_tensors(self, stage: str) -> dict[str, Tensor]:
        """Named tensors of the calibration of a stage, always float32: a coarser knot would bend the distribution."""
        if stage not in self.calibrations:
            return {}
        return {_CALIBRATION + name: tensor for name, tensor in self.calibrations[stage].state_dict().items()}

    def save(
        self, folder: str | Path, *, scores: Mapping[str, Mapping[str, Any]] | None = None, dtype: str = "float32"
    ) -> None:
        """Write the bundle; the card holds ``scores`` where they are given.

        Raises:
            ModelError: if ``dtype`` is neither float32 nor float16.
            OutputError: if the file system refuses.
        """
        if dtype not in {"float32", "float16"}:
            raise ModelError(f"weights cannot be stored as '{dtype}'", hint="float32 or float16")
        bundle = self.bundle(scores, dtype)
        write_bundle(Path(folder), bundle)
        self.model_sha256 = bundle.model_sha256

    @classmethod
    def load(cls, path: str | Path, *, device: str = "cpu", message: Callable[[str], None] | None = None) -> Surrogate:
        """Read a bundle, or the bundle of a run folder; of an unfinished run the averaged weights of its checkpoints.

        Args:
            message: told once where the run is unfinished.

        Raises:
            ModelError: if there is no surrogate, or a file of it is damaged, or a stage has not begun.
        """
        folder = Path(path)
        if not folder.is_dir():
            raise ModelError("no such model", where=str(folder), hint="give a run folder or a bundle")
        draft = folder / "checkpoints" / DRAFT
        if (folder / "model").is_dir():
            bundle = read_bundle(folder / "model")
        elif (folder / "config.json").is_file():
            bundle = read_bundle(folder)
        elif draft.is_dir():
            bundle = _with_checkpoints(read_bundle(draft), folder, message or (lambda _: None))
        else:
            raise ModelError("no surrogate in this folder", where=str(folder), hint="has its training begun?")
        return cls.from_bundle(bundle, str(folder)).to(device)

    @classmethod
    def from_bundle(cls, bundle: Bundle, where: str = "") -> Surrogate:
        """The surrogate that the files of a bundle describe; without generators where they hold no weights.

        Raises:
            ModelError: if the weights do not fit the description.
        """
        config = bundle.config
        if config.get("task", "generate") != "generate":
            raise ModelError(
                f"this model has the task '{config['task']}': it generates no events",
                where=where,
                hint=f"apply it with 'hepgen {config['task']} {where} FILE -o OUT'",
            )
        representation = registry.from_state(bundle.representation)
        parts = [Part(**part) for part in config["parts"]]
        generators, calibrations = {}, {}
        for part in parts if bundle.tensors is not None else ():
            own = {
                name.removeprefix(part.prefix): tensor
                for name, tensor in (bundle.tensors or {}).items()
                if name.startswith(part.prefix)
            }
            generator = part.build()
            missing = set(generator.sampling_parameters()) - set(own)
            try:
                generator.load_state_dict(own, strict=False)
            except RuntimeError as error:
                missing.add(str(error).splitlines()[-1].strip())
            if missing:
                raise ModelError(
                    f"the weights of the stage '{part.stage}' do not fit its options: {min(missing)}",
                    where=where,
                    hint="copy the model anew, or use the version of hepgen that made it",
                )
            generators[part.stage] = frozen(generator)
            if _CALIBRATION + "made" in own:
                calibrations[part.stage] = Calibration(own[_CALIBRATION + "made"], own[_CALIBRATION + "true"])
        names = bundle.validity["names"]
        table = np.array(bundle.validity["table"], dtype=np.float64).reshape(len(bundle.validity["table"]), len(names))
        return cls(
            representation,
            parts,
            generators,
            Schema.from_dict(config["schema"]),
            config["recipe"],
            bundle.provenance,
            table,
            config["data"],
            bundle.model_sha256,
            calibrations,
            None if config.get("acceptance") is None else Acceptance.from_dict(config["acceptance"]),
        )


def _with_checkpoints(draft: Bundle, run: Path, message: Callable[[str], None]) -> Bundle:
    """The draft of a run with the averaged weights of its newest checkpoints."""
    store = CheckpointStore(run / "checkpoints", message)
    tensors: dict[str, Tensor] = {}
    steps = []
    for part in (Part(**one) for one in draft.config["parts"]):
        checkpoint = store.load(part.stage)
        if checkpoint is None:
            raise ModelError(
                f"the training of the stage '{part.stage}' has not come to its first checkpoint",
                where=str(run),
                hint="go on with 'hepgen train ... --resume'",
            )
        tensors.update({part.prefix + name: tensor for name, tensor in checkpoint.tensors["ema"].items()})
        if not checkpoint.state["done"]:
            steps.append(f"'{part.stage}' after {checkpoint.step} of {checkpoint.state['trainer']['steps']} steps")
    message(f"this run is not finished ({', '.join(steps) or 'no bundle yet'}): sampling with its averaged weights")
    return replace(draft, tensors=tensors)
