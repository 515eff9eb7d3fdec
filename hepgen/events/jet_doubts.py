"""What is wrong with the jets of a file, as a first look at it says."""

from __future__ import annotations

import awkward as ak
import numpy as np

from hepgen.errors import InputFileError
from hepgen.events.constituents import read_jets
from hepgen.events.jet_units import check_units
from hepgen.events.jets import MULTIPLICITY, find_jets
from hepgen.events.source import NumberedSource, naming_entries, numbered_pieces, place_of

_LOOKED_AT = 10_000


def jet_doubts(source: NumberedSource) -> list[str]:
    """What is odd or wrong in the first 10,000 jets of a file, a sentence each; nothing where there are no jets.

    Example:
        >>> from hepgen.events.reader import open_events
        >>> jet_doubts(open_events("tests/data/jets.root"))
        []
    """
    columns = find_jets(source.schema)
    if columns is None:
        return []
    counters = {one.counter for one in source.schema}
    numbers = [
        one.name
        for one in source.schema
        if MULTIPLICITY.fullmatch(one.name) and not one.jagged and not one.shape and one.name not in counters
    ]
    whole, *others = columns.constituents
    lists = [one.name for one in source.schema if one.jagged and not one.shape and one.name not in others]
    lists = [name for name in lists if name != whole] if whole in lists else []
    found: dict[str, int] = {}
    first: dict[str, str] = {}
    seen = 0
    try:
        check_units(source.schema, columns)
        for piece in numbered_pieces(source, [*dict.fromkeys([*columns.names, *numbers, *lists])]):
            with naming_entries(source, piece):
                problems = dict(read_jets(piece.events, columns).problems)
            for name in [*numbers, *filter(None, (columns.jet_pt, columns.jet_energy))]:
                problems[f"'{name}' below 0"] = np.asarray(piece.events[name]) < 0
            for name in lists:
                differ = np.asarray(ak.num(piece.events[name])) != np.asarray(ak.num(piece.events[whole]))
                problems[f"'{name}' of another length than '{whole}'"] = differ
            for words, flags in problems.items():
                if flags.any():
                    found[words] = found.get(words, 0) + int(flags.sum())
                    first.setdefault(words, place_of(source, piece, int(np.flatnonzero(flags)[0])))
            seen += len(piece)
            if seen >= _LOOKED_AT:
                break
    except InputFileError as error:
        return [str(error)]
    return [
        f"{number} of the first {seen} jets: {words} (the first: {first[words]})" for words, number in found.items()
    ]
