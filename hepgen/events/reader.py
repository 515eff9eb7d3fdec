"""Open event files: one source over one or several files of the same schema."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from hepgen.errors import InputFileError
from hepgen.events.copied import CopiedColumn
from hepgen.events.hdf5 import Grid, Hdf5File, hdf5_trees
from hepgen.events.locate import Input, locate, sniff
from hepgen.events.par04 import Par04File, is_par04
from hepgen.events.rntuple import RNTupleFile
from hepgen.events.rootfile import RootTree, TreeEntry, TreeFile, open_file, open_root, pick_tree, tree_kinds, trees_in
from hepgen.events.schema import Column, Schema
from hepgen.events.source import NumberedBatch, SourceBase, record
from hepgen.events.ttree import TTreeFile

DEFAULT_MEMORY = 32 << 20
_EMPTY_ROWS = 1 << 16
#: Columns of the files that stay at hand until they are read, beyond the first file: about 15 kB each.
_KEPT_COLUMNS = 2000


class FileSource(SourceBase):
    """Events of files, streamed; a batch holds at most about ``memory`` bytes and never crosses a file.

    Decompressing takes about three times the memory of a batch on top.

    Attributes:
        schema: the columns of the first file; the others have the same.
        copied: columns that are no numbers, and of one type in all the files; read only where they are named.
        skipped: columns that the files hold and that cannot be read, each with the reason.
        files: the paths, in order.
    """

    def __init__(self, files: Sequence[TreeFile], memory: int = DEFAULT_MEMORY) -> None:
        self._files = tuple(files)
        self._memory = memory
        self.schema = _common_schema(self._files)
        self.files = tuple(file.path for file in self._files)
        self.copied, differing = _common_copied(self._files)
        self.skipped: Mapping[str, str] = differing | {
            name: reason for file in reversed(self._files) for name, reason in file.skipped.items()
        }
        self.starts = tuple(itertools.accumulate(self.entries[:-1], initial=0))
        self._counted = sum(self.entries)

    @property
    def entries(self) -> tuple[int, ...]:
        """Number of events of each file."""
        return tuple(file.num_entries for file in self._files)

    @property
    def grid(self) -> Grid | None:
        """Cells (z, phi, r) of showers of Par04, None of other files.

        Raises:
            InputFileError: if the files differ in them.
        """
        grids = {file.grid if isinstance(file, Par04File | Hdf5File) else None for file in self._files}
        if len(grids) > 1:
            words = " and ".join(str(grid) for grid in grids)
            raise InputFileError(f"the files have different grids: {words}", where=", ".join(self.files[:3]))
        return grids.pop()

    def numbered_batches(self, columns: Sequence[str] | None = None) -> Iterator[NumberedBatch]:
        names = self._named(columns)
        first = 0
        for index, file in enumerate(self._files):
            if names and file.num_entries:
                for events in file.batches(names, self._memory):
                    yield _numbered(events, first, index)
                    first += len(events)
            else:
                for start in range(0, file.num_entries, _EMPTY_ROWS):
                    rows = min(_EMPTY_ROWS, file.num_entries - start)
                    yield _numbered(record({}, rows), first, index)
                    first += rows


def open_events(
    inputs: str | Path | Sequence[str | Path],
    *,
    tree: str | None = None,
    memory: int = DEFAULT_MEMORY,
    grid: Grid | None = None,
) -> FileSource:
    """Open event files for streaming.

    Args:
        inputs: ``FILE[:TREE]``, a glob, ``@files.txt`` (one input per line), or several of these. Trees may lie in
            folders. ROOT (TTree, RNTuple), CaloChallenge HDF5, Geant4 Par04 (ROOT, HDF5), columnar HDF5.
        tree: name of the tree, where the inputs do not say it.
        memory: bytes of one batch at most, approximately.
        grid: numbers of cells (z, phi, r) of a Par04 ROOT file; found by a pass over the files where None.

    Raises:
        InputFileError: if a file is missing, damaged or of another kind, has no such tree, or differs in its columns
            from the first one.

    Example:
        >>> source = open_events("tests/data/muons.root")
        >>> source.num_events, source.schema["Muon_pt"].counter
        (1000, 'nMuon')
    """
    files: list[TreeFile] = []
    columns = 0
    for found in locate(inputs):
        file = _open_one(found, tree, grid, memory)
        columns += len(file.schema.columns)
        if files and columns > _KEPT_COLUMNS and isinstance(file, RootTree):
            file.close()
        files.append(file)
    par04 = [file for file in files if isinstance(file, Par04File)]
    if par04 and grid is None:
        z, phi, r = (int(size) for size in np.max([file.grid for file in par04], axis=0))
        for file in par04:
            file.with_grid((z, phi, r))
    return FileSource(files, memory)


def list_trees(path: str | Path) -> list[TreeEntry]:
    """Name, kind (``ttree``, ``rntuple``, ``hdf5``) and number of entries of every tree of a file.

    Example:
        >>> list_trees("tests/data/ttbar.root")
        [('events', 'ttree', 1500)]
    """
    if sniff(str(path)) == "hdf5":
        return hdf5_trees(str(path))
    with open_root(str(path)) as file:
        return trees_in(file, str(path))


def _open_one(found: Input, tree: str | None, grid: Grid | None, memory: int) -> TreeFile:
    path, wanted = found.path, found.tree if found.tree is not None else tree
    if sniff(path) == "hdf5":
        trees = hdf5_trees(path)
        return Hdf5File(path, pick_tree([name for name, _, _ in trees], wanted, path, lambda: trees))
    file = open_file(path)
    try:
        kinds = tree_kinds(file, path)
        if is_par04(kinds) and wanted in {None, "showers"}:
            file.close()
            return Par04File(path, grid, memory)
        name = pick_tree(kinds, wanted, path, lambda: trees_in(file, path))
        return RNTupleFile(path, name, file) if kinds[name] == "rntuple" else TTreeFile(path, name, file)
    except InputFileError:
        file.close()
        raise


def _numbered(events: object, first: int, file: int) -> NumberedBatch:
    rows = len(events)  # type: ignore[arg-type]
    return NumberedBatch(events, np.arange(first, first + rows), np.full(rows, file, dtype=np.int32))


def _common_schema(files: Sequence[TreeFile]) -> Schema:
    """The schema that all files share; the first difference is an error.

    Raises:
        InputFileError: naming the file and the column.
    """
    first = files[0]
    for other in files[1:]:
        difference = _difference(first.schema, other.schema)
        if difference:
            raise InputFileError(
                difference, where=f"{other.path} against {first.path}", hint="files that are read together must agree"
            )
    return first.schema


def _common_copied(files: Sequence[TreeFile]) -> tuple[tuple[CopiedColumn, ...], dict[str, str]]:
    """The copied columns of the first file that all files have as they are, and why the others cannot be read."""
    first, *others = ({one.name: one for one in file.copied} for file in files)
    differing: dict[str, str] = {}
    for file, other in zip(files[1:], others, strict=True):
        for name in first.keys() | other.keys():
            one, two = first.get(name), other.get(name)
            if one is None or two is None or one.type != two.type:
                differing[name] = f"it is not the same in {files[0].path} and {file.path}"
    return tuple(one for name, one in first.items() if name not in differing), differing


def _difference(one: Schema, other: Schema) -> str:
    for column in one:
        if column.name not in other:
            return f"column '{column.name}' is missing"
        if _kind(column) != _kind(other[column.name]):
            return f"column '{column.name}' is {_words(other[column.name])} instead of {_words(column)}"
    further = [column.name for column in other if column.name not in one]
    return f"column '{further[0]}' stands in this file only" if further else ""


def _kind(column: Column) -> Column:
    return replace(column, stored_as="", unit="", counter=None)


def _words(column: Column) -> str:
    return f"{'a list of ' if column.jagged else ''}{column.dtype}{list(column.shape) or ''}"
