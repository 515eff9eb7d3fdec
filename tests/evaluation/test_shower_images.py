"""Average showers: densities by hand, and pictures of readouts of any shape."""

import numpy as np
import pytest

from hepgen.evaluation.image_plots import color_range, draw_image, ratio
from hepgen.evaluation.report_parts import ImageRow
from hepgen.evaluation.shower_images import shower_images
from hepgen.physics.binning import Binning, Layer

RAGGED = Binning((Layer(0, (0.0, 1.0, 2.0), 1), Layer(3, (0.0, 5.0), 2), Layer(12, (0.0, 1.0, 100.0), 4)))


def showers(binning: Binning, events: int = 40, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).exponential(size=(events, binning.num_voxels)).astype(np.float32)


def test_the_image_of_layers_holds_ring_energies_per_area_on_the_edges_of_each_layer() -> None:
    true, made = showers(RAGGED), 2 * showers(RAGGED)
    layers = shower_images(true, made, RAGGED)[0]
    assert layers.labels == ("0", "3", "12")
    assert [row.r_edges for row in layers.rows] == [layer.r_edges for layer in RAGGED.layers]
    outer = true[:, 5::2].sum(axis=1, dtype=float) / (np.pi * (100.0**2 - 1.0))  # the voxels of layer 12 start at 4
    assert layers.rows[2].reference[1] == pytest.approx(outer.mean())
    assert layers.rows[2].reference_error[1] == pytest.approx(outer.std() / np.sqrt(40))
    for row in layers.rows:
        assert row.generated == pytest.approx([2 * value for value in row.reference])


def test_a_polar_image_holds_the_density_of_every_voxel() -> None:
    true = showers(RAGGED)
    images = shower_images(true, true, RAGGED)
    assert [image.name for image in images] == ["shower_layers", "shower_layer_3", "shower_layer_12"]
    polar = images[2]
    assert (polar.rows[0].low, polar.rows[-1].high) == pytest.approx((-np.pi, np.pi))
    voxel = true[:, 4 + 2 * 1 + 0].mean() / (np.pi / 4)  # second angular bin, first ring, a quarter of a disc of 1 mm
    assert polar.rows[1].reference[0] == pytest.approx(voxel)


def test_the_four_angular_layers_with_most_energy_are_shown_in_their_order() -> None:
    binning = Binning(tuple(Layer(number, (0.0, 1.0), 2) for number in range(6)))
    true = np.repeat(np.array([[3.0, 1.0, 6.0, 4.0, 0.0, 5.0]], dtype=np.float32), 2, axis=1)
    names = [image.name for image in shower_images(true, true, binning)[1:]]
    assert names == ["shower_layer_0", "shower_layer_2", "shower_layer_3", "shower_layer_5"]


@pytest.mark.parametrize(
    ("binning", "number"),
    [
        (RAGGED, 3),
        (Binning((Layer(0, (0.0, 1.0, 2.0), 3),)), 1),
        (Binning((Layer(0, (0.0, 1.0, 2.0), 1),)), 0),
        (Binning((Layer(0, (2.0, 3.0), 1), Layer(1, (2.0, 3.0), 1))), 1),
        (Binning(tuple(Layer(index, (0.0, 5.0, 10.0), 1) for index in range(30))), 1),
    ],
    ids=["ragged", "one angular layer", "one ring layer", "an open core", "many layers"],
)
def test_readouts_of_any_shape_are_drawn_without_a_warning(tmp_path, binning: Binning, number: int) -> None:
    images = shower_images(showers(binning), showers(binning, seed=1), binning)
    assert len(images) == number
    for image in images:
        assert draw_image(image, tmp_path).startswith(b"\x89PNG")
        assert (tmp_path / f"{image.name}.pdf").read_bytes().startswith(b"%PDF")


def test_empty_layers_and_empty_samples_are_no_obstacle(tmp_path) -> None:
    true, made = showers(RAGGED), np.zeros((3, RAGGED.num_voxels), dtype=np.float32)
    true[:, RAGGED.layer_slices[1]] = 0.0
    images = shower_images(true, made, RAGGED)
    assert [image.name for image in images] == ["shower_layers", "shower_layer_12"]
    for image in images:
        draw_image(image, tmp_path)
    assert shower_images(made, true, RAGGED) == ()


def test_the_same_image_gives_the_same_file(tmp_path) -> None:
    image = shower_images(showers(RAGGED), showers(RAGGED, seed=1), RAGGED)[1]
    again = tmp_path / "again"
    again.mkdir()
    assert draw_image(image, tmp_path) == draw_image(image, again)
    assert (tmp_path / f"{image.name}.pdf").read_bytes() == (again / f"{image.name}.pdf").read_bytes()


def test_one_colour_scale_covers_both_samples() -> None:
    low, high = color_range(shower_images(showers(RAGGED), 10 * showers(RAGGED), RAGGED)[0])
    row = shower_images(showers(RAGGED), 10 * showers(RAGGED), RAGGED)[0].rows[0]
    assert low <= min(row.reference)
    assert high >= max(row.generated)


def test_a_ratio_is_shown_only_where_it_is_certain() -> None:
    row = ImageRow(
        *(0.0, 1.0, (0.0, 1.0, 2.0, 3.0, 4.0, 5.0)),
        reference=(0.0, 2.0, 2.0, 2.0, 2.0),
        reference_error=(0.0, 0.1, 1.5, 0.1, 0.1),
        generated=(1.0, 1.0, 1.0, 0.0, 8.0),
        generated_error=(0.1, 0.1, 0.1, 0.0, 5.0),
    )
    np.testing.assert_array_equal(ratio(row), [np.nan, 0.5, np.nan, 0.0, np.nan])
