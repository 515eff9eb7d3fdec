"""Jets with all their constituents, to latent space and back."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import awkward as ak
import numpy as np
import pytest
import torch
from tables import DATA

from hepgen.errors import ConfigError, HepgenError, InputFileError, RowError
from hepgen.events.convert import convert_file
from hepgen.events.reader import open_events
from hepgen.events.schema import Column, schema_of
from hepgen.events.source import EventSource, MemorySource
from hepgen.physics.jets import exclusive_kt_axes, summed, wrapped
from hepgen.representations.base import COUNT, Tensors
from hepgen.representations.cloud_layout import CloudLayout
from hepgen.representations.particle_cloud import CONSTITUENTS, ParticleCloudRepresentation


def fitted(source: EventSource, **options: Any) -> ParticleCloudRepresentation:
    representation = ParticleCloudRepresentation(source.schema, **options)
    representation.fit(source)
    return representation


def there_and_back(cloud: ParticleCloudRepresentation, physical: Tensors) -> Tensors:
    cached = cloud.encode(physical)
    made = cloud.start(physical["condition"])
    random = torch.Generator().manual_seed(3)
    for stage in cloud.stages:
        mask = cloud.mask(stage.name, cached)
        events = (len(physical["condition"]),) if mask is None else mask.shape
        x, _ = cloud.features(stage.name, cached, torch.rand(*events, stage.noise, generator=random))
        made = cloud.decode(stage.name, x, made, torch.rand(len(x), stage.unnoise))
    return made


def generated(cloud: ParticleCloudRepresentation, condition: torch.Tensor, seed: int, width: float = 1.0) -> Tensors:
    """What is decoded of normal noise of this width."""
    random = torch.Generator().manual_seed(seed)
    made = cloud.start(condition)
    for stage in cloud.stages:
        mask = cloud.mask(stage.name, made)
        shape = (len(condition),) if mask is None else mask.shape
        x = width * torch.randn(*shape, stage.features, generator=random)
        made = cloud.decode(stage.name, x, made, torch.rand(len(condition), stage.unnoise))
    return made


def momenta(events: ak.Array) -> tuple[Any, Any]:
    """Sums of the constituents with their energies, and what the file says of the jets: pt, eta, phi, mass."""
    counts = ak.to_numpy(ak.num(events.part_pt))
    pt, eta, phi, energy = (
        ak.to_numpy(ak.flatten(events[f"part_{name}"])).astype(float) for name in ("pt", "eta", "phi", "energy")
    )
    square = energy**2 - (pt * np.cosh(eta)) ** 2
    total = summed(pt, eta, phi, np.sign(square) * np.sqrt(np.abs(square)), counts)
    return np.stack([total.pt, total.eta, total.phi, total.mass]), np.stack(
        [ak.to_numpy(events[f"jet_{name}"]) for name in ("pt", "eta", "phi", "mass")]
    )


@pytest.fixture(scope="module")
def jets() -> tuple[EventSource, ParticleCloudRepresentation]:
    source = open_events(DATA / "jets.root")
    return source, fitted(source, conditions=("jet_pdgid", "jet_pt"), augment=("reflection", "rotation"))


@pytest.fixture(scope="module")
def jetnet() -> tuple[EventSource, ParticleCloudRepresentation]:
    source = open_events(DATA / "jetnet.hdf5")
    return source, fitted(source)


def test_the_jets_of_a_root_file_come_back(jets: tuple[EventSource, ParticleCloudRepresentation]) -> None:
    source, cloud = jets
    batch = next(iter(source.batches()))
    assert cloud.tables.facts.kept == {"pt": "jet_pt", "eta": "jet_eta", "phi": "jet_phi", "mass": "jet_mass"}
    back = cloud.unpack(there_and_back(cloud, cloud.pack(batch)))
    assert set(back.fields) == set(batch.fields)
    for name in batch.fields:
        assert str(back[name].type) == str(batch[name].type)
        if name in {"part_energy", "jet_mass"}:  # the file's are rounded, ours are of the particle's mass
            continue
        apart = ak.to_numpy(ak.flatten(back[name] - batch[name], axis=None)).astype(float)
        if name.endswith("phi"):
            apart = (apart + np.pi) % (2 * np.pi) - np.pi
        scale = np.abs(ak.to_numpy(ak.flatten(batch[name], axis=None))) if name.endswith("pt") else 1.0
        assert (np.abs(apart) <= 1e-4 * scale).all(), name
    total, given = momenta(back)
    np.testing.assert_allclose(total[0], given[0], rtol=1e-4)
    np.testing.assert_allclose(total[1:3], given[1:3], atol=1e-4)
    np.testing.assert_allclose(total[3], given[3], atol=1e-4 * given[0].max())


@pytest.mark.parametrize("seed", [1, 2])
def test_whatever_is_generated_is_a_jet(jets: tuple[EventSource, ParticleCloudRepresentation], seed: int) -> None:
    source, cloud = jets
    condition = cloud.pack(next(iter(source.batches())))["condition"]
    made = generated(cloud, condition, seed, 1.5)
    events = cloud.unpack(made)
    counts = ak.to_numpy(ak.num(events.part_pt))
    assert (counts == made[COUNT].numpy()).all()
    assert (counts >= 1).all()
    for name in events.fields:
        assert bool(ak.all(np.isfinite(events[name]), axis=None))
        if events[name].ndim > 1:
            assert (ak.to_numpy(ak.num(events[name])) == counts).all()
        elif name.startswith("npart"):
            assert (ak.to_numpy(events[name]) == counts).all()
    assert ak.min(events.part_pt) >= 0.5
    assert ak.all(events.part_pt[:, 1:] <= events.part_pt[:, :-1])
    total, given = momenta(events)
    np.testing.assert_allclose(total[0], given[0], rtol=1e-4)
    np.testing.assert_allclose(total[1], given[1], atol=1e-4)
    np.testing.assert_allclose(np.cos(total[2] - given[2]), 1.0, atol=1e-8)
    np.testing.assert_allclose(total[3], given[3], atol=1e-4 * given[0].max())
    np.testing.assert_allclose(ak.to_numpy(events.jet_pt), condition[:, 1], rtol=1e-5)
    known = set(ak.to_numpy(ak.flatten(next(iter(source.batches())).part_pdgid)).tolist())
    assert set(ak.to_numpy(ak.flatten(events.part_pdgid)).tolist()) <= known
    charged = ak.to_numpy(ak.flatten(np.abs(events.part_pdgid) == 211))
    assert (np.abs(ak.to_numpy(ak.flatten(events.part_charge)))[charged] == 1).all()


def test_jetnet_files_come_back(jetnet: tuple[EventSource, ParticleCloudRepresentation]) -> None:
    source, cloud = jetnet
    batch = next(iter(source.batches()))
    assert cloud.tables.facts.tied == ("num_particles",)
    back = cloud.unpack(there_and_back(cloud, cloud.pack(batch)))
    for name in batch.fields:
        assert str(back[name].type) == str(batch[name].type)
        np.testing.assert_allclose(ak.to_numpy(back[name]), ak.to_numpy(batch[name]), rtol=2e-4, atol=1e-5)


def test_constituents_of_whole_jets_of_jetnet_sum_to_their_jets(tmp_path: Path) -> None:
    """Relative to the jet they would not: its pseudorapidity is no sum of relative ones."""
    convert_file(open_events(DATA / "jets.root"), tmp_path / "whole.hdf5", "jetnet", particles=250)
    source = open_events(tmp_path / "whole.hdf5")
    cloud = fitted(source)
    assert cloud.tables.facts.kept == {
        "pt": "jet_pt",
        "eta": "jet_eta",
    }  # without masses of constituents it is another mass
    batch = next(iter(source.batches()))
    cloud = ParticleCloudRepresentation.from_state(cloud.state())
    made = generated(cloud, cloud.pack(batch)["condition"], 6)
    (total, ratio), (_, true_ratio) = (_sums_of_jetnet(events) for events in (cloud.unpack(made), batch))
    assert total < 1e-4
    assert true_ratio.min() - 1e-3 <= ratio.min()
    assert ratio.max() <= true_ratio.max() + 1e-3
    assert abs(ratio.mean() - true_ratio.mean()) < 3 * true_ratio.std() / np.sqrt(len(ratio)) + 1e-3


def _sums_of_jetnet(events: ak.Array) -> tuple[float, Any]:
    """The largest difference of pt, over pt, and eta to those of the sums, and masses of the sums over those of the jets."""
    pt, eta, mass = ak.to_numpy(events.jet_features).astype(np.float64).T[:3]
    parts = ak.to_numpy(events.particle_features).astype(np.float64)
    there = parts[..., 3] > 0
    placed = parts[..., 2] * pt[:, None], parts[..., 0] + eta[:, None], parts[..., 1]
    total = summed(*(one[there] for one in placed), np.zeros(there.sum()), there.sum(1))
    return max(np.abs(total.pt / pt - 1).max(), np.abs(total.eta - eta).max()), total.mass / mass


def test_a_turn_of_the_jet_is_a_turn_in_latent_space(jets: tuple[EventSource, ParticleCloudRepresentation]) -> None:
    source, cloud = jets
    cached = cloud.encode(cloud.pack(next(iter(source.batches()))[:50]))
    mask = cloud.mask(CONSTITUENTS, cached)
    assert mask is not None
    noise = torch.full((*mask.shape, 1), 0.5)
    before, given = cloud.features(CONSTITUENTS, cached, noise)
    turned = cloud.augment(cached, torch.linspace(0, 0.999, 50))
    after, given_after = cloud.features(CONSTITUENTS, turned, noise)
    lengths = [torch.linalg.vector_norm(x[..., -2:], dim=-1) for x in (before, after)]
    torch.testing.assert_close(*lengths, rtol=1e-4, atol=1e-5)
    assert not torch.allclose(before, after)
    assert torch.equal(before[..., :-2], after[..., :-2])
    torch.testing.assert_close(given_after.abs(), given.abs())


def test_only_the_hardest_are_looked_at_where_that_is_asked(
    jets: tuple[EventSource, ParticleCloudRepresentation],
) -> None:
    source, _ = jets
    cloud = fitted(source, max_constituents=10)
    batch = next(iter(source.batches()))
    assert cloud.stages[-1].points == 10
    assert "pt" not in cloud.tables.facts.kept  # ten constituents are not the jet of the file
    back = cloud.unpack(there_and_back(cloud, cloud.pack(batch)))
    np.testing.assert_allclose(ak.to_numpy(back.jet_pt), ak.to_numpy(batch.jet_pt), rtol=1e-4)
    assert ak.max(ak.num(back.part_pt)) == 10
    np.testing.assert_allclose(
        ak.to_numpy(ak.flatten(back.part_pt)), ak.to_numpy(ak.flatten(batch.part_pt[:, :10])), rtol=1e-3
    )


def simple(**changes: Any) -> ak.Array:
    """Three hundred jets of two to five constituents in px, py, pz."""
    rng = np.random.default_rng(5)
    counts = rng.integers(2, 6, 300)
    total = int(counts.sum())
    pt, eta, phi = rng.exponential(20, total) + 1, rng.normal(0, 0.3, total), rng.normal(1, 0.3, total)
    lists = {"pt": pt, "eta": eta, "phi": phi, **changes}
    return ak.Array({f"part_{name}": ak.unflatten(values, counts) for name, values in lists.items()})


def test_a_file_without_numbers_of_the_jet_is_enough() -> None:
    events = simple()
    source = MemorySource(events, schema_of(events))
    cloud = fitted(source)
    back = cloud.unpack(there_and_back(cloud, cloud.pack(events)))
    assert back.fields == ["part_pt", "part_eta", "part_phi"]
    order = ak.argsort(events.part_pt, ascending=False)
    for name in back.fields:
        np.testing.assert_allclose(
            ak.to_numpy(ak.flatten(back[name])), ak.to_numpy(ak.flatten(events[name][order])), rtol=1e-3, atol=1e-3
        )


def test_momenta_in_components_come_back() -> None:
    events = simple()
    parts = ak.Array(
        {
            "part_px": events.part_pt * np.cos(events.part_phi),
            "part_py": events.part_pt * np.sin(events.part_phi),
            "part_pz": events.part_pt * np.sinh(events.part_eta),
        }
    )
    cloud = fitted(MemorySource(parts, schema_of(parts)))
    back = cloud.unpack(there_and_back(cloud, cloud.pack(parts)))
    assert back.fields == parts.fields
    order = ak.argsort(events.part_pt, ascending=False)
    np.testing.assert_allclose(
        ak.to_numpy(ak.flatten(back.part_pz)), ak.to_numpy(ak.flatten(parts.part_pz[order])), rtol=1e-2, atol=1e-2
    )


def one_jet(**lists: Any) -> ak.Array:
    columns = {"pt": [3.0, 2.0], "eta": [0.1, 0.0], "phi": [0.0, 0.1], **lists}
    first = {"phi": 1.0}
    return ak.Array({f"part_{name}": ak.Array([[first.get(name, 9.0)], values]) for name, values in columns.items()})


@pytest.mark.parametrize(
    ("events", "message"),
    [
        (one_jet(phi=[0.0]), "another number of constituents"),
        (one_jet(pt=[], eta=[], phi=[]), "without constituents"),
        (one_jet(pt=[3.0, -2.0]), "negative pt"),
        (one_jet(eta=[0.1, float("nan")]), "not finite"),
        (one_jet(phi=[0.1, 12.0]), "no angle in rad"),
        (one_jet(energy=[3.2, -2.0]), "negative energy"),
    ],
)
def test_jets_that_are_none_are_named(events: ak.Array, message: str) -> None:
    layout = CloudLayout(schema_of(events))
    with pytest.raises(RowError, match=message) as refused:
        layout.read(events)
    assert refused.value.row == 1
    assert ("degrees" if "rad" in message else "with a cut") in refused.value.hint


def test_constituents_of_pt_0_are_padding_and_others_are_sorted() -> None:
    events = one_jet(pt=[0.0, 2.0])
    cloud = CloudLayout(schema_of(events)).read(events)
    assert cloud.counts.tolist() == [1, 1]
    events = one_jet(pt=[2.0, 3.0], eta=[0.5, 0.6])
    assert CloudLayout(schema_of(events)).read(events).parts["eta"].tolist() == [9.0, 0.6, 0.5]


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"conditions": ("jet_pT",)}, "no number of a jet is called 'jet_pT'"),
        ({"options": {"nothing": {}}}, "no column 'nothing'"),
        ({"roles": {"pt": "part_p"}}, "no column 'part_p'"),
        ({"roles": {"speed": "part_pt"}}, "no role 'speed'"),
    ],
)
def test_options_that_do_not_fit_are_refused(options: dict[str, Any], error: str) -> None:
    source = open_events(DATA / "jets.root")
    with pytest.raises(ConfigError, match=error):
        fitted(source, **options)


def test_tables_are_no_jets() -> None:
    with pytest.raises(ConfigError, match="not those of jets") as refused:
        ParticleCloudRepresentation(open_events(DATA / "ttbar.root").schema)
    assert "roles" in refused.value.hint


def test_columns_of_another_kind_are_named() -> None:
    events = ak.with_field(simple(), np.ones((300, 7)), "image")
    with pytest.raises(ConfigError, match="'image' is neither of the jet nor of each constituent"):
        CloudLayout(schema_of(events))


def test_jets_of_one_constituent_only_have_nothing_to_learn() -> None:
    rng = np.random.default_rng(1)
    columns = {f"part_{name}": ak.unflatten(rng.uniform(1, 2, 50), 1) for name in ("pt", "eta", "phi")}
    events = ak.Array(columns)
    with pytest.raises(HepgenError):
        fitted(MemorySource(events, schema_of(events)))


@pytest.mark.parametrize("factor", [1e3, 1e-3])
@pytest.mark.parametrize(
    ("name", "words"),
    [("jet_pt", "'jet_pt' is"), ("jet_mass", "'jet_mass' is"), ("part_energy", "'(jet_mass|part_energy)' is")],
)
def test_columns_in_another_unit_are_refused_before_anything_is_learned(name: str, words: str, factor: float) -> None:
    source = open_events(DATA / "jets.root")
    events = ak.concatenate(list(source.batches()))
    mixed = MemorySource(ak.with_field(events, events[name] * factor, name), source.schema)
    with pytest.raises(InputFileError, match=f"{words} .* most jets") as refused:
        fitted(mixed)
    assert "MeV and GeV" in refused.value.hint


def test_units_that_the_file_names_are_compared_before_anything_is_learned() -> None:
    source = open_events(DATA / "jets.root")
    units = {"part_pt": "MeV", "jet_pt": "GeV"}
    schema = source.schema.replace(dataclasses.replace(one, unit=units.get(one.name, "")) for one in source.schema)
    with pytest.raises(InputFileError, match="'part_pt' is in MeV and 'jet_pt' in GeV"):
        fitted(MemorySource(ak.concatenate(list(source.batches())), schema))


def test_negative_multiplicities_are_refused_by_their_row() -> None:
    source = open_events(DATA / "jetnet.hdf5")
    events = ak.concatenate(list(source.batches()))
    features = ak.to_numpy(events.jet_features).copy()
    features[5, 3] = -1
    with pytest.raises(RowError, match="negative multiplicity") as refused:
        CloudLayout(source.schema).read(ak.with_field(events, features, "jet_features"))
    assert refused.value.row == 5


def test_no_jets_are_refused() -> None:
    events = simple()[:0]
    with pytest.raises(InputFileError, match="no jets"):
        fitted(MemorySource(events, dataclasses.replace(schema_of(simple()))))


def prongs_of(batch: ak.Array, cloud: ParticleCloudRepresentation) -> tuple[Any, Any]:
    """Rows of the table of jets, and places of the prongs relative to the axes, by another road."""
    read = cloud._layout.read(batch)
    axis = cloud.tables.axis(read)
    pt, eta, phi = (
        ak.to_numpy(ak.fill_none(ak.pad_none(batch[f"part_{name}"], 200, clip=True), 0.0))
        for name in ("pt", "eta", "phi")
    )
    middle = np.arctanh((pt * np.sinh(eta)).sum(1) / (pt * np.cosh(eta)).sum(1))
    away = eta - middle[:, None], wrapped(phi - axis.phi[:, None])
    found = exclusive_kt_axes(pt.astype(float), *(np.where(pt > 0, one, 0.0) for one in away), 3)
    return cloud.tables.jets(read, axis), np.take_along_axis(found, np.argsort(-found[:, :, :1], axis=1), axis=1)


def test_prongs_are_made_with_the_jet_given_to_its_constituents_and_not_written() -> None:
    source = open_events(DATA / "jets.root")
    plain, pronged = fitted(source), fitted(source, prongs=3)
    for stage, other in zip(pronged.stages, plain.stages, strict=True):
        more = 0 if stage.name == "jet_discrete" else 6
        assert stage.features - other.features == (0 if stage.name == CONSTITUENTS else more)
        # two shares and three vectors
        assert stage.conditions - other.conditions == (8 if stage.name == CONSTITUENTS else 0)
    batch = next(iter(source.batches()))
    rows, axes = prongs_of(batch, pronged)
    share = axes[:, :, 0] / axes[:, :, 0].sum(1, keepdims=True)
    np.testing.assert_allclose(rows["prong2_share"], share[:, 1], rtol=1e-5)
    values = {name: ak.to_numpy(rows[name]) for name in rows.fields}
    placed = pronged.tables.prongs.vectors(values)
    np.testing.assert_allclose(placed[:, 1:], axes[:, 1:, 1:], atol=1e-4)
    np.testing.assert_allclose(placed[:, 0], axes[:, 0, 1:], atol=1e-4)  # but for the rounding of the file
    again = ParticleCloudRepresentation.from_state(pronged.state())
    made = again.unpack(there_and_back(again, again.pack(batch)))
    assert made.fields == list(source.schema.names)
    old = {name: value for name, value in plain.state().items() if name != "prongs"}  # of an earlier version
    assert ParticleCloudRepresentation.from_state(old).stages == plain.stages


@pytest.mark.parametrize("augment", [(), ("rotation",), ("reflection",), ("reflection", "rotation")])
def test_prongs_turn_with_the_constituents_and_lie_where_these_do(augment: tuple[str, ...]) -> None:
    source = open_events(DATA / "jets.root")
    cloud = fitted(source, prongs=3, augment=augment)
    physical = cloud.pack(next(iter(source.batches())))
    noise = torch.rand(len(physical[COUNT]), generator=torch.Generator().manual_seed(1))
    cached = cloud.encode(physical)
    turned = cloud.augment(cached, noise)
    each = torch.full((*noise.shape, int(physical[COUNT].max()), cloud.stages[-1].noise), 0.5)
    before, given = cloud.features(CONSTITUENTS, cached, each)
    after, given_turned = cloud.features(CONSTITUENTS, turned, each)

    def apart(x: Any, condition: Any) -> Any:
        """Of each constituent from each prong, in latent space."""
        prongs = condition[:, -6:].view(-1, 3, 2)
        return torch.linalg.vector_norm(x[:, :, None, -2:] - prongs[:, None], dim=-1)

    torch.testing.assert_close(apart(after, given_turned), apart(before, given), rtol=1e-4, atol=1e-4)
    assert torch.equal(after, before) == (not augment)
    # the hardest constituent lies near a prong, and what is sampled is conditioned on what was learned
    assert apart(before, given)[:, 0].min(dim=1).values.quantile(0.9) < 0.5
    torch.testing.assert_close(cloud.stage_condition(CONSTITUENTS, physical), given)


@pytest.mark.parametrize("name", ["prong2_share", "axis_mass", "multiplicity"])
def test_columns_named_as_what_describes_jets_are_refused(name: str) -> None:
    batch = next(iter(open_events(DATA / "jetnet.hdf5").batches()))
    schema = open_events(DATA / "jetnet.hdf5").schema
    events = ak.with_field(batch, np.arange(len(batch), dtype=np.float64), name)
    source = MemorySource(events, schema.replace([*schema, Column(name, "float64")]))
    with pytest.raises(ConfigError, match=f"has a column '{name}'") as refused:
        fitted(source, prongs=3)
    assert refused.value.hint == f"leave it out of the recipe's columns: ['*', '!{name}']"


def test_jets_too_short_for_prongs_have_none_of_them() -> None:
    source = open_events(DATA / "jets.root")
    batch = next(iter(source.batches()))
    lists = [one.name for one in source.schema if one.jagged]
    short = ak.Array({name: batch[name][:, :2] if name in lists else batch[name] for name in batch.fields})
    cloud = fitted(MemorySource(short, source.schema), prongs=3)
    rows, _ = prongs_of(short, cloud)
    for what in ("share", "distance", "azimuth"):
        assert not ak.to_numpy(rows[f"prong3_{what}"]).any()
    assert (ak.to_numpy(rows["prong2_share"]) > 0).all()
    given = cloud.stage_condition(CONSTITUENTS, cloud.pack(short))
    assert torch.isfinite(given).all()
    there_and_back(cloud, cloud.pack(short))


def _with_followers(events: ak.Array) -> ak.Array:
    """JetClass's columns that follow from the others, and one that does not."""
    outward = ak.where(events.jet_eta < 0, -1.0, 1.0)
    dphi = (events.part_phi - events.jet_phi + np.pi) % (2 * np.pi) - np.pi
    more = {
        "part_deta": outward * (events.part_eta - events.jet_eta),
        "part_dphi": dphi,
        "part_px": events.part_pt * np.cos(events.part_phi),
        "part_logptrel": np.log(events.part_pt / events.jet_pt),
        "part_d0": np.sin(1e3 * events.part_pt),
    }
    for name, values in more.items():
        events = ak.with_field(events, ak.values_astype(values, "float32"), name)
    return events


def test_columns_that_follow_from_the_momenta_are_computed_from_what_was_generated() -> None:
    events = _with_followers(ak.concatenate(list(open_events(DATA / "jets.root").batches())))
    cloud = fitted(MemorySource(events, schema_of(events)))
    rules = {"part_deta": "deta_outward", "part_dphi": "dphi", "part_px": "px", "part_logptrel": "log_pt_share"}
    assert cloud.tables.facts.followed == rules
    cloud = ParticleCloudRepresentation.from_state(cloud.state())
    made = generated(cloud, cloud.pack(events)["condition"], 5)
    found = cloud.unpack(made)
    expected = _with_followers(found)
    for name in rules:
        np.testing.assert_allclose(ak.flatten(found[name]), ak.flatten(expected[name]), rtol=1e-4, atol=2e-5)
    assert np.ptp(ak.to_numpy(ak.flatten(found.part_d0))) > 1
