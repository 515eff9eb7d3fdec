"""Images of jets: they hold the pt of the constituents, at their place about the axis."""

from __future__ import annotations

from pathlib import Path

import awkward as ak
import numpy as np
import pytest

from hepgen.errors import InputFileError, UsageError
from hepgen.events.convert import convert_file
from hepgen.events.images import PIXELS
from hepgen.events.reader import open_events
from hepgen.physics.binning import Binning, Layer
from hepgen.physics.layers import PixelLayer

DATA = Path(__file__).parents[1] / "data"


@pytest.mark.parametrize("name", ["images.root", "images.h5"])
def test_an_image_holds_the_pt_of_the_constituents_within_it(name: str, tmp_path: Path) -> None:
    summary = convert_file(open_events(DATA / "jets.root"), tmp_path / name, "images")
    made = open_events(tmp_path / name)
    assert made.schema["image"].shape == (25, 25)
    assert made.schema["image"].unit == "GeV"
    images, jets = next(iter(made.batches())), next(iter(open_events(DATA / "jets.root").batches()))
    assert summary.events == len(jets) == len(images)
    np.testing.assert_array_equal(images.jet_pdgid, jets.jet_pdgid)
    pixels = ak.to_numpy(images.image)
    eta = ak.to_numpy(ak.flatten(jets.part_eta - jets.jet_eta)).astype(float)
    phi = ak.to_numpy(ak.flatten(jets.part_phi - jets.jet_phi)).astype(float)
    phi = (phi + np.pi) % (2 * np.pi) - np.pi
    number = np.repeat(np.arange(len(jets)), ak.to_numpy(ak.num(jets.part_pt)))
    edges = [np.arange(len(jets) + 1) - 0.5, np.array(PIXELS.x_edges), np.array(PIXELS.y_edges)]
    pt = ak.to_numpy(ak.flatten(jets.part_pt)).astype(float)
    expected, _ = np.histogramdd([number, eta, phi], bins=edges, weights=pt)
    assert np.mean(np.isclose(pixels, expected, rtol=1e-5)) > 0.9999  # but those on an edge
    np.testing.assert_allclose(pixels.sum(axis=(1, 2)), expected.sum(axis=(1, 2)), rtol=1e-3)


def test_jets_of_jetnet_have_images_too(tmp_path: Path) -> None:
    convert_file(open_events(DATA / "jetnet.hdf5"), tmp_path / "images.h5", "images")
    images, jets = (next(iter(open_events(path).batches())) for path in (tmp_path / "images.h5", DATA / "jetnet.hdf5"))
    assert set(images.fields) == {"jet_pt", "jet_eta", "jet_mass", "image"}
    particles = ak.to_numpy(jets.particle_features)
    relative = (particles[..., 2] * (particles[..., 3] > 0)).sum(axis=1)
    found = ak.to_numpy(images.image).sum(axis=(1, 2)) / ak.to_numpy(images.jet_pt)
    np.testing.assert_allclose(found, relative, rtol=2e-2)


def test_the_grid_of_a_binning_is_taken_and_what_lies_outside_is_counted(tmp_path: Path) -> None:
    core = Binning((PixelLayer(0, (-0.1, 0.0, 0.1), (-0.1, 0.1)),), length_unit="")
    summary = convert_file(open_events(DATA / "jets.root"), tmp_path / "core.root", "images", binning=core)
    assert open_events(tmp_path / "core.root").schema["image"].shape == (2, 1)
    assert any("constituents outside of the image" in words for words in summary.dropped)


def test_what_is_no_jet_or_no_grid_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputFileError, match="jets with constituents"):
        convert_file(open_events(DATA / "ttbar.root"), tmp_path / "a.root", "images")
    rings = Binning((Layer(0, (0.0, 1.0), 4),))
    with pytest.raises(UsageError, match="one layer of pixels"):
        convert_file(open_events(DATA / "jets.root"), tmp_path / "a.root", "images", binning=rings)
