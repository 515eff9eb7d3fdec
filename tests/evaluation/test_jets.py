"""Jets as a domain of the evaluation: raw values, observables, features, problems, and a control that can be seen."""

from functools import cache

import awkward as ak
import numpy as np
import pytest
from extracts import DATA

from hepgen.classifiers.trees import TreeOptions
from hepgen.errors import InputFileError, RowError
from hepgen.evaluation.jet_features import blocks_of, prime_graphs, set_features
from hepgen.evaluation.jet_layouts import CommonJets
from hepgen.evaluation.jet_reading import common_width, jets_of_width
from hepgen.evaluation.jets import JetDomain
from hepgen.evaluation.samples import read_pool
from hepgen.evaluation.sanity import AZIMUTHS, LONG
from hepgen.evaluation.scores import ScoreBook
from hepgen.evaluation.splits import random_split
from hepgen.evaluation.two_sample import add_classifier_test
from hepgen.events.jets import JetColumns, find_jets
from hepgen.events.reader import open_events
from hepgen.events.schema import schema_of
from hepgen.events.source import MemorySource
from hepgen.physics.energy_flow import energy_flow_polynomials


@cache
def sample(name="jets.root"):
    source = open_events(DATA / name)
    return ak.concatenate(list(source.batches())), source.schema


def domain_of(name="jets.root", **options):
    source = open_events(DATA / name)
    columns = find_jets(source.schema)
    most = options.pop("max_constituents", None)
    width, _ = common_width([source], [columns], most)
    return JetDomain(source.schema, CommonJets(columns, width, most), **options)


def observed(domain, events):
    found = domain.read(events)
    values = domain.observe(found.raw, found.conditions)
    return dict(zip([x.name for x in domain.observables], values.T, strict=True)), found


def pool_of(domain, name="jets.root", rows=None):
    events, schema = sample(name)
    source = MemorySource(events if rows is None else events[rows], schema)
    return read_pool(source, domain, np.random.default_rng(1), rows=1000, raw_rows=1000)[:2]


def test_observables_are_those_of_the_jets_of_the_file():
    events, _ = sample()
    values, found = observed(domain_of(), events)
    for name in ("pt", "eta", "mass"):
        np.testing.assert_allclose(values[name], ak.to_numpy(events[f"jet_{name}"]), rtol=1e-4, atol=1e-4)
    np.testing.assert_array_equal(values["multiplicity"], ak.to_numpy(ak.num(events.part_pt)))
    np.testing.assert_allclose(values["ptrel.1"], ak.to_numpy(events.part_pt[:, 0] / events.jet_pt), rtol=1e-5)
    np.testing.assert_array_equal(found.conditions[:, 0], ak.to_numpy(events.jet_pt))
    assert found.usable.all()
    assert not any(flags.any() for flags in found.problems.values())


def test_tops_have_more_prongs_than_gluons():
    values, _ = observed(domain_of(), sample()[0])
    tops, gluons = slice(0, 180), slice(180, 360)
    assert np.median(values["mass"][tops]) == pytest.approx(172, abs=8)
    assert np.median(values["tau32"][tops]) < np.median(values["tau32"][gluons]) - 0.05


def test_two_massless_constituents_have_the_mass_of_their_angle():
    events = ak.Array({"pt": [[60.0, 40.0]], "eta": [[0.0, 0.3]], "phi": [[1.0, 1.4]]})
    domain = JetDomain(schema_of(events), CommonJets(JetColumns(pt="pt", eta="eta", phi="phi"), 2), conditions=())
    values, _ = observed(domain, events)
    square = 2 * 60 * 40 * (np.cosh(0.3) - np.cos(0.4))
    assert values["mass"][0] == pytest.approx(np.sqrt(square), rel=1e-5)
    assert values["mass_rel"][0] * values["pt"][0] == pytest.approx(np.sqrt(square), rel=1e-5)
    assert values["tau21"][0] == 0.0
    assert np.isnan(values["tau32"][0])


