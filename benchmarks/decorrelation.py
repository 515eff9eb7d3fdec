"""What a decorrelation costs and brings: a tagger of dijets whose cut sculpts a mass (docs/decorrelation.md).

    python benchmarks/decorrelation.py FOLDER [--seeds 3] [--steps 400] [--protected m_j1 m_jj] [--output FILE.json]

FOLDER holds dijets_qcd.root and dijets_signal.root. For each seed the QCD events are divided at random: a fifth trains
boosted trees against half of the signal on masses and tau21s, two fifths train the decorrelation, two fifths and the other half
of the signal test. Printed for the score as it is, after quantiles in bins of the protected column, and after the flow, where
50, 80 and 90 % of the signal pass a cut: rejection of QCD (R50, ...), 1/JSD of the protected column (10 bins) of QCD events that
pass against those that fail, in brackets what a cut at random would show; and the area under the ROC curve over all events and
at fixed protected value (the mean over 20 slices of it). Errors are those of the mean over the seeds.
"""

from __future__ import annotations

import argparse
import json
import math
import tempfile
import time
from pathlib import Path

import numpy as np
import uproot
from numpy.typing import NDArray
from sklearn.ensemble import HistGradientBoostingClassifier

from hepgen.classifiers.calibration import area_under_curve
from hepgen.config.decorrelate import DecorrelateRecipe
from hepgen.evaluation.decorrelation import sculpting_curve
from hepgen.events.reader import open_events
from hepgen.morphing.decorrelate import decorrelate_to_file
from hepgen.morphing.decorrelator import DecorrelationModel
from hepgen.runs.decorrelate import train_decorrelation

FEATURES = ("m_j1", "delta_m", "tau21_1", "tau21_2")
BINS, SLICES = 20, 20
EFFICIENCIES, MASS_BINS = (0.5, 0.8, 0.9), 10
Columns = dict[str, NDArray[np.float64]]


def read(path: Path) -> Columns:
    with uproot.open(path) as file:
        return {name: array.astype(np.float64) for name, array in file["events"].arrays(library="np").items()}


def chosen(columns: Columns, rows: NDArray[np.int64]) -> Columns:
    return {name: values[rows] for name, values in columns.items()}


def tagger(qcd: Columns, signal: Columns, seed: int) -> HistGradientBoostingClassifier:
    x = np.concatenate([np.stack([one[name] for name in FEATURES], axis=1) for one in (qcd, signal)])
    y = np.repeat([0, 1], [len(qcd["m_jj"]), len(signal["m_jj"])])
    trees = HistGradientBoostingClassifier(
        max_iter=100, learning_rate=0.05, max_leaf_nodes=15, min_samples_leaf=50, class_weight="balanced",
        random_state=seed,
    )  # fmt: skip
    return trees.fit(x, y)


def quantiles_in_bins(score: NDArray, protected: NDArray, wanted: NDArray, at: NDArray) -> NDArray:
    """The baseline: the rank of a score among background of its bin of the protected column, of equal content."""
    edges = np.quantile(protected, np.linspace(0, 1, BINS + 1))[1:-1]
    known, asked = np.searchsorted(edges, protected), np.searchsorted(edges, at)
    found = np.empty(len(wanted))
    for number in range(BINS):
        ordered = np.sort(score[known == number])
        rows = asked == number
        # half a step for each score below or equal: ties keep their middle
        sides = [np.searchsorted(ordered, wanted[rows], side=side) for side in ("left", "right")]
        found[rows] = (sides[0] + sides[1]) / (2 * len(ordered))
    return found


def judged(score: NDArray, protected: NDArray, is_signal: NDArray) -> dict[str, float]:
    points = sculpting_curve(
        score[is_signal], score[~is_signal], protected[~is_signal], efficiencies=EFFICIENCIES, bins=MASS_BINS
    )
    edges = np.quantile(protected[is_signal], np.linspace(0, 1, SLICES + 1))[1:-1]
    place = np.searchsorted(edges, protected)
    areas = [area_under_curve(score[place == one], is_signal[place == one].astype(float)) for one in range(SLICES)]
    figures: dict[str, float] = {}
    for point in points:
        percent = f"{100 * point.efficiency:.0f}"
        figures |= {f"R{percent}": point.rejection, f"1/JSD at {percent} %": point.inverse_jsd}
        figures[f"floor at {percent} %"] = point.floor
    return {
        **figures,
        "AUC": area_under_curve(score, is_signal.astype(float)),
        "AUC at fixed value": float(np.mean(areas)),
    }


