"""Pixels: their order, their places, and the symmetries of their grid."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from hepgen.errors import ConfigError
from hepgen.physics.binning import Binning
from hepgen.physics.layers import PixelLayer

AXIS = {"bins": 5, "low": -1, "high": 1}


def grid(x: Any = AXIS, y: Any = AXIS) -> Binning:
    return Binning.from_dict({"pixels": {"x_edges": x, "y_edges": y}, "length_unit": ""})


def test_pixels_stand_in_the_order_of_an_image() -> None:
    binning = grid([0, 1, 3], [-1, 0, 2, 4])
    assert binning.num_voxels == 6
    np.testing.assert_allclose(binning.eta.reshape(2, 3), [[0.5] * 3, [2.0] * 3])
    np.testing.assert_allclose(binning.phi.reshape(2, 3), [[-0.5, 1.0, 3.0]] * 2)
    np.testing.assert_allclose(binning.layers[0].areas().reshape(2, 3), [[1, 2, 2], [2, 4, 4]])


def test_lists_of_edges_and_regular_axes_are_the_same_and_come_back() -> None:
    binning = grid()
    assert binning == grid([-1.0, -0.6, -0.2, 0.2, 0.6, 1.0])
    assert Binning.from_dict(binning.to_dict()) == binning
    assert binning.position_scale == 1.0


def test_a_quarter_turn_turns_an_image_about_its_middle() -> None:
    binning = grid()
    image = np.random.default_rng(1).random(25)
    turned = image[binning.rotation(1)]
    before, after = ((one @ binning.eta, one @ binning.phi) for one in (image, turned))
    np.testing.assert_allclose(after, (-before[1], before[0]), atol=1e-12)
    assert binning.rotation_order == 4
    mirrored = image[binning.rotation(0, reflect=True)]
    np.testing.assert_allclose((mirrored @ binning.eta, mirrored @ binning.phi), (before[0], -before[1]), atol=1e-12)


def test_a_grid_turns_only_where_it_stays_the_same() -> None:
    oblong = grid(AXIS, {"bins": 3, "low": -2, "high": 2})
    assert oblong.rotation_order == 2
    image = np.arange(15.0)
    np.testing.assert_array_equal(image[oblong.rotation(1)], image[::-1])
    assert grid([0, 1, 2], AXIS).rotation_order == 1
    with pytest.raises(ConfigError, match="not symmetric"):
        grid(AXIS, [0, 1, 2]).rotation(0, reflect=True)


@pytest.mark.parametrize(
    ("state", "words"),
    [
        ({"pixels": {"x_edges": [0, 1]}}, "no 'y_edges'"),
        ({"pixels": {"x_edges": [0, 1], "y_edges": [0, 0]}}, "must ascend"),
        ({"pixels": {"x_edges": [0, 1], "y_edges": {"bins": 3, "low": 1, "high": 1}}}, "must ascend"),
        ({"pixels": {"x_edges": [0, 1], "y_edges": {"bins": 3, "low": 1}}}, "bins, low, high"),
        ({"pixels": {"x_edges": [0, 1], "y_edges": [0, float("nan")]}}, "must ascend"),
        ({"pixels": {"x_edge": [0, 1], "y_edges": [0, 1]}}, "did you mean 'x_edges'"),
        ({"pixels": {"r_edges": [0, 1]}}, "x_edges and y_edges"),
        ({"pixel": {"x_edges": [0, 1], "y_edges": [0, 1]}}, "did you mean 'pixels'"),
        ({"pixels": {"x_edges": [0, 1], "y_edges": [0, 1]}, "layers": []}, "'layers', or 'pixels'"),
    ],
)
def test_a_bad_grid_is_refused_with_its_reason(state: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        Binning.from_dict(state)


def test_an_oblong_image_is_not_its_transpose() -> None:
    assert PixelLayer(0, (0.0, 1.0, 2.0), (0.0, 1.0)).shape == (2, 1)
