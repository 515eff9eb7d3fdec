from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import awkward as ak
import h5py
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from hepgen.errors import InputFileError
from hepgen.events.reader import open_events
from hepgen.events.split import SplitRule, split_source
from hepgen.physics.binning import Binning
from hepgen.representations.calorimeter import CalorimeterRepresentation
from hepgen.representations.layer_energies import from_fractions, share_out, to_fractions
from hepgen.representations.registry import build, from_state

DATA = Path(__file__).parents[1] / "data"
OPTIONS: dict[str, Any] = {
    "kind": "calorimeter", "binning": str(DATA / "binning_photons.xml"), "energy": "incident_energy",
    "voxels": "voxel_energy", "conditions": [], "threshold": 0.0, "layer_noise": 0.2,
    "augment": ["rotation", "reflection"],
}  # fmt: skip


@pytest.fixture(scope="module")
def fitted() -> CalorimeterRepresentation:
    source = open_events(DATA / "photons.hdf5")
    representation = build(OPTIONS, source.schema)
    representation.fit(source)
    assert isinstance(representation, CalorimeterRepresentation)
    return representation


@pytest.fixture(scope="module")
def batch() -> ak.Array:
    return next(iter(open_events(DATA / "photons.hdf5").batches()))[:500]


def noise(events: int, features: int, seed: int = 1) -> torch.Tensor:
    return torch.rand(events, features, generator=torch.Generator().manual_seed(seed))


def test_decoding_undoes_the_features(fitted: CalorimeterRepresentation, batch: ak.Array) -> None:
    cached = fitted.encode(fitted.pack(batch))
    so_far = fitted.start(cached["condition"])
    for stage in fitted.stages:
        x, condition = fitted.features(stage.name, cached, noise(len(batch), stage.noise))
        assert x.shape == (len(batch), stage.features)
        assert condition.shape == (len(batch), stage.conditions)
        torch.testing.assert_close(fitted.stage_condition(stage.name, so_far), condition, rtol=2e-3, atol=2e-3)
        so_far = fitted.decode(stage.name, x, so_far, noise(len(batch), stage.unnoise))
    torch.testing.assert_close(so_far["voxels"], cached["voxels"], rtol=2e-3, atol=1e-3)
    back = fitted.unpack(so_far)
    assert set(back.fields) == {"incident_energy", "voxel_energy"}
    np.testing.assert_array_equal(ak.to_numpy(back["voxel_energy"]) > 0, ak.to_numpy(batch["voxel_energy"]) > 0)


def test_features_are_standardised_at_every_energy(fitted: CalorimeterRepresentation) -> None:
    cached = fitted.encode(fitted.pack(next(iter(open_events(DATA / "photons.hdf5").batches()))))
    for stage in fitted.stages:
        x, _ = fitted.features(stage.name, cached, noise(len(cached["condition"]), stage.noise))
        for energy in cached["condition"].unique():
            one = x[cached["condition"][:, 0] == energy]
            assert float(one.mean(0).abs().mean()) < 0.1
            assert float((one.std(0) - 1).abs().mean()) < 0.15


def test_the_state_is_json_and_restores_the_same_numbers(fitted: CalorimeterRepresentation, batch: ak.Array) -> None:
    again = from_state(json.loads(json.dumps(fitted.state())))
    cached = fitted.encode(fitted.pack(batch))
    for stage in fitted.stages:
        z = noise(len(batch), stage.noise)
        for one, two in zip(fitted.features(stage.name, cached, z), again.features(stage.name, cached, z), strict=True):
            assert torch.equal(one, two)
    assert again.validity == fitted.validity
    assert again.stages == fitted.stages


def test_discrete_energies_are_listed_in_the_validity(fitted: CalorimeterRepresentation) -> None:
    (energy,) = fitted.validity
    assert energy.values == tuple(256.0 * 2**k for k in range(7))
    assert (energy.low, energy.high, energy.unit) == (256.0, 16384.0, "MeV")


