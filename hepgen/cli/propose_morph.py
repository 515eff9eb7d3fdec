"""A recipe between two files that were only just looked at: what ``hepgen inspect SOURCE --morph-to TARGET --config`` prints."""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from typing import Any

import numpy as np

from hepgen.cli.propose import absolute, calorimeter, is_shower, numbers_events, units_of, weight_of, write_recipe
from hepgen.errors import UsageError
from hepgen.events.jets import find_jets
from hepgen.events.showers import find_showers
from hepgen.events.summary import ColumnSummary, Description
from hepgen.physics.binning import Binning
from hepgen.runs.pairs import refuse_turns, refuse_units

METHOD = "flows_for_flows"


def propose_morph(
    source: Sequence[str],
    target: Sequence[str],
    ours: Description,
    theirs: Description,
    binning: str | None,
    geometry: Binning | None = None,
) -> str:
    """The text of a recipe with ``task: morph`` that ``hepgen train`` accepts as it is.

    Args:
        source, target: the inputs as they were given; written as absolute paths.
        ours, theirs: what one pass over them found.
        binning: path of the binning of a calorimeter, where one was given.
        geometry: what stands in it.

    Raises:
        UsageError: if the two have no column in common that could be moved.
        InputFileError: if a column has another unit in the target, or another convention of an azimuth.
    """
    sides: dict[str, dict[str, Any]] = {
        "source": {"files": [absolute(name) for name in source]},
        "target": {"files": [absolute(name) for name in target]},
    }
    for side, described in zip(sides.values(), (ours, theirs), strict=True):
        weight = weight_of(described.schema)
        if weight is not None:
            side["weight"] = weight
    notes = [f"`hepgen config methods` lists what can stand in the place of {METHOD}"]
    content: dict[str, Any] = {"task": "morph", **sides}
    if is_shower(ours.schema, binning):
        voxels = find_showers(ours.schema, geometry)[0]
        if not is_shower(theirs.schema, binning) or voxels not in theirs.schema:
            raise UsageError(
                "the target has no such showers", where="--morph-to", hint="name showers of the same binning"
            )
        sizes = [side.schema[voxels].shape for side in (ours, theirs)]
        if sizes[0] != sizes[1]:
            raise UsageError(
                f"'{voxels}' has the shape {sizes[0]} in the source and {sizes[1]} in the target", where="--morph-to",
                hint="both samples need showers of one binning",
            )  # fmt: skip
        content["representation"] = calorimeter(ours.schema, binning, geometry)
        shared = _shared(content["representation"].pop("conditions", []), ours, theirs)
        if shared:
            content["representation"]["conditions"] = shared
        notes += ["events keep their incident energy", *units_of(ours.schema, geometry)]
        return write_recipe("morph", {**content, "method": "matching"}, notes)
    other = {one.column.name: one for one in theirs.columns}
    counters = ours.counters | theirs.counters
    weights = {side["weight"] for side in sides.values() if "weight" in side}
    taken = [
        one.column.name
        for one in ours.columns
        if one.column.name not in weights and _moves(one, other.get(one.column.name), counters)
    ]
    for one in ours.columns:
        if one.column.name in taken:
            refuse_units(one.column, other[one.column.name].column, "--morph-to")
            refuse_turns(one.column.name, *(np.array([side.low, side.high]) for side in (one, other[one.column.name])))
    apart = [one for one in ours.columns if one.column.name in taken and _apart(one, other[one.column.name])]
    for one in apart:
        two = other[one.column.name]
        spans = f"{one.low:g} to {one.high:g} in the source, {two.low:g} to {two.high:g} in the target"
        notes.append(f"not moved, since the samples have nothing in common in it: {one.column.name} ({spans})")
        taken.remove(one.column.name)
    if not taken:
        raise UsageError(
            "the two samples have no column in common that could be moved", where="--morph-to",
            hint="their columns must have the same names",
        )  # fmt: skip
    left = [name for name in (*ours.schema.names, *(one.name for one in ours.copied)) if name not in taken]
    if left:
        notes.append(f"copied, not moved: {', '.join(left[:12])}{' ...' * (len(left) > 12)}")
    notes.append(
        "columns that shall stay as they are, and that the map depends on, are named in representation.conditions"
    )
    if find_jets(ours.schema) is not None:
        notes.append(
            "to move the constituents of the jets, too: representation: {kind: particle_cloud}, method: matching, and "
            "their lists among the columns; see docs/morphing.md"
        )
    content.update(columns=taken, representation={"kind": "table"}, method=METHOD)
    return write_recipe("morph", content, notes)


def _shared(names: Sequence[str], ours: Description, theirs: Description) -> list[str]:
    """Those of the columns that both samples have, and whose ranges meet and are not one value."""
    sides = [{one.column.name: one for one in side.columns} for side in (ours, theirs)]
    found = []
    for name in names:
        spans = [(side[name].low, side[name].high) for side in sides if name in side]
        low, high = max(one[0] for one in spans), min(one[1] for one in spans)
        if len(spans) == len(sides) and low < high:
            found.append(name)
    return found


def _apart(one: ColumnSummary, other: ColumnSummary) -> bool:
    """Whether all values of a column lie above those of the other sample, or below."""
    return one.high < other.low or other.high < one.low


def _moves(one: ColumnSummary, other: ColumnSummary | None, counters: Collection[str | None]) -> bool:
    """Whether a column is a number an event that both samples have and that varies in both."""
    if other is None or one.column.jagged or one.column.shape or other.column.jagged or other.column.shape:
        return False
    if numbers_events(one.column) or one.column.name in counters:
        return False
    return all(math.isfinite(side.low) and side.low < side.high for side in (one, other))
