"""Whole evaluations of real extracts: truth passes, known distortions are seen, the same seed gives the same JSON."""

import json
from dataclasses import replace
from functools import cache

import awkward as ak
import numpy as np
import pytest
from extracts import SMALL, binning, halves, photons, rows_of, showers, table, ttbar

from hepgen.errors import ConfigError, InputFileError, UsageError
from hepgen.evaluation.report import Report
from hepgen.evaluation.run import evaluate
from hepgen.evaluation.summary import summary
from hepgen.events.source import MemorySource

COMMON = {"kind": "calorimeter", "settings": SMALL, "threshold": 1.0, "seed": 4}


def shower_report(change=None, **options):
    reference, generated = halves(photons())
    made = generated if change is None else showers(generated, change)
    return evaluate(reference, made, binning=binning(), **{**COMMON, **options})


@cache
def truth_report():
    return shower_report()


@cache
def table_report():
    reference, generated = halves(ttbar())
    return evaluate(reference, generated, kind="table", settings=SMALL, seed=4)


def scores(report):
    return {name: score.value for name, score in report.scores.items()}


def test_truth_against_truth_is_not_told_apart():
    found = truth_report().scores
    for name in ("auc_low", "auc_high"):
        assert abs(found[name].value - 0.5) < 0.12
        assert abs(found[name].floor - 0.5) < 0.12
        assert found[name].n == 500
    assert abs(found["separation.mean"].z) < 4
    assert found["coverage"].value > 0.85
    assert abs(found["response.mean.max"].value) < 0.2


def test_every_promised_score_is_there():
    found = truth_report().scores
    names = {"auc_low", "auc_high", "fpd", "separation.mean", "separation.max", "separation.response", "ks.max"}
    names |= {"control.auc_low", "control.auc_high", "separation.energy.2", "separation.voxel_energy", "w1.energy.2"}
    names |= {f"response.{what}.{2**k * 256}" for what in ("mean", "width", "rms") for k in range(7)}
    names |= {"coverage", "precision", "profile.1", "profile.2", "profile.max", "ks.response"}
    assert names <= set(found)
    for name, score in found.items():
        spiked = name.startswith("equivalent_events.") and "too many of one value" in score.comment
        assert spiked or score.value is not None, name
        assert score.n > 0, name
        unlike = name.startswith("control.") or name.endswith(".max.all")
        assert unlike or spiked or score.floor is not None, name


def test_average_showers_come_with_a_calorimeter_only():
    names = [image.name for image in truth_report().images]
    assert names == ["shower_layers", "shower_layer_1", "shower_layer_2"]
    assert table_report().images == ()


def test_a_shift_of_every_energy_is_seen():
    report = shower_report(lambda voxels, energy: (voxels * np.float32(1.2), energy))
    assert report.scores["response.mean.max"].value == pytest.approx(0.2, abs=0.1)
    assert report.scores["response.mean.16384"].z > 3
    assert report.scores["separation.max"].z > 3
    assert report.scores["auc_high"].value > truth_report().scores["auc_high"].value + 0.05


def test_shuffled_conditions_worsen_the_scores():
    rng = np.random.default_rng(0)
    shuffled = scores(shower_report(lambda voxels, energy: (voxels, rng.permutation(energy))))
    truth = scores(truth_report())
    for name in ("auc_low", "auc_high", "fpd", "separation.max", "ks.max", "response.mean.max", "response.width.max"):
        assert shuffled[name] > truth[name], name
    assert shuffled["auc_low"] > truth["auc_low"] + 0.15
    assert shuffled["coverage"] < truth["coverage"]


def test_the_same_seed_gives_the_same_json_and_another_does_not():
    again = shower_report()
    assert again.to_json() == truth_report().to_json()
    assert shower_report(seed=5).to_json() != again.to_json()


