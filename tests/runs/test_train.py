"""The run folder: begin, refuse, interrupt, kill, go on, sample."""

import hashlib
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import awkward as ak
import numpy as np
import pytest
import torch
from scipy.stats import ks_2samp
from toys import SCHEMA, toy_events

from hepgen.config.families import FAMILIES, Family
from hepgen.config.recipe import Recipe
from hepgen.errors import ConfigError, InputFileError, Interrupted, ModelError, UsageError
from hepgen.events.schema import schema_of
from hepgen.events.writer import create_writer
from hepgen.representations.registry import KINDS
from hepgen.runs.train import train_run
from hepgen.sampling.run import sample_events
from hepgen.surrogate.surrogate import Surrogate
from hepgen.training.loop import StageRun

TESTS = Path(__file__).parent
OFTEN = {"checkpoint_every": 1e-9}


@pytest.fixture(autouse=True)
def toys(monkeypatch: pytest.MonkeyPatch) -> None:
    """The two toy families and the toy representation under names that a recipe knows."""
    register(monkeypatch.setitem)


def register(put: Any) -> None:
    for name, path in (("coupling", "toys:Gaussian"), ("gan", "toys:Players")):
        put(FAMILIES, name, Family(name, path, FAMILIES[name].options, ""))
    for kind in ("table", "toy"):
        put(KINDS, kind, "toys:ToyRepresentation")


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("data") / "events.root"
    with create_writer(path, SCHEMA) as writer:
        writer.write(toy_events(1500))
    return path


def recipe(data: Path, *, weight: str | None = None, derived: dict[str, str] | None = None, **changes: Any) -> Recipe:
    columns = changes.pop("columns", ["*"])
    training = {"steps": 30, "batch_size": 64, "validate_every": 10, "learning_rate": 0.01}
    return Recipe.model_validate(
        {
            "name": "toy",
            "data": {"files": [str(data)], "columns": columns, "weight": weight, "derived": derived or {}},
            "representation": {"kind": "table", "conditions": ["energy"]},
            "training": {**training, **changes.pop("training", {})},
            "sampling": {"block_size": 100},
            **changes,
        }
    )


def weights(run: Path) -> str:
    return hashlib.sha256((run / "model" / "model.safetensors").read_bytes()).hexdigest()


