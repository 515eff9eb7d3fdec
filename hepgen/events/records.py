"""One row per job beside the events: who made them, from which seed and blocks, and whether the file is complete."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from hepgen.errors import InputFileError, UsageError, suggest
from hepgen.events.failures import reading
from hepgen.events.hdf5 import open_hdf5
from hepgen.events.locate import sniff
from hepgen.events.rootfile import RUNS_TREE, open_root

#: The branches of ``hepgen_runs`` with their types; strings are strings.
RUN_COLUMNS: dict[str, str] = {
    "events": "uint64",
    "seed": "string",
    "first_block": "uint64",
    "last_block": "uint64",
    "model_sha256": "string",
    "recipe": "string",
    "version": "string",
    "complete": "uint8",
}


@dataclass(frozen=True)
class RunRecord:
    """What one job did.

    Attributes:
        events: number of events that it wrote.
        seed: the seed as text; it may be larger than any integer branch.
        first_block: number of its first block of random numbers.
        last_block: number of its last block.
        model_sha256: hash of the surrogate.
        recipe: the resolved recipe, JSON.
        version: version of hepgen.
        complete: 1; a file of a job that died has no row at all.
    """

    events: int
    seed: str = ""
    first_block: int = 0
    last_block: int = 0
    model_sha256: str = ""
    recipe: str = "{}"
    version: str = ""
    complete: int = 1

    @classmethod
    def from_mapping(cls, values: Mapping[str, Any]) -> RunRecord:
        """A record of a mapping; what it leaves out has its default.

        Raises:
            UsageError: if it names anything else.
        """
        for name in values:
            if name not in RUN_COLUMNS:
                raise UsageError(f"no field '{name}' in a run record", hint=suggest(name, RUN_COLUMNS))
        typed: dict[str, Any] = {
            name: str(value) if RUN_COLUMNS[name] == "string" else int(value) for name, value in values.items()
        }
        return cls(**{"events": 0, **typed})


def read_run_records(path: str | Path) -> list[RunRecord]:
    """The run records of a file that hepgen wrote, empty where there are none.

    Raises:
        InputFileError: if the file cannot be read.
    """
    name = str(path)
    if sniff(name) == "hdf5":
        with open_hdf5(name) as file, reading(name):
            if RUNS_TREE not in file:
                return []
            group = file[RUNS_TREE]
            columns = {
                key: group[key].asstr()[:] if kind == "string" else group[key][:] for key, kind in _wanted(group)
            }
    else:
        with open_root(name) as file, reading(name):
            if RUNS_TREE not in file.keys(recursive=False, cycle=False):
                return []
            arrays = file[RUNS_TREE].arrays()
            columns = {key: np.asarray(arrays[key].to_list()) for key, _ in _wanted(arrays.fields)}
    if not columns:
        raise InputFileError(f"'{RUNS_TREE}' has none of its columns", where=name)
    rows = len(next(iter(columns.values())))
    return [RunRecord.from_mapping({key: values[row] for key, values in columns.items()}) for row in range(rows)]


def _wanted(present: Any) -> list[tuple[str, str]]:
    return [(name, kind) for name, kind in RUN_COLUMNS.items() if name in present]
