"""The half of ``jet_metrics.py`` that runs where jetnet imports: the same arrays through jetnet's own code.

Reads ``a`` and ``b``, (jets, constituents, 3) in jetnet's order eta, phi, pt, and writes seconds, values, and the
polynomials with their graphs beside them. It imports nothing of hepgen, which that environment does not have.

    python benchmarks/jet_metrics_peer.py JETS.npz OUT.npz --threads 2
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path

import numpy as np
from energyflow import EFPSet
from jetnet.evaluation import fpd, gen_metrics, get_fpd_kpd_jet_features, kpd


def plain_frechet(first: np.ndarray, second: np.ndarray) -> float:
    """Of all jets, once: jetnet publishes only the extrapolation, so this takes the parts that it is made of."""
    scaled = gen_metrics._normalise_features(first, second)
    moments = [moment for x in scaled for moment in (x.mean(axis=0), np.cov(x, rowvar=False))]
    return float(gen_metrics._calculate_frechet_distance(*moments))


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("jets", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--extrapolate", action="store_true")
    arguments = parser.parse_args()
    with np.load(arguments.jets) as file:
        a, b = file["a"], file["b"]
    seconds, values = {}, {}

    begun = time.perf_counter()
    features = [get_fpd_kpd_jet_features(jets, efp_jobs=arguments.threads) for jets in (a, b)]
    seconds["EFPs"] = time.perf_counter() - begun

    begun = time.perf_counter()
    values["frechet"] = plain_frechet(*features)
    seconds["frechet"] = time.perf_counter() - begun

    if arguments.extrapolate:
        begun = time.perf_counter()
        values["fpd, extrapolated"] = fpd(*features)
        seconds["fpd, extrapolated"] = time.perf_counter() - begun

    numba_threads = arguments.threads if arguments.threads > 1 else None
    kpd(*(one[:500] for one in features), batch_size=100, num_batches=2, num_threads=numba_threads)  # compiles
    begun = time.perf_counter()
    values["kpd"] = kpd(*features, num_threads=numba_threads)
    seconds["kpd"] = time.perf_counter() - begun

    graphs = EFPSet(("d<=", 4), measure="hadr", beta=1, normed=None, coords="ptyphim").graphs()
    facts = {"seconds": seconds, "values": values, "graphs": [[list(map(int, e)) for e in graph] for graph in graphs]}
    np.savez(arguments.out, a=features[0], b=features[1], facts=json.dumps(facts))


if __name__ == "__main__":
    main()