def test_turning_all_jets_changes_nothing_and_twice_the_energy_doubles_masses():
    events, schema = sample()
    domain = domain_of()
    expected, before = observed(domain, events)
    turned = ak.Array({name: events[name] for name in schema.names})
    for name in ("part_phi", "jet_phi"):
        turned[name] = events[name] + 2.0
    for name in ("part_pt", "part_energy", "jet_pt", "jet_mass"):
        turned[name] = 2.0 * events[name]
    values, after = observed(domain, turned)
    for name in ("tau21", "d2", "multiplicity", "mass_rel", "eta"):
        np.testing.assert_allclose(values[name], expected[name], rtol=2e-3, atol=1e-5)
    np.testing.assert_allclose(values["mass"], 2 * expected["mass"], rtol=1e-4)
    features = [domain.distance_features(x.raw, x.conditions) for x in (before, after)]
    np.testing.assert_allclose(*features, rtol=1e-2, atol=1e-9)


def test_jetnet_files_give_what_the_hardest_constituents_of_the_ntuple_give():
    short, packed = (
        observed(domain_of(max_constituents=30), sample()[0]),
        observed(domain_of("jetnet.hdf5"), sample("jetnet.hdf5")[0]),
    )
    for name in ("mass_rel", "multiplicity", "tau21", "ptrel.3"):
        np.testing.assert_allclose(short[0][name], packed[0][name], rtol=1e-3, atol=1e-5)
    np.testing.assert_allclose(short[1].conditions, packed[1].conditions)
    assert not any(flags.any() for flags in packed[1].problems.values())


def test_distances_are_measured_in_the_polynomials_of_jetnet():
    with np.load(DATA / "jets_golden.npz") as file:
        jets, expected = file["A"][:40], file["efp36_A"]
    columns = JetColumns(particles="particle_features", relative=True)
    events = ak.Array({"particle_features": np.concatenate([jets, jets[..., 2:] > 0], axis=-1).astype("f4")})
    domain = JetDomain(schema_of(events), CommonJets(columns, jets.shape[1]))
    assert domain.condition_names == ()
    found = domain.distance_features(domain.read(events).raw, np.zeros((40, 0)))
    np.testing.assert_allclose(np.sort(found, axis=1), np.sort(expected, axis=1), rtol=1e-4)
    pt, eta, phi = (jets[..., place].astype(float) for place in (2, 0, 1))
    np.testing.assert_allclose(found, energy_flow_polynomials(pt, eta, phi), rtol=1e-4)


def test_only_what_is_not_finite_makes_a_jet_unusable():
    events, _ = sample()
    pt = ak.unflatten(ak.to_numpy(ak.flatten(events.part_pt)).copy(), ak.num(events.part_pt))
    flat, first = ak.to_numpy(ak.flatten(pt)), np.cumsum(ak.to_numpy(ak.num(pt)))
    flat[0], flat[first[0]] = np.nan, -1.0
    broken = ak.with_field(events, pt, "part_pt")
    found = domain_of().read(broken)
    assert np.flatnonzero(~found.usable).tolist() == [0]
    assert np.flatnonzero(found.problems["constituents of negative pt"]).tolist() == [1]
    assert np.isfinite(found.raw).all()


def test_jets_of_negative_pt_are_listed_and_left_out():
    events, _ = sample()
    pt, mass = ak.to_numpy(events.jet_pt).copy(), ak.to_numpy(events.jet_mass).copy()
    pt[5], pt[6], mass[7] = -pt[5], 0.0, -mass[7]
    energy = ak.where(
        ak.local_index(events.part_energy) + 1000 * np.arange(len(events)) == 8000, -1.0, events.part_energy
    )
    broken = ak.with_field(ak.with_field(ak.with_field(events, pt, "jet_pt"), mass, "jet_mass"), energy, "part_energy")
    found = domain_of().read(broken)
    assert np.flatnonzero(~found.usable).tolist() == [5, 6]
    for name, row in (
        ("jets of negative pt", 5),
        ("jets of no pt", 6),
        ("jets of negative mass", 7),
        ("constituents of negative energy", 8),
    ):
        assert np.flatnonzero(found.problems[name]).tolist() == [row], name


def giant(constituents):
    """The jets of the file, of which number 3 has so many soft constituents more."""
    events, schema = sample()
    found = {name: events[name] for name in schema.names}
    for name in (name for name in schema.names if name.startswith("part_")):
        more = np.full(constituents, 1e-3 if name in {"part_pt", "part_energy"} else 0.1, dtype="f4")
        rows = [more[:0], more[:0], more[:0], more]
        found[name] = ak.concatenate([events[name], ak.Array([*rows, *([more[:0]] * (len(events) - 4))])], axis=1)
    return ak.zip(found, depth_limit=1), schema


