"""RNTuples: scalar, fixed-size and jagged fields, records flattened with a dot (``hits.energy``)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

import awkward as ak
import numpy as np

from hepgen.events.failures import reading
from hepgen.events.rootfile import COUNTERS_KEY, RootTree, convention_of, stored_json, stored_units
from hepgen.events.schema import Column, Schema, column_of_form
from hepgen.events.source import record

_CARDINALITY = "ROOT::RNTupleCardinality"


class RNTupleFile(RootTree):
    """One RNTuple of one file.

    A batch is never larger than a cluster makes it: the clusters of an RNTuple are its unit of reading, so memory is
    bounded by the larger of the memory asked for and one cluster of the columns asked for.

    Args:
        path: the file.
        tree: name of the ntuple, with its folders.
        file: the file where it is open already; closed along with the ntuple.

    Raises:
        InputFileError: if the ntuple cannot be read.
    """

    def __init__(self, path: str, tree: str, file: Any = None) -> None:
        super().__init__(path, tree)
        with self.looked_at(file) as (directory, ntuple):
            self.num_entries = int(ntuple.num_entries)
            form, _ = ntuple.to_akform()
            types = {field.name: str(field.typename) for field in ntuple.fields}
            units = stored_units(directory)
            counters = stored_json(directory, COUNTERS_KEY)
        columns: list[Column] = []
        self.skipped: Mapping[str, str] = {}
        self._paths: dict[str, tuple[str, ...]] = {}
        for name in form.fields:
            found, reason = _columns_of(name, form.content(name), types[name], set(form.fields))
            for column, place in found:
                self._paths[column.name] = place
                columns.append(replace(column, unit=units.get(column.name, "")))
            if reason:
                self.skipped[name] = reason
        self._cardinalities = {name for name, stored in types.items() if stored.startswith(_CARDINALITY)}
        counters = {**_counters(columns, self._cardinalities), **counters}
        placed = tuple(replace(column, counter=counters.get(column.name)) for column in columns)
        convention = convention_of(tree, tuple(column.name for column in placed))
        self.schema = Schema(placed, tree=tree, format="rntuple", convention=convention)

    def batches(self, columns: list[str], memory: int) -> Iterator[ak.Array]:
        """Record arrays of at most about ``memory`` bytes, or one cluster, with the given columns."""
        where = f"ntuple '{self.tree}'"
        fields = {self._paths[name][0] for name in columns}
        with self.opened() as ntuple:
            with reading(self.path, where):
                clusters = [(int(c.num_first_entry), int(c.num_entries)) for c in ntuple.cluster_summaries]
            per_entry = 0.0
            while clusters:
                first, size = clusters.pop(0)
                while clusters and per_entry and (size + clusters[0][1]) * per_entry <= memory:
                    size += clusters.pop(0)[1]
                with reading(self.path, where):
                    chunk = ntuple.arrays(filter_name=fields.__contains__, entry_start=first, entry_stop=first + size)
                    found = record({name: _follow(chunk, self._paths[name]) for name in columns}, len(chunk))
                del chunk
                found = self._cast(found)
                per_entry = max(per_entry, found.nbytes / max(size, 1))
                rows = max(1, int(memory / max(per_entry, 1.0)))
                for start in range(0, size, rows):
                    yield found[start : start + rows]

    def _cast(self, found: ak.Array) -> ak.Array:
        """Cardinalities come as int64 whatever their type in the file."""
        for name in self._cardinalities.intersection(found.fields):
            found[name] = np.asarray(found[name]).astype(self.schema[name].dtype)
        return found


def _follow(chunk: ak.Array, place: tuple[str, ...]) -> ak.Array:
    for field in place:
        chunk = chunk[field]
    return chunk


def _columns_of(
    name: str, form: ak.forms.Form, stored: str, names: set[str]
) -> tuple[list[tuple[Column, tuple[str, ...]]], str]:
    """The columns that a field gives with their places in it, or the reason why it gives none."""
    column = column_of_form(name, form)
    if column is not None:
        if stored.startswith(_CARDINALITY):
            column = replace(column, dtype="uint64" if "64" in stored else "uint32")
        return [(replace(column, stored_as=stored), (name,))], ""
    record_form, jagged = (form.content, True) if isinstance(form, ak.forms.ListOffsetForm) else (form, False)
    if not isinstance(record_form, ak.forms.RecordForm) or record_form.is_tuple or not record_form.fields:
        kind = "an empty class" if isinstance(record_form, ak.forms.RecordForm) and not record_form.fields else ""
        return [], kind or f"type {stored}, which is neither a number nor an array of numbers"
    if set(record_form.fields) <= names:
        return [], "its fields stand in the ntuple under their own names"
    found: list[tuple[Column, tuple[str, ...]]] = []
    for field in record_form.fields:
        part = column_of_form(f"{name}.{field}", record_form.content(field))
        if part is not None and not (jagged and part.jagged):
            found.append((replace(part, jagged=jagged or part.jagged, stored_as=stored), (name, field)))
    return found, "" if found else f"type {stored}, whose fields are neither numbers nor arrays of numbers"


def _counters(columns: list[Column], cardinal: set[str]) -> dict[str, str]:
    """The cardinality field of each jagged field, by the usual name (``nMuon`` counts ``Muon_pt``)."""
    known = cardinal | {c.name for c in columns if not c.jagged and not c.shape and np.dtype(c.dtype).kind in "iu"}
    found = {}
    for column in columns:
        base = column.name.partition("_")[0]
        counter = next((name for name in (f"n{column.name}", f"n{base}", f"N{base}") if name in known), None)
        if column.jagged and counter is not None:
            found[column.name] = counter
    return found
