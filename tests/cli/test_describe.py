from __future__ import annotations

import pytest

from hepgen.cli.describe import check_voxels
from hepgen.errors import InputFileError
from hepgen.events.schema import Column, Schema
from hepgen.physics.binning import Binning, Layer


def test_a_binning_of_another_size_is_refused() -> None:
    schema = Schema((Column("voxel_energy", "float32", (6,)),))
    check_voxels(schema, Binning((Layer(0, (0.0, 1.0, 2.0), 3),)), "a.hdf5")
    with pytest.raises(InputFileError, match="6 voxels, the binning has 4"):
        check_voxels(schema, Binning((Layer(0, (0.0, 1.0, 2.0), 2),)), "a.hdf5")
