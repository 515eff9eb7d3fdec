"""Jets of files whose layouts differ: by their own columns, compared by what all of them know."""

from dataclasses import replace
from functools import cache

import awkward as ak
import numpy as np
import pytest
from extracts import DATA, SMALL

from hepgen.classifiers.sets import SetOptions
from hepgen.errors import InputFileError, UsageError
from hepgen.evaluation.jet_layouts import common_jets
from hepgen.evaluation.jets import JetDomain
from hepgen.evaluation.run import evaluate
from hepgen.events.reader import open_events
from hepgen.events.schema import schema_of
from hepgen.events.source import MemorySource

WORK = replace(SMALL, folds=1, sets=SetOptions(epochs=2, local=16, latent=8, layers=1), matches=1)


@cache
def events_of_file(name):
    return ak.concatenate(list(open_events(DATA / name).batches()))


def source_of(name="jets.root"):
    return MemorySource(events_of_file(name), open_events(DATA / name).schema)


def made_of(columns, units=None):
    events = ak.zip(columns, depth_limit=1)
    return MemorySource(events, schema_of(events, tree="made", units=units))


def cartesian():
    events = events_of_file("jets.root")
    columns = {f"fatjet_{name}": events[f"jet_{name}"] for name in ("pt", "eta", "phi", "mass")}
    pt, eta, phi = (ak.values_astype(events[f"part_{name}"], "f8") for name in ("pt", "eta", "phi"))
    momenta = {"px": pt * np.cos(phi), "py": pt * np.sin(phi), "pz": pt * np.sinh(eta), "energy": events.part_energy}
    return made_of(columns | {f"constituents_{name}": values for name, values in momenta.items()})


def observed(generated, reference=None):
    """Observables of both samples, and what they have in common."""
    samples = {"reference": reference or source_of(), "generated": generated}
    common = common_jets(samples)
    domain = JetDomain(samples["reference"].schema, common)
    found = []
    for source in samples.values():
        own = domain.for_file(source.schema)
        events = own.read(next(source.batches(own.columns)))
        found.append((own.observe(events.raw, events.conditions), events))
    return domain, common, found


def test_jetnet_files_are_compared_with_ntuples_in_relative_coordinates():
    domain, common, ((true, events), (made, others)) = observed(source_of("jetnet.hdf5"))
    assert (common.most, common.width, common.masses) == (30, 30, False)
    np.testing.assert_allclose(made, true, rtol=2e-4, atol=2e-5)
    np.testing.assert_allclose(events.conditions, others.conditions, rtol=1e-6)
    assert domain.condition_names == ("jet_pt",)
    words = " ".join(common.notes)
    for part in ("relative to the jet only", "Left out, because not every sample has it: jet_phi", "no masses"):
        assert part in words
    assert "holds the 30 hardest constituents of a jet at most" in words
    assert "jet_pdgid, part_charge, part_pdgid of the reference sample" in words


def test_the_order_of_the_samples_does_not_matter():
    _, common, ((true, _), (made, _)) = observed(source_of(), source_of("jetnet.hdf5"))
    assert common.most == 30
    np.testing.assert_allclose(made, true, rtol=2e-4, atol=2e-5)


def test_columns_of_other_names_and_frames_are_compared_by_their_roles():
    domain, common, ((true, _), (made, others)) = observed(cartesian())
    assert (common.most, common.masses) == (None, True)
    mass = [one.name for one in domain.observables].index("mass")
    np.testing.assert_allclose(np.delete(made, mass, axis=1), np.delete(true, mass, axis=1), rtol=2e-3, atol=2e-5)
    np.testing.assert_allclose(made[:, mass], true[:, mass], rtol=2e-3)
    assert not any(flags.any() for flags in others.problems.values())
    assert "constituents_px, constituents_py" in common.notes[0]


def test_files_of_one_layout_have_no_notes():
    assert common_jets({"reference": source_of(), "generated": source_of()}).notes == ()
    jetnet = source_of("jetnet.hdf5")
    assert common_jets({"reference": jetnet, "generated": jetnet}).notes == ()


