from __future__ import annotations

import json
import math
from typing import Any

import awkward as ak
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tables import MemorySource, source_of, ttbar_source

from hepgen.errors import ConfigError, InputFileError, ModelError
from hepgen.events.schema import Column, Schema
from hepgen.representations.base import Representation
from hepgen.representations.table import TableRepresentation


def fitted(source: MemorySource, **options: Any) -> TableRepresentation:
    table = TableRepresentation.build({"kind": "table", **options}, source.schema)
    table.fit(source)
    return table


def features(table: TableRepresentation, events: ak.Array, seed: int = 1) -> dict[str, torch.Tensor]:
    """Latent values of every stage."""
    random = torch.Generator().manual_seed(seed)
    cached = table.encode(table.pack(events))
    return {
        stage.name: table.features(stage.name, cached, torch.rand(len(events), stage.noise, generator=random))[0]
        for stage in table.stages
    }


def decoded(table: TableRepresentation, condition: torch.Tensor, x: dict[str, torch.Tensor]) -> ak.Array:
    tensors = table.start(condition)
    for stage in table.stages:
        tensors = table.decode(stage.name, x[stage.name], tensors, torch.empty(len(condition), 0))
    return table.unpack(tensors)


def there_and_back(table: TableRepresentation, events: ak.Array, seed: int = 1) -> ak.Array:
    condition = table.pack(events)["condition"]
    x = features(table, events, seed)
    tensors = table.start(condition)
    for stage in table.stages:
        assert torch.isfinite(x[stage.name]).all()
        assert x[stage.name].shape == (len(events), stage.features)
        given = table.features(stage.name, table.encode(table.pack(events)), torch.zeros(len(events), stage.noise))[1]
        assert given.shape == (len(events), stage.conditions)
        assert torch.equal(table.stage_condition(stage.name, tensors), given)
        tensors = table.decode(stage.name, x[stage.name], tensors, torch.empty(len(events), 0))
    return decoded(table, condition, x)


def from_noise(table: TableRepresentation, events: int = 2000, spread: float = 1.0) -> ak.Array:
    random = torch.Generator().manual_seed(3)
    z = {stage.name: spread * torch.randn(events, stage.features, generator=random) for stage in table.stages}
    return decoded(table, torch.zeros(events, len(table.condition_names), dtype=torch.float64), z)


def assert_same(first: ak.Array, second: ak.Array, angles: tuple[str, ...] = ()) -> None:
    assert first.fields == second.fields
    for name in first.fields:
        one, two = ak.to_numpy(first[name]), ak.to_numpy(second[name])
        assert one.dtype == two.dtype
        if one.dtype.kind in "biu":
            np.testing.assert_array_equal(two, one)
        elif name in angles:
            turn = 2 * math.pi
            away = np.mod(two.astype(np.float64) - one + math.pi, turn) - math.pi
            assert np.abs(away).max() < 1e-5
        else:
            present = one[np.isfinite(one)]
            scale = np.ptp(np.quantile(present, [0.1, 0.9])) if len(present) else 0.0
            np.testing.assert_allclose(two, one, rtol=1e-5, atol=1e-6 * scale)


@pytest.fixture(scope="module")
def ttbar() -> MemorySource:
    return ttbar_source()


@pytest.fixture(scope="module")
def ttbar_table(ttbar: MemorySource) -> TableRepresentation:
    return fitted(ttbar)


def test_it_is_a_representation(ttbar_table: TableRepresentation) -> None:
    assert isinstance(ttbar_table, Representation)


def test_ttbar_events_come_back(ttbar: MemorySource, ttbar_table: TableRepresentation) -> None:
    angles = tuple(name for name in ttbar.schema.names if name.endswith("phi"))
    assert_same(ttbar.events, there_and_back(ttbar_table, ttbar.events), angles)


def test_latent_columns_of_ttbar_are_standard_normal(ttbar: MemorySource, ttbar_table: TableRepresentation) -> None:
    for x in features(ttbar_table, ttbar.events).values():
        assert x.dtype == torch.float32
        assert x.mean(0).abs().max() < 0.1
        assert (x.std(0) - 1).abs().max() < 0.1


