"""TTrees: scalar, fixed-size and jagged branches of every integer and float type, ``std::vector`` included."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import partial
from typing import Any

import awkward as ak
import numpy as np
from uproot.interpretation.jagged import AsJagged
from uproot.interpretation.numerical import AsDtype, TruncatedNumerical
from uproot.interpretation.objects import CannotBeAwkward

from hepgen.events.copied import CopiedColumn, copied_column, may_be_copied
from hepgen.events.failures import reading
from hepgen.events.rootfile import RootTree, convention_of, stored_units
from hepgen.events.schema import Column, Schema
from hepgen.events.source import Array, record

_LIST_BYTES = 8
_STL_HEADER_BYTES = 10
_LEAST_TOGETHER = 4
_LONG_TEXT = 255
_BYTES = AsJagged(AsDtype("u1"))
_MOST_READS = 16


class TTreeFile(RootTree):
    """One TTree of one file.

    A column is a branch; a leaf of a branch with several leaves is ``branch.leaf``, a member of a split object its
    path in the tree with ``/``.

    Args:
        path: the file.
        tree: name of the tree, with its folders.
        file: the file where it is open already; closed along with the tree.

    Raises:
        InputFileError: if the tree cannot be read.
    """

    def __init__(self, path: str, tree: str, file: Any = None) -> None:
        super().__init__(path, tree)
        with self.looked_at(file) as (directory, events):
            self.num_entries = int(events.num_entries)
            columns: list[Column] = []
            copied: list[CopiedColumn] = []
            self.skipped: Mapping[str, str] = {}
            for name, branch in _leaf_branches(events):
                found, reason = _columns_of(name, branch)
                columns += found
                also = _copied(name, branch) if reason else None
                if also is not None:
                    copied.append(also)
                elif reason:
                    self.skipped[name] = reason
            self.copied = tuple(copied)
            units = stored_units(directory)
        placed = tuple(Column(**{**vars(column), "unit": units.get(column.name, "")}) for column in columns)
        names = tuple(column.name for column in placed)
        self.schema = Schema(placed, tree=tree, format="ttree", convention=convention_of(tree, names))

    def batches(self, columns: list[str], memory: int) -> Iterator[ak.Array]:
        """Record arrays of at most about ``memory`` bytes with the given columns."""
        where = f"tree '{self.tree}'"
        with self.opened() as tree:
            with reading(self.path, where):
                sources = dict(_leaf_branches(tree))
                places = {name: _place(name, sources) for name in columns}
                chosen = {id(sources[branch]): branch for branch, _ in places.values()}
                picked = [sources[branch] for branch in chosen.values()]
                step, together = _portions(picked, int(tree.num_entries), memory)
                texts = {name: branch for name, branch in zip(chosen.values(), picked, strict=True) if _is_text(branch)}
                others = [branch for branch in picked if not _is_text(branch)]
                chunks = _chunks(tree, chosen, others, step, together)
            done = 0
            while True:
                with reading(self.path, where):
                    chunk = next(chunks, None)
                    if chunk is None:
                        return
                    length = len(next(iter(chunk.values()))) if chunk else min(step, int(tree.num_entries) - done)
                    chunk |= {name: _text(branch, done, done + length) for name, branch in texts.items()}
                done += length
                found = {}
                for name, (branch, leaf) in places.items():
                    found[name] = chunk[branch] if leaf is None else chunk[branch][leaf]
                del chunk
                if length:
                    yield record(found, length)


def _chunks(
    tree: Any, chosen: Mapping[int, str], picked: list[Any], step: int, together: int
) -> Iterator[dict[str, Any]]:
    """Arrays by branch path, ``step`` entries at a time, read from ``together`` branches at once.

    Branches inside branches are read one by one: uproot looks each of them up in the whole tree otherwise, which takes
    minutes for a thousand.
    """
    if not picked or any("/" in path for path in chosen.values()):
        entries = int(tree.num_entries)
        for start in range(0, entries, step):
            window = {"entry_start": start, "entry_stop": min(start + step, entries)}
            yield {chosen[id(branch)]: branch.array(**window, library="ak") for branch in picked}
        return
    groups = [{id(branch) for branch in picked[k : k + together]} for k in range(0, len(picked), together)]
    parts = [
        tree.iterate(filter_branch=partial(_is_in, group), step_size=step, how=dict, library="ak") for group in groups
    ]
    for found in zip(*parts, strict=True):
        yield {name: array for part in found for name, array in part.items()}


def _is_text(branch: Any) -> bool:
    """Whether a branch holds C strings, which are read by `_text`."""
    return bool(branch.typename == "char*")


def _text(branch: Any, start: int, stop: int) -> ak.Array:
    """C strings of some entries: a byte that counts their characters, or 255 and four bytes that do, and the characters.

    ROOT writes nothing at all for an empty one, of which uproot makes the characters of others.
    """
    raw = branch.array(_BYTES, entry_start=start, entry_stop=stop, library="ak")
    size = np.asarray(ak.num(raw))
    offsets = np.concatenate([[0], np.cumsum(size)])
    content = ak.to_numpy(ak.flatten(raw))
    first = np.zeros(len(size), dtype=np.int64)
    first[size > 0] = np.where(content[offsets[:-1][size > 0]] == _LONG_TEXT, 5, 1)
    starts, stops = ak.index.Index64(offsets[:-1] + first), ak.index.Index64(offsets[1:])
    characters = ak.contents.NumpyArray(content, parameters={"__array__": "char"})
    return ak.to_packed(ak.Array(ak.contents.ListArray(starts, stops, characters, parameters={"__array__": "string"})))


def _is_in(group: set[int], branch: Any) -> bool:
    return id(branch) in group


def _leaf_branches(tree: Any) -> Iterator[tuple[str, Any]]:
    """Every branch that has no branches of its own, with its path; a map keeps its two halves together."""
    for branch in tree.branches:
        yield from _descend(branch, "")


def _descend(branch: Any, prefix: str) -> Iterator[tuple[str, Any]]:
    name = f"{prefix}{branch.name}"
    if branch.branches and not str(branch.typename).startswith(("map<", "std::map<")):
        for part in branch.branches:
            yield from _descend(part, f"{name}/")
    else:
        yield name, branch


def _place(name: str, sources: Mapping[str, Any]) -> tuple[str, str | None]:
    """The branch and the leaf of a column."""
    if name in sources:
        return name, None
    branch, _, leaf = name.rpartition(".")
    return branch, leaf


def _columns_of(name: str, branch: Any) -> tuple[list[Column], str]:
    """The columns that a branch gives, or the reason why it gives none."""
    stored = str(branch.typename)
    interpretation = branch.interpretation
    counting = branch.count_branch
    counter = counting.name if counting is not None else None
    if isinstance(interpretation, AsJagged):
        content = interpretation.content
        if not _is_numeric(content) or _element(content).names:
            return [], f"lists of objects of class {stored}"
        dtype = _element(content)
        if dtype.shape:
            return [], f"lists of fixed-size arrays ({stored})"
        return [Column(name, dtype.name, (), jagged=True, counter=counter, stored_as=stored)], ""
    if _is_numeric(interpretation):
        dtype = _element(interpretation)
        if dtype.names:
            leaves = ((leaf, dtype[leaf]) for leaf in dtype.names)
            return [Column(f"{name}.{leaf}", kind.base.name, kind.shape, stored_as=stored) for leaf, kind in leaves], ""
        return [Column(name, dtype.base.name, dtype.shape, stored_as=stored)], ""
    return [], f"type {stored}, which is neither a number nor an array of numbers"


def _copied(name: str, branch: Any) -> CopiedColumn | None:
    """The column that a branch of lists and text is copied as."""
    stored = str(branch.typename)
    if not may_be_copied(stored):
        return None
    try:
        form = branch.interpretation.awkward_form(branch.file)
    except CannotBeAwkward:
        return None
    found = copied_column(name, form, stored)
    counting = branch.count_branch
    return found if found is None or counting is None else replace(found, counter=counting.name)


def _is_numeric(interpretation: Any) -> bool:
    """Objects of C++ classes are a kind of dtype for uproot; they are none here."""
    return type(interpretation) is AsDtype or isinstance(interpretation, TruncatedNumerical)


def _element(interpretation: Any) -> np.dtype[Any]:
    return np.dtype(getattr(interpretation, "to_dtype", np.dtype(np.float32)))


def _portions(branches: list[Any], entries: int, memory: int) -> tuple[int, int]:
    """How many entries, and of how many branches at a time, are read at once.

    A tree that fits twice is read whole. Else a few branches at a time: uproot holds the compressed and the decompressed
    baskets of all that it reads at once, and the baskets of one cluster may be much larger than a step.
    """
    if 2 * sum(int(branch.uncompressed_bytes) + _LIST_BYTES * entries for branch in branches) < memory:
        return max(entries, 1), len(branches)
    return _entries_per_step(branches, entries, memory), max(_LEAST_TOGETHER, -(-len(branches) // _MOST_READS))


def _entries_per_step(branches: list[Any], entries: int, memory: int) -> int:
    """Entries that hold at most about ``memory`` bytes wherever in the tree they are taken.

    The headers of the baskets say how many compressed bytes each holds; spread over the uncompressed size of the
    branch this gives the bytes up to each entry without reading any of them.
    """
    if entries == 0:
        return 1
    grid = np.linspace(0, entries, 257)
    total = np.zeros_like(grid)
    for branch in branches:
        total += _bytes_up_to(branch, grid)
    step = entries
    for _ in range(8):
        starts = np.arange(0, entries, step)
        held = np.interp(np.minimum(starts + step, entries), grid, total) - np.interp(starts, grid, total)
        if held.max() <= memory or step == 1:
            break
        step = max(1, min(step - 1, int(step * memory / held.max())))
    return step


def _bytes_up_to(branch: Any, grid: Array) -> Array:
    """In-memory bytes of a branch up to each entry of the grid."""
    edges = np.asarray(branch.entry_offsets, dtype=np.float64)
    weights = np.asarray(branch.member("fBasketBytes")[: len(edges) - 1], dtype=np.float64)
    size = float(branch.uncompressed_bytes)
    interpretation = branch.interpretation
    if isinstance(interpretation, AsJagged):
        size += (_LIST_BYTES - min(interpretation.header_bytes, _STL_HEADER_BYTES)) * edges[-1]
    if len(weights) != len(edges) - 1 or weights.sum() <= 0:
        return np.interp(grid, [0.0, edges[-1]], [0.0, size])
    held: Array = np.concatenate([[0.0], np.cumsum(weights)]) * (size / weights.sum())
    return np.interp(grid, edges, held)
