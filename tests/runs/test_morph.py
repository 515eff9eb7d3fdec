"""From two samples to a map between them, and through files and back."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import awkward as ak
import numpy as np
import pytest
import torch
import uproot
from scipy.stats import ks_2samp

from hepgen.config.load import parse_recipe
from hepgen.config.methods import METHODS
from hepgen.config.morph import MorphRecipe
from hepgen.errors import ConfigError, HepgenError, InputFileError, ModelError, UsageError
from hepgen.events.reader import open_events
from hepgen.events.schema import schema_of
from hepgen.events.source import as_numbered
from hepgen.events.writer import create_writer
from hepgen.morphing.apply import morph_to_file
from hepgen.morphing.closure import closure_of
from hepgen.morphing.model import MorphModel
from hepgen.morphing.summary import MorphSummary
from hepgen.morphing.wanted import DrawnFromFile, SetConditions
from hepgen.runs.morph import train_morph
from hepgen.runs.sides import open_sides
from hepgen.sampling.conditions import parse_law
from hepgen.surrogate.surrogate import Surrogate
from hepgen.training.progress import Silent

DATA = Path(__file__).parents[1] / "data"
QCD, HARD = DATA / "dijets_qcd.root", DATA / "dijets_qcd_hard.root"
FEATURES = ["m_j1", "delta_m", "tau21_1", "tau21_2", "delta_R"]
Arrays = dict[str, Any]


def _recipe(source: Path, target: Path, /, **more: Any) -> MorphRecipe:
    content = {
        "task": "morph", "name": "test", "source": {"files": [str(source)]}, "target": {"files": [str(target)]},
        "representation": {"kind": "table"}, "method": "quantile", "training": {"steps": 20, "batch_size": 128},
    }  # fmt: skip
    recipe = parse_recipe({**content, **more})
    assert isinstance(recipe, MorphRecipe)
    return recipe


def _train(folder: Path, source: Path, target: Path, /, **more: Any) -> MorphModel:
    return train_morph(_recipe(source, target, **more), folder, seed=3)


def _apply(model: MorphModel, source: Path, out: Path, **options: Any) -> MorphSummary:
    return morph_to_file(model, open_events(str(source)), out, seed=7, force=True, **options)


def _read(path: Path) -> ak.Array:
    with uproot.open(path) as file:
        return file["events"].arrays()


def _write(path: Path, columns: Arrays) -> Path:
    with uproot.recreate(path) as file:
        file["events"] = columns
    return path


def _columns(path: Path, size: int | None = None) -> Arrays:
    events = _read(path)[:size]
    return {name: np.asarray(events[name]) for name in events.fields}


@pytest.fixture(scope="module")
def moved(tmp_path_factory: pytest.TempPathFactory) -> tuple[MorphModel, Path, ak.Array]:
    """A quantile morph of six columns, and what it makes of the source."""
    folder = tmp_path_factory.mktemp("morph")
    model = _train(folder / "run", QCD, HARD, columns=["m_jj", *FEATURES])
    _apply(MorphModel.load(folder / "run"), QCD, folder / "moved.root")
    return model, folder, _read(folder / "moved.root")


def test_the_source_looks_like_the_target_and_keeps_what_is_not_moved(moved: Any) -> None:
    _, _, events = moved
    before, target = _read(QCD), _read(HARD)
    for name in FEATURES:
        assert ks_2samp(events[name], target[name]).pvalue > 0.05
        assert events[name].type == before[name].type
        assert not np.array_equal(events[name], before[name])
    for name in ("j1_pt", "j2_eta"):
        assert np.array_equal(events[name], before[name])
    assert set(events.fields) == {*before.fields, "morph_distance", "morph_outside"}
    assert float(ak.mean(events.morph_distance)) > 0.05
    assert not ak.any(events.morph_outside)


def test_an_event_does_not_depend_on_how_many_there_are(moved: Any, tmp_path: Path) -> None:
    model, _, events = moved
    few = _write(tmp_path / "few.root", _columns(QCD, 700))
    _apply(model, few, tmp_path / "out.root")
    for name in FEATURES:
        assert np.array_equal(_read(tmp_path / "out.root")[name], events[name][:700])


@pytest.mark.parametrize("method", ["flows_for_flows", "classifier"])
def test_blocks_side_by_side_make_the_same_file(tmp_path: Path, method: str) -> None:
    flow = {"layers": 2, "hidden": [8]}
    small = {"classifier": {"hidden": [8]}, "flows_for_flows": {"base": flow, "top": flow, "identity": False}}
    model = _train(
        tmp_path / "run", QCD, HARD, columns=FEATURES, method=method, options={method: small[method]}, block_size=190
    )
    before = torch.get_num_threads()
    try:
        one, two = (_apply(model, QCD, tmp_path / f"{n}.root", threads=n, old_values=model.moves) for n in (1, 2))
    finally:
        torch.set_num_threads(before)
    first, second = (_read(tmp_path / f"{n}.root") for n in (1, 2))
    assert len(first) > 10 * 190
    assert first.fields == second.fields
    for name in first.fields:
        assert np.asarray(first[name]).tobytes() == np.asarray(second[name]).tobytes()
    for sums in ("events", "outside", "unmoved", "distance", "effective"):
        assert getattr(one, sums) == pytest.approx(getattr(two, sums), rel=0, abs=0, nan_ok=True)


def test_the_inverse_leads_back(moved: Any, tmp_path: Path) -> None:
    model, folder, _ = moved
    there = _columns(folder / "moved.root")
    plain = _write(tmp_path / "there.root", {n: v for n, v in there.items() if not n.startswith("morph")})
    _apply(model, plain, tmp_path / "back.root", inverse=True, policy="morph")
    back, before = _read(tmp_path / "back.root"), _read(QCD)
    for name in FEATURES:
        width = np.std(before[name])
        assert np.quantile(np.abs(back[name] - before[name]) / width, 0.99) < 1e-3


@pytest.mark.parametrize("form", ["moved.root", "moved.h5"])
def test_lists_arrays_weights_and_order_are_copied(moved: Any, tmp_path: Path, form: str) -> None:
    model, _, _ = moved
    columns = _columns(QCD, 300)
    random = np.random.default_rng(0)
    lists = ak.Array([random.normal(size=k % 4).astype(np.float32) for k in range(300)])
    rich = {**columns, "hits": lists, "cells": random.normal(size=(300, 2, 3)), "weight": random.normal(size=300)}
    _apply(model, _write(tmp_path / "rich.root", rich), tmp_path / form, old_values=True)
    source = open_events(str(tmp_path / form))
    events = ak.concatenate(list(source.batches()))
    assert events.hits.to_list() == lists.to_list()
    assert np.array_equal(events.cells, rich["cells"])
    assert np.array_equal(events.weight, rich["weight"])
    assert np.array_equal(events.m_j1_before, columns["m_j1"])
    assert "j1_pt_before" not in source.schema


def test_whole_numbers_and_angles_stay_what_they_are(tmp_path: Path) -> None:
    random = np.random.default_rng(1)
    size = 4000

    def sample(rate: float, shift: float) -> Arrays:
        phi = (random.vonmises(shift, 2.0, size) + 0.0).astype(np.float32)
        return {"n": random.poisson(rate, size).astype(np.int32), "phi": phi, "x": random.normal(shift, 1.0, size)}

    source = _write(tmp_path / "a.root", sample(3.0, 0.0))
    target = _write(tmp_path / "b.root", sample(5.0, 0.5))
    columns = {"phi": {"kind": "cyclic", "period": 2 * np.pi}}
    model = _train(tmp_path / "run", source, target, representation={"kind": "table", "columns": columns})
    _apply(model, source, tmp_path / "c.root")
    events, true = _read(tmp_path / "c.root"), _read(target)
    assert str(events.n.type).endswith("int32")
    assert set(np.unique(events.n)) <= set(range(20))
    assert float(np.mean(events.n)) == pytest.approx(float(np.mean(true.n)), abs=0.15)
    assert float(np.max(np.abs(events.phi))) <= np.pi + 1e-5
    assert ks_2samp(events.phi, true.phi).pvalue > 0.01


def test_events_beyond_the_training_are_refused_kept_or_morphed_and_always_flagged(moved: Any, tmp_path: Path) -> None:
    model, _, _ = moved
    columns = _columns(QCD, 200)
    columns["m_j1"][7] = 9e4
    strange = _write(tmp_path / "strange.root", columns)
    with pytest.raises(InputFileError, match=r"1 of 200 events .* 'm_j1'"):
        _apply(model, strange, tmp_path / "no.root", policy="refuse")
    assert not (tmp_path / "no.root").exists()
    kept = _apply(model, strange, tmp_path / "kept.root", policy="keep")
    events = _read(tmp_path / "kept.root")
    assert (kept.outside, kept.unmoved) == (1, 1)
    assert np.flatnonzero(events.morph_outside).tolist() == [7]
    assert events.m_j1[7] == columns["m_j1"][7]
    assert events.morph_distance[7] == 0
    _apply(model, strange, tmp_path / "all.root", policy="morph")
    events = _read(tmp_path / "all.root")
    assert events.m_j1[7] < 1e4  # no value leaves the range that was seen
    assert np.flatnonzero(events.morph_outside).tolist() == [7]


def test_missing_values_are_outside_of_a_training_that_had_none(moved: Any, tmp_path: Path) -> None:
    model, _, _ = moved
    columns = _columns(QCD, 200)
    columns["m_j1"][:5] = np.nan
    strange = _write(tmp_path / "strange.root", columns)
    with pytest.raises(InputFileError, match=r"5 of 200 events .* 'm_j1'"):
        _apply(model, strange, tmp_path / "no.root", policy="refuse")
    kept = _apply(model, strange, tmp_path / "kept.root", policy="keep")
    assert (kept.outside, kept.unmoved) == (5, 5)
    assert np.flatnonzero(_read(tmp_path / "kept.root").morph_outside).tolist() == [0, 1, 2, 3, 4]
    made = _apply(model, strange, tmp_path / "made.root", policy="morph")
    assert (made.outside, made.unmoved) == (5, 5)  # no method moves what is not there
    columns["m_j1"][:5] = np.inf
    made = _apply(model, _write(tmp_path / "infinite.root", columns), tmp_path / "made.root", policy="morph")
    assert (made.outside, made.unmoved) == (5, 5)


def test_a_weight_that_is_not_finite_is_refused_when_a_model_of_weights_is_applied(tmp_path: Path) -> None:
    columns = _columns(QCD)
    columns["w"] = np.ones(len(columns["m_jj"]))
    source = _write(tmp_path / "a.root", columns)
    given = {"source": {"files": [str(source)], "weight": "w"}, "options": {"boosted": {"trees": 5}}}
    model = _train(tmp_path / "run", source, HARD, columns=FEATURES, method="boosted", **given)
    columns["w"][70] = np.nan
    with pytest.raises(InputFileError, match=r"not finite \(column 'w', entry 70 of "):
        _apply(model, _write(tmp_path / "b.root", columns), tmp_path / "c.root")
    assert not (tmp_path / "c.root").exists()


def test_events_that_the_cut_leaves_out_are_copied(tmp_path: Path) -> None:
    cut = {"source": {"files": [str(QCD)], "cut": "m_jj > heavy", "define": {"heavy": "2700 + 0 * m_jj"}}}
    model = _train(tmp_path / "run", QCD, HARD, columns=FEATURES, **cut)
    summary = _apply(model, QCD, tmp_path / "out.root")
    events, before = _read(tmp_path / "out.root"), _read(QCD)
    light = np.asarray(before.m_jj) <= 2700
    assert summary.outside == light.sum() > 0
    assert np.array_equal(events.m_j1[light], before.m_j1[light])
    assert np.mean(np.asarray(events.m_j1 != before.m_j1)[~light]) > 0.99


def test_events_can_be_given_other_conditions(tmp_path: Path) -> None:
    random = np.random.default_rng(2)

    def sample(scale: float, size: int = 6000) -> Arrays:
        mass = random.uniform(1.0, 2.0, size)
        return {"m": mass, "x": random.normal(scale * mass, 0.4)}

    source, target = _write(tmp_path / "a.root", sample(2.0)), _write(tmp_path / "b.root", sample(3.0))
    given = {"representation": {"kind": "table", "conditions": ["m"]}, "options": {"quantile": {"bins": 20}}}
    model = _train(tmp_path / "run", source, target, columns=["x"], **given)
    _apply(model, source, tmp_path / "own.root")
    own = _read(tmp_path / "own.root")
    assert np.array_equal(own.m, _read(source).m)
    assert float(np.mean(own.x - 3 * own.m)) == pytest.approx(0, abs=0.05)
    wanted = SetConditions([parse_law("m=1.5")], model)
    _apply(model, source, tmp_path / "set.root", wanted=wanted, old_values=True)
    there = _read(tmp_path / "set.root")
    assert set(np.unique(there.m)) == {1.5}
    assert float(np.mean(there.x)) == pytest.approx(4.5, abs=0.05)
    assert np.array_equal(there.m_before, own.m)
    heavy = _write(tmp_path / "heavy.root", {"m": random.uniform(1.9, 1.99, 50)})
    _apply(model, source, tmp_path / "from.root", wanted=DrawnFromFile(open_events(str(heavy)), model))
    assert float(np.mean(_read(tmp_path / "from.root").x)) == pytest.approx(3 * 1.945, abs=0.1)
    with pytest.raises(HepgenError, match=r"outside the range of the training, 1\S* to 1.99"):
        SetConditions([parse_law("m=2.5")], model)
    with pytest.raises(UsageError, match="no condition"):
        SetConditions([parse_law("x=2.5")], model)
    with pytest.raises(UsageError, match="'m' is set twice"):
        SetConditions([parse_law("m=1.5"), parse_law("m=1.6")], model)
    missing = _write(tmp_path / "missing.root", {"m": np.array([1.5, np.nan, 1.6])})
    with pytest.raises(InputFileError, match=r"'m' is not finite \(entry 1 of .*missing.root"):
        DrawnFromFile(open_events(str(missing)), model)
    far = _write(tmp_path / "far.root", {"m": np.array([1.5, 500.0])})
    with pytest.raises(HepgenError, match=r"m = 500 is outside .*--to-condition-from, .*far.root"):
        DrawnFromFile(open_events(str(far)), model)


def test_weights_of_the_target_count(tmp_path: Path) -> None:
    random = np.random.default_rng(3)
    source = _write(tmp_path / "a.root", {"x": random.normal(0, 1, 4000)})
    values = np.concatenate([random.normal(-1, 0.5, 4000), random.normal(1, 0.5, 4000), random.normal(-1, 0.5, 4000)])
    weight = np.repeat([0.5, 1.0, -0.5], 4000)  # the negative weights take away what the first part says
    target = _write(tmp_path / "b.root", {"x": values, "w": weight})
    model = _train(tmp_path / "run", source, target, columns=["x"], target={"files": [str(target)], "weight": "w"})
    _apply(model, source, tmp_path / "c.root")
    assert float(np.mean(_read(tmp_path / "c.root").x)) == pytest.approx(1.0, abs=0.1)


def test_a_closure_test_moves_within_its_statistics(tmp_path: Path) -> None:
    model = _train(tmp_path / "run", QCD, tmp_path / "never_read.root", columns=FEATURES, closure=True)
    found = MorphModel.load(tmp_path / "run").facts["closure"]
    assert found == model.facts["closure"]
    assert found["holds"]
    assert {*FEATURES, *(f"width of {name}" for name in FEATURES)} < set(found["shifts"])
    assert len(found["shifts"]) == 2 * len(FEATURES) + len(FEATURES) * (len(FEATURES) - 1) / 2
    assert 0.5 * found["apart"] < found["distance"] < 1.5 * found["apart"] < 0.5
    assert "it moves no more than its statistics" in (tmp_path / "run" / "model" / "README.md").read_text()


def test_a_closure_test_sees_a_method_that_moves_too_much(tmp_path: Path) -> None:
    """A map that was learned between two different samples, taken for one of two halves."""
    target = _write(tmp_path / "b.root", _scaled("m_j1", 1.1)(_columns(HARD)))
    model = _train(tmp_path / "run", QCD, target, columns=FEATURES)
    found = closure_of(model, open_events(str(QCD)), open_events(str(QCD)), 1)
    assert not found.holds
    assert "MORE than its statistics" in found.words()[1]


def test_a_closure_test_sees_events_that_are_made_anew(tmp_path: Path) -> None:
    """Noise keeps every mean where it is, and moves each event by two widths."""
    more = {"columns": FEATURES, "method": "noising"}
    found = _train(tmp_path / "run", QCD, QCD, closure=True, **more).facts["closure"]
    assert found["distance"] > 10 * found["apart"] > 0
    assert not found["holds"]


def test_a_closure_test_sees_widths_and_correlations(tmp_path: Path) -> None:
    """Means stay where they are; what is told is what was done."""
    model = _train(tmp_path / "run", QCD, QCD, columns=["m_j1", "delta_m"])
    columns = _columns(QCD)
    for name, change in (
        ("width of m_j1", {"m_j1": columns["m_j1"].mean() + 1.2 * (columns["m_j1"] - columns["m_j1"].mean())}),
        ("m_j1 with delta_m", {"delta_m": np.random.default_rng(0).permutation(columns["delta_m"])}),
    ):
        target = _write(tmp_path / "b.root", {**columns, **change})
        model = _train(
            tmp_path / name.replace(" ", "_"), QCD, target, columns=["m_j1", "delta_m"], method="matching",
            training={"steps": 150, "batch_size": 512},
        )  # fmt: skip
        found = closure_of(model, open_events(str(QCD)), open_events(str(QCD)), 1)
        assert not found.holds
        assert found.worst[0] == name


def _scaled(name: str, factor: float) -> Callable[[Arrays], Arrays]:
    return lambda columns: {**columns, name: columns[name] * np.float32(factor)}


def _with_infinity(values: Any) -> Any:
    values[[3, *range(10, 40)]] = np.inf
    return values


WRONG: list[tuple[str, Callable[[Arrays], Arrays], dict[str, Any], str]] = [
    ("a column less", lambda c: {n: v for n, v in c.items() if n != "m_j1"}, {"columns": ["*"]}, "no column m_j1"),
    ("a named column less", lambda c: {n: v for n, v in c.items() if n != "m_j1"}, {}, r"no column 'm_j1' \(the target: .*b.root"),
    ("an infinite value", lambda c: {**c, "m_j1": _with_infinity(c["m_j1"])}, {}, r"\d\d infinite values in 'm_j1' \(the first: entry \d+ of .*b.root"),
    ("other units", _scaled("m_j1", 1e5), {}, r"'m_j1' has nothing in common .*in the source.*in the target"),
    ("weights of zero", lambda c: {**c, "w": np.zeros(len(c["m_jj"]))}, {"weight": "w"}, r"the weights of the target add up to 0 over \d+ training events, and all"),
    ("too few", lambda c: {n: v[:90] for n, v in c.items()}, {}, "the target has 83 training events"),
    (
        "conditions that touch", lambda c: {**c, "m_jj": c["m_jj"] + np.float32(np.ptp(_columns(QCD)["m_jj"]) - 300)},
        {"representation": {"kind": "table", "conditions": ["m_jj"]}}, r"'m_jj' has 0\.\d+ % in common",
    ),
    (
        "conditions apart", lambda c: {**c, "m_jj": c["m_jj"] + 1e4},
        {"representation": {"kind": "table", "conditions": ["m_jj"]}}, "'m_jj' has nothing in common",
    ),
]  # fmt: skip


@pytest.mark.parametrize(("label", "change", "more", "message"), WRONG, ids=[one[0] for one in WRONG])
def test_two_samples_that_do_not_go_together(
    label: str, change: Callable[[Arrays], Arrays], more: dict[str, Any], message: str, tmp_path: Path
) -> None:
    del label
    target = _write(tmp_path / "b.root", change(_columns(HARD)))
    given = {"columns": FEATURES, **more}
    if weight := given.pop("weight", None):
        given["target"] = {"files": [str(target)], "weight": weight}
    with pytest.raises(InputFileError, match=message):
        _train(tmp_path / "run", QCD, target, **given)
    assert not (tmp_path / "run").exists()


MASSES: dict[str, dict[str, Any]] = {
    "quantile": {},  # takes the weights as they are
    "optimal_transport": {"options": {"optimal_transport": {"events": 500}}},
    "matching": {"training": {"steps": 300, "batch_size": 256}, "options": {"matching": {"layers": 1, "hidden": 32}}},
    "sinkhorn": {"training": {"steps": 60, "batch_size": 256, "learning_rate": 5e-3}},
}


@pytest.mark.parametrize("method", MASSES)
def test_negative_weights_are_used_by_methods_that_move_masses_too(method: str, tmp_path: Path) -> None:
    """Two thirds of the events at -1 are taken away by the others there: what is left is at 1."""
    random = np.random.default_rng(3)
    source = _write(tmp_path / "a.root", {"x": random.normal(0, 1, 4000), "y": random.normal(size=4000)})
    values = np.concatenate([random.normal(-1, 0.4, 4000), random.normal(1, 0.4, 4000), random.normal(-1, 0.4, 4000)])
    columns = {"x": values, "y": random.normal(size=12_000), "w": np.repeat([0.5, 1.0, -0.5], 4000)}
    target = _write(tmp_path / "b.root", columns)
    said: list[str] = []

    class Listening(Silent):
        def message(self, text: str) -> None:
            said.append(text)

    given = {
        "target": {"files": [str(target)], "weight": "w"},
        "columns": ["x", "y"],
        "method": method,
        **MASSES[method],
    }
    model = train_morph(_recipe(source, target, **given), tmp_path / "run", seed=3, progress=Listening())
    noted = any("% of the events of the target have negative weights" in line for line in said)
    assert noted is (method != "quantile")
    _apply(model, source, tmp_path / "c.root")
    assert float(np.mean(_read(tmp_path / "c.root").x)) == pytest.approx(1.0, abs=0.25)


def test_jets_with_negative_weights_count_with_mean_weights(tmp_path: Path) -> None:
    said: list[str] = []

    class Listening(Silent):
        def message(self, text: str) -> None:
            said.append(text)

    events = ak.concatenate(list(open_events(str(DATA / "jets.root")).batches()))
    events["w"] = np.where(np.arange(len(events)) % 10 == 0, -1.0, 1.0)
    with create_writer(tmp_path / "b.root", schema_of(events, tree="jets")) as writer:
        writer.write(events)
    given = {"target": {"files": [str(tmp_path / "b.root")], "weight": "w"}, "method": "matching"}
    given |= {"representation": {"kind": "particle_cloud"}, "columns": ["jet_*", "part_*"]}
    given["training"] = {"steps": 2, "batch_size": 16}
    recipe = _recipe(DATA / "jets.root", tmp_path / "b.root", **given)
    model = train_morph(recipe, tmp_path / "run", seed=3, progress=Listening())
    assert any(
        "% of the events of the target have negative weights" in line and "of its lists" in line for line in said
    )
    assert _apply(model, DATA / "jets.root", tmp_path / "c.root").events == len(events)


def test_conditions_that_have_little_in_common_are_said(tmp_path: Path) -> None:
    said: list[str] = []

    class Listening(Silent):
        def message(self, text: str) -> None:
            said.append(text)

    columns = _columns(HARD)
    shift = np.float32(np.quantile(_columns(QCD)["m_jj"], 0.95) - columns["m_jj"].min())
    target = _write(tmp_path / "b.root", {**columns, "m_jj": columns["m_jj"] + shift})
    recipe = _recipe(
        QCD, target, columns=FEATURES, method="matching", representation={"kind": "table", "conditions": ["m_jj"]}
    )
    model = train_morph(recipe, tmp_path / "run", seed=3, progress=Listening())
    assert any("% of 'm_jj' in common" in line for line in said)
    assert model.held_out is not None


AZIMUTHS = [((-np.pi, np.pi), (0.0, 2 * np.pi)), ((-np.pi, np.pi), (0.9, 5.6)), ((-np.pi, np.pi), (-180.0, 180.0))]


@pytest.mark.parametrize(("ours", "theirs"), AZIMUTHS)
def test_azimuths_of_two_conventions_are_refused(ours: Any, theirs: Any, tmp_path: Path) -> None:
    random = np.random.default_rng(4)
    files = [
        _write(tmp_path / f"{name}.root", {"phi": random.uniform(*span, 2000), "x": random.normal(size=2000)})
        for name, span in (("a", ours), ("b", theirs))
    ]
    with pytest.raises(
        InputFileError, match=r"'phi' runs from -pi to pi in the source and from (0 to 2 pi|-180 to 180)"
    ):
        _train(tmp_path / "run", *files)
    assert not (tmp_path / "run").exists()


def test_conditions_may_lie_where_only_events_lay_that_did_not_train(tmp_path: Path) -> None:
    random = np.random.default_rng(6)
    columns = {"m": random.uniform(1.0, 2.0, 1000), "x": random.normal(size=1000)}
    source = _write(tmp_path / "a.root", columns)
    given = {"columns": ["x"], "representation": {"kind": "table", "conditions": ["m"]}}
    held = open_sides(_recipe(source, source, **given), memory=1 << 24)["source"].data.validation
    columns["m"][next(iter(as_numbered(held).numbered_batches())).entry[0]] = 2.5
    model = _train(tmp_path / "run", _write(source, columns), source, **given)
    assert model.representation.validity[0].high < 2.5
    assert SetConditions([parse_law("m=2.5")], model).names == ("m",)
    assert DrawnFromFile(open_events(str(source)), model).names == ("m",)


def test_a_whole_number_is_not_asked_for_in_fractions(tmp_path: Path) -> None:
    random = np.random.default_rng(5)
    jets = random.integers(1, 6, 2000)
    source = _write(tmp_path / "a.root", {"n": jets, "x": random.normal(jets, 0.4)})
    given = {"representation": {"kind": "table", "conditions": ["n"]}, "options": {"quantile": {"bins": 5}}}
    model = _train(tmp_path / "run", source, source, columns=["x"], **given)
    with pytest.raises(HepgenError, match=r"n = 2.5 is no whole number.*--to-condition"):
        SetConditions([parse_law("n=2.5")], model)
    other = _write(tmp_path / "b.root", {"n": np.array([1.0, 2.5])})
    with pytest.raises(HepgenError, match=r"n = 2.5 is no whole number.*b.root"):
        DrawnFromFile(open_events(str(other)), model)
    _apply(model, source, tmp_path / "c.root", wanted=SetConditions([parse_law("n=2:4")], model))
    assert set(np.unique(_read(tmp_path / "c.root").n)) == {2, 3, 4}


def test_a_column_that_counts_lists_is_not_moved(tmp_path: Path) -> None:
    jets = DATA / "jets.root"
    with pytest.raises(ConfigError, match="'npart_pt' counts the elements of 'part_pt'"):
        _train(tmp_path / "run", jets, jets, columns=["jet_pt", "npart_pt"])


def test_units_that_differ_are_refused(tmp_path: Path) -> None:
    from hepgen.events.schema import Column, Schema
    from hepgen.events.writer import create_writer

    files = []
    for name, unit in (("a", "GeV"), ("b", "MeV")):
        files.append(tmp_path / f"{name}.h5")
        with create_writer(files[-1], Schema((Column("pt", "float64", unit=unit),))) as writer:
            writer.write(ak.Array({"pt": np.random.default_rng(0).normal(size=500)}))
    with pytest.raises(InputFileError, match="'pt' is in GeV in the source and in MeV in the target"):
        _train(tmp_path / "run", *files)


def test_a_morph_and_a_surrogate_are_not_taken_for_each_other(moved: Any) -> None:
    _, folder, _ = moved
    with pytest.raises(ModelError, match="task 'morph': it generates no events"):
        Surrogate.load(folder / "run")
    with pytest.raises(ModelError, match="task 'generate'"):
        MorphModel.load(Path(__file__).parents[2] / "models" / "ttbar")


def test_showers_are_moved_by_the_same_recipe(tmp_path: Path) -> None:
    """Photons whose response is 5 % too low and smeared, moved onto the right ones."""
    import h5py

    with h5py.File(DATA / "photons.hdf5") as file:
        columns = {name: file[name][:] for name in ("incident_energies", "showers")}
    random = np.random.default_rng(0)
    factor = 0.95 * random.lognormal(0, 0.03, (len(columns["showers"]), 1))
    with h5py.File(tmp_path / "wrong.hdf5", "w") as file:
        file["incident_energies"] = columns["incident_energies"]
        file["showers"] = columns["showers"] * factor
    representation = {"kind": "calorimeter", "binning": str(DATA / "binning_photons.xml")}
    model = _train(tmp_path / "run", tmp_path / "wrong.hdf5", DATA / "photons.hdf5", representation=representation)
    _apply(model, tmp_path / "wrong.hdf5", tmp_path / "right.hdf5")
    with h5py.File(tmp_path / "right.hdf5") as file:
        made, energies = file["showers"][:], file["incident_energies"][:]
    assert np.array_equal(energies, columns["incident_energies"])
    assert made.min() >= 0
    ratio = (made.sum(1) / energies[:, 0]).mean() / (columns["showers"].sum(1) / energies[:, 0]).mean()
    assert ratio == pytest.approx(1.0, abs=0.02)


@pytest.mark.parametrize("method", METHODS)
def test_every_method_trains_stores_and_applies(method: str, tmp_path: Path) -> None:
    """The contract: what is trained is what is loaded, and every event comes back, finite, in its place."""
    few = {name: values[:600] for name, values in _columns(HARD).items()}
    target = _write(tmp_path / "b.root", few)
    source = _write(tmp_path / "a.root", _columns(QCD, 600))
    given = {"kind": "table", "conditions": ["m_jj"], "columns": {"m_jj": {"scale": "affine"}}}
    model = _train(
        tmp_path / "run", source, target, columns=FEATURES, method=method, representation=given,
        options={"quantile": {"bins": 3}, "trade": {"derivative": "0 * m_jj"}},
    )  # fmt: skip
    loaded = MorphModel.load(tmp_path / "run")
    for name, tensor in model.method.state_dict().items():
        assert np.array_equal(tensor, loaded.method.state_dict()[name])
    first = _apply(model, source, tmp_path / "one.root")
    _apply(loaded, source, tmp_path / "two.root")
    one, two, before = (_read(path) for path in (tmp_path / "one.root", tmp_path / "two.root", source))
    assert one.to_list() == two.to_list()
    assert first.events == len(one) == len(before)
    assert np.array_equal(one.m_jj, before.m_jj)
    assert np.array_equal(one.j1_phi, before.j1_phi)
    if not METHODS[method].weights:
        for name in FEATURES:
            assert np.isfinite(np.asarray(one[name])).all()
            assert one[name].type == before[name].type
    else:
        assert np.isfinite(np.asarray(one.morph_weight)).all()
        assert np.array_equal(one.m_j1, before.m_j1)


@pytest.mark.parametrize("method", ["quantile", "optimal_transport"])
def test_whole_numbers_keep_their_order(method: str, tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    columns = [
        {"n": random.poisson(mean, 3000), "k": random.poisson(mean, 3000), "x": random.normal(size=3000)}
        for mean in (3.0, 4.0)
    ]
    source, target = (_write(tmp_path / f"{name}.root", side) for name, side in zip("ab", columns, strict=True))
    model = _train(tmp_path / "run", source, target, columns=["n", "k", "x"], method=method)
    _apply(model, source, tmp_path / "c.root", old_values=True)
    moved = _columns(tmp_path / "c.root")
    for name in ("n", "k"):
        assert moved[name].mean() == pytest.approx(4.0, abs=0.15)
        assert np.corrcoef(moved[name], moved[f"{name}_before"])[0, 1] > 0.95
        assert np.abs(moved[name] - moved[f"{name}_before"]).mean() < 1.2


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (np.arange(100, 400).repeat(4), r"'n' has the type uint8, but its values run from 100 to 399 in the target"),
        (np.arange(100, 250).repeat(8) + 0.5, r"'n' has the type uint8, but one value is 100.5 in the target"),
        (np.arange(150, 250).repeat(12), ""),
    ],
)
def test_a_type_of_the_source_has_to_hold_what_the_target_has(values: Any, message: str, tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    x = random.normal(size=1200)
    source = _write(tmp_path / "a.root", {"n": random.poisson(150, 1200).clip(0, 255).astype(np.uint8), "x": x})
    target = _write(tmp_path / "b.root", {"n": values, "x": x})
    if message:
        with pytest.raises(InputFileError, match=message):
            _train(tmp_path / "run", source, target, columns=["n", "x"])
        assert not (tmp_path / "run").exists()
        return
    model = _train(tmp_path / "run", source, target, columns=["n", "x"])
    _apply(model, source, tmp_path / "c.root")
    assert _columns(tmp_path / "c.root")["n"].dtype == np.uint8
    narrow = _write(tmp_path / "d.root", {"n": np.full(1200, 127, np.int8), "x": x})
    with pytest.raises(ModelError, match="'n' has the type int8, but its values run from"):
        _apply(model, narrow, tmp_path / "e.root")
    assert not (tmp_path / "e.root").exists()


@pytest.mark.parametrize("total", ["source", "target"])
def test_weights_of_files_count_in_the_output_as_in_the_training(total: str, tmp_path: Path) -> None:
    columns = _columns(QCD)
    light, heavy = (_write(tmp_path / name, columns) for name in ("light.root", "heavy.root"))
    files = {"files": [str(light), str(heavy)], "file_weights": {"light*": 0.25, "heavy*": 1.5}}
    model = _train(
        tmp_path / "run", light, HARD, columns=FEATURES, method="boosted", options={"boosted": {"trees": 5}},
        source=files, weights={"total": total},
    )  # fmt: skip
    source = open_events([str(light), str(heavy)])
    morph_to_file(model, source, tmp_path / "c.root", seed=7)
    weight = _columns(tmp_path / "c.root")["morph_weight"]
    size = len(columns["m_jj"])
    expected = 1.75 * size if total == "source" else open_events(str(HARD)).num_events
    assert weight.sum() == pytest.approx(expected, rel=0.02)
    assert weight[:size].sum() / weight[size:].sum() == pytest.approx(0.25 / 1.5, rel=1e-6)
    summary = _apply(model, QCD, tmp_path / "d.root")
    assert any("no file weight for" in note and "events count with 1" in note for note in summary.notes)


def test_a_morphed_file_can_be_morphed_back(tmp_path: Path) -> None:
    model = _train(tmp_path / "run", QCD, HARD, columns=FEATURES)
    _apply(model, QCD, tmp_path / "there.root")
    summary = _apply(model, tmp_path / "there.root", tmp_path / "back.root", inverse=True)
    assert any("morph_distance and morph_outside are those of this morph now" in note for note in summary.notes)
    before, after = _columns(QCD), _columns(tmp_path / "back.root")
    assert list(after) == [*before, "morph_distance", "morph_outside"]
    np.testing.assert_allclose(after["m_j1"], before["m_j1"], rtol=0.02)


def test_files_of_one_name_keep_their_own_weights(tmp_path: Path) -> None:
    """A file that is named by its last part is not taken for one of a folder."""
    columns = {name: values[:600] for name, values in _columns(QCD).items()}
    (tmp_path / "second").mkdir()
    first, second = (_write(tmp_path / name, columns) for name in ("a.root", "second/a.root"))
    files = {"files": [str(first), str(second)], "file_weights": {"*second/a*": 3.0, "*": 0.5}}
    model = _train(
        tmp_path / "run",
        first,
        HARD,
        columns=FEATURES,
        method="boosted",
        options={"boosted": {"trees": 5}},
        source=files,
    )
    with contextlib.chdir(tmp_path):
        morph_to_file(model, open_events(["a.root", "second/a.root"]), tmp_path / "c.root", seed=7)
    weight = _columns(tmp_path / "c.root")["morph_weight"]
    assert weight[600:].sum() / weight[:600].sum() == pytest.approx(6.0, rel=1e-6)
