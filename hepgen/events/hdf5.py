"""HDF5: columnar files, jagged columns as values beside their counter, and the layouts of CaloChallenge and Par04.

Layout of a columnar file::

    events/            a group is a tree; datasets at the top of the file are a tree as well
        met            (N,) or (N, ...): one row per event
        nJet           (N,) counter
        Jet_pt         (sum of nJet,) with the attribute counter = "nJet": a jagged column

CaloChallenge (arXiv 2410.21611): ``incident_energies`` (N, 1) and ``showers`` (N, voxels), MeV. Geant4 Par04
(``root2h5.py``): ``incident_energy`` (N,) or (N, 1) and ``showers`` (N, r, phi, z), MeV. JetNet (arXiv:2106.11535):
``particle_features`` (N, particles, 4) = etarel, phirel, ptrel, mask and ``jet_features`` (N, 4) = pt, eta, mass, number.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import awkward as ak
import h5py
import numpy as np

from hepgen.errors import InputFileError
from hepgen.events.copied import CopiedColumn
from hepgen.events.failures import reading
from hepgen.events.rootfile import RUNS_TREE, TreeEntry
from hepgen.events.schema import Column, Schema
from hepgen.events.source import Array, record

INCIDENT, VOXELS = "incident_energy", "voxel_energy"
PARTICLES, JETS = "particle_features", "jet_features"
SHOWERS = CALO_TREE = "showers"
#: Conventions whose datasets stand at the top of the file.
TOP_LEVEL = frozenset({"calochallenge", "par04", "jetnet"})
COUNTER, UNIT, TREE = "counter", "unit", "hepgen_tree"


Grid = tuple[int, int, int]
"""Numbers of cells in z, phi and r."""


@dataclass(frozen=True)
class _Place:
    """Where the values of a column lie, and how a row of them becomes an element of the column."""

    dataset: str
    layout: str = "plain"


@contextmanager
def open_hdf5(path: str, cache: int = 1 << 20) -> Iterator[Any]:
    """An h5py file that takes no lock: network file systems refuse one to readers.

    HDF5 insists on one kind of locking for all handles that a process has on a file.
    """
    with reading(path):
        try:
            file = h5py.File(path, "r", locking=False, rdcc_nbytes=cache)
        except OSError as error:
            if "locking flag" not in str(error):
                raise
            file = h5py.File(path, "r", rdcc_nbytes=cache)
    try:
        yield file
    finally:
        file.close()


def hdf5_trees(path: str) -> list[TreeEntry]:
    """Every group that holds columns; a calorimeter file is the tree ``showers``."""
    with open_hdf5(path) as file, reading(path):
        if _calorimeter(file):
            return [(CALO_TREE, "hdf5", len(file["showers"]))]
        groups = [file, *(_groups_below(file))]
        found = [(_tree_name(group), "hdf5", _length(group)) for group in groups if _datasets(group)]
        return [tree for tree in found if tree[0] != RUNS_TREE]


class Hdf5File:
    """One tree of one HDF5 file.

    Args:
        path: the file.
        tree: name of the group; ``events``, or what the file says, for datasets at its top.

    Attributes:
        grid: cells of showers of Par04, None of all other files.

    Raises:
        InputFileError: if the file cannot be read or its datasets do not belong together.
    """

    def __init__(self, path: str, tree: str) -> None:
        self.path = path
        self._places: dict[str, _Place] = {}
        columns: list[Column] = []
        copied: list[CopiedColumn] = []
        self.skipped: Mapping[str, str] = {}
        with open_hdf5(path) as file, reading(path):
            convention = _calorimeter(file)
            group = file[tree] if not convention and tree in file else file
            self.num_entries = _length(group)
            for name, dataset in _datasets(group).items():
                column, layout, reason = _column_of(name, dataset, convention, self.num_entries)
                also = _copied(name, dataset, self.num_entries) if reason else None
                if also is not None:
                    copied.append(also)
                    self._places[name] = _Place(dataset.name, "text" if also.is_text else "lists")
                elif reason:
                    self.skipped[name] = reason
                else:
                    columns.append(column)
                    self._places[column.name] = _Place(dataset.name, layout)
            self.copied = tuple(copied)
            top = not convention and group.name == "/"
            self._prefix = group.name.rstrip("/") + "/"
            shape = file[SHOWERS].shape if convention == "par04" else ()
            self.grid: Grid | None = (shape[3], shape[2], shape[1]) if shape else None
        names = {column.name for column in columns}
        if not convention and {PARTICLES, JETS} <= names:
            convention = "jetnet"
        self.schema = Schema(tuple(columns), tree=tree, format="hdf5", convention=convention, top=top)
        if convention in {"calochallenge", "par04"} and not {INCIDENT, VOXELS} <= names:
            raise InputFileError("incident energies and showers differ in length", where=path, hint="copy it again")

    def batches(self, columns: list[str], memory: int) -> Iterator[ak.Array]:
        """Record arrays of at most about ``memory`` bytes with the given columns, aligned with the chunks."""
        with open_hdf5(self.path) as file, reading(self.path):
            datasets = {name: file[self._places[name].dataset] for name in columns}
            step = self._rows_per_step(datasets, memory)
            cache = max([1 << 20, *(_chunk_bytes(dataset) for dataset in datasets.values())])
        starts: dict[str, int] = {}
        with open_hdf5(self.path, cache=min(cache, 2 * memory)) as file:
            for start in range(0, self.num_entries, step):
                stop = min(start + step, self.num_entries)
                with reading(self.path):
                    values = {name: self._read(file, name, start, stop, starts) for name in columns}
                yield record(values, stop - start)

    def _read(self, file: Any, name: str, start: int, stop: int, starts: dict[str, int]) -> Any:
        place = self._places[name]
        dataset = file[place.dataset]
        if place.layout == "text":
            return ak.Array(dataset.asstr()[start:stop].tolist())
        if place.layout == "lists":
            return _lists(dataset[start:stop], h5py.check_vlen_dtype(dataset.dtype))
        column = self.schema[name]
        if column.jagged:
            counts = np.asarray(file[self._prefix + str(column.counter)][start:stop], dtype=np.int64)
            first = starts.get(name, 0)
            starts[name] = first + int(counts.sum())
            if (counts < 0).any() or starts[name] > len(dataset):
                raise InputFileError(f"'{column.counter}' does not fit the length of '{name}'", where=self.path)
            return ak.unflatten(_native(dataset[first : starts[name]]), counts)
        values = _native(dataset[start:stop])
        if place.layout == "first":
            return values.reshape(len(values), -1)[:, 0].astype(column.dtype, copy=False)
        if place.layout == "par04":
            return flatten_par04(values).astype(column.dtype, copy=False)
        return values.astype(column.dtype, copy=False)

    def _rows_per_step(self, datasets: Mapping[str, Any], memory: int) -> int:
        """Rows of at most ``memory`` bytes, a multiple of the rows of the largest chunk where one fits."""
        row_bytes = 1.0
        for dataset in datasets.values():
            row_bytes += dataset.size * dataset.dtype.itemsize / max(self.num_entries, 1)
        rows = max(1, int(memory / row_bytes))
        plain = [
            dataset
            for name, dataset in datasets.items()
            if name in self.schema and not self.schema[name].jagged and dataset.chunks
        ]
        chunk = max(plain, key=_chunk_bytes).chunks[0] if plain else 1
        return max(rows - rows % chunk, 1) if rows >= chunk else rows


def flatten_par04(showers: Array) -> Array:
    """Showers (N, r, phi, z) to voxels (N, z * phi * r) with r fastest, the order of the CaloChallenge.

    Example:
        >>> flatten_par04(np.arange(8).reshape(1, 2, 2, 2)).tolist()
        [[0, 4, 2, 6, 1, 5, 3, 7]]
    """
    return np.ascontiguousarray(showers.transpose(0, 3, 2, 1)).reshape(len(showers), int(np.prod(showers.shape[1:])))


def par04_cells(voxels: Array, grid: Grid) -> Array:
    """Voxels (N, z * phi * r) with r fastest to showers (N, r, phi, z): the inverse of `flatten_par04`.

    Example:
        >>> par04_cells(np.array([[0, 4, 2, 6, 1, 5, 3, 7]]), (2, 2, 2)).reshape(-1).tolist()
        [0, 1, 2, 3, 4, 5, 6, 7]
    """
    return np.ascontiguousarray(voxels.reshape(-1, *grid).transpose(0, 3, 2, 1))


def _calorimeter(file: Any) -> str:
    """``calochallenge`` or ``par04`` where the datasets of the file say so, else empty."""
    showers = file.get("showers")
    if not isinstance(showers, h5py.Dataset):
        return ""
    if showers.ndim == 4 and INCIDENT in file:
        return "par04"
    return "calochallenge" if showers.ndim == 2 and "incident_energies" in file else ""


def _column_of(name: str, dataset: Any, convention: str, entries: int) -> tuple[Column, str, str]:
    """The column of a dataset and its layout, or the reason why there is none."""
    unit = dataset.attrs.get(UNIT, dataset.attrs.get("units", ""))
    unit = unit.decode() if isinstance(unit, bytes) else str(unit)
    dtype = dataset.dtype
    column = Column(name, dtype.name, dataset.shape[1:], unit=unit, stored_as=f"{dtype.name}{list(dataset.shape)}")
    if dtype.kind not in "biuf":
        return column, "", f"type {dtype}, which is not a number"
    counter = dataset.attrs.get(COUNTER)
    if counter is not None:
        counted = dataset.parent.get(str(counter))
        if counted is None or len(counted) != entries:
            return column, "", f"its counter '{counter}' is missing"
        return Column(**{**vars(column), "jagged": True, "counter": str(counter)}), "jagged", ""
    if len(dataset) != entries:
        return column, "", f"{len(dataset)} rows where the others have {entries}"
    if convention and name in {"incident_energies", INCIDENT}:
        return Column(INCIDENT, "float32", (), unit="MeV", stored_as=column.stored_as), "first", ""
    if convention and name == "showers":
        voxels = int(np.prod(dataset.shape[1:]))
        layout = "par04" if convention == "par04" else "plain"
        return Column(VOXELS, "float32", (voxels,), unit="MeV", stored_as=column.stored_as), layout, ""
    return column, "plain", ""


def _copied(name: str, dataset: Any, entries: int) -> CopiedColumn | None:
    """The column that a dataset of text, or of lists of numbers of their own lengths, is copied as."""
    if dataset.shape != (entries,):
        return None
    if h5py.check_string_dtype(dataset.dtype) is not None:
        return CopiedColumn(name, "string", 0, "text")
    inner = h5py.check_vlen_dtype(dataset.dtype)
    if isinstance(inner, np.dtype) and inner.kind in "biuf" and not inner.shape:
        return CopiedColumn(name, inner.name, 1, f"lists of {inner.name}")
    return None


def _lists(rows: Any, inner: np.dtype[Any]) -> ak.Array:
    """Arrays of their own lengths as lists."""
    content = np.concatenate([np.empty(0, dtype=inner), *rows])
    return ak.unflatten(_native(content), np.array([len(row) for row in rows], dtype=np.int64))


def _datasets(group: Any) -> dict[str, Any]:
    return {name: item for name, item in group.items() if isinstance(item, h5py.Dataset) and item.ndim > 0}


def _groups_below(group: Any) -> Iterator[Any]:
    for item in group.values():
        if isinstance(item, h5py.Group):
            yield item
            yield from _groups_below(item)


def _tree_name(group: Any) -> str:
    if group.name != "/":
        return str(group.name).lstrip("/")
    return str(group.attrs.get(TREE, "events"))


def _length(group: Any) -> int:
    """The first length that most datasets share; counted ones do not vote."""
    lengths = Counter(len(data) for data in _datasets(group).values() if COUNTER not in data.attrs)
    return lengths.most_common(1)[0][0] if lengths else 0


def _chunk_bytes(dataset: Any) -> int:
    return int(np.prod(dataset.chunks)) * dataset.dtype.itemsize if dataset.chunks else 0


def _native(values: Any) -> Array:
    found = np.asarray(values)
    return found.astype(found.dtype.newbyteorder("="), copy=False)
