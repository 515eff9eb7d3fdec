"""Peak memory of whole commands, above what importing their libraries takes.

Writes a ROOT file of the given size, then runs ``inspect`` and ``train`` on it with ``--memory``, and ``sample`` of a
bundle. Peak memory is what the kernel says of each finished process.

    python benchmarks/memory.py --size 2e9 --memory 300MB --model models/photons --events 1e6
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

from hepgen.cli.quantities import format_size, parse_count, parse_size
from hepgen.events.schema import Column, Schema
from hepgen.events.source import record
from hepgen.events.writer import create_writer

COLUMNS = 20
RECIPE = """
name: large
data: {{files: [{path}]}}
representation: {{kind: table}}
options: {{coupling: {{layers: 2, hidden: [32], bins: 4}}}}
training: {{steps: 50, validate_every: 1000}}
"""
READING = "uproot, awkward, h5py, numpy, pydantic, hepgen.events.summary"
SAMPLING = f"{READING}, torch, numba, hepgen.runs"
# torch loads its compiler with the first optimizer
LIBRARIES = {"inspect": READING, "train": f"{SAMPLING}, torch._dynamo", "sample": SAMPLING}


def peak(command: list[str]) -> int:
    """Peak resident memory of a finished process, in bytes."""
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    _, status, usage = os.wait4(process.pid, 0)
    if os.waitstatus_to_exitcode(status) != 0:
        message = process.stderr.read().decode() if process.stderr is not None else ""
        raise SystemExit(f"{' '.join(command)} failed: {message}")
    return usage.ru_maxrss * 1024


def write_large(path: Path, size: float) -> None:
    """Random columns, which do not compress, until the file has about this size."""
    random = np.random.default_rng(1)
    names = [f"x{k}" for k in range(COLUMNS)]
    rows = 100_000
    schema = Schema(tuple(Column(name, "float32") for name in names), tree="events")
    with create_writer(path, schema) as writer:
        for _ in range(max(1, int(size / (rows * COLUMNS * 4)))):
            writer.write(record({name: random.standard_normal(rows, dtype=np.float32) for name in names}, rows))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", type=float, default=2e9)
    parser.add_argument("--memory", default="300MB")
    parser.add_argument("--model", type=Path)
    parser.add_argument("--events", default="1e6")
    arguments = parser.parse_args()
    hepgen = [sys.executable, "-m", "hepgen.cli"]
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        commands = {}
        if arguments.size > 0:
            path = folder / "large.root"
            write_large(path, arguments.size)
            (folder / "recipe.yaml").write_text(RECIPE.format(path=path))
            print(f"file of {format_size(path.stat().st_size)}, --memory {arguments.memory}")
            limit = ["--memory", arguments.memory]
            commands["inspect"] = [*hepgen, "inspect", str(path), *limit]
            commands["train"] = [*hepgen, "train", str(folder / "recipe.yaml"), "-o", str(folder / "run"), *limit]
        if arguments.model is not None:
            count = str(parse_count(arguments.events))
            out = str(folder / "generated.root")
            commands[f"sample -n {count}"] = [*hepgen, "sample", str(arguments.model), "-n", count, "-o", out]
        for name, command in commands.items():
            baseline = peak([sys.executable, "-c", f"import {LIBRARIES[name.split()[0]]}"])
            found = peak(command)
            verdict = "" if name.startswith("sample") else f", limit {format_size(parse_size(arguments.memory))}"
            above = f"{format_size(found - baseline)} above importing {format_size(baseline)} of libraries"
            print(f"{name}: peak {format_size(found)}, {above}{verdict}", flush=True)


if __name__ == "__main__":
    main()
