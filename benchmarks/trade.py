"""A mixture of normals in two dimensions at other temperatures than that of its events (arXiv 2410.19492, section 4).

    python benchmarks/trade.py [--steps 1000] [--seed 0] [--data DATA]

A flow learns the mixture at temperature 1 from 100,000 events. It is asked for the mixture at other temperatures, p^(1/T), whose
divergence from what the flow gives is integrated on a grid, for a flow that was trained by likelihood alone and for two
that were also told how the density changes: by the true density, and by what the flow itself learned at T = 1. Last a recipe
with ``method: trade``, which names the true density, from a file of events to a model as ``hepgen train`` leaves it.

With --data also dijets of a harder or softer spectrum, p(x) m_jj^slope: one half of the events is carried there, the other half
is weighted, which is exact, and boosted trees tell the two apart.
"""

from __future__ import annotations

import argparse
import copy
import math
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
import uproot
from morph_scores import auc_and_error, effective
from morphing import matrix
from torch import Tensor

from hepgen.config.families import CouplingOptions
from hepgen.config.morph import MorphRecipe
from hepgen.events.reader import open_events
from hepgen.generators.coupling import CouplingFlow
from hepgen.morphing.apply import morph_to_file
from hepgen.morphing.model import MorphModel
from hepgen.morphing.trade import Derivative, Trade, power_derivative, propagation_loss
from hepgen.morphing.wanted import SetConditions
from hepgen.runs.morph import train_morph
from hepgen.sampling.conditions import parse_law

TEMPERATURES = (0.25, 0.5, 1.0, 2.0, 4.0)
MEANS = torch.tensor([[-1.2, -0.8], [0.9, 1.1], [0.8, -1.0]])
WIDTHS = torch.tensor([[0.35, 0.5], [0.45, 0.3], [0.3, 0.3]])
SHARES = torch.tensor([0.5, 0.3, 0.2])
REACH, BINS = 6.0, 300
DIJETS = ("m_jj", "m_j1", "delta_m", "tau21_1", "tau21_2", "delta_R")
SLOPES = (-3.0, -1.5, 1.5, 3.0)


def log_density(x: Tensor) -> Tensor:
    """log p of the mixture, (events, 2) to (events,)."""
    z = (x[:, None] - MEANS) / WIDTHS
    each = -0.5 * z.square().sum(2) - WIDTHS.log().sum(1) - math.log(2 * math.pi)
    return torch.logsumexp(each + SHARES.log(), 1)


def draw(size: int, random: torch.Generator) -> Tensor:
    kind = torch.multinomial(SHARES, size, replacement=True, generator=random)
    return MEANS[kind] + WIDTHS[kind] * torch.randn(size, 2, generator=random)


def grid() -> tuple[Tensor, float]:
    centres = (torch.arange(BINS) + 0.5) * (2 * REACH / BINS) - REACH
    return torch.cartesian_prod(centres, centres), (2 * REACH / BINS) ** 2


def divergence(log_prob: Callable[[Tensor, Tensor], Tensor], temperature: float) -> float:
    """Kullback-Leibler divergence of a density from the true law at a temperature, in nats."""
    x, area = grid()
    logs = log_density(x).double() / temperature
    logs -= torch.logsumexp(logs, 0) + math.log(area)
    with torch.no_grad():
        found = log_prob(x, torch.full((len(x), 1), -math.log(temperature))).double()
    return float((logs.exp() * (logs - found)).sum() * area)


def recipe_of(path: Path, steps: int) -> MorphRecipe:
    """The recipe of the mixture, whose events at log_beta = 0 are in a file."""
    terms = [
        f"{share / (width[0] * width[1])} * exp(-(((x - ({mean[0]})) / {width[0]})**2 + ((y - ({mean[1]})) / {width[1]})**2) / 2)"
        for share, mean, width in zip(SHARES.tolist(), MEANS.tolist(), WIDTHS.tolist(), strict=True)
    ]
    plane, widest = {"scale": "affine", "low": -REACH, "high": REACH}, math.log(max(TEMPERATURES))
    return MorphRecipe.model_validate(
        {
            "task": "morph", "name": "mixture", "source": {"files": [str(path)]}, "target": {"files": [str(path)]},
            "columns": ["x", "y"], "method": "trade",
            "representation": {
                "kind": "table", "conditions": ["log_beta"],
                "columns": {"x": plane, "y": plane, "log_beta": {"scale": "affine", "low": -widest, "high": widest}},
            },
            "options": {"trade": {"derivative": f"exp(log_beta) * log({' + '.join(terms)} + 1e-300)"}},
            "training": {"steps": steps},
        }
    )  # fmt: skip


def slope_recipe(path: Path, steps: int) -> MorphRecipe:
    """The recipe of dijets whose spectrum is to be another one, of a file with events at slope = 0."""
    return MorphRecipe.model_validate(
        {
            "task": "morph", "name": "slopes", "source": {"files": [str(path)]}, "target": {"files": [str(path)]},
            "columns": list(DIJETS), "method": "trade",
            "representation": {
                "kind": "table", "conditions": ["slope"],
                "columns": {"slope": {"scale": "affine", "low": -4, "high": 4}},
            },
            "options": {"trade": {"derivative": "log(m_jj / 3000)"}},
            "training": {"steps": steps},
        }
    )  # fmt: skip