def test_batches_of_any_size_give_the_same_report():
    events, schema = photons()
    rows = np.arange(700)
    from hepgen.events.source import MemorySource

    reports = []
    for size in (64, 700):
        source = MemorySource(events[rows], schema, batch_size=size)
        reports.append(evaluate(source, source, binning=binning(), **COMMON).to_dict()["scores"])
    for name, score in reports[0].items():
        if score["value"] is not None:
            assert score["value"] == pytest.approx(reports[1][name]["value"], rel=1e-3, abs=1e-4), name


def test_json_survives_the_round_trip_and_holds_no_nan():
    report = truth_report()
    state = json.loads(report.to_json())
    assert state["schema_version"] == 2
    assert state["kind"] == "calorimeter"
    assert {"protocol", "n", "seed", "scores", "sanity", "notes"} <= set(state)
    assert {"value", "error", "floor", "z", "n"} <= set(state["scores"]["auc_low"])
    assert Report.from_json(report.to_json()).to_json() == report.to_json()


def test_the_report_says_that_it_is_not_comparable_with_published_tables():
    assert any("Not comparable with the published CaloChallenge tables" in note for note in truth_report().notes)


def test_a_weak_classifier_is_marked_blind():
    report = truth_report()
    for name in ("auc_low", "auc_high"):
        control = report.scores[f"control.{name}"].value
        assert ("blind" in report.scores[name].comment) == (control < 0.9)
    assert "layer 2 permuted" in report.scores["control.auc_low"].comment


def test_broken_voxels_are_counted_and_left_out():
    def breaks(voxels, energy):
        voxels[3, 5] = np.nan
        voxels[4, 5] = -7.0
        voxels[6] = voxels[7]
        energy[6] = energy[7]
        return voxels, energy

    report = shower_report(breaks)
    sanity = report.sanity["generated"]
    assert sanity["left_out"] == 1
    assert sanity["problems"]["voxels that are not finite"] == {"count": 1, "events": [3], "left_out": 1}
    assert sanity["problems"]["negative voxels"]["count"] == 1
    assert sanity["problems"]["exact copy of an earlier event"] == {"count": 1, "events": [7]}
    assert sanity["broken"] == 2
    score = report.scores["separation.mean"]
    assert score.without is not None
    assert score.without != score.value
    assert score.without_floor is not None
    assert 0 < score.without_n <= score.n
    assert any("left out of every score" in note for note in report.notes)
    words = summary(report)
    (unusable,) = (sentence for sentence in words if "unusable" in sentence)
    assert unusable == "1 generated event is unusable and left out of every score (1 voxels that are not finite)."
    (broken,) = (sentence for sentence in words if "do what true events do not" in sentence)
    assert "1 negative voxels" in broken
    assert "not finite" not in broken
    assert report.scores["auc_low"].value is not None


def test_copied_training_events_are_noticed():
    reference, other = halves(photons())
    fresh = evaluate(reference, other, binning=binning(), training=rows_of(photons(), slice(0, 300)), **COMMON)
    copies = evaluate(reference, other, binning=binning(), training=other, **COMMON)
    assert fresh.scores["memorisation.ratio"].value > 0.5
    assert copies.scores["memorisation.ratio"].value == 0
    assert copies.scores["memorisation.close"].value == 1
    assert copies.scores["memorisation.close"].floor < 0.1


def test_training_events_give_an_amplification_and_a_curve():
    events, schema = ttbar()
    order = np.random.default_rng(3).permutation(len(events))
    reference, generated, trained = (
        rows_of((events, schema), order[rows]) for rows in (slice(0, 900), slice(900, 1400), slice(1400, 1500))
    )
    report = evaluate(reference, generated, kind="table", settings=SMALL, seed=4, training=trained)
    factor, worth = report.scores["amplification"], report.scores["equivalent_events"]
    assert factor.value == pytest.approx(worth.value / 100)
    assert 2 < factor.value < 12  # truth: 5
    assert "equivalent_events.met" in report.scores
    assert "equivalent_events.n_jets" not in report.scores
    assert [curve.name for curve in report.curves] == ["amplification"]
    assert any("times the training events" in sentence for sentence in summary(report))


