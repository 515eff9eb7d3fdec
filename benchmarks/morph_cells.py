"""A benchmark cell by cell: each finished one is a line of JSON, and is not made again."""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Iterable, Sequence
from fnmatch import fnmatch
from pathlib import Path
from typing import Any, Protocol, TypeVar

import torch
from morph_problems import Places

from hepgen.errors import HepgenError

LIMIT = 120.0
"""Seconds after which a cell is given up: one takes up to a minute of a quiet core."""

Line = dict[str, Any]


class Cell(Protocol):
    """One measurement, which its name says all of."""

    @property
    def name(self) -> str: ...


C = TypeVar("C", bound=Cell)


def run(
    description: str | None,
    cells: Callable[[int], Iterable[C]],
    measure: Callable[[C, Places, float | None], Line],
    tables: Callable[[Sequence[Line]], None],
    *,
    seeds: int,
    missing: Iterable[str] = (),
) -> None:
    """The command line of such a benchmark.

    Args:
        cells: all of them, for so many seeds.
        measure: makes one, with so many seconds of training, or None for the steps that it has.
        tables: prints lines as tables.
        seeds: by default.
        missing: what this version cannot make, in words.
    """
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output", "-o", type=Path, required=True, help="lines of JSON, one a cell")
    parser.add_argument("--data", type=Path, help="folder with events/ and jets/, for real data")
    parser.add_argument("--work", type=Path, help="folder where the numbers of jets are kept")
    parser.add_argument("--cells", default="*", help="names of cells as --list prints them, a glob")
    parser.add_argument("--seeds", type=int, default=seeds)
    parser.add_argument("--budget", type=float, help="seconds of training of each cell, in the place of its steps")
    parser.add_argument("--list", action="store_true", help="say which cells there are, and which are made")
    parser.add_argument("--table", action="store_true", help="print what is made as tables of markdown")
    arguments = parser.parse_args()
    made = {line["cell"]: line for line in _lines(arguments.output)}
    if arguments.table:
        tables([line for name, line in made.items() if fnmatch(name, arguments.cells)])
        return
    chosen = [cell for cell in cells(arguments.seeds) if fnmatch(cell.name, arguments.cells)]
    if arguments.list:
        for cell in chosen:
            print("made" if cell.name in made else "    ", cell.name)
        for words in missing:
            print("this version has no", words)
        return
    torch.set_num_threads(1)
    failed = 0
    for cell in chosen:
        if cell.name in made:
            continue
        begun = time.perf_counter()
        try:
            found = measure(cell, Places(arguments.data, arguments.work), arguments.budget)
        except HepgenError as error:
            failed += 1
            print(f"{cell.name}: {error}", flush=True)
            continue
        seconds = time.perf_counter() - begun
        with arguments.output.open("a", encoding="utf-8") as file:
            line = {"cell": cell.name, **vars(cell), **found, "seconds": seconds}
            file.write(json.dumps(_rounded(line)) + "\n")
        print(f"{cell.name}: {seconds:.0f} s", flush=True)
    if failed:
        raise SystemExit(f"{failed} cells failed")


def _lines(path: Path) -> list[Line]:
    """What is made; a last line that was torn is taken off the file, so that its cell is made again."""
    lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    found: list[Line] = []
    for number, text in enumerate(lines, start=1):
        try:
            found.append(json.loads(text))
        except json.JSONDecodeError:
            if number < len(lines):
                raise SystemExit(f"{path}, line {number}: no JSON; mend or remove it") from None
            path.write_text("".join(f"{line}\n" for line in lines[:-1]), encoding="utf-8")
            print(f"{path}: the last line was torn and is taken off", flush=True)
    return found


def _rounded(value: Any) -> Any:
    """Numbers to five digits, in whatever they stand."""
    if isinstance(value, dict):
        return {key: _rounded(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_rounded(one) for one in value]
    return float(f"{value:.5g}") if isinstance(value, float) else value
