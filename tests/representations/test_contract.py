"""What every registered kind of representation must do."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import awkward as ak
import pytest
import torch
from tables import DATA, ttbar_source

from hepgen.events.reader import open_events
from hepgen.events.source import EventSource
from hepgen.representations.base import Representation, Stage, Tensors
from hepgen.representations.registry import KINDS, build, from_state


def photons() -> tuple[dict[str, object], EventSource]:
    options = {
        "kind": "calorimeter", "binning": str(DATA / "binning_photons.xml"), "energy": "incident_energy",
        "voxels": "voxel_energy", "conditions": [], "threshold": 0.0, "layer_noise": 0.2, "augment": ["rotation"],
    }  # fmt: skip
    return options, open_events(Path(DATA / "photons.hdf5"))


def ttbar() -> tuple[dict[str, object], EventSource]:
    return {"kind": "table", "conditions": ["met"], "mirror": [["*_eta"]]}, ttbar_source()


def jets() -> tuple[dict[str, object], EventSource]:
    options = {"kind": "particle_cloud", "conditions": ["jet_pdgid", "jet_pt"], "augment": ["reflection", "rotation"]}
    return options, open_events(Path(DATA / "jets.root"))


CASES: dict[str, Callable[[], tuple[dict[str, object], EventSource]]] = {
    "calorimeter": photons,
    "particle_cloud": jets,
    "table": ttbar,
}
EVENTS = 200

Case = tuple[Representation, ak.Array]


@pytest.fixture(scope="module", params=sorted(KINDS))
def case(request: pytest.FixtureRequest) -> Case:
    options, source = CASES[request.param]()
    representation = build(options, source.schema)
    representation.fit(source)
    return representation, next(iter(source.batches()))[:EVENTS]


def noise(count: int, points: int = 0, seed: int = 1) -> torch.Tensor:
    shape = (EVENTS, points, count) if points else (EVENTS, count)
    return torch.rand(shape, generator=torch.Generator().manual_seed(seed))


def points_of(representation: Representation, stage: Stage, cached: Tensors) -> int:
    mask = representation.mask(stage.name, cached)
    return 0 if mask is None else mask.shape[1]


def test_the_stages_lead_from_events_to_features_and_back(case: Case) -> None:
    representation, batch = case
    assert isinstance(representation, Representation)
    cached = representation.encode(representation.pack(batch))
    made = representation.start(representation.pack(batch)["condition"])
    for stage in representation.stages:
        points = points_of(representation, stage, cached)
        x, condition = representation.features(stage.name, cached, noise(stage.noise, points))
        assert x.shape == ((EVENTS, points, stage.features) if points else (EVENTS, stage.features))
        assert condition.shape == (EVENTS, stage.conditions)
        assert bool(torch.isfinite(x).all() and torch.isfinite(condition).all())
        torch.testing.assert_close(representation.stage_condition(stage.name, made), condition)
        if points:
            assert points <= stage.points
            assert bool((x[~representation.mask(stage.name, made)] == 0).all())
        else:
            assert representation.log_abs_det(stage.name, cached, noise(stage.noise)).shape == (EVENTS,)
        made = representation.decode(stage.name, x, made, noise(stage.unnoise))
    back = representation.unpack(made)
    assert set(back.fields) == {name for name in batch.fields if name in back.fields}
    assert len(back) == EVENTS


def test_a_symmetry_changes_no_condition_and_gives_features_of_the_same_kind(case: Case) -> None:
    representation, batch = case
    cached = representation.encode(representation.pack(batch))
    turned = representation.augment(cached, noise(1)[:, 0])
    given = [name for name in cached if name.endswith("condition")]
    assert given
    assert all(torch.equal(turned[name], cached[name]) for name in given)
    for stage in representation.stages:
        points = points_of(representation, stage, cached)
        x, condition = representation.features(stage.name, turned, noise(stage.noise, points))
        assert x.shape[-1] == stage.features
        assert bool(torch.isfinite(x).all() and torch.isfinite(condition).all())


def test_observables_are_standardised_and_have_a_gradient(case: Case) -> None:
    representation, batch = case
    cached = representation.encode(representation.pack(batch))
    for stage in representation.stages:
        still = torch.full_like(noise(stage.noise, points_of(representation, stage, cached)), stage.still)
        x, _ = representation.features(stage.name, cached, still)
        x.requires_grad_()
        seen = representation.observables(stage.name, x, cached)
        assert seen.shape == (EVENTS, stage.observables)
        if stage.observables:
            assert float(seen.detach().mean(0).abs().max()) < 0.5
            assert float(seen.detach().std(0).median()) == pytest.approx(1.0, abs=0.3)
            (slope,) = torch.autograd.grad(seen.sum(), x)
            assert bool(torch.isfinite(slope).all())
            assert bool((slope != 0).any(0).all())


def test_observables_are_computed_where_the_features_are(case: Case) -> None:
    representation, batch = case
    cached = representation.encode(representation.pack(batch))
    elsewhere = {name: tensor.to("meta") for name, tensor in cached.items()}
    for stage in representation.stages:
        x = torch.empty(EVENTS, stage.features, device="meta")
        assert representation.observables(stage.name, x, elsewhere).device.type == "meta"


def test_observables_of_anything_are_finite(case: Case) -> None:
    representation, batch = case
    cached = representation.encode(representation.pack(batch))
    for stage in representation.stages:
        for scale in (0.0, 1.0, -1e3, 1e3, 1e30):
            x = (scale * (noise(stage.features) - 0.3)).requires_grad_()
            seen = representation.observables(stage.name, x, cached)
            assert bool(torch.isfinite(seen).all())
            if stage.observables:
                assert bool(torch.isfinite(torch.autograd.grad(seen.sum(), x)[0]).all())


def test_the_state_is_plain_numbers_and_restores_the_same_features(case: Case) -> None:
    representation, batch = case
    state = json.loads(json.dumps({**representation.state(), "kind": representation.kind}))
    again = from_state(state)
    cached = representation.encode(representation.pack(batch))
    for stage, other in zip(representation.stages, again.stages, strict=True):
        assert stage == other
        numbers = noise(stage.noise, points_of(representation, stage, cached))
        expected = representation.features(stage.name, cached, numbers)
        found = again.features(stage.name, cached, numbers)
        assert all(torch.equal(a, b) for a, b in zip(expected, found, strict=True))
        seen = [one.observables(stage.name, expected[0], cached) for one in (representation, again)]
        assert torch.equal(*seen)
    assert again.validity == representation.validity
    assert again.condition_names == representation.condition_names
