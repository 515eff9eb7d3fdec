"""At its end a training says how well held-out events are told from the target, and warns where it made them worse."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import uproot
from torch import Tensor

from hepgen.config.load import parse_recipe
from hepgen.config.morph import MorphRecipe
from hepgen.morphing.model import MorphModel
from hepgen.morphing.quantile import QuantileMorph
from hepgen.runs.morph import train_morph

SIZE = 1500


class Listener:
    """Keeps what a training says."""

    def __init__(self) -> None:
        self.words: list[str] = []

    def update(self, stage: str, step: int, steps: int, loss: float, rate: float) -> None:
        del stage, step, steps, loss, rate

    def message(self, text: str) -> None:
        self.words.append(text)


def _file(path: Path, seed: int, shift: float, size: int = SIZE) -> Path:
    """c, x = c + noise + shift, and weights of both signs that change nothing."""
    random = np.random.default_rng(seed)
    c = random.normal(0, 1, size)
    columns = {"c": c, "x": c + random.normal(shift, 0.5, size), "n": random.poisson(3, size).astype(np.int32)}
    with uproot.recreate(path) as file:
        file["events"] = {**columns, "w": np.where(np.arange(size) % 10 == 0, -1.0, 1.0)}
    return path


def _train(folder: Path, shift: float, **more: Any) -> tuple[MorphModel, list[str]]:
    content = {
        "task": "morph", "name": "test", "columns": ["x", "n"], "method": "quantile",
        "source": {"files": [str(_file(folder / "a.root", 0, 0.0))], "weight": "w"},
        "target": {"files": [str(_file(folder / "b.root", 1, shift))]},
        "representation": {"kind": "table", "conditions": ["c"]},
        "split": {"method": "fraction", "validation": 0.3},
    }  # fmt: skip
    recipe = parse_recipe({**content, **more})
    assert isinstance(recipe, MorphRecipe)
    listener = Listener()
    return train_morph(recipe, folder / "run", seed=3, progress=listener), listener.words


def test_a_good_map_is_shown_to_be_one_and_a_finished_run_says_it_again(tmp_path: Path) -> None:
    model, words = _train(tmp_path, 1.0)
    found = model.held_out
    assert found is not None
    assert found.before is not None
    assert found.after is not None
    assert found.before.value > 0.8
    assert found.after.value < 0.6
    assert found.warning == ""
    assert found.matched is None
    assert 300 < found.events < 600
    assert found.effective < 0.8 * found.events  # the negative weights
    assert found.words()[0] in words
    assert "--budget does not count" in " ".join(words)
    assert MorphModel.load(tmp_path / "run").held_out == found
    card = (tmp_path / "run" / "model" / "README.md").read_text()
    assert f"| source, moved | {found.after.value:.4f} |" in card
    listener = Listener()
    recipe = parse_recipe(model.recipe)
    assert isinstance(recipe, MorphRecipe)
    train_morph(recipe, tmp_path / "run", resume=True, progress=listener)
    assert listener.words[1:] == found.words()


def test_a_map_between_equal_samples_that_moves_is_warned_of(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def scramble(self: QuantileMorph, x: Tensor, *rest: object) -> Tensor:
        del self, rest
        return x + 0.7

    monkeypatch.setattr(QuantileMorph, "forward", scramble)
    model, _ = _train(tmp_path, 0.0)
    assert model.held_out is not None
    assert "worse than doing nothing" in model.held_out.warning
    assert f"**{model.held_out.warning}**" in (tmp_path / "run" / "model" / "README.md").read_text()


def test_weights_of_one_side_alone_are_weights(tmp_path: Path) -> None:
    """A target with weights and a source without, and the other way round: both count in the scales of the columns."""
    for which in ("source", "target"):
        sides = {
            side: {"files": [str(tmp_path / which / f"{name}.root")]}
            for side, name in (("source", "a"), ("target", "b"))
        }
        sides[which]["weight"] = "w"
        (tmp_path / which).mkdir()
        model, _ = _train(tmp_path / which, 1.0, **sides)
        assert model.held_out is not None
        assert model.held_out.warning == ""


@pytest.mark.parametrize("closure", [False, True])
def test_weights_are_judged_as_weights(tmp_path: Path, closure: bool) -> None:
    options = {"boosted": {"trees": 30}}
    model, _ = _train(tmp_path, 0.5, method="boosted", options=options, closure=closure)
    found = model.held_out
    assert found is not None
    if closure:
        assert "200 are needed" in found.reason  # a half of the validation events, with negative weights
        assert model.facts["closure"]["holds"]
        return
    assert found.before is not None
    assert found.after is not None
    assert found.verb == "weighted"
    assert found.after.value < found.before.value - 0.05


def _same(folder: Path) -> dict[str, Any]:
    return {side: {"files": [str(folder / "a.root")]} for side in ("source", "target")}


def _few(folder: Path) -> dict[str, Any]:
    del folder
    return {"split": {"method": "fraction", "validation": 0.02}}


def _none(folder: Path) -> dict[str, Any]:
    del folder
    return {"split": {"method": "fraction", "validation": 0.0}}


@pytest.mark.parametrize(
    ("more", "reason"), [(_same, ""), (_few, "200 are needed"), (_none, "holds none back")], ids=["same", "few", "none"]
)
def test_what_cannot_be_judged_is_said(more: Callable[[Path], dict[str, Any]], reason: str, tmp_path: Path) -> None:
    model, words = _train(tmp_path, 0.5, **more(tmp_path))
    found = model.held_out
    assert found is not None
    if reason:
        assert reason in found.reason
        assert f"held-out events are not judged: {found.reason}" in words
        return
    # Both sides are one file: no event stands on both sides, where its twin would bring the AUC far below one half.
    assert found.before is not None
    assert found.before.value == pytest.approx(0.5, abs=0.08)
    assert found.events < 300
