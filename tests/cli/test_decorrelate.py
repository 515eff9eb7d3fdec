"""``task: decorrelate`` and ``hepgen decorrelate`` from the command line."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import uproot
import yaml

RECIPE = """
task: decorrelate
name: flat
data: {files: [FILE], cut: m_jj > 2600}
discriminants: [tau21_1]
protected: [m_j1]
options: {hidden: [8], layers: 1}
training: {steps: 20, batch_size: 128}
"""


def test_the_way_from_a_recipe_to_decorrelated_scores(call, data: Path, tmp_path: Path) -> None:
    qcd = data / "dijets_qcd.root"
    (tmp_path / "recipe.yaml").write_text(RECIPE.replace("FILE", str(qcd)))
    plan = json.loads(call("train", "recipe.yaml", "--dry-run", "--json").stdout)
    assert plan["columns"] == ["tau21_1", "m_j1"]
    assert plan["stages"][0]["steps"] == 20
    assert plan["events"]["train"] > plan["events"]["validation"] > 0
    assert not (tmp_path / "run").exists()
    assert call("train", "recipe.yaml", "-o", "run", "--seed", "1").returncode == 0
    done = call("decorrelate", "run", qcd, "-o", "out.root", "--json", "--cut", "m_jj > 3000")
    summary = json.loads(done.stdout)
    assert summary["columns"] == ["tau21_1_decorrelated"]
    with uproot.open(tmp_path / "out.root") as file:
        events = file["events"].arrays(library="np")
    assert summary["events"] == len(events["m_jj"]) > 0
    assert events["m_jj"].min() > 3000
    assert ((events["tau21_1_decorrelated"] > 0) & (events["tau21_1_decorrelated"] < 1)).all()
    again = call("decorrelate", "run", qcd, "-o", "out.root")
    assert again.returncode == 2
    assert "--force" in again.stderr
    assert call("sample", "run", "-n", "10", "-o", "s.root").returncode != 0


def test_expressions_are_checked_and_the_schema_printed(call, tmp_path: Path) -> None:
    (tmp_path / "recipe.yaml").write_text(RECIPE.replace("m_jj > 2600", "m_jj >> 2600"))
    done = call("train", "recipe.yaml", "--dry-run")
    assert (done.returncode, done.stdout) == (2, "")
    assert "where: data.cut: m_jj >> 2600" in done.stderr
    schema = json.loads(call("config", "schema", "--task", "decorrelate").stdout)
    assert {"discriminants", "protected"} <= set(schema["required"])


def test_a_proposed_recipe_is_trained_as_it_is(call, data: Path, tmp_path: Path) -> None:
    ttbar = data / "ttbar.root"
    looked = call("inspect", ttbar, "--decorrelate", "met", "--protect", "m_bb", "--protect", "jet1_pt", "--config")
    (tmp_path / "recipe.yaml").write_text(looked.stdout)
    assert "cut them away" in looked.stdout
    plan = json.loads(call("train", "recipe.yaml", "--dry-run", "--json").stdout)
    assert plan["columns"] == ["met", "m_bb", "jet1_pt"]


def test_labels_of_signal_are_cut_away_in_a_proposal(call, tmp_path: Path) -> None:
    random = np.random.default_rng(1)
    columns = {name: random.normal(size=200) for name in ("score", "mass")}
    with uproot.recreate(tmp_path / "scored.root") as file:
        file["events"] = {**columns, "is_signal": np.arange(200) % 2, "genWeight": np.ones(200), "same": np.ones(200)}
    looked = call("inspect", "scored.root", "--decorrelate", "score", "--protect", "mass", "--config")
    recipe = yaml.safe_load(looked.stdout)
    assert recipe["data"]["cut"] == "is_signal == 0"
    assert recipe["data"]["weight"] == "genWeight"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--decorrelate", "met", "--protect", "m_bb"), "add --config"),
        (("--decorrelate", "met", "--config"), "add --protect COLUMN"),
        (("--protect", "met", "--config"), "add --decorrelate COLUMN"),
        (("--protect", "met", "--morph-to", "a.root", "--config"), "one recipe at a time"),
        (("--decorrelate", "mett", "--protect", "m_bb", "--config"), "did you mean 'met'"),
        (("--decorrelate", "met", "--protect", "met", "--config"), "both a discriminant and protected"),
    ],
)
def test_proposals_that_make_no_sense_are_refused(call, data: Path, options: tuple[str, ...], message: str) -> None:
    done = call("inspect", data / "ttbar.root", *options)
    assert (done.returncode, done.stdout) == (2, "")
    assert message in done.stderr


def test_lists_and_constants_are_no_scores(call, data: Path) -> None:
    done = call("inspect", data / "jets.root", "--decorrelate", "part_pt", "--protect", "jet_pt", "--config")
    assert (done.returncode, done.stdout) == (2, "")
    assert "not one number an event" in done.stderr
