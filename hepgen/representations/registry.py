"""The kinds of representations by the name that a recipe gives them."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from hepgen.errors import ModelError, suggest
from hepgen.events.schema import Schema
from hepgen.representations.base import Representation
from hepgen.representations.geometry import read_binning

KINDS = {
    "calorimeter": "hepgen.representations.calorimeter:CalorimeterRepresentation",
    "particle_cloud": "hepgen.representations.particle_cloud:ParticleCloudRepresentation",
    "table": "hepgen.representations.table:TableRepresentation",
}


def find_kind(name: str) -> Any:
    """The class of a kind.

    Raises:
        ModelError: if no such kind is known, as in a bundle of a later version.
    """
    if name not in KINDS:
        raise ModelError(f"no representation '{name}'", hint=suggest(name, KINDS) or f"known: {', '.join(KINDS)}")
    module, _, attribute = KINDS[name].partition(":")
    return getattr(importlib.import_module(module), attribute)


def build(options: Mapping[str, Any], schema: Schema, base: Path | None = None) -> Representation:
    """An unfitted representation from the ``representation`` of a recipe.

    Args:
        options: what the recipe says, with its ``kind``.
        schema: of the events that it will represent.
        base: folder that a relative path in the options is relative to.
    """
    options = dict(options)
    if "binning" in options and not isinstance(options["binning"], Mapping):
        path = Path(options["binning"])
        options["binning"] = read_binning(path if base is None else base / path, options.get("particle")).to_dict()
    built: Representation = find_kind(options["kind"]).build(options, schema)
    return built


def from_state(state: dict[str, Any]) -> Representation:
    """A fitted representation from its ``state``."""
    restored: Representation = find_kind(str(state.get("kind"))).from_state(state)
    return restored
