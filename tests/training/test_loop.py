"""Training of one stage: what it learns, and that it can be stopped anywhere."""

import dataclasses
import hashlib
import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
import torch
from toys import Gaussian, Players, ToyRepresentation, toy_source

from hepgen.errors import Interrupted, TrainingError
from hepgen.generators.base import Generator, Objective, StageBatch
from hepgen.generators.networks.dropout import Dropout
from hepgen.runs.train import stage_batches
from hepgen.training.cache import EncodedCache, encode_source
from hepgen.training.checkpoint import CheckpointStore
from hepgen.training.loop import StageRun
from hepgen.training.metrics import MetricsLog
from hepgen.training.optimizers import schedule
from hepgen.training.plan import Plan, StagePlan, TimeLimit
from hepgen.training.progress import Silent
from hepgen.training.score import StageScore
from hepgen.training.signals import StopFlag
from hepgen.training.trainer import StageTrainer, TrainingSettings

SETTINGS = TrainingSettings(batch_size=64, validate_every=10, ema=0.99, learning_rate=1e-2)


class Phases(Gaussian):
    """First the network alone, then a shift of what it gives, as of a map on a density that was learned before."""

    def __init__(
        self, features: int, conditions: int, options: Any = None, observables: int = 0, points: int = 0
    ) -> None:
        super().__init__(features, conditions, options, observables, points)
        self.shift = torch.nn.Parameter(torch.zeros(features))

    def objectives(self) -> list[Objective]:
        def shifted(batch: StageBatch, noise: Mapping[str, torch.Tensor]) -> torch.Tensor:
            return -self.log_prob(batch.x + self.shift, batch.condition)

        [first] = super().objectives()
        network = list(self.network.parameters())
        return [dataclasses.replace(first, parameters=network), Objective("shift", [self.shift], shifted, phase=1)]


class StopAfter(StopFlag):
    """A stop request at the n-th time that somebody looks."""

    def __init__(self, looks: int) -> None:
        super().__init__()
        self.left = looks

    @property
    def reason(self) -> str:
        self.left -= 1
        return "SIGTERM" if self.left < 0 else ""


@pytest.fixture(scope="module")
def parts(tmp_path_factory: pytest.TempPathFactory) -> tuple[ToyRepresentation, EncodedCache, EncodedCache]:
    representation = ToyRepresentation()
    representation.fit(toy_source(1000))
    path = tmp_path_factory.mktemp("cache") / "x"
    train, validation = (
        encode_source(toy_source(size, seed), representation, memory=1 << 24, path=path, fingerprint="")
        for size, seed in ((1000, 0), (300, 1))
    )
    return representation, train, validation


def _trainer(
    parts: Any, family: type[Generator], settings: TrainingSettings = SETTINGS, stage: str = "second", **more: Any
) -> StageTrainer:
    representation, train, validation = parts
    number = 0 if stage == "first" else 1
    if family.select_by_score:
        truth = representation.pack(next(toy_source(300, 1).batches()))

        def score(made: dict[str, torch.Tensor], true: dict[str, torch.Tensor]) -> float:
            return float((made["v"].mean() - true["v"].mean()).abs())

        more["score"] = StageScore(representation, stage, truth, score, (5, number))
    *sizes, observables = {"first": (1, 1, 0), "second": (2, 2, 1)}[stage]
    return StageTrainer(
        number,
        representation.stages[number],
        lambda: family(*sizes, None, observables),
        *stage_batches(representation, number, (train, validation), 5, "cpu"),
        settings,
        seed=5,
        **more,
    )


def _run(folder: Path, trainer: StageTrainer, steps: float, stop: StopFlag | None = None) -> dict[str, torch.Tensor]:
    folder.mkdir(exist_ok=True)
    store = CheckpointStore(folder / "checkpoints", Silent().message)
    metrics = MetricsLog(folder / "metrics.jsonl")
    run = StageRun(trainer, store, Plan(folder / "plan.json"), metrics, stop or StopFlag(), Silent())
    return run.run(lambda _: StagePlan(steps) if isinstance(steps, int) else TimeLimit(steps))


def _hash(folder: Path) -> str:
    store = CheckpointStore(folder / "checkpoints", Silent().message)
    checkpoint = store.load("second")
    assert checkpoint is not None
    digest = hashlib.sha256()
    for part in sorted(checkpoint.tensors):
        for name in sorted(checkpoint.tensors[part]):
            digest.update(f"{part}/{name}".encode() + checkpoint.tensors[part][name].numpy().tobytes())
    return digest.hexdigest()


