"""ROOT files: which trees and ntuples they hold, and the units and notes that hepgen left in them."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Protocol

import awkward as ak
import uproot

from hepgen.errors import InputFileError, suggest
from hepgen.events.failures import reading
from hepgen.events.schema import Schema

UNITS_KEY = "hepgen_units"
METADATA_KEY = "hepgen_metadata"
COUNTERS_KEY = "hepgen_counters"
RUNS_TREE = "hepgen_runs"
_KINDS = {"TTree": "ttree", "TNtuple": "ttree", "TNtupleD": "ttree", "ROOT::RNTuple": "rntuple"}
#: Trees that hold the events where a file has several: CMS NanoAOD, ATLAS PHYSLITE as RNTuple and as TTree.
_PREFERRED = ("Events", "EventData", "CollectionTree")

TreeEntry = tuple[str, str, int]
"""Name (with its folders), kind (``ttree``, ``rntuple``, ``hdf5``) and number of entries of a tree."""


class TreeFile(Protocol):
    """One tree of one file; it is opened anew for each pass, so it may be handed to another process."""

    path: str
    schema: Schema
    skipped: Mapping[str, str]
    num_entries: int

    def batches(self, columns: list[str], memory: int) -> Iterator[ak.Array]:
        """Record arrays of at most about ``memory`` bytes with the given columns, at least one."""
        ...


@contextmanager
def open_root(path: str) -> Iterator[Any]:
    """An uproot file without caches: their memory would come on top of that of the batches."""
    with reading(path):
        file = uproot.open(path, array_cache=None, object_cache=None)
    try:
        yield file
    finally:
        file.close()


def trees_in(file: Any, path: str) -> list[TreeEntry]:
    """Every tree and ntuple of an open file, in its order, without those that describe a production or a job."""
    with reading(path):
        kinds = file.classnames(recursive=True, cycle=False)
        names = [name for name, kind in kinds.items() if kind in _KINDS and not name.startswith("##")]
        return [(name, _KINDS[kinds[name]], int(file[name].num_entries)) for name in names if name != RUNS_TREE]


def pick_tree(trees: list[TreeEntry], wanted: str | None, path: str) -> TreeEntry:
    """The tree that was asked for, or the only one, or the one that holds events by convention.

    Raises:
        InputFileError: if there is none, no such one, or no way to tell which one is meant.
    """
    names = [name for name, _, _ in trees]
    if wanted is not None:
        found = [tree for tree in trees if tree[0] == wanted]
        if found:
            return found[0]
        hint = suggest(wanted, names) or f"it holds {', '.join(names) or 'no tree'}"
        raise InputFileError(f"no tree '{wanted}'", where=path, hint=hint)
    if not trees:
        raise InputFileError("the file holds no tree", where=path, hint="a TTree, an RNTuple or datasets are needed")
    for choice in _PREFERRED if len(trees) > 1 else names:
        if choice in names:
            return trees[names.index(choice)]
    listing = ", ".join(f"{name} ({entries} entries)" for name, _, entries in trees)
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
