"""Energy-flow polynomials, Frechet and kernel distance of 50,000 jets a side, against jetnet's own code in one run.

Jets of all files are divided into two disjoint halves; each sample is drawn from one of them with repetition, and keeps
the hardest constituents in coordinates relative to the jet. With ``--peer``, jetnet does the same to the same arrays in
a process of its own, taking turns with ours, and the values are compared.

    python3.11 -m venv JETNET && JETNET/bin/pip install jetnet==0.2.5 "numpy<2" "pyarrow<19"
    python benchmarks/jet_metrics.py jets/*.root --threads 2 --peer JETNET/bin/python
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import awkward as ak
import numpy as np
from threadpoolctl import threadpool_limits

from hepgen.evaluation.multivariate import frechet_distance, frechet_extrapolated, kernel_distance
from hepgen.events.reader import open_events
from hepgen.physics.energy_flow import energy_flow_polynomials

PEER = Path(__file__).with_name("jet_metrics_peer.py")
COLUMNS = [f"{what}_{name}" for what in ("jet", "part") for name in ("pt", "eta", "phi")]
TIMED = ("EFPs", "frechet", "kpd")


def read_jets(paths: list[Path], constituents: int) -> np.ndarray:
    """The hardest constituents: eta and phi from the jet's axis and pt over the jet's, (jets, constituents, 3)."""
    found = []
    for path in paths:
        for batch in open_events(path).batches(COLUMNS):
            order = ak.argsort(batch["part_pt"], ascending=False)[:, :constituents]
            phi = batch["part_phi"] - batch["jet_phi"]
            relative = (
                batch["part_eta"] - batch["jet_eta"],
                phi - 2 * np.pi * np.round(phi / (2 * np.pi)),
                batch["part_pt"] / batch["jet_pt"],
            )
            padded = (ak.fill_none(ak.pad_none(one[order], constituents, clip=True), 0.0) for one in relative)
            found.append(np.stack([ak.to_numpy(one).astype(np.float64) for one in padded], axis=-1))
    return np.concatenate(found)


def two_samples(jets: np.ndarray, size: int) -> list[np.ndarray]:
    random = np.random.default_rng(1)
    halves = np.array_split(random.permutation(len(jets)), 2)
    return [jets[random.choice(half, size=size)] for half in halves]


def ours(samples: list[np.ndarray], threads: int, graphs: Any = None, *, extrapolate: bool = False) -> dict[str, Any]:
    """Seconds and values of each step, and the polynomials of both samples."""
    seconds: dict[str, float] = {}
    values: dict[str, Any] = {}
    with threadpool_limits(1):  # products of blocks are too small to share, jets are not
        begun = time.perf_counter()
        features = [
            energy_flow_polynomials(jets[..., 2], jets[..., 0], jets[..., 1], graphs, threads=threads)
            for jets in samples
        ]
        seconds["EFPs"] = time.perf_counter() - begun
        largest = np.abs(features[0]).max(axis=0)
        scaled = [one / largest for one in features]
        steps: dict[str, Callable[[], Any]] = {
            "frechet": lambda: frechet_distance(*scaled),
            "kpd": lambda: kernel_distance(*scaled, np.random.default_rng(1)),
        }
        if extrapolate:
            steps["fpd, extrapolated"] = lambda: frechet_extrapolated(
                *scaled, np.random.default_rng(1), min_samples=20_000
            )
        for name, step in steps.items():
            begun = time.perf_counter()
            values[name] = step()
            seconds[name] = time.perf_counter() - begun
    return {"seconds": seconds, "values": values, "features": features}


def theirs(python: str, jets: Path, threads: int, *, extrapolate: bool) -> dict[str, Any]:
    out = jets.with_name("peer.npz")
    limits = {name: str(threads) for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS")}
    command = [
        python,
        str(PEER),
        str(jets),
        str(out),
        "--threads",
        str(threads),
        *(["--extrapolate"] if extrapolate else []),
    ]
    subprocess.run(command, check=True, env={**os.environ, **limits}, stdout=subprocess.DEVNULL)
    with np.load(out) as file:
        return {**json.loads(str(file["facts"])), "features": [file["a"], file["b"]]}


def compare(mine: dict[str, Any], peer: dict[str, Any]) -> None:
    """How far apart the values of the two are; the extrapolated ones differ by their random batches."""
    apart = max(
        float(np.max(np.abs(a - b) / np.maximum(np.abs(b), 1e-12 * np.abs(b).max(axis=0))))
        for a, b in zip(mine["features"], peer["features"], strict=True)
    )
    print(f"EFPs: largest relative difference {apart:.1e}")
    for name in mine["values"]:
        print(f"{name}: hepgen {mine['values'][name]}, jetnet {peer['values'][name]}")


def report(rounds: list[dict[str, Any]], peers: list[dict[str, Any]]) -> None:
    """Median seconds of each step, and the median of the ratios round by round."""
    for name in rounds[0]["seconds"]:
        mine = [one["seconds"][name] for one in rounds]
        words = f"  {name:<20} hepgen {statistics.median(mine):7.2f} s"
        if peers:
            other = [one["seconds"][name] for one in peers]
            ratio = statistics.median(b / a for a, b in zip(mine, other, strict=True))
            words += f"   jetnet {statistics.median(other):7.2f} s   {ratio:6.2f} x as fast as jetnet"
        print(words)
    total = statistics.median(sum(one["seconds"][name] for name in TIMED) for one in rounds)
    print(f"  {' + '.join(TIMED)}: {total:.1f} s")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", nargs="+", type=Path)
    parser.add_argument(
        "--jets", type=int, default=50_000, help="a side, 5,000 at least: a batch of the kernel distance"
    )
    parser.add_argument("--constituents", type=int, default=30)
    parser.add_argument("--threads", type=int, nargs="+", default=[2])
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument(
        "--extrapolate", action="store_true", help="also the fpd that is extrapolated from 200 distances"
    )
    parser.add_argument("--peer", help="Python of an environment in which jetnet imports")
    arguments = parser.parse_args()
    extrapolate = arguments.extrapolate
    samples = two_samples(read_jets(arguments.files, arguments.constituents), arguments.jets)
    ours([jets[:100] for jets in samples], 1)  # finds the graphs
    with tempfile.TemporaryDirectory() as scratch:
        path = Path(scratch) / "jets.npz"
        np.savez(path, a=samples[0], b=samples[1])
        for threads in arguments.threads:
            rounds, peers = [], []
            for _ in range(arguments.repeats):
                if arguments.peer:
                    peers.append(theirs(arguments.peer, path, threads, extrapolate=extrapolate))
                # the peer's order of the graphs, so that values can be compared
                graphs = [tuple(map(tuple, graph)) for graph in peers[0]["graphs"]] if peers else None
                rounds.append(ours(samples, threads, graphs, extrapolate=extrapolate))
            print(f"{arguments.jets} jets a side, {arguments.constituents} constituents, {threads} threads")
            report(rounds, peers)
            if peers:
                compare(rounds[-1], peers[-1])


if __name__ == "__main__":
    main()