def test_a_likelihood_family_learns(parts: Any, tmp_path: Path) -> None:
    trainer = _trainer(parts, Gaussian, stage="first")
    weights = _run(tmp_path, trainer, 200)
    generator = Gaussian(1, 1)
    generator.load_state_dict(weights)
    generator.eval()
    x = generator.sample({"z": torch.randn(4000, 1)}, torch.full((4000, 1), 2.5))
    representation = parts[0]
    y = x * representation.scale[0] + representation.mean[0]
    assert abs(float(y.detach().mean()) - 2.5) < 0.15
    assert abs(float(y.detach().std()) - 1.0) < 0.15


def test_metrics_hold_losses_rates_and_validations(parts: Any, tmp_path: Path) -> None:
    _run(tmp_path, _trainer(parts, Players), 20)
    lines = [json.loads(line) for line in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    assert {"stage", "step", "train/loss", "train/critic", "train/player", "lr", "rate"} == set(lines[0])
    assert [line["step"] for line in lines if "val/loss" in line] == [10, 20]


@pytest.mark.parametrize("family", [Gaussian, Players, Phases])
@pytest.mark.parametrize("looks", [1, 7, 10, 12, 13, 23])
def test_a_stopped_run_ends_in_the_same_bits_as_one_that_was_not(
    parts: Any, tmp_path: Path, family: type[Generator], looks: int
) -> None:
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    _run(whole, _trainer(parts, family), 25)
    with pytest.raises(Interrupted, match=f"after step {looks} of 25"):
        _run(cut, _trainer(parts, family), 25, StopAfter(looks))
    _run(cut, _trainer(parts, family), 99)  # the stored plan wins over a new decision
    assert _hash(whole) == _hash(cut)

    def logged(folder: Path) -> list[Any]:
        lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
        return [{key: value for key, value in line.items() if key != "rate"} for line in lines]

    assert logged(whole) == logged(cut)


def test_a_finished_stage_is_not_trained_again(parts: Any, tmp_path: Path) -> None:
    first = _run(tmp_path, _trainer(parts, Gaussian), 12)
    second = _run(tmp_path, _trainer(parts, Gaussian), 12, StopAfter(0))
    assert all(torch.equal(first[name], second[name]) for name in first)


def test_a_stop_while_measuring_stores_no_plan(parts: Any, tmp_path: Path) -> None:
    with pytest.raises(Interrupted, match="while measuring"):
        _run(tmp_path, _trainer(parts, Gaussian), 100.0, StopAfter(2))
    assert not (tmp_path / "plan.json").exists()


def test_the_budget_is_kept(parts: Any, tmp_path: Path) -> None:
    settings = TrainingSettings(batch_size=64, validate_every=50)
    trainer = _trainer(parts, Gaussian, settings)
    _run(tmp_path, trainer, 2.0)
    plan = Plan(tmp_path / "plan.json")
    assert plan.stages["second"].steps == trainer.step > 20
    assert 0.5 < plan.spent["second"] < 4.0


def test_the_best_validation_is_what_samples(parts: Any, tmp_path: Path) -> None:
    trainer = _trainer(parts, Gaussian)
    values = iter([3.0, 1.0, 2.0])
    taken: list[dict[str, torch.Tensor]] = []

    def judge() -> float:
        taken.append({name: tensor.clone() for name, tensor in trainer.averaged.tensors().items()})
        return next(values)

    trainer.judge = judge  # type: ignore[method-assign]
    chosen = _run(tmp_path, trainer, 30)
    assert all(torch.equal(chosen[name], taken[1][name]) for name in chosen)


def test_the_next_phase_builds_on_the_best_validation_of_the_one_before(parts: Any, tmp_path: Path) -> None:
    trainer = _trainer(parts, Phases)
    values = iter([3.0, 1.0, 2.0, 6.0, 5.0, 7.0])  # of the second phase none is as good, and its own best is chosen
    judged: list[tuple[int, dict[str, torch.Tensor]]] = []

    def judge() -> float:
        judged.append((trainer.step, {name: tensor.clone() for name, tensor in trainer.averaged.tensors().items()}))
        return next(values)

    trainer.judge = judge  # type: ignore[method-assign]
    chosen = _run(tmp_path, trainer, 50)
    assert [step for step, _ in judged] == [10, 20, 25, 30, 40, 50]
    network = [name for name in chosen if name.startswith("network")]
    assert network
    for name in network:
        assert torch.equal(chosen[name], judged[1][1][name])
        assert torch.equal(trainer.generator.state_dict()[name], judged[1][1][name])
    assert torch.equal(chosen["shift"], judged[4][1]["shift"])
    assert not torch.equal(chosen["shift"], judged[3][1]["shift"])


def test_a_phase_is_judged_by_its_own_loss(parts: Any) -> None:
    trainer = _trainer(parts, Phases)
    trainer.reset(10)
    averaged = trainer.averaged.generator
    assert isinstance(averaged, Phases)
    with torch.no_grad():
        averaged.shift.fill_(3.0)
    first, second = trainer.judge(0), trainer.judge(1)
    assert second > first + 1.0
    assert trainer.judge() == first
    for _ in range(6):
        trainer.run_step()
    assert trainer.in_last_phase
    assert trainer.judge() == trainer.judge(1)


def test_patience_ends_a_training(parts: Any, tmp_path: Path) -> None:
    trainer = _trainer(parts, Gaussian, TrainingSettings(batch_size=64, validate_every=5, patience=2))
    trainer.judge = lambda: 1.0  # type: ignore[method-assign]
    _run(tmp_path, trainer, 100)
    assert trainer.step == 15


class Broken(Gaussian):
    """A loss that is not finite."""

    def objectives(self) -> list[Objective]:
        good = super().objectives()[0]
        return [Objective("nll", good.parameters, lambda batch, noise: good.loss(batch, noise) * math.nan)]


def test_a_loss_that_is_not_finite_names_the_column(parts: Any, tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match="every feature") as caught:
        _run(tmp_path / "a", _trainer(parts, Broken), 10)
    assert caught.value.where == "stage 'second', after 0 steps"
    representation, train, validation = parts
    tensors = {name: tensor.clone() for name, tensor in train.gather(np.arange(train.size)).items()}
    tensors["v"][:, 1] = 1e30
    spoilt = (representation, EncodedCache(train.size, tensors), validation)
    with pytest.raises(TrainingError, match=r"feature column \d reaches 1e\+30 standard deviations for event \d+"):
        _run(tmp_path / "b", _trainer(spoilt, Broken), 10)


def test_without_a_compiler_the_training_goes_on(parts: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(loss: Any) -> Any:
        def call(*arguments: Any) -> Any:
            raise torch._dynamo.exc.TorchDynamoException("no C++ compiler")

        return call

    monkeypatch.setattr(torch, "compile", refuse)
    messages: list[str] = []
    settings = TrainingSettings(batch_size=64, compile=True)
    _run(tmp_path, _trainer(parts, Gaussian, settings, message=messages.append), 5)
    assert messages == ["torch.compile is not possible here (no C++ compiler); going on without it"]


def test_weights_count(parts: Any, tmp_path: Path) -> None:
    """With weight on the upper half only, the generated mean moves up."""
    representation, train, _ = parts
    tensors = train.gather(np.arange(train.size))
    upper = (tensors["y"][:, 0] > 0).float()
    weighted = EncodedCache(train.size, {**tensors, "_weight": upper}, mean_weight=0.5)
    trainer = _trainer((representation, weighted, None), Gaussian, stage="first")
    weights = _run(tmp_path, trainer, 200)
    generator = Gaussian(1, 1)
    generator.load_state_dict(weights)
    mean = float(generator.eval().sample({"z": torch.zeros(1, 1)}, torch.full((1, 1), 2.0)).detach())
    assert mean > 0.3


def test_the_learning_rate_rises_and_falls() -> None:
    rates = [schedule(step, 1000, 0.1) for step in range(1000)]
    assert max(rates) == rates[99] == 1.0
    assert rates[0] < 0.02
    assert rates[-1] < 1e-4


class Seeing(Gaussian):
    """Keeps the batches that it was trained on."""

    seen: ClassVar[list[torch.Tensor]] = []

    def objectives(self) -> list[Objective]:
        (objective,) = super().objectives()

        def loss(batch: StageBatch, noise: Mapping[str, torch.Tensor]) -> torch.Tensor:
            self.seen.append(batch.x)
            return objective.loss(batch, noise)

        return [dataclasses.replace(objective, loss=loss)]


class SeeingStill(Seeing):
    dequantised = False


@pytest.mark.parametrize("family", [Seeing, SeeingStill])
def test_exact_values_are_spread_by_noise_only_for_the_families_that_want_it(parts: Any, family: type[Seeing]) -> None:
    family.seen.clear()
    trainer = _trainer(parts, family, stage="first")
    trainer.run_step()
    (x,) = family.seen
    still = torch.full((1000, 1), trainer.stage.still)
    exact, _ = parts[0].features("first", parts[1].gather(np.arange(1000)), still)
    away = float((x - exact.T).abs().min(1).values.max())
    assert (away > 1e-5) == family.dequantised


class Dropping(Gaussian):
    """The toy with a dropout that nothing passes through."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.dropout = Dropout(0.5)


def test_dropout_is_gone_when_the_learning_rate_is(parts: Any) -> None:
    trainer = _trainer(parts, Dropping)
    trainer.reset(40)
    strengths = []
    for _ in range(40):
        trainer.run_step()
        strengths.append(trainer.generator.dropout.strength)
    assert strengths[0] == 1.0
    assert strengths == sorted(strengths, reverse=True)
    assert strengths[32:] == [0.0] * 8
