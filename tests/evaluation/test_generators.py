"""Several generators judged by one training: the better one has the larger log-posterior, the truth the largest."""

from functools import cache

import numpy as np
import pytest

from hepgen.classifiers.multiclass import NetworkPosterior, TreePosterior
from hepgen.classifiers.network import DenseNetwork, NetworkOptions
from hepgen.classifiers.trees import TreeClassifier, TreeOptions
from hepgen.errors import UsageError
from hepgen.evaluation.domain import ClassifierTest, Pool
from hepgen.evaluation.generators import add_log_posteriors
from hepgen.evaluation.scores import ScoreBook

SHIFTS = {"good": 0.2, "fair": 0.6, "bad": 1.2}
POSTERIORS = {
    "network": lambda: NetworkPosterior(
        DenseNetwork(NetworkOptions(learning_rate=1e-2, hidden=(16,), epochs=8, batch_size=200))
    ),
    "trees": lambda: TreePosterior(TreeOptions(rounds=20, leaves=6, learning_rate=0.2)),
}


def classifier_test(posterior, name="high"):
    def features(raw, conditions):
        return np.concatenate([raw, conditions], axis=1)

    return ClassifierTest(name, "all columns", features, TreeClassifier, "nothing", slice(0, 1), posterior)


def pool(events, shift, seed, weights=None):
    """Unit Gaussians about a shift times the condition, which is 1 or 2; the last fifth has no raw values."""
    rng = np.random.default_rng(seed)
    conditions = rng.integers(1, 3, (events, 1)).astype(np.float64)
    raw = rng.normal(size=(events, 2)) + np.array([shift, 0.0]) * conditions
    weights = np.ones(events) if weights is None else weights
    return Pool(events, raw, conditions, weights, raw[: events * 4 // 5], np.arange(events))


def judged(posterior, events=1500, shifts=SHIFTS, **options):
    book = ScoreBook()
    made = {name: pool(events, shift, seed) for seed, (name, shift) in enumerate(shifts.items(), 1)}
    add_log_posteriors(book, classifier_test(posterior), pool(events, 0.0, 0), made, **{"seed": 3, **options})
    return book.scores()


@cache
def three_generators(kind):
    return judged(POSTERIORS[kind])


@pytest.mark.parametrize("kind", POSTERIORS)
def test_generators_are_ordered_by_their_quality_and_the_truth_is_best(kind):
    scores = three_generators(kind)
    assert list(scores) == ["logpost_high.good", "logpost_high.fair", "logpost_high.bad"]
    good, fair, bad = scores.values()
    assert good.value > fair.value + 2 * fair.error
    assert fair.value > bad.value + 2 * bad.error
    assert {good.floor} == {fair.floor, bad.floor}
    assert good.floor > good.value
    assert good.n == 1200
    assert "-1.386 if all 4 classes" in good.comment


@pytest.mark.parametrize("kind", POSTERIORS)
def test_the_values_and_their_errors_are_those_of_the_exact_posterior(kind):
    sample = pool(50_000, 0.0, 77)
    shifts = np.array([*SHIFTS.values(), 0.0]) * sample.conditions
    logs = -0.5 * (sample.observables[:, :1] - shifts) ** 2
    logs -= np.log(np.exp(logs).sum(axis=1, keepdims=True))
    scores = list(three_generators(kind).values())
    for number, score in enumerate(scores):
        # of what is improbable, trees of a few leaves know no more than that it is
        assert score.value == pytest.approx(logs[:, number].mean(), rel=0.2 if score is scores[-1] else 0.1)
        statistical = logs[:, number].std() / np.sqrt(score.n)
        assert 0.4 * statistical < score.error < 4 * statistical
    assert scores[0].floor == pytest.approx(logs[:, -1].mean(), rel=0.1)


def test_a_perfect_generator_reaches_the_floor():
    score = judged(POSTERIORS["trees"], shifts={"perfect": 0.0})["logpost_high.perfect"]
    assert score.value == pytest.approx(score.floor, abs=0.03)
    assert score.value == pytest.approx(-np.log(2), abs=0.03)


@pytest.mark.parametrize("kind", POSTERIORS)
def test_the_same_seed_gives_the_same_scores(kind):
    assert judged(POSTERIORS[kind], 200) == judged(POSTERIORS[kind], 200)


def test_no_event_is_judged_by_a_classifier_that_has_seen_it():
    seen, told = [], []

    class Spy:
        def fit(self, train, watch, seed):
            del seed
            self.known = {row.tobytes() for part in (train, watch) for row in part.features}

        def log_posterior(self, features):
            told.extend(row.tobytes() for row in features)
            seen.extend(row.tobytes() in self.known for row in features)
            return np.full((len(features), 4), -np.log(4))

    scores = judged(Spy, 200)
    assert len(told) == len(set(told)) == 160
    assert not any(seen)
    assert scores["logpost_high.bad"].value == pytest.approx(-np.log(4))


def test_true_events_count_by_their_weights():
    weights = np.where(np.arange(200) < 100, 3.0, 0.0)
    true = pool(200, 0.0, 0, weights)
    heavy = {row.tobytes() for row in true.raw[:100]}

    class Told:
        def fit(self, train, watch, seed):
            pass

        def log_posterior(self, features):
            return np.array([[-1.0 if row[:2].tobytes() in heavy else -9.0, -2.0] for row in features])

    book = ScoreBook()
    add_log_posteriors(book, classifier_test(Told, ""), true, {"one": pool(200, 0.0, 1)}, seed=0)
    assert book.scores()["logpost.one"].value == pytest.approx(-1.0)


def test_what_cannot_be_judged_is_refused():
    with pytest.raises(UsageError, match="cannot tell several generators"):
        judged(None)
    with pytest.raises(UsageError, match="no generator"):
        judged(POSTERIORS["trees"], shifts={})
    with pytest.raises(UsageError, match="40 events of each generator are too few"):
        judged(POSTERIORS["trees"], max_events=40)
