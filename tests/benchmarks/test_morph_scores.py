"""What the morphing benchmark measures, on samples whose answer is known."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from morph_methods import STEPS, VARIANTS
from morph_problems import PROBLEMS, Places, mismeasured
from morph_scores import auc_and_error, matching_weights, movement, widths
from morph_tables import print_overview, print_tables
from morphing import Halves, cells, recipe_of

RNG = np.random.default_rng
ROOT = Path(__file__).parents[2]


def test_weights_of_a_condition_give_it_the_targets_distribution() -> None:
    rng = RNG(0)
    source, target = rng.exponential(1.0, 20_000), rng.exponential(1.3, 20_000)
    weights = matching_weights(source, target)
    assert weights.mean() == pytest.approx(1.0)
    assert np.average(source, weights=weights) == pytest.approx(target.mean(), rel=0.04)
    assert source.mean() < 0.85 * target.mean()


def test_movement_is_in_widths_of_both_samples_together() -> None:
    rng = RNG(1)
    first, second = rng.normal(0, 1, (50_000, 1)), rng.normal(2, 1, (10_000, 1))
    assert widths(first, second) == pytest.approx([np.sqrt(2)], rel=0.02)
    assert movement(first, first + 3, np.array([1.5])) == pytest.approx((2.0, 2.0))


def test_the_auc_of_one_law_is_half_within_its_error_and_weights_undo_a_shift() -> None:
    rng = RNG(2)
    x, y = rng.normal(0, 1, (1000, 1)), rng.normal(0.7, 1, (1000, 1))
    shifted, error = auc_and_error(x, y, 0)
    assert error is not None
    assert 0.005 < error < 0.03
    assert shifted == pytest.approx(0.69, abs=4 * error)  # Phi(0.7 / sqrt(2))
    weighted, error = auc_and_error(x, y, 0, np.exp(-0.7 * y[:, 0]))
    assert error is not None
    assert weighted == pytest.approx(0.5, abs=4 * error)


@pytest.mark.parametrize("name", [name for name, one in PROBLEMS.items() if name.startswith(("g", "r", "s", "c", "f"))])
def test_a_toy_divides_into_halves_that_are_judged_alike(name: str) -> None:
    problem = PROBLEMS[name]
    halves = Halves.of(problem.make(0, Places()))
    assert halves.judged == 6000
    for table in vars(halves).values():
        assert set(table) == {*problem.columns, *problem.conditions}


def test_every_variant_of_a_method_that_is_there_is_a_recipe(tmp_path: Path) -> None:
    there = [name for name, variant in VARIANTS.items() if variant.there]
    assert "quantile" in there
    for name in there:
        recipe = recipe_of(PROBLEMS["rotated-four_circles"], name, tmp_path)
        assert recipe.method == VARIANTS[name].method
        assert recipe.training.steps == STEPS.get(recipe.method)
        assert recipe_of(PROBLEMS["rotated-four_circles"], name, tmp_path, 10.0).training.steps is None
    made = {(cell.problem, cell.method) for cell in cells(1)}
    assert {("gaussians-2d", name) in made for name in there if VARIANTS[name].conditional} <= {False}


def test_mismeasured_dijets_are_wider_and_off_their_scale() -> None:
    rng = RNG(3)
    table = {name: rng.normal(100, 1, 20_000) for name in ("m_jj", "tau21_1")}
    wrong = mismeasured(table, rng)
    assert wrong["tau21_1"].mean() == pytest.approx(120, rel=0.01)
    assert wrong["tau21_1"].std() > 10


def test_a_table_of_all_methods_has_what_was_there_before_and_what_each_has_moved(
    capsys: pytest.CaptureFixture[str],
) -> None:
    lines = [
        {"problem": "p", "method": "nothing", "before": [0.7, 0.003], "floor": [0.5, 0.004]},
        {"problem": "p", "method": "quantile", "after": [0.6, 0.03], "movement": 0.25, "effective": 6000.0},
        {"problem": "p", "method": "quantile", "after": [0.5, 0.04], "movement": 0.35, "effective": 6000.0},
        {"problem": "q", "method": "boosted", "after": [0.52, None], "effective": 1234.4},
    ]
    print_overview(lines)
    assert capsys.readouterr().out.splitlines() == [
        "| AUC | p | q |",
        "| --- | --- | --- |",
        "| before | 0.700 +- 0.003 |  |",
        "| target against target | 0.500 +- 0.004 |  |",
        "| quantile | 0.550 +- 0.035 (0.300) |  |",
        "| boosted |  | 0.520 (1234 events) |",
    ]


def test_pages_show_what_was_measured(capsys: pytest.CaptureFixture[str]) -> None:
    lines = [json.loads(line) for line in (ROOT / "benchmarks/results/morphing.jsonl").read_text().splitlines()]
    assert {line["problem"] for line in lines} <= set(PROBLEMS)
    assert {line["method"] for line in lines} <= {"nothing", *VARIANTS}
    print_overview(lines)
    assert capsys.readouterr().out in (ROOT / "docs/morphing.md").read_text()
    print_tables(lines)
    assert capsys.readouterr().out in (ROOT / "docs/morphing_benchmark.md").read_text()
