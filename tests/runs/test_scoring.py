import numpy as np
import torch

from hepgen.runs.scoring import condition_bins, physics_distance
from hepgen.training.seeds import stream


def made(shift: float = 0.0, stretch: float = 1.0, seed: int = 0, mix: float = 0.0) -> dict[str, torch.Tensor]:
    noise = torch.from_numpy(stream(seed).normal(size=(4000, 3)))
    noise[:, 1] = noise[:, 1] * (1 - mix**2) ** 0.5 + mix * noise[:, 0]
    condition = torch.arange(4000, dtype=torch.float64)[:, None] % 4
    return {"condition": condition, "x": noise * stretch + shift + condition}


def test_a_score_grows_with_every_kind_of_difference() -> None:
    truth = made(seed=1)
    same = physics_distance(made(seed=2), truth)
    assert physics_distance(truth, truth) == 0.0
    assert same < 0.25
    for worse in (made(0.3), made(0.0, 1.3), made(0.0, 0.7), made(mix=0.9)):
        assert physics_distance(worse, truth) > same + 0.1
    shuffled = made(seed=2)
    shuffled["x"] = shuffled["x"][torch.randperm(4000, generator=torch.Generator().manual_seed(0))]
    assert physics_distance(shuffled, truth) > same + 0.3


def test_a_column_that_is_seldom_filled_does_not_drown_the_others() -> None:
    truth, same, worse = made(seed=1), made(seed=2), made(0.3, seed=2)
    for tensors in (truth, same, worse):
        tensors["x"] = torch.cat([tensors["x"], torch.zeros(4000, 20)], 1)
        tensors["x"][:40, 3:] = 1.0
    same["x"][0, 3::2], same["x"][0, 4::2] = 30.0, -30.0
    assert physics_distance(same, truth) + 0.05 < physics_distance(worse, truth)


def test_missing_values_count_by_how_many_there_are() -> None:
    truth = made(seed=1)
    truth["x"][::4, 0] = torch.nan
    few, many = made(seed=2), made(seed=2)
    few["x"][::4, 0] = torch.nan
    many["x"][::2, 0] = torch.nan
    assert physics_distance(few, truth) < physics_distance(many, truth)


def test_bins_hold_every_event_once() -> None:
    for condition in (np.arange(100.0)[:, None] % 7, np.random.default_rng(0).normal(size=(101, 2)), np.empty((50, 0))):
        bins = condition_bins(condition)
        assert np.array_equal(np.sort(np.concatenate(bins)), np.arange(len(condition)))
