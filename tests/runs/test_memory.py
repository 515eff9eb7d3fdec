"""Training takes the memory that it was given, whatever the size of the file."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from hepgen.events import writer
from hepgen.events.schema import Column, Schema
from hepgen.events.source import record
from hepgen.events.writer import create_writer

MEMORY = 16_000_000
COLUMNS = 8
SCRIPT = """
import resource, sys
import hepgen.runs.train, hepgen.generators.coupling
from hepgen.config.load import load_recipe

def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024

recipe, run, memory = sys.argv[1:]
base = peak()
hepgen.runs.train.train_run(load_recipe(recipe, []), run, seed=1, threads=1, memory=int(memory))
print(peak() - base)
"""
RECIPE = """
name: large
data: {{files: [{path}]}}
representation: {{kind: table}}
options: {{coupling: {{layers: 2, hidden: [8], bins: 4}}}}
training: {{steps: 2, batch_size: 64}}
"""


def above_imports(folder: Path, rows: int) -> float:
    """MB that a training on a table of so many rows takes above its imports."""
    folder.mkdir()
    names = [f"x{k}" for k in range(COLUMNS)]
    random = np.random.default_rng(1)
    schema = Schema(tuple(Column(name, "float32") for name in names), tree="events")
    with create_writer(folder / "large.root", schema) as output:
        for _ in range(rows // 50_000):
            columns = {name: random.standard_normal(50_000, dtype=np.float32) for name in names}
            output.write(record(columns, 50_000))
    (folder / "recipe.yaml").write_text(RECIPE.format(path=folder / "large.root"))
    command = [sys.executable, "-c", SCRIPT, str(folder / "recipe.yaml"), str(folder / "run"), str(MEMORY)]
    result = subprocess.run(
        command, capture_output=True, text=True, check=True, env={**os.environ, "OMP_NUM_THREADS": "1"}
    )
    return float(result.stdout)


def test_a_larger_file_takes_no_more_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writer, "BASKET_BYTES", 1 << 18)  # both files have many baskets
    small = above_imports(tmp_path / "small", 150_000)  # 5 MB
    large = above_imports(tmp_path / "large", 750_000)  # 24 MB
    assert large < small + 20
