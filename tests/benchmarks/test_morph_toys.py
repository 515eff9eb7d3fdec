"""The toys of the morphing benchmark: what they promise of themselves."""

from __future__ import annotations

import numpy as np
import pytest
from morph_toys import PLANES, bures_wasserstein, gaussian, gaussian_pair, rotated, scaled

RNG = np.random.default_rng


@pytest.mark.parametrize("name", PLANES)
def test_a_plane_lies_about_the_origin(name: str) -> None:
    points = PLANES[name](20_000, RNG(0))
    assert points.shape == (20_000, 2)
    assert np.abs(points).max() < 5
    assert np.abs(points.mean(axis=0)).max() < 0.1
    assert points.std(axis=0).min() > 1


def test_a_checkerboard_has_every_second_field() -> None:
    fields = np.floor(PLANES["checkerboard"](5000, RNG(1)) / 2).astype(int) + 2
    counts = np.zeros((4, 4), dtype=int)
    np.add.at(counts, tuple(fields.T), 1)
    full = counts > 0
    assert full.sum() == 8
    assert not (full[1:] & full[:-1]).any()
    assert not (full[:, 1:] & full[:, :-1]).any()
    assert counts[full].min() > 500


def test_conditions_turn_and_shrink() -> None:
    points, condition = PLANES["rings"](100, RNG(2)), RNG(3).uniform(size=100)
    np.testing.assert_allclose(np.hypot(*rotated(points, condition).T), np.hypot(*points.T))
    np.testing.assert_allclose(scaled(points, condition), points * (1 - 0.5 * condition)[:, None])


@pytest.mark.parametrize("dimensions", [2, 4, 8])
@pytest.mark.parametrize("in_widths", [False, True])
def test_the_best_map_leads_to_the_target_and_no_other_linear_map_moves_less(dimensions: int, in_widths: bool) -> None:
    source, target = gaussian_pair(dimensions)
    widths = RNG(4).uniform(0.5, 3, dimensions) if in_widths else None
    matrix, shift = bures_wasserstein(source, target, widths)
    np.testing.assert_allclose(matrix @ source[1] @ matrix.T, target[1], atol=1e-10)
    np.testing.assert_allclose(matrix @ source[0] + shift, target[0], atol=1e-10)
    unit = np.ones(dimensions) if widths is None else widths
    # Every linear map onto the target is C2^(1/2) Q C1^(-1/2) with a rotation Q: the best one is the best among neighbours.
    x = (gaussian(*source, 4000, RNG(5)) - source[0]) @ np.linalg.inv(np.linalg.cholesky(source[1])).T
    x = (x - x.mean(axis=0)) @ np.linalg.inv(np.linalg.cholesky(np.cov(x.T, bias=True))).T  # exactly standard
    root = np.linalg.cholesky(source[1])

    def moved(rotation: np.ndarray) -> float:
        events = x @ root.T
        there = x @ rotation.T @ root.T @ matrix.T
        return float(np.square((there - events) / unit).sum(axis=1).mean())

    best = moved(np.eye(dimensions))
    for seed in range(20):
        rotation, _ = np.linalg.qr(np.eye(dimensions) + 0.1 * RNG(seed).normal(size=(dimensions, dimensions)))
        rotation = rotation * np.sign(np.diag(rotation))
        assert moved(rotation) > best
