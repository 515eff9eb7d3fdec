"""RNTuples: scalar, fixed-size and jagged fields, records flattened with a dot (``hits.energy``)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import partial
from typing import Any

import awkward as ak
import numpy as np

from hepgen.events.copied import CopiedColumn, copied_column
from hepgen.events.failures import reading
from hepgen.events.rootfile import COUNTERS_KEY, RootTree, convention_of, stored_json, stored_units
from hepgen.events.schema import Column, Schema, column_of_form
from hepgen.events.source import record

_CARDINALITY = "ROOT::RNTupleCardinality"
_TOGETHER = 32


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
            _note_subfields(ntuple)
            forms = {field.name: _form(ntuple, field) for field in ntuple.fields}
            types = {field.name: str(field.typename) for field in ntuple.fields}
            units = stored_units(directory)
            counters = stored_json(directory, COUNTERS_KEY)
        columns: list[Column] = []
        copied: list[CopiedColumn] = []
        self.skipped: Mapping[str, str] = {}
        self._paths: dict[str, tuple[str, ...]] = {}
        for name, form in forms.items():
            found, reason = _columns_of(name, form, types[name], set(forms))
            for column, place in found:
                self._paths[column.name] = place
                columns.append(replace(column, unit=units.get(column.name, "")))
            also = copied_column(name, form, types[name]) if reason else None
            if also is not None:
                self._paths[name] = (name,)
                copied.append(also)
            elif reason:
                self.skipped[name] = reason
        self.copied = tuple(copied)
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
                _note_subfields(ntuple)
                wanted = [field.field_id for field in ntuple.fields if field.name in fields]
                clusters = [(int(c.num_first_entry), int(c.num_entries)) for c in ntuple.cluster_summaries]
            per_entry = 0.0
            while clusters:
                first, size = clusters.pop(0)
                while clusters and per_entry and (size + clusters[0][1]) * per_entry <= memory:
                    size += clusters.pop(0)[1]
                with reading(self.path, where):
                    chunk = _arrays(ntuple, wanted, first, first + size)
                    found = record({name: _follow(chunk, self._paths[name]) for name in columns}, size)
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


def _arrays(ntuple: Any, wanted: list[int], start: int, stop: int) -> dict[str, ak.Array]:
    """Arrays by name of the fields with these numbers; uproot compares all the fields that it reads with each other."""
    found = {}
    for k in range(0, len(wanted), _TOGETHER):
        group = set(wanted[k : k + _TOGETHER])
        part = ntuple.arrays(filter_field=partial(_is_in, group), entry_start=start, entry_stop=stop)
        found.update({name: part[name] for name in part.fields})
    return found


def _is_in(group: set[int], field: Any) -> bool:
    return field.field_id in group


def _follow(chunk: Mapping[str, ak.Array], place: tuple[str, ...]) -> ak.Array:
    found = chunk[place[0]]
    for field in place[1:]:
        found = found[field]
    return found


def _note_subfields(ntuple: Any) -> None:
    """Tell each field its subfields, in one pass over all of them.

    uproot passes over all the fields of the ntuple for each of them, which takes half a minute for the two thousand of
    a PHYSLITE file; what it remembers of such a pass is filled in here.
    """
    below: dict[int, list[Any]] = {}
    for field in ntuple.all_fields:
        if not field.top_level:
            below.setdefault(field.record.parent_field_id, []).append(field)
    for field in ntuple.all_fields:
        field._fields = _visible(field.field_id, below)


def _visible(field: int, below: Mapping[int, list[Any]]) -> list[Any]:
    """The subfields of a field, those of an anonymous one in its place."""
    found: list[Any] = []
    for part in below.get(field, ()):
        found += _visible(part.field_id, below) if part.is_anonymous else [part]
    return found


def _form(ntuple: Any, field: Any) -> ak.forms.Form:
    """The awkward form of a top-level field; ``to_akform`` of the whole ntuple compares all its fields with each other."""
    paths, parts = [field.path], [field]
    while parts:
        parts = [below for part in parts for below in part.fields]
        paths += [part.path for part in parts if part.path is not None]
    return ntuple.field_form(field.field_id, paths)


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