def test_augmentation_keeps_layer_energies(fitted: CalorimeterRepresentation, batch: ak.Array) -> None:
    cached = fitted.encode(fitted.pack(batch))
    turned = fitted.augment(cached, noise(len(batch), 1)[:, 0])
    assert not torch.equal(turned["voxels"], cached["voxels"])
    torch.testing.assert_close(
        fitted.layer_energies(turned["voxels"]), fitted.layer_energies(cached["voxels"]), rtol=1e-5, atol=1e-3
    )


@pytest.mark.parametrize("stage", ["energies", "shapes"])
def test_the_jacobian_is_that_of_the_map(fitted: CalorimeterRepresentation, batch: ak.Array, stage: str) -> None:
    """Against autograd, on showers whose voxels are all above 0 so that no noise stands for any."""
    binning = fitted.binning
    voxels = 0.5 + noise(2, binning.num_voxels).double()
    condition = torch.tensor([[1024.0], [4096.0]], dtype=torch.float64)
    empty = torch.zeros(1, binning.num_voxels + binning.num_layers)

    sizes = {one.name: one.noise for one in fitted.stages}

    def features(values: torch.Tensor, event: int) -> torch.Tensor:
        cached = {"condition": condition[event : event + 1], "voxels": values[None]}
        if stage == "energies":  # a layer's energy put into its first voxel
            firsts = torch.tensor([part.start for part in binning.layer_slices])
            cached["voxels"] = torch.zeros(1, binning.num_voxels, dtype=values.dtype).index_put(
                (torch.zeros_like(firsts), firsts), values
            )
        return fitted.features(stage, cached, empty[:, : sizes[stage]])[0][0]

    for event in range(2):
        values = voxels[event, : binning.num_layers] if stage == "energies" else voxels[event]
        jacobian = torch.autograd.functional.jacobian(lambda v, e=event: features(v, e), values)  # type: ignore[no-untyped-call]
        if stage == "energies":
            firsts = [part.start for part in binning.layer_slices]
            full = torch.zeros(1, binning.num_voxels, dtype=torch.float64)
            full[0, firsts] = values
        else:
            full = values[None]
        cached = {"condition": condition[event : event + 1], "voxels": full}
        expected = torch.linalg.slogdet(jacobian).logabsdet
        got = fitted.log_abs_det(stage, cached, empty[:, : sizes[stage]])[0]
        torch.testing.assert_close(got, expected, rtol=1e-4, atol=1e-3)


BINNING = Binning.from_xml((DATA / "binning_photons.xml").read_text())


@given(st.integers(0, 10**6), st.floats(0.01, 10), st.sampled_from([0.1, 1.0, 5.0, 30.0]))
@settings(max_examples=40, deadline=None)
def test_sharing_out_keeps_energies_and_the_threshold(seed: int, threshold: float, spread: float) -> None:
    random = torch.Generator().manual_seed(seed)
    weights = (spread * torch.randn(40, 368, generator=random)).clamp(-80, 80).exp()
    energies = threshold * (3 * torch.randn(40, 5, generator=random)).exp()
    energies[::7] = 0
    voxels = share_out(weights, energies, BINNING.layer_slices, threshold)
    assert torch.isfinite(voxels).all()
    assert ((voxels == 0) | (voxels >= threshold)).all()
    for layer, part in enumerate(BINNING.layer_slices):
        expected = energies[:, layer] * (energies[:, layer] >= threshold * (1 + 1e-6))
        torch.testing.assert_close(voxels[:, part].double().sum(1), expected.double(), rtol=1e-6, atol=0)


