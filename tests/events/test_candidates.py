"""Jets of NanoAOD with index branches to their candidates become one row a jet."""

from __future__ import annotations

import awkward as ak
import numpy as np
import pytest
from paths import DATA

from hepgen.errors import ConfigError, InputFileError
from hepgen.events.candidates import find_links, jets_of_candidates
from hepgen.events.constituents import read_jets
from hepgen.events.jets import find_jets
from hepgen.events.reader import open_events
from hepgen.events.schema import Column, Schema, schema_of
from hepgen.events.source import MemorySource
from hepgen.physics.jets import jet_momentum

EVENTS = {
    "Jet_pt": [[9.0, 5.0], [], [4.0]],
    "Jet_eta": [[0.1, 0.2], [], [0.3]],
    "Jet_phi": [[1.0, 2.0], [], [3.0]],
    "PFCands_pt": [[5.0, 3.0, 6.0, 1.0], [2.0], [4.0]],
    "PFCands_eta": [[0.5, 0.3, 0.6, 0.1], [0.2], [0.4]],
    "PFCands_phi": [[0.0, 0.0, 0.0, 0.0], [0.0], [0.0]],
    "PFCands_charge": [[1, 0, -1, 1], [0], [1]],
    "PFCands_puppiWeight": [[1.0, 0.5, 0.25, 0.0], [1.0], [1.0]],
    "JetPFCands_jetIdx": [[1, 0, 0, 0], [], []],
    "JetPFCands_pFCandsIdx": [[0, 1, 2, 3], [], []],
}


def toy(**changes: object) -> MemorySource:
    events = ak.Array({**EVENTS, **changes})
    return MemorySource(events, schema_of(events))


def all_of(source: MemorySource, **options: str) -> ak.Array:
    return ak.concatenate(list(jets_of_candidates(source, **options).batches()))


def test_links_of_pfnano_are_found() -> None:
    found = find_links(open_events(DATA / "pfnano.root").schema)
    assert list(found) == ["FatJet", "Jet"]
    assert found["FatJet"].between == "FatJetPFCands"
    assert found["FatJet"].weight == "PFCands_puppiWeight"
    assert found["Jet"].candidate_index == "JetPFCands_pFCandsIdx"
    assert found["Jet"].weight == ""


@pytest.mark.parametrize("name", ["nanoaod.root", "muons.root", "jets.root", "ttbar.root"])
def test_files_without_links_have_none(name: str) -> None:
    assert find_links(open_events(DATA / name).schema) == {}


def test_collections_of_other_names_are_found() -> None:
    names = ["GenJet_pt", "GenJet_eta", "GenJet_phi", "GenCands_pt", "GenCands_eta", "GenCands_phi"]
    names += ["GenJetCands_jetIdx", "GenJetCands_pFCandsIdx"]
    found = find_links(Schema(tuple(Column(name, "float32", jagged=True) for name in names)))
    assert found["GenJet"].candidates == "GenCands"
    names = [name.replace("GenJetCands_pFCandsIdx", "GenJetCandsIdx") for name in names]
    found = find_links(Schema(tuple(Column(name, "float32", jagged=True) for name in names)))
    assert found["GenJet"].candidate_index == "GenJetCandsIdx"


@pytest.mark.parametrize("collection", ["FatJet", "Jet"])
def test_candidates_of_pfnano_add_up_to_their_jets(collection: str) -> None:
    source = open_events(DATA / "pfnano.root")
    events = ak.concatenate(list(source.batches()))
    made = jets_of_candidates(source, collection)
    batch = ak.concatenate(list(made.batches()))
    assert made.num_events == len(batch) == ak.sum(ak.num(events[f"{collection}_pt"]))
    columns = find_jets(made.schema)
    assert columns is not None
    assert columns.constituents == ("part_pt", "part_eta", "part_phi", "part_mass")
    jets = read_jets(batch, columns)
    assert not jets.problems["constituents not in the order of pt"].any()
    assert not jets.problems["no constituent"].any()
    total = jet_momentum(jets.pt, jets.eta, jets.phi, jets.mass)
    for name in ("pt", "mass"):  # NanoAOD keeps 10 bits of each number
        np.testing.assert_allclose(getattr(total, name), getattr(jets.jet, name), rtol=4e-3)
    for name in ("eta", "phi"):
        np.testing.assert_allclose(getattr(total, name), getattr(jets.jet, name), atol=1e-3)


