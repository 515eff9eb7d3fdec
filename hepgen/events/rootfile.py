"""ROOT files: which trees and ntuples they hold, and the units and notes that hepgen left in them."""

from __future__ import annotations

import json
import os
import struct
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

import awkward as ak
import uproot
from uproot.deserialization import numbytes_version

from hepgen.errors import InputFileError, suggest
from hepgen.events.copied import CopiedColumn
from hepgen.events.failures import reading
from hepgen.events.schema import Schema

UNITS_KEY = "hepgen_units"
METADATA_KEY = "hepgen_metadata"
COUNTERS_KEY = "hepgen_counters"
RUNS_TREE = "hepgen_runs"
_KINDS = {"TTree": "ttree", "TNtuple": "ttree", "TNtupleD": "ttree", "ROOT::RNTuple": "rntuple"}
#: Trees that hold the events where a file has several: CMS NanoAOD, ATLAS PHYSLITE as RNTuple and as TTree.
_PREFERRED = ("Events", "EventData", "CollectionTree")
#: Versions of the class TTree that write the number of entries as an integer behind their base classes.
_KNOWN_TREES = (16, 17, 18, 19, 20)
_BASES_OF_TREE = ("TNamed", "TAttLine", "TAttFill", "TAttMarker")
_INT64 = struct.Struct(">q")

TreeEntry = tuple[str, str, int]
"""Name (with its folders), kind (``ttree``, ``rntuple``, ``hdf5``) and number of entries of a tree."""


class TreeFile(Protocol):
    """One tree of one file; nothing that is open travels with it, so it may be handed to another process."""

    path: str
    schema: Schema
    copied: tuple[CopiedColumn, ...]
    skipped: Mapping[str, str]
    num_entries: int

    def batches(self, columns: list[str], memory: int) -> Iterator[ak.Array]:
        """Record arrays of at most about ``memory`` bytes with the given columns, at least one, copied ones among them."""
        ...


@contextmanager
def open_root(path: str) -> Iterator[Any]:
    """A file as uproot has it, closed at the end."""
    file = open_file(path)
    try:
        yield file
    finally:
        file.close()


class RootTree:
    """A tree of a ROOT file that stays at hand from the look at its columns to its first reading.

    Opening a file and deserialising a tree take as long as reading a megabyte of it, so that each reading does it once:
    the first one goes on with the tree whose columns were looked at and closes it, later ones open their own. A file that
    was changed or replaced meanwhile is opened anew, and so is every file in another process.

    Args:
        path: the file.
        tree: name of the tree, with its folders.
    """

    def __init__(self, path: str, tree: str) -> None:
        self.path = path
        self.tree = tree
        self._kept: tuple[tuple[int, ...], Any, Any] | None = None

    @contextmanager
    def looked_at(self, file: Any = None) -> Iterator[tuple[Any, Any]]:
        """The file and the tree, kept for the first reading unless the look fails.

        Args:
            file: the file where it is open already; it is closed along with the tree.
        """
        with reading(self.path, f"tree '{self.tree}'"):
            stamp = _stamp(self.path)
            file = open_file(self.path) if file is None else file
            try:
                tree = file[self.tree]
                yield file, tree
            except BaseException:
                file.close()
                raise
        self._kept = stamp, file, tree

    @contextmanager
    def opened(self) -> Iterator[Any]:
        """The tree, for one reading."""
        kept, self._kept = self._kept, None
        with reading(self.path, f"tree '{self.tree}'"):
            if kept is not None and kept[0] == _stamp(self.path):
                _, file, tree = kept
            else:
                file = open_file(self.path)
                tree = file[self.tree]
        try:
            yield tree
        finally:
            file.close()

    def close(self) -> None:
        """Let go of the tree that is kept; the next reading opens its own."""
        kept, self._kept = self._kept, None
        if kept is not None:
            kept[1].close()

    def __getstate__(self) -> dict[str, Any]:
        return {**vars(self), "_kept": None}


def open_file(path: str) -> Any:
    """A file as uproot has it, without caches: their memory would come on top of that of the batches."""
    with reading(path):
        return uproot.open(path, array_cache=None, object_cache=None)


def _stamp(path: str) -> tuple[int, ...]:
    """Differs between processes, and between a file and what takes its place."""
    found = Path(path).stat()
    return os.getpid(), found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns


def tree_kinds(file: Any, path: str) -> dict[str, str]:
    """Kind by name of every tree and ntuple of an open file, without those that describe a production or a job."""
    with reading(path):
        kinds = file.classnames(recursive=True, cycle=False)
    names = [name for name, kind in kinds.items() if kind in _KINDS and not name.startswith("##")]
    return {name: _KINDS[kinds[name]] for name in names if name != RUNS_TREE}


def trees_in(file: Any, path: str) -> list[TreeEntry]:
    """Every tree and ntuple of an open file, in its order, as `tree_kinds` finds them."""
    kinds = tree_kinds(file, path)
    with reading(path):
        return [(name, kind, _entries(file, name)) for name, kind in kinds.items()]


def _entries(file: Any, name: str) -> int:
    """Number of entries of a tree: it stands before the branches, and thousands of these take uproot seconds."""
    key = file.key(name)
    if key.fClassName == "TTree":
        chunk, cursor = key.get_uncompressed_chunk_cursor()
        _, version, _ = numbytes_version(chunk, cursor, {})
        if version in _KNOWN_TREES:
            for _ in _BASES_OF_TREE:
                begun = cursor.index
                size, *_ = numbytes_version(chunk, cursor, {})
                cursor.move_to(begun + size)
            return int(cursor.field(chunk, _INT64, {}))
    return int(file[name].num_entries)


def pick_tree(names: Collection[str], wanted: str | None, path: str, entries: Callable[[], list[TreeEntry]]) -> str:
    """The tree that was asked for, or the only one, or the one that holds events by convention.

    Args:
        names: the trees of the file.
        wanted: the one that was asked for.
        path: the file, for messages.
        entries: says how many entries each has, which takes a look at each; called for a message only.

    Raises:
        InputFileError: if there is none, no such one, or no way to tell which one is meant.
    """
    if wanted is not None:
        if wanted in names:
            return wanted
        hint = suggest(wanted, names) or f"it holds {', '.join(names) or 'no tree'}"
        raise InputFileError(f"no tree '{wanted}'", where=path, hint=hint)
    if not names:
        raise InputFileError("the file holds no tree", where=path, hint="a TTree, an RNTuple or datasets are needed")
    for choice in _PREFERRED if len(names) > 1 else names:
        if choice in names:
            return choice
    listing = ", ".join(f"{name} ({count} entries)" for name, _, count in entries())
    raise InputFileError("the file holds several trees", where=path, hint=f"say which as FILE:TREE, one of {listing}")


def stored_units(file: Any) -> dict[str, str]:
    """Units by column, as hepgen leaves them in the files that it writes."""
    units = stored_json(file, UNITS_KEY)
    return {str(name): str(unit) for name, unit in units.items()}


def stored_json(file: Any, key: str) -> dict[str, Any]:
    """A JSON object kept in the file as a TObjString, empty where there is none."""
    with reading(str(file.file_path)):
        if f"{key};1" not in file.keys(recursive=False, filter_name=key):
            return {}
        text = str(file[key])
    try:
        found = json.loads(text)
    except json.JSONDecodeError:
        return {}
    return found if isinstance(found, dict) else {}


def convention_of(tree: str, names: tuple[str, ...]) -> str:
    """``nanoaod`` for a tree of CMS NanoAOD, else empty."""
    return "nanoaod" if tree == "Events" and {"run", "luminosityBlock", "event"} <= set(names) else ""