def dijets(data: Path, steps: int, seed: int) -> None:
    """Print how well weighted dijets are told from such as were carried there, and from such as were left as they are."""
    with uproot.open(data / "events" / "dijets_qcd.root") as file:
        events = file["events"].arrays(library="np")
    order = np.random.default_rng(seed).permutation(len(events["m_jj"]))
    ours, theirs = ({name: events[name][half] for name in DIJETS} for half in np.array_split(order, 2))
    truth, before = (matrix(one, DIJETS, len(one["m_jj"])) for one in (theirs, ours))
    print(f"{'AUC at slope':34s}{'as it is':>17s}{'carried':>17s}{'floor':>17s}   worth of the weighted events")
    with tempfile.TemporaryDirectory() as scratch:
        path, moved = Path(scratch) / "dijets.root", Path(scratch) / "moved.root"
        with uproot.recreate(path) as file:
            file["events"] = {**ours, "slope": np.zeros(len(ours["m_jj"]))}
        model = train_morph(slope_recipe(path, steps), Path(scratch) / "run", seed=seed)
        for slope in SLOPES:
            wanted = SetConditions([parse_law(f"slope={slope}")], model)
            morph_to_file(model, open_events(str(path)), moved, wanted=wanted, seed=seed, force=True)
            after = uproot.open(moved)["events"].arrays(DIJETS, library="np")
            weight = (theirs["m_jj"] / 3000.0) ** slope
            weight /= weight.mean()
            # the floor: events drawn by their weight, of the half that was not weighted
            share = (ours["m_jj"] / 3000.0) ** slope
            drawn = np.random.default_rng(seed).random(len(share)) < share / share.max()
            sides = (before, matrix(after, DIJETS, len(before)), before[drawn])
            areas = [auc_and_error(one, truth[: len(one)], seed, weight[: len(one)]) for one in sides]
            row = "".join(f"{area:8.3f} +- {error:.3f}" for area, error in areas)
            print(f"{slope:<34g}{row}   {effective(weight, len(weight)):.0f} of {len(weight)}", flush=True)


def by_recipe(x: Tensor, steps: int, seed: int) -> MorphModel:
    """What ``hepgen train`` makes of a file of the events."""
    with tempfile.TemporaryDirectory() as scratch:
        path = Path(scratch) / "mixture.root"
        with uproot.recreate(path) as file:
            columns = {"x": x[:, 0].double().numpy(), "y": x[:, 1].double().numpy()}
            file["events"] = {**columns, "log_beta": torch.zeros(len(x), dtype=torch.float64).numpy()}
        return train_morph(recipe_of(path, steps), Path(scratch) / "run", seed=seed)


def density_of(model: MorphModel) -> Callable[[Tensor, Tensor], Tensor]:
    """log p of a model in the units of its file, of events (events, 2) at log_beta (events, 1)."""
    method, table = model.method, model.representation
    if not isinstance(method, Trade):
        raise TypeError("a recipe with method: trade is a model of a density")

    def log_prob(x: Tensor, condition: Tensor) -> Tensor:
        cached, nothing = table.encode({"condition": condition.double(), "columns": x.double()}), torch.empty(len(x), 0)
        features, given = table.features("columns", cached, nothing)
        return method.flow.log_prob(features, given) + table.log_abs_det("columns", cached, nothing)

    return log_prob


def fit(flow: CouplingFlow, x: Tensor, steps: int, seed: int, derivative: Derivative | None = None) -> CouplingFlow:
    """Likelihood at T = 1; with a derivative also the residual, at log T uniform and further out the longer it runs."""
    random = torch.Generator().manual_seed(seed)
    optimizer = torch.optim.Adam(flow.parameters(), 2e-3)
    widest = math.log(max(TEMPERATURES))
    for step in range(steps):
        optimizer.param_groups[0]["lr"] = 2e-3 * (0.5 + 0.5 * math.cos(math.pi * step / steps))
        rows = torch.randint(len(x), (256,), generator=random)
        loss = -flow.log_prob(x[rows], torch.zeros(256, 1)).mean()
        if derivative is not None:
            reach = widest * min(1.0, 2 * (step + 1) / steps)
            condition = reach * (2 * torch.rand(6, 1, generator=random) - 1)
            loss = loss + propagation_loss(flow, derivative, torch.randn(6, 48, 2, generator=random), condition)
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(flow.parameters(), 2.0)
        optimizer.step()
    return flow.eval()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--steps", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--data", type=Path, help="folder with events/dijets_qcd.root")
    arguments = parser.parse_args()
    torch.manual_seed(arguments.seed)
    x = draw(100_000, torch.Generator().manual_seed(arguments.seed))
    start = CouplingFlow(2, 1, CouplingOptions(layers=6, hidden=[32, 32], bins=8, bound=6.0, activation="silu"))
    alone = fit(copy.deepcopy(start), x, arguments.steps, arguments.seed)
    frozen = copy.deepcopy(alone).requires_grad_(False)
    learned = power_derivative(lambda x: frozen.log_prob(x, torch.zeros(len(x), 1)))
    print(f"{'KL in nats at T =':34s}" + "".join(f"{t:9g}" for t in TEMPERATURES))
    for name, derivative in (("likelihood", None), ("true", power_derivative(log_density)), ("learned", learned)):
        begun = time.perf_counter()
        flow = (
            alone if derivative is None else fit(copy.deepcopy(start), x, arguments.steps, arguments.seed, derivative)
        )
        seconds = time.perf_counter() - begun
        label = "likelihood at T = 1 alone" if derivative is None else f"with the {name} density ({seconds:.0f} s)"
        print(f"{label:34s}" + "".join(f"{divergence(flow.log_prob, t):9.4f}" for t in TEMPERATURES), flush=True)
    begun = time.perf_counter()
    found = density_of(by_recipe(x, arguments.steps, arguments.seed))
    label = f"recipe with method: trade ({time.perf_counter() - begun:.0f} s)"
    print(f"{label:34s}" + "".join(f"{divergence(found, t):9.4f}" for t in TEMPERATURES), flush=True)
    if arguments.data is not None:
        dijets(arguments.data, arguments.steps, arguments.seed)


if __name__ == "__main__":
    main()
