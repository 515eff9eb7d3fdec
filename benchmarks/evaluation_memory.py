"""Peak memory and time of ``hepgen evaluate`` as the samples grow: pools are bounded, everything else streams.

Writes two ROOT files of ten columns, drawn from the rows of a table and smeared so that no row stands twice, and runs
``evaluate --quick`` on them. Peak memory is what the kernel says of each finished process.

    python benchmarks/evaluation_memory.py ttbar_train.root --events 1e5 5e5 2e6
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from memory import peak

from hepgen.cli.quantities import format_size, parse_count
from hepgen.events.reader import open_events
from hepgen.events.schema import Schema
from hepgen.events.source import record
from hepgen.events.writer import create_writer

LIBRARIES = "uproot, awkward, torch, sklearn.ensemble, matplotlib.pyplot, mplhep, hepgen.evaluation.run"
ROWS = 100_000


def columns_of(path: Path, number: int) -> tuple[dict[str, np.ndarray], Schema]:
    """The first floating-point columns of a file, with two of whole numbers behind them where there are any."""
    source = open_events(path)
    floats, whole = ([c for c in source.schema if np.dtype(c.dtype).kind == kind] for kind in "fi")
    chosen = [*floats[: number - len(whole[-2:])], *whole[-2:]]
    batches = list(source.batches([column.name for column in chosen]))
    values = {c.name: np.concatenate([np.asarray(batch[c.name]) for batch in batches]) for c in chosen}
    return values, Schema(tuple(chosen), tree="events")


def write_sample(path: Path, values: dict[str, np.ndarray], schema: Schema, events: int, seed: int) -> None:
    """Random rows; whole numbers as they are, all others smeared by a thousandth."""
    random = np.random.default_rng(seed)
    size = len(next(iter(values.values())))
    with create_writer(path, schema) as writer:
        for start in range(0, events, ROWS):
            count = min(ROWS, events - start)
            rows = random.integers(size, size=count)
            drawn = {}
            for name, column in values.items():
                smear = 1 + 1e-3 * random.standard_normal(count, dtype=np.float32)
                drawn[name] = column[rows] * smear if column.dtype.kind == "f" else column[rows]
            writer.write(record(drawn, count))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file", type=Path)
    parser.add_argument("--events", nargs="+", default=["1e5", "5e5", "2e6"], help="events in each of the two files")
    parser.add_argument("--columns", type=int, default=10)
    arguments = parser.parse_args()
    values, schema = columns_of(arguments.file, arguments.columns)
    baseline = peak([sys.executable, "-c", f"import {LIBRARIES}"])
    print(f"{len(schema.columns)} columns; importing the libraries takes {format_size(baseline)}", flush=True)
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        before: tuple[int, int] | None = None
        for count in map(parse_count, arguments.events):
            paths = [folder / f"{name}_{count}.root" for name in ("reference", "generated")]
            for seed, path in enumerate(paths):
                write_sample(path, values, schema, count, seed)
            out = folder / f"report_{count}"
            options = ["--quick", "--seed", "1", "-o", str(out)]
            begun = time.perf_counter()
            found = peak([sys.executable, "-m", "hepgen.cli", "evaluate", *map(str, paths), *options])
            seconds = time.perf_counter() - begun
            scores = json.loads((out / "report.json").read_text())["scores"]
            words = f"ks.max.all {scores['ks.max.all']['value']:.5f}, w1.max.all {scores['w1.max.all']['value']:.5f}"
            grown = (
                "" if before is None else f", {(found - before[0]) / (count - before[1]):.0f} bytes per further event"
            )
            print(f"{count} events a side: peak {format_size(found)}{grown}, {seconds:.0f} s; {words}", flush=True)
            before = found, count
            for path in paths:
                path.unlink()


if __name__ == "__main__":
    main()
