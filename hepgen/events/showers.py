"""Showers in the layouts of the CaloChallenge (arXiv:2410.21611) and of Geant4's example Par04.

Both are in MeV. The CaloChallenge numbers voxels by layer, angle and radius, the radius fastest; Par04 keeps a regular grid
(r, phi, z), z fastest.
"""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import awkward as ak
import numpy as np

from hepgen.errors import InputFileError
from hepgen.events.conversion import Conversion, Converted, energy_factor, left_out, refuse
from hepgen.events.hdf5 import CALO_TREE, INCIDENT, SHOWERS, VOXELS, Grid, par04_cells
from hepgen.events.schema import Column, Schema, is_identity
from hepgen.events.source import Array, NumberedBatch, record
from hepgen.physics.binning import Binning, Layer


def regular_grid(binning: Binning) -> Grid | None:
    """Numbers of cells (z, phi, r) of a binning whose layers are all alike, None where they are not.

    Example:
        >>> from hepgen.physics.binning import Layer
        >>> regular_grid(Binning((Layer(0, (0.0, 5.0, 9.0), 4), Layer(1, (0.0, 5.0, 9.0), 4))))
        (2, 4, 2)
    """
    rings = [layer for layer in binning.layers if isinstance(layer, Layer)]
    alike = len({(layer.num_alpha, layer.r_edges) for layer in rings}) == 1 and len(rings) == len(binning.layers)
    return (len(rings), rings[0].num_alpha, rings[0].num_r) if alike else None


def to_calochallenge(schema: Schema, *, unit: str = "") -> Conversion:
    """Showers in the layout of the CaloChallenge.

    Other numbers of an event, such as angles, become datasets beside them; lists and event numbers are left out.

    Args:
        schema: with ``incident_energy`` and an array ``voxel_energy`` of a fixed size, ordered as in the CaloChallenge.
        unit: of the energies, where the file does not say it; MeV where nothing does.

    Raises:
        InputFileError: if there are no such columns.
        UsageError: for a unit that is none.

    Example:
        >>> shower = (Column("event", "uint64"), Column("incident_energy", "float32"), Column("voxel_energy", "float32", (6,)))
        >>> conversion = to_calochallenge(Schema(shower), unit="GeV")
        >>> conversion.schema.names, conversion.dropped
        (('incident_energy', 'voxel_energy'), ('event',))
    """
    voxels = math.prod(_checked(schema, "the CaloChallenge").shape)
    return _showers(schema, "calochallenge", (VOXELS, (voxels,)), unit, None)


def to_par04(schema: Schema, grid: Grid | None, *, unit: str = "") -> Conversion:
    """Showers in the HDF5 layout of Par04, as its ``root2h5.py`` writes it.

    Args:
        schema: as for `to_calochallenge`.
        grid: numbers of cells (z, phi, r).
        unit: as for `to_calochallenge`.

    Raises:
        InputFileError: if there are no such columns, no grid, or one of another number of voxels.
        UsageError: for a unit that is none.

    Example:
        >>> shower = (Column("incident_energy", "float32"), Column("voxel_energy", "float32", (6480,)))
        >>> to_par04(Schema(shower), (45, 16, 9)).schema["showers"].shape
        (9, 16, 45)
    """
    column = _checked(schema, "Par04")
    voxels = math.prod(column.shape)
    if grid is None:
        raise InputFileError(
            f"Par04 keeps a grid of r, phi and z, and the file has {voxels} voxels in a row",
            where=f"column '{VOXELS}'",
            hint="give the binning with --binning; its layers must all be alike",
        )
    if math.prod(grid) != voxels:
        words = " x ".join(map(str, grid))
        raise InputFileError(
            f"the grid has {words} cells in z, phi and r, the showers {voxels}", where=f"column '{VOXELS}'"
        )
    z, phi, r = grid
    return _showers(schema, "par04", (SHOWERS, (r, phi, z)), unit, grid)


def holds_showers(schema: Schema) -> bool:
    """Whether a file of any format has showers: an incident energy, and an array of voxels of a fixed size.

    Example:
        >>> holds_showers(Schema((Column("incident_energy", "float32"), Column("voxel_energy", "float32", (368,)))))
        True
    """
    if INCIDENT not in schema or VOXELS not in schema:
        return False
    energy, voxels = schema[INCIDENT], schema[VOXELS]
    return not energy.jagged and energy.shape in {(), (1,)} and not voxels.jagged and bool(voxels.shape)


