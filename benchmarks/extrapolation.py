"""Background weights learned at four and five jets and carried to six and more: closure on ttbar.

Data are simulated events that are kept with the probability exp(slope (n_jets - 3) (b - 1)), where b in [-1, 1] is a function
of met and m_jjj: the log ratio of data and simulation is a straight line in the jet multiplicity at fixed kinematics. Weights
are learned from both samples at up to five jets and applied to the simulation at six and more.

    python benchmarks/extrapolation.py --data DATA [--seeds 1] [--steps 400] [--models]

AUC of boosted trees that tell the weighted simulation from data by met, m_jjj, jet1_pt and n_jets, where n_jets has the
spectrum of the data; chi2 of weighted histograms of the first three, of ten bins each, per degree of freedom; and the number
of events that the weights predict, over that in the data. Errors are those of the statistics. With ``--models`` also generators
of the data, and of the simulation, that are conditioned on the multiplicity and asked for more jets than they saw.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import awkward as ak
import numpy as np
from morph_problems import Table, rows
from morph_scores import auc_and_error
from morph_toys import FloatArray
from morphing import matrix, write

from hepgen.config.load import parse_recipe
from hepgen.config.morph import MorphRecipe
from hepgen.config.recipe import Recipe
from hepgen.events.reader import open_events
from hepgen.morphing.apply import WEIGHT, morph_to_file
from hepgen.runs.morph import train_morph
from hepgen.runs.train import train_run
from hepgen.sampling.run import sample_to_file

JETS, FEATURES = "n_jets", ("met", "m_jjj", "jet1_pt")
MOST, SLOPE, BINS = 5, 0.4, 10
"""Most jets of the control region, what the log ratio gains with each, and bins of the histograms."""
SIMULATED = 0.35
"""Share of the events that are the simulation; of the others, those that are kept are the data."""


@dataclass(frozen=True)
class Variant:
    """How weights, or events, are carried on.

    Attributes:
        scale: of the condition.
        method: of the morph.
        options: that differ from the defaults.
    """

    scale: str
    method: str = "classifier"
    options: dict[str, Any] = field(default_factory=dict)


_NETWORK = {"hidden": [64, 64]}
_FINE = {"solver": "midpoint", "steps": 10}
VARIANTS = {
    "linear, held at 5 jets": Variant("normal", options={**_NETWORK, "linear": True}),
    "any network, affine": Variant("affine", options=_NETWORK),
    "linear, affine": Variant("affine", options={**_NETWORK, "linear": True}),
    "model of data, held": Variant("normal", "noising", _FINE),
    "model of data, affine": Variant("affine", "noising", _FINE),
}
CARRIED = "linear, affine"


def shape(table: Table) -> FloatArray:
    """b, (events,), in [-1, 1]: small missing momenta are lost, and heavy hadronic tops.

    Example:
        >>> shape({"met": np.array([50.0, 1e6]), "m_jjj": np.array([250.0, 1e-3])}).round(3).tolist()
        [0.0, 1.0]
    """
    met, mass = (np.log(np.asarray(table[name], dtype=np.float64) / at) for name, at in (("met", 50), ("m_jjj", 250)))
    return np.asarray(0.5 * (np.tanh(1.5 * met) - np.tanh(1.5 * mass)))


def log_ratio(table: Table, slope: float = SLOPE) -> FloatArray:
    """Logarithm of the probability that an event is kept, (events,)."""
    return np.asarray(slope * (table[JETS] - 3.0) * (shape(table) - 1))


def samples(events: Table, rng: np.random.Generator) -> tuple[Table, Table]:
    """Simulation and data, which share no event."""
    order = rng.permutation(len(events[JETS]))
    first, rest = np.split(order, [int(SIMULATED * len(order))])
    simulation, data = rows(events, first), rows(events, rest)
    return simulation, rows(data, rng.random(len(rest)) < np.exp(log_ratio(data)))


def with_spectrum(jets: FloatArray, weights: FloatArray, wanted: FloatArray) -> FloatArray:
    """Weights, of mean 1, that give multiplicities those of another sample; from nine jets on they are one bin.

    Example:
        >>> with_spectrum(np.array([6, 6, 7]), np.array([1.0, 3.0, 1.0]), np.array([6, 7])).tolist()
        [0.375, 1.125, 1.5]
    """
    bins = [np.minimum(one, 9).astype(int) for one in (jets, wanted)]
    have, want = np.bincount(bins[0], weights, 10), np.bincount(bins[1], minlength=10)
    found = weights * np.divide(want, have, out=np.zeros(10), where=have > 0)[bins[0]]
    return np.asarray(found / found.mean())


def chi2(data: FloatArray, simulation: FloatArray, weights: FloatArray) -> float:
    """Per degree of freedom, summed over columns, of histograms of the data and of weighted events of the same content.

    Example:
        >>> x = np.linspace(0, 1, 1000)[:, None]
        >>> round(chi2(x, x, np.ones(1000)), 6)
        0.0
    """
    found = 0.0
    for one, other in zip(data.T, simulation.T, strict=True):
        edges = np.quantile(one, np.linspace(0, 1, BINS + 1)[1:-1])
        counts = np.bincount(np.searchsorted(edges, one), minlength=BINS)
        place = np.searchsorted(edges, other)
        factor = len(one) / weights.sum()
        content, square = (np.bincount(place, (factor * weights) ** power, BINS) for power in (1, 2))
        found += float((np.square(counts - content) / (counts + square)).sum())
    return found / (data.shape[1] * (BINS - 1))


def read(path: Path | str, names: tuple[str, ...]) -> Table:
    events = ak.concatenate(list(open_events(str(path)).batches(list(names))))
    return {name: ak.to_numpy(events[name]) for name in names}


def recipe_of(variant: Variant, folder: Path, steps: int) -> MorphRecipe:
    """How weights are learned from ``simulation.root`` and ``data.root`` of a folder."""
    cut = f"{JETS} <= {MOST}"
    return MorphRecipe.model_validate(
        {
            "task": "morph",
            "name": "background",
            "source": {"files": [str(folder / "simulation.root")], "cut": cut},
            "target": {"files": [str(folder / "data.root")], "cut": cut},
            "columns": list(FEATURES),
            "representation": {"kind": "table", "conditions": [JETS], "columns": {JETS: {"scale": variant.scale}}},
            "method": variant.method,
            "options": {variant.method: variant.options},
            "weights": {"quantile": None, "total": "target"},
            "training": {"steps": steps, "batch_size": 512},
        }
    )


def generated(folder: Path, many: Path, steps: int, seed: int) -> Path:
    """Simulation at many jets by a flow that was trained at few, with the multiplicities of a file."""
    recipe = parse_recipe(
        {
            "name": "simulation",
            "data": {
                "files": [str(folder / "simulation.root")],
                "columns": [*FEATURES, JETS],
                "cut": f"{JETS} <= {MOST}",
            },
            "representation": {"kind": "table", "conditions": [JETS], "columns": {JETS: {"scale": "affine"}}},
            "generator": "coupling",
            "training": {"steps": steps, "batch_size": 512},
        }
    )
    if not isinstance(recipe, Recipe):
        raise TypeError("a recipe without a task is one of a generator")
    surrogate = train_run(recipe, folder / "flow", seed=seed, threads=1)
    out = folder / "generated.root"
    sample_to_file(surrogate, out, None, conditions=open_events(str(many)), extrapolate=True, seed=seed, threads=1)
    return out


def study(
    events: Table, seed: int, steps: int, *, models: bool = False
) -> dict[str, tuple[float, float, float, float]]:
    """AUC, its error, chi2 per degree of freedom and predicted over observed events, by variant."""
    simulation, data = samples(events, np.random.default_rng(seed))
    many, true = (rows(one, one[JETS] > MOST) for one in (simulation, data))
    scale = len(data[JETS][data[JETS] <= MOST]) / np.exp(log_ratio(simulation))[simulation[JETS] <= MOST].sum()
    found: dict[str, tuple[float, float, float, float]] = {}

    def judge(name: str, table: Table, weights: FloatArray | None) -> None:
        given = np.ones(len(table[JETS])) if weights is None else weights
        size = min(len(table[JETS]), len(true[JETS]))
        weighted = with_spectrum(table[JETS], given, true[JETS])
        columns = (*FEATURES, JETS)
        auc, error = auc_and_error(matrix(true, columns, size), matrix(table, columns, size), seed, weighted[:size])
        distance = chi2(matrix(true, FEATURES, len(true[JETS])), matrix(table, FEATURES, len(weighted)), weighted)
        predicted = float("nan") if weights is None else float(weights.sum()) / len(true[JETS])
        found[name] = (auc, error or float("nan"), distance, predicted)

    judge("nothing", many, None)
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        write(simulation, folder / "simulation.root")
        write(data, folder / "data.root")
        high = write(many, folder / "many.root")
        made = generated(folder, high, steps, seed) if models else None
        for number, (name, variant) in enumerate(VARIANTS.items()):
            if variant.method != "classifier" and not models:
                continue
            begun = time.perf_counter()
            trained = train_morph(recipe_of(variant, folder, steps), folder / f"run{number}", seed=seed, threads=1)
            given = [(name, high)]
            if name == CARRIED and made is not None:
                given.append(("model of simulation, and weights", made))
            for label, path in given:
                out = folder / "out.root"
                morph_to_file(trained, open_events(str(path)), out, policy="morph", seed=seed, force=True, threads=1)
                kind = () if trained.moves else (WEIGHT,)
                table = read(out, (*FEATURES, JETS, *kind))
                judge(label, table, None if trained.moves else np.asarray(table[WEIGHT], dtype=np.float64))
            print(f"seed {seed}: {name}, {time.perf_counter() - begun:.0f} s", flush=True)
        if made is not None:
            judge("model of simulation", read(made, (*FEATURES, JETS)), None)
    judge("true weights", many, np.exp(log_ratio(many)) * scale)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument(
        "--data", type=Path, required=True, help="folder with events/ttbar_train.root and ttbar_test.root"
    )
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--steps", type=int, default=400)
    parser.add_argument("--models", action="store_true", help="conditional models, too")
    arguments = parser.parse_args()
    files = [arguments.data / "events" / f"ttbar_{part}.root" for part in ("train", "test")]
    parts = [read(path, (*FEATURES, JETS)) for path in files]
    events = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    every = [study(events, seed, arguments.steps, models=arguments.models) for seed in range(arguments.seeds)]
    print(f"{'at six jets and more':34s}{'AUC':>8s}{'+-':>8s}{'chi2/ndf':>10s}{'predicted/observed':>20s}")
    for name in every[0]:
        auc, error, distance, predicted = np.mean([one[name] for one in every], axis=0)
        print(f"{name:34s}{auc:8.3f}{error:8.3f}{distance:10.2f}{predicted:20.3f}")


if __name__ == "__main__":
    main()
