from types import SimpleNamespace

import awkward as ak
import numpy as np
import pytest
from toys import SCHEMA, toy_events, toy_surrogate

from hepgen.errors import ConditionRangeError, InputFileError, UsageError
from hepgen.events.source import MemorySource
from hepgen.representations.base import ConditionRange
from hepgen.sampling.conditions import DrawnConditions, RowReader, SourceConditions, parse_law, unseen_values


@pytest.mark.parametrize(
    "text", ["energy", "energy=", "=3", "energy=a", "energy=3:1", "energy=log:0:1", "e=1:2:3", "e=nan"]
)
def test_what_sets_no_condition_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="does not set a condition"):
        parse_law(text)


def test_laws_give_what_they_say() -> None:
    random = np.random.default_rng(1)
    assert set(parse_law("e=2").draw(random, 5)) == {2.0}
    drawn = parse_law("e=log:1:100").draw(random, 20_000)
    assert 1 <= drawn.min() < drawn.max() <= 100
    assert abs(np.median(drawn) - 10) < 0.5
    assert abs(parse_law("e=1:3").draw(random, 20_000).mean() - 2) < 0.02


def test_drawn_conditions_follow_the_training_and_depend_on_the_block_only() -> None:
    surrogate = toy_surrogate()
    conditions = DrawnConditions(surrogate, seed=1)
    rows, kept = conditions.block(3, 150, 50)
    assert kept is None
    assert np.array_equal(conditions.block(3, 150, 7)[0], rows)
    assert not np.array_equal(conditions.block(4, 200, 50)[0], rows)
    many = np.concatenate([conditions.block(block, 0, 50)[0] for block in range(200)])[:, 0]
    assert np.allclose(
        np.quantile(many, [0.1, 0.5, 0.9]), np.quantile(surrogate.conditions, [0.1, 0.5, 0.9]), atol=0.06
    )
    assert len(np.unique(many)) == len(many)


def test_settings_between_discrete_values_of_the_training_are_told() -> None:
    surrogate = toy_surrogate()
    assert unseen_values(surrogate, ["energy=2.5"]) == []
    known = ConditionRange("energy", 1.0, 4.0, "GeV", (1.0, 2.0, 4.0))
    surrogate.representation = SimpleNamespace(validity=[known])
    assert unseen_values(surrogate, ["energy=2", "energy=4.00000001"]) == []
    assert unseen_values(surrogate, ["energy=9", "other=2"]) == []
    for setting in ("energy=3", "energy=1:4", "energy=log:1:2"):
        (words,) = unseen_values(surrogate, [setting])
        assert "energy had only the values 1, 2, 4 in the training" in words


def test_kinds_that_were_not_in_the_training_are_refused_and_a_range_takes_those_within() -> None:
    surrogate = toy_surrogate()
    kinds = ConditionRange("energy", 1.0, 21.0, values=(1.0, 6.0, 21.0), labels=True)
    surrogate.representation = SimpleNamespace(validity=[kinds], condition_names=("energy",))
    with pytest.raises(ConditionRangeError, match="energy = 5 was not in the training, which had 1, 6, 21") as caught:
        DrawnConditions(surrogate, 1, [parse_law("energy=5")])
    assert caught.value.where == "--set-condition"
    with pytest.raises(ConditionRangeError, match="energy = 7 was not"):
        DrawnConditions(surrogate, 1, [parse_law("energy=7:20")])
    rows, _ = DrawnConditions(surrogate, 1, [parse_law("energy=5:21")]).block(0, 0, 50)
    assert set(rows[:, 0]) == {6.0, 21.0}
    assert set(DrawnConditions(surrogate, 1, [parse_law("energy=5")], extrapolate=True).block(0, 0, 9)[0][:, 0]) == {
        5.0
    }
    events = ak.with_field(toy_events(40), np.where(np.arange(40) == 33, 2.0, 6.0), "energy")
    with pytest.raises(ConditionRangeError, match="energy = 2 was not") as caught:
        SourceConditions(MemorySource(events, SCHEMA, batch_size=10), surrogate)
    assert caught.value.where == "event 33"
    assert unseen_values(surrogate, ["energy=6:21"]) == []


def test_conditions_outside_the_range_are_refused_unless_wanted() -> None:
    surrogate = toy_surrogate()
    with pytest.raises(ConditionRangeError, match=r"energy = 30 is outside the range of the training") as caught:
        DrawnConditions(surrogate, 1, [parse_law("energy=2:30")])
    assert caught.value.exit_code == 3
    DrawnConditions(surrogate, 1, [parse_law("energy=30")], extrapolate=True)
    with pytest.raises(UsageError, match="no condition 'enrgy'") as unknown:
        DrawnConditions(surrogate, 1, [parse_law("enrgy=2")])
    assert unknown.value.hint == "did you mean 'energy'?"
    events = toy_events(40)
    energy = ak.to_numpy(events["energy"]).copy()
    energy[33] = np.nan
    source = MemorySource(ak.with_field(events, energy, "energy"), SCHEMA, batch_size=10)
    with pytest.raises(ConditionRangeError, match="energy = nan") as caught:
        SourceConditions(source, surrogate)
    assert caught.value.where == "event 33"


@pytest.mark.parametrize("batch_size", [1, 7, 50, 1000])
@pytest.mark.parametrize("repeat", [1, 3])
def test_rows_of_a_source_keep_their_order(batch_size: int, repeat: int) -> None:
    events = toy_events(120)
    source = MemorySource(events, SCHEMA, batch_size=batch_size)
    conditions = SourceConditions(source, toy_surrogate(), per_condition=repeat, keep=["y"], extrapolate=True)
    assert conditions.events == 120 * repeat
    found, kept = [], []
    for block, first in enumerate(range(0, conditions.events, 50)):
        rows, more = conditions.block(block, first, min(50, conditions.events - first))
        found.append(rows[:, 0])
        assert more is not None
        kept.append(ak.to_numpy(more["y"]))
    assert np.array_equal(np.concatenate(found), np.repeat(ak.to_numpy(events["energy"]), repeat))
    assert np.array_equal(np.concatenate(kept), np.repeat(ak.to_numpy(events["y"]), repeat))


def test_a_shard_begins_in_the_middle() -> None:
    events = toy_events(100)
    reader = RowReader(MemorySource(events, SCHEMA, batch_size=9), ["energy"])
    assert reader.rows(np.arange(61, 83))["energy"].to_list() == events["energy"][61:83].to_list()


def test_a_condition_column_that_is_missing_is_named() -> None:
    events = toy_events(10)[["y", "v"]]
    schema = SCHEMA.select(["y", "v"])
    with pytest.raises(InputFileError, match="no column 'energy'") as caught:
        SourceConditions(MemorySource(events, schema), toy_surrogate())
    assert (caught.value.where, caught.value.hint) == ("--conditions, tree 'events'", "there are: y, v")


def test_a_column_to_keep_that_is_missing_is_named() -> None:
    with pytest.raises(InputFileError, match="no column 'enrgy'") as caught:
        SourceConditions(MemorySource(toy_events(10), SCHEMA), toy_surrogate(), keep=["enrgy"])
    assert (caught.value.where, caught.value.hint) == ("--keep, tree 'events'", "did you mean 'energy'?")
