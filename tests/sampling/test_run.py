"""Sampling: events that depend on nothing but the seed, files that are whole, columns as they came in."""

import json
import os
import signal
from collections.abc import Mapping
from pathlib import Path

import awkward as ak
import numpy as np
import pytest
import torch
import uproot
from torch import Tensor
from toys import SCHEMA, Gaussian, toy_events, toy_surrogate

from hepgen.config.families import MatchingOptions
from hepgen.errors import ModelError, UsageError
from hepgen.events.reader import open_events
from hepgen.events.records import read_run_records
from hepgen.events.schema import Column, Schema
from hepgen.events.source import MemorySource
from hepgen.generators.matching import FlowMatching
from hepgen.representations.table import TableRepresentation
from hepgen.sampling.run import Sampling, sample_events, sample_to_file
from hepgen.sampling.seeds import event_numbers
from hepgen.surrogate.acceptance import Acceptance, Term
from hepgen.surrogate.surrogate import Part, Surrogate


def generated(surrogate: Surrogate, number: float | None, **options: object) -> ak.Array:
    return ak.concatenate(list(sample_events(surrogate, number, **options)))


def test_an_event_depends_neither_on_the_number_nor_on_the_shard() -> None:
    surrogate = toy_surrogate()
    whole = generated(surrogate, 230, seed=7).to_list()
    assert generated(surrogate, 61, seed=7).to_list() == whole[:61]
    parts = [generated(surrogate, 230, seed=7, shard=(part, 3)).to_list() for part in range(3)]
    assert parts[0] + parts[1] + parts[2] == whole
    assert generated(surrogate, 61, seed=8).to_list() != whole[:61]


def test_conditions_of_a_file_are_taken_in_order_and_padded_within_the_block() -> None:
    surrogate = toy_surrogate()
    source = MemorySource(toy_events(120), SCHEMA)
    whole = generated(surrogate, None, seed=7, conditions=source, keep=[])
    assert whole["energy"].to_list() == toy_events(120)["energy"].to_list()
    assert generated(surrogate, 70, seed=7, conditions=source).to_list() == whole[:70].to_list()
    twice = generated(surrogate, None, seed=7, conditions=source, per_condition=2)
    assert twice["energy"].to_list()[::2] == twice["energy"].to_list()[1::2] == whole["energy"].to_list()


def test_wrong_requests_are_usage_errors() -> None:
    surrogate = toy_surrogate()
    source = MemorySource(toy_events(12), SCHEMA)
    with pytest.raises(UsageError, match="13 events are asked for, but the conditions give 12"):
        Sampling(surrogate, 13, conditions=source)
    with pytest.raises(UsageError, match="how many"):
        Sampling(surrogate, None)
    with pytest.raises(UsageError, match=r"'1\.5' is not a number of events"):
        Sampling(surrogate, 1.5)
    with pytest.raises(UsageError, match="exclude each other"):
        Sampling(surrogate, 1, conditions=source, set_conditions=["energy=2"])
    with pytest.raises(UsageError, match="need --conditions"):
        Sampling(surrogate, 1, keep=["y"])
    with pytest.raises(UsageError, match="'y' is generated"):
        Sampling(surrogate, 1, conditions=source, keep=["y"])
    with pytest.raises(UsageError, match="no weight column"):
        Sampling(surrogate, 1, sumw=3.0)
    with pytest.raises(UsageError, match="no hits"):
        Sampling(surrogate, 1, hits=True)
    with pytest.raises(UsageError, match="no shard 2 of 2"):
        Sampling(surrogate, 1, shard=(2, 2))


class Stumbling(Gaussian):
    """Gives NaN for large noise."""

    limit = 1.5

    def sample(self, noise: Mapping[str, Tensor], condition: Tensor, mask: Tensor | None = None) -> Tensor:
        x = super().sample(noise, condition)
        return torch.where(noise["z"] > self.limit, torch.nan, x)


def test_events_that_are_not_finite_are_drawn_again_and_counted() -> None:
    surrogate = toy_surrogate()
    good = generated(surrogate, 200, seed=1)
    stumbling = Stumbling(1, 1).eval()
    stumbling.load_state_dict(surrogate.generators["first"].state_dict())
    surrogate.generators["first"] = stumbling
    sampling = Sampling(surrogate, 200, seed=1)
    events = ak.concatenate(list(sampling.batches()))
    assert np.isfinite(ak.to_numpy(events["y"])).all()
    same = ak.to_numpy(good["y"]) == ak.to_numpy(events["y"])
    assert 0 < (~same).sum() <= sampling.draws.redrawn < 40
    Stumbling.limit = -100.0
    try:
        with pytest.raises(ModelError, match="not finite after 20 draws"):
            generated(surrogate, 10, seed=1)
    finally:
        Stumbling.limit = 1.5


