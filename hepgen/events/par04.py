"""ROOT files of the Geant4 example Par04: ntuples ``global`` and ``virtualReadout``, one row per shower each.

``global`` holds ``EnergyMC`` (MeV) and ``SimTime``; ``virtualReadout`` holds one list per shower of the cells that were
hit, ``EnergyCell`` (MeV) and their indices ``rhoCell``, ``phiCell``, ``zCell`` (Par04RunAction.cc, Geant4 11).
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import replace

import awkward as ak
import numpy as np

from hepgen.errors import InputFileError
from hepgen.events.copied import CopiedColumn
from hepgen.events.hdf5 import CALO_TREE, INCIDENT, VOXELS, Grid
from hepgen.events.schema import Column, Schema
from hepgen.events.source import Array, record
from hepgen.events.ttree import TTreeFile

_AXES = ("zCell", "phiCell", "rhoCell")
_CELLS = "EnergyCell"


def is_par04(trees: Collection[str]) -> bool:
    """Whether the trees of a file are those of Par04, by their names."""
    return {"global", "virtualReadout"} <= set(trees)


class Par04File:
    """One Par04 ROOT file as the canonical columns ``incident_energy`` and ``voxel_energy`` (z, phi, r; r fastest).

    Args:
        path: the file.
        grid: numbers of cells (z, phi, r); None looks through the file for the largest index of each.

    Raises:
        InputFileError: if the two ntuples do not belong together, or a cell lies outside the grid.
    """

    def __init__(self, path: str, grid: Grid | None = None, memory: int = 32 << 20) -> None:
        self.path = path
        self._showers, self._cells = TTreeFile(path, "global"), TTreeFile(path, "virtualReadout")
        self.num_entries = self._showers.num_entries
        if self._cells.num_entries != self.num_entries:
            raise InputFileError(
                f"{self.num_entries} rows in 'global' and {self._cells.num_entries} in 'virtualReadout'", where=path
            )
        for tree, name in ((self._showers, "EnergyMC"), *((self._cells, name) for name in (*_AXES, _CELLS))):
            if name not in tree.schema:
                raise InputFileError(f"no branch '{name}'", where=f"{path}, tree '{tree.schema.tree}'")
        self._given = grid is not None
        self._memory = memory
        self.grid = grid if grid is not None else self._find_grid()
        self.copied: tuple[CopiedColumn, ...] = ()
        self.skipped: Mapping[str, str] = {**self._showers.skipped, **self._cells.skipped}
        for one in (*self._showers.copied, *self._cells.copied):
            self.skipped[one.name] = f"type {one.stored_as}, which is no part of a shower"
        self._further = [name for name in self._showers.schema.names if name != "EnergyMC"]
        self._describe()

    def with_grid(self, grid: Grid) -> Par04File:
        """The same file on a larger grid, found among several files."""
        self.grid = grid
        self._describe()
        return self

    def _describe(self) -> None:
        stored = f"cells of a grid {self.grid} in z, phi, rho"
        columns = (
            Column(INCIDENT, "float32", unit="MeV", stored_as="global.EnergyMC"),
            *(replace(self._showers.schema[name], name=name) for name in self._further),
            Column(VOXELS, "float32", (int(np.prod(self.grid)),), unit="MeV", stored_as=stored),
        )
        self.schema = Schema(columns, tree=CALO_TREE, format="ttree", convention="par04")

    def _find_grid(self) -> Grid:
        largest = np.zeros(3, dtype=np.int64)
        for batch in self._cells.batches(list(_AXES), self._memory):
            for axis, name in enumerate(_AXES):
                largest[axis] = max(largest[axis], ak.max(batch[name], axis=None, initial=0, mask_identity=False))
        return int(largest[0]) + 1, int(largest[1]) + 1, int(largest[2]) + 1

    def batches(self, columns: list[str], memory: int) -> Iterator[ak.Array]:
        """Record arrays of at most about ``memory`` bytes; the two ntuples are read side by side."""
        step = max(1, memory // (8 * int(np.prod(self.grid)) + 64))
        wanted = ["EnergyMC", *self._further]
        showers = _rebatch(self._showers.batches(wanted, memory // 4), step)
        cells = _rebatch(self._cells.batches([*_AXES, _CELLS], memory // 4), step) if VOXELS in columns else None
        for shower in showers:
            found = {name: shower[name] for name in self._further if name in columns}
            if INCIDENT in columns:
                found[INCIDENT] = np.asarray(shower["EnergyMC"]).astype(np.float32)
            if cells is not None:
                found[VOXELS] = self._dense(next(cells))
            yield record({name: found[name] for name in columns}, len(shower))

    def _dense(self, cells: ak.Array) -> Array:
        """Lists of cells to (showers, voxels) float32; energies of a cell that is listed twice add up."""
        counts = np.asarray(ak.num(cells[_CELLS]))
        index = np.repeat(np.arange(len(counts)), counts)
        for axis, name in enumerate(_AXES):
            if not np.array_equal(np.asarray(ak.num(cells[name])), counts):
                raise InputFileError(f"lists of '{name}' and '{_CELLS}' differ in length", where=self.path)
            position = np.asarray(ak.flatten(cells[name])).astype(np.int64)
            if position.size and (position.min() < 0 or position.max() >= self.grid[axis]):
                raise InputFileError(
                    f"'{name}' runs from {position.min()} to {position.max()}, the grid has {self.grid[axis]}",
                    where=self.path,
                    hint="give the grid of the detector that made this file",
                )
            index = index * self.grid[axis] + position
        voxels = int(np.prod(self.grid))
        energies = np.asarray(ak.flatten(cells[_CELLS]), dtype=np.float64)
        summed = np.bincount(index, weights=energies, minlength=len(counts) * voxels)
        return summed.astype(np.float32).reshape(len(counts), voxels)


def _rebatch(batches: Iterator[ak.Array], rows: int) -> Iterator[ak.Array]:
    """The same events in batches of exactly ``rows`` rows, the last one shorter."""
    held: ak.Array | None = None
    for batch in batches:
        held = batch if held is None else ak.concatenate([held, batch])
        while len(held) >= rows:
            yield held[:rows]
            held = held[rows:]
    if held is not None and len(held):
        yield held
