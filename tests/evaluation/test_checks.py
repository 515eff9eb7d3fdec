"""Samples that do not belong together or say nothing are refused, with the file and what to do."""

import awkward as ak
import numpy as np
import pytest
from extracts import DATA, SMALL, binning, halves, photons, rows_of, showers, table, ttbar

from hepgen.errors import InputFileError
from hepgen.evaluation.checks import check_kinds
from hepgen.evaluation.run import evaluate
from hepgen.events.convert import convert_file
from hepgen.events.reader import open_events
from hepgen.events.schema import Column, Schema
from hepgen.events.source import MemorySource

SHOWERS = {"kind": "calorimeter", "settings": SMALL, "threshold": 1.0, "seed": 4}
TABLE = {"kind": "table", "settings": SMALL, "seed": 4}


def test_samples_of_different_kinds_are_refused():
    with pytest.raises(InputFileError, match=r"the reference holds calorimeter showers .* a table of events"):
        check_kinds(halves(photons())[0], halves(ttbar())[0])
    other = MemorySource({"foo": np.zeros(3)}, Schema((Column("foo", "float64"),), tree="t"))
    with pytest.raises(InputFileError, match=r"table of events \(foo, \.\.\.\)"):
        check_kinds(halves(ttbar())[0], other)


def test_showers_of_hdf5_and_of_root_are_of_one_kind(tmp_path):
    reference = open_events(DATA / "photons.hdf5")
    convert_file(reference, tmp_path / "photons.root", "ttree")
    check_kinds(reference, open_events(tmp_path / "photons.root"))


@pytest.mark.parametrize("factor", [1e3, 1e-3])
def test_another_unit_is_refused(factor):
    reference, generated = halves(ttbar())
    scaled = table(generated, jet1_pt=lambda x: x * np.float32(factor))
    with pytest.raises(InputFileError, match="'jet1_pt' is typically") as error:
        evaluate(reference, scaled, **TABLE)
    assert "MeV and GeV" in error.value.hint
    evaluate(reference, table(generated, jet1_pt=lambda x: x * np.float32(500)), **TABLE)


@pytest.mark.parametrize("shift", [0.0, np.pi], ids=["-180 to 180", "0 to 360"])
@pytest.mark.parametrize("swapped", [False, True])
def test_degrees_against_radians_are_refused(shift, swapped):
    reference, generated = halves(ttbar())
    turned = table(generated, lepton_phi=lambda x: np.degrees(x + np.float32(shift)))
    samples = (turned, reference) if swapped else (reference, turned)
    units = ("radians", "degrees") if swapped else ("degrees", "radians")
    with pytest.raises(InputFileError, match="'lepton_phi' is in {} .* and in {}".format(*units)) as error:
        evaluate(*samples, **TABLE)
    assert "looks like degrees" in error.value.hint


def test_jets_in_degrees_are_refused():
    source = open_events(DATA / "jets.root")
    events = ak.concatenate(list(source.batches()))
    for name in ("part_phi", "jet_phi"):
        events = ak.with_field(events, np.degrees(events[name]), name)
    degrees = MemorySource(events, source.schema)
    for samples in ((source, degrees), (degrees, source)):
        with pytest.raises(InputFileError, match=r"\d % of the jets of the .*: azimuths beyond 2 pi"):
            evaluate(*samples, kind="jets", settings=SMALL, seed=1)


def test_showers_in_another_unit_are_refused():
    reference, generated = halves(photons())
    small = showers(generated, lambda voxels, energy: (voxels / 1000, energy))
    with pytest.raises(
        InputFileError, match=r"\d\d % of the events of the generated sample: no voxel above the threshold"
    ):
        evaluate(reference, small, binning=binning(), **SHOWERS)
    low = showers(generated, lambda voxels, energy: (voxels, energy / 1000))
    with pytest.raises(InputFileError, match="'incident_energy' is typically"):
        evaluate(reference, low, binning=binning(), **SHOWERS)


@pytest.mark.parametrize(
    ("weights", "words"),
    [
        (np.zeros_like, "are all 0"),
        (lambda x: np.where(np.arange(len(x)) % 2 == 0, 1, -1.5).astype(x.dtype), "have the sum -"),
        (lambda x: (np.arange(len(x)) < 5).astype(x.dtype), "are worth 5"),
    ],
)
def test_weights_that_say_nothing_are_refused(weights, words):
    reference, generated = halves(ttbar())
    plain = table(reference, lepton_eta=np.ones_like)
    with pytest.raises(InputFileError, match=words):
        evaluate(plain, table(generated, lepton_eta=weights), weight="lepton_eta", **TABLE)


def test_few_events_are_refused():
    reference, _ = halves(photons())
    for samples in ((rows_of(photons(), slice(0, 99)), reference), (reference, rows_of(photons(), slice(0, 99)))):
        with pytest.raises(InputFileError, match="99 usable events, an evaluation needs 100"):
            evaluate(*samples, binning=binning(), **SHOWERS)


def test_a_column_that_the_reference_never_has_is_no_crash():
    reference, generated = halves(ttbar())
    empty = table(reference, met=lambda x: np.full_like(x, np.nan))
    report = evaluate(empty, generated, **TABLE)
    assert report.scores["ks.met"].value is None
    assert report.scores["ks.met"].comment
    assert report.scores["auc"].value > 0.9


def test_names_that_are_alike_are_told():
    reference = halves(ttbar())[0]
    names = ("Lepton_pT", "MET_pt", "foo")
    other = MemorySource({}, Schema(tuple(Column(name, "float64") for name in names), tree="t"))
    with pytest.raises(InputFileError) as error:
        check_kinds(reference, other)
    assert "'lepton_pt' for 'Lepton_pT'" in error.value.hint