def test_kinds_and_relations_of_ttbar_are_found(ttbar_table: TableRepresentation) -> None:
    facts = ttbar_table.columns
    assert {fact.name for fact in facts if fact.kind == "cyclic"} == {
        "lepton_phi", "met_phi", "jet1_phi", "jet2_phi", "jet3_phi", "jet4_phi",
    }  # fmt: skip
    names = [fact.name for fact in facts]
    relations = {(r.kind, names[r.child], tuple(names[i] for i in r.sources)) for r in ttbar_table.transform.relations}
    for k in (2, 3, 4):
        assert ("ordered share", f"jet{k}_pt", (f"jet{k - 1}_pt",)) in relations
    assert ("whole remainder", "n_btag", ("jet1_btag", "jet2_btag", "jet3_btag", "jet4_btag")) in relations
    assert sum(kind == "cyclic difference" for kind, _, _ in relations) == 5


def test_discrete_columns_and_large_spikes_of_ttbar_come_first(ttbar_table: TableRepresentation) -> None:
    discrete, columns = ttbar_table.stages
    assert (discrete.name, columns.name) == ("discrete", "columns")
    # four b-tags, two counts, and whether the lepton and the neutrino have exactly the mass of the W; 1,500 events are
    # too few for all their combinations
    assert (discrete.features, discrete.conditions) == (7, 0)
    assert (columns.features, columns.conditions) == (24, 7)
    (mass,) = (fact for fact in ttbar_table.columns if fact.name == "m_lv")
    assert mass.absent == np.float32(80.4)


def test_a_stage_without_dimensions_is_left_out() -> None:
    rng = np.random.default_rng(2)
    flags = {"a": rng.random(1000) < 0.2, "b": rng.integers(0, 4, 1000)}
    smooth = {"x": rng.normal(size=1000)}
    for columns, names in ((flags, ["discrete"]), (smooth, ["columns"]), (flags | smooth, ["discrete", "columns"])):
        source = source_of(columns)
        table = fitted(source)
        assert [stage.name for stage in table.stages] == names
        assert_same(source.events, there_and_back(table, source.events))
    with pytest.raises(ValueError, match=r"stages \['columns'\], not 'discrete'"):
        fitted(source_of(smooth)).features("discrete", {}, torch.empty(0, 0))


def test_combinations_of_discrete_values_come_as_often_as_they_did() -> None:
    rng = np.random.default_rng(2)
    a, gone = rng.integers(0, 5, 4000), rng.random(4000) < 0.3
    kinds = {"a": a, "twice": 2 * a - 3, "x": np.where(gone, np.nan, rng.normal(size=4000)), "late": gone & (a > 2)}
    source = source_of(kinds)
    table = fitted(source)
    assert [stage.features for stage in table.stages] == [1, 1]
    assert_same(source.events, there_and_back(table, source.events))
    made = from_noise(table, 40_000)

    def combinations(events: ak.Array) -> dict[tuple[int, ...], float]:
        x = ak.to_numpy(events["x"])
        columns = [ak.to_numpy(events[name]) for name in ("a", "twice", "late")]
        rows = np.column_stack([*columns, np.isnan(x)])
        found, counts = np.unique(rows, axis=0, return_counts=True)
        return {tuple(row): count / len(rows) for row, count in zip(found.tolist(), counts, strict=True)}

    true, generated = combinations(source.events), combinations(made)
    assert generated.keys() == true.keys()
    for row, share in true.items():
        assert generated[row] == pytest.approx(share, abs=5 * math.sqrt(share / 40_000))


def test_a_combination_that_was_not_seen_is_taken_for_one_that_was() -> None:
    rng = np.random.default_rng(2)
    a = rng.integers(0, 3, 1000)
    table = fitted(source_of({"a": a, "b": a}))
    back = there_and_back(table, ak.Array({"a": np.array([0, 2, 1]), "b": np.array([2, 0, 1])}))
    assert ak.all(back["a"] == back["b"])


