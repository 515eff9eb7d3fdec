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

STAGE = "columns"


def fitted(source: MemorySource, **options: Any) -> TableRepresentation:
    table = TableRepresentation.build({"kind": "table", **options}, source.schema)
    table.fit(source)
    return table


def noise_for(table: TableRepresentation, events: int, seed: int = 1) -> torch.Tensor:
    return torch.rand(events, table.stages[0].noise, generator=torch.Generator().manual_seed(seed))


def there_and_back(table: TableRepresentation, events: ak.Array, seed: int = 1) -> ak.Array:
    physical = table.pack(events)
    cached = table.encode(physical)
    x, condition = table.features(STAGE, cached, noise_for(table, len(events), seed))
    assert torch.isfinite(x).all()
    assert x.shape == (len(events), table.stages[0].features)
    start = table.start(physical["condition"])
    assert torch.equal(table.stage_condition(STAGE, start), condition)
    return table.unpack(table.decode(STAGE, x, start, torch.empty(len(events), 0)))


def from_noise(table: TableRepresentation, events: int = 2000, spread: float = 1.0) -> ak.Array:
    z = spread * torch.randn(events, table.stages[0].features, generator=torch.Generator().manual_seed(3))
    start = table.start(torch.zeros(events, len(table.condition_names), dtype=torch.float64))
    return table.unpack(table.decode(STAGE, z, start, torch.empty(events, 0)))


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
    x, _ = ttbar_table.features(STAGE, ttbar_table.encode(ttbar_table.pack(ttbar.events)), noise_for(ttbar_table, 1500))
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
    found = table.log_abs_det(STAGE, cached, torch.empty(50, 0))
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
        ({"x": [1.0, np.inf]}, {}, InputFileError, "1 infinite values"),
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