def test_every_link_is_one_constituent() -> None:
    source = open_events(DATA / "pfnano.root")
    events = ak.concatenate(list(source.batches()))
    batch = all_of(source, collection="Jet")
    links, first = events.JetPFCands_jetIdx, events.JetPFCands_jetIdx[0]
    assert ak.sum(ak.num(batch.part_pt)) == ak.sum(ak.num(links))
    mine = events.JetPFCands_pFCandsIdx[0][first == 2]
    expected = np.sort(ak.to_numpy(events.PFCands_pt[0][mine]))[::-1]
    np.testing.assert_array_equal(ak.to_numpy(batch.part_pt[2]), expected)
    of_links = events.JetPFCands_btagSip3dVal[0][first == 2]
    assert sorted(batch.part_btagSip3dVal[2].to_list()) == sorted(of_links.to_list())
    assert set(np.unique(ak.to_numpy(ak.flatten(batch.part_charge)))) == {-1, 0, 1}


def test_jets_without_a_candidate_have_empty_lists_and_rows_keep_their_event() -> None:
    jets = jets_of_candidates(toy())
    batch = next(jets.numbered_batches())
    assert batch.events.part_pt.to_list() == [[6.0, 3.0, 1.0], [5.0], []]
    assert batch.events.part_charge.to_list() == [[-1, 0, 1], [1], []]
    assert batch.entry.tolist() == [0, 0, 2]
    assert jets.schema["part_pt"].jagged
    assert not jets.schema["jet_pt"].jagged


def test_weights_scale_candidates_and_leave_out_those_of_weight_0() -> None:
    batch = all_of(toy(), weight="PFCands_puppiWeight")
    assert batch.part_pt.to_list() == [[1.5, 1.5], [5.0], []]
    assert batch.part_eta.to_list() == [[0.3, 0.6], [0.5], []]
    with pytest.raises(ConfigError, match=r"no weight 'PFCands_puppiWeigh'.*did you mean 'PFCands_puppiWeight'"):
        jets_of_candidates(toy(), weight="PFCands_puppiWeigh")


def test_single_columns_are_read_alone() -> None:
    jets = jets_of_candidates(toy())
    assert next(jets.batches(["jet_eta"])).to_list() == [{"jet_eta": 0.1}, {"jet_eta": 0.2}, {"jet_eta": 0.3}]
    assert next(jets.batches(["part_charge"])).part_charge.to_list() == [[-1, 0, 1], [1], []]


@pytest.mark.parametrize(
    ("column", "words"),
    [
        ("JetPFCands_jetIdx", r"'JetPFCands_jetIdx' is 1 where the event has 1 of 'Jet'.*entry 2"),
        ("JetPFCands_pFCandsIdx", r"'JetPFCands_pFCandsIdx' is -1 where the event has 1 of 'PFCands'.*entry 2"),
    ],
)
def test_indices_that_point_to_nothing_are_refused_with_their_entry(column: str, words: str) -> None:
    changes = {"JetPFCands_jetIdx": [[1, 0, 0, 0], [], [0]], "JetPFCands_pFCandsIdx": [[0, 1, 2, 3], [], [0]]}
    changes[column][2] = [1] if column.endswith("jetIdx") else [-1]
    with pytest.raises(InputFileError, match=words):
        all_of(toy(**changes))


def test_indices_of_different_number_are_refused_with_their_entry() -> None:
    with pytest.raises(InputFileError, match=r"has 3 elements where 'JetPFCands_jetIdx' has 4.*entry 0"):
        all_of(toy(JetPFCands_pFCandsIdx=[[0, 1, 2], [], []]))


def test_unknown_collections_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"no jets 'FatJe' with candidates.*there are: Jet"):
        jets_of_candidates(toy(), "FatJe")
    with pytest.raises(ConfigError, match="no jets with index branches"):
        jets_of_candidates(open_events(DATA / "muons.root"))