@pytest.mark.parametrize("options", [{"conditions": ["c"]}, {}])
def test_discrete_values_stay_apart_where_they_depend_on_a_condition_or_combine_in_too_many_ways(
    options: dict[str, Any],
) -> None:
    rng = np.random.default_rng(2)
    names = "abc" if options else "abcdefghijkl"
    source = source_of({name: rng.integers(0, 2, 1000) for name in names})
    table = fitted(source, **options)
    assert table.stages[0].features == (2 if options else 12)
    assert_same(source.events, there_and_back(table, source.events))


def test_log_abs_det_of_discrete_columns_is_their_probability() -> None:
    rng = np.random.default_rng(2)
    charge = rng.choice([-1, 1], 4000, p=[0.3, 0.7])
    table = fitted(source_of({"charge": charge, "sign": charge > 0}))
    cached = table.encode(table.pack(ak.Array({"charge": [-1, 1], "sign": [False, True]})))
    noise = torch.tensor([[0.2], [0.9]])
    x, _ = table.features("discrete", cached, noise)
    likelihood = table.log_abs_det("discrete", cached, noise) - 0.5 * (x**2 + math.log(2 * math.pi)).sum(1)
    share = np.mean(charge == -1)
    assert torch.exp(likelihood).tolist() == pytest.approx([share, 1 - share], rel=1e-5)


def test_noise_decodes_to_lawful_ttbar_events(ttbar: MemorySource, ttbar_table: TableRepresentation) -> None:
    for spread in (1.0, 50.0):
        made = from_noise(ttbar_table, spread=spread)
        for name in ttbar.schema.names:
            values, seen = ak.to_numpy(made[name]), ak.to_numpy(ttbar.events[name])
            assert np.isfinite(values).all()
            assert seen.min() <= values.min()
            assert values.max() <= seen.max()
        for k in (1, 2, 3):
            assert ak.all(made[f"jet{k}_pt"] >= made[f"jet{k + 1}_pt"])
        assert set(np.unique(made["jet1_btag"])) <= {0, 1}
    spike = np.float32(80.4)
    share = np.mean(ak.to_numpy(ttbar.events["m_lv"]) == spike)
    assert np.mean(ak.to_numpy(from_noise(ttbar_table)["m_lv"]) == spike) == pytest.approx(share, abs=0.04)


def test_state_survives_json_with_identical_outputs(ttbar: MemorySource, ttbar_table: TableRepresentation) -> None:
    again = TableRepresentation.from_state(json.loads(json.dumps(ttbar_table.state(), allow_nan=False)))
    assert again.stages == ttbar_table.stages
    assert again.state() == ttbar_table.state()
    one, two = (table.encode(table.pack(ttbar.events)) for table in (again, ttbar_table))
    assert all(torch.equal(one[name], two[name]) for name in two)
    assert ak.array_equal(from_noise(again), from_noise(ttbar_table))


def test_log_abs_det_is_the_slope_of_the_features() -> None:
    rng = np.random.default_rng(2)
    leading = 30 + rng.exponential(20, 1000)
    source = source_of({
        "pt1": leading, "pt2": 30 + (leading - 30) * rng.uniform(size=1000), "phi": rng.uniform(-np.pi, np.pi, 1000),
        "phi2": rng.uniform(-np.pi, np.pi, 1000), "x": rng.normal(size=1000),
    })  # fmt: skip
    table = fitted(source)
    assert {relation.kind for relation in table.transform.relations} == {"ordered share", "cyclic difference"}
    physical = table.pack(source.events)
    inner = [i for i in range(1000) if abs(float(source.events["x"][i])) < 2][:50]
    columns = physical["columns"][inner]
    none = torch.empty(1, 0, dtype=torch.float64)

    def latent(row: torch.Tensor) -> torch.Tensor:
        reduced, _ = table.transform.reduce(none, row[None])
        block = table.transform.columns
        return torch.special.ndtri(block.interval(reduced, torch.zeros(1, 5, dtype=torch.bool)).low)[0]

    slopes = [torch.linalg.slogdet(torch.autograd.functional.jacobian(latent, row))[1] for row in columns]
    cached = {name: values[inner] for name, values in table.encode(physical).items()}
    found = table.log_abs_det("columns", cached, torch.empty(50, 0))
    torch.testing.assert_close(found.double(), torch.stack(slopes), rtol=1e-4, atol=1e-4)


