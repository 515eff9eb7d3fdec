"""Object mode: real muons in, lists of the same lengths out."""

from pathlib import Path

import awkward as ak
import numpy as np
import pytest

from hepgen.config.recipe import Recipe
from hepgen.events.reader import open_events
from hepgen.runs.train import train_run
from hepgen.sampling.run import sample_events, sample_to_file
from hepgen.surrogate.surrogate import Surrogate

MUONS = Path(__file__).parents[1] / "data" / "muons.root"


@pytest.fixture(scope="module")
def surrogate(tmp_path_factory: pytest.TempPathFactory) -> Surrogate:
    recipe = Recipe.model_validate(
        {
            "name": "muons",
            "data": {"files": [str(MUONS)], "objects": "Muon", "given": ["nMuon"]},
            "representation": {"kind": "table"},
            "options": {"coupling": {"layers": 2, "hidden": [8]}},
            "training": {"steps": 5, "batch_size": 128},
            "sampling": {"block_size": 300},
        }
    )
    return train_run(recipe, tmp_path_factory.mktemp("runs") / "muons", seed=1, device="cpu")


def test_a_file_gives_its_counts(surrogate: Surrogate, tmp_path: Path) -> None:
    source = open_events(MUONS)
    summary = sample_to_file(surrogate, tmp_path / "out.root", None, seed=1, conditions=source)
    assert summary.events == source.num_events
    made = open_events(tmp_path / "out.root")
    assert set(made.schema.names) == set(source.schema.names)
    a, b = (ak.concatenate(list(one.batches())) for one in (made, source))
    assert ak.all(ak.num(a["Muon_pt"]) == ak.num(b["Muon_pt"]))
    assert set(np.unique(ak.flatten(a["Muon_charge"]))) <= {-1, 1}
    assert ak.any(a["Muon_pt"] != b["Muon_pt"])


def test_events_do_not_depend_on_number_or_shard(surrogate: Surrogate) -> None:
    whole = ak.concatenate(list(sample_events(surrogate, 700, seed=1))).to_list()
    assert ak.concatenate(list(sample_events(surrogate, 310, seed=1))).to_list() == whole[:310]
    parts = [list(sample_events(surrogate, 700, seed=1, shard=(part, 2))) for part in range(2)]
    assert [event for part in parts for event in ak.concatenate(part).to_list()] == whole
    counts = [len(event["Muon_pt"]) for event in whole]
    assert counts == [event["nMuon"] for event in whole]
    truth = ak.concatenate(list(open_events(MUONS).batches()))["nMuon"]
    assert abs(np.mean(counts) - ak.mean(truth)) < 0.3
