"""Events of one schema as events of another: what every conversion says of itself, and the steps that conversions share."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Callable, Container, Iterable
from dataclasses import dataclass, field
from typing import Any

import awkward as ak
import numpy as np

from hepgen.errors import InputFileError, UsageError
from hepgen.events.candidates import find_links
from hepgen.events.schema import Column, Schema
from hepgen.events.source import NumberedBatch, record

EVENT = "event"
#: Energies in MeV.
ENERGIES = {"eV": 1e-6, "keV": 1e-3, "MeV": 1.0, "GeV": 1e3, "TeV": 1e6}


@dataclass(frozen=True)
class Converted:
    """Events in the schema of a conversion.

    Attributes:
        events: record array.
        lost: how many of what did not come along, by words for it.
    """

    events: ak.Array
    lost: Counter[str] = field(default_factory=Counter)


@dataclass(frozen=True)
class Conversion:
    """How events of one schema become events of another.

    Attributes:
        schema: of the output.
        columns: the columns of the input that are read.
        apply: a pure function of a batch with these columns; it raises a `RowError` for an event that it cannot convert.
        dropped: the columns of the input that do not come along.
        why: why they do not, in words.
        notes: what else there is to know, one sentence each.
        label: a column of the input that numbers classes of events of which the output should hold one.
        copies: whether an event stays an event, so that text and lists of lists come along.
    """

    schema: Schema
    columns: tuple[str, ...]
    apply: Callable[[NumberedBatch], Converted]
    dropped: tuple[str, ...] = ()
    why: str = ""
    notes: tuple[str, ...] = ()
    label: str = ""
    copies: bool = False


def as_root_tree(schema: Schema, taken: Container[str] = ()) -> Schema:
    """The schema of an HDF5 convention as a tree of ROOT: numbered by ``event``, arrays last; any other schema as it is.

    Args:
        schema: of a file, or of events that were generated after one.
        taken: names of columns that will follow; no number is added beside an ``event`` among them.

    Example:
        >>> showers = (Column("voxel_energy", "float32", (368,)), Column("incident_energy", "float32"))
        >>> as_root_tree(Schema(showers, "showers", "hdf5", "calochallenge")).names
        ('event', 'incident_energy', 'voxel_energy')
    """
    if schema.format != "hdf5" or not schema.convention:
        return schema
    columns = sorted(schema, key=lambda column: bool(column.shape or column.jagged))
    if EVENT not in schema and EVENT not in taken:
        columns.insert(0, Column(EVENT, "uint64"))
    return dataclasses.replace(schema.replace(columns), convention="")


def to_root(schema: Schema, format: str) -> Conversion:
    """Columns as they are, in a TTree or an RNTuple; ``event`` is the entry of an event of an HDF5 convention."""
    written = as_root_tree(schema)

    def apply(batch: NumberedBatch) -> Converted:
        return Converted(in_order(written, {name: batch.events[name] for name in batch.events.fields}, batch))

    return Conversion(dataclasses.replace(written, format=format), schema.names, apply, copies=True)


def in_order(schema: Schema, columns: dict[str, Any], batch: NumberedBatch) -> ak.Array:
    """Records of the columns in the order of the schema, numbered by their entry where ``event`` is not among them."""
    if EVENT in schema and EVENT not in columns:
        columns = {**columns, EVENT: batch.entry.astype(np.uint64)}
    return record({name: columns[name] for name in schema.names}, len(batch))


def energy_factor(unit: str, given: str, target: str, what: str) -> tuple[float, tuple[str, ...]]:
    """The factor from the unit of a file to that of its output, and a note where neither file nor user says the unit.

    Args:
        unit: what the file says, empty where it says nothing.
        given: what the user says.
        target: the unit of the output, which is also taken where nothing is said.
        what: the quantity, for messages.

    Raises:
        UsageError: if the two differ, or are no unit of energy.

    Example:
        >>> energy_factor("MeV", "", "GeV", "jet_pt"), energy_factor("", "", "GeV", "jet_pt")
        ((0.001, ()), (1.0, ("the file has no unit of 'jet_pt': it is taken as GeV",)))
    """
    if unit and given and unit != given:
        raise UsageError(f"the file has '{what}' in {unit}", where=f"--unit {given}", hint="leave --unit out")
    known = unit or given
    if not known:
        return 1.0, (f"the file has no unit of '{what}': it is taken as {target}",)
    if known not in ENERGIES:
        raise UsageError(f"'{known}' is not a unit of energy", where=f"'{what}'", hint=f"one of {', '.join(ENERGIES)}")
    return ENERGIES[known] / ENERGIES[target], ()


def left_out(schema: Schema, kept: Iterable[str]) -> tuple[str, ...]:
    """The columns that are neither kept nor a counter of lists, in the file's order."""
    silent = {*kept, *(column.counter for column in schema if column.jagged)}
    return tuple(name for name in schema.names if name not in silent)


def refuse(schema: Schema, target: str, needs: str) -> InputFileError:
    """The error of a target that cannot hold the columns of a file: what it needs, and what there is."""
    names = [f"{column.name}{'[]' if column.jagged else ''}{list(column.shape) or ''}" for column in schema]
    more = f" and {len(names) - 12} more" if len(names) > 12 else ""
    links = list(find_links(schema))
    return InputFileError(
        f"{target} cannot hold these events: it needs {needs}",
        where=f"tree '{schema.tree}' with {', '.join(names[:12])}{more}",
        hint=f"--objects {links[0]} makes one row of each jet with its candidates"
        if links
        else "choose another --to, or name another tree as FILE:TREE",
    )
