"""Which columns hold jets, and jets of a batch as padded arrays."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import awkward as ak
import numpy as np
import pytest
from paths import DATA

from hepgen.errors import InputFileError
from hepgen.events.constituents import Jets, read_jets
from hepgen.events.jet_units import check_units
from hepgen.events.jets import JetColumns, find_jets, unit_of_pt
from hepgen.events.reader import open_events
from hepgen.events.schema import Column, Schema
from hepgen.physics.jets import jet_momentum

PLAIN = JetColumns(pt="pt", eta="eta", phi="phi")
WRONG = "multiplicities that are not the number of constituents"


def lists(prefix: str, *names: str) -> list[Column]:
    return [Column(f"{prefix}{name}", "float32", jagged=True) for name in names]


def scalars(*names: str) -> list[Column]:
    return [Column(name, "float32", unit="GeV") for name in names]


def all_of(name: str) -> tuple[Any, JetColumns]:
    source = open_events(DATA / name)
    columns = find_jets(source.schema)
    assert columns is not None
    return ak.concatenate(list(source.batches(columns.names))), columns


def toy(**changes: Any) -> Jets:
    columns = {"pt": [[3.0, 1.0], [2.0]], "eta": [[0.1, 0.2], [0.3]], "phi": [[0.0, 0.1], [3.0]], **changes}
    return read_jets(ak.Array(columns), PLAIN)


def wrong(jets: Jets) -> dict[str, list[int]]:
    return {name: np.flatnonzero(flags).tolist() for name, flags in jets.problems.items() if flags.any()}


def test_jets_of_a_ntuple_are_found() -> None:
    schema = open_events(DATA / "jets.root").schema
    found = find_jets(schema)
    assert found is not None
    assert found.constituents == ("part_pt", "part_eta", "part_phi", "part_energy")
    assert (found.jet_pt, found.jet_eta, found.jet_phi, found.jet_mass) == ("jet_pt", "jet_eta", "jet_phi", "jet_mass")
    assert not found.relative


def test_jets_of_jetnet_are_found() -> None:
    source = open_events(DATA / "jetnet.hdf5")
    found = find_jets(source.schema)
    assert source.schema.convention == "jetnet"
    assert found == JetColumns(particles="particle_features", features="jet_features", relative=True)


def test_jets_of_jetclass_are_found() -> None:
    names = ("px", "py", "pz", "energy", "deta", "dphi", "charge")
    found = find_jets(Schema((*lists("part_", *names), *scalars("jet_pt", "jet_eta", "jet_phi", "jet_energy"))))
    assert found is not None
    assert found.constituents == ("part_px", "part_py", "part_pz", "part_energy")
    assert found.jet_energy == "jet_energy"
    assert not found.pt


def test_relative_and_masked_arrays_of_a_fixed_size_are_found() -> None:
    columns = [Column(f"constituent_{name}", "float32", (30,)) for name in ("etarel", "phirel", "ptrel", "mask")]
    found = find_jets(Schema((*columns, *scalars("fjet_pt"))))
    assert found is not None
    assert found.relative
    assert (found.pt, found.mask, found.jet_pt) == ("constituent_ptrel", "constituent_mask", "fjet_pt")
    assert unit_of_pt(Schema((*columns, *scalars("fjet_pt"))), found) == "GeV"


def test_lists_of_uncertain_names_are_constituents_only_beside_columns_of_the_jet() -> None:
    tracks = lists("track_", "pt", "eta", "phi")
    assert find_jets(Schema(tuple(tracks))) is None
    assert find_jets(Schema((*tracks, *scalars("jet_pt")))) is not None
    assert find_jets(Schema((*lists("muon_", "pt", "eta", "phi"), *scalars("jet_pt")))) is None
    two = (*tracks, *lists("tower_", "pt", "eta", "phi"), *scalars("jet_pt"))
    assert find_jets(Schema(two)) is None


@pytest.mark.parametrize("name", ["nanoaod.root", "muons.root", "hzz.root", "ttbar.root", "photons.hdf5"])
def test_events_of_several_objects_are_no_jets(name: str) -> None:
    assert find_jets(open_events(DATA / name).schema) is None


def test_candidates_beside_a_list_of_jets_are_no_jet() -> None:
    jets = lists("Jet_", "pt", "eta")
    assert find_jets(Schema((*lists("PFCands_", "pt", "eta", "phi"), *jets))) is None
    assert find_jets(Schema(tuple(lists("PFCands_", "pt", "eta", "phi")))) is not None


def test_constituents_add_up_to_the_jets_of_the_file() -> None:
    batch, columns = all_of("jets.root")
    jets = read_jets(batch, columns)
    total = jet_momentum(jets.pt, jets.eta, jets.phi, jets.mass)
    assert wrong(jets) == {}
    for name in ("pt", "eta", "phi", "mass"):
        np.testing.assert_allclose(getattr(total, name), getattr(jets.jet, name), rtol=2e-6, atol=1e-4)
    assert jets.pt.shape[1] == jets.multiplicity.max()


def test_jetnet_holds_the_hardest_constituents_of_the_same_jets() -> None:
    batch, columns = all_of("jets.root")
    full = read_jets(batch, columns, width=30).in_jets()
    packed, its = all_of("jetnet.hdf5")
    short = read_jets(packed, its)
    np.testing.assert_array_equal(short.multiplicity, full.multiplicity)
    for name in ("pt", "eta", "phi"):
        np.testing.assert_allclose(getattr(short, name), getattr(full, name), atol=2e-6)
    np.testing.assert_allclose(short.jet.mass, full.jet.mass, rtol=1e-6)


def test_cartesian_constituents_are_the_same_jets() -> None:
    batch, columns = all_of("jets.root")
    px, py = batch.part_pt * np.cos(batch.part_phi), batch.part_pt * np.sin(batch.part_phi)
    made = {"px": px, "py": py, "pz": batch.part_pt * np.sinh(batch.part_eta), "energy": batch.part_energy}
    jets = read_jets(ak.Array(made), JetColumns(px="px", py="py", pz="pz", energy="energy"))
    expected = read_jets(batch, columns)
    np.testing.assert_allclose(jets.eta, expected.eta, atol=1e-5)
    for name in ("pt", "mass"):
        np.testing.assert_allclose(getattr(jets.jet, name), getattr(expected.jet, name), rtol=1e-4)


def test_turning_and_boosting_all_jets_leaves_relative_coordinates() -> None:
    batch, columns = all_of("jets.root")
    expected = read_jets(batch, columns).in_jets()
    batch["part_phi"], batch["jet_phi"] = batch.part_phi + 2.0, batch.jet_phi + 2.0
    batch["part_eta"], batch["jet_eta"] = batch.part_eta + 0.5, batch.jet_eta + 0.5
    found = read_jets(batch, columns).in_jets()
    for name in ("pt", "eta", "phi"):
        np.testing.assert_allclose(getattr(found, name), getattr(expected, name), atol=1e-6)


def test_jets_without_columns_of_their_own_are_the_sums() -> None:
    jets = toy()
    assert jets.jet.pt[1] == pytest.approx(2.0)
    assert jets.jet.phi[1] == pytest.approx(3.0)
    assert jets.jet.mass[1] == pytest.approx(0.0, abs=1e-6)
    assert wrong(jets) == {}


def test_constituents_are_sorted_and_padded_or_cut() -> None:
    batch = ak.Array({"pt": [[1.0, 5.0, 3.0], [2.0]], "eta": [[1.0, 5.0, 3.0], [2.0]], "phi": [[0.0, 0.0, 0.0], [0.0]]})
    for width, expected in ((2, [[5, 3], [2, 0]]), (4, [[5, 3, 1, 0], [2, 0, 0, 0]])):
        jets = read_jets(batch, PLAIN, width)
        assert jets.pt.tolist() == jets.eta.tolist() == expected
        assert jets.multiplicity.tolist() == [min(width, 3), 1]
        assert wrong(jets) == {"constituents not in the order of pt": [0]}


def test_what_is_wrong_with_constituents_is_flagged_and_does_not_count() -> None:
    jets = toy(pt=[[3.0, -1.0], [np.nan]], eta=[[0.1, 0.2], [0.3]])
    assert wrong(jets) == {
        "constituents that are not finite": [1],
        "constituents of negative pt": [0],
        "no constituent": [1],
    }
    assert jets.multiplicity.tolist() == [1, 0]
    assert np.isfinite(jets.in_jets().eta).all()
    assert wrong(toy(pt=[[3.0, 0.0], [1.0]])) == {"constituents of pt 0": [0]}


def test_a_jet_that_is_not_the_sum_of_its_constituents_is_flagged() -> None:
    batch, columns = all_of("jets.root")
    pt = ak.to_numpy(batch.jet_pt).copy()
    pt[3] *= 1.01
    pt[5] = np.nan
    batch["jet_pt"] = pt
    flagged = wrong(read_jets(batch, columns))
    assert flagged == {"jets that are not finite": [5], "constituents that do not add up to the jet": [3]}


def test_columns_of_different_length_are_refused_with_the_row() -> None:
    with pytest.raises(InputFileError, match=r"'phi' has 2 constituents where 'pt' has 1 \(row 1"):
        toy(phi=[[0.0, 0.1], [3.0, 1.0]])


def test_batches_without_constituents_or_jets_are_read() -> None:
    empty = ak.Array({name: ak.values_astype(ak.Array([[], []]), "float32") for name in ("pt", "eta", "phi")})
    jets = read_jets(empty, PLAIN)
    assert wrong(jets) == {"no constituent": [0, 1]}
    assert len(read_jets(empty[:0], PLAIN, width=3)) == 0


def test_an_empty_jet_beside_a_jet_of_the_file_is_flagged_and_keeps_its_momentum() -> None:
    batch = ak.Array(
        {"jet_pt": [5.0, 2.0], "pt": [[], [2.0]], "eta": [[], [0.5]], "phi": [[], [0.5]], "energy": [[], [3.0]]}
    )
    jets = read_jets(batch, replace(PLAIN, jet_pt="jet_pt", energy="energy"))
    assert wrong(jets) == {"no constituent": [0]}
    assert jets.jet.pt.tolist() == [5.0, 2.0]
    assert jets.multiplicity.tolist() == [0, 1]
    assert jets.in_jets().pt.tolist() == [[0.0], [1.0]]


def test_a_jet_of_one_constituent_is_that_constituent() -> None:
    batch = ak.Array({"pt": [[2.0]], "eta": [[0.5]], "phi": [[-3.0]], "energy": [[3.0]]})
    jets = read_jets(batch, replace(PLAIN, energy="energy"), width=4)
    momentum = 2.0 * np.cosh(0.5)
    assert (jets.jet.pt[0], jets.jet.eta[0], jets.jet.phi[0]) == pytest.approx((2.0, 0.5, -3.0))
    assert jets.jet.mass[0] == pytest.approx(np.sqrt(9.0 - momentum**2))
    inside = jets.in_jets()
    np.testing.assert_allclose(
        [inside.pt[0], inside.eta[0], inside.phi[0]], [[1, 0, 0, 0], [0] * 4, [0] * 4], atol=1e-12
    )
    assert wrong(jets) == {}


@pytest.mark.parametrize(
    ("names", "words"),
    [
        (["jet_pt"], r"'jet_pt' is \d.* where the sum of 'part_pt' is .* most jets .*MeV and GeV"),
        (["jet_mass"], r"'jet_mass' is .* where the mass of the constituents' sum is"),
        (["part_energy"], r"'part_energy' is .* where the momentum by 'part_pt' is|'jet_mass'"),
        (["part_pt", "part_energy"], "'jet_pt' is"),
    ],
)
@pytest.mark.parametrize("factor", [1e3, 1e-3])
def test_mixed_units_are_refused(names: list[str], words: str, factor: float) -> None:
    batch, columns = all_of("jets.root")
    for name in names:
        batch[name] = batch[name] * factor
    with pytest.raises(InputFileError, match=words):
        read_jets(batch, columns)


def test_one_jet_in_another_unit_is_flagged_and_not_refused() -> None:
    batch, columns = all_of("jets.root")
    pt = ak.to_numpy(batch.jet_pt).copy()
    pt[7] *= 1000
    batch["jet_pt"] = pt
    assert wrong(read_jets(batch, columns)) == {"constituents that do not add up to the jet": [7]}


def test_units_that_the_file_names_are_compared() -> None:
    schema = Schema((*lists("part_", "pt", "eta", "phi"), *scalars("jet_pt")))
    named = schema.replace(replace(one, unit="MeV") if one.name == "part_pt" else one for one in schema)
    columns = find_jets(schema)
    assert columns is not None
    check_units(schema, columns)
    with pytest.raises(InputFileError, match="'part_pt' is in MeV and 'jet_pt' in GeV"):
        check_units(named, columns)


def test_relative_constituents_that_are_not_relative_are_refused() -> None:
    batch, columns = all_of("jetnet.hdf5")
    particles = ak.to_numpy(batch.particle_features).copy()
    particles[..., 2] *= ak.to_numpy(batch.jet_features)[:, None, 0]
    batch["particle_features"] = particles
    with pytest.raises(InputFileError, match=r"'particle_features' adds up to .* most jets .* adds up to 1"):
        read_jets(batch, columns)


def test_multiplicities_of_jetnet_that_are_negative_or_wrong_are_flagged_and_the_constituents_count() -> None:
    batch, columns = all_of("jetnet.hdf5")
    features = ak.to_numpy(batch.jet_features).copy()
    full, short = int(np.argmax(features[:, 3] == 30)), int(np.argmax(features[:, 3] < 30))
    expected = read_jets(batch, columns).multiplicity
    for number, flagged in ((-1, "negative multiplicities"), (np.nan, WRONG), (12.5, WRONG), (0, WRONG)):
        features[short, 3] = number
        batch["jet_features"] = features
        jets = read_jets(batch, columns)
        assert jets.problems[flagged].nonzero()[0].tolist() == [short]
        np.testing.assert_array_equal(jets.multiplicity, expected)
    features[short, 3], features[full, 3] = expected[short], 55
    batch["jet_features"] = features
    assert wrong(read_jets(batch, columns)) == {}
