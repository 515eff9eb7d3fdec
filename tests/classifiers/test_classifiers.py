"""Classifiers of two samples: what they see, what they do not see, and that a seed fixes them."""

import numpy as np
import pytest

from hepgen.classifiers.base import label, rotation, stratified_folds
from hepgen.classifiers.calibration import (
    area_under_curve,
    divergences,
    isotonic,
    jensen_shannon,
    log_ratio,
    logistic,
)
from hepgen.classifiers.network import CALOCHALLENGE, DenseNetwork, NetworkClassifier, NetworkOptions
from hepgen.classifiers.trees import TreeClassifier, TreeOptions
from hepgen.errors import UsageError

SMALL = NetworkOptions(learning_rate=1e-3, hidden=(16, 16), epochs=8, batch_size=100)
FACTORIES = {
    "network": lambda: NetworkClassifier(SMALL),
    "network in float64, all epochs": lambda: NetworkClassifier(
        NetworkOptions(
            hidden=(16, 16, 16),
            epochs=4,
            batch_size=100,
            learning_rate=2e-3,
            double=True,
            standardise=False,
            select="accuracy",
            patience=None,
        )
    ),
    "network with dropout": lambda: NetworkClassifier(
        NetworkOptions(learning_rate=1e-3, hidden=(16,), epochs=8, dropout=0.2)
    ),
    "trees": lambda: TreeClassifier(TreeOptions(rounds=20)),
}


def parts_of(labels, seed):
    return rotation(stratified_folds(labels, 5, np.random.default_rng(seed)), 0)


def auc(factory, shift, seed=0, weights=None):
    rng = np.random.default_rng(5)
    x, y = rng.normal(size=(2, 1000, 3)).astype(np.float32)
    events = label(x, y + np.float32(shift), weights, weights)
    train, watch, held = (events.take(rows) for rows in parts_of(events.labels, 1))
    classifier = factory()
    classifier.fit(train, watch, seed)
    return area_under_curve(classifier.predict(held.features), held.labels, held.weights), classifier.predict(x)


@pytest.mark.parametrize("factory", FACTORIES.values(), ids=FACTORIES)
def test_a_shift_is_seen_and_equal_samples_are_not(factory):
    assert auc(factory, 1.0)[0] > 0.8  # the optimum is Phi(sqrt(3/2)) = 0.89
    assert abs(auc(factory, 0.0)[0] - 0.5) < 0.06


@pytest.mark.parametrize("factory", FACTORIES.values(), ids=FACTORIES)
def test_the_same_seed_gives_the_same_classifier(factory):
    np.testing.assert_array_equal(auc(factory, 0.3, seed=3)[1], auc(factory, 0.3, seed=3)[1])


@pytest.mark.parametrize("factory", FACTORIES.values(), ids=FACTORIES)
def test_a_seed_of_64_bits_is_taken(factory):
    """As it is drawn where a user gives none."""
    assert auc(factory, 1.0, seed=2**64 - 2)[0] > 0.8


@pytest.mark.parametrize("factory", FACTORIES.values(), ids=FACTORIES)
def test_negative_weights_are_taken(factory):
    weights = np.where(np.arange(1000) % 10 == 0, -1.0, 1.0)
    assert auc(factory, 1.0, weights=weights)[0] > 0.8


def test_the_network_leaves_the_global_random_stream_alone():
    import torch

    torch.manual_seed(7)
    expected = torch.rand(3)
    torch.manual_seed(7)
    auc(FACTORIES["network with dropout"], 0.1)
    assert torch.equal(torch.rand(3), expected)


def test_the_calochallenge_network_is_that_of_the_challenge():
    assert CALOCHALLENGE.hidden == (2048, 2048, 2048)
    assert (CALOCHALLENGE.epochs, CALOCHALLENGE.batch_size, CALOCHALLENGE.learning_rate) == (50, 1000, 2e-4)
    assert CALOCHALLENGE.double
    assert not CALOCHALLENGE.dropout
    assert CALOCHALLENGE.select == "accuracy"
    assert CALOCHALLENGE.patience is None
    network = DenseNetwork(CALOCHALLENGE)
    network.fit_scale(np.zeros((1, 369)))
    assert sum(p.numel() for p in network.build(1).parameters()) == 369 * 2048 + 2048 + 2 * (2048**2 + 2048) + 2049


def test_missing_values_tell_tables_apart():
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(2, 500, 2))
    y[::2, 0] = np.nan
    events = label(x, y)
    train, watch, held = (events.take(rows) for rows in parts_of(events.labels, 0))
    trees = TreeClassifier(TreeOptions(rounds=10))
    trees.fit(train, watch, 0)
    assert area_under_curve(trees.predict(held.features), held.labels) > 0.65


def test_parts_are_disjoint_and_balanced():
    labels = np.repeat([1.0, 0.0], [100, 200])
    parts = parts_of(labels, 0)
    assert sorted(np.concatenate(parts).tolist()) == list(range(300))
    assert [int(labels[part].sum()) for part in parts] == [60, 20, 20]
    assert [len(part) for part in parts] == [180, 60, 60]


