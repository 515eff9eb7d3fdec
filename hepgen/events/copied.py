"""Columns that no model learns, and that stay in the file: text, lists of lists, lists of arrays, lists of text.

A format that has no room for lists of lists holds them as two columns: all the numbers of an event in a row, and the
lengths of the inner lists.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

import awkward as ak
import numpy as np

from hepgen.events.schema import Column

LENGTHS = "_lengths"
_TEXT = "string"
#: C++ types made of nothing but lists, numbers and text; uproot needs long to say the form of any other.
_WORDS = re.compile(r"[\w:]+")
_KNOWN_WORDS = re.compile(
    r"(std::)?(vector|string|array)|TString|ROOT::(RVec|VecOps::RVec)|char|bool|float|double|unsigned|long|short|int|"
    r"(std::)?u?int\d+_t|\d+"
)


@dataclass(frozen=True)
class CopiedColumn:
    """A column of lists and text, which can be copied and not learned.

    Attributes:
        name: name of the branch, field or dataset.
        item: numpy name of the innermost type, or ``string``.
        depth: levels of lists of an event: 0 for one text, 2 for a list of lists of numbers.
        stored_as: the type as the file spells it.
        counter: name of the branch that counts the elements of the outermost list, as it stands in the file.

    Example:
        >>> CopiedColumn("hits", "float32", 2).type, CopiedColumn("tag", "string", 0).type
        ('var * var * float32', 'string')
    """

    name: str
    item: str
    depth: int
    stored_as: str = ""
    counter: str | None = None

    @property
    def type(self) -> str:
        """As awkward spells it, without the number of events."""
        return "var * " * self.depth + self.item

    @property
    def is_text(self) -> bool:
        """Whether an event holds one text."""
        return self.item == _TEXT and self.depth == 0


def may_be_copied(typename: str) -> bool:
    """Whether a C++ type is made of lists, numbers and text.

    Example:
        >>> [may_be_copied(one) for one in ("std::vector<std::vector<float>>", "char*", "TLorentzVector")]
        [True, True, False]
    """
    return all(_KNOWN_WORDS.fullmatch(word) for word in _WORDS.findall(typename))


def copied_column(name: str, form: ak.forms.Form, stored_as: str = "") -> CopiedColumn | None:
    """The column of an awkward form that is made of lists, numbers and text, else None.

    Example:
        >>> copied_column("tag", ak.Array(["a", "bc"]).layout.form).type
        'string'
    """
    depth = 0
    while True:
        kind = form.parameter("__array__")
        if kind == _TEXT:
            return CopiedColumn(name, _TEXT, depth, stored_as)
        if kind is not None:
            return None
        if isinstance(form, ak.forms.ListOffsetForm | ak.forms.ListForm | ak.forms.RegularForm):
            depth, form = depth + 1, form.content
        elif isinstance(form, ak.forms.IndexedForm):
            form = form.content
        elif isinstance(form, ak.forms.NumpyForm) and np.dtype(form.primitive).kind in "biuf":
            return CopiedColumn(name, form.primitive, depth + len(form.inner_shape), stored_as)
        else:
            return None


def flat_columns(column: CopiedColumn) -> tuple[Column, ...]:
    """Lists of numbers that hold what the column holds: the values, the lengths of the innermost lists, and so on outwards.

    Example:
        >>> [(one.name, one.dtype) for one in flat_columns(CopiedColumn("hits", "float32", 2))]
        [('hits', 'float32'), ('hits_lengths', 'int32')]
    """
    text = column.item == _TEXT
    values = Column(column.name, "uint8" if text else column.item, jagged=True)
    levels = column.depth + text - 1
    return values, *(Column(column.name + LENGTHS * level, "int32", jagged=True) for level in range(1, levels + 1))


def flattened(column: CopiedColumn, values: Any) -> dict[str, ak.Array]:
    """The values of `flat_columns`.

    Args:
        values: one element an event, of the type of the column.

    Example:
        >>> found = flattened(CopiedColumn("hits", "int64", 2), ak.Array([[[1, 2], [3]], [], [[]]]))
        >>> {name: lists.to_list() for name, lists in found.items()}
        {'hits': [[1, 2, 3], [], []], 'hits_lengths': [[2, 1], [], [0]]}
    """
    lists = plain_lists(values)
    found: dict[str, ak.Array] = {}
    for one in flat_columns(column):
        found[one.name] = ak.values_astype(_joined(lists), one.dtype)
        lists = ak.num(lists, axis=-1)
    return found


def plain_lists(values: Any) -> ak.Array:
    """Lists of any length in the place of arrays of one, and of characters in the place of text."""
    return ak.from_regular(ak.without_parameters(ak.Array(values)), axis=None)


def _joined(lists: ak.Array) -> ak.Array:
    """All the numbers of an event in a row."""
    while lists.ndim > 2:
        lists = ak.flatten(lists, axis=2)
    return lists
