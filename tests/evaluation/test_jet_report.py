"""A whole evaluation of jets, from their files and without a model."""

from dataclasses import replace
from functools import cache

import awkward as ak
import numpy as np
import pytest
from extracts import DATA, SMALL

from hepgen.classifiers.sets import SetOptions
from hepgen.classifiers.trees import TreeOptions
from hepgen.errors import InputFileError, UsageError
from hepgen.evaluation.run import evaluate
from hepgen.events.reader import open_events
from hepgen.events.source import MemorySource

WORK = replace(SMALL, folds=1, sets=SetOptions(epochs=3, local=16, latent=8, layers=1), matches=1)
OPTIONS = {"kind": "jets", "settings": WORK, "seed": 2}


def halves(name="jets.root"):
    source = open_events(DATA / name)
    events = ak.concatenate(list(source.batches()))
    order = np.random.default_rng(1).permutation(len(events))
    return MemorySource(events[order[::2]], source.schema), MemorySource(events[order[1::2]], source.schema)


@cache
def report():
    return evaluate(*halves(), **OPTIONS)


def test_every_promised_score_of_jets_is_there():
    found = report().scores
    names = {"w1m", "w1p", "w1efp", "fpd", "kpd", "auc_high", "auc_set", "control.auc_set"}
    names |= {"w1.tau21", "w1.tau32", "w1.d2", "w1.multiplicity", "ks.mass", "coverage", "global.p"}
    assert names <= set(found)
    for name in names:
        assert found[name].value is not None, name
    assert found["coverage_emd"].n == found["mmd_emd"].n
    assert report().kind == "jets"
    assert report().sanity["generated"]["broken"] == 0


def test_files_of_jetnet_are_judged_too():
    found = evaluate(*halves("jetnet.hdf5"), **OPTIONS).scores
    assert found["w1m"].value is not None
    assert found["auc_set"].value is not None


def test_wrong_masses_and_multiplicities_are_seen():
    reference, generated = halves()
    batch = ak.concatenate(list(generated.batches()))
    lists = [name for name in batch.fields if name.startswith("part_")]
    fewer = ak.zip(
        {name: batch[name][:, ::2] if name in lists else batch[name] for name in batch.fields}, depth_limit=1
    )
    found = evaluate(reference, MemorySource(fewer, generated.schema), **OPTIONS)
    assert found.scores["ks.multiplicity"].value > report().scores["ks.multiplicity"].value + 0.2
    assert found.scores["w1m"].value > 2 * report().scores["w1m"].value
    problems = found.sanity["generated"]["problems"]
    assert problems["constituents that do not add up to the jet"]["count"] > 100
    assert found.scores["w1m"].without is None  # nothing would be left


def test_columns_of_different_lengths_are_refused_with_their_entry():
    reference, generated = halves()
    batch = ak.concatenate(list(generated.batches()))
    rows = ak.Array([row[:-1] if index == 7 else row for index, row in enumerate(batch["part_eta"].to_list())])
    torn = ak.zip({name: rows if name == "part_eta" else batch[name] for name in batch.fields}, depth_limit=1)
    with pytest.raises(InputFileError, match=r"'part_eta' has \d+ constituents where 'part_pt' has .*entry 7"):
        evaluate(reference, MemorySource(torn, generated.schema), **OPTIONS)


def test_where_no_jets_are_found_the_names_are_said():
    source = open_events(DATA / "ttbar.root")
    with pytest.raises(UsageError, match="no jets with constituents"):
        evaluate(source, source, kind="jets")


def with_permuted(source, name):
    """The same jets with one of their numbers dealt out anew among them."""
    events = ak.concatenate(list(source.batches()))
    dealt = events[name][np.random.default_rng(3).permutation(len(events))]
    columns = {one: dealt if one == name else events[one] for one in events.fields}
    return MemorySource(ak.zip(columns, depth_limit=1), source.schema)


def test_jets_whose_pt_was_shuffled_are_seen():
    reference, generated = halves()
    work = replace(WORK, folds=5, trees=TreeOptions(rounds=60, leaves=8, min_leaf=5))
    own = {**OPTIONS, "settings": work, "conditions": ["jet_pt"]}
    score = evaluate(reference, with_permuted(generated, "jet_pt"), **own).scores["auc_high"]
    assert score.z > 3
    assert not evaluate(reference, generated, **own).scores["auc_high"].differs(3)


def test_jets_whose_type_was_shuffled_are_seen():
    reference, generated = halves("jets_types.root")
    trees = TreeOptions(rounds=100, leaves=6, min_leaf=10)
    work = replace(WORK, folds=5, parts=20, trees=trees, sets=SetOptions(epochs=1, local=8, latent=4, layers=1))
    own = {**OPTIONS, "settings": work, "conditions": ["jet_pdgid"]}
    found = evaluate(reference, with_permuted(generated, "jet_pdgid"), **own).scores
    assert found["auc_high"].z > 3
    assert found["w1.mass@jet_pdgid=6"].z > 3
    assert abs(found["w1.mass"].z) < 3  # of all types together nothing is wrong
