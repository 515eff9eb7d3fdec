"""The shape of an image, to features and back, and pixels that keep to it."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from hepgen.errors import ConfigError
from hepgen.physics.binning import Binning
from hepgen.physics.observables import center_and_width
from hepgen.representations.image_shapes import ImageShapes, tilted

AXIS = {"bins": 9, "low": -0.9, "high": 0.9}
GRID = Binning.from_dict({"pixels": {"x_edges": AXIS, "y_edges": AXIS}, "length_unit": ""})
SHAPES = ImageShapes(GRID)
THRESHOLD = 0.5


def images(events: int, seed: int, hits: int = 12) -> torch.Tensor:
    """Pixels about the middle, of at least the threshold, (events, 81)."""
    random = np.random.default_rng(seed)
    pixels = np.zeros((events, GRID.num_voxels), dtype=np.float32)
    near = np.exp(-2 * GRID.r_mid)
    for row in pixels:
        chosen = random.choice(GRID.num_voxels, random.integers(1, hits + 1), replace=False, p=near / near.sum())
        row[chosen] = THRESHOLD + random.exponential(3.0, len(chosen))
    return torch.from_numpy(pixels)


def test_a_shape_is_what_the_evaluation_measures() -> None:
    pixels = images(50, 1)
    hits, x, y, wide_x, wide_y, r = SHAPES.measure(pixels).T
    assert torch.equal(hits, (pixels > 0).sum(1).float())
    for found, place in ((x, GRID.eta), (y, GRID.phi), (r, GRID.r_mid)):
        np.testing.assert_allclose(found, center_and_width(pixels.numpy(), place)[0], atol=1e-6)
    for found, place in ((wide_x, GRID.eta), (wide_y, GRID.phi)):
        np.testing.assert_allclose(found, center_and_width(pixels.numpy(), place)[1], atol=1e-4)


@given(seed=st.integers(0, 10_000), noise=st.floats(0.001, 0.999))
@settings(max_examples=30, deadline=None)
def test_features_come_back_as_the_shape(seed: int, noise: float) -> None:
    shape = SHAPES.measure(images(20, seed).double())
    wide = (shape[:, 3:5] > 0.01).all(1)  # an image of one pixel has no width, which comes back as almost none
    features = SHAPES.to_features(shape, torch.full((20,), noise, dtype=torch.float64))
    assert torch.isfinite(features).all()
    torch.testing.assert_close(SHAPES.from_features(features)[wide], shape[wide], rtol=1e-4, atol=1e-4)


def test_the_derivative_of_the_features_is_their_determinant() -> None:
    shape = SHAPES.measure(images(20, 3).double())
    shape = shape[(shape[:, 3:5] > 0.05).all(1)]
    noise = torch.full((1,), 0.3, dtype=torch.float64)
    for row in shape[:5]:
        jacobian = torch.autograd.functional.jacobian(lambda one: SHAPES.to_features(one[None], noise)[0], row)
        assert isinstance(jacobian, torch.Tensor)
        expected = torch.linalg.slogdet(jacobian).logabsdet
        torch.testing.assert_close(SHAPES.log_abs_det(row[None], noise)[0], expected)


@given(seed=st.integers(0, 10_000), blur=st.floats(0, 1.0))
@settings(max_examples=20, deadline=None)
def test_pixels_keep_to_energy_hits_centre_and_widths_whatever_was_made(seed: int, blur: float) -> None:
    true = images(20, seed, hits=20)
    shape, energy = SHAPES.measure(true), true.sum(1)
    random = torch.Generator().manual_seed(seed)
    logs = torch.where(true > 0, true / THRESHOLD, 0.05).log() + blur * torch.randn(true.shape, generator=random)
    made = SHAPES.place(logs, energy, shape, THRESHOLD)
    assert torch.isfinite(made).all()
    torch.testing.assert_close(made.sum(1), energy, rtol=1e-5, atol=0)
    assert torch.equal((made > 0).sum(1), (true > 0).sum(1))
    assert made[made > 0].min() >= THRESHOLD
    same = ((made > 0) == (true > 0)).all(1)  # with the hits of a true image its shape can be reached
    torch.testing.assert_close(SHAPES.measure(made)[same], shape[same], rtol=0, atol=5e-3)


def test_a_shape_out_of_reach_gives_pixels_all_the_same() -> None:
    logs = torch.full((2, GRID.num_voxels), -5.0)
    logs[:, :3] = 1.0  # all hits in a corner
    shape = torch.tensor([[3.0, 0.0, 0.0, 0.01, 0.01, 0.0], [40.0, 0.0, 0.0, 0.2, 0.2, 0.2]])
    made = SHAPES.place(logs, torch.tensor([30.0, 2.2]), shape, THRESHOLD)
    assert torch.isfinite(made).all()
    torch.testing.assert_close(made.sum(1), torch.tensor([30.0, 2.2]), rtol=1e-5, atol=0)
    assert (made[1] > 0).sum() == 4  # 2.2 GeV are not enough for more hits of 0.5
    assert SHAPES.place(logs[:1], torch.tensor([0.1]), shape[:1], THRESHOLD).sum() == 0


def test_what_has_to_be_hit_besides_is_what_is_often_hit() -> None:
    logs = torch.full((1, GRID.num_voxels), -3.0)
    logs[0, 40], logs[0, 0] = 1.0, -2.0  # a hit in the middle, and noise in a corner that comes nearest to one
    occupancy = torch.from_numpy(np.exp(-3 * GRID.r_mid)).float()
    occupancy[0] = 0.0
    shape = torch.tensor([[3.0, 0.0, 0.0, 0.1, 0.1, 0.1]])
    made = SHAPES.place(logs, torch.tensor([9.0]), shape, THRESHOLD, occupancy)
    assert (made > 0).sum() == 3
    assert made[0, 40] > 0
    assert made[0, 0] == 0
    assert SHAPES.place(logs, torch.tensor([9.0]), shape, THRESHOLD)[0, 0] > 0


def test_shares_are_the_nearest_in_relative_entropy() -> None:
    """Of all shares with the wanted mean, exp(t place) times what was there has the least entropy relative to it."""
    logs = torch.log(torch.tensor([[0.5, 0.3, 0.2]], dtype=torch.float64))
    places = torch.tensor([[[0.0], [1.0], [2.0]]], dtype=torch.float64)
    shares = tilted(logs, places, torch.tensor([[1.2]], dtype=torch.float64))[0]
    assert float((shares * places[0, :, 0]).sum()) == pytest.approx(1.2, abs=1e-5)
    ratio = (shares.log() - logs[0]).numpy()
    assert ratio[2] - ratio[1] == pytest.approx(ratio[1] - ratio[0])


def test_only_images_have_their_shape_made_first() -> None:
    rings = Binning.from_dict({"layers": [{"r_edges": [0, 1, 2], "num_alpha": 4}, {"r_edges": [0, 1], "num_alpha": 1}]})
    with pytest.raises(ConfigError, match="only an image"):
        ImageShapes(rings)