class Noise(Gaussian):
    """Gives its noise."""

    def sample(self, noise: Mapping[str, Tensor], condition: Tensor, mask: Tensor | None = None) -> Tensor:
        return noise["z"]


def table_of_noise() -> Surrogate:
    """A normal column without conditions, in blocks of 50."""
    random = np.random.default_rng(1)
    x = random.normal(size=2000).astype("f4")
    source = MemorySource(ak.zip({"x": x}, depth_limit=1), Schema((Column("x", "float32"),), tree="events"))
    representation = TableRepresentation(source.schema)
    representation.fit(source)
    (stage,) = representation.stages
    recipe = {"representation": {"kind": "table"}, "sampling": {"block_size": 50}}
    generators = {stage.name: Noise(1, 1)}
    parts = [Part(stage.name, "coupling", {}, 1, 0)]
    return Surrogate(representation, parts, generators, source.schema, recipe, {}, np.empty((0, 0)))


def test_accepted_events_fill_a_block_and_depend_neither_on_the_number_nor_on_the_shard(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    surrogate = table_of_noise()
    plain = generated(surrogate, 230, seed=7)["x"].to_list()
    surrogate.acceptance = Acceptance((Term("x", (-1e-3, 1e-3), (-50.0, 0.0)),), 0.0, 0.5)
    sampling = Sampling(surrogate, 230, seed=7)
    whole = ak.concatenate(list(sampling.batches()))["x"].to_list()
    assert len(whole) == 230
    assert min(whole) > -1e-3
    assert 2 * 5 <= sampling.draws.passes <= 4 * 5
    assert sampling.draws.redrawn == 0
    first = [x for x in plain[:50] if x > 1e-3]
    assert whole[: len(first)] == first
    assert generated(surrogate, 61, seed=7)["x"].to_list() == whole[:61]
    parts = [generated(surrogate, 230, seed=7, shard=(part, 3))["x"].to_list() for part in range(3)]
    assert parts[0] + parts[1] + parts[2] == whole
    surrogate.acceptance = Acceptance((Term("x", (0.0, 1.0), (0.0, 0.0)),), 50.0, 0.0)
    monkeypatch.setattr("hepgen.sampling.blocks.MAX_DRAWS", 30)
    with pytest.raises(ModelError, match="50 events of block 0 are not finite or not accepted after 30 draws"):
        generated(surrogate, 50, seed=7)


def test_an_accepted_event_keeps_its_condition() -> None:
    surrogate = toy_surrogate()
    source = MemorySource(toy_events(120), SCHEMA)
    plain = generated(surrogate, None, seed=7, conditions=source)
    middle = float(np.median(plain["y"]))
    surrogate.acceptance = Acceptance((Term("y", (middle - 1e-3, middle + 1e-3), (-50.0, 0.0)),), 0.0, 0.5)
    whole = generated(surrogate, None, seed=7, conditions=source)
    assert whole["energy"].to_list() == toy_events(120)["energy"].to_list()
    assert ak.min(whole["y"]) > middle - 1e-3
    same = ak.to_numpy(plain["y"]) > middle + 1e-3
    assert whole[same].to_list() == plain[same].to_list()
    assert generated(surrogate, 70, seed=7, conditions=source).to_list() == whole[:70].to_list()


@pytest.mark.parametrize("name", ["out.root", "out.h5"])
def test_a_file_holds_the_schema_of_the_training(tmp_path: Path, name: str) -> None:
    summary = sample_to_file(toy_surrogate(), tmp_path / name, 1.2e2, seed=2**65)
    assert (summary.events, summary.first_block, summary.last_block) == (120, 0, 2)
    assert summary.events_per_second > 0
    assert summary.peak_memory > 1 << 20
    source = open_events(tmp_path / name)
    assert source.schema.tree.endswith("events")
    written, wanted = ({(c.name, c.dtype, c.shape, c.unit) for c in schema} for schema in (source.schema, SCHEMA))
    assert written == wanted
    assert (
        ak.concatenate(list(source.batches(SCHEMA.names))).to_list()
        == generated(toy_surrogate(), 120, seed=2**65).to_list()
    )
    (record,) = read_run_records(tmp_path / name)
    assert (record.events, record.seed, record.complete) == (120, str(2**65), 1)


def test_no_events_make_a_file_too(tmp_path: Path) -> None:
    assert sample_to_file(toy_surrogate(), tmp_path / "none.root", 0, seed=1).events == 0
    assert open_events(tmp_path / "none.root").num_events == 0


def test_a_signal_leaves_no_file(tmp_path: Path) -> None:
    class Kill:
        def update(self, stage: str, step: int, steps: int, loss: float, rate: float) -> None:
            os.kill(os.getpid(), signal.SIGTERM)

        def message(self, text: str) -> None:
            """Nobody listens."""

    with pytest.raises(SystemExit) as caught:
        sample_to_file(toy_surrogate(), tmp_path / "out.root", 120, seed=1, progress=Kill())
    assert caught.value.code == 143
    assert not list(tmp_path.iterdir())


def test_weights_add_up_and_derived_columns_are_computed() -> None:
    surrogate = toy_surrogate(
        weight={"column": "w", "sum": 55.0, "events": 9}, derived={"twice": "2 * y", "n": "y > 3.5"}
    )
    columns = (*SCHEMA.columns, Column("w", "float64"), Column("twice", "float32"), Column("n", "int32"))
    surrogate.schema = SCHEMA.replace(columns)
    events = generated(surrogate, 120, seed=1)
    assert float(ak.sum(events["w"])) == pytest.approx(55.0)
    assert np.allclose(events["twice"], 2 * ak.to_numpy(events["y"]))
    assert np.array_equal(ak.to_numpy(events["n"]), ak.to_numpy(events["y"]) > 3.5)
    assert float(ak.sum(generated(surrogate, 120, seed=1, sumw=3.0)["w"])) == pytest.approx(3.0)


def test_events_are_numbered_uniquely_over_seeds_and_shards() -> None:
    surrogate = toy_surrogate()
    identity = (Column("run", "uint32"), Column("luminosityBlock", "uint32"), Column("event", "uint64"))
    surrogate.schema = SCHEMA.replace((*identity, *SCHEMA.columns))
    numbers = set()
    for seed in (1, 2):
        for part in range(2):
            for event in generated(surrogate, 230, seed=seed, shard=(part, 2)):
                numbers.add((event["run"], event["luminosityBlock"], event["event"]))
    assert len(numbers) == 460
    alone = [event_numbers(seed, 0, 100) for seed in (1, 2)]
    assert not set(alone[0].tolist()) & set(alone[1].tolist())
    source = MemorySource(generated(surrogate, 30, seed=5), surrogate.schema)
    kept = generated(surrogate, None, seed=9, conditions=source, keep=["event"])
    assert kept["event"].to_list() == list(range(30))


def test_set_conditions_hold() -> None:
    events = generated(toy_surrogate(), 120, seed=1, set_conditions=["energy=2"])
    assert set(ak.to_numpy(events["energy"])) == {2.0}


def test_flows_take_the_steps_that_are_asked_for(tmp_path: Path) -> None:
    torch.manual_seed(1)
    surrogate = toy_surrogate()
    stage = surrogate.parts[-1].stage
    flow = FlowMatching(
        surrogate.parts[-1].features, surrogate.parts[-1].conditions, MatchingOptions(hidden=8, layers=1, steps=9)
    )
    surrogate.generators[stage] = flow.eval()
    few = surrogate.with_solver_steps(1)
    assert few.generators[stage].evaluations * 9 == flow.evaluations
    assert surrogate.generators[stage] is flow
    assert few.parts[-1].options["steps"] == 1
    sample_to_file(few, tmp_path / "a.root", 20, seed=3)
    sample_to_file(surrogate, tmp_path / "b.root", 20, seed=3, solver_steps=1)
    sample_to_file(surrogate, tmp_path / "c.root", 20, seed=3)
    same, told = {}, {}
    for name in "abc":
        same[name] = ak.concatenate(list(open_events(tmp_path / f"{name}.root").batches())).to_list()
        with uproot.open(tmp_path / f"{name}.root") as file:
            told[name] = json.loads(str(file["hepgen_metadata"])).get("solver_steps")
    assert same["a"] == same["b"] != same["c"]
    assert told == {"a": None, "b": "1", "c": None}


def test_steps_that_make_no_sense_are_refused() -> None:
    surrogate = toy_surrogate()
    with pytest.raises(UsageError, match="no generator of this model takes steps"):
        surrogate.with_solver_steps(5)
