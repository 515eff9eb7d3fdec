"""``hepgen evaluate --weight``: weights of both samples, of one, and under two names, for every kind of events."""

from __future__ import annotations

from dataclasses import replace

import awkward as ak
import numpy as np
import pytest
from extracts import DATA, SMALL, binning, halves, photons, ttbar

from hepgen.cli.weights import Samples, WeightColumns
from hepgen.errors import InputFileError, UsageError
from hepgen.evaluation.jet_layouts import CommonJets
from hepgen.evaluation.jet_scores import add_jet_scores
from hepgen.evaluation.jets import JetDomain
from hepgen.evaluation.response import add_profile, add_response
from hepgen.evaluation.run import evaluate
from hepgen.evaluation.samples import read_pool
from hepgen.evaluation.scores import ScoreBook
from hepgen.evaluation.showers import ShowerDomain
from hepgen.evaluation.splits import Split, condition_bins
from hepgen.events.jets import find_jets
from hepgen.events.reader import open_events
from hepgen.events.schema import Column
from hepgen.events.source import MemorySource


def with_column(source, name, values):
    events = ak.concatenate(list(source.batches()))
    column = Column(name, str(np.asarray(values).dtype))
    return MemorySource(ak.with_field(events, values, name), source.schema.replace([*source.schema, column]))


def weights_of(source):
    return np.concatenate([ak.to_numpy(batch["_weight"]) for batch in source.batches(["_weight"])])


def test_a_column_of_one_sample_is_1_in_the_others():
    reference, generated = halves(ttbar())
    weights = np.linspace(0.5, 1.5, reference.num_events)
    heavy = with_column(reference, "w", weights)
    columns = WeightColumns.of("w", heavy.schema, generated.schema)
    samples, (note,) = columns.weigh(Samples(heavy, generated, {"gan": generated}, heavy))
    np.testing.assert_allclose(weights_of(samples.reference), weights)
    np.testing.assert_allclose(weights_of(samples.training), weights)
    assert (weights_of(samples.generated) == 1).all()
    assert (weights_of(samples.others["gan"]) == 1).all()
    assert "of the reference from column 'w', of the generated sample 1, of the gan 1" in note
    options = columns.options({"kind": "table", "columns": ["met", "w"]})
    assert options == {"kind": "table", "columns": ["met"], "weight": "_weight"}


def test_each_sample_may_have_its_own_column_even_of_the_name_that_hepgen_uses():
    reference, generated = halves(ttbar())
    reference = with_column(with_column(reference, "w", np.full(reference.num_events, 2.0)), "_weight", np.zeros(750))
    generated = with_column(generated, "_weight", np.full(generated.num_events, 3.0))
    columns = WeightColumns.of("w, _weight", reference.schema, generated.schema)
    samples, _ = columns.weigh(Samples(reference, generated, {}, None))
    assert (weights_of(samples.reference) == 2).all()
    assert (weights_of(samples.generated) == 3).all()


@pytest.mark.parametrize(
    ("text", "error", "words"),
    [
        ("a,b,c", UsageError, "cannot read"),
        (" ", UsageError, "cannot read"),
        ("mett", InputFileError, "no sample has a column 'mett'"),
        ("met,nothing", InputFileError, "column 'nothing' is not in the generated sample"),
        ("part_pt", InputFileError, "is no number per event in the reference"),
    ],
)
def test_what_is_no_column_of_weights_is_refused(text, error, words):
    schema = halves(ttbar())[0].schema
    jagged = schema.replace([*schema, Column("part_pt", "float32", jagged=True)])
    with pytest.raises(error, match=words):
        WeightColumns.of(text, jagged, schema)


def pools(domain, source, size):
    return read_pool(source, domain, np.random.default_rng(1), rows=size, raw_rows=size)[0]


def with_weights(pool, weights):
    return replace(pool, weights=np.asarray(weights, dtype=np.float64))


