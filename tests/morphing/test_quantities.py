"""What tells of arrays and lists, and how far beyond the training it may lie."""

from __future__ import annotations

import awkward as ak
import numpy as np
import pytest

from hepgen.config.representation import CalorimeterRecipe, CloudRecipe, RepresentationRecipe, TableRecipe
from hepgen.events.schema import Column, Schema
from hepgen.morphing.quantities import Quantity, QuantityRange, QuantityRanges, quantities_of
from hepgen.morphing.ranges import Ranges, missing

SHOWER = CalorimeterRecipe(kind="calorimeter", binning="binning.xml")
CLOUD, TABLE = CloudRecipe(kind="particle_cloud"), TableRecipe(kind="table")


@pytest.mark.parametrize(
    ("columns", "representation", "words"),
    [
        (
            [Column("incident_energy", "float32"), Column("voxel_energy", "float32", (3, 4, 2))], SHOWER,
            ["the sum of voxel_energy over incident_energy", "the sum of voxel_energy", "the largest voxel_energy",
             "the smallest voxel_energy", "the number of elements of voxel_energy other than 0"],
        ),
        (
            [Column("jet_pt", "float32"), *(Column(f"part_{x}", "float32", jagged=True) for x in ("pt", "eta", "phi"))], CLOUD,
            ["the sum of part_pt over jet_pt", *(f"the {which} part_{x}" for x in ("pt", "eta", "phi") for which in ("largest", "smallest")),
             "the number of elements of part_pt"],
        ),
        ([Column("x", "float32"), Column("pair", "float32", (2,))], TABLE, ["pair[0]", "pair[1]"]),
        (
            [Column("rows", "float32", (30, 2))], TABLE,
            [words for k in (0, 1) for words in (f"the sum of rows[:, {k}]", f"the largest rows[:, {k}]", f"the smallest rows[:, {k}]",
             f"the number of elements of rows[:, {k}] other than 0")],
        ),
    ],
)  # fmt: skip
def test_arrays_and_lists_are_told_by_a_few_numbers(
    columns: list[Column], representation: RepresentationRecipe, words: list[str]
) -> None:
    assert [str(one) for one in quantities_of(Schema(tuple(columns)), representation)] == words


def test_values_are_those_of_numpy_whatever_the_shape_and_none_is_found_in_an_empty_list() -> None:
    array = np.random.default_rng(1).normal(size=(5, 4, 3))
    array[2, 1] = 0
    lists = [[2, 1], [], [7]]
    events = ak.Array({"x": ak.from_numpy(array, regulararray=True)})
    assert Quantity("sum", "x").values(events) == pytest.approx(array.sum(axis=(1, 2)))
    assert Quantity("largest", "x", 1).values(events).tolist() == array[..., 1].max(axis=1).tolist()
    assert Quantity("element", "x", 4).values(events).tolist() == array[:, 1, 1].tolist()
    assert Quantity("filled", "x").values(events).tolist() == [12, 12, 9, 12, 12]
    for kind, found in (("smallest", [1, np.nan, 7]), ("largest", [2, np.nan, 7]), ("number", [2, 0, 1])):
        np.testing.assert_array_equal(Quantity(kind, "x").values(ak.Array({"x": lists})), found)  # type: ignore[arg-type]
    for one in (Quantity("largest", "x"), Quantity("element", "x", 0)):
        assert one.values(events[:0]).shape == (0,)
    assert missing(events[:0], ["x"], ["x"]).shape == (0,)


def test_the_extreme_of_numbers_of_which_some_are_missing_is_that_of_the_others() -> None:
    events = ak.Array({"x": ak.from_numpy(np.array([[1.0, np.nan, 3.0], [np.nan] * 3]), regulararray=True)})
    ranges = Ranges([], [Quantity("largest", "x"), Quantity("sum", "x")])
    ranges.update(events)
    assert [(str(one.quantity), one.high) for one in ranges.quantities] == [("the largest x", 3.0)]
    assert ranges.complete == []
    assert not ranges.quantities[0].outside(events).any()


def test_ranges_are_the_same_for_any_batches_and_are_stored_as_plain_numbers() -> None:
    events = ak.Array({"x": ak.from_numpy(np.random.default_rng(2).gamma(2, size=(500, 20)), regulararray=True)})
    found = []
    for size in (3, 170, 500):
        ranges = QuantityRanges([Quantity("sum", "x"), Quantity("smallest", "x")])
        for start in range(0, 500, size):
            ranges.update(events[start : start + size])
        found.append(ranges.result())
    assert found[0] == found[1] == found[2]
    assert [QuantityRange.from_dict(one.to_dict()) for one in found[0]] == found[0]
    sums = np.sort(Quantity("sum", "x").values(events))
    assert found[0][0].low - found[0][0].below == pytest.approx(2 * sums[0] - sums[9])
    assert found[0][0].high + found[0][0].above == pytest.approx(2 * sums[-1] - sums[-10])


def test_of_events_of_the_same_law_few_are_flagged() -> None:
    """Of 2,000 showers, energies fall steeply: a range without its reach loses 2 of 1,000 a quantity and side."""
    random = np.random.default_rng(3)

    def showers(size: int) -> ak.Array:
        energy = 10 ** random.uniform(0, 3, size)
        voxels = energy[:, None] * random.exponential(0.1, (size, 10)) * random.normal(1, 0.1, (size, 1))
        return ak.Array({"e": energy, "v": ak.from_numpy(voxels, regulararray=True)})

    schema = Schema((Column("e", "float64"), Column("v", "float64", (10,))))
    recipe = CalorimeterRecipe(kind="calorimeter", binning="binning.xml", energy="e", voxels="v")
    ranges = Ranges([], quantities_of(schema, recipe))
    ranges.update(showers(2000))
    flags, bare = np.zeros(50_000, dtype=bool), np.zeros(50_000, dtype=bool)
    held_out = showers(50_000)
    for one in ranges.quantities:
        flags |= one.outside(held_out)
        values = one.quantity.values(held_out)
        bare |= (values < one.low) | (values > one.high)
    assert flags.sum() < min(50, bare.sum() / 2)  # 10 in 10,000
