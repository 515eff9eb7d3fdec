"""Images of jets from a file to a surrogate and back, with their shape, branch and unit."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import awkward as ak
import numpy as np
import pytest
import torch
from tables import DATA

from hepgen.config.recipe import Recipe
from hepgen.errors import InputFileError
from hepgen.evaluation.run import evaluate
from hepgen.events.convert import convert_file
from hepgen.events.reader import open_events
from hepgen.events.writer import create_writer
from hepgen.physics.binning import Binning
from hepgen.physics.observables import center_and_width
from hepgen.representations.registry import build
from hepgen.runs.train import train_run
from hepgen.sampling.run import sample_to_file
from hepgen.surrogate.surrogate import Surrogate

AXIS = {"bins": 8, "low": -0.8, "high": 0.8}
GRID: dict[str, Any] = {"pixels": {"x_edges": AXIS, "y_edges": {**AXIS, "bins": 6}}, "length_unit": ""}


def images(folder: Path, name: str) -> Path:
    convert_file(open_events(DATA / "jets.root"), folder / name, "images", binning=Binning.from_dict(GRID))
    return folder / name


def recipe(path: Path, **representation: Any) -> Recipe:
    return Recipe.model_validate(
        {
            "name": "images",
            "data": {"files": [str(path)]},
            "representation": {
                "kind": "calorimeter", "binning": GRID, "voxels": "image", "threshold": 0.45,
                "augment": ["rotation", "reflection"], **representation,
            },
            "generator": "coupling",
            "options": {"coupling": {"layers": 2, "hidden": [16], "bins": 4}},
            "sampling": {"block_size": 100},
            "training": {"steps": 6, "batch_size": 32, "validate_every": 3},
        }
    )  # fmt: skip


@pytest.mark.parametrize("name", ["images.root", "images.h5"])
@pytest.mark.parametrize("energy", ["jet_pt", None])
def test_images_come_back_with_their_shape_and_unit(name: str, energy: str | None, tmp_path: Path) -> None:
    path = images(tmp_path, name)
    surrogate = train_run(recipe(path, energy=energy, conditions=["jet_mass"]), tmp_path / "run", seed=1)
    out = tmp_path / f"made_{name}"
    sample_to_file(surrogate, out, 150, seed=2)
    true, made = open_events(path), open_events(out)
    known = {one.name: one for one in true.schema}
    expected = {"image", "jet_mass", *([energy] if energy else [])}
    assert {one.name for one in made.schema} == expected
    for one in made.schema:
        assert (one.dtype, one.shape, one.unit) == (known[one.name].dtype, known[one.name].shape, known[one.name].unit)
    pixels = ak.to_numpy(next(iter(made.batches())).image)
    assert pixels.shape == (150, 8, 6)
    assert made.schema.tree == true.schema.tree
    assert ((pixels == 0) | (pixels >= 0.45)).all()
    assert [one.unit for one in surrogate.representation.validity][:1] == (["GeV"] if energy else [""])


SPARSE: dict[str, Any] = {"empty": "apart", "shape_first": True, "layer_noise": 0.0, "threshold": 0.5}


@pytest.mark.parametrize("more", [{}, SPARSE, {"empty": "apart"}], ids=["plain", "shape first", "apart"])
@pytest.mark.parametrize("energy", ["jet_pt", None])
def test_decoding_undoes_the_features_of_an_image(energy: str | None, more: dict[str, Any], tmp_path: Path) -> None:
    source = open_events(images(tmp_path, "images.root"))
    options = recipe(tmp_path, energy=energy, **more).representation.model_dump()
    representation = build(options, source.schema)
    representation.fit(source)
    representation = type(representation).from_state(representation.state())
    batch = next(iter(source.batches()))[:200]
    cached = representation.encode(representation.pack(batch))
    so_far = representation.start(cached["condition"])
    for stage in representation.stages:
        z = torch.rand(200, stage.noise, generator=torch.Generator().manual_seed(1))
        x, _ = representation.features(stage.name, cached, z)
        so_far = representation.decode(stage.name, x, so_far, torch.rand(200, stage.unnoise))
    back = ak.to_numpy(representation.unpack(so_far).image)
    np.testing.assert_allclose(back, ak.to_numpy(batch.image), rtol=3e-3, atol=1e-2)


def test_an_image_whose_shape_is_made_first_keeps_to_it(tmp_path: Path) -> None:
    """Whatever network makes the pixels: here one that was not trained."""
    path = images(tmp_path, "images.root")
    wanted = recipe(path, energy="jet_pt", conditions=["jet_mass"], **SPARSE).model_dump(mode="json")
    wanted |= {
        "generator": "matching",
        "options": {"matching": {"layers": 1, "hidden": 16, "per_feature": 8, "steps": 2}},
    }
    wanted["stages"] = {"energies": {"generator": "coupling", "training": {"steps": 300}}}
    surrogate = train_run(Recipe.model_validate(wanted), tmp_path / "run", seed=1)
    sample_to_file(Surrogate.load(tmp_path / "run"), tmp_path / "made.root", 300, seed=2)
    binning = Binning.from_dict(GRID)
    hits, widths = [], []
    for file in (path, tmp_path / "made.root"):
        pixels = ak.to_numpy(ak.concatenate(list(open_events(file).batches())).image).reshape(-1, binning.num_voxels)
        pixels = np.where(pixels >= 0.5, pixels, 0)
        hits.append((pixels > 0).sum(1))
        widths.append(center_and_width(pixels, binning.eta)[1])
    assert surrogate.representation.stages[0].features == 7
    assert abs(hits[1].mean() - hits[0].mean()) < 0.2 * hits[0].mean()
    assert abs(widths[1].mean() - widths[0].mean()) < 0.2 * widths[0].mean()


def test_a_transposed_grid_is_refused(tmp_path: Path) -> None:
    source = open_events(images(tmp_path, "images.root"))
    swapped = {"pixels": {"x_edges": GRID["pixels"]["y_edges"], "y_edges": AXIS}, "length_unit": ""}
    options = recipe(tmp_path, energy="jet_pt", binning=swapped).representation.model_dump()
    with pytest.raises(InputFileError, match="6 x 8 pixels"):
        build(options, source.schema)


@pytest.mark.parametrize("energy", ["jet_pt", None])
def test_the_evaluation_sees_images_that_are_shifted_by_a_pixel(energy: str | None, tmp_path: Path) -> None:
    source = open_events(images(tmp_path, "images.root"))
    batch = next(iter(source.batches()))
    half = len(batch) // 2
    pixels = ak.to_numpy(batch.image)
    samples = {"true": (batch[:half], pixels[:half]), "same": (batch[half:], pixels[half:])}
    samples["shifted"] = (batch[half:], np.roll(pixels[half:], 1, axis=1))
    for name, (events, values) in samples.items():
        record = ak.with_field(events, ak.from_numpy(values, regulararray=True), "image")
        with create_writer(tmp_path / f"{name}.root", source.schema) as writer:
            writer.write(record)
    asked: dict[str, Any] = {"kind": "calorimeter", "binning": Binning.from_dict(GRID), "voxels": "image"}
    found = {}
    for name in ("same", "shifted"):
        pair = (open_events(tmp_path / f"{one}.root") for one in ("true", name))
        found[name] = evaluate(*pair, **asked, energy=energy, quick=True)
    image = found["same"].images[0]
    assert (image.name, image.unit, len(image.rows), len(image.rows[0].reference)) == ("image_0", "GeV", 8, 6)
    np.testing.assert_allclose([row.reference for row in image.rows], pixels[:half].mean(axis=0), rtol=1e-5)
    names = set(found["same"].scores)
    assert ("separation.response" in names) == (energy is not None)
    separation = {name: report.scores["separation.center_eta.0"].value for name, report in found.items()}
    assert separation["shifted"] > 0.9 > 3 * separation["same"]


def test_the_noise_of_empty_pixels_told_apart_does_not_change_the_density_of_an_image(tmp_path: Path) -> None:
    """log q(x) of the noise's own law and the determinant: together they hold no noise any more."""
    source = open_events(images(tmp_path, "images.root"))
    representation = build(recipe(tmp_path, energy="jet_pt", **SPARSE).representation.model_dump(), source.schema)
    representation.fit(source)
    cached = representation.encode(representation.pack(next(iter(source.batches()))[:50]))
    empty = cached["voxels"] == 0
    found = []
    for seed in (1, 2):
        noise = torch.rand(50, representation.stages[1].noise, generator=torch.Generator().manual_seed(seed))
        normal = torch.special.ndtri(noise[:, : empty.shape[1]].double())
        law = torch.where(empty, -0.5 * normal.square(), 0.0).sum(1)
        found.append(representation.log_abs_det("shapes", cached, noise) + law)
    torch.testing.assert_close(found[0], found[1], rtol=1e-4, atol=1e-2)