@settings(max_examples=25, deadline=None)
@given(data=st.data())
def test_random_tables_come_back(data: st.DataObject) -> None:
    rng = np.random.default_rng(data.draw(st.integers(0, 2**31)))
    n = data.draw(st.integers(3, 600))
    normal = rng.normal(size=n)
    gone = rng.random(n) < data.draw(st.floats(0, 1))
    made = {
        "normal": normal.astype(np.float32),
        "tails": rng.standard_cauchy(n).astype(np.float32),
        "wide": np.exp(8 * normal),
        "missing": np.where(gone, np.nan, normal).astype(np.float32),
        "missing_too": np.where(gone, np.nan, 5 + rng.exponential(size=n)),
        "sentinel": np.where(rng.random(n) < 0.3, -999.0, rng.uniform(0, 1, n)).astype(np.float32),
        "spike": np.where(rng.random(n) < 0.5, 1.5, 1.5 + rng.exponential(size=n)).astype(np.float32),
        "flag": rng.random(n) < 0.2,
        "count": rng.poisson(3, n).astype(np.int8),
        "many": rng.integers(-30_000, 30_000, n).astype(np.int16),
        "large": rng.integers(0, 2**40, n).astype(np.int64) // 2**20 * 2**20,
        "charge": rng.choice([-1, 1], n).astype(np.int32),
        "pdg": rng.choice([-11, 11, 22, 1_000_022], n).astype(np.int32),
        "same": np.full(n, 7, dtype=np.uint16),
        "constant": np.full(n, np.float32(0.1)),
        "never": np.full(n, np.nan, dtype=np.float32),
        "phi": rng.uniform(-np.pi, np.pi, n).astype(np.float32),
        "vector": rng.normal(size=(n, 2)),
    }
    made["large"] = made["large"] // 2**20
    chosen = data.draw(st.lists(st.sampled_from(sorted(made)), min_size=1, unique=True))
    if set(chosen) <= {"same", "constant", "never"}:
        chosen.append("many")
    source = source_of({name: made[name] for name in chosen}, step=data.draw(st.integers(1, 1000)))
    if all(len(np.unique(made[name])) == 1 for name in chosen):  # few rows can be all alike
        with pytest.raises(InputFileError, match="nothing to learn"):
            fitted(source)
        return
    table = fitted(source)
    back = there_and_back(table, source.events, seed=n)
    assert_same(source.events, back, ("phi",))
    wild = from_noise(table, 50, spread=30.0)
    for name in chosen:
        values, seen = ak.to_numpy(wild[name]), ak.to_numpy(source.events[name])
        present = values[~np.isnan(values)] if values.dtype.kind == "f" else values
        if len(present):
            assert np.nanmin(seen) <= present.min()
            assert present.max() <= np.nanmax(seen)
    json.dumps(table.state(), allow_nan=False)


def test_columns_that_are_missing_together_stay_together() -> None:
    rng = np.random.default_rng(2)
    gone = rng.random(1000) < 0.4
    source = source_of({
        "x": rng.normal(size=1000), "pt": np.where(gone, np.nan, rng.exponential(size=1000)),
        "eta": np.where(gone, -999.0, rng.normal(size=1000)), "other": np.where(rng.random(1000) < 0.2, np.nan, 1.0),
    })  # fmt: skip
    table = fitted(source)
    made = from_noise(table, 5000)
    pt, eta = ak.to_numpy(made["pt"]), ak.to_numpy(made["eta"])
    np.testing.assert_array_equal(np.isnan(pt), eta == -999.0)
    assert np.isnan(pt).mean() == pytest.approx(gone.mean(), abs=0.03)
    assert set(np.unique(ak.to_numpy(made["other"])[~np.isnan(made["other"])])) == {1.0}


def test_a_relation_that_fails_in_one_late_event_is_dropped() -> None:
    rng = np.random.default_rng(2)
    first = rng.exponential(size=200_000).astype(np.float32)
    second = first * rng.uniform(size=200_000).astype(np.float32)
    second[-1] = first[-1] + 1
    table = fitted(source_of({"first": first, "second": second}, step=50_000))
    assert table.transform.relations == ()


