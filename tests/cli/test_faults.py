"""Wrong inputs through the command line: the right exit code, three lines, no traceback, and nothing left behind."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
import pytest
import uproot

DATA = Path(__file__).parents[1] / "data"

TABLE = """
name: wrong
data: {files: [FILE], columns: [met, m_bb]}
representation: {kind: table}
options: {coupling: {layers: 2, hidden: [16]}}
training: {steps: 2, batch_size: 64}
"""
SHOWERS = f"""
name: wrong
data: {{files: [FILE]}}
representation: {{kind: calorimeter, binning: {DATA / "binning_photons.xml"}}}
options: {{coupling: {{layers: 2, hidden: [16]}}}}
training: {{steps: 2, batch_size: 64}}
"""


def train(call, folder: Path, recipe: str, *further: str | Path):
    """Train on a recipe; what the folder holds afterwards must be what it held before."""
    (folder / "recipe.yaml").write_text(recipe)
    before = sorted(folder.rglob("*"))
    done = call("train", "recipe.yaml", "-o", "new", "--seed", "1", "-q", *further)
    assert done.stdout == ""
    assert len(done.stderr.splitlines()) == 3, done.stderr
    assert [line.split(":")[0] for line in done.stderr.splitlines()] == ["error", "where", "hint"]
    assert "Traceback" not in done.stderr
    assert sorted(folder.rglob("*")) == before
    return done


@pytest.mark.parametrize(
    ("recipe", "code", "word"),
    [
        (TABLE.replace("FILE", "missing.root"), 3, "missing.root"),
        (TABLE.replace("FILE", str(DATA / "ttbar.root:evnts")), 3, "did you mean 'events'?"),
        (TABLE.replace("FILE", str(DATA / "ttbar.root")).replace("met,", "mett,"), 3, "did you mean 'met'?"),
        (TABLE.replace("columns", "colums"), 2, "did you mean 'columns'?"),
        (TABLE.replace("kind: table", "kind: tabel"), 2, "table"),
        (TABLE + "  - : }", 2, "recipe.yaml"),
        (SHOWERS.replace("FILE", str(DATA / "photons.hdf5")).replace("_photons.xml", "_electrons.xml"), 3, "6480"),
        (SHOWERS.replace("FILE", str(DATA / "photons.hdf5")).replace("_photons.xml", "_none.xml"), 3, "_none.xml"),
        (
            SHOWERS.replace("FILE", str(DATA / "photons.hdf5")).replace("_photons.xml", "_poton.xml"),
            3,
            "did you mean 'binning_photons.xml'?",
        ),
        (
            SHOWERS.replace("FILE", str(DATA / "photons.hdf5")).replace(
                f", binning: {DATA / 'binning_photons.xml'}", ""
            ),
            2,
            "binning: FILE",
        ),
        (SHOWERS.replace("FILE", str(DATA / "ttbar.root")), 3, "there are: "),
    ],
)
def test_what_cannot_be_trained_on(call, tmp_path: Path, recipe: str, code: int, word: str) -> None:
    done = train(call, tmp_path, recipe)
    assert done.returncode == code, done.stderr
    assert word in done.stderr


@pytest.mark.parametrize("share", [0.0, 0.02, 0.3, 0.7, 0.99])
@pytest.mark.parametrize(("name", "recipe"), [("ttbar.root", TABLE), ("photons.hdf5", SHOWERS)])
def test_a_truncated_file(call, tmp_path: Path, name: str, recipe: str, share: float) -> None:
    whole = (DATA / name).read_bytes()
    (tmp_path / name).write_bytes(whole[: int(share * len(whole))])
    done = train(call, tmp_path, recipe.replace("FILE", name))
    assert done.returncode == 3, done.stderr
    assert name in done.stderr


@pytest.mark.parametrize(
    ("value", "word"), [(np.nan, "not finite"), (np.inf, "not finite"), (-1.0, "negative 'voxel_energy'")]
)
def test_voxels_that_are_no_energies(call, tmp_path: Path, value: float, word: str) -> None:
    with h5py.File(DATA / "photons.hdf5") as full, h5py.File(tmp_path / "bad.hdf5", "w") as bad:
        showers = full["showers"][:200]
        showers[150, 7] = value
        bad["showers"], bad["incident_energies"] = showers, full["incident_energies"][:200]
    done = train(call, tmp_path, SHOWERS.replace("FILE", "bad.hdf5"))
    assert done.returncode == 3, done.stderr
    assert word in done.stderr


def test_files_without_events(call, tmp_path: Path) -> None:
    with uproot.recreate(tmp_path / "none.root") as file:
        file.mktree("events", {"met": "float32", "m_bb": "float32"})
    with h5py.File(tmp_path / "none.hdf5", "w") as file:
        file["showers"], file["incident_energies"] = np.zeros((0, 368), "f4"), np.zeros((0, 1), "f4")
    for name, recipe in (("none.root", TABLE), ("none.hdf5", SHOWERS)):
        done = train(call, tmp_path, recipe.replace("FILE", name))
        assert done.returncode == 3, done.stderr
