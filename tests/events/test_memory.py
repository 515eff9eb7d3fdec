"""Reading and writing stay within their memory, whatever the size of the file."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from paths import DATA

SCRIPT = """
import resource, sys
from hepgen.events.reader import open_events
from hepgen.events.writer import create_writer
import hepgen.events.hdf5_writer, hepgen.events.root_writer

def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024

path, format = sys.argv[2:]
showers = open_events(sys.argv[1])
batch = next(showers.batches())
base = peak()
with create_writer(path, showers.schema, format=format) as writer:
    for _ in range(25):
        writer.write(batch)
written = peak() - base
source = open_events(path, memory=16 << 20)
for events in source.batches():
    del events
print(written, peak() - base, source.num_events)
"""


@pytest.mark.parametrize("format", ["ttree", "rntuple", "hdf5"])
def test_a_large_file_takes_little_memory(format: str, tmp_path: Path) -> None:
    command = [sys.executable, "-c", SCRIPT, str(DATA / "photons.hdf5"), str(tmp_path / "large.root"), format]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    result = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
    written, both, events = (float(value) for value in result.stdout.split())
    assert events == 50_000  # 74 MB of showers
    assert written < 60
    assert both < 100
