"""Training and sampling on a GPU, where there is one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import awkward as ak
import numpy as np
import pytest
import torch

from hepgen.config.families import FAMILIES
from hepgen.config.recipe import Recipe
from hepgen.errors import Interrupted
from hepgen.runs.train import train_run
from hepgen.sampling.run import sample_events
from hepgen.surrogate.surrogate import Surrogate

DATA = Path(__file__).parents[1] / "data"
DEVICE = "cuda" if torch.cuda.is_available() else "cpu"
SMALL = {
    "coupling": {"layers": 2, "hidden": [16], "bins": 4},
    "gan": {"latent": 4, "hidden": [16], "critic_hidden": [16]},
}

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA device here")


def recipe(family: str, kind: str, **training: Any) -> Recipe:
    representation: dict[str, Any] = {"kind": "table"}
    if kind == "calorimeter":
        representation = {"kind": kind, "binning": str(DATA / "binning_photons.xml"), "augment": ["rotation"]}
    return Recipe.model_validate(
        {
            "name": "gpu",
            "data": {"files": [str(DATA / ("photons.hdf5" if kind == "calorimeter" else "ttbar.root"))]},
            "representation": representation,
            "generator": family,
            "options": {family: SMALL.get(family, {})},
            "training": {"steps": 20, "batch_size": 64, "validate_every": 10, **training},
            "sampling": {"block_size": 100},
        }
    )


def numbers(surrogate: Surrogate, events: int = 300) -> np.ndarray:
    made = ak.concatenate(list(sample_events(surrogate, events, seed=3)))
    columns = [ak.to_numpy(made[name]).reshape(events, -1).astype(np.float64) for name in made.fields]
    return np.concatenate(columns, axis=1)


@pytest.mark.parametrize("kind", ["calorimeter", "table"])
@pytest.mark.parametrize("precision", ["float32", "bf16", "fp16"])
@pytest.mark.parametrize("family", sorted(FAMILIES))
def test_a_model_of_the_gpu_gives_the_same_events_on_the_cpu(
    family: str, precision: str, kind: str, tmp_path: Path
) -> None:
    train_run(recipe(family, kind, precision=precision), tmp_path / "run", seed=1, device=DEVICE)
    there, here = (numbers(Surrogate.load(tmp_path / "run", device=device)) for device in (DEVICE, "cpu"))
    assert np.isfinite(here).all() == np.isfinite(there).all()
    # Sums in another order: a voxel at the threshold may fall on its other side, and little else.
    close = np.isclose(there, here, rtol=1e-2, atol=1e-3, equal_nan=True)
    assert close.mean() > 0.99


@pytest.mark.parametrize("family", sorted(FAMILIES))
def test_an_interrupted_training_goes_on_on_the_gpu(family: str, tmp_path: Path) -> None:
    chosen = recipe(family, "table", steps=100, checkpoint_every=1e-9)
    with pytest.raises(Interrupted):
        train_run(chosen, tmp_path / "run", seed=1, device=DEVICE, max_time=1e-3)
    train_run(chosen, tmp_path / "run", seed=1, device=DEVICE, resume=True)
    assert np.isfinite(numbers(Surrogate.load(tmp_path / "run"), 50)[:, 0]).all()


def test_a_compiled_flow_trains_on_the_gpu(tmp_path: Path) -> None:
    train_run(recipe("coupling", "table", compile=True), tmp_path / "run", seed=1, device=DEVICE)
    assert len(numbers(Surrogate.load(tmp_path / "run", device=DEVICE), 50)) == 50
