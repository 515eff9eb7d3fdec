"""train, sample and evaluate as a user runs them, on a surrogate that has barely been trained."""

from __future__ import annotations

import io
import json
import os
import re
import resource
import shutil
import subprocess
import sys
import tempfile
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path

import awkward as ak
import numpy as np
import pytest
import uproot

from hepgen.cli.main import main
from hepgen.events.reader import open_events
from hepgen.events.writer import create_writer
from hepgen.sampling.output import OutputColumns

DATA = Path(__file__).parents[1] / "data"

RECIPE = f"""
name: ttbar
data:
  files: [{DATA / "ttbar.root"}]
  columns: [met, m_bb, n_jets, lepton_phi, jet1_pt]
  derived: {{double: 2 * met}}
split: {{validation: 0.2, test: 0.4}}
representation: {{kind: table, conditions: [jet1_pt]}}
options: {{coupling: {{layers: 2, hidden: [16]}}}}
training: {{steps: 20, batch_size: 128}}
sampling: {{block_size: 200}}
"""


@pytest.fixture(scope="module")
def workplace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a recipe and a finished run of it; its summary is in ``train.json``."""
    folder = tmp_path_factory.mktemp("work")
    (folder / "recipe.yaml").write_text(RECIPE)
    out, words = io.StringIO(), io.StringIO()
    with redirect_stdout(out), redirect_stderr(words), pytest.raises(SystemExit) as left:
        main(["train", str(folder / "recipe.yaml"), "-o", str(folder / "run"), "--seed", "1", "--json"])
    assert left.value.code == 0, words.getvalue()
    (folder / "train.json").write_text(out.getvalue())
    (folder / "train.log").write_text(words.getvalue())
    return folder


@pytest.fixture
def work(workplace: Path, tmp_path: Path) -> Path:
    """A copy of the workplace for one test."""
    shutil.copytree(workplace, tmp_path, dirs_exist_ok=True)
    return tmp_path


def test_train_keeps_words_from_data(workplace: Path) -> None:
    summary = json.loads((workplace / "train.json").read_text())
    assert summary["seed"] == "1"
    assert summary["steps"] == {"discrete": 20, "columns": 20}
    assert summary["peak_memory"] > 0
    log = (workplace / "train.log").read_text()
    assert "next: hepgen sample" in log
    assert "\x1b" not in log
    assert "Traceback" not in log


def test_a_dry_run_says_how_many_steps_the_passes_allow(call, work: Path) -> None:
    arguments = ("train", "recipe.yaml", "--dry-run", "--budget", "1h", "--set", "stages.columns.training.max_epochs=2")
    plan = json.loads(call(*arguments, "--json").stdout)
    discrete, columns = plan["stages"]
    assert (discrete["most_steps"], columns["most_steps"]) == (None, round(2 * plan["events"]["train"] / 128))
    assert f", at most {columns['most_steps']}" in call(*arguments).stdout


def test_train_needs_a_folder(call, work: Path) -> None:
    done = call("train", "recipe.yaml")
    assert (done.returncode, done.stdout) == (2, "")
    assert "-o RUN" in done.stderr


def test_resume_and_force_exclude_each_other(call, work: Path) -> None:
    assert call("train", "recipe.yaml", "-o", "run", "--resume", "--force").returncode == 2


def test_an_existing_run_is_refused_and_a_finished_one_is_not_trained_again(call, work: Path) -> None:
    before = (work / "run/model/model.safetensors").stat().st_mtime_ns
    done = call("train", "recipe.yaml", "-o", "run")
    assert done.returncode == 2
    assert "--resume" in done.stderr
    assert call("train", "recipe.yaml", "-o", "run", "--resume").returncode == 0
    assert (work / "run/model/model.safetensors").stat().st_mtime_ns == before


@pytest.mark.parametrize(
    ("setting", "word"),
    [("data.columns=[metx]", "did you mean 'met'?"), ("data.cut=mett>3", "met"), ("trainig.steps=3", "training")],
)
def test_unknown_names_get_a_suggestion(call, work: Path, setting: str, word: str) -> None:
    done = call("train", "recipe.yaml", "-o", "new", "--seed", "1", "--set", setting)
    assert done.returncode in {2, 3}
    assert word in done.stderr
    assert len(done.stderr.splitlines()) == 3


def test_a_dry_run_prints_the_plan_and_writes_nothing(call, work: Path) -> None:
    done = call("train", "recipe.yaml", "-o", "new", "--dry-run")
    assert done.returncode == 0
    assert re.search(r"columns +coupling +\d+ +\d+ +\d+ +20", done.stdout)
    assert not (work / "new").exists()


def test_max_time_exits_85_and_what_is_there_can_be_sampled(call, work: Path) -> None:
    steps = ("--set", "training.steps=100000", "--set", "stages.discrete.training.steps=1")
    arguments = ("train", "recipe.yaml", "-o", "long", *steps)
    done = call(*arguments, "--max-time", "5s")
    assert (done.returncode, done.stdout) == (85, "")
    assert done.stderr.splitlines()[-3].startswith("stopped: ")
    sampled = call("sample", "long", "-n", "10", "-o", "some.root")
    assert sampled.returncode == 0
    assert sampled.stderr.count("warning: ") == 1
    assert call(*arguments, "--max-time", "1s", "--resume").returncode == 85


def test_sample_writes_root_and_says_so_on_stderr(call, work: Path) -> None:
    done = call("sample", "run", "-n", "3e2", "-o", "out.root", "--seed", "7")
    assert (done.returncode, done.stdout) == (0, "")
    assert re.search(r"300 events in .* events/s, .* ms CPU per event, peak memory", done.stderr)
    with uproot.open(work / "out.root") as file:
        events = file["events"].arrays(library="np")
        assert file["hepgen_runs"]["seed"].array().to_list() == ["7"]
    assert {"met", "m_bb", "n_jets", "lepton_phi", "double"} <= set(events)
    assert len(events["met"]) == 300
    np.testing.assert_allclose(events["double"], 2 * events["met"], rtol=1e-6)


def test_sample_says_the_seed_that_it_drew(call, work: Path) -> None:
    done = call("sample", "run", "-n", "10", "-o", "out.h5", "--json")
    summary = json.loads(done.stdout)
    assert f"seed {summary['seed']}" in done.stderr
    assert {"events_per_second", "cpu_seconds_per_event", "peak_memory", "notes"} <= set(summary)


def test_an_existing_file_is_refused_without_force(call, work: Path) -> None:
    (work / "out.root").write_text("precious")
    done = call("sample", "run", "-n", "10", "-o", "out.root")
    assert done.returncode == 2
    assert (work / "out.root").read_text() == "precious"
    assert call("sample", "run", "-n", "10", "-o", "out.root", "--force").returncode == 0


def test_stdout_can_carry_the_file_itself(call, work: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (work / "tmp").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(work / "tmp"))
    stdout = io.TextIOWrapper(io.BytesIO())
    monkeypatch.setattr(sys, "stdout", stdout)
    assert call("sample", "run", "-n", "50", "-o", "-").returncode == 0
    monkeypatch.undo()
    piped = stdout.buffer.getvalue()
    assert piped.startswith(b"root")
    (work / "piped.root").write_bytes(piped)
    assert uproot.open(work / "piped.root")["events"].num_entries == 50
    assert list((work / "tmp").iterdir()) == []


def test_a_reader_of_stdout_that_goes_away_is_told(call, work: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Gone(io.BytesIO):
        def write(self, data: object) -> int:
            raise BrokenPipeError

    class Stdout(io.TextIOWrapper):
        def fileno(self) -> int:
            return spare

    spare = os.open(os.devnull, os.O_WRONLY)
    monkeypatch.setattr(sys, "stdout", Stdout(Gone()))
    done = call("sample", "run", "-n", "50", "-o", "-", "--seed", "1")
    os.close(spare)
    assert done.returncode == 75
    assert "went away" in done.stderr


def test_stdout_cannot_carry_two_things(call, work: Path) -> None:
    assert call("sample", "run", "-n", "5", "-o", "-", "--json").returncode == 2


def test_conditions_give_one_event_per_row(call, work: Path) -> None:
    done = call(
        "sample",
        "run",
        "--conditions",
        DATA / "ttbar.root",
        "--keep",
        "n_btag",
        "-o",
        "all.root",
        "--json",
        "--extrapolate",
    )
    assert json.loads(done.stdout)["events"] == 1500
    with uproot.open(work / "all.root") as file, uproot.open(DATA / "ttbar.root") as truth:
        for name in ("jet1_pt", "n_btag"):
            np.testing.assert_array_equal(file["events"][name].array(), truth["events"][name].array())
    assert (
        call(
            "sample", "run", "--conditions", DATA / "ttbar.root", "-n", "1501", "-o", "more.root", "--extrapolate"
        ).returncode
        == 2
    )


@pytest.mark.parametrize(
    ("arguments", "code", "word"),
    [
        (["run", "-n", "10", "-o", "x.root", "--set-condition", "jet1_pt=1e6"], 3, "--extrapolate"),
        (["run", "-n", "10", "-o", "x.root", "--set-condition", "jet_pt=100"], 2, "did you mean 'jet1_pt'?"),
        (["run", "-n", "10", "-o", "x.root", "--set-condition", "jet1_pt"], 2, "NAME=VALUE"),
        (["run", "-o", "x.root"], 2, "-n N"),
        (["nothing", "-n", "10", "-o", "x.root"], 4, "no such model"),
        (["run", "-n", "10", "-o", "x.root", "--hits"], 2, "calorimeters"),
        (["run", "-n", "10", "-o", "missing/x.root"], 2, "folder"),
        (["run", "-n", "10", "-o", "x.root", "--device", "cuda:7"], 2, "--device auto"),
    ],
)
def test_what_cannot_be_sampled_is_three_lines(call, work: Path, arguments: list[str], code: int, word: str) -> None:
    done = call("sample", *arguments, "--seed", "1")
    assert (done.returncode, done.stdout) == (code, "")
    assert len(done.stderr.splitlines()) == 3
    assert word in done.stderr
    assert not list(work.glob("**/x.root*"))


def test_extrapolation_is_allowed_on_request(call, work: Path) -> None:
    arguments = ("sample", "run", "-n", "10", "-o", "x.root", "--set-condition", "jet1_pt=2000", "--extrapolate")
    assert call(*arguments).returncode == 0
    assert set(uproot.open(work / "x.root")["events"]["jet1_pt"].array().to_list()) == {2000.0}


@pytest.mark.parametrize("name", ["model.safetensors", "config.json", "representation.json", "validity.json"])
def test_a_damaged_model_is_named(call, work: Path, name: str) -> None:
    file = work / "run/model" / name
    file.write_bytes(file.read_bytes()[:-7])
    done = call("sample", "run", "-n", "10", "-o", "x.root")
    assert (done.returncode, done.stdout) == (4, "")
    assert name in done.stderr
    assert len(done.stderr.splitlines()) == 3
    assert not list(work.glob("x.root*"))


def test_a_full_disk_leaves_nothing_and_exits_75(call, work: Path) -> None:
    _, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, hard))
    try:
        done = call("sample", "run", "-n", "2000", "-o", "x.root", "--seed", "1")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
    assert (done.returncode, done.stdout) == (75, "")
    assert len(done.stderr.splitlines()) == 3
    assert not list(work.glob("x.root*"))


@pytest.mark.parametrize("file_format", ["ttree", "rntuple", "hdf5"])
def test_a_full_file_system_leaves_nothing_and_exits_75(work: Path, file_format: str) -> None:
    """A real full disk: a tmpfs of 64 kB, mounted in a name space of its own where that is permitted."""
    enter = ["unshare", "--map-root-user", "--mount"]
    if shutil.which("unshare") is None or subprocess.run([*enter, "true"], capture_output=True, check=False).returncode:
        pytest.skip("no mounts in a name space of one's own here")
    (work / "disk").mkdir()
    program = f"{sys.executable} -m hepgen.cli sample run -n 20000 -o disk/x --format {file_format} --seed 1 -q"
    script = f"mount -t tmpfs -o size=64k tmpfs disk || exit 99; {program}; code=$?; ls -A disk; exit $code"
    environment = {**os.environ, "PYTHONPATH": str(DATA.parents[1])}
    done = subprocess.run(
        [*enter, "sh", "-c", script],
        cwd=work,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    if done.returncode == 99:
        pytest.skip("tmpfs may not be mounted here")
    assert (done.returncode, done.stdout) == (75, "")
    assert len(done.stderr.splitlines()) == 3, done.stderr
    assert done.stderr.startswith("error: ")


def test_a_bug_while_sampling_is_not_hidden_and_leaves_no_file(
    call, work: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*arguments: object, **named: object) -> None:
        raise KeyError("voxel")

    monkeypatch.setattr(OutputColumns, "assemble", fail)
    with pytest.raises(KeyError, match="voxel"):
        call("sample", "run", "-n", "10", "-o", "x.root", "--seed", "1")
    assert not list(work.glob("x.root*"))


def test_evaluate_says_that_it_does_not_look_at_images_without_their_binning(call) -> None:
    assert call("convert", DATA / "jets.root", "images.root", "--to", "images").returncode == 0
    done = call("evaluate", "images.root", "images.root", "--quick", "--max-events", "150", "--seed", "3")
    assert done.returncode == 0
    assert "arrays of more than 64 numbers are not judged: image; images are with --binning" in done.stderr


def test_evaluate_judges_only_events_that_the_model_has_not_seen(call, work: Path) -> None:
    assert call("sample", "run", "-n", "600", "-o", "made.root", "--seed", "2").returncode == 0
    truth = str(DATA / "ttbar.root")
    common = ("evaluate", truth, "made.root", "--model", "run", "--quick", "--max-events", "150", "--seed", "3")
    done = call(*common, "-o", "report", "--json", "--require", "auc>0.1")
    assert done.returncode == 0
    found = json.loads(done.stdout)
    assert found["kind"] == "table"
    assert 0.3 < found["scores"]["auc"]["value"] <= 1.0
    assert {"value", "error", "floor", "z", "n"} <= set(found["scores"]["auc"])
    assert 500 < found["n"]["reference"] < 700  # the 40 % of the test part
    assert "warning: the model was trained on this file" in done.stderr
    assert json.loads((work / "report/report.json").read_text())["scores"] == found["scores"]
    assert (work / "report/report.html").stat().st_size > 1000

    again = call(*common, "-o", "report")
    assert (again.returncode, again.stdout) == (2, "")
    gate = call(*common, "--recipe", "recipe.yaml")
    assert gate.returncode == 2


def test_a_gate_that_does_not_hold_exits_5_after_the_table(call, work: Path) -> None:
    with uproot.recreate(work / "other.root") as file, uproot.open(DATA / "ttbar.root") as truth:
        arrays = truth["events"].arrays(["met", "m_bb", "n_jets"], library="np")
        half = {name: values[:700] for name, values in arrays.items()}
        file.mktree("events", {name: values.dtype for name, values in half.items()}).extend(
            {**half, "met": half["met"] + 500}
        )
    done = call("evaluate", DATA / "ttbar.root", "other.root", "--quick", "--seed", "3", "--require", "auc<0.6")
    assert done.returncode == 5
    assert "auc " in done.stdout
    assert "auc = " in done.stderr.splitlines()[-3]


def test_jets_are_judged_from_their_files_alone(call, tmp_path: Path) -> None:
    jets = DATA / "jets.root"
    done = call(
        "evaluate",
        jets,
        jets,
        "--quick",
        "--seed",
        "3",
        "-o",
        "report",
        "--max-events",
        "160",
        "--also",
        f"copy={jets}",
    )
    assert done.returncode == 0, done.stderr
    for name in ("w1m", "auc_set", "mmd_emd", "logpost_set.copy"):
        assert f" {name} " in done.stdout
    found = json.loads((tmp_path / "report/report.json").read_text())
    assert found["provenance"]["files"]["copy"][0]["path"] == str(jets)
    assert len(found["provenance"]["files"]["reference"][0]["sha256"]) == 64
    assert "jets.root against jets.root" in (tmp_path / "report/report.html").read_text()
    assert (tmp_path / "report/histograms.root").stat().st_size > 1000


def test_columns_of_one_sample_only_are_said(call, tmp_path: Path) -> None:
    with uproot.recreate(tmp_path / "few.root") as file, uproot.open(DATA / "ttbar.root") as truth:
        arrays = truth["events"].arrays(["met", "m_bb", "n_jets"], library="np")
        file.mktree("events", {name: values.dtype for name, values in arrays.items()}).extend(arrays)
    done = call("evaluate", DATA / "ttbar.root", "few.root", "--quick", "--seed", "3", "--max-events", "200")
    assert done.returncode == 0
    assert "warning: columns of the reference alone are not judged: lepton_pt" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "code", "word"),
    [
        (["{data}/ttbar.root", "missing.root"], 3, "no such file"),
        (["{data}/ttbar.root", "{data}/ttbar.root", "--require", "auc"], 2, "auc_high<0.75"),
        (["{data}/ttbar.root", "{data}/ttbar.root", "--require", "ks.mett<1"], 2, "did you mean 'ks.met'?"),
        (["{data}/photons.hdf5", "{data}/photons.hdf5"], 2, "--binning"),
        (["{data}/photons.hdf5", "{data}/photons.hdf5", "--binning", "{data}/binning_electrons.xml"], 3, "6480"),
        (["{data}/ttbar.root", "{data}/ttbar.root", "--protocol", "slow"], 2, "calochallenge"),
        (["{data}/ttbar.root", "{data}/photons.hdf5"], 3, "the generated sample calorimeter showers"),
        (["{data}/ttbar.root", "{data}/jets.root"], 3, "the generated sample jets"),
        (["{data}/ttbar.root", "{data}/ttbar.root", "--kind", "jets"], 2, "part_pt"),
        (["{data}/ttbar.root", "{data}/ttbar.root", "--also", "x"], 2, "NAME=FILE"),
    ],
)
def test_what_cannot_be_judged_is_said(call, arguments: list[str], code: int, word: str) -> None:
    done = call("evaluate", *(text.format(data=DATA) for text in arguments), "--seed", "1")
    assert (done.returncode, done.stdout) == (code, "")
    assert word in done.stderr


def test_jets_of_other_types_are_judged_whatever_their_type(call, tmp_path: Path) -> None:
    jets = open_events(DATA / "jets.root")
    events = ak.concatenate(list(jets.batches()))[:160]
    events = ak.with_field(events, np.full(len(events), 21, np.int32), "jet_pdgid")
    with create_writer(tmp_path / "other.root", jets.schema) as writer:
        writer.write(ak.with_field(events, np.full(len(events), 1, np.int32), "jet_pdgid"))
    with create_writer(tmp_path / "gluons.root", jets.schema) as writer:
        writer.write(events)
    done = call("evaluate", "gluons.root", "other.root", "--quick", "--seed", "3", "--json")
    assert "'jet_pdgid' has no value in common in the two samples (21 and 1)" in done.stderr
    scores = json.loads(done.stdout)["scores"]
    assert scores["auc_high"]["value"] < 0.7
    assert not any("jet_pdgid" in name for name in scores)
