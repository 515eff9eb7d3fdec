from __future__ import annotations

import json
from pathlib import Path

import uproot

RECIPE = """
name: muons
data: {files: [FILE], columns: [Muon_pt, Muon_eta]}
split: {validation: 0.2, test: 0.3}
representation: {kind: table}
options: {coupling: {layers: 2, hidden: [16]}}
"""


def test_object_mode_counts_events_and_objects(call, data: Path, tmp_path: Path) -> None:
    muons = data / "muons.root"
    recipe = (
        RECIPE.replace("FILE", str(muons))
        .replace("[Muon_pt", "[nMuon, Muon_pt")
        .replace("]}\nsplit", "], objects: Muon, given: [nMuon]}\nsplit")
    )
    (tmp_path / "recipe.yaml").write_text(recipe)
    with uproot.open(muons) as file:
        counts = file["Events"]["nMuon"].array()
    plan = json.loads(call("train", "recipe.yaml", "--dry-run", "--json").stdout)
    parts = ("train", "validation", "test")
    assert sum(plan["events"][part] for part in parts) == len(counts)
    assert plan["objects"]["name"] == "Muon"
    assert sum(plan["objects"][part] for part in parts) == sum(counts)
    words = call("train", "recipe.yaml", "--dry-run").stdout.splitlines()[0]
    listed = ", ".join(f"{plan['events'][part]} {part}" for part in parts)
    rows = ", ".join(f"{plan['objects'][part]} {part}" for part in parts)
    assert words == f"muons: 1 file(s), events: {listed}; training rows, one per Muon: {rows}; 3 columns"


def test_without_objects_an_event_is_a_row(call, data: Path, tmp_path: Path) -> None:
    recipe = RECIPE.replace("FILE", str(data / "ttbar.root")).replace("Muon_pt, Muon_eta", "met, m_bb")
    (tmp_path / "recipe.yaml").write_text(recipe)
    plan = json.loads(call("train", "recipe.yaml", "--dry-run", "--json").stdout)
    assert plan["objects"] is None
    assert sum(plan["events"].values()) == 1500