def test_a_reference_that_was_trained_on_cannot_judge_memory():
    reference, other = halves(photons())
    report = evaluate(reference, other, binning=binning(), training=reference, **COMMON)
    assert any("holds the training events themselves" in note for note in report.notes)


def test_the_protocol_of_the_challenge_takes_its_bins_and_counts():
    official = replace(SMALL, name="calochallenge", official=True)
    reference, generated = halves(photons())
    options = {**COMMON, "settings": official}
    report = evaluate(reference, generated, binning=binning(), **options)
    edges = {pair.observable.name: pair.reference.axis.edges for pair in report.histograms}
    np.testing.assert_allclose(edges["response"], np.linspace(0.5, 1.5, 101))
    np.testing.assert_allclose(edges["center_eta.2"], np.linspace(-100, 100, 101))
    assert len(edges["energy.2"]) == 40
    assert len(edges["voxel_energy"]) == 50
    assert edges["energy.2"][0] == edges["voxel_energy"][0] == 1.0
    assert report.protocol == "calochallenge"
    assert abs(report.scores["auc_high"].value - 0.5) < 0.15


def test_tables_have_their_scores():
    found = table_report().scores
    assert {"auc", "fpd", "separation.mean", "separation.max", "ks.max", "separation.n_jets", "control.auc"} <= set(
        found
    )
    assert abs(found["auc"].value - 0.5) < 0.15
    assert abs(found["separation.mean"].z) < 4


def test_a_distorted_column_is_seen():
    reference, generated = halves(ttbar())
    broken = table(generated, n_jets=lambda x: np.minimum(x, 4))
    report = evaluate(reference, broken, kind="table", settings=SMALL, seed=4)
    assert report.scores["separation.n_jets"].z > 3
    assert report.scores["auc"].value > table_report().scores["auc"].value + 0.1


def test_missing_values_are_counted_not_fatal():
    def holes(values):
        values[::3] = np.nan
        return values

    reference, generated = halves(ttbar())
    name = next(c.name for c in reference.schema if c.dtype == "float32")
    report = evaluate(reference, table(generated, **{name: holes}), kind="table", settings=SMALL, seed=4)
    assert report.sanity["generated"]["problems"][f"{name} is not finite"]["count"] == len(range(0, 750, 3))
    assert report.scores[f"ks.{name}"].value < 0.2
    assert report.scores["auc"].value > 0.6


def test_conditions_of_a_table_make_bins():
    reference, generated = halves(ttbar())
    report = evaluate(reference, generated, kind="table", conditions=["n_btag"], settings=SMALL, seed=4)
    assert "separation.n_btag" not in report.scores
    assert any(name.startswith("ks.max@n_btag=") for name in report.scores)


def test_weights_are_used():
    reference, generated = halves(ttbar())
    weight = "lepton_charge" if "lepton_charge" in reference.schema else reference.schema.names[-1]
    heavy = table(generated, **{weight: np.ones_like})
    plain = table(reference, **{weight: np.ones_like})
    other = next(n for n in reference.schema.names if n != weight)
    cut = float(np.median(np.concatenate([np.asarray(b[other]) for b in generated.batches()])))
    values = np.concatenate([np.asarray(b[other]) for b in generated.batches()])
    tilted = table(heavy, **{weight: lambda x: np.where(values > cut, 3, 1).astype(x.dtype)})
    flat = evaluate(plain, heavy, kind="table", columns=[other, weight], weight=weight, settings=SMALL, seed=1)
    report = evaluate(plain, tilted, kind="table", columns=[other, weight], weight=weight, settings=SMALL, seed=1)
    assert report.scores[f"ks.{other}"].value > flat.scores[f"ks.{other}"].value + 0.15
    assert report.scores["auc"].value > flat.scores["auc"].value + 0.05


def test_a_zero_variance_observable_is_no_nan():
    reference, generated = (table(x, n_jets=np.ones_like) for x in halves(ttbar()))
    report = evaluate(reference, generated, kind="table", settings=SMALL, seed=4)
    assert report.scores["separation.n_jets"].value == 0
    assert report.scores["w1.n_jets"].value is None
    assert report.scores["w1.n_jets"].comment == "constant: 1 in both samples"
    assert not report.scores["ks.n_jets"].differs()
    json.loads(report.to_json(), parse_constant=pytest.fail)


