"""Showers and jets beyond what a map has seen, though each number of the event lies where others have lain."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import awkward as ak
import h5py
import numpy as np
import pytest
from tables import DATA

from hepgen.config.load import parse_recipe
from hepgen.config.morph import MorphRecipe
from hepgen.errors import InputFileError
from hepgen.events.reader import open_events
from hepgen.events.writer import create_writer
from hepgen.morphing.apply import Morphing, morph_to_file
from hepgen.morphing.model import MorphModel
from hepgen.runs.morph import train_morph

PHOTONS, JETS = DATA / "photons.hdf5", DATA / "jets.root"
SMALL = {
    "task": "morph", "name": "small", "method": "matching", "block_size": 500,
    "options": {"matching": {"layers": 1, "hidden": 8, "steps": 2}}, "training": {"steps": 4, "batch_size": 32},
}  # fmt: skip


def _model(folder: Path, **content: Any) -> MorphModel:
    recipe = parse_recipe({**SMALL, **content})
    assert isinstance(recipe, MorphRecipe)
    train_morph(recipe, folder / "run", seed=3)
    return MorphModel.load(folder / "run")


@pytest.fixture(scope="module")
def photons(tmp_path_factory: pytest.TempPathFactory) -> MorphModel:
    """A map of photon showers."""
    binning = {"kind": "calorimeter", "binning": str(DATA / "binning_photons.xml")}
    files = {"files": [str(PHOTONS)]}
    return _model(tmp_path_factory.mktemp("photons"), source=files, target=files, representation=binning)


@pytest.fixture(scope="module")
def jets(tmp_path_factory: pytest.TempPathFactory) -> MorphModel:
    """A map of gluon jets onto top jets."""
    sides = {
        which: {"files": [str(JETS)], "cut": f"jet_pdgid == {code}"} for which, code in (("source", 21), ("target", 6))
    }
    cloud = {"kind": "particle_cloud"}
    return _model(
        tmp_path_factory.mktemp("jets"), **sides, columns=["*", "!jet_pdgid"], representation=cloud, block_size=100
    )


def _showers(path: Path, change: Callable[[Any, Any], None]) -> Path:
    """A copy of the photons, with energies and voxels as ``change`` leaves them."""
    with h5py.File(PHOTONS) as file:
        energies, showers = file["incident_energies"][:], file["showers"][:]
    change(energies, showers)
    with h5py.File(path, "w") as file:
        file["incident_energies"], file["showers"] = energies, showers
    return path


def _scaled(part: slice) -> Callable[[Any, Any], None]:
    def scale(_: Any, showers: Any) -> None:
        showers[part] *= 20

    return scale


def _morphed(model: MorphModel, source: Path, **options: Any) -> tuple[Morphing, ak.Array]:
    morphing = Morphing(model, open_events(str(source)), seed=7, **options)
    return morphing, ak.concatenate(list(morphing.batches()))


def test_no_event_of_the_training_is_beyond_it(photons: MorphModel, jets: MorphModel) -> None:
    morphing, _ = _morphed(photons, PHOTONS, policy="refuse")
    assert (morphing.outside, morphing.unmoved) == (0, 0)
    morphing, events = _morphed(jets, JETS)
    assert morphing.outside == int(ak.sum(events.jet_pdgid != 21))


def test_showers_of_a_response_that_was_not_seen_are_refused_kept_or_morphed(
    photons: MorphModel, tmp_path: Path
) -> None:
    source = _showers(tmp_path / "loud.hdf5", _scaled(slice(40, 140)))
    before = open_events(str(source))
    response = r"by the sum of voxel_energy over incident_energy, which was 0\.0\d+ to 1\.\d+"
    with pytest.raises(InputFileError, match=rf"\d\d+ of 2000 events are outside .*, \d+ {response}"):
        morph_to_file(photons, before, tmp_path / "no.hdf5", policy="refuse")
    assert not (tmp_path / "no.hdf5").exists()
    kept, events = _morphed(photons, source)
    flags = np.asarray(events.morph_outside)
    assert kept.outside == kept.unmoved == flags.sum() == flags[40:140].sum() >= 98
    old = ak.to_numpy(next(iter(before.batches())).voxel_energy)[flags]
    assert np.array_equal(ak.to_numpy(events.voxel_energy)[flags], old)
    made, events = _morphed(photons, source, policy="morph")
    assert np.array_equal(np.asarray(events.morph_outside), flags)
    assert (made.outside, made.unmoved) == (kept.outside, 0)
    assert not np.array_equal(ak.to_numpy(events.voxel_energy)[flags], old)


def _broken(energies: Any, showers: Any) -> None:
    showers[5, 100], showers[7, 3], energies[11] = np.inf, np.nan, np.inf
    showers[500:1000, 0] = np.inf  # a whole block


def test_infinite_and_missing_voxels_are_flagged_and_never_moved(photons: MorphModel, tmp_path: Path) -> None:
    source = _showers(tmp_path / "broken.hdf5", _broken)
    _, whole = _morphed(photons, PHOTONS)
    with pytest.raises(InputFileError, match=r"503 of 2000 .*, 502 by values of 'voxel_energy' that are infinite or"):
        Morphing(photons, open_events(str(source)), policy="refuse")
    for policy in ("keep", "morph"):
        morphing, events = _morphed(photons, source, policy=policy)
        flags = np.asarray(events.morph_outside)
        assert np.flatnonzero(flags).tolist() == [5, 7, 11, *range(500, 1000)]
        assert (morphing.outside, morphing.unmoved, morphing.failed) == (503, 503, 0)
        before = ak.to_numpy(next(iter(open_events(str(source)).batches())).voxel_energy)
        made = ak.to_numpy(events.voxel_energy)
        assert np.array_equal(made[flags], before[flags], equal_nan=True)
        assert np.array_equal(made[~flags], ak.to_numpy(whole.voxel_energy)[~flags])  # as if they were not there


def test_a_negative_voxel_is_kept_where_what_is_beyond_the_training_is_kept(
    photons: MorphModel, tmp_path: Path
) -> None:
    def negative(_: Any, showers: Any) -> None:
        showers[9, 0] = -4

    source = _showers(tmp_path / "negative.hdf5", negative)
    morphing, events = _morphed(photons, source)
    assert np.flatnonzero(events.morph_outside).tolist() == [9]
    assert (morphing.unmoved, events.voxel_energy[9, 0]) == (1, -4)


def _changed(path: Path, **columns: ak.Array) -> Path:
    source = open_events(str(JETS))
    with create_writer(path, source.schema, keep_nonfinite=True) as writer:
        for batch in source.batches():
            for name, values in columns.items():
                batch[name] = values
            writer.write(batch)
    return path


@pytest.mark.parametrize("factor", [1.5, 100])
def test_constituents_that_do_not_go_with_their_jet_are_flagged(
    jets: MorphModel, tmp_path: Path, factor: float
) -> None:
    before = next(iter(open_events(str(JETS)).batches()))
    chosen = np.flatnonzero(before.jet_pdgid == 21)[:20]
    scale = np.ones(len(before))
    scale[chosen] = factor
    source = _changed(tmp_path / "hard.root", part_pt=before.part_pt * scale)
    _, events = _morphed(jets, source)
    flags = np.asarray(events.morph_outside)
    assert flags[chosen].all()
    assert (flags != (np.asarray(before.jet_pdgid) != 21)).sum() == len(chosen)
    assert events.part_pt[flags].to_list() == ak.values_astype(before.part_pt * scale, np.float32)[flags].to_list()
    gluons = _changed(tmp_path / "all.root", part_pt=before.part_pt * factor, jet_pdgid=np.full(len(before), 21))
    with pytest.raises(InputFileError, match=r"360 by the sum of part_pt over jet_pt, which was 1\.0\d* to 1\.\d+ "):
        Morphing(jets, open_events(str(gluons)), policy="refuse")


def test_jets_with_a_constituent_that_is_not_finite_are_flagged_and_never_moved(
    jets: MorphModel, tmp_path: Path
) -> None:
    before = next(iter(open_events(str(JETS)).batches()))
    first, second = np.flatnonzero(before.jet_pdgid == 21)[:2]
    place = ak.local_index(before.part_eta)
    broken = ak.where((np.arange(len(before)) == first) & (place == 1), np.inf, before.part_eta)
    broken = ak.where((np.arange(len(before)) == second) & (place == 0), np.nan, broken)
    source = _changed(tmp_path / "broken.root", part_eta=broken)
    for policy in ("keep", "morph"):
        _, events = _morphed(jets, source, policy=policy)
        assert events.morph_outside[first]
        assert events.morph_outside[second]
        assert (events.morph_distance[first], events.morph_distance[second]) == (0, 0)
        assert events.part_pt[first].to_list() == before.part_pt[first].to_list()


def test_a_jet_without_constituents_stops_no_file(jets: MorphModel, tmp_path: Path) -> None:
    before = next(iter(open_events(str(JETS)).batches()))
    empty = np.flatnonzero(before.jet_pdgid == 21)[0]
    there = np.arange(len(before)) != empty
    lists = [name for name in before.fields if name.startswith("part_")]
    changed = {name: before[name][there & (ak.local_index(before[name]) >= 0)] for name in lists}
    counted = {
        name: np.asarray(ak.num(changed["part_pt"])).astype("i4") for name in before.fields if name.startswith("npart")
    }
    source = _changed(tmp_path / "empty.root", **changed, **counted)
    for policy in ("keep", "morph"):
        _, events = _morphed(jets, source, policy=policy)
        assert events.morph_outside[empty]
        assert events.morph_distance[empty] == 0
        assert len(events.part_pt[empty]) == 0
        assert (np.asarray(events.morph_distance) > 0).sum() > 100


def test_a_model_of_before_has_no_quantities_and_flags_by_numbers_alone(photons: MorphModel, tmp_path: Path) -> None:
    source = _showers(tmp_path / "loud.hdf5", _scaled(slice(40, 140)))
    facts = {name: fact for name, fact in photons.facts.items() if name != "quantities"}
    old = MorphModel(**{**vars(photons), "facts": facts})
    morphing, _ = _morphed(old, source)
    assert morphing.outside == 0
    assert "the sum of voxel_energy over incident_energy: 0.0" in photons.bundle().card
    assert "the sum of" not in old.bundle().card
