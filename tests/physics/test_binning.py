from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from hepgen.errors import ConfigError
from hepgen.physics.binning import Binning, Layer

DATA = Path(__file__).parents[1] / "data"


@pytest.fixture
def photons() -> Binning:
    return Binning.from_xml((DATA / "binning_photons.xml").read_text())


def test_the_photon_binning_is_that_of_the_challenge(photons: Binning) -> None:
    assert [layer.num_voxels for layer in photons.layers] == [8, 160, 190, 5, 5]
    assert photons.num_voxels == 368
    assert [layer.id for layer in photons.layers] == [0, 1, 2, 3, 12]


def test_the_electron_binning_has_45_layers_of_144_voxels() -> None:
    binning = Binning.from_xml((DATA / "binning_electrons.xml").read_text(), "electron")
    assert binning.num_voxels == 6480
    assert binning.num_layers == 45


def test_the_radius_runs_fastest(photons: Binning) -> None:
    second = photons.layer_slices[1]
    assert photons.r_mid[second][:3].tolist() == [1.0, 3.0, 5.0]
    assert photons.r_mid[second][16] == 1.0
    assert photons.alpha_mid[second][0] == pytest.approx(-np.pi + np.pi / 10)
    assert photons.alpha_mid[second][16] == pytest.approx(-np.pi + 3 * np.pi / 10)


def test_eta_and_phi_are_cartesian(photons: Binning) -> None:
    np.testing.assert_allclose(np.hypot(photons.eta, photons.phi), photons.r_mid)


def test_dictionary_and_xml_agree(photons: Binning) -> None:
    assert Binning.from_dict(photons.to_dict()) == photons


@pytest.mark.parametrize("reflect", [False, True])
@pytest.mark.parametrize("steps", range(10))
def test_a_rotation_keeps_layers_and_radii(photons: Binning, steps: int, reflect: bool) -> None:
    order = photons.rotation(steps, reflect=reflect)
    assert sorted(order.tolist()) == list(range(368))
    np.testing.assert_array_equal(photons.r_mid[order], photons.r_mid)
    np.testing.assert_array_equal(photons.layer_of_voxel[order], photons.layer_of_voxel)


def test_a_rotation_turns_the_shower_rigidly(photons: Binning) -> None:
    shower = np.random.default_rng(1).random(368)
    turned = shower[photons.rotation(3)]
    part = photons.layer_slices[2]
    before = np.array([(shower * photons.eta)[part].sum(), (shower * photons.phi)[part].sum()])
    after = np.array([(turned * photons.eta)[part].sum(), (turned * photons.phi)[part].sum()])
    angle = 3 * 2 * np.pi / 10
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    np.testing.assert_allclose(after, turn @ before, rtol=1e-12)


def test_layers_without_a_common_rotation_are_refused() -> None:
    binning = Binning((Layer(0, (0.0, 1.0), 4), Layer(1, (0.0, 1.0), 6)))
    with pytest.raises(ConfigError, match="share no rotation"):
        binning.rotation(1)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("<Bins>", "not an XML document"),
        ("<Bins/>", "no <Bin> element"),
        ("<Bins><Bin name='photon'/><Bin name='pion'/></Bins>", "several particles"),
        ("<Bins><Bin name='a'><Layer id='0' n_bin_alpha='1'/></Bin></Bins>", "without 'r_edges'"),
        ("<Bins><Bin name='a'><Layer id='0' r_edges='0,x' n_bin_alpha='1'/></Bin></Bins>", "bad number"),
        ("<Bins><Bin name='a'><Layer id='0' r_edges='0,5,3' n_bin_alpha='1'/></Bin></Bins>", "must ascend"),
        ("<Bins><Bin name='a'><Layer id='0' r_edges='0' n_bin_alpha='1'/></Bin></Bins>", "at least one layer"),
    ],
)
def test_a_bad_xml_is_refused_with_its_reason(text: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        Binning.from_xml(text)


def test_an_unknown_particle_gets_a_suggestion() -> None:
    text = "<Bins><Bin name='photon'><Layer id='0' r_edges='0,5' n_bin_alpha='1'/></Bin></Bins>"
    with pytest.raises(ConfigError, match="did you mean 'photon'"):
        Binning.from_xml(text, "photons")


def test_an_unknown_key_of_a_layer_gets_a_suggestion() -> None:
    with pytest.raises(ConfigError, match="did you mean 'r_edges'"):
        Binning.from_dict({"layers": [{"r_edge": [0, 1]}]})
