"""Time per jet of the EPiC generator at its published size, beside the public architecture in stock PyTorch, in turns.

Six layers of width 128, ten numbers of the event, float32, random weights: 422,217 parameters without those of the weight
normalisation, which both have folded. For the 30 hardest constituents and for as many as the jets of a file have. The
stock network is written from its description (arXiv:2301.08128): linear layers on what is of the event copied to every
constituent, one batch padded to its longest jet. Before anything is timed, both are shown to give the same jets.

Products of matrices that the network needs (constituents only, no padding) are given as a share of the rate of a product
of two 2048 x 2048 matrices, which takes its turn in every round.

    python benchmarks/clouds.py jets/top_test.root --threads 1
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable

import awkward as ak
import numpy as np
import torch
import uproot
from timing import medians, row
from torch import Tensor, nn
from torch.nn import functional

from hepgen.generators.base import NoiseSpec
from hepgen.generators.chunks import in_chunks
from hepgen.generators.networks.epic import SLOPE, SUM_SCALE, EpicNetwork
from hepgen.generators.networks.packing import frozen

FEATURES, HIDDEN, LATENT, LAYERS = 3, 128, 10, 6
SPECS = (NoiseSpec("z", (FEATURES,), points=True),)
MATRIX = 2048


class StockLayer(nn.Module):
    """Two linear layers for the event, two for each constituent, which sees its own features and those of the event."""

    def __init__(self) -> None:
        super().__init__()
        self.event1 = nn.Linear(2 * HIDDEN + LATENT, HIDDEN)
        self.event2 = nn.Linear(HIDDEN, LATENT)
        self.point1 = nn.Linear(HIDDEN + LATENT, HIDDEN)
        self.point2 = nn.Linear(HIDDEN, HIDDEN)

    def forward(self, event: Tensor, points: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        total = (points * mask).sum(1)
        pooled = torch.cat([total / mask.sum(1), total * SUM_SCALE, event], 1)
        event = functional.leaky_relu(self.event2(functional.leaky_relu(self.event1(pooled), SLOPE)) + event, SLOPE)
        copied = event.view(-1, 1, LATENT).repeat(1, points.shape[1], 1)
        found = functional.leaky_relu(self.point1(torch.cat([points, copied], 2)), SLOPE)
        return event, functional.leaky_relu(self.point2(found) + points, SLOPE)


class StockGenerator(nn.Module):
    """The generator of EPiC-GAN."""

    def __init__(self) -> None:
        super().__init__()
        self.point_start = nn.Linear(FEATURES, HIDDEN)
        self.event_start1 = nn.Linear(LATENT, HIDDEN)
        self.event_start2 = nn.Linear(HIDDEN, LATENT)
        self.layers = nn.ModuleList(StockLayer() for _ in range(LAYERS))
        self.end = nn.Linear(HIDDEN, FEATURES)

    def forward(self, points: Tensor, event: Tensor, mask: Tensor) -> Tensor:
        there = mask.unsqueeze(2).to(points.dtype)
        points = functional.leaky_relu(self.point_start(points), SLOPE)
        event = functional.leaky_relu(self.event_start1(event), SLOPE)
        event = functional.leaky_relu(self.event_start2(event), SLOPE)
        first_event, first = event, points
        for layer in self.layers:
            event, points = layer(event, points, there)
            event, points = event + first_event, points + first
        end: Tensor = self.end(points) * there
        return end


def with_weights_of(ours: EpicNetwork) -> StockGenerator:
    """The stock network with the weights of ours, which stand in the same order."""
    stock = StockGenerator().eval()
    for theirs, weight in zip(stock.parameters(), ours.parameters(), strict=True):
        theirs.data.copy_(weight.data)
    return stock


def products(counts: Tensor) -> float:
    """Operations of the matrix products that these jets need: two for each weight, once per constituent or per jet."""
    point = FEATURES * HIDDEN + LAYERS * 2 * HIDDEN * HIDDEN + HIDDEN * FEATURES
    layer = (2 * HIDDEN + LATENT) * HIDDEN + HIDDEN * LATENT + LATENT * HIDDEN
    event = 2 * LATENT * HIDDEN + LAYERS * layer
    return 2.0 * (point * float(counts.sum()) + event * len(counts))


def matrix_product() -> Callable[[], Tensor]:
    a, b = torch.randn(MATRIX, MATRIX), torch.randn(MATRIX, MATRIX)
    return lambda: a @ b


def compare(network: EpicNetwork, counts: Tensor, repeats: int, title: str, clock: Callable[[], float]) -> None:
    mask = torch.arange(int(counts.max())) < counts[:, None]
    noise, event = {"z": torch.randn(*mask.shape, FEATURES)}, torch.randn(len(counts), LATENT)
    stock = with_weights_of(network)

    def ours() -> Tensor:
        return in_chunks(lambda n, c, m: network(n["z"], c, m), SPECS, noise, event, mask, HIDDEN, network.tiles)

    def theirs() -> Tensor:
        return torch.cat(
            [stock(*parts) for parts in zip(*(one.split(1000) for one in (noise["z"], event, mask)), strict=True)]
        )

    made, expected = ours(), theirs()
    if not torch.allclose(made, expected, rtol=1e-3, atol=1e-4 * float(expected.abs().max())):
        raise SystemExit("the two networks do not give the same jets")
    times = 1 if len(counts) > 1 else 200

    def repeated(call: Callable[[], Tensor]) -> Callable[[], object]:
        return lambda: [call() for _ in range(times)]

    candidates: dict[str, Callable[[], object]] = {
        "stock PyTorch": repeated(theirs),
        "hepgen": repeated(ours),
        "matrix": matrix_product(),
    }
    seconds = medians(candidates, repeats, clock)
    rates = [2 * MATRIX**3 / one for one in seconds.pop("matrix")]
    print(f"{title}, batch {len(counts)}: {float(counts.float().mean()):.1f} constituents, {repeats} rounds")
    for name, one in seconds.items():
        needed = products(counts) * times
        share = statistics.median([needed / s / rate for s, rate in zip(one, rates, strict=True)])
        print(f"  {row(name, one, len(counts) * times, seconds['stock PyTorch'])}, products at {share:.0%} of the rate")
    print(f"  the rate: {statistics.median(rates) / 1e9:.0f} GFLOP/s")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file", help="jets whose multiplicities are taken")
    parser.add_argument("--constituents", default="part_pt", help="a jagged branch of the constituents")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--repeats", type=int, default=15)
    parser.add_argument("--clock", choices=["wall", "cpu"], default="wall", help="cpu: one thread of a busy machine")
    parser.add_argument("--batches", type=int, nargs="+", default=[1, 100, 10_000])
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    torch.manual_seed(1)
    with uproot.open(arguments.file) as file:
        tree = next(one for one in file.values() if hasattr(one, "arrays") and arguments.constituents in one)
        found = torch.from_numpy(ak.to_numpy(ak.num(tree[arguments.constituents].array())).astype(np.int64))
    network = EpicNetwork(FEATURES, LATENT, FEATURES, layers=LAYERS, hidden=HIDDEN, latent=LATENT)
    network = frozen(network)
    size = sum(parameter.numel() for parameter in network.parameters())
    print(f"torch {torch.__version__}, {arguments.threads} thread(s), float32, {size} parameters")
    clock = time.process_time if arguments.clock == "cpu" else time.perf_counter
    typical = found[(found.float() - found.float().mean()).abs().argmin()].view(1)
    with torch.inference_mode():
        for title, counts in (("30 hardest", found.clamp(max=30)), ("all constituents", found)):
            for batch in arguments.batches:
                jets = typical.clamp(max=int(counts.max())) if batch == 1 else counts.repeat(-(-batch // len(counts)))
                compare(
                    network,
                    jets[:batch],
                    arguments.repeats if batch < 10_000 else min(5, arguments.repeats),
                    title,
                    clock,
                )


if __name__ == "__main__":
    main()