def test_conditions_are_given_back_and_limit_the_validity() -> None:
    rng = np.random.default_rng(2)
    energy = rng.choice([10.0, 20.0, 40.0], 1000).astype(np.float32)
    eta = rng.uniform(-2, 2, 1000).astype(np.float32)
    source = source_of({"x": rng.normal(size=1000) * energy, "energy": energy, "eta": eta})
    table = fitted(source, conditions=["eta", "energy"], columns={"energy": {"unit": "GeV"}})
    assert table.condition_names == ("eta", "energy")
    assert table.validity[1].values == (10.0, 20.0, 40.0)
    assert table.validity[1].unit == table.schema["energy"].unit == "GeV"
    assert (table.validity[0].low, table.validity[0].high) == (eta.min(), eta.max())
    assert table.validity[0].values is None
    assert (table.stages[0].features, table.stages[0].conditions) == (1, 2)
    assert_same(source.events, there_and_back(table, source.events))


def test_an_angle_is_modelled_relative_to_a_condition() -> None:
    rng = np.random.default_rng(2)
    first = rng.uniform(-np.pi, np.pi, 2000)
    second = np.mod(first + np.pi + rng.normal(0, 0.3, 2000) + np.pi, 2 * np.pi) - np.pi
    source = source_of({"jet_phi": second, "lepton_phi": first})
    table = fitted(source, conditions=["lepton_phi"])
    (relation,) = table.transform.relations
    assert (relation.child, relation.sources) == (1, (0,))
    assert_same(source.events, there_and_back(table, source.events), ("jet_phi",))


ETAS = tuple(f"{name}_eta" for name in ("lepton", "jet1", "jet2", "jet3", "jet4"))
PHIS = tuple(f"{name}_phi" for name in ("lepton", "met", "jet1", "jet2", "jet3", "jet4"))


def test_mirrored_columns_change_their_sign_together_and_nothing_else_changes(ttbar: MemorySource) -> None:
    table = fitted(ttbar, mirror=[["*_eta"], ["*_phi"]])
    assert_same(ttbar.events, there_and_back(table, ttbar.events), PHIS)
    physical = table.pack(ttbar.events)
    cached = table.encode(physical)
    random = torch.rand(1500, table.stages[1].noise, generator=torch.Generator().manual_seed(1))
    discrete = table.decode(
        "discrete", features(table, ttbar.events)["discrete"], table.start(physical["condition"]), random
    )
    seen = set()
    for mirrors in range(4):
        turned = table.augment(cached, torch.full((1500,), (mirrors + 0.5) / 4))
        x, given = table.features("columns", turned, random)
        assert torch.equal(given, table.stage_condition("columns", discrete))
        made = table.unpack(table.decode("columns", x, discrete, random))
        signs = {}
        for name in ttbar.schema.names:
            before, after = ak.to_numpy(ttbar.events[name]), ak.to_numpy(made[name])
            if name not in ETAS + PHIS:
                np.testing.assert_allclose(after, before, rtol=1e-4, atol=1e-4)
                continue
            away = {sign: np.abs(after - sign * before) for sign in (1, -1)}
            away = {
                sign: np.minimum(one, np.abs(one - 2 * np.pi)) if name in PHIS else one for sign, one in away.items()
            }
            signs[name] = min(away, key=lambda sign: float(np.median(away[sign])))
            assert np.quantile(away[signs[name]], 0.99) < 0.15
        assert len({signs[name] for name in ETAS}) == len({signs[name] for name in PHIS}) == 1
        seen.add((signs["lepton_eta"], signs["lepton_phi"]))
    assert len(seen) == 4
    assert table.augment(cached, torch.full((1500,), 0.999999999))["signs"].shape == (1500, 24)


def test_what_is_generated_from_a_mirrored_table_is_symmetric() -> None:
    rng = np.random.default_rng(2)
    source = source_of({"eta": rng.normal(0.3, 1, 3000), "pt": rng.exponential(size=3000)})
    made = from_noise(fitted(source, mirror=[["eta"]]), 20_000)
    eta = ak.to_numpy(made["eta"])
    assert abs(eta.mean()) < 4 * eta.std() / 20_000**0.5
    assert abs(eta).max() <= np.abs(ak.to_numpy(source.events["eta"])).max()