def test_a_run_leaves_what_the_house_says(data: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    surrogate = train_run(recipe(data), run, seed=2**70, device="cpu")
    assert {path.name for path in run.iterdir()} >= {
        "config.yaml",
        "provenance.json",
        "metrics.jsonl",
        "plan.json",
        "model",
    }
    assert {path.name for path in (run / "model").iterdir()} == {
        "model.safetensors", "config.json", "representation.json", "provenance.json", "validity.json", "README.md",
    }  # fmt: skip
    provenance = json.loads((run / "provenance.json").read_text())
    assert provenance["seed"] == str(2**70)
    assert provenance["inputs"][0]["entries"] == 1500
    assert len(provenance["inputs"][0]["sha256"]) == 64
    assert provenance["training"]["steps"] == {"first": 30, "second": 30}
    assert provenance["sessions"][0]["wall_seconds"] > 0
    assert provenance["training"]["events"] + provenance["training"]["validation_events"] == 1500
    assert surrogate.model_sha256 == weights(run)
    assert "energy" in (run / "model" / "README.md").read_text()
    assert len(surrogate.conditions) == provenance["training"]["events"]


def test_an_existing_run_is_refused_resumed_or_replaced(data: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    train_run(recipe(data), run, seed=1, device="cpu", resume=True)  # begins where nothing is
    first = weights(run)
    with pytest.raises(UsageError, match="exists already"):
        train_run(recipe(data), run, device="cpu")
    train_run(recipe(data), run, device="cpu", resume=True)  # is finished
    assert weights(run) == first
    train_run(recipe(data), run, seed=2, device="cpu", force=True)
    assert weights(run) != first
    other = tmp_path / "precious"
    other.mkdir()
    (other / "thesis.tex").write_text("")
    with pytest.raises(UsageError, match="no run of hepgen"):
        train_run(recipe(data), other, device="cpu", force=True)
    assert (other / "thesis.tex").exists()


@pytest.mark.parametrize("family", ["coupling", "gan"])
def test_an_interrupted_run_goes_on_to_the_same_bits(
    data: Path, tmp_path: Path, family: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    train_run(recipe(data, generator=family), whole, seed=3, device="cpu")
    with pytest.raises(Interrupted) as caught:
        train_run(recipe(data, generator=family), cut, seed=3, device="cpu", max_time=0)
    assert caught.value.exit_code == 85
    assert not (cut / "model").exists()
    save = StageRun._save

    def stop_in_second(self: StageRun, *, done: bool) -> None:
        save(self, done=done)
        if self._name == "second" and self._trainer.step == 13:
            os.kill(os.getpid(), signal.SIGUSR1)

    monkeypatch.setattr(StageRun, "_save", stop_in_second)
    with pytest.raises(Interrupted, match="SIGUSR1"):
        train_run(recipe(data, generator=family, training=OFTEN), cut, device="cpu", resume=True)
    monkeypatch.setattr(StageRun, "_save", save)
    messages: list[str] = []
    surrogate = Surrogate.load(cut, message=messages.append)
    assert "not finished" in messages[0]
    assert set(surrogate.generators) == {"first", "second"}
    train_run(recipe(data, generator=family), cut, device="cpu", resume=True)
    assert weights(whole) == weights(cut)
    assert len(json.loads((cut / "provenance.json").read_text())["sessions"]) == 3


def test_a_stage_that_has_not_begun_cannot_be_sampled(data: Path, tmp_path: Path) -> None:
    with pytest.raises(Interrupted):
        train_run(recipe(data), tmp_path / "run", seed=3, device="cpu", max_time=0)
    with pytest.raises(ModelError, match="stage 'second' has not come"):
        Surrogate.load(tmp_path / "run")


DRIVER = """
import sys
from pathlib import Path
sys.path.insert(0, {tests!r})
import test_train
from hepgen.runs.train import train_run
from hepgen.sampling.run import sample_events
test_train.register(lambda holder, key, value: holder.__setitem__(key, value))
often = {{"checkpoint_every": 1e-9, "steps": 12}}
recipe = test_train.recipe(Path(sys.argv[1]), generator=sys.argv[3], training=often)
train_run(recipe, sys.argv[2], seed=3, device="cpu", resume=True)
"""


@pytest.mark.parametrize("family", ["coupling", "gan"])
def test_a_killed_run_goes_on_to_the_same_bits(data: Path, tmp_path: Path, family: str) -> None:
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    driver = tmp_path / "driver.py"
    driver.write_text(DRIVER.format(tests=str(TESTS)))
    command = [sys.executable, str(driver), str(data), str(killed), family]
    environment = {**os.environ, "PYTHONPATH": str(TESTS.parent)}
    with subprocess.Popen(command, env=environment) as process:
        deadline = time.monotonic() + 120
        while time.monotonic() < deadline and process.poll() is None:
            if any(killed.glob("checkpoints/second-step-00000[3-9]")):
                process.kill()
                break
            time.sleep(0.002)
    assert process.returncode == -signal.SIGKILL
    assert not (killed / "model").exists()
    for run in (whole, killed):
        train_run(recipe(data, generator=family, training={"steps": 12}), run, seed=3, device="cpu", resume=True)
    assert weights(whole) == weights(killed)


def test_another_recipe_seed_or_input_does_not_go_on(data: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    with pytest.raises(Interrupted):
        train_run(recipe(data), run, seed=3, device="cpu", max_time=0)
    with pytest.raises(ConfigError, match=r"training.batch_size = 64, not 65"):
        train_run(recipe(data, training={"batch_size": 65}), run, device="cpu", resume=True)
    with pytest.raises(ConfigError, match="seed 3, not 4"):
        train_run(recipe(data), run, seed=4, device="cpu", resume=True)
    other = tmp_path / "other.root"
    with create_writer(other, SCHEMA) as writer:
        writer.write(toy_events(1500, seed=1))
    with pytest.raises(InputFileError, match="not the file"):
        train_run(recipe(other), run, device="cpu", resume=True)


def test_a_missing_seed_is_drawn_printed_and_stored(data: Path, tmp_path: Path) -> None:
    messages: list[str] = []

    class Ear:
        def update(self, stage: str, step: int, steps: int, loss: float, rate: float) -> None:
            assert rate > 0

        def message(self, text: str) -> None:
            messages.append(text)

    train_run(recipe(data, training={"steps": 2}), tmp_path / "run", device="cpu", progress=Ear())
    seed = json.loads((tmp_path / "run" / "provenance.json").read_text())["seed"]
    assert f"seed {seed}" in messages


def test_the_budget_is_divided_among_the_stages(data: Path, tmp_path: Path) -> None:
    changed = recipe(data, stages={"first": {"share": 0.25}})
    train_run(changed, tmp_path / "run", seed=1, device="cpu", budget=2.0)
    plan = json.loads((tmp_path / "run" / "plan.json").read_text())
    assert plan["stages"]["first"]["budget"] == pytest.approx(0.5)
    assert 1.0 < plan["stages"]["second"]["budget"] < 1.8
    assert sum(plan["spent"].values()) < 4.0


def test_the_clock_takes_no_more_passes_than_the_recipe_allows(data: Path, tmp_path: Path) -> None:
    changed = recipe(data, stages={"first": {"share": 0.5, "training": {"max_epochs": 2}}})
    train_run(changed, tmp_path / "run", seed=1, device="cpu", budget=4.0)
    plan = json.loads((tmp_path / "run" / "plan.json").read_text())
    events = json.loads((tmp_path / "run" / "provenance.json").read_text())["training"]["events"]
    assert plan["stages"]["first"]["steps"] == round(2 * events / 64)
    assert plan["stages"]["second"]["steps"] > 2 * events / 64
    # what the first leaves is there for the second
    assert plan["stages"]["second"]["budget"] > 2.0


def test_calibrated_features_have_the_law_of_the_events_after_a_short_training(data: Path, tmp_path: Path) -> None:
    events = toy_events(1500)
    condition = torch.from_numpy(ak.to_numpy(events["energy"]).astype("f4"))[:, None]
    random = torch.Generator()

    def noise(stage: int, points: int = 0) -> Any:
        return {"z": torch.randn(1500, (1, 2)[stage], generator=random)}, torch.zeros(1500, 2)

    away = {}
    for calibrate in (False, True):
        run = tmp_path / str(calibrate)
        trained = train_run(recipe(data, training={"steps": 1, "calibrate": calibrate}), run, seed=1, device="cpu")
        loaded = Surrogate.load(run)
        assert sorted(loaded.calibrations) == (["first", "second"] if calibrate else [])
        samples = []
        for surrogate in (trained, loaded):
            random.manual_seed(1)
            samples.append(surrogate.sample(condition, noise)[0])
        assert all(torch.equal(samples[0][name], samples[1][name]) for name in samples[0])
        away[calibrate] = ks_2samp(samples[0]["v"].numpy().ravel(), ak.to_numpy(events["v"]).ravel()).statistic
    assert away[True] < 0.03 < away[False]
    first = weights(tmp_path / "True")
    train_run(recipe(data, training={"steps": 1, "calibrate": True}), tmp_path / "again", seed=1, device="cpu")
    assert weights(tmp_path / "again") == first


def test_little_memory_gives_the_same_weights(data: Path, tmp_path: Path) -> None:
    for name, memory in (("much", 1 << 30), ("little", 1000)):
        train_run(recipe(data), tmp_path / name, seed=1, device="cpu", memory=memory)
    assert weights(tmp_path / "much") == weights(tmp_path / "little")
    assert not (tmp_path / "little" / "cache").exists()


def test_epochs_count_the_batches_of_a_round(data: Path, tmp_path: Path) -> None:
    changed = recipe(data, generator="gan", training={"steps": None, "epochs": 2.0})
    train_run(changed, tmp_path / "run", seed=1, device="cpu")
    plan = json.loads((tmp_path / "run" / "plan.json").read_text())
    events = json.loads((tmp_path / "run" / "provenance.json").read_text())["training"]["events"]
    assert plan["stages"]["first"]["steps"] == round(2 * events / 64 / 4)


def test_an_unknown_stage_is_refused_with_a_suggestion(data: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"no stage 'secnd'.*did you mean 'second'") as refused:
        train_run(recipe(data, stages={"secnd": {"share": 0.5}}), tmp_path / "run", seed=1, device="cpu")
    assert refused.value.exit_code == 2
    assert not (tmp_path / "run").exists()


def test_input_that_turns_out_wrong_leaves_an_older_run_as_it_was(data: Path, tmp_path: Path) -> None:
    train_run(recipe(data), tmp_path / "run", seed=1, device="cpu")
    before = weights(tmp_path / "run")
    with pytest.raises(ConfigError):  # found after the new folder was made
        train_run(recipe(data, stages={"secnd": {"share": 0.5}}), tmp_path / "run", seed=1, device="cpu", force=True)
    assert weights(tmp_path / "run") == before
    assert [path.name for path in tmp_path.iterdir()] == ["run"]


def test_a_mistake_in_the_recipe_leaves_no_folder_and_an_older_run_as_it_was(data: Path, tmp_path: Path) -> None:
    with pytest.raises(InputFileError, match="no column 'metx'"):
        train_run(recipe(data, columns=["metx"]), tmp_path / "new", seed=1, device="cpu")
    assert not (tmp_path / "new").exists()
    train_run(recipe(data), tmp_path / "old", seed=1, device="cpu")
    before = weights(tmp_path / "old")
    with pytest.raises(InputFileError, match="no column 'metx'"):
        train_run(recipe(data, columns=["metx"]), tmp_path / "old", seed=1, device="cpu", force=True)
    assert weights(tmp_path / "old") == before


def test_weights_and_derived_columns_are_kept_apart(tmp_path: Path) -> None:
    events = toy_events(600)
    events["w"] = np.where(ak.to_numpy(events["y"]) > 2, 2.0, -0.1)
    events["twice"] = 2 * events["y"]
    path = tmp_path / "weighted.root"
    with create_writer(path, schema_of(events)) as writer:
        writer.write(events)
    changed = recipe(path, weight="w", derived={"twice": "2 * y"})
    surrogate = train_run(changed, tmp_path / "run", seed=1, device="cpu")
    assert surrogate.data["weight"]["sum"] == pytest.approx(float(ak.sum(events["w"])))
    assert surrogate.schema.names == ("energy", "y", "v", "w", "twice")
    assert set(json.loads((tmp_path / "run" / "model" / "validity.json").read_text())) == {"ranges", "names", "table"}
    bad = recipe(path, weight="w", derived={"twice": "2 * w"})
    with pytest.raises(ConfigError, match="'twice' is made of 'w', which is not generated"):
        train_run(bad, tmp_path / "other", seed=1, device="cpu")


def test_unweighting_gives_derived_columns_their_law_and_is_kept_with_the_model(tmp_path: Path) -> None:
    events = toy_events(3000)
    events["product"] = events["y"] ** 2
    path = tmp_path / "events.root"
    with create_writer(path, schema_of(events)) as writer:
        writer.write(events)
    away = {}
    for unweight in (False, True):
        changed = recipe(
            path,
            derived={"product": "y * y"},
            sampling={"block_size": 500, "unweight": unweight},
            training={"steps": 1},
        )
        trained = train_run(changed, tmp_path / str(unweight), seed=1, device="cpu")
        loaded = Surrogate.load(tmp_path / str(unweight))
        assert loaded.acceptance == trained.acceptance
        assert (loaded.acceptance is not None) == unweight
        made = ak.concatenate(list(sample_events(loaded, 3000, seed=2)))
        square = ak.to_numpy(events["y"]) ** 2
        away[unweight] = ks_2samp(ak.to_numpy(made["product"]), square).statistic
    assert away[True] < 0.06
    assert away[False] > 0.1
    again = train_run(changed, tmp_path / "again", seed=1, device="cpu")
    assert again.acceptance == trained.acceptance


@pytest.mark.parametrize(
    "changes", [{"data": {"objects": "Muon"}}, {"representation": {"kind": "calorimeter", "binning": "b.xml"}}]
)
def test_only_rows_of_tables_are_unweighted(changes: dict[str, Any]) -> None:
    content = {"name": "t", "representation": {"kind": "table"}, "sampling": {"unweight": True}}
    with pytest.raises(ValueError, match=r"sampling\.unweight is for tables with one row per event"):
        Recipe.model_validate({**content, **changes})


def test_an_option_that_no_training_has_is_refused(tmp_path: Path) -> None:
    with pytest.raises(TypeError, match="bugdet"):
        train_run(None, tmp_path / "run", bugdet=3.0)  # type: ignore[arg-type, call-arg]
