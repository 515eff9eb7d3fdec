"""From background to decorrelated scores, and through files and back."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import awkward as ak
import numpy as np
import pytest
import torch
import uproot

from hepgen.config.decorrelate import DecorrelateRecipe
from hepgen.config.load import parse_recipe
from hepgen.errors import HepgenError, InputFileError, Interrupted, ModelError, UsageError
from hepgen.events.reader import open_events
from hepgen.morphing.decorrelate import DecorrelationSummary, decorrelate_to_file
from hepgen.morphing.decorrelator import DecorrelationModel
from hepgen.morphing.model import MorphModel
from hepgen.runs.decorrelate import train_decorrelation
from hepgen.surrogate.bundle import write_bundle
from hepgen.surrogate.surrogate import Surrogate

Arrays = dict[str, Any]


def _columns(size: int, seed: int = 0) -> Arrays:
    """Float32 scores that follow a mass, crowded at 1, a twentieth of them exactly 1; every fourth event is signal."""
    random = np.random.default_rng(seed)
    mass = random.gamma(4.0, 20.0, size)
    signal = random.random(size) < 0.25
    logit = 2 * random.normal(size=size) + (mass - 80) / 25 + 4 * signal
    score = (1 / (1 + np.exp(-logit))).astype(np.float32)
    score[random.random(size) < 0.05] = 1
    weight = random.choice([1.0, 1.0, 1.0, -1.0], size)
    return {"score": score, "mass": mass, "signal": signal.astype(np.int32), "w": weight}


def _write(path: Path, columns: Arrays) -> Path:
    with uproot.recreate(path) as file:
        file["events"] = columns
    return path


def _read(path: Path) -> ak.Array:
    return ak.concatenate(list(open_events(str(path)).batches()))


def _recipe(file: Path, /, **more: Any) -> DecorrelateRecipe:
    content = {
        "task": "decorrelate", "name": "test", "data": {"files": [str(file)], "cut": "signal == 0"},
        "discriminants": ["score"], "protected": ["mass"], "options": {"hidden": [16], "layers": 1},
        "training": {"steps": 250, "batch_size": 256, "learning_rate": 1e-2, "ema": 0.95, "validate_every": 50},
    }  # fmt: skip
    recipe = parse_recipe({**content, **more})
    assert isinstance(recipe, DecorrelateRecipe)
    return recipe


def _apply(model: DecorrelationModel, source: Path, out: Path, **options: Any) -> DecorrelationSummary:
    return decorrelate_to_file(model, open_events(str(source)), out, force=True, **options)


@pytest.fixture(scope="module")
def flat(tmp_path_factory: pytest.TempPathFactory) -> tuple[DecorrelationModel, Path]:
    """A model, and a folder with the events, the run, and what it makes of them."""
    folder = tmp_path_factory.mktemp("decorrelate")
    source = _write(folder / "events.root", _columns(8000))
    train_decorrelation(_recipe(source), folder / "run", seed=1)
    model = DecorrelationModel.load(folder / "run")
    _apply(model, source, folder / "flat.root")
    return model, folder


def test_the_score_no_longer_follows_the_mass_and_all_else_is_there(flat: Any) -> None:
    _, folder = flat
    before, events = _read(folder / "events.root"), _read(folder / "flat.root")
    assert events.fields == [*before.fields, "score_decorrelated", "decorrelate_outside"]
    for name in before.fields:
        assert np.array_equal(events[name], before[name])
    assert str(events.score_decorrelated.type).endswith("float64")
    background = np.asarray(events.signal) == 0
    mass, score = np.asarray(events.mass)[background], np.asarray(events.score_decorrelated)[background]
    assert np.corrcoef(np.argsort(np.argsort(events.score)), events.mass)[0, 1] > 0.4
    assert abs(np.corrcoef(score, mass)[0, 1]) < 0.06
    for rows in np.array_split(np.argsort(mass), 4):
        assert np.quantile(score[rows], [0.25, 0.5, 0.75]) == pytest.approx([0.25, 0.5, 0.75], abs=0.06)
    assert np.mean(np.asarray(events.score_decorrelated)[~background]) > 0.75  # signal stays on the right


def test_at_one_mass_no_two_scores_change_places_and_equal_ones_stay_equal(flat: Any) -> None:
    model, folder = flat
    scores = np.asarray(_read(folder / "events.root").score, dtype=np.float64)
    ends = np.array([0.0, 1e-30, 1e-7, np.nextafter(np.float32(1), np.float32(0))])
    scores = np.unique(np.concatenate([scores, ends]))
    for mass in (15.0, 80.0, 200.0, 250.0):
        given = {
            "discriminant": torch.from_numpy(scores)[:, None],
            "condition": torch.full((len(scores), 1), mass).double(),
        }
        assert (model.scores(given)[:, 0].diff()[1:] > 0).all()
        assert (model.scores(given)[:, 0].diff() >= 0).all()
    double = {"discriminant": torch.ones(2, 1).double(), "condition": torch.full((2, 1), 80.0).double()}
    assert model.scores(double).diff(dim=0).item() == 0


def test_a_bundle_that_names_no_waves_was_trained_without(flat: Any, tmp_path: Path) -> None:
    _, folder = flat
    plain = {"hidden": [8], "layers": 1, "waves": 0}
    few = {"steps": 2, "batch_size": 256}
    model = train_decorrelation(_recipe(folder / "events.root", options=plain, training=few), tmp_path / "run", seed=1)
    bundle = model.bundle()
    del bundle.config["options"]["waves"]
    write_bundle(tmp_path / "old", bundle)
    given = {"discriminant": torch.rand(50, 1).double(), "condition": torch.full((50, 1), 80.0).double()}
    assert torch.equal(DecorrelationModel.load(tmp_path / "old").scores(given), model.scores(given))


def test_an_event_does_not_depend_on_its_block(flat: Any, tmp_path: Path) -> None:
    model, folder = flat
    few = _write(tmp_path / "few.root", {name: values[:700] for name, values in _columns(8000).items()})
    model.recipe["block_size"] = 97
    try:
        _apply(model, few, tmp_path / "out.root")
    finally:
        model.recipe["block_size"] = 10_000
    whole = np.asarray(_read(folder / "flat.root").score_decorrelated)[:700]
    assert np.asarray(_read(tmp_path / "out.root").score_decorrelated) == pytest.approx(whole, abs=1e-12)


@pytest.mark.parametrize("form", ["out.root", "out.h5"])
def test_lists_and_arrays_are_copied(flat: Any, tmp_path: Path, form: str) -> None:
    model, _ = flat
    random = np.random.default_rng(0)
    lists = ak.Array([random.normal(size=k % 4).astype(np.float32) for k in range(300)])
    rich = {**_columns(300), "hits": lists, "cells": random.normal(size=(300, 2, 3))}
    summary = _apply(model, _write(tmp_path / "rich.root", rich), tmp_path / form)
    events = _read(tmp_path / form)
    assert summary.columns == ("score_decorrelated",)
    assert events.hits.to_list() == lists.to_list()
    assert np.array_equal(events.cells, rich["cells"])
    assert np.array_equal(events.w, rich["w"])


def test_masses_beyond_the_training_are_refused_left_out_or_taken_at_the_nearest(flat: Any, tmp_path: Path) -> None:
    model, folder = flat
    columns = _columns(200)
    most = model.facts["ranges"]["mass"][1]
    columns["mass"][[3, 4, 5]] = [9e4, most, np.nan]
    columns["score"][[3, 4, 6]] = [0.5, 0.5, np.nan]
    strange = _write(tmp_path / "strange.root", columns)
    with pytest.raises(InputFileError, match=r"2 of 200 events .* 'mass'"):
        _apply(model, strange, tmp_path / "no.root", policy="refuse")
    assert not (tmp_path / "no.root").exists()
    assert _apply(model, folder / "events.root", tmp_path / "yes.root", policy="refuse").outside == 0
    summary = _apply(model, strange, tmp_path / "near.root")
    events = _read(tmp_path / "near.root")
    assert (summary.outside, summary.missing) == (2, 2)
    assert np.flatnonzero(events.decorrelate_outside).tolist() == [3, 5]
    assert events.score_decorrelated[3] == pytest.approx(events.score_decorrelated[4], abs=1e-12)
    assert np.flatnonzero(np.isnan(events.score_decorrelated)).tolist() == [5, 6]
    assert _apply(model, strange, tmp_path / "none.root", policy="missing").missing == 3
    events = _read(tmp_path / "none.root")
    assert np.flatnonzero(np.isnan(events.score_decorrelated)).tolist() == [3, 5, 6]


def test_helpers_are_computed_for_scores_and_protected_columns(tmp_path: Path) -> None:
    source = _write(tmp_path / "a.root", _columns(1500))
    data = {"files": [str(source)], "weight": "w", "define": {"unused": "w", "rho": "log(mass)", "loser": "1 - score"}}
    given = {"discriminants": ["loser", "score"], "protected": ["rho"], "training": {"steps": 30, "batch_size": 256}}
    model = train_decorrelation(_recipe(source, data=data, **given), tmp_path / "run", seed=1)
    assert list(model.facts["define"]) == ["rho", "loser"]
    assert set(model.schema.names) == {"mass", "score"}
    _apply(model, source, tmp_path / "out.root")
    events = _read(tmp_path / "out.root")
    assert "rho" not in events.fields
    one, two = np.asarray(events.score_decorrelated), np.asarray(events.loser_decorrelated)
    assert np.corrcoef(one, two)[0, 1] < -0.9


def test_a_stopped_training_goes_on_to_the_same_weights(tmp_path: Path) -> None:
    source = _write(tmp_path / "a.root", _columns(1500))
    recipe = _recipe(source, training={"steps": 40, "batch_size": 128})
    whole = train_decorrelation(recipe, tmp_path / "whole", seed=1)
    with pytest.raises(Interrupted):
        train_decorrelation(recipe, tmp_path / "parts", seed=1, max_time=0.0)
    parts = train_decorrelation(recipe, tmp_path / "parts", resume=True)
    assert parts.model_sha256 == whole.model_sha256
    provenance = json.loads((tmp_path / "parts" / "provenance.json").read_text())
    assert len(provenance["sessions"]) == 2
    assert provenance["training"]["steps"] == {"scores": 40}


def _with(**changed: Callable[[Arrays], Any]) -> Callable[[Arrays], Arrays]:
    return lambda columns: {**columns, **{name: change(columns) for name, change in changed.items()}}


def _some_nan(columns: Arrays) -> Any:
    return np.where(np.arange(len(columns["score"])) % 100 == 0, np.nan, columns["score"])


WRONG: list[tuple[str, Callable[[Arrays], Arrays], dict[str, Any], str]] = [
    ("no score", lambda c: {n: v for n, v in c.items() if n != "score"}, {}, "no column 'score'"),
    ("no mass", lambda c: c, {"protected": ["mas"]}, "no column 'mas'.*mass"),
    ("scores that are no numbers", _with(score=_some_nan), {}, r"\d+ of \d+ values of 'score' are not finite"),
    ("one score", _with(score=lambda c: np.ones(len(c["mass"]))), {}, "all values are the same .*'score'"),
    ("one mass", _with(mass=lambda c: np.ones(len(c["mass"]))), {}, "all values are the same .*'mass'"),
    ("weights of zero", _with(w=lambda c: np.zeros(len(c["mass"]))), {"weight": "w"}, "weights are zero"),
    ("negative weights", _with(w=lambda c: -np.ones(len(c["mass"]))), {"weight": "w"}, "positive"),
    ("lists", _with(score=lambda c: np.stack([c["score"]] * 2, axis=1)), {}, "'score' is not one number an event"),
    ("too few", lambda c: {n: v[:100] for n, v in c.items()}, {}, r"there are \d+ training events"),
]  # fmt: skip


@pytest.mark.parametrize(("label", "change", "more", "message"), WRONG, ids=[one[0] for one in WRONG])
def test_what_cannot_be_decorrelated_is_refused(
    label: str, change: Callable[[Arrays], Arrays], more: dict[str, Any], message: str, tmp_path: Path
) -> None:
    del label
    source = _write(tmp_path / "a.root", change(_columns(600)))
    given = dict(more)
    data = {"files": [str(source)], "cut": "signal == 0", "weight": given.pop("weight", None)}
    with pytest.raises(InputFileError, match=message):
        train_decorrelation(_recipe(source, data=data, **given), tmp_path / "run", seed=1)
    assert not (tmp_path / "run").exists()


def test_a_file_without_what_the_model_needs_is_refused(flat: Any, tmp_path: Path) -> None:
    model, folder = flat
    lacking = _write(tmp_path / "a.root", {name: v for name, v in _columns(50).items() if name != "mass"})
    with pytest.raises(InputFileError, match="no column 'mass'"):
        _apply(model, lacking, tmp_path / "out.root")
    with pytest.raises(UsageError, match="has a column 'score_decorrelated' already"):
        _apply(model, folder / "flat.root", tmp_path / "out.root")
    assert not (tmp_path / "out.root").exists()


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({"protected": []}, r"'protected' is \[\].*such as protected: \[m_jj\]"),
        ({"discriminants": ["mass"]}, "'mass' is both"),
        ({"protected": ["mass", "mass"]}, "'mass' is named twice"),
        ({"data": {"files": []}}, "names no files"),
    ],
)
def test_recipes_that_say_nothing_are_refused(more: dict[str, Any], message: str, tmp_path: Path) -> None:
    with pytest.raises(HepgenError, match=message):
        train_decorrelation(_recipe(tmp_path / "a.root", **more), tmp_path / "run", seed=1)


def test_models_of_other_tasks_are_not_taken_for_this_one(flat: Any) -> None:
    _, folder = flat
    with pytest.raises(ModelError, match="task 'decorrelate': it generates no events"):
        Surrogate.load(folder / "run")
    with pytest.raises(ModelError, match=r"task 'decorrelate', not 'morph'.*hepgen decorrelate"):
        MorphModel.load(folder / "run")
    with pytest.raises(ModelError, match=r"task 'generate', not 'decorrelate'.*hepgen sample"):
        DecorrelationModel.load(Path(__file__).parents[2] / "models" / "ttbar")
