"""Shower observables against numbers worked out by hand, and against the counts of the CaloChallenge."""

import numpy as np
import pytest

from hepgen.errors import UsageError
from hepgen.physics.binning import Binning, Layer
from hepgen.physics.observables import (
    apply_threshold,
    high_level_features,
    high_level_names,
    low_level_features,
    shower_features,
)

BINNING = Binning((Layer(0, (0.0, 10.0, 30.0), 1), Layer(3, (0.0, 20.0), 4)))


def calochallenge(*layers):
    return Binning(tuple(Layer(index, tuple(range(num_r + 1)), alpha) for index, (num_r, alpha) in enumerate(layers)))


def test_features_of_one_shower_by_hand():
    voxels = np.array([[3.0, 1.0, 0.0, 0.0, 2.0, 2.0]])
    features = shower_features(voxels, [16.0], BINNING)
    np.testing.assert_allclose(features.layer_energy, [[4.0, 4.0]])
    np.testing.assert_allclose(features.response, [0.5])
    np.testing.assert_allclose(features.sparsity, [[0.0, 0.5]])
    # layer 0: r = 5 (3 MeV) and 20 (1 MeV)
    np.testing.assert_allclose(features.center_r, [[8.75, 10.0]])
    np.testing.assert_allclose(features.width_r, [[np.sqrt((3 * 25 + 400) / 4 - 8.75**2), 0.0]], atol=1e-6)
    # layer 3: alpha = pi/4 and 3 pi/4 at r = 10
    x = 10 / np.sqrt(2)
    np.testing.assert_allclose(features.center_eta, [[0.0]], atol=1e-12)
    np.testing.assert_allclose(features.center_phi, [[x]])
    np.testing.assert_allclose(features.width_eta, [[x]])
    np.testing.assert_allclose(features.width_phi, [[0.0]], atol=1e-6)


def test_an_empty_shower_gives_finite_features():
    features = high_level_features(shower_features(np.zeros((2, 6)), [1.0, 2.0], BINNING))
    assert np.isfinite(features).all()


@pytest.mark.parametrize(
    ("layers", "columns"),
    [
        ([(8, 1), (16, 10), (19, 10), (5, 1), (5, 1)], 30),
        ([(8, 1), (10, 10), (10, 10), (5, 1), (15, 10), (16, 10), (10, 1)], 46),
        ([(9, 16)] * 45, 362),
    ],
    ids=["photons", "pions", "electrons"],
)
def test_the_feature_matrix_has_the_columns_of_the_challenge(layers, columns):
    binning = calochallenge(*layers)
    voxels = np.random.default_rng(0).exponential(size=(3, binning.num_voxels))
    features = high_level_features(shower_features(voxels, [1e3] * 3, binning))
    assert features.shape == (3, columns)
    assert len(high_level_names(binning)) == columns


def test_low_level_features_are_voxels_over_incident_energy():
    features = low_level_features(np.array([[2.0, 4.0]], dtype=np.float32), np.array([[100.0]]))
    np.testing.assert_allclose(features, [[2.0, 0.02, 0.04]], rtol=1e-6)
    assert features.dtype == np.float32


def test_threshold_removes_small_and_negative_voxels():
    assert apply_threshold([[1.0, 0.99, -5.0, 0.0]], 1.0).tolist() == [[1.0, 0.0, 0.0, 0.0]]
    assert apply_threshold([[1e-9, -1e-9]], 0.0).tolist() == [[1e-9, 0.0]]


def test_a_wrong_number_of_voxels_is_refused():
    with pytest.raises(UsageError, match="do not fit a binning of 6 voxels"):
        shower_features(np.zeros((2, 7)), [1.0, 1.0], BINNING)
