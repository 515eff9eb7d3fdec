"""What the evaluation sees: known distortions of real samples, from which strength on, and by which score.

Every cell is one evaluation of one distortion at one strength, and one line of the output file; cells that are there
already are not made again. A score sees a distortion from the strength on at which it is beyond three standard
deviations, if it is so at every greater strength too, in the same direction, and is not at strength 0. What each
strength means stands beside the distortions of a case below. ``--pairs`` compares truth with truth instead, and counts how often the global test
fires.

    python benchmarks/evaluation_power.py DATA --out power.jsonl
    python benchmarks/evaluation_power.py DATA --out pairs.jsonl --pairs 100 --events 1000
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import awkward as ak
import numpy as np
import torch
from distortions import (
    Distortion,
    Stock,
    broken,
    column_of,
    copied_training,
    copied_within,
    fewer_voxels,
    foreign_column,
    foreign_layer,
    hot_cell,
    one_more,
    one_value,
    response,
    scaled,
    tail_cut,
)
from jet_distortions import (
    broken_jets,
    half_lost,
    other_jets,
    scaled_energies,
    shared_shape,
    smeared_directions,
    soft_lost,
)
from power_tables import SIGMA, print_pairs, print_power
from scipy.stats import norm, poisson

from hepgen.classifiers.network import NetworkOptions
from hepgen.classifiers.sets import SetOptions
from hepgen.classifiers.trees import TreeOptions
from hepgen.evaluation.protocols import Protocol, choose_protocol
from hepgen.evaluation.report import Report
from hepgen.evaluation.run import evaluate
from hepgen.events.reader import open_events
from hepgen.events.schema import Schema
from hepgen.events.source import EventSource, MemorySource
from hepgen.representations.geometry import read_binning

TRAINING = 10_000
RARE = 0.0027  # the probability of three standard deviations, for scores that are probabilities


@dataclass(frozen=True)
class Case:
    """A kind of events with what can go wrong in it.

    Attributes:
        options: of ``evaluate``.
        schema: of the events.
        truth: events that no training has seen.
        training: events that count as those of the training.
        distortions: by name; each takes generated events and a strength.
    """

    options: Mapping[str, Any]
    schema: Schema
    truth: ak.Array
    training: ak.Array
    distortions: Mapping[str, Distortion]

    def source(self, events: ak.Array) -> EventSource:
        return MemorySource(events, self.schema)


def photons(data: Path) -> Case:
    """Photon showers: 1 % is 1 % of the energy (shift, smearing), or of the showers (everything else)."""
    binning = read_binning(data / "calo/binning_photons.xml", "photon")
    schema, truth, training = read_truth(data / "calo/photons_test.hdf5", data / "calo/photons_train.hdf5")
    totals = ak.to_numpy(truth["voxel_energy"]).sum(axis=0)
    layers = binning.layer_slices
    hottest = max(layers, key=lambda part: float(totals[part].sum()))
    cell = layers[-1].start  # an inner cell of the last layer, hardly ever hit
    return Case(
        {"kind": "calorimeter", "binning": binning, "threshold": 1.0},
        schema,
        truth,
        training,
        {
            "shift of all energies": partial(scaled, column="voxel_energy", each=False),
            "smearing of the energy": partial(scaled, column="voxel_energy", each=True),
            "tail of E_tot/E_inc cut": partial(tail_cut, rank=response),
            "hottest layer of another shower": partial(foreign_layer, part=hottest),
            "hot cell, 5 % of E_inc": partial(hot_cell, cell=cell, share=0.05),
            "every second voxel lost": fewer_voxels,
            "copied training events": copied_training,
            "copies of each other": copied_within,
            "a voxel not a number": partial(broken, column="voxel_energy"),
        },
    )


def ttbar(data: Path) -> Case:
    """ttbar ntuple: 1 % is 1 % of the missing energy (shift, smearing), or of the events (everything else)."""
    schema, truth, training = read_truth(data / "events/ttbar_test.root", data / "events/ttbar_train.root")
    return Case(
        {"kind": "table"},
        schema,
        truth,
        training,
        {
            "shift of met": partial(scaled, column="met", each=False),
            "smearing of met": partial(scaled, column="met", each=True),
            "tail of met cut": partial(tail_cut, rank=partial(column_of, name="met")),
            "m_jj of another event": partial(foreign_column, column="m_jj"),
            "one value of jet1_phi": partial(one_value, column="jet1_phi", value=0.5),
            "a jet too many": partial(one_more, column="n_jets"),
            "copied training events": copied_training,
            "copies of each other": copied_within,
            "met not a number": partial(broken, column="met"),
        },
    )


def gluons(data: Path) -> Case:
    """Gluon jets: 1 % is 1 % of the momenta (shift), of the radius (smearing), or of the jets (everything else)."""
    schema, truth, training = read_truth(data / "jets/gluon_test.root", data / "jets/gluon_train.root", trained=3_000)
    tops = ak.concatenate(list(open_events(data / "jets/top_test.root").batches()))
    return Case(
        {"kind": "jets"},
        schema,
        truth,
        training,
        {
            "shift of all momenta": scaled_energies,
            "smearing of directions": smeared_directions,
            "directions dealt out anew": shared_shape,
            "every second constituent lost": half_lost,
            "constituents below 1 GeV lost": soft_lost,
            "top jets": partial(other_jets, others=tops),
            "copied training events": copied_training,
            "copies of each other": copied_within,
            "a pt not a number": broken_jets,
        },
    )


CASES: dict[str, Callable[[Path], Case]] = {"photons": photons, "ttbar": ttbar, "gluons": gluons}


def read_truth(test: Path, train: Path, trained: int = TRAINING) -> tuple[Schema, ak.Array, ak.Array]:
    """Schema, true events and training events: what of the training file is not needed joins the truth."""
    source = open_events(test)
    events = ak.concatenate(list(source.batches()))
    further = []
    for batch in open_events(train).batches():
        further.append(batch)
        if sum(map(len, further)) >= 4 * trained:
            break
    seen = ak.concatenate(further)
    return source.schema, ak.concatenate([events, seen[trained : 4 * trained]]), seen[:trained]


def settings(events: int) -> Protocol:
    """Small networks and few trees: a classifier that sees less than that of a report, twenty times as fast."""
    return replace(
        choose_protocol("fast", quick=True, max_events=events),
        network=NetworkOptions(hidden=(128, 128), epochs=12, learning_rate=1e-3, patience=3),
        trees=TreeOptions(rounds=60),
        sets=SetOptions(epochs=5),
        matches=1,
        neighbours=1_000,
        nearest=1_000,
        plots=0,
    )


def deviations(report: Report) -> dict[str, float]:
    """By score, by how many standard deviations it is off; of counts in ``sanity`` by their Poisson probability."""
    found = {}
    for name, score in report.scores.items():
        if name.startswith("control.") or score.value is None:
            continue
        if name.endswith(".p"):  # probabilities have no error: a rare one counts as beyond three
            found[name] = SIGMA * 1.01 if score.value < RARE else 0.0
        elif score.z is not None:
            found[name] = score.z
    true, made = (dict(counts(report.sanity[which])) for which in ("reference", "generated"))
    ratio = report.n["generated"] / report.n["reference"]
    for name in made:
        # as many as truth has, and one more: what truth has by chance not shown
        expected = ratio * (true.get(name, 0) + 1)
        found[f"sanity.{name}"] = float(norm.isf(min(max(poisson.sf(made[name] - 1, expected), 1e-300), 0.5)))
    return {name: round(z, 2) for name, z in found.items()}


def counts(table: Mapping[str, Any], above: str = "") -> Iterator[tuple[str, int]]:
    """Every count in a nested table, by where it stands; not the number of events itself."""
    for name, value in table.items():
        if isinstance(value, Mapping):
            yield from counts(value, f"{above}{name}: ")
        elif isinstance(value, int) and not isinstance(value, bool) and (above or name != "events"):
            yield above + name, value


def run_cell(
    case: Case, change: Distortion | None, strength: float, events: int, seed: int, *, trained: bool
) -> dict[str, Any]:
    """One evaluation; the same seed takes the same events, so that strengths differ by the distortion only."""
    rng = np.random.default_rng(seed)
    order = rng.permutation(len(case.truth))
    reference, generated, spare = np.split(order, [2 * events, 3 * events])
    made = case.truth[generated]
    if change is not None:
        made = change(made, Stock(case.training, case.truth[spare], rng), strength)
    begun = time.process_time()
    report = evaluate(
        case.source(case.truth[reference]),
        case.source(made),
        **case.options,
        training=case.source(case.training) if trained else None,
        settings=settings(events),
        seed=seed,
    )
    found = report.scores["global.p"]
    return {
        "z": deviations(report),
        "global.p": [found.value, found.floor],
        "tests": {one.name: (one.family, one.p, one.factor) for one in report.tests},
        "cpu_seconds": round(time.process_time() - begun, 1),
    }


class Cells:
    """Results in a file, a line each, found again by what they are of."""

    def __init__(self, path: Path) -> None:
        self.path = path
        lines = path.read_text().splitlines() if path.exists() else []
        self.known = {tuple(one["key"]): one for one in map(json.loads, lines)}

    def get(self, key: tuple[Any, ...], make: Callable[[], dict[str, Any]]) -> dict[str, Any]:
        if key not in self.known:
            self.known[key] = {"key": list(key), **make()}
            with self.path.open("a") as file:
                file.write(json.dumps(self.known[key]) + "\n")
        return self.known[key]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, help="folder with calo/, events/ and jets/")
    parser.add_argument("--out", type=Path, required=True, help="one JSON line per cell; a second run goes on")
    parser.add_argument("--cases", nargs="+", default=list(CASES), choices=list(CASES))
    parser.add_argument("--only", nargs="+", help="distortions whose names hold one of these words")
    parser.add_argument("--strengths", nargs="+", type=float, default=[0.001, 0.003, 0.01, 0.03, 0.1, 0.3])
    parser.add_argument("--events", type=int, default=4_000, help="generated, and in each half of the reference")
    parser.add_argument("--pairs", type=int, default=0, help="compare so many pairs of true samples instead")
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    cells = Cells(arguments.out)
    events, seed = arguments.events, arguments.seed
    for name in arguments.cases:
        case = CASES[name](arguments.data)
        if arguments.pairs:
            seeds = range(seed, seed + arguments.pairs)
            make = partial(run_cell, case, None, 0.0, events, trained=True)
            print_pairs(name, [cells.get((name, "pair", events, one), partial(make, one)) for one in seeds])
            continue
        at_zero = cells.get(
            (name, "", 0.0, events, seed), partial(run_cell, case, None, 0.0, events, seed, trained=True)
        )
        results: dict[str, dict[float, dict[str, float]]] = {}
        for distortion, change in case.distortions.items():
            if arguments.only and not any(word in distortion for word in arguments.only):
                continue
            for strength in arguments.strengths:
                make = partial(run_cell, case, change, strength, events, seed, trained=True)
                found = cells.get((name, distortion, strength, events, seed), make)
                results.setdefault(distortion, {})[strength] = found["z"]
        print_power(name, results, at_zero["z"])


if __name__ == "__main__":
    main()
