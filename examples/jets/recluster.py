"""Recluster the constituents of two files of jets with FastJet, and compare groomed masses and substructure.

    pip install "hepgen[fastjet]"
    python examples/jets/recluster.py top_test.root generated.root -o recluster.png

Each entry is one jet of either file. Its constituents are clustered again with anti-kT, R = 0.8, and the hardest jet is
groomed with soft drop (beta = 0, z_cut = 0.1, arXiv:1402.2657), as an analysis would do it: nothing here knows that the
second file was generated. Printed are mean, width and the Kolmogorov distance of each quantity, drawn are both files with
their ratio.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import awkward as ak
import fastjet
import numpy as np
import uproot
import vector
from matplotlib import pyplot as plt
from numpy.typing import NDArray
from scipy.stats import ks_2samp

RADIUS = 0.8
ONE_TREE = 1000.0  # the largest radius of FastJet
NAMES = {
    "mass": "mass of the hardest jet [GeV]",
    "soft_drop_mass": "soft-drop mass [GeV]",
    "groomed_fraction": "pt lost by soft drop, as a share",
    "pt": "pt of the hardest jet [GeV]",
    "subjet_ratio": "pt share of the second of three exclusive kT subjets",
}

vector.register_awkward()


def observables(path: Path, tree: str, limit: int | None) -> dict[str, NDArray[np.float64]]:
    """Quantities of each jet of a file, each of shape (jets,)."""
    with uproot.open(path) as file:
        names = [f"part_{name}" for name in ("pt", "eta", "phi", "energy")]
        events = file[tree].arrays(names, entry_stop=limit)
    parts = {name.removeprefix("part_"): ak.values_astype(events[name], np.float64) for name in names}
    cloud = ak.zip(
        {
            "px": parts["pt"] * np.cos(parts["phi"]),
            "py": parts["pt"] * np.sin(parts["phi"]),
            "pz": parts["pt"] * np.sinh(parts["eta"]),
            "E": parts["energy"],
        },
        with_name="Momentum4D",
    )
    clustered = fastjet.ClusterSequence(cloud, fastjet.JetDefinition(fastjet.antikt_algorithm, RADIUS))
    jets = clustered.inclusive_jets()
    first = ak.argmax(jets.pt, axis=1, keepdims=True)
    hardest = jets[first][:, 0]
    # The constituents of that jet and no others, in one tree whatever lies between them: a constituent further than R from
    # the rest would be a jet of its own, and be groomed in the place of the hardest.
    inside = ak.with_name(clustered.constituents()[first][:, 0], "Momentum4D")
    tree_of_angles = fastjet.ClusterSequence(inside, fastjet.JetDefinition(fastjet.cambridge_algorithm, ONE_TREE))
    groomed = tree_of_angles.exclusive_jets_softdrop_grooming(beta=0, symmetry_cut=0.1, R0=RADIUS)
    again = fastjet.ClusterSequence(inside, fastjet.JetDefinition(fastjet.kt_algorithm, ONE_TREE))
    subjets = again.exclusive_jets(n_jets=3)
    shares = np.sort(ak.to_numpy(subjets.pt), axis=1) / ak.to_numpy(hardest.pt)[:, None]
    found = {
        "mass": hardest.mass,
        "soft_drop_mass": groomed.msoftdrop,
        "groomed_fraction": 1 - groomed.ptsoftdrop / hardest.pt,
        "pt": hardest.pt,
        "subjet_ratio": shares[:, -2],
    }
    return {name: ak.to_numpy(ak.drop_none(ak.Array(values))) for name, values in found.items()}


def draw(axes: Any, true: NDArray[np.float64], made: NDArray[np.float64], label: str) -> None:
    """Both histograms, normalised, with errors, and their ratio below."""
    upper, lower = axes
    edges = np.linspace(*np.quantile(true, [0.005, 0.995]), 41)
    heights = []
    for values, colour, name in ((true, "black", "reference"), (made, "tab:red", "generated")):
        counts = np.histogram(values, edges)[0]
        heights.append((counts / len(values), np.sqrt(counts) / len(values)))
        upper.stairs(heights[-1][0], edges, color=colour, label=f"{name}, {len(values)}")
    (a, a_error), (b, b_error) = heights
    seen = (a > 0) & (b > 0)
    ratio = b[seen] / a[seen]
    error = ratio * np.hypot(a_error[seen] / a[seen], b_error[seen] / b[seen])
    lower.errorbar((edges[1:] + edges[:-1])[seen] / 2, ratio, error, fmt=".", color="tab:red")
    lower.axhline(1, color="black", linewidth=0.8)
    lower.set(ylim=(0.5, 1.5), xlabel=label, ylabel="ratio")
    upper.set(ylabel="fraction per bin")
    upper.legend(frameon=False)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("reference", type=Path)
    parser.add_argument("generated", type=Path)
    parser.add_argument("-o", "--output", type=Path, default=Path("recluster.png"))
    parser.add_argument("--tree", default="jets")
    parser.add_argument("-n", "--number", type=int, help="jets of each file")
    given = parser.parse_args()
    true, made = (observables(path, given.tree, given.number) for path in (given.reference, given.generated))
    print(f"{'':18} {'mean':>10} {'of truth':>10} {'width':>10} {'of truth':>10} {'KS':>7} {'p':>8}")
    for name in NAMES:
        a, b = true[name], made[name]
        test = ks_2samp(a, b)
        numbers = f"{b.mean():10.4g} {a.mean():10.4g} {b.std():10.4g} {a.std():10.4g}"
        print(f"{name:18} {numbers} {test.statistic:7.4f} {test.pvalue:8.2g}")
    figure, axes = plt.subplots(
        2, len(NAMES), figsize=(5 * len(NAMES), 6), sharex="col", height_ratios=[3, 1], layout="constrained"
    )
    for column, (name, label) in enumerate(NAMES.items()):
        draw(axes[:, column], true[name], made[name], label)
    figure.savefig(given.output, dpi=100)
    print(f"wrote {given.output}")


if __name__ == "__main__":
    main()