@given(st.integers(0, 10**6), st.integers(1, 45), st.floats(0.1, 6))
@settings(max_examples=40, deadline=None)
def test_layer_fractions_are_invertible(seed: int, layers: int, spread: float) -> None:
    random = torch.Generator().manual_seed(seed)
    energies = (spread * torch.randn(20, layers, generator=random, dtype=torch.float64)).exp()
    incident = energies.sum(1) * 0.9
    back = from_fractions(to_fractions(energies, incident), incident)
    torch.testing.assert_close(back, energies, rtol=1e-6, atol=0)


@given(st.integers(0, 10**6), st.sampled_from([1.0, 10.0, 1e4, float("inf")]))
@settings(max_examples=30, deadline=None)
def test_no_features_decode_to_a_negative_or_non_finite_voxel(
    fitted: CalorimeterRepresentation, seed: int, scale: float
) -> None:
    random = torch.Generator().manual_seed(seed)
    so_far = fitted.start(torch.tensor([[256.0], [16384.0]] * 10))
    for stage in fitted.stages:
        x = scale * torch.randn(20, stage.features, generator=random)
        so_far = fitted.decode(stage.name, x, so_far, noise(20, 0))
    assert torch.isfinite(so_far["voxels"]).all()
    assert (so_far["voxels"] >= 0).all()
    assert ((so_far["voxels"] == 0) | (so_far["voxels"] >= fitted.threshold)).all()


@pytest.mark.parametrize(
    ("column", "value", "message"),
    [
        ("voxel_energy", np.nan, "'voxel_energy' that is not finite"),
        ("voxel_energy", -1.0, "a negative 'voxel_energy'"),
        ("incident_energy", 0.0, "'incident_energy' that is not positive"),
        ("incident_energy", np.inf, "'incident_energy' that is not finite"),
    ],
)
def test_broken_showers_are_refused_with_their_row(
    fitted: CalorimeterRepresentation, batch: ak.Array, column: str, value: float, message: str
) -> None:
    columns = {name: ak.to_numpy(batch[name]).copy() for name in batch.fields}
    columns[column][7] = value
    broken = ak.zip({name: ak.from_numpy(array) for name, array in columns.items()}, depth_limit=1)
    with pytest.raises(InputFileError, match=message) as refused:
        fitted.pack(broken)
    assert "row 7" in refused.value.where


@pytest.mark.parametrize("value", [np.nan, -1.0])
def test_a_broken_shower_is_named_by_its_file_and_its_entry_there(value: float, tmp_path: Path) -> None:
    paths = [tmp_path / "first.hdf5", tmp_path / "second.hdf5"]
    for path in paths:
        shutil.copy(DATA / "photons.hdf5", path)
    with h5py.File(paths[1], "r+") as file:
        file["showers"][203, 5] = value
    source = open_events(paths)
    rule = SplitRule("file", files={"train": ["*"]})
    with pytest.raises(InputFileError, match="'voxel_energy'") as refused:
        build(OPTIONS, source.schema).fit(split_source(source, rule, "train"))
    assert refused.value.where == f"entry 203 of {paths[1]}"


def test_showers_of_another_binning_are_refused() -> None:
    source = open_events(DATA / "electrons.hdf5")
    with pytest.raises(InputFileError, match="binning has 368 voxels"):
        build(OPTIONS, source.schema)


def test_hits_list_every_voxel_above_zero(fitted: CalorimeterRepresentation, batch: ak.Array) -> None:
    hits = fitted.hits(batch)
    voxels = ak.to_numpy(batch["voxel_energy"])
    np.testing.assert_array_equal(ak.num(hits["hit_energy"]), (voxels > 0).sum(1))
    np.testing.assert_allclose(ak.sum(hits["hit_energy"], 1), voxels.sum(1), rtol=1e-5)
    radius = np.hypot(ak.to_numpy(ak.flatten(hits["hit_x"])), ak.to_numpy(ak.flatten(hits["hit_y"])))
    np.testing.assert_allclose(radius, ak.to_numpy(ak.flatten(hits["hit_r"])), rtol=1e-5)