def test_weighted_showers_have_the_response_and_the_profile_of_repeated_ones():
    """Weights 1 and 2 give what the same showers give of which every other one is there twice."""
    events, schema = photons()
    heavy = with_column(MemorySource(events, schema), "w", np.where(np.arange(len(events)) % 2 == 0, 2.0, 1.0))
    domain = ShowerDomain(binning(), weight="w")
    pool = pools(domain, heavy, len(events))
    rows = np.repeat(np.arange(len(pool)), pool.weights.astype(int))
    plain = with_weights(pool, np.ones(len(pool)))
    bins = condition_bins(plain.conditions, domain.condition_names, bare_first=True)
    books = []
    for made in (pool, with_weights(pool.take(rows), np.ones(len(rows)))):
        book, split = ScoreBook(), Split(np.arange(len(plain)), np.arange(len(plain)), np.arange(len(made)))
        add_response(book, plain, made, bins, [split], 2)
        add_profile(book, plain, made, binning(), [split], 2)
        books.append(book)
    names = [name for name in books[0].scores() if name.startswith(("response.mean.", "response.rms.", "profile."))]
    assert len(names) > 5
    for name in names:
        assert books[0].pair(name)[0] == pytest.approx(books[1].pair(name)[0], rel=1e-6), name


def test_weighted_jets_have_the_distances_of_repeated_ones():
    source = open_events(DATA / "jets.root")
    count = source.num_events
    heavy = with_column(source, "w", np.where(np.arange(count) % 3 == 0, 2.0, 1.0))
    pool = pools(JetDomain(heavy.schema, CommonJets(find_jets(source.schema), 100), weight="w"), heavy, count)
    rows = np.repeat(np.arange(count), pool.weights.astype(int))
    size = len(rows)
    # sides of one size: events of weight 0 say nothing
    padded = pool.take(np.concatenate([np.arange(count), np.zeros(size - count, dtype=int)]))
    padded = with_weights(padded, np.concatenate([pool.weights, np.zeros(size - count)]))
    plain = with_weights(pool.take(np.arange(size) % 100), np.ones(size))
    books, every = [], np.arange(size)
    for made in (padded, with_weights(pool.take(rows), np.ones(size))):
        books.append(ScoreBook())
        add_jet_scores(books[-1], plain, made, [Split(every, every, every)], 2, repeats=0)
    for name in ("w1m", "w1efp", "w1p"):
        assert books[0].pair(name)[0] > 0
        assert books[0].pair(name)[0] == pytest.approx(books[1].pair(name)[0], rel=1e-6), name


def test_what_takes_no_weights_says_so_and_weights_that_are_not_finite_are_left_out():
    reference, generated = halves(ttbar())
    weights = np.where(np.arange(750) % 2 == 0, 1.5, 0.5)
    weights[5] = np.nan
    heavy = with_column(generated, "w", weights)
    columns = WeightColumns.of("w", reference.schema, heavy.schema)
    samples, notes = columns.weigh(Samples(reference, heavy, {}, None))
    options = columns.options({"kind": "table", "columns": ["met", "m_bb", "lepton_pt"]})
    report = evaluate(samples.reference, samples.generated, **options, settings=SMALL, seed=1, notes=notes)
    assert report.notes[0] == notes[0]
    assert report.sanity["generated"]["problems"]["weights that are not finite"] == {
        "count": 1,
        "events": [5],
        "left_out": 1,
    }
    assert report.sanity["generated"]["left_out"] == 1
    (sentence,) = (note for note in report.notes if note.startswith("By their weights"))
    assert "do not enter kpd, precision, recall, density, coverage" in sentence
    assert "without event weights" in report.scores["kpd"].comment


def test_weights_of_showers_reach_the_scores():
    reference, generated = halves(photons())
    weights = np.where(ak.to_numpy(ak.concatenate(list(generated.batches())).incident_energy).ravel() > 2000, 3.0, 0.2)
    heavy = with_column(generated, "w", weights)
    samples, _ = WeightColumns.of("w", reference.schema, heavy.schema).weigh(Samples(reference, heavy, {}, None))
    options = {"kind": "calorimeter", "binning": binning(), "threshold": 1.0, "settings": SMALL, "seed": 4}
    found = evaluate(samples.reference, samples.generated, **options, weight="_weight")
    plain = evaluate(reference, generated, **options)
    total = next(name for name in plain.scores if name.startswith("ks.energy."))
    assert found.scores[total].value > plain.scores[total].value + 0.05
    assert found.scores["separation.voxel_energy"].value > plain.scores["separation.voxel_energy"].value