def test_a_table_without_mirrors_is_not_augmented(ttbar: MemorySource, ttbar_table: TableRepresentation) -> None:
    cached = ttbar_table.encode(ttbar_table.pack(ttbar.events))
    assert ttbar_table.augment(cached, torch.full((1500,), 0.9)) is cached


@pytest.mark.parametrize(
    ("mirror", "options", "words"),
    [
        (["et"], {}, "no modelled column matches 'et'"),
        (["flag"], {}, "'flag' is discrete: it cannot be mirrored"),
        (["phi"], {}, "are not mirrored together"),
        (["eta"], {"eta": {"low": -9.0, "high": 10.0}}, "bounds -9 to 10 of 'eta' are not symmetric"),
        (["day"], {"day": {"kind": "cyclic", "period": 7.0, "low": 1.0}}, "begins its period at 1"),
        (["coarse"], {"coarse": {"kind": "continuous"}}, "too few values"),
    ],
)
def test_what_cannot_be_mirrored_is_refused(mirror: list[str], options: dict[str, Any], words: str) -> None:
    rng = np.random.default_rng(2)
    phi = rng.uniform(-np.pi, np.pi, 1000)
    source = source_of({
        "eta": rng.normal(size=1000), "flag": rng.integers(0, 2, 1000), "day": rng.uniform(1, 8, 1000),
        "phi": phi, "met_phi": np.mod(phi + rng.normal(size=1000) + np.pi, 2 * np.pi) - np.pi,
        "coarse": rng.choice([-1.5, 1.5], 1000),
    })  # fmt: skip
    with pytest.raises(ConfigError) as caught:
        fitted(source, mirror=[mirror], columns=options)
    assert words in str(caught.value)


def test_event_weights_count_in_the_fit_and_are_not_modelled() -> None:
    rng = np.random.default_rng(2)
    x = rng.uniform(size=5000)
    table = fitted(source_of({"x": x, "n": (x > 0.5).astype(np.int32), "_weight": np.where(x > 0.5, -3.0, 1.0)}))
    made = from_noise(table, 5000)
    assert made.fields == ["x", "n"]
    assert np.mean(ak.to_numpy(made["x"]) > 0.5) == pytest.approx(0.75, abs=0.02)
    assert np.mean(ak.to_numpy(made["n"])) == pytest.approx(0.75, abs=0.02)


def test_set_bounds_and_kinds_override_the_data() -> None:
    rng = np.random.default_rng(2)
    source = source_of({"x": rng.uniform(1, 9, 1000), "day": rng.uniform(0, 7, 1000), "n": rng.integers(0, 9, 1000)})
    columns = {"x": {"low": 0.0, "high": 10.0}, "day": {"kind": "cyclic", "period": 7.0}, "n": {"kind": "continuous"}}
    table = fitted(source, columns=columns)
    assert [fact.kind for fact in table.columns] == ["continuous", "cyclic", "continuous"]
    wild = from_noise(table, 100, spread=50.0)
    assert (min(wild["x"]), max(wild["x"])) == (0.0, 10.0)
    assert wild["n"].type.content.primitive == "int64"


