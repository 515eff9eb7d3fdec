"""What is the own of HDF5 files."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np

from hepgen.events.reader import open_events
from hepgen.events.schema import Schema
from hepgen.events.writer import create_writer


def test_datasets_at_the_top_of_a_file_are_written_there(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "flat.h5", "w") as file:
        file["x"] = np.arange(5.0)
    source = open_events(tmp_path / "flat.h5")
    assert source.schema.top
    with create_writer(tmp_path / "again.h5", Schema.from_dict(source.schema.to_dict())) as writer:
        writer.write(next(iter(source.batches())))
    with h5py.File(tmp_path / "again.h5") as file:
        assert file["x"][:].tolist() == [0.0, 1.0, 2.0, 3.0, 4.0]