def order_changes(model: DecorrelationModel, score: NDArray, values: NDArray) -> int:
    """At each of these protected values: neighbours among the sorted scores that change places or fall together."""
    import torch

    ordered = torch.from_numpy(np.unique(score))[:, None]
    found = 0
    for value in values:
        condition = torch.full_like(ordered, float(value))
        found += int((model.scores({"discriminant": ordered, "condition": condition})[:, 0].diff() <= 0).sum())
    return found


def one_seed(folder: Path, seed: int, protected: list[str], steps: int) -> list[dict]:
    random = np.random.default_rng(seed)
    qcd, signal = read(folder / "dijets_qcd.root"), read(folder / "dijets_signal.root")
    fifths = np.array_split(random.permutation(len(qcd["m_jj"])), 5)
    halves = np.array_split(random.permutation(len(signal["m_jj"])), 2)
    trees = tagger(chosen(qcd, fifths[0]), chosen(signal, halves[0]), seed)
    background = chosen(qcd, np.concatenate(fifths[1:3]))
    parts = chosen(qcd, np.concatenate(fifths[3:])), chosen(signal, halves[1])
    test = {name: np.concatenate([part[name] for part in parts]) for name in qcd}
    is_signal = np.repeat([False, True], [len(part["m_jj"]) for part in parts])
    for one in (background, test):
        one["score"] = trees.predict_proba(np.stack([one[name] for name in FEATURES], axis=1))[:, 1]
    found = []
    with tempfile.TemporaryDirectory() as place:
        work = Path(place)
        for name, columns in (("background", background), ("test", test)):
            with uproot.recreate(work / f"{name}.root") as file:
                file["events"] = columns
        for column in protected:
            recipe = DecorrelateRecipe.model_validate(
                {
                    "task": "decorrelate", "name": "dijets", "data": {"files": [str(work / "background.root")]},
                    "discriminants": ["score"], "protected": [column],
                    "training": {"steps": steps, "batch_size": 1024, "learning_rate": 5e-3, "ema": 0.98,
                                 "validate_every": 50},
                }
            )  # fmt: skip
            begun = time.perf_counter()
            model = train_decorrelation(recipe, work / column, seed=seed, threads=1)
            seconds = time.perf_counter() - begun
            decorrelate_to_file(model, open_events(str(work / "test.root")), work / f"{column}.root", threads=1)
            flat = read(work / f"{column}.root")["score_decorrelated"]
            binned = quantiles_in_bins(background["score"], background[column], test["score"], test[column])
            changes = order_changes(model, test["score"], np.quantile(test[column], np.linspace(0, 1, 9)))
            for method, score in (("as it is", test["score"]), ("quantiles in bins", binned), ("flow", flat)):
                row = {"protected": column, "method": method, "seed": seed, **judged(score, test[column], is_signal)}
                found.append({**row, **({"seconds": seconds, "order changes": changes} if method == "flow" else {})})
    return found


def table(rows: list[dict]) -> str:
    """Markdown: means over the seeds with their errors."""
    left = ("protected", "method", "seed")
    keys = [key for key in rows[0] if key not in left and not key.startswith("floor")]
    lines = ["| protected | score | " + " | ".join(keys) + " |", "| --- " * (len(keys) + 2) + "|"]
    for group in dict.fromkeys((row["protected"], row["method"]) for row in rows):
        mine = [row for row in rows if (row["protected"], row["method"]) == group]
        cells = []
        for key in keys:
            values = np.array([row[key] for row in mine])
            error = values.std(ddof=1) / math.sqrt(len(values)) if len(values) > 1 else math.nan
            digits = 4 if key.startswith("AUC") else 1
            random = key.replace("1/JSD", "floor")
            floor = f" ({np.mean([row[random] for row in mine]):.0f})" if random != key else ""
            cells.append(f"{values.mean():.{digits}f} ± {error:.{digits}f}{floor}")
        lines.append(f"| {group[0]} | {group[1]} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--steps", type=int, default=400)
    parser.add_argument("--protected", nargs="+", default=["m_j1", "m_jj"])
    parser.add_argument("--output", type=Path, help="every figure of every seed, as JSON")
    arguments = parser.parse_args()
    rows: list[dict] = []
    for seed in range(arguments.seeds):
        rows += one_seed(arguments.folder, seed, arguments.protected, arguments.steps)
        print(f"seed {seed} is done", flush=True)
        if arguments.output is not None:
            arguments.output.write_text(json.dumps(rows, indent=1) + "\n")
    print(table(rows))
    flows = [row for row in rows if row["method"] == "flow"]
    print(f"scores that change places at one protected value: {sum(row['order changes'] for row in flows)}")
    print(f"seconds of training: {np.mean([row['seconds'] for row in flows]):.0f}")


if __name__ == "__main__":
    main()