def test_every_event_is_judged_once():
    folds = stratified_folds(np.repeat([1.0, 0.0], [53, 40]), 5, np.random.default_rng(0))
    judged = [rotation(folds, number)[2] for number in range(5)]
    assert sorted(np.concatenate(judged).tolist()) == list(range(93))
    with pytest.raises(UsageError, match="nothing to train on"):
        rotation(folds[:2], 0)


def test_weights_are_scaled_to_balance_the_classes():
    events = label(np.zeros((4, 1)), np.zeros((2, 1)), np.full(4, 0.01), np.full(2, 100.0))
    np.testing.assert_allclose(events.weights, 1.0)


def test_area_under_curve_agrees_with_scikit_learn_and_takes_negative_weights():
    from sklearn.metrics import roc_auc_score

    rng = np.random.default_rng(2)
    score, labels, weights = rng.integers(0, 20, 300) / 20, rng.integers(0, 2, 300).astype(float), rng.uniform(size=300)
    assert area_under_curve(score, labels, weights) == pytest.approx(
        roc_auc_score(labels, score, sample_weight=weights)
    )
    doubled = np.concatenate([score, [0.5, 0.5]]), np.concatenate([labels, [1.0, 1.0]])
    cancelled = np.concatenate([weights, [1.0, -1.0]])
    assert area_under_curve(*doubled, cancelled) == pytest.approx(area_under_curve(score, labels, weights))
    assert np.isnan(area_under_curve(score, np.ones(300)))


def test_calibration_turns_scores_into_probabilities():
    rng = np.random.default_rng(3)
    truth = rng.uniform(size=4000)
    labels = (rng.uniform(size=4000) < truth).astype(float)
    calibrate = isotonic(truth**3, labels, np.ones(4000))
    assert np.abs(calibrate(truth**3) - truth).mean() < 0.04


def test_logistic_calibration_is_smooth_and_has_no_certainty():
    rng = np.random.default_rng(3)
    truth = rng.uniform(0.1, 0.9, size=4000)
    labels = (rng.uniform(size=4000) < truth).astype(float)
    odds = truth / (1 - truth)
    distorted = odds**3 * 2 / (1 + odds**3 * 2)
    calibrate = logistic(distorted, labels, np.where(np.arange(4000) % 7, 1.0, -1.0))
    assert np.abs(calibrate(distorted) - truth).max() < 0.05
    assert 0 < calibrate(np.zeros(1))[0] < calibrate(np.ones(1))[0] < 1


def test_divergences_by_the_exact_density_ratio_are_those_of_the_closed_forms():
    rng = np.random.default_rng(4)
    shift = 0.6
    x = np.concatenate([rng.normal(shift, 1, 200_000), rng.normal(0, 1, 100_000)])
    labels = np.repeat([1.0, 0.0], [200_000, 100_000])
    weights = np.where(labels > 0.5, 0.5, 1.0)
    ratio = np.exp(shift * x - shift**2 / 2)
    found = divergences(ratio / (1 + ratio), labels, weights)
    assert found["kl"] == pytest.approx(shift**2 / 2, rel=0.02)
    assert found["kl_reverse"] == pytest.approx(shift**2 / 2, rel=0.02)
    assert found["chi2"] == pytest.approx(np.expm1(shift**2), rel=0.05)
    assert found["hellinger"] == pytest.approx(1 - np.exp(-(shift**2) / 8), rel=0.05)
    np.testing.assert_allclose(log_ratio(ratio / (1 + ratio), labels, weights), np.log(ratio), atol=1e-6)
    # twice as many events of label 1 change no ratio
    more = divergences(ratio * 2 / (1 + ratio * 2), labels)
    assert more["kl"] == pytest.approx(found["kl"], rel=1e-6)


def test_jensen_shannon_of_certainty_and_of_ignorance():
    labels = np.tile([1.0, 0.0], 5000)
    assert jensen_shannon(labels, labels) == pytest.approx(1, abs=1e-3)
    assert jensen_shannon(np.full(10_000, 0.5), labels) == pytest.approx(0)
    assert np.isfinite(jensen_shannon(1 - labels, labels))


def test_a_column_without_any_value_is_no_hindrance():
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(2, 400, 2))
    x[:, 0] = y[:, 0] = np.nan
    events = label(x, y + 1)
    train, watch, held = (events.take(rows) for rows in parts_of(events.labels, 0))
    trees = TreeClassifier(TreeOptions(rounds=10))
    trees.fit(train, watch, 0)
    assert area_under_curve(trees.predict(held.features), held.labels) > 0.6


def test_unusable_events_are_refused():
    bad = label(np.full((5, 1), np.nan), np.zeros((5, 1)))
    with pytest.raises(UsageError, match="not finite"):
        NetworkClassifier(SMALL).fit(bad, bad, 0)
    with pytest.raises(UsageError, match="needs events"):
        NetworkClassifier(SMALL).fit(bad.take(np.array([], dtype=int)), bad, 0)
    for factory in FACTORIES.values():
        with pytest.raises(UsageError, match="must be trained"):
            factory().predict(np.zeros((1, 1)))
