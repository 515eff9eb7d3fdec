"""How the columns of a schema lie in an output format, and what is written in another way than it was read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from hepgen.errors import UsageError
from hepgen.events.copied import CopiedColumn, flat_columns
from hepgen.events.schema import Column, Schema

FORMATS = ("ttree", "rntuple", "hdf5")
_ROOT_TYPES = frozenset(
    ["bool", "float32", "float64", *(f"{sign}int{bits}" for sign in ("", "u") for bits in (8, 16, 32, 64))]
)
_LARGEST_COUNTER = np.iinfo(np.int32).max


@dataclass(frozen=True)
class Layout:
    """Columns as they will be written.

    Attributes:
        columns: what is written, with the final type and counter of each column; counters of jagged columns are not
            among them, they follow from the lists.
        counters: names of the counters, in the order of their first column.
        notes: one sentence for each thing that differs from the schema.
        copied: columns of text and of lists of lists that the format holds as they are.
        flattened: those that become lists of numbers, which are among ``columns``.
    """

    columns: tuple[Column, ...]
    counters: tuple[str, ...]
    notes: tuple[str, ...]
    copied: tuple[CopiedColumn, ...] = ()
    flattened: tuple[CopiedColumn, ...] = ()


def plan_layout(
    schema: Schema, format: str, *, copied: Sequence[CopiedColumn] = (), drop_unwritable: bool = False
) -> Layout:
    """Decide how each column is written.

    Args:
        copied: columns that are no numbers; one that the format cannot hold as it is becomes lists of numbers.

    Raises:
        UsageError: if a column cannot be written in this format, unless ``drop_unwritable``.

    Example:
        >>> schema = Schema((Column("hits", "float32", jagged=True, stored_as="std::vector<float>"),))
        >>> plan_layout(schema, "ttree").notes
        ("'hits' was std::vector<float> and is hits[nhits], counted by 'nhits'",)
    """
    notes: list[str] = []
    columns: list[Column] = []
    flattened = tuple(one for one in copied if not _holds(one, format))
    notes += [_flat_note(one) for one in flattened]
    for column in (*schema, *_flat(flattened, schema)):
        written, reason = _written(column, format)
        if not reason:
            columns.append(written)
            if written.dtype != column.dtype:
                notes.append(f"'{column.name}' was {column.dtype} and is {written.dtype}")
        elif drop_unwritable:
            notes.append(f"'{column.name}' is left out: {reason}")
        else:
            raise UsageError(
                f"column '{column.name}' cannot be written: {reason}",
                where=f"format {format}",
                hint="choose another format or add --drop-unwritable",
            )
    if not columns:
        raise UsageError("no column is left to write", where=f"tree '{schema.tree}'")
    columns = [_with_counter(column, columns) for column in columns] if format != "rntuple" else columns
    jagged = [column for column in columns if column.jagged and column.counter and format != "rntuple"]
    counters = tuple(dict.fromkeys(str(column.counter) for column in jagged))
    if format == "ttree":
        notes += [note for column in jagged for note in _vector_note(column)]
        differ = [name for name in counters if name in schema and schema[name].dtype != "int32"]
        notes += [f"counter '{name}' was {schema[name].dtype} and is int32" for name in differ]
    plain = tuple(column for column in columns if column.name not in counters)
    kept = {column.name for column in columns}
    return Layout(
        plain, counters, tuple(notes), tuple(one for one in copied if one not in flattened),
        tuple(one for one in flattened if one.name in kept),
    )  # fmt: skip


def _holds(column: CopiedColumn, format: str) -> bool:
    """Whether a format holds a copied column as it is."""
    if column.is_text:
        return format != "rntuple" or "." not in column.name
    return format == "rntuple" and "." not in column.name and column.item in _ROOT_TYPES


def _flat(flattened: Sequence[CopiedColumn], schema: Schema) -> list[Column]:
    """The lists of numbers that columns become.

    Raises:
        UsageError: if a column has the name of one of them already.
    """
    found: list[Column] = []
    for one in flattened:
        for column in flat_columns(one):
            if column.name in schema:
                raise UsageError(
                    f"'{one.name}' would become lists with their lengths in '{column.name}', which there is already",
                    where=f"tree '{schema.tree}'", hint="choose --format rntuple, which holds lists of lists",
                )  # fmt: skip
            found.append(column)
    return found


def _flat_note(column: CopiedColumn) -> str:
    values, *lengths = (one.name for one in flat_columns(column))
    beside = f", the lengths of its inner lists in {' and '.join(lengths)}" if lengths else ""
    what = "all characters" if column.item == "string" else "all numbers"
    return f"'{values}' was {column.stored_as or column.type} and is {what} of an event in a row{beside}"


def _written(column: Column, format: str) -> tuple[Column, str]:
    if format == "hdf5":
        return (column, "") if np.dtype(column.dtype).kind in "biuf" else (column, f"type {column.dtype}")
    if column.dtype == "float16":
        column = replace(column, dtype="float32")
    if column.dtype not in _ROOT_TYPES:
        return column, f"type {column.dtype}"
    if format == "ttree" and column.jagged and column.shape:
        return column, "a TTree cannot hold lists of fixed-size arrays that uproot and ROOT read back"
    if format == "rntuple" and "." in column.name:
        return column, "the name of an RNTuple field may hold no dot"
    return column, ""


def _with_counter(column: Column, columns: list[Column]) -> Column:
    """A jagged column with the name of its counter: its own, or ``n`` and its name."""
    if not column.jagged:
        return column
    name = column.counter or f"n{column.name}"
    taken = {other.name for other in columns if other.jagged or other.shape or np.dtype(other.dtype).kind not in "iu"}
    if column.counter is None:
        taken = {other.name for other in columns}
    while name in taken:
        name += "_"
    return replace(column, counter=name)


def _vector_note(column: Column) -> list[str]:
    if not column.stored_as.startswith(("std::vector", "ROOT::VecOps", "ROOT::RVec")):
        return []
    same = f"{column.name}[{column.counter}]"
    return [f"'{column.name}' was {column.stored_as} and is {same}, counted by '{column.counter}'"]
