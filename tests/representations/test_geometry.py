from __future__ import annotations

from pathlib import Path

import pytest

from hepgen.errors import InputFileError
from hepgen.events.schema import Column, Schema
from hepgen.physics.binning import Binning, Layer
from hepgen.representations.geometry import check_voxels, read_binning


def test_a_binning_of_another_size_is_refused() -> None:
    schema = Schema((Column("voxel_energy", "float32", (6,)),))
    check_voxels(schema, Binning((Layer(0, (0.0, 1.0, 2.0), 3),)), "a.hdf5")
    with pytest.raises(InputFileError, match="6 voxels, the binning has 4"):
        check_voxels(schema, Binning((Layer(0, (0.0, 1.0, 2.0), 2),)), "a.hdf5")


@pytest.mark.parametrize(
    ("names", "hint"),
    [
        (["binning_photons.xml", "a.root"], "did you mean 'binning_photons.xml'?"),
        (["other.yaml"], "there are: other.yaml"),
        ([], "a relative path counts from the folder of the recipe"),
    ],
)
def test_a_binning_that_is_not_there_gets_a_hint(tmp_path: Path, names: list[str], hint: str) -> None:
    for name in names:
        (tmp_path / name).touch()
    with pytest.raises(InputFileError, match="cannot read the binning") as caught:
        read_binning(tmp_path / "binning_photon.xml")
    assert caught.value.hint == hint
