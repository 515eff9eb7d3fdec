"""A morph from the command line, from the first look at two files to the moved one."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import awkward as ak
import numpy as np
import pytest
import uproot
from torch import Tensor

from hepgen.morphing.quantile import QuantileMorph


def test_from_two_files_to_a_moved_one(call, data: Path, tmp_path: Path) -> None:
    source, target = data / "dijets_qcd.root", data / "dijets_qcd_hard.root"
    looked = call("inspect", source, "--morph-to", target, "--config")
    assert looked.returncode == 0
    (tmp_path / "recipe.yaml").write_text(looked.stdout)
    sets = ("--set", "method=quantile")
    plan = call("train", "recipe.yaml", "--dry-run", "--json", *sets)
    assert json.loads(plan.stdout)["events"] == {"train": 4496, "validation": 504, "test": 0}
    trained = call("train", "recipe.yaml", "-o", "run", "--seed", "1", *sets)
    assert trained.returncode == 0
    assert f"next: hepgen morph run {source} -o morphed.root" in trained.stderr
    assert "held-out events" in trained.stderr
    unseeded = call("train", "recipe.yaml", "-o", "unseeded", *sets)  # a seed of 64 bits is drawn
    assert unseeded.returncode == 0, unseeded.stderr
    shown = call("inspect", "run")
    assert shown.returncode == 0
    assert "## Held-out events" in shown.stdout
    assert "verb" in json.loads(call("inspect", "run", "--json").stdout)["config"]["facts"]["held_out"]
    done = call("morph", "run", source, "-o", "moved.root", "--seed", "7", "--json")
    assert done.returncode == 0
    summary = json.loads(done.stdout)
    assert (summary["events"], summary["outside"], summary["seed"]) == (3000, 0, "7")
    assert 0.05 < summary["distance"] < 1
    assert summary["effective"] is None
    with uproot.open(tmp_path / "moved.root") as file:
        assert file["events"].num_entries == 3000
        assert float(np.mean(file["events"]["morph_distance"].array())) == pytest.approx(summary["distance"])
    judged = call(
        "evaluate", target, "moved.root", "--model", "run", "--quick", "--seed", "1", "-o", "report", "--json"
    )
    assert judged.returncode == 0
    worst = json.loads(judged.stdout)["scores"]["ks.max"]  # of the 200 events of the target that did not train
    assert worst["value"] < 2 * worst["floor"]


def test_text_and_lists_of_lists_are_copied_and_what_cannot_be_is_said(call, data: Path, tmp_path: Path) -> None:
    source = data / "dijets_qcd.root"
    (tmp_path / "r.yaml").write_text(call("inspect", source, "--morph-to", source, "--config").stdout)
    assert call("train", "r.yaml", "-o", "run", "--seed", "1", "--set", "method=quantile").returncode == 0
    with uproot.open(source) as file:
        columns = file["events"].arrays(library="np")
    size = len(columns["m_jj"])
    hits = ak.Array([[[k] * (k % 3)] * (k % 2) for k in range(size)])
    further = {"name": ak.Array([f"event {k}" for k in range(size)]), "hits": hits, "empty": ak.Array([[{}]] * size)}
    with uproot.recreate(tmp_path / "named.root") as file:
        file.mkrntuple("events", {**columns, **further})
    done = call("morph", "run", "named.root", "-o", "out.root", "--seed", "7", "--cut", "m_jj > 2600")
    assert done.returncode == 0
    assert "warning: 'empty' cannot be read, and is not in the output" in done.stderr
    assert (
        "note: 'hits' was std::vector<std::vector<std::int64_t>> and is all numbers of an event in a row" in done.stderr
    )
    kept = columns["m_jj"] > 2600
    with uproot.open(tmp_path / "out.root") as file:
        moved = file["events"].arrays()
    assert moved["name"].to_list() == further["name"][kept].to_list()
    assert moved["hits"].to_list() == ak.flatten(hits[kept], axis=2).to_list()
    assert moved["hits_lengths"].to_list() == ak.num(hits[kept], axis=2).to_list()
    done = call("morph", "run", "named.root", "-o", "same.root", "--seed", "7", "--format", "rntuple")
    assert "note: " not in done.stderr
    with uproot.open(tmp_path / "same.root") as file:
        same = file["events"].arrays(["name", "hits"])
    assert same["name"].to_list() == further["name"].to_list()
    assert same["hits"].to_list() == hits.to_list()
    done = call("morph", "run", source, "-o", "none.root", "--seed", "7", "--cut", "m_jj > 1e9")
    assert "warning: no event was read: no event passes the cut" in done.stderr


def test_a_closure_test_that_fails_is_a_warning(call, data: Path, tmp_path: Path) -> None:
    source = data / "dijets_qcd.root"
    (tmp_path / "r.yaml").write_text(call("inspect", source, "--morph-to", source, "--config").stdout)
    sets = (
        "--set",
        "method=noising",
        "--set",
        "training.steps=5",
        "--set",
        "options={noising: {layers: 1, hidden: 8, steps: 2}}",
    )
    done = call("train", "r.yaml", "-o", "run", "--seed", "1", "--closure", "-q", *sets)
    assert done.returncode == 0
    assert "warning: the closure test does not hold" in done.stderr


REFUSED: list[tuple[tuple[Any, ...], int, str]] = [
    (("morph", "nowhere", "a.root", "-o", "b.root"), 4, "no such model"),
    (("morph", "{models}/ttbar", "{data}/ttbar.root", "-o", "b.root"), 4, "the task 'generate', not 'morph'"),
    (("inspect", "{data}/dijets_qcd.root", "--morph-to", "{data}/dijets_qcd_hard.root"), 2, "add --config"),
    (("inspect", "{data}/dijets_qcd.root", "--morph-to", "{data}/muons.root", "--config"), 2, "no column in common"),
    (
        ("inspect", "{data}/photons.hdf5", "--morph-to", "{data}/par04.hdf5", "--binning", "{data}/binning_photons.xml", "--config"),
        2, "in the target",
    ),
    (("train", "{configs}/morph_dijets.yaml", "-o", "r", "--data", "a.root"), 2, "--set source.files=[FILE]"),
    (("train", "{configs}/morph_dijets.yaml", "-o", "r", "--set", "method=flow_for_flows"), 2, "did you mean"),
    (("train", "{configs}/morph_dijets.yaml", "-o", "r", "--set", "source.cut=m_jj >"), 2, "source.cut"),
    (("train", "{configs}/ttbar.yaml", "-o", "r", "--set", "task=morf"), 2, "did you mean 'morph'"),
    (("train", "{configs}/ttbar.yaml", "-o", "r", "--closure"), 2, "closure"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("words", "code", "message"), REFUSED, ids=lambda one: " ".join(one)[-40:] if isinstance(one, tuple) else ""
)
def test_what_is_refused_says_why(call, data: Path, words: tuple[str, ...], code: int, message: str) -> None:
    root = data.parents[1]
    places = {"data": data, "models": root / "models", "configs": root / "configs"}
    done = call(*(word.format(**places) for word in words))
    assert (done.returncode, message in done.stderr) == (code, True), done.stderr


def test_seeds_make_the_same_file_and_cuts_leave_events_out(call, data: Path, tmp_path: Path) -> None:
    recipe = f"""
