"""The classifier of sets: blind to order and padding, open to what binds the particles of an event."""

import numpy as np
import pytest
import torch

from hepgen.classifiers.base import label, rotation, stratified_folds
from hepgen.classifiers.calibration import area_under_curve
from hepgen.classifiers.sets import SetClassifier, SetOptions, Sets, SetShape
from hepgen.errors import UsageError

SMALL = SetOptions(local=16, latent=4, layers=2, epochs=10, batch_size=50, learning_rate=5e-3)
SHAPE = SetShape(particles=12, per_particle=3, columns=1)


def toy_sets(events, seed, *, spread=1.0, bound=False):
    """Rows of one column and 1 to 12 particles of a positive feature and two others, padded with zeros.

    Args:
        spread: width of the last feature.
        bound: the second feature has a centre of its own in each event, of the same law as a particle's.
    """
    rng = np.random.default_rng(seed)
    counts = rng.integers(1, 13, events)
    centres = rng.normal(size=(events, 1)) if bound else rng.normal(size=(events, 12))
    particles = np.stack(
        [rng.exponential(size=(events, 12)) + 0.01, centres + np.zeros(12), spread * rng.normal(size=(events, 12))],
        axis=-1,
    )
    particles[np.arange(12) >= counts[:, None]] = 0.0
    columns = rng.normal(size=(events, 1))
    return np.concatenate([columns, particles.reshape(events, -1)], axis=1).astype(np.float32)


def trained(true, made, seed=0, shape=SHAPE, options=SMALL):
    """The classifier, and its area under the curve on unseen events."""
    events = label(true, made)
    train, watch, held = rotation(stratified_folds(events.labels, 5, np.random.default_rng(1)), 0)
    classifier = SetClassifier(shape, options)
    classifier.fit(events.take(train), events.take(watch), seed)
    judged = events.take(held)
    return classifier, area_under_curve(classifier.predict(judged.features), judged.labels)


@pytest.fixture(scope="module")
def classifier():
    return trained(toy_sets(300, 0), toy_sets(300, 1, spread=1.5))[0]


def test_equal_samples_are_not_told_apart():
    assert abs(trained(toy_sets(600, 0), toy_sets(600, 1))[1] - 0.5) < 0.1


def test_what_binds_the_particles_of_an_event_is_seen():
    assert trained(toy_sets(600, 0), toy_sets(600, 1, bound=True))[1] > 0.85


def test_a_difference_in_the_number_of_particles_alone_is_seen():
    few = toy_sets(600, 1)
    few[:, 1 + 3 * 6 :] = 0.0
    assert trained(toy_sets(600, 0), few)[1] > 0.7  # 12 against at most 6; half of the sets are that small


def test_a_difference_in_the_columns_of_the_event_is_seen():
    shifted = toy_sets(600, 1)
    shifted[:, 0] += 2.0
    assert trained(toy_sets(600, 0), shifted)[1] > 0.85  # the optimum is 0.92


def test_the_order_of_particles_does_not_matter(classifier):
    sets = toy_sets(100, 5)
    particles = sets[:, 1:].reshape(100, 12, 3)
    order = np.random.default_rng(0).permuted(np.tile(np.arange(12), (100, 1)), axis=1)
    mixed = np.take_along_axis(particles, order[..., None], axis=1).reshape(100, -1)
    mixed = np.concatenate([sets[:, :1], mixed], axis=1)
    np.testing.assert_allclose(classifier.predict(mixed), classifier.predict(sets), rtol=1e-4)


def test_what_stands_in_the_padding_changes_nothing(classifier):
    sets = toy_sets(100, 5)
    filled = sets.copy()
    particles = filled[:, 1:].reshape(100, 12, 3)
    particles[..., 1:][particles[..., 0] == 0] = 99.0
    np.testing.assert_array_equal(classifier.predict(filled), classifier.predict(sets))


def test_more_room_for_particles_changes_nothing():
    def roomy(sets):
        return np.concatenate([sets, np.zeros((len(sets), 9), dtype=np.float32)], axis=1)

    true, made, unseen = toy_sets(200, 0), toy_sets(200, 1, spread=1.5), toy_sets(50, 2)
    tight = trained(true, made)[0].predict(unseen)
    larger = SetShape(particles=15, per_particle=3, columns=1)
    np.testing.assert_array_equal(trained(roomy(true), roomy(made), shape=larger)[0].predict(roomy(unseen)), tight)


def test_events_without_particles_are_taken(classifier):
    sets = toy_sets(20, 5)
    sets[::2, 1:] = 0.0
    assert np.isfinite(classifier.predict(sets)).all()
    assert np.isfinite(classifier.predict(sets[:1])).all()
    empty = np.zeros((40, SHAPE.width), dtype=np.float32)
    assert trained(empty, empty)[1] == 0.5


def test_the_same_seed_gives_the_same_classifier(classifier):
    again = trained(toy_sets(300, 0), toy_sets(300, 1, spread=1.5))[0]
    unseen = toy_sets(50, 5)
    np.testing.assert_array_equal(again.predict(unseen), classifier.predict(unseen))


def test_float64_is_kept():
    options = SetOptions(local=8, latent=4, layers=1, epochs=1, double=True)
    classifier, _ = trained(toy_sets(60, 0), toy_sets(60, 1), options=options)
    assert classifier.predict(toy_sets(5, 2)).dtype == np.float64


def test_sums_and_their_gradients_are_those_of_each_event():
    sets = Sets(torch.tensor([0, 3, 0, 2, 0]), 2.0)
    particles = torch.arange(10.0, dtype=torch.float64).reshape(5, 2).requires_grad_()
    pooled = sets.pool(particles)
    assert pooled[:, :2].tolist() == [[0, 0], [2, 3], [0, 0], [7, 8], [0, 0]]
    assert pooled[:, 2:].tolist() == [[0, 0], [3, 4.5], [0, 0], [7, 8], [0, 0]]
    events = torch.randn(5, 2, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(sets.pool, (particles,))
    assert torch.autograd.gradcheck(sets.spread, (events,))


def test_features_of_another_width_are_refused(classifier):
    with pytest.raises(UsageError, match="rows of 37"):
        classifier.predict(np.zeros((2, 36)))
    with pytest.raises(UsageError, match="must be trained"):
        SetClassifier(SHAPE).predict(toy_sets(2, 0))
