"""A mixture of normals in two dimensions at other temperatures than that of its events (arXiv 2410.19492, section 4).

    python benchmarks/trade.py [--steps 1000] [--seed 0]

A flow learns the mixture at temperature 1 from 100,000 events. It is asked for the mixture at other temperatures, p^(1/T), whose
divergence from what the flow gives is integrated on a grid, for a flow that was trained by likelihood alone and for two
that were also told how the density changes: by the true density, and by what the flow itself learned at T = 1.
"""

from __future__ import annotations

import argparse
import copy
import math
import time

import torch
from torch import Tensor

from hepgen.config.families import CouplingOptions
from hepgen.generators.coupling import CouplingFlow
from hepgen.morphing.trade import Derivative, power_derivative, propagation_loss

TEMPERATURES = (0.25, 0.5, 1.0, 2.0, 4.0)
MEANS = torch.tensor([[-1.2, -0.8], [0.9, 1.1], [0.8, -1.0]])
WIDTHS = torch.tensor([[0.35, 0.5], [0.45, 0.3], [0.3, 0.3]])
SHARES = torch.tensor([0.5, 0.3, 0.2])
REACH, BINS = 6.0, 300


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


def divergence(flow: CouplingFlow, temperature: float) -> float:
    """Kullback-Leibler divergence of the flow from the true law at a temperature, in nats."""
    x, area = grid()
    logs = log_density(x).double() / temperature
    logs -= torch.logsumexp(logs, 0) + math.log(area)
    with torch.no_grad():
        found = flow.log_prob(x, torch.full((len(x), 1), -math.log(temperature))).double()
    return float((logs.exp() * (logs - found)).sum() * area)


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
        print(f"{label:34s}" + "".join(f"{divergence(flow, t):9.4f}" for t in TEMPERATURES), flush=True)


if __name__ == "__main__":
    main()
