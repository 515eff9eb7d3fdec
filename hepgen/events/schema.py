"""What columns a file holds: the schema that comes in is the schema that goes out."""

from __future__ import annotations

import dataclasses
import fnmatch
import functools
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import awkward as ak
import numpy as np

from hepgen.errors import InputFileError, suggest

RUN_COLUMNS = frozenset({"run", "runNumber"})
LUMI_COLUMNS = frozenset({"luminosityBlock", "lumiBlock"})
_LABEL = re.compile(r"(^|[_.]|[a-z])(pdg_?id|pid|type|label|class|flavou?r|category)$", re.IGNORECASE)
EVENT_COLUMNS = frozenset({"event", "eventNumber"})


@dataclass(frozen=True)
class Column:
    """One column of an event file.

    Attributes:
        name: name of the branch, field or dataset.
        dtype: numpy name of the element type (``float32``, ``int8``, ``bool``).
        shape: shape of one element, ``()`` for a scalar, ``(368,)`` for a fixed-size array.
        jagged: whether the column holds a variable number of elements per event.
        unit: unit of the values (``MeV``, ``GeV``, ``mm``, ``rad``), empty where none is known.
        counter: name of the branch that counts the elements of a jagged column, as it stood in the input.
        stored_as: the type as the file spells it (``std::vector<float>``, ``Float_t[nJet]``).
    """

    name: str
    dtype: str
    shape: tuple[int, ...] = ()
    jagged: bool = False
    unit: str = ""
    counter: str | None = None
    stored_as: str = ""


def is_identity(column: Column) -> bool:
    """Whether a column numbers events: it is not learned, and numbered anew on output."""
    number = not column.jagged and not column.shape and np.dtype(column.dtype).kind in "iu"
    return number and column.name in RUN_COLUMNS | LUMI_COLUMNS | EVENT_COLUMNS


def is_label(column: Column) -> bool:
    """Whether a column of whole numbers names kinds, by its name: between two of them lies nothing.

    Example:
        >>> is_label(Column("jet_pdgid", "int32")), is_label(Column("num_jets", "int32"))
        (True, False)
    """
    return np.dtype(column.dtype).kind in "biu" and _LABEL.search(column.name) is not None


@dataclass(frozen=True)
class Schema:
    """The columns of a tree, its name, and the format and convention of the file that it came from.

    Attributes:
        columns: in the order of the file.
        tree: name of the tree, ntuple or HDF5 group (may lie in folders: ``dir/events``).
        format: ``ttree``, ``rntuple`` or ``hdf5``.
        convention: ``calochallenge``, ``par04``, ``jetnet`` or ``nanoaod`` where one was recognised, else empty.
        top: whether an HDF5 file holds the datasets at its top, and not in a group.

    Example:
        >>> schema = Schema((Column("x", "float32", unit="GeV"),), tree="events")
        >>> Schema.from_dict(schema.to_dict()) == schema
        True
    """

    columns: tuple[Column, ...]
    tree: str = "events"
    format: str = "ttree"
    convention: str = ""
    top: bool = False

    @functools.cached_property
    def _by_name(self) -> dict[str, Column]:
        return {column.name: column for column in self.columns}

    @functools.cached_property
    def names(self) -> tuple[str, ...]:
        return tuple(column.name for column in self.columns)

    def __iter__(self) -> Iterator[Column]:
        return iter(self.columns)

    def __contains__(self, name: object) -> bool:
        return name in self._by_name

    def __getitem__(self, name: str) -> Column:
        if name in self._by_name:
            return self._by_name[name]
        raise InputFileError(f"no column '{name}'", where=f"tree '{self.tree}'", hint=suggest(name, self.names))

    def select(self, patterns: Sequence[str]) -> Schema:
        """The columns that match any of the patterns, in the file's order; a pattern ``!x*`` takes columns away.

        Raises:
            InputFileError: if a pattern matches nothing.

        Example:
            >>> schema = Schema((Column("Jet_pt", "float32"), Column("Jet_phi", "float32"), Column("met", "float32")))
            >>> schema.select(["Jet_*", "!Jet_phi"]).names
            ('Jet_pt',)
        """
        kept: set[str] = set()
        if patterns and all(pattern.startswith("!") for pattern in patterns):
            kept = set(self.names)
        for pattern in patterns:
            bare = pattern.removeprefix("!")
            matched = set(fnmatch.filter(self.names, bare))
            if not matched:
                what = f"no column '{bare}'" if bare.isidentifier() else f"no column matches '{bare}'"
                raise InputFileError(what, where=f"tree '{self.tree}'", hint=suggest(bare, self.names))
            kept = kept - matched if pattern.startswith("!") else kept | matched
        return self.replace(column for column in self.columns if column.name in kept)

    def replace(self, columns: Iterable[Column]) -> Schema:
        """The same tree with other columns."""
        return dataclasses.replace(self, columns=tuple(columns))

    def to_dict(self) -> dict[str, Any]:
        return dataclasses.asdict(self)

    @classmethod
    def from_dict(cls, state: dict[str, Any]) -> Schema:
        columns = tuple(Column(**{**column, "shape": tuple(column["shape"])}) for column in state["columns"])
        return cls(**{**state, "columns": columns})


def schema_of(events: ak.Array, *, tree: str = "events", units: dict[str, str] | None = None) -> Schema:
    """The schema of a record array: scalar, fixed-size and jagged numeric columns.

    Raises:
        InputFileError: if a column is neither of these.

    Example:
        >>> [(c.name, c.dtype, c.shape, c.jagged) for c in schema_of(ak.Array({"x": [[1.5], []]}))]
        [('x', 'float64', (), True)]
    """
    columns = []
    for name in events.fields:
        found = column_of_form(name, events[name].layout.form)
        if found is None:
            raise InputFileError(
                f"column '{name}' is neither a number nor an array of numbers", where=str(events[name].type)
            )
        columns.append(dataclasses.replace(found, unit=(units or {}).get(name, "")))
    return Schema(tuple(columns), tree=tree)


def column_of_form(name: str, form: ak.forms.Form) -> Column | None:
    """The column of an awkward form, or None where it is no number, fixed-size array or jagged array of numbers."""
    jagged = False
    while isinstance(form, ak.forms.IndexedForm):
        form = form.content
    if form.parameter("__array__") is None and isinstance(form, ak.forms.ListOffsetForm | ak.forms.ListForm):
        jagged, form = True, form.content
    shape: list[int] = []
    while isinstance(form, ak.forms.RegularForm | ak.forms.IndexedForm) and form.parameter("__array__") is None:
        if isinstance(form, ak.forms.RegularForm):
            shape.append(form.size)
        form = form.content
    if isinstance(form, ak.forms.EmptyForm):
        return Column(name, "float64", tuple(shape), jagged)
    if not isinstance(form, ak.forms.NumpyForm) or form.parameter("__array__") is not None:
        return None
    dtype = np.dtype(form.primitive)
    return Column(name, dtype.name, (*shape, *form.inner_shape), jagged) if dtype.kind in "biuf" else None