schema_version: 1
task: morph
name: m
source: {{files: ["{data / "dijets_qcd.root"}"]}}
target: {{files: ["{data / "dijets_qcd_hard.root"}"]}}
columns: [m_j1, delta_m]
representation: {{kind: table, conditions: [m_jj]}}
method: boosted
options: {{boosted: {{trees: 20}}}}
"""
    (tmp_path / "r.yaml").write_text(recipe)
    assert call("train", "r.yaml", "-o", "run", "--seed", "1").returncode == 0
    arguments = ("morph", "run", data / "dijets_qcd.root", "--cut", "m_jj > 3000", "--seed", "2")
    for name in ("a.root", "b.root"):
        done = call(*arguments, "-o", name)
        assert done.returncode == 0
    assert "morph_weight holds the weights: worth" in done.stderr
    one, two = (uproot.open(tmp_path / name)["events"].arrays(library="np") for name in ("a.root", "b.root"))
    assert all(np.array_equal(one[name], two[name]) for name in one)
    assert one["m_jj"].min() > 3000
    assert one["morph_weight"].mean() == pytest.approx(1.0, abs=0.1)
    refused = call(*arguments, "-o", "c.root", "--inverse")
    assert refused.returncode == 2
    assert "it has no inverse" in refused.stderr


def test_what_could_not_be_moved_says_whether_the_values_or_the_method_are_why(
    call, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = data / "dijets_qcd.root"
    (tmp_path / "r.yaml").write_text(call("inspect", source, "--morph-to", source, "--config").stdout)
    assert call("train", "r.yaml", "-o", "run", "--seed", "1", "--set", "method=quantile").returncode == 0
    with uproot.open(source) as file:
        columns = file["events"].arrays(library="np")
    columns["m_j1"][:3], columns["m_j1"][3:5] = np.inf, np.nan
    with uproot.recreate(tmp_path / "broken.root") as file:
        file["events"] = columns
    morphed = ("morph", "run", "broken.root", "-o", "out.root", "--seed", "7", "--force", "--json", "--outside")
    done = call(*morphed, "morph")
    assert (
        "5 events could not be moved and are as they were: values are missing or not finite, or lists are empty"
        in done.stderr
    )
    assert "could not be moved" not in call(*morphed, "keep").stderr  # it is said that they lie outside
    whole = QuantileMorph.forward

    def failing(self: QuantileMorph, x: Tensor, *rest: Any) -> Tensor:
        y = whole(self, x, *rest)
        y[100:107] = float("nan")
        return y

    monkeypatch.setattr(QuantileMorph, "forward", failing)
    for policy in ("keep", "morph"):
        done = call(*morphed, policy)
        assert "7 events could not be moved and are as they were: 'quantile' found no finite values" in done.stderr
        found = json.loads(done.stdout)
        assert (found["outside"], found["unmoved"], found["failed"]) == (5, 12, 7)


def test_a_map_that_harms_is_warned_of_and_weights_are_not_said_to_move(
    call, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = data / "dijets_qcd.root"
    recipe = f"""
