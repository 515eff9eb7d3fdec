"""Classifiers of several samples: they approach the exact posterior, and a seed fixes them."""

import numpy as np
import pytest

from hepgen.classifiers.base import label_classes, rotation, stratified_folds
from hepgen.classifiers.calibration import multinomial
from hepgen.classifiers.multiclass import NetworkPosterior, TreePosterior
from hepgen.classifiers.network import DenseNetwork, NetworkOptions
from hepgen.classifiers.sets import SetNetwork, SetOptions, SetShape
from hepgen.classifiers.trees import TreeOptions
from hepgen.errors import UsageError

SHAPE = SetShape(particles=1, per_particle=2)
FACTORIES = {
    "network": lambda: NetworkPosterior(
        DenseNetwork(NetworkOptions(learning_rate=5e-3, hidden=(16, 16), epochs=8, batch_size=150))
    ),
    "sets": lambda: NetworkPosterior(
        SetNetwork(SHAPE, SetOptions(learning_rate=5e-3, local=16, latent=4, layers=1, epochs=5, batch_size=150))
    ),
    "trees": lambda: TreePosterior(TreeOptions(rounds=30, leaves=6)),
}
CENTRES = np.array([0.0, 1.0, 2.5])


def gaussians(events, seed):
    """Three classes of unit Gaussians in the first of two columns."""
    rng = np.random.default_rng(seed)
    return [rng.normal([centre, 0.0], 1.0, (events, 2)).astype(np.float32) for centre in CENTRES]


def exact(features):
    """Log-posterior of the three, (events, 3)."""
    logs = -0.5 * (features[:, :1].astype(np.float64) - CENTRES) ** 2
    return logs - np.log(np.exp(logs).sum(axis=1, keepdims=True))


def trained(factory, seed=0, weights=None):
    samples = gaussians(1500, 1)
    events = label_classes(samples, weights or [np.ones(len(one)) for one in samples])
    train, watch, _ = rotation(stratified_folds(events.labels, 5, np.random.default_rng(2)), 0)
    posterior = factory()
    posterior.fit(events.take(train), events.take(watch), seed)
    return posterior


@pytest.mark.parametrize("factory", FACTORIES.values(), ids=FACTORIES)
def test_the_exact_posterior_of_gaussians_is_approached(factory):
    posterior = trained(factory)
    for number, unseen in enumerate(gaussians(4000, 9)):
        found = posterior.log_posterior(unseen)
        assert found.shape == (4000, 3)
        np.testing.assert_allclose(np.exp(found).sum(axis=1), 1.0, atol=1e-5)
        assert found[:, number].mean() == pytest.approx(exact(unseen)[:, number].mean(), abs=0.06)


@pytest.mark.parametrize("factory", FACTORIES.values(), ids=FACTORIES)
def test_the_same_seed_gives_the_same_posterior(factory):
    unseen = gaussians(50, 9)[0]
    first, second = (trained(factory, seed=4).log_posterior(unseen) for _ in range(2))
    np.testing.assert_array_equal(first, second)


@pytest.mark.parametrize("factory", FACTORIES.values(), ids=FACTORIES)
def test_weights_change_the_law_of_a_class_and_not_its_share(factory):
    weights = [np.full(1500, 7.0), np.full(1500, 0.01), np.where(np.arange(1500) % 10 == 0, -1.0, 1.0)]
    unseen = gaussians(4000, 9)[1]
    found = trained(factory, weights=weights).log_posterior(unseen)
    assert found[:, 1].mean() == pytest.approx(exact(unseen)[:, 1].mean(), abs=0.08)


def test_calibration_undoes_what_is_too_bold_and_what_favours_a_class():
    features = np.concatenate(gaussians(3000, 3))
    labels, weights = np.repeat([0.0, 1.0, 2.0], 3000), np.where(np.arange(9000) % 7, 1.0, -1.0)
    distorted = 3 * exact(features) + np.array([2.0, 0.0, -1.0])
    distorted -= np.log(np.exp(distorted).sum(axis=1, keepdims=True))
    calibrated = multinomial(distorted, labels, weights)(distorted)
    np.testing.assert_allclose(np.exp(calibrated), np.exp(exact(features)), atol=0.03)


def test_calibration_is_not_certain_of_what_was_never_wrong():
    logs = np.log([[0.9, 0.1]] * 10 + [[0.1, 0.9]] * 10)
    found = np.exp(multinomial(logs, np.repeat([0.0, 1.0], 10), np.ones(20))(logs))
    assert found[0, 1] == pytest.approx(1 / 22 / 2, rel=0.05)


def test_trees_are_never_certain():
    samples = [np.zeros((100, 1)), np.ones((100, 1))]
    events = label_classes(samples, [np.ones(100), np.ones(100)])
    trees = TreePosterior(TreeOptions(rounds=500, learning_rate=1.0, min_leaf=5))
    trees.fit(events, events, 0)
    assert np.isfinite(trees.log_posterior(events.features)).all()


@pytest.mark.parametrize("factory", FACTORIES.values(), ids=FACTORIES)
def test_what_cannot_be_judged_is_refused(factory):
    with pytest.raises(UsageError, match="must be trained"):
        factory().log_posterior(np.zeros((1, 2)))
    events = label_classes(gaussians(5, 0), [np.ones(5)] * 3)
    with pytest.raises(UsageError, match="needs events"):
        factory().fit(events, events.take(np.array([], dtype=np.int64)), 0)
