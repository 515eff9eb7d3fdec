"""The binning of a file or a recipe, and whether it is that of the showers."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from hepgen.errors import ConfigError, InputFileError, suggest_or_list
from hepgen.events.hdf5 import VOXELS
from hepgen.events.schema import Schema
from hepgen.physics.binning import Binning


def read_binning(source: str | Path | Mapping[str, Any], particle: str | None = None) -> Binning:
    """The binning in a CaloChallenge XML, in a YAML file, or given in place.

    Raises:
        InputFileError: if there is no such file.
        ConfigError: if its content is not a binning.

    Example:
        >>> read_binning({"layers": [{"r_edges": [0, 5, 10], "num_alpha": 4}]}).num_voxels
        8
    """
    if isinstance(source, Mapping):
        return Binning.from_dict(source)
    path = Path(source)
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        beside = sorted(one.name for one in path.parent.glob("*") if one.suffix in {".xml", ".yaml", ".yml"})
        hint = suggest_or_list(path.name, beside) if beside else "a relative path counts from the folder of the recipe"
        raise InputFileError(f"cannot read the binning: {error.strerror}", where=str(path), hint=hint) from error
    except UnicodeDecodeError as error:
        raise ConfigError("a binning is a text file, XML or YAML", where=str(path)) from error
    if text.lstrip().startswith("<"):
        return Binning.from_xml(text, particle, where=str(path))
    try:
        state = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise ConfigError(f"neither XML nor YAML: {error}", where=str(path)) from error
    if not isinstance(state, Mapping):
        raise ConfigError("a YAML binning is a mapping with 'layers'", where=str(path))
    return Binning.from_dict(state, where=str(path))


def check_voxels(schema: Schema, geometry: Binning | None, where: str, voxels: str = VOXELS) -> None:
    """Refuse a binning that has another number of voxels than the showers, or pixels of an image in another order.

    Args:
        schema: of the events.
        geometry: the binning, where there is one.
        where: the file, for messages.
        voxels: the column.

    Raises:
        InputFileError: with both numbers.

    Example:
        >>> from hepgen.events.schema import Column
        >>> grid = read_binning({"pixels": {"x_edges": [0, 1, 2], "y_edges": [0, 1]}})
        >>> check_voxels(Schema((Column("image", "float32", (1, 2)),)), grid, "jets.root", "image")
        Traceback (most recent call last):
        hepgen.errors.InputFileError: 'image' has shape (1, 2), the binning 2 x 1 pixels (jets.root): the first axis of an image is x, the second y
    """
    if geometry is None or voxels not in schema:
        return
    shape = schema[voxels].shape
    if schema[voxels].jagged or math.prod(shape) != geometry.num_voxels:
        found = "lists" if schema[voxels].jagged else f"{math.prod(shape)} voxels"
        raise InputFileError(
            f"the showers have {found}, the binning has {geometry.num_voxels} voxels",
            where=f"'{voxels}' of {where}", hint="give the binning of this file",
        )  # fmt: skip
    for layer in geometry.layers if geometry.has_pixels else ():
        if len(shape) > 1 and shape[-2:] != layer.shape:
            raise InputFileError(
                f"'{voxels}' has shape {shape}, the binning {' x '.join(map(str, layer.shape))} pixels",
                where=where, hint="the first axis of an image is x, the second y",
            )  # fmt: skip
