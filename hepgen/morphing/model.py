"""A trained map between two samples, or weights of one: what ``task: morph`` leaves and ``hepgen morph`` takes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from hepgen.events.schema import Schema
from hepgen.generators.networks.packing import frozen
from hepgen.morphing.base import CloudTransport, Method, Transport, build_method
from hepgen.morphing.bundles import inputs_of, open_bundle, stored_weights, weights_of
from hepgen.morphing.quantities import QuantityRange
from hepgen.morphing.separation import Separation
from hepgen.morphing.space import STAGE, JoinedSpace
from hepgen.representations import registry
from hepgen.representations.base import Representation
from hepgen.surrogate.bundle import Bundle, write_bundle

PREFIX, CLOUDS = f"{STAGE}.0.0.", "clouds.0.0."
_SIZES = ("features", "conditions", "points")
TASK = "morph"


@dataclass
class MorphModel:
    """A representation that was fitted on two samples, and a method between them.

    Attributes:
        representation: fitted.
        method: in evaluation mode.
        options: of the method, plain values.
        schema: columns of the source that were learned, conditions among them.
        recipe: resolved, plain values.
        provenance: see ``hepgen.surrogate.provenance``.
        facts: plain values: ``ranges`` (by side and column), ``quantities`` (by side, of arrays and lists), ``derived`` (expressions by column), ``split``, ``cut`` (of
            each side, with helpers), what a weighting needs, and ``held_out`` (a ``Separation``).
        clouds: what moves the constituents of events that the method has moved; None where they have none.
    """

    representation: Representation
    method: Method
    options: dict[str, Any]
    schema: Schema
    recipe: dict[str, Any]
    provenance: dict[str, Any]
    facts: dict[str, Any] = field(default_factory=dict)
    model_sha256: str = ""
    clouds: CloudTransport | None = None

    @property
    def space(self) -> JoinedSpace:
        return JoinedSpace(self.representation)

    @property
    def block_size(self) -> int:
        """Events per block, the unit of random numbers."""
        return int(self.recipe["block_size"])

    @property
    def moves(self) -> bool:
        """Whether events are moved; if not, they are weighted."""
        return isinstance(self.method, Transport)

    @property
    def invertible(self) -> bool:
        """Whether there is a way from the target to the source."""
        events = isinstance(self.method, Transport) and self.method.invertible
        return events and (self.clouds is None or self.clouds.invertible)

    @property
    def moved(self) -> tuple[str, ...]:
        """Columns whose values change: neither conditions nor columns of one value."""
        facts = getattr(self.representation, "columns", ())
        still = {*self.representation.condition_names, *(one.name for one in facts if one.kind == "constant")}
        return tuple(name for name in self.schema.names if name not in still)

    @property
    def held_out(self) -> Separation | None:
        """How well held-out events were told from the target when the training ended; None where nobody looked."""
        found = self.facts.get("held_out")
        return None if found is None else Separation.from_dict(found)

    @property
    def device(self) -> torch.device:
        for parameter in self.method.parameters():
            return parameter.device
        return torch.device("cpu")

    def bundle(self) -> Bundle:
        """The content of the bundle's files."""
        config = {
            "task": TASK,
            "method": self.method.method,
            "options": self.options,
            "features": self.method.features,
            "conditions": self.method.conditions,
            "clouds": None if self.clouds is None else {name: getattr(self.clouds, name) for name in _SIZES},
            "schema": self.schema.to_dict(),
            "recipe": self.recipe,
            "facts": self.facts,
        }
        tensors = weights_of(self.method, PREFIX)
        if self.clouds is not None:
            tensors |= weights_of(self.clouds, CLOUDS)
        state = {**self.representation.state(), "kind": self.representation.kind}
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
    def load(cls, path: str | Path, *, device: str = "cpu") -> MorphModel:
        """Read a bundle, or the bundle of a run folder.

        Raises:
            ModelError: if there is none, or it is of another task, or a file of it is damaged.
        """
        bundle = open_bundle(path, TASK)
        config = bundle.config
        method = build_method(config["method"], config["features"], config["conditions"], config["options"])
        method.load(stored_weights(bundle, method, PREFIX, str(path)))
        return cls(
            registry.from_state(bundle.representation),
            frozen(method).to(device),
            config["options"],
            Schema.from_dict(config["schema"]),
            config["recipe"],
            bundle.provenance,
            config["facts"],
            bundle.model_sha256,
            _stored_clouds(bundle, str(path), device),
        )

    def _card(self) -> str:
        """Markdown of the card."""
        training: Mapping[str, Any] = self.provenance.get("training", {})
        verb = "moves" if self.moves else "weights"
        ranges = self.facts.get("ranges", {}).get("source", {})
        quantities = map(QuantityRange.from_dict, self.facts.get("quantities", {}).get("source", ()))
        units = {column.name: column.unit for column in self.schema}
        lines = [
            f"# {self.recipe['name']}",
            "",
            f"A hepgen morph (method {self.method.method}): it {verb} events of the source so that they look like the target.",
            "`hepgen morph MODEL SOURCE -o OUT` applies it.",
            "",
            "## Columns",
            "",
            *(
                f"- `{name}`: {ranges[name][0]:g} to {ranges[name][1]:g} {units[name]}".rstrip() if name in ranges
                else f"- `{name}`"
                for name in self.schema.names
            ),
            *(f"- {one.quantity}: {one.low:g} to {one.high:g}" for one in quantities),
            "",
            f"Conditions, not moved: {', '.join(f'`{n}`' for n in self.representation.condition_names) or 'none'}.",
            "",
            "## Training",
            "",
            f"- {training.get('source_events', '?')} events of the source, {training.get('target_events', '?')} of the target",
            *inputs_of(self.provenance),
            "",
            "## Held-out events",
            "",
            *_judged(self.held_out),
            *_closed(self.facts.get("closure")),
        ]  # fmt: skip
        return "\n".join(lines) + "\n"


def _closed(found: Mapping[str, Any] | None) -> list[str]:
    """Lines of the card: what a closure test said."""
    if found is None:
        return []
    return ["", "## Closure test", "", "Learned from one half of the source to the other.", "", *found["words"]]


def _judged(found: Separation | None) -> list[str]:
    """Lines of the card: a table of AUC, and what is to be said of them."""
    if found is None or found.before is None or found.after is None or found.floor is None:
        return [found.words()[0] if found is not None else "They were not judged."]
    rows = [
        (f"source, {found.verb}", found.after, found.events),
        ("source, as it is", found.before, found.events),
        ("target against itself", found.floor, found.floor_events),
    ]
    table = [f"| {name} | {area.value:.4f} | {area.error:.4f} | {events} |" for name, area, events in rows]
    remarks = [*found.remarks(), *([f"**{found.warning}**"] if found.warning else [])]
    return [
        f"Trees tell them from those of the target by {found.seen}:",
        "",
        "| events | AUC | error | events a side |",
        "|---|---|---|---|",
        *table,
        *([""] if remarks else []),
        *remarks,
    ]


def _stored_clouds(bundle: Bundle, where: str, device: str) -> CloudTransport | None:
    sizes = bundle.config.get("clouds")
    if sizes is None:
        return None
    clouds = build_method(bundle.config["method"], options=bundle.config["options"], **sizes)
    if not isinstance(clouds, CloudTransport):
        raise TypeError(f"the method '{clouds.method}' moves no clouds")
    clouds.load(stored_weights(bundle, clouds, CLOUDS, where))
    return frozen(clouds).to(device)