@pytest.mark.parametrize(
    ("columns", "options", "error", "words"),
    [
        ({"x": [1.0, 2.0]}, {"conditions": ["y"]}, ConfigError, "no column 'y'"),
        ({"x": [1.0, 2.0]}, {"columns": {"xx": {}}}, ConfigError, "did you mean 'x'"),
        ({"x": [1.0, 2.0]}, {"columns": {"x": {"high": 1.5}}}, InputFileError, "outside the set bounds"),
        ({"x": [1.0, 2.5]}, {"columns": {"x": {"kind": "integer"}}}, ConfigError, "not integer"),
        ({"x": [1.0, 2.5]}, {"columns": {"x": {"kind": "constant"}}}, ConfigError, "not constant"),
        ({"x": [1.0, 9.0]}, {"columns": {"x": {"kind": "cyclic"}}}, InputFileError, "one period"),
        ({"x": [1.0, np.inf]}, {}, InputFileError, "1 infinite value in 'x' (entry 1)"),
        ({"x": [1, 2**60]}, {}, InputFileError, "beyond 2^53"),
        ({"x": [1.0, 1.0]}, {}, InputFileError, "nothing to learn"),
        ({"x": np.empty(0)}, {}, InputFileError, "no events"),
        ({"x": ["a", "b"]}, {}, ConfigError, "not numbers"),
    ],
)
def test_what_cannot_be_modelled_is_refused(
    columns: dict[str, Any], options: dict[str, Any], error: type[Exception], words: str
) -> None:
    with pytest.raises(error) as caught:
        fitted(source_of(columns), **options)
    assert words in str(caught.value)


def test_jagged_columns_are_refused_with_advice() -> None:
    schema = Schema((Column("met", "float32"), Column("Jet_pt", "float32", jagged=True)))
    with pytest.raises(ConfigError, match=r"'Jet_pt' has a variable number.*data\.objects"):
        TableRepresentation.build({}, schema)


def test_an_unfitted_table_says_so() -> None:
    with pytest.raises(ModelError, match="not been fitted"):
        _ = TableRepresentation.build({}, Schema((Column("x", "float32"),))).stages


def jets_source(low: int = 4, high: int = 6, **more: np.ndarray) -> MemorySource:
    rng = np.random.default_rng(2)
    jets = rng.integers(low, high, 3000)
    return source_of({"x": rng.normal(size=3000) + jets, "n_jets": jets, **more})


def test_an_affine_condition_goes_on_beyond_the_training_and_a_normal_one_is_held() -> None:
    source = jets_source()
    affine, normal = (
        fitted(source, conditions=["n_jets"], columns={"n_jets": {"scale": scale}}) for scale in ("affine", "normal")
    )
    beyond = torch.tensor([[5.0], [6.0], [9.0]], dtype=torch.float64)
    assert normal.transform.encode_condition(beyond).unique().numel() == 1
    five, six, nine = affine.transform.encode_condition(beyond)[:, 0].tolist()
    assert nine - five == pytest.approx(4 * (six - five))
    assert affine.validity == normal.validity
    assert affine.validity[0].values == (4.0, 5.0)
    # What is learned given the condition, and its slopes, are the same.
    physical, noise = affine.pack(source.events), torch.empty(3000, 0)
    (x, given), (same, other) = (one.features("columns", one.encode(physical), noise) for one in (affine, normal))
    assert torch.equal(x, same)
    assert not torch.equal(given, other)
    assert (given.mean().item(), given.std().item()) == pytest.approx((0, 1), abs=1e-3)
    slopes = [one.log_abs_det("columns", one.encode(physical), noise) for one in (affine, normal)]
    assert torch.equal(*slopes)
    assert_same(source.events, there_and_back(affine, source.events))


@settings(max_examples=25, deadline=None)
@given(
    mean=st.floats(-1e4, 1e4),
    width=st.floats(1e-2, 1e4),
    places=st.lists(st.floats(-30, 30), min_size=2, max_size=8),
    missing=st.booleans(),
)
def test_an_affine_condition_is_a_line_that_survives_the_bundle(
    mean: float, width: float, places: list[float], missing: bool
) -> None:
    rng = np.random.default_rng(3)
    z = rng.normal(size=500)
    c = mean + width * (z - z.mean()) / z.std()
    if missing:
        c[rng.random(500) < 0.3] = np.nan
    table = fitted(source_of({"x": z, "c": c}), conditions=["c"], columns={"c": {"scale": "affine"}})
    again = TableRepresentation.from_state(json.loads(json.dumps(table.state(), allow_nan=False)))
    centre, spread = float(np.nanmean(c)), float(np.nanstd(c))
    asked = torch.tensor([*places, math.nan], dtype=torch.float64)[:, None] * spread + centre
    found = again.transform.encode_condition(asked)
    assert torch.equal(found, table.transform.encode_condition(asked))
    np.testing.assert_allclose(found[:-1, 0], places, atol=1e-4 * max(1, *map(abs, places)))
    assert found[-1, 0] == 0  # what is absent is noise-free, and told by a flag where it occurs


