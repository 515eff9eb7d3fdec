"""Weights learned at a few values of a condition and carried beyond them, from files to files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import uproot

from hepgen.config.load import parse_recipe
from hepgen.config.morph import MorphRecipe
from hepgen.errors import ConditionRangeError, UsageError
from hepgen.events.reader import open_events
from hepgen.morphing.apply import morph_to_file
from hepgen.morphing.model import MorphModel
from hepgen.morphing.summary import MorphSummary
from hepgen.morphing.wanted import SetConditions
from hepgen.runs.morph import train_morph
from hepgen.sampling.conditions import parse_law

SLOPE = 0.3
Arrays = dict[str, Any]


def _write(path: Path, columns: Arrays) -> Path:
    with uproot.recreate(path) as file:
        file["events"] = columns
    return path


def _train(folder: Path, source: Arrays, target: Arrays, **more: Any) -> MorphModel:
    sides = {
        name: {"files": [str(_write(folder / f"{name}.root", columns))]}
        for name, columns in (("source", source), ("target", target))
    }
    training = {"steps": 300, "batch_size": 512, "learning_rate": 3e-3}
    content = {"task": "morph", "name": "test", "columns": ["x"], "method": "classifier", "training": training}
    recipe = parse_recipe({**content, **sides, **more})
    assert isinstance(recipe, MorphRecipe)
    train_morph(recipe, folder / "run", seed=1)
    return MorphModel.load(folder / "run")


def _apply(model: MorphModel, folder: Path, columns: Arrays, **options: Any) -> tuple[MorphSummary, Arrays]:
    given = open_events(str(_write(folder / "given.root", columns)))
    summary = morph_to_file(model, given, folder / "out.root", seed=7, force=True, **options)
    with uproot.open(folder / "out.root") as file:
        return summary, file["events"].arrays(library="np")


def _jets(events: int, seed: int, *, data: bool) -> Arrays:
    """Simulation, x standard normal at any multiplicity; in data x moves by SLOPE with each jet beyond three."""
    random = np.random.default_rng(seed)
    jets = random.choice(np.array([4, 5, 6, 7], dtype=np.int32), events, p=[0.4, 0.3, 0.15, 0.15])
    return {"x": random.normal(size=events) + SLOPE * (jets - 3) * data, "n_jets": jets}


@pytest.mark.parametrize(("scale", "goes_on"), [("affine", True), ("normal", False)])
def test_weights_of_four_and_five_jets_go_on_to_more_where_the_condition_is_affine(
    scale: str, goes_on: bool, tmp_path: Path
) -> None:
    few = [{name: values[side["n_jets"] <= 5] for name, values in side.items()} for side in (
        _jets(20_000, 0, data=False), _jets(20_000, 1, data=True),
    )]  # fmt: skip
    model = _train(
        tmp_path, *few,
        representation={"kind": "table", "conditions": ["n_jets"], "columns": {"n_jets": {"scale": scale}}},
        options={"classifier": {"hidden": [32, 32], "linear": True, "ratio": "conditional"}}, weights={"quantile": None},
    )  # fmt: skip
    more = _jets(10_000, 2, data=False)
    summary, events = _apply(model, tmp_path, more, policy="morph")
    beyond = more["n_jets"] > 5
    assert events["morph_outside"][beyond].all()
    assert events["morph_outside"][~beyond].mean() < 1e-3  # rare values of x
    assert summary.outside == events["morph_outside"].sum()
    means = {}
    for jets in (4, 5, 6, 7):
        chosen = events["n_jets"] == jets
        means[jets] = np.average(events["x"][chosen], weights=events["morph_weight"][chosen])
    shifts = {jets: SLOPE * (jets - 3 if goes_on else min(jets - 3, 2)) for jets in means}
    assert means == pytest.approx(shifts, abs=0.12)
    kept = _apply(model, tmp_path, more)[1]
    assert set(kept["morph_weight"][beyond]) == {1.0}


def test_one_simulation_is_weighted_to_any_parameter(tmp_path: Path) -> None:
    """DCTR: a source at theta = 0, a target at all of them; theta beyond the training is asked for at one's own risk."""
    random = np.random.default_rng(3)
    theta = random.uniform(-1, 1, 15_000)
    target = {"x": random.normal(size=len(theta)) + 0.4 * theta, "theta": theta}
    source = {"x": random.normal(size=len(theta)), "theta": np.zeros(len(theta))}
    representation = {"kind": "table", "conditions": ["theta"], "columns": {"theta": {"scale": "affine"}}}
    model = _train(
        tmp_path, source, target, representation=representation, weights={"quantile": None},
        options={"classifier": {"hidden": [32, 32], "linear": True, "ratio": "parametrised"}},
    )  # fmt: skip
    wanted = {value: SetConditions([parse_law(f"theta={value}")], model) for value in (-0.75, 0.0, 0.75)}
    with pytest.raises(ConditionRangeError, match=r"theta = 1\.5 is outside the range of the training"):
        SetConditions([parse_law("theta=1.5")], model)
    wanted[1.5] = SetConditions([parse_law("theta=1.5")], model, extrapolate=True)
    for value, asked in wanted.items():
        summary, events = _apply(model, tmp_path, source, wanted=asked, policy="morph", old_values=True)
        assert np.average(events["x"], weights=events["morph_weight"]) == pytest.approx(0.4 * value, abs=0.06)
        assert np.array_equal(events["x"], source["x"])
        assert set(events["theta"]) == {value}
        assert set(events["theta_before"]) == {0.0}
        assert summary.outside == (len(theta) if value > 1 else 0)
        # A line in theta holds no theta^2: beyond the training the shape goes on, the sum of the weights does not.
        assert events["morph_weight"].mean() == pytest.approx(1, abs=0.3 if value > 1 else 0.1)
    with pytest.raises(UsageError, match="no inverse"):
        _apply(model, tmp_path, source, inverse=True)


def test_weights_at_the_condition_of_an_event_know_no_other_one(tmp_path: Path) -> None:
    model = _train(
        tmp_path, _jets(2000, 0, data=False), _jets(2000, 1, data=True),
        representation={"kind": "table", "conditions": ["n_jets"]}, training={"steps": 5},
    )  # fmt: skip
    with pytest.raises(UsageError, match=r"at the condition that they have.*ratio: parametrised"):
        _apply(model, tmp_path, _jets(100, 2, data=False), wanted=SetConditions([parse_law("n_jets=5")], model))