def find_showers(schema: Schema, binning: Binning | None) -> tuple[str, str | None]:
    """The columns of voxels and of what stands for the incident energy, by their names, or by the size of a binning.

    Args:
        schema: of the events.
        binning: of images whose column has any name; the incident energy is then the pt of the jet where there is one.

    Raises:
        InputFileError: if no column, or more than one, has the size of the binning.

    Example:
        >>> from hepgen.physics.binning import PixelLayer
        >>> grid = Binning((PixelLayer(0, (0.0, 1.0, 2.0), (0.0, 1.0)),))
        >>> find_showers(Schema((Column("pixels", "float32", (2, 1)), Column("jet_pt", "float32"))), grid)
        ('pixels', 'jet_pt')
    """
    if VOXELS in schema or binning is None:
        voxels = VOXELS
    else:
        images = [
            one.name
            for one in schema
            if one.shape and not one.jagged and math.prod(one.shape) == binning.num_voxels and one.dtype.startswith("f")
        ]
        if len(images) != 1:
            found = f"{len(images)} columns ({', '.join(images)})" if images else "no column"
            raise InputFileError(
                f"{found} of {binning.num_voxels} numbers, which the binning has voxels", where=f"tree '{schema.tree}'",
                hint="name the column as representation.voxels in a recipe" if images else "give the binning of this file",
            )  # fmt: skip
        voxels = images[0]
    scalars = {one.name for one in schema if not one.jagged and one.shape in {(), (1,)}}
    return voxels, next((name for name in (INCIDENT, "jet_pt", "fatjet_pt", "pt") if name in scalars), None)


def energy_unit(schema: Schema, voxels: str, energy: str | None, given: str | None) -> str:
    """The unit of the energies: that of the file, else that of the recipe, else MeV.

    Raises:
        InputFileError: if the units of voxels and incident energy differ, from each other or from that of the recipe.

    Example:
        >>> energy_unit(Schema((Column("image", "float32", (4,)), Column("pt", "float32", unit="GeV"))), "image", "pt", None)
        'GeV'
    """
    known = {name: schema[name].unit for name in (voxels, energy) if name is not None and schema[name].unit}
    if given is not None:
        known["energy_unit"] = given
    if len(set(known.values())) > 1:
        words = " and ".join(f"'{name}' in {unit}" for name, unit in known.items())
        raise InputFileError(
            f"{words}: not one unit", where=f"tree '{schema.tree}'", hint="bring both to one unit first"
        )
    return next(iter(known.values()), "MeV")


def _checked(schema: Schema, target: str) -> Column:
    """The column of voxels.

    Raises:
        InputFileError: if the schema is not that of showers.
    """
    if not holds_showers(schema):
        raise refuse(schema, target, f"'{INCIDENT}' and an array '{VOXELS}' of a fixed size for each shower")
    return schema[VOXELS]


def _showers(
    schema: Schema, convention: str, cells: tuple[str, tuple[int, ...]], unit: str, grid: Grid | None
) -> Conversion:
    name, shape = cells
    factors: dict[str, float] = {}
    notes: list[str] = []
    for one in (INCIDENT, VOXELS):
        factors[one], note = energy_factor(schema[one].unit, unit, "MeV", one)
        notes += note
    counters = {column.counter for column in schema if column.jagged}
    further = [
        column
        for column in schema
        if not column.jagged and column.name not in {INCIDENT, VOXELS, SHOWERS, *counters} and not is_identity(column)
    ]
    written = (
        Column(INCIDENT, _float(schema[INCIDENT]), unit="MeV"),
        Column(name, _float(schema[VOXELS]), shape, unit="MeV"),
        *(dataclasses.replace(column, counter=None) for column in further),
    )

    def apply(batch: NumberedBatch) -> Converted:
        found = {column.name: batch.events[column.name] for column in further}
        found[INCIDENT] = _scaled(batch.events[INCIDENT], factors[INCIDENT]).reshape(len(batch))
        voxels = _scaled(batch.events[VOXELS], factors[VOXELS]).reshape(len(batch), -1)
        found[name] = voxels if grid is None else par04_cells(voxels, grid)
        return Converted(record({column.name: found[column.name] for column in written}, len(batch)))

    kept = {INCIDENT, VOXELS, *(column.name for column in further)}
    return Conversion(
        Schema(written, tree=CALO_TREE, format="hdf5", convention=convention),
        tuple(column.name for column in schema if column.name in kept),
        apply,
        left_out(schema, kept),
        "a file of showers has one row of numbers for each, without its number",
        tuple(notes),
    )


def _float(column: Column) -> str:
    return column.dtype if column.dtype in {"float32", "float64"} else "float64"


def _scaled(values: Any, factor: float) -> Array:
    found = np.asarray(ak.to_numpy(values))
    return found if factor == 1 else found * factor