def test_a_table_that_knows_no_affine_scale_is_stored_as_it_was() -> None:
    """So that bundles of before are read, and what needs no new key has none."""
    state = fitted(jets_source(), conditions=["n_jets"]).state()
    assert all("affine" not in fact for fact in state["columns"])
    assert TableRepresentation.from_state(state).columns[0].affine is None


def test_a_condition_of_one_value_is_a_line_between_set_bounds() -> None:
    rng = np.random.default_rng(3)
    given = {"c": {"scale": "affine", "low": -1.0, "high": 3.0}}
    table = fitted(source_of({"x": rng.normal(size=500), "c": np.full(500, 2.0)}), conditions=["c"], columns=given)
    again = TableRepresentation.from_state(json.loads(json.dumps(table.state(), allow_nan=False)))
    found = again.transform.encode_condition(torch.tensor([[-1.0], [1.0], [3.0]], dtype=torch.float64))
    np.testing.assert_allclose(found[:, 0], [-math.sqrt(3), 0, math.sqrt(3)], rtol=1e-6)
    assert (again.validity[0].low, again.validity[0].high) == (-1.0, 3.0)


@settings(max_examples=25, deadline=None)
@given(
    mean=st.floats(-1e3, 1e3),
    width=st.floats(1e-2, 1e3),
    reach=st.floats(1.0, 4.0),
    mirrored=st.booleans(),
)
def test_a_generated_column_of_affine_scale_is_a_line_up_to_its_bounds(
    mean: float, width: float, reach: float, mirrored: bool
) -> None:
    z = np.random.default_rng(3).normal(size=500)
    x = np.sort(width * (z - z.mean()) / z.std() + (0.0 if mirrored else mean))
    centre, most = float(x.mean()), reach * float(np.abs(x - x.mean()).max())
    bounds = {"scale": "affine", "low": centre - most, "high": centre + most}
    if mirrored:
        bounds |= {"low": -most, "high": most}
    source = source_of({"x": x, "y": z})
    table = fitted(source, columns={"x": bounds}, mirror=[["x"]] if mirrored else [])
    again = TableRepresentation.from_state(json.loads(json.dumps(table.state(), allow_nan=False)))
    assert_same(source.events, there_and_back(again, source.events))
    latent, _ = again.features("columns", again.encode(again.pack(source.events)), torch.empty(500, 0))
    line = latent[:, 0].double().numpy()
    slope = (line[-1] - line[0]) / (x[-1] - x[0])
    np.testing.assert_allclose(line, line[0] + slope * (x - x[0]), atol=0.03)
    assert slope * width == pytest.approx(min(1.0, 6 * width / most), rel=0.02)
    none, beyond = torch.empty(2, 0), torch.tensor([[9.0, 0.0], [-9.0, 0.0]])
    tail = again.decode("columns", beyond, again.start(none), none)["columns"][:, 0]
    assert tail.tolist() == pytest.approx([bounds["high"], bounds["low"]], rel=1e-9)


@pytest.mark.parametrize(
    ("columns", "conditions", "words"),
    [
        ({"n_jets": {"scale": "affine"}}, [], "'n_jets' is discrete: of what is generated, only a continuum"),
        ({"one": {"scale": "affine"}}, ["one"], "'one' is cyclic, or of one value"),
        ({"none": {"scale": "affine"}}, ["none"], "'none' is cyclic, or of one value"),
        ({"phi": {"scale": "affine"}}, ["phi"], "'phi' is cyclic, or of one value"),
    ],
)
def test_what_has_no_affine_scale_is_refused(columns: dict[str, Any], conditions: list[str], words: str) -> None:
    phi = np.random.default_rng(4).uniform(-np.pi, np.pi, 3000)
    source = jets_source(one=np.ones(3000), none=np.full(3000, np.nan), phi=phi)
    with pytest.raises(ConfigError) as caught:
        fitted(source, conditions=conditions, columns=columns)
    assert words in str(caught.value)
