"""Sampling speed of the coupling flow against zuko and nflows, in one process, taking turns.

The network: 18 features, 2 conditions, 6 coupling layers, 8 bins, hidden 2 x 64, float32, eager for everybody. hepgen is
also timed compiled, with the time of the compilation printed apart. With ``--model`` the sampling of a bundle is timed
too, beside the machine's measured rate of matrix products.

    pip install zuko==1.6.0 nflows==0.14
    python benchmarks/sampling.py --threads 1 --model models/photons
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import nflows.distributions
import nflows.flows
import nflows.nn.nets
import nflows.transforms
import numpy as np
import torch
import zuko
from timing import medians, row
from torch import Tensor

from hepgen.config.families import CouplingOptions
from hepgen.generators.coupling import CouplingFlow
from hepgen.surrogate.surrogate import Surrogate
from hepgen.training.seeds import draw

FEATURES, CONDITIONS, LAYERS, BINS, HIDDEN = 18, 2, 6, 8, 64


def hepgen_flow() -> CouplingFlow:
    flow = CouplingFlow(FEATURES, CONDITIONS, CouplingOptions(layers=LAYERS, hidden=[HIDDEN, HIDDEN], bins=BINS))
    for parameter in flow.parameters():  # away from the identity
        torch.nn.init.normal_(parameter, std=0.1)
    return flow.eval()


def zuko_flow() -> zuko.flows.Flow:
    return zuko.flows.NSF(
        FEATURES, CONDITIONS, transforms=LAYERS, bins=BINS, hidden_features=(HIDDEN, HIDDEN), passes=2
    ).eval()


def nflows_flow() -> nflows.flows.Flow:
    def network(inputs: int, outputs: int) -> torch.nn.Module:
        return nflows.nn.nets.ResidualNet(
            inputs, outputs, hidden_features=HIDDEN, context_features=CONDITIONS, num_blocks=1
        )

    layers = []
    for layer in range(LAYERS):
        mask = torch.ones(FEATURES)
        mask[layer % 2 :: 2] = -1
        layers.append(
            nflows.transforms.PiecewiseRationalQuadraticCouplingTransform(
                mask, network, num_bins=BINS, tails="linear", tail_bound=5.0
            )
        )
    base = nflows.distributions.StandardNormal([FEATURES])
    return nflows.flows.Flow(nflows.transforms.CompositeTransform(layers), base).eval()


def compiled(flow: CouplingFlow, events: int) -> Callable[[], Tensor]:
    call = torch.compile(flow.sample, dynamic=True)
    condition = torch.randn(events, CONDITIONS)
    begun = time.perf_counter()
    call({"z": torch.randn(events, FEATURES)}, condition)
    print(f"compilation took {time.perf_counter() - begun:.1f} s (not counted below)")
    return lambda: call({"z": torch.randn(events, FEATURES)}, condition)


def compare(batch: int, repeats: int, *, with_compiled: bool) -> None:
    condition = torch.randn(batch, CONDITIONS)
    ours, theirs, older = hepgen_flow(), zuko_flow(), nflows_flow()
    candidates: dict[str, Callable[[], object]] = {
        "zuko 1.6 NSF, coupling": lambda: theirs(condition).sample(),
        "nflows 0.14 RQS coupling": lambda: older.sample(1, condition),
        "hepgen": lambda: ours.sample({"z": torch.randn(batch, FEATURES)}, condition),
    }
    if with_compiled:
        candidates["hepgen compiled"] = compiled(ours, batch)
    seconds = medians(candidates, repeats)
    faster = min(list(candidates)[:2], key=lambda name: statistics.median(seconds[name]))
    print(f"batch {batch}, {repeats} rounds; the reference is {faster}")
    for name, one in seconds.items():
        print("  " + row(name, one, batch, seconds[faster]))


def matrix_peak() -> float:
    """Float32 operations per second of a 2048 x 2048 matrix product: the best of 20."""
    a, b = torch.randn(2048, 2048), torch.randn(2048, 2048)
    best = float("inf")
    for _ in range(20):
        begun = time.perf_counter()
        a @ b
        best = min(best, time.perf_counter() - begun)
    return 2 * 2048**3 / best


def model_speed(path: Path, repeats: int) -> None:
    surrogate = Surrogate.load(path)
    products = sum(
        2 * parameter.numel()
        for generator in surrogate.generators.values()
        for name, parameter in generator.named_parameters()
        if parameter.ndim == 2 and name in generator.sampling_parameters()
    )
    peak = matrix_peak()
    print(f"{path}: {products / 1e6:.1f} MFLOP of matrix products per event; peak {peak / 1e9:.0f} GFLOP/s")
    for batch in (1, 100, 10_000):
        call = sampler(surrogate, batch)
        seconds = medians({"model": call}, repeats if batch < 10_000 else max(3, repeats // 4))["model"]
        median = statistics.median(seconds) / batch
        print(
            f"  batch {batch:>6}: {1e3 * median:8.3f} ms/event, matrix products at {products / median / peak:6.1%} of peak"
        )


def sampler(surrogate: Surrogate, batch: int) -> Callable[[], object]:
    """Samples ``batch`` events in passes of at most a block, decoded to physical units, without writing them."""
    rows = min(batch, surrogate.block_size)
    condition = torch.from_numpy(np.resize(surrogate.conditions, (rows, surrogate.conditions.shape[1]))).float()
    stages = surrogate.representation.stages

    def noise(number: int, points: int = 0) -> tuple[dict[str, Tensor], Tensor]:
        random = np.random.default_rng(number)
        specs = surrogate.generators[stages[number].name].noise_spec()
        return draw(random, specs, rows, points), torch.rand(rows, stages[number].unnoise)

    return lambda: [surrogate.sample(condition, noise) for _ in range(max(1, batch // rows))]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--repeats", type=int, default=15)
    parser.add_argument("--compile", action="store_true", help="time the compiled flow as well")
    parser.add_argument("--model", type=Path, action="append", default=[])
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    torch.manual_seed(1)
    print(f"torch {torch.__version__}, {arguments.threads} thread(s), float32")
    with torch.no_grad():
        for batch in (100, 10_000):
            compare(batch, arguments.repeats, with_compiled=arguments.compile and batch == 10_000)
        for path in arguments.model:
            model_speed(path, arguments.repeats)


if __name__ == "__main__":
    main()