def test_one_giant_jet_does_not_widen_all_others():
    (events, schema), (usual, _) = giant(3000), sample()
    source = MemorySource(events, schema)
    columns = find_jets(schema)
    width, longest = common_width([source], [columns])
    assert longest[0] > 3000
    counts = np.sort(ak.to_numpy(ak.num(usual.part_pt)))
    assert counts[-1] < width <= max(128, 2 * counts[-1])
    domain = JetDomain(schema, CommonJets(columns, width))
    found, expected = domain.read(events), domain.read(usual)
    assert np.flatnonzero(found.problems[LONG]).tolist() == [3]
    others = np.arange(len(events)) != 3
    np.testing.assert_array_equal(found.raw[others], expected.raw[others])
    for name, flags in expected.problems.items():
        np.testing.assert_array_equal(found.problems[name][others], flags[others])
    values = domain.observe(found.raw, found.conditions)[3]
    place = [one.name for one in domain.observables].index("multiplicity")
    assert values[place] == longest[0]
    hardest = min(width, ak.num(usual.part_pt)[3])
    np.testing.assert_allclose(blocks_of(found.raw, hardest).ptrel[3], blocks_of(expected.raw, hardest).ptrel[3])


def test_a_torn_long_jet_is_refused_with_its_row():
    events, schema = giant(3000)
    columns = find_jets(schema)
    torn = ak.with_field(
        events, ak.concatenate([events.part_eta[:3], events.part_eta[3:4, :-1], events.part_eta[4:]]), "part_eta"
    )
    with pytest.raises(RowError) as error:
        jets_of_width(torn, columns, 150)
    assert error.value.row == 3


def test_azimuths_in_degrees_are_flagged():
    events, _ = sample()
    degrees = ak.with_field(events, np.degrees(events.part_phi), "part_phi")
    assert domain_of().read(degrees).problems[AZIMUTHS].mean() > 0.9


def test_empty_jets_are_judged_by_their_multiplicity():
    events = ak.Array({name: ak.values_astype(ak.Array([[], [1.0]]), "f4") for name in ("pt", "eta", "phi")})
    domain = JetDomain(schema_of(events), CommonJets(JetColumns(pt="pt", eta="eta", phi="phi"), 1))
    values, found = observed(domain, events)
    assert found.usable.tolist() == [True, True]
    assert values["multiplicity"].tolist() == [0, 1]
    assert np.isnan(values["tau21"]).all()
    assert np.isfinite(domain.distance_features(found.raw, found.conditions)).all()


def test_conditions_are_columns_or_what_is_known_of_the_jets():
    domain = domain_of(conditions=("jet_pdgid", "jet_mass"))
    found = domain.read(sample()[0])
    assert sorted(set(found.conditions[:, 0])) == [6.0, 21.0]
    assert domain_of("jetnet.hdf5").condition_names == ("jet_pt",)
    with pytest.raises(InputFileError, match=r"no scalar column 'jet_pdg'.*did you mean 'jet_pdgid'"):
        domain_of(conditions=("jet_pdg",))


def test_sets_hold_zeros_for_padding_only():
    domain = domain_of()
    found = domain.read(sample()[0])
    sets = set_features(found.raw, found.conditions)
    marks = sets[:, 1:].reshape(len(sets), domain.width, 3)[..., 0]
    np.testing.assert_array_equal(marks > 0, blocks_of(found.raw).ptrel > 0)
    assert set_features(found.raw, found.conditions, masses=True).shape == (360, 1 + 4 * domain.width)
    assert domain.raw_bytes == found.raw[0].nbytes


def test_the_control_is_seen_and_truth_is_not():
    domain = domain_of(trees=TreeOptions(rounds=40, leaves=8, min_leaf=10))
    pool, sanity = pool_of(domain)
    assert (sanity.left_out, sanity.problems) == (0, {})
    split = random_split(len(pool), len(pool), 180, np.random.default_rng(2))
    book = ScoreBook()
    test, _ = domain.tests(pool.raw, pool.conditions)
    add_classifier_test(book, test, pool, pool, split, (), 3, folds=1, parts=2)
    assert book.mean("control.auc_high") > 0.9
    assert abs(book.pair("auc_high")[1] - 0.5) < 0.2


def test_axes_suit_the_reference():
    domain = domain_of()
    axes, spectrum = domain.axes(pool_of(domain)[0])
    assert spectrum is None
    assert len(axes) == len(domain.observables)
    assert len(prime_graphs(4, vertices=4, exactly=True)) == 5
