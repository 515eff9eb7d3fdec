"""Train, sample and judge photon showers with several families for the same time, in one run.

``zuko`` stands for a stock zuko spline flow (8 transforms, hidden 2 x 256, 8 bins) in the place of hepgen's own coupling
flow: the same representation, training loop and judge, so that only the flow differs.

    pip install zuko==1.6.0
    python benchmarks/photons.py --train photons_train.hdf5 --test photons_test.hdf5 --budget 30m --families coupling zuko gan
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import statistics
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
import zuko
from sampling import sampler
from timing import medians
from torch import Tensor

from hepgen.cli.quantities import parse_duration
from hepgen.config.families import FAMILIES, CouplingOptions
from hepgen.config.load import load_recipe
from hepgen.evaluation.run import evaluate
from hepgen.events.reader import open_events
from hepgen.generators.base import Generator, NoiseSpec, Objective, StageBatch
from hepgen.representations.geometry import read_binning
from hepgen.runs.train import train_run
from hepgen.sampling.run import sample_to_file
from hepgen.training.progress import Progress

RECIPE = Path(__file__).parents[1] / "configs" / "photons.yaml"
OWN = dict(FAMILIES)
SHOWN = ("auc_low", "auc_high", "fpd", "separation.mean", "separation.max", "coverage")


# What zuko documents as usual: about 18.7 million parameters here.
STOCK = {"transforms": 8, "hidden_features": (256, 256), "bins": 8}


class ZukoFlow(Generator):
    """zuko's neural spline flow with two passes, that is with coupling layers; the options of ours mean nothing to it."""

    family: ClassVar[str] = "coupling"

    def __init__(self, features: int, conditions: int, options: CouplingOptions) -> None:
        super().__init__(features, conditions)
        del options
        self.flow = zuko.flows.NSF(features, conditions, passes=2, **STOCK)

    def noise_spec(self) -> tuple[NoiseSpec, ...]:
        return (NoiseSpec("z", (self.features,)),)

    def sample(self, noise: Mapping[str, Tensor], condition: Tensor, mask: Tensor | None = None) -> Tensor:
        transformed: Tensor = self.flow(condition).transform.inv(noise["z"])
        return transformed

    def log_prob(self, x: Tensor, condition: Tensor) -> Tensor:
        density: Tensor = self.flow(condition).log_prob(x)
        return density

    def objectives(self) -> list[Objective]:
        def likelihood(batch: StageBatch, noise: Mapping[str, Tensor]) -> Tensor:
            del noise
            return -self.log_prob(batch.x, batch.condition)

        return [Objective("likelihood", list(self.parameters()), likelihood)]


class Told(Progress):
    """Prints messages, not steps."""

    def update(self, stage: str, step: int, steps: int, loss: float, rate: float) -> None: ...

    def message(self, text: str) -> None:
        print("  " + text, flush=True)


def run(family: str, arguments: argparse.Namespace, folder: Path) -> dict[str, Any]:
    stands_for = "coupling" if family == "zuko" else family
    path = "photons:ZukoFlow" if family == "zuko" else OWN[stands_for].path
    FAMILIES[stands_for] = dataclasses.replace(OWN[stands_for], path=path)
    recipe = load_recipe(arguments.recipe, [f"generator={stands_for}"], data=[str(arguments.train)])
    print(f"{family}: training for {arguments.budget}", flush=True)
    budget = parse_duration(arguments.budget)
    surrogate = train_run(recipe, folder / family, budget=budget, seed=arguments.seed, device="cpu", progress=Told())
    generated = folder / f"{family}.hdf5"
    reference = open_events(arguments.test)
    sample_to_file(surrogate, generated, None, conditions=reference, seed=arguments.seed)
    report = evaluate(
        reference, open_events(generated), kind="calorimeter", binning=read_binning(arguments.binning, "photon"),
        threshold=1.0, seed=arguments.seed,
    )  # fmt: skip
    result: dict[str, Any] = {name: report.scores[name] for name in SHOWN if name in report.scores}
    response = {name: score for name, score in report.scores.items() if name.startswith("response.")}
    with torch.no_grad():
        for batch in (1, 100, 10_000):
            seconds = medians({family: sampler(surrogate, batch)}, 3 if batch == 10_000 else 11)[family]
            result[f"ms at batch {batch}"] = 1e3 * statistics.median(seconds) / batch
    return {**result, **response}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--train", type=Path, required=True)
    parser.add_argument("--test", type=Path, required=True)
    parser.add_argument("--recipe", type=Path, default=RECIPE)
    parser.add_argument("--binning", type=Path, default=RECIPE.parents[1] / "examples/data/binning_photons.xml")
    parser.add_argument("--families", nargs="+", default=["coupling", "zuko", "gan"])
    parser.add_argument("--budget", default="30m")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--keep", type=Path, help="folder that keeps the runs and samples")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    np.set_printoptions(precision=4)
    with tempfile.TemporaryDirectory() as scratch:
        folder = arguments.keep or Path(scratch)
        folder.mkdir(parents=True, exist_ok=True)
        results = {family: run(family, arguments, folder) for family in arguments.families}
    for name in sorted({name for result in results.values() for name in result}):
        print(f"{name:<28}" + "".join(f"{family}: {show(results[family].get(name)):<34}" for family in results))
    print(json.dumps({family: {n: show(v) for n, v in result.items()} for family, result in results.items()}))


def show(value: Any) -> str:
    if value is None:
        return "-"
    if isinstance(value, float):
        return f"{value:.3f}"
    floor = "" if value.floor is None else f", truth {value.floor:.4f}"
    return f"{value.value:.4f} +- {value.error or 0:.4f}{floor} (n {value.n})"


if __name__ == "__main__":
    main()
