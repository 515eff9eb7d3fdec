"""A recipe for scores that shall not follow columns: what ``hepgen inspect FILE --decorrelate SCORE --protect COLUMN --config`` prints."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from hepgen.cli.propose import absolute, weight_of, write_recipe
from hepgen.errors import UsageError, suggest
from hepgen.events.summary import ColumnSummary, Description

_LABELS = ("is_signal", "isSignal", "is_sig", "issig", "signal", "label", "target", "y")


def propose_decorrelate(
    files: Sequence[str], described: Description, scores: Sequence[str], protected: Sequence[str]
) -> str:
    """The text of a recipe with ``task: decorrelate`` that ``hepgen train`` accepts as it is.

    Args:
        files: the inputs as they were given; written as absolute paths.
        described: what one pass over them found.
        scores, protected: names of columns.

    Raises:
        UsageError: if a column is not there, or is not one finite number an event that varies.
    """
    known = {one.column.name: one for one in described.columns}
    for option, names in (("--decorrelate", scores), ("--protect", protected)):
        for name in names:
            _check(option, name, known)
    data: dict[str, Any] = {"files": [absolute(name) for name in files]}
    weight = weight_of(described.schema)
    if weight is not None:
        data["weight"] = weight
    label = next((known[name] for name in _LABELS if name in known and known[name].distinct == {0, 1}), None)
    if label is not None:
        data["cut"] = f"{label.column.name} == 0"
        notes = [f"background, on which the scores shall be the same everywhere, is where {data['cut']}"]
    else:
        notes = ["all events are taken for background; if some are signal, cut them away: data: {cut: ...}"]
    content = {"data": data, "discriminants": list(scores), "protected": list(protected)}
    return write_recipe("decorrelate", {"task": "decorrelate", **content}, notes)


def _check(option: str, name: str, known: dict[str, ColumnSummary]) -> None:
    if name not in known:
        raise UsageError(f"no column '{name}'", where=option, hint=suggest(name, known))
    found = known[name]
    if found.column.jagged or found.column.shape:
        raise UsageError(f"'{name}' is not one number an event", where=option, hint="name a column of single numbers")
    if found.non_finite or not (math.isfinite(found.low) and found.low < found.high):
        what = f"{found.non_finite} values that are not finite" if found.non_finite else "one value only"
        raise UsageError(f"'{name}' has {what}", where=option, hint="data.cut and data.define of the recipe may help")
