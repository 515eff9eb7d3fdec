"""The study of side-band templates: how events are divided, and what is quoted."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from morph_problems import SIX
from template import (
    FEATURES,
    INJECTED,
    MASS,
    SURVIVE,
    TEMPLATES,
    Study,
    cells,
    features,
    print_table,
    recipe_of,
    scores,
    significance_improvement,
)

RNG = np.random.default_rng


def table(events: int, mass: tuple[float, float], value: float) -> dict[str, np.ndarray]:
    """Every event has numbers of its own, so that it is known again."""
    rng = RNG(events)
    return {name: rng.uniform(*mass, events) if name == MASS else value + np.arange(events) for name in SIX}


def test_no_event_is_in_two_parts_and_the_injected_ones_are_in_the_data() -> None:
    background, signal = table(3000, (2500, 5000), 0.0), table(300, (3350, 3650), 1e6)
    for injected in (0, 100):
        study = Study.of(background, signal, injected, RNG(1))
        names = [set(part[FEATURES[0]]) for part in vars(study).values()]
        assert sum(map(len, names)) == len(set().union(*names))
        assert (study.data[FEATURES[0]] >= 1e6).sum() == injected
        assert len(study.signal[MASS]) == len(study.test_signal[MASS]) == (300 - injected) // 2
        assert study.data[MASS].min() >= 3300
        assert study.data[MASS].max() < 3700
        masses = study.side_bands[MASS]
        assert ((masses < 3300) | (masses >= 3700)).all()


def test_the_improvement_is_that_of_the_best_cut_that_enough_events_survive() -> None:
    rng = RNG(2)
    signal, background = rng.normal(2, 1, 4000), rng.normal(0, 1, 4000)
    found = significance_improvement(signal, background)
    cut = found["cut"]
    assert found["survivors"] == (background >= cut).sum() >= 25
    assert found["sic"] == pytest.approx((signal >= cut).mean() / np.sqrt((background >= cut).mean()))
    stricter = significance_improvement(signal, background, 400)
    assert stricter["survivors"] >= 400
    assert stricter["sic"] < found["sic"]
    nothing = significance_improvement(rng.normal(size=4000), background, 100)
    assert nothing["sic"] < 1 + 5 * nothing["sic_error"]


def test_a_weakly_supervised_classifier_finds_what_is_mixed_in() -> None:
    rng = RNG(3)

    def sample(events: int, shift: float) -> dict[str, np.ndarray]:
        return {name: rng.normal(shift, 1, events) for name in SIX}

    data = np.concatenate([features(sample(900, 0.0)), features(sample(300, 2.0))])
    tested = [features(sample(500, 2.0)), features(sample(500, 0.0))]
    signal, background = scores(data, features(sample(2000, 0.0)), tested, 0)
    assert signal.mean() > background.mean() + 0.2
    assert 0.2 < background.mean() < 0.6  # classes are balanced, whatever their sizes


def test_every_template_that_is_there_has_a_recipe_and_cells(tmp_path: Path) -> None:
    made = {(cell.template, cell.injected) for cell in cells(1)}
    for name, template in TEMPLATES.items():
        assert ((name, INJECTED[-1]) in made) == template.there
        if template.there:
            assert recipe_of(template, tmp_path).representation.conditions == [MASS]


def test_the_page_shows_what_was_measured(capsys: pytest.CaptureFixture[str]) -> None:
    root = Path(__file__).parents[2]
    lines = [json.loads(line) for line in (root / "benchmarks/results/template.jsonl").read_text().splitlines()]
    assert {line["injected"] for line in lines} == set(INJECTED)
    assert all(line["survivors"] >= SURVIVE for line in lines)
    print_table(lines)
    assert capsys.readouterr().out in (root / "docs/morphing.md").read_text()
