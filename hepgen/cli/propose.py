"""A recipe for a file that was only just looked at: what ``hepgen inspect --config`` prints."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from hepgen.config.load import parse_recipe
from hepgen.config.yaml import format_yaml
from hepgen.errors import UsageError
from hepgen.events.candidates import find_links
from hepgen.events.jets import JetColumns, find_jets
from hepgen.events.schema import Column, Schema, is_identity
from hepgen.events.showers import energy_unit, find_showers
from hepgen.events.summary import ColumnSummary, Description
from hepgen.physics.binning import Binning

_NUMBERS_OF_EVENTS = {"run", "luminosityblock", "lumi", "lumiblock", "event", "eventnumber", "runnumber", "evt"}
#: Charges have no direction; what follows from the momenta turns with them.
_TURNS_ALONG = re.compile(
    r"charge|(^|_)q$|d(elta)?_?(eta|phi|r)$|(eta|phi|pt|e|energy)_?rel$|log|p[xyz]$", re.IGNORECASE
)
_MANY_ELEMENTS = 64
#: By falling certainty, capitals and underscores aside.
_WEIGHTS = ("weight", "genweight", "mcweight", "eventweight", "evtweight", "weights", "wgt", "w")
_FEW_COLUMNS = 3
_FEW_TYPES = 16


def propose_recipe(
    files: Sequence[str], described: Description, binning: str | None, tree: str | None, geometry: Binning | None = None
) -> str:
    """The text of a recipe that ``hepgen train`` accepts as it is.

    Args:
        files: the inputs as they were given; written as absolute paths, because the recipe may go anywhere.
        described: what one pass over them found.
        binning: path of the binning of a calorimeter, where one was given.
        tree: the tree that was chosen, where the file has several.
        geometry: what stands in the binning.

    Raises:
        UsageError: if these are showers and no binning was given, or there is no column to learn.
    """
    schema = described.schema
    data: dict[str, Any] = {"files": [absolute(name) for name in files]}
    if tree is not None:
        data["tree"] = tree
    stem = re.split(r"\.\w+(?=:|$)", Path(files[0].lstrip("@")).name)[0]
    if is_shower(schema, binning):
        representation, notes = calorimeter(schema, binning, geometry), units_of(schema, geometry)
        if geometry is not None and geometry.num_layers == 1 and geometry.has_pixels:
            return write_recipe(stem, {"data": data, **_image(representation)}, notes)
    elif find_jets(schema) is not None:
        return write_recipe(stem, *_jets(described, data))
    else:
        chosen, notes = _table(described)
        data.update(chosen)
        representation = {"kind": "table"}
    further = {"training": {"calibrate": True}} if representation["kind"] == "table" else {}
    return write_recipe(
        stem, {"data": data, "representation": representation, "generator": "coupling", **further}, notes
    )


def is_shower(schema: Schema, binning: str | None) -> bool:
    """Whether these are showers in voxels."""
    return schema.convention in {"calochallenge", "par04"} or binning is not None


def write_recipe(stem: str, content: dict[str, Any], notes: Sequence[str]) -> str:
    """The text of a recipe, checked, under a comment that says where it comes from."""
    name = re.sub(r"[^\w-]+", "-", stem).strip("-") or "surrogate"
    recipe = {"schema_version": 1, "name": name, **content}
    parse_recipe(recipe)
    head = ["printed by `hepgen inspect --config`; `hepgen config schema` lists every key", *notes]
    return "".join(f"# {line}\n" for line in head) + format_yaml(recipe)


def units_of(schema: Schema, geometry: Binning | None) -> list[str]:
    """The units of showers, as a note."""
    voxels, energy = find_showers(schema, geometry)
    length = "mm" if geometry is None else geometry.length_unit
    stated = any(schema[name].unit for name in (voxels, energy) if name is not None)
    words = f"energies in {energy_unit(schema, voxels, energy, None)}"
    if not stated:
        words += ", which the file does not say: representation.energy_unit sets another one"
    return [words + (f"; lengths in {length}" if length else "")]


def calorimeter(schema: Schema, binning: str | None, geometry: Binning | None) -> dict[str, Any]:
    """What a recipe says of showers, or of images."""
    if binning is None:
        raise UsageError(
            "a recipe for showers needs the binning, which the file does not hold",
            where=f"tree '{schema.tree}' ({schema.convention})",
            hint="give --binning with the XML of the CaloChallenge schema, or a YAML of layers, r_edges and num_alpha",
        )
    voxels, energy = find_showers(schema, geometry)
    further = [
        column.name
        for column in schema
        if column.name not in {voxels, energy, "SimTime"}
        and not (column.jagged or column.shape)
        and not numbers_events(column)
    ]
    representation: dict[str, Any] = {"kind": "calorimeter", "binning": str(Path(binning).absolute())}
    if voxels != "voxel_energy":
        representation["voxels"] = voxels
    if energy != "incident_energy":
        representation["energy"] = energy
    return {**representation, "conditions": further} if further else representation


def _image(representation: dict[str, Any]) -> dict[str, Any]:
    """What configs/jet_images.yaml says of images, for any grid of pixels; of their symmetries the user knows."""
    return {
        "representation": {**representation, "layer_noise": 0, "empty": "apart", "shape_first": True},
        "generator": "matching",
        "options": {"matching": {"layers": 4, "hidden": 256, "per_feature": 32}},
        "stages": {
            "energies": {
                "generator": "coupling", "share": 0.1,
                "options": {"coupling": {"layers": 8, "hidden": [64, 64], "bins": 16}},
            }
        },
        "training": {"batch_size": 128, "learning_rate": 1.0e-3, "clip": 50},
    }  # fmt: skip


def _jets(described: Description, data: dict[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """What a recipe says of jets with constituents, and what a reader should know about the choice."""
    columns = find_jets(described.schema)
    lists = described.counters
    weight = weight_of(described.schema)
    if weight is not None:
        data["weight"] = weight
    left_out = []
    conditions = []
    for summary in described.columns:
        column = summary.column
        if column.name == weight or column.name in lists or (columns is not None and column.name in columns.names):
            continue
        of_constituents = column.jagged and not column.shape
        if numbers_events(column) or not (of_constituents or not column.shape) or not _has_numbers(summary):
            left_out.append(column.name)
        elif not column.jagged and summary.distinct is not None and 1 < len(summary.distinct) <= _FEW_TYPES:
            conditions.append(column.name)
    if columns is not None and columns.jet_pt:
        conditions.append(columns.jet_pt)
    if left_out:
        data["columns"] = ["*", *(f"!{name}" for name in left_out)]
    notes = ["one row is one jet; jets are made with the numbers of `conditions` that sampling is given"]
    representation: dict[str, Any] = {"kind": "particle_cloud", "prongs": 3}
    signed = [one.column.name for one in described.columns if _is_directed(one, columns)]
    if signed:
        notes.append(f"no `augment`: a jet that is turned would have other signs of {', '.join(signed)}")
    else:
        representation["augment"] = ["reflection", "rotation"]
    if conditions:
        representation["conditions"] = conditions
    # what configs/jets.yaml says
    network = {
        "network": "transformer",
        "layers": 4,
        "hidden": 64,
        "heads": 2,
        "waves": 4,
        "solver": "midpoint",
        "steps": 5,
    }
    first = {"batch_size": 512, "learning_rate": 1.0e-3, "calibrate": True, "max_epochs": 100}
    flow = {"coupling": {"layers": 8, "hidden": [64, 64], "bins": 10}}
    stages = {"jet": {"generator": "coupling", "options": flow, "share": 0.05, "training": first}}
    training = {"batch_size": 32, "learning_rate": 2.0e-3, "ema": 0.999, "validate_every": 1000}
    content = {
        "data": data, "representation": representation, "generator": "matching", "options": {"matching": network},
        "stages": stages,
    }  # fmt: skip
    return {**content, "training": training}, notes


def _is_directed(one: ColumnSummary, columns: JetColumns | None) -> bool:
    """Whether a number of the constituents has a sign that says a direction, such as a displacement."""
    column = one.column
    known = columns is not None and column.name in columns.names
    real = column.jagged and not column.shape and np.dtype(column.dtype).kind == "f"
    return real and not known and not _TURNS_ALONG.search(column.name) and one.low < 0 < one.high


def weight_of(schema: Schema) -> str | None:
    """The column that holds the weights of the events, by its name, None where there is none.

    Example:
        >>> weight_of(Schema((Column("x", "float32"), Column("genWeight", "float32"))))
        'genWeight'
    """
    names = {one.name.lower().replace("_", ""): one.name for one in schema if not one.jagged and not one.shape}
    return next((names[name] for name in _WEIGHTS if name in names), None)


def _table(described: Description) -> tuple[dict[str, Any], list[str]]:
    """The ``data`` of a table, and what a reader should know about the choice."""
    schema = described.schema
    counters = described.counters
    learned = [
        summary.column.name
        for summary in described.columns
        if not summary.column.jagged
        and math.prod(summary.column.shape) <= _MANY_ELEMENTS
        and summary.column.name not in counters
        and not numbers_events(summary.column)
        and _has_numbers(summary)
    ]
    objects = Counter(
        summary.column.name.split("_")[0]
        for summary in described.columns
        if _is_member(summary) and "_" in summary.column.name
    )
    if objects and (schema.convention == "nanoaod" or len(learned) < _FEW_COLUMNS):
        return _objects(described, objects)
    weight = weight_of(schema.replace(column for column in schema if column.name in learned))
    if not set(learned) - {weight}:
        raise UsageError(
            "no column of numbers to learn", where=f"tree '{schema.tree}'", hint="choose another tree: FILE:TREE"
        )
    data: dict[str, Any] = {} if weight is None else {"weight": weight}
    notes = []
    kept = [column.name for column in schema if column.name in learned or is_identity(column)]
    left_out = [name for name in schema.names if name not in kept]
    if left_out:
        exclusions = ["*", *(f"!{name}" for name in _short(left_out, kept))]
        data["columns"] = exclusions if len(exclusions) <= len(kept) else kept
        notes.append("left out: event numbers, counters, lists, and columns without a finite value")
    arrays = [
        one.name for one in schema if one.name in left_out and not one.jagged and math.prod(one.shape) > _MANY_ELEMENTS
    ]
    if arrays:
        notes.append(f"images and showers ({', '.join(arrays)}) are learned with their --binning")
    if objects:
        notes.append(f"to learn objects instead of events: objects: {objects.most_common(1)[0][0]}")
    return data, notes


def _objects(described: Description, objects: Counter[str]) -> tuple[dict[str, Any], list[str]]:
    """Object mode: the collection that most analyses begin with, else the one with most columns."""
    collection = next((name for name in ("Jet", "Muon", "Electron") if objects[name] > 1), objects.most_common(1)[0][0])
    family = [one for one in described.columns if one.column.name.startswith(f"{collection}_")]
    odd = [one.column.name for one in family if not _is_member(one)]
    notes = [f"object mode: every element of {collection}_* is one training row, the output is nested again"]
    if links := find_links(described.schema):
        first = next(iter(links))
        notes.append(f"for {first} with its candidates: objects: {first} and representation: {{kind: particle_cloud}}")
    others = sorted(name for name in objects if name != collection)
    if others:
        notes.append(f"other collections of this file: {', '.join(others[:12])}")
    return {"columns": [f"{collection}_*", *(f"!{name}" for name in odd)], "objects": collection}, notes


def _is_member(summary: ColumnSummary) -> bool:
    """Whether a column can be learned as one of a collection."""
    return summary.column.jagged and not summary.column.shape and _has_numbers(summary)


def _has_numbers(summary: ColumnSummary) -> bool:
    """Whether there is something to learn; an empty file holds no values and is refused by the training."""
    return summary.values == 0 or summary.low <= summary.high


def numbers_events(column: Column) -> bool:
    return is_identity(column) or column.name.lower() in _NUMBERS_OF_EVENTS


def _short(names: Sequence[str], kept: Sequence[str]) -> list[str]:
    """Names to leave out, a whole family ``Muon_*`` as one pattern where nothing that is kept begins like it.

    Example:
        >>> _short(["nMuon", "Muon_pt", "Muon_eta"], ["met"])
        ['nMuon', 'Muon_*']
    """
    prefixes = Counter(name.split("_")[0] for name in names if "_" in name)
    short: dict[str, None] = {}
    for name in names:
        prefix = name.split("_")[0]
        whole = prefixes[prefix] > 1 and not any(other.startswith(f"{prefix}_") for other in kept)
        short[f"{prefix}_*" if whole and "_" in name else name] = None
    return list(short)


def absolute(name: str) -> str:
    if "://" in name:
        return name
    mark, path = ("@", name[1:]) if name.startswith("@") else ("", name)
    return mark + str(Path(path).expanduser().absolute())