task: morph
name: m
source: {{files: ["{source}"]}}
target: {{files: ["{data / "dijets_qcd_hard.root"}"]}}
columns: [m_j1, delta_m]
split: {{method: fraction, validation: 0.2}}
representation: {{kind: table}}
method: quantile
"""
    (tmp_path / "r.yaml").write_text(recipe)

    def scramble(self: QuantileMorph, x: Tensor, *rest: object) -> Tensor:
        del self, rest
        return 0.3 * x + 1

    monkeypatch.setattr(QuantileMorph, "forward", scramble)
    done = call("train", "r.yaml", "-o", "run", "--seed", "1", "-q", "--json")
    assert done.returncode == 0
    (warning,) = done.stderr.splitlines()
    assert warning.startswith("warning: moved events are told from the target BETTER than before")
    assert f"warning: {json.loads(done.stdout)['held_out']['warning']}" == warning
    assert warning.removeprefix("warning: ") in call("inspect", "run").stdout
    refused = call("inspect", "run", "--config")
    assert refused.returncode == 2
    call("train", "r.yaml", "-o", "w", "--seed", "1", "--set", "method=boosted", "--set", "source.cut=m_jj > 3000")
    assert "weighted as well as may be" in call("morph", "w", source, "-o", "w.root", "--outside", "morph").stderr