def test_padded_arrays_that_no_jet_fills_cut_nothing():
    events = events_of_file("jets.root")
    few = ak.zip({name: events[name][:, :20] if events[name].ndim > 1 else events[name] for name in events.fields},
                 depth_limit=1)  # fmt: skip
    particles = ak.to_numpy(events_of_file("jetnet.hdf5").particle_features).copy()
    particles[:, 20:] = 0
    short = made_of({"particle_features": particles, "jet_features": events_of_file("jetnet.hdf5").jet_features})
    _, common, _ = observed(short, MemorySource(few, source_of().schema))
    assert common.most is None
    _, common, (_, (made, _)) = observed(short)
    assert common.most is None
    assert np.nanmax(made[:, 4]) == 20


def test_arrays_of_two_sizes_are_compared_by_the_hardest():
    events = events_of_file("jetnet.hdf5")
    short = made_of({"particle_features": events.particle_features[:, :10], "jet_features": events.jet_features})
    _, common, ((true, _), (made, _)) = observed(short, source_of("jetnet.hdf5"))
    assert common.most == 10
    np.testing.assert_allclose(made, true, rtol=1e-5)


def test_without_the_jets_pt_all_is_relative_to_it():
    alone = made_of({"particle_features": events_of_file("jetnet.hdf5").particle_features})
    domain, common, ((true, _), (made, _)) = observed(alone)
    assert common.roles == ()
    assert domain.condition_names == ()
    assert domain.observables[0].unit == ""
    np.testing.assert_allclose(made, true, rtol=2e-4, atol=2e-5)
    assert np.median(true[:, 0]) == pytest.approx(0.9, abs=0.1)
    assert "The pt of the jets is not known in every sample" in " ".join(common.notes)


def test_what_a_file_does_not_say_of_its_jets_is_taken_from_the_constituents():
    events = events_of_file("jets.root")
    bare = made_of({name: events[name] for name in events.fields if name.startswith("part_")})
    _, common, ((true, reference), (made, others)) = observed(bare)
    np.testing.assert_allclose(made, true, rtol=1e-3, atol=1e-4)
    np.testing.assert_allclose(others.conditions, reference.conditions, rtol=1e-5)
    assert "jet_pt in the generated sample" in " ".join(common.notes)


def test_conditions_beside_the_roles_are_needed_in_both_files():
    common = common_jets({"reference": source_of(), "generated": cartesian()})
    domain = JetDomain(source_of().schema, common, conditions=("jet_mass", "jet_pdgid"))
    with pytest.raises(InputFileError, match="no column 'jet_pdgid'"):
        domain.for_file(cartesian().schema)
    domain = JetDomain(source_of().schema, common, conditions=("jet_mass",))
    own = domain.for_file(cartesian().schema)
    found = own.read(next(cartesian().batches(own.columns))).conditions[:, 0]
    np.testing.assert_allclose(found, ak.to_numpy(events_of_file("jets.root").jet_mass))


def test_units_of_two_files_that_differ_are_refused():
    events = events_of_file("jets.root")
    columns = {f"part_{name}": events[f"part_{name}"] for name in ("pt", "eta", "phi")} | {"fatjet_pt": events.jet_pt}
    units = [dict.fromkeys(("part_pt", "fatjet_pt"), unit) for unit in ("GeV", "MeV")]
    samples = dict(zip(("reference", "generated"), (made_of(columns, one) for one in units), strict=True))
    with pytest.raises(InputFileError, match=r"'part_pt' of the generated sample has the unit MeV, 'part_pt'.* GeV"):
        common_jets(samples)


def test_samples_without_jets_are_refused():
    table = MemorySource(events_of_file("ttbar.root"), open_events(DATA / "ttbar.root").schema)
    with pytest.raises(UsageError, match="no jets with constituents"):
        common_jets({"reference": source_of(), "generated": table})


def test_a_whole_evaluation_of_two_layouts():
    reference, generated = (
        MemorySource(events_of_file(name)[::2], open_events(DATA / name).schema)
        for name in ("jets.root", "jetnet.hdf5")
    )
    report = evaluate(reference, generated, kind="jets", settings=WORK, seed=2)
    assert report.scores["ks.max.all"].value < 0.02
    assert report.scores["w1m"].value is not None
    assert "The layouts of the samples differ" in report.notes[0]
    assert not report.sanity["generated"]["problems"].get("negative multiplicities")


def test_a_whole_evaluation_in_another_unit_is_refused():
    events = next(cartesian().batches())
    scaled = {name: events[name] * (1 if name.endswith(("eta", "phi")) else 1000) for name in events.fields}
    with pytest.raises(InputFileError, match="'jet_pt' is typically"):
        evaluate(source_of(), made_of(scaled), kind="jets", settings=WORK, seed=2)
