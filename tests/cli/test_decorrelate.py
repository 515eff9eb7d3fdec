"""``task: decorrelate`` and ``hepgen decorrelate`` from the command line."""

from __future__ import annotations

import json
from pathlib import Path

import uproot

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