def test_a_column_that_is_constant_at_another_value_differs_and_the_report_says_so():
    reference, generated = halves(ttbar())
    columns = ["n_jets", "met", "n_btag"]
    true, made = (table(x, n_jets=lambda x, v=v: np.full_like(x, v)) for x, v in ((reference, 0), (generated, 1)))
    report = evaluate(true, made, kind="table", columns=columns, settings=SMALL, seed=4)
    score = report.scores["ks.n_jets"]
    assert (score.value, score.error, score.floor, score.z, score.z_text()) == (1.0, 0.0, 0.0, None, "+inf")
    assert score.differs()
    assert json.loads(report.to_json())["scores"]["ks.n_jets"]["infinite_z"] is True
    assert Report.from_json(report.to_json()).scores["ks.n_jets"].infinite_z
    words = summary(report)
    assert any("1 of 3 observables differ" in sentence for sentence in words)
    assert any("n_jets (0 in the reference, 1 in the generated sample)" in sentence for sentence in words)
    assert (
        dict(zip(report.header(), next(r for r in report.table(everything=True) if r[0] == "ks.n_jets"), strict=True))[
            "z"
        ]
        == "+inf"
    )


def test_a_reference_that_is_judged_against_itself_is_noticed():
    reference, generated = halves(ttbar())
    options = {"kind": "table", "columns": ["met", "jet1_pt"], "settings": SMALL, "seed": 4}
    same = evaluate(reference, reference, **options)
    assert same.n["shared"] == same.n["generated"]
    assert "judged against itself" in summary(same)[0]
    events = ak.concatenate([*list(generated.batches())[:-1], *list(reference.batches())[:1]])
    mixed = evaluate(reference, MemorySource(events, reference.schema), **options)
    assert mixed.n["shared"] == 300
    assert "300 of the 900 generated events are events of the reference" in summary(mixed)[0]
    coarse = evaluate(reference, generated, **{**options, "columns": ["n_jets", "n_btag"]})
    assert coarse.n["shared"] > 500  # whole numbers repeat by themselves
    assert not any("reference, bit for bit" in sentence or "itself" in sentence for sentence in summary(coarse))


def test_wrong_inputs_are_refused():
    reference, generated = halves(photons())
    with pytest.raises(UsageError, match="judged on its binning"):
        evaluate(reference, generated, kind="calorimeter")
    with pytest.raises(UsageError, match="no kind 'tabel'"):
        evaluate(reference, generated, kind="tabel")
    with pytest.raises(ConfigError, match="did you mean 'fast'"):
        evaluate(reference, generated, kind="table", protocol="fats")
    with pytest.raises(InputFileError, match="needs 100"):
        evaluate(reference, rows_of(photons(), slice(0, 20)), binning=binning(), **COMMON)
    from hepgen.physics.binning import Binning, Layer

    with pytest.raises(InputFileError, match="the binning has 4"):
        evaluate(reference, generated, binning=Binning((Layer(0, (0.0, 1.0), 4),)), **COMMON)


def test_a_table_has_no_threshold_and_what_it_lacks_is_said():
    reference, generated = halves(ttbar())
    options = {"kind": "table", "columns": ["n_jets", "met"], "settings": replace(SMALL, official=True), "seed": 1}
    with pytest.raises(UsageError, match="threshold"):
        evaluate(reference, generated, threshold=1.0, **options)
    report = evaluate(reference, generated, **options)
    assert any(note.startswith("No fpd_intercept: it needs 1000 events a side") for note in report.notes)
    assert any("is one of showers" in note for note in report.notes)
    control = report.scores["control.auc"]
    assert control.error > 0
    assert control.error_from == "parts"
    assert (report.scores["ks.met"].splits, report.scores["auc"].splits) == (SMALL.splits, 1)
