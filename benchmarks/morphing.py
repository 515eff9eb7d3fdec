"""Every method of morphing on every problem: AUC before, after and of target against target, KS, movement, processor time.

A cell is a problem, a method (or "nothing": what there was before, and the floor) and a seed. Each finished cell is a line of
JSON in the output; a cell that is there is not made again, so that the benchmark can be left and taken up at any time.

    python benchmarks/morphing.py -o morphing.jsonl --data DATA --list
    python benchmarks/morphing.py -o morphing.jsonl --data DATA --cells 'dijets-hard/*' --seeds 1
    python benchmarks/morphing.py -o morphing.jsonl --table

A half of either sample trains, of jets two thirds. The morphed rest of the source is told from the rest of the target by boosted
trees, five in turn on all events; the floor is one part of the target against the other. Movements are in widths of the
columns (of both samples together) and in the latent space of the method.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import awkward as ak
import numpy as np
from morph_cells import LIMIT, run
from morph_methods import VARIANTS, training_of
from morph_problems import PROBLEMS, Places, Problem, Samples, Table
from morph_scores import auc_and_error, distances, effective, matching_weights, movement, widths
from morph_tables import print_tables
from morph_toys import FloatArray

from hepgen.config.morph import MorphRecipe
from hepgen.events.reader import open_events
from hepgen.events.schema import schema_of
from hepgen.events.source import record
from hepgen.events.writer import create_writer
from hepgen.morphing.apply import DISTANCE, WEIGHT, morph_to_file
from hepgen.runs.morph import train_morph

NOTHING = "nothing"
JUDGED, APPLIED = 6000, 50_000
"""Events a side that are judged, and events that are morphed, the same ones again and again, which tells the rate."""


@dataclass(frozen=True)
class MorphCell:
    """One measurement."""

    problem: str
    method: str
    seed: int

    @property
    def name(self) -> str:
        return f"{self.problem}/{self.method}/{self.seed}"


def cells(seeds: int) -> Iterator[MorphCell]:
    """Every cell; those of methods that this version does not have are left out."""
    for seed in range(seeds):
        for problem, what in PROBLEMS.items():
            yield MorphCell(problem, NOTHING, seed)
            for name, variant in VARIANTS.items():
                if variant.there and (what.conditions or not variant.conditional):
                    yield MorphCell(problem, name, seed)


@dataclass(frozen=True)
class Halves:
    """Both samples divided, most of them in halves: tables that train, and tables that are judged."""

    source_train: Table
    source_test: Table
    target_train: Table
    target_test: Table

    @classmethod
    def of(cls, samples: Samples) -> Halves:
        return cls(*_divided(samples.source, samples.train), *_divided(samples.target, samples.train))

    @property
    def judged(self) -> int:
        """Events a side of everything that is compared."""
        return min(JUDGED, *(len(next(iter(table.values()))) for table in vars(self).values()))


def _divided(table: Table, train: float) -> list[Table]:
    first = round(train * len(next(iter(table.values()))))
    return [{name: column[part] for name, column in table.items()} for part in (slice(first), slice(first, None))]


def matrix(table: Table, names: tuple[str, ...], events: int) -> FloatArray:
    """The first events, (events, columns)."""
    return np.stack([np.asarray(table[name][:events], dtype=np.float64) for name in names], axis=1)


def write(table: Table, path: Path) -> Path:
    """A file of the columns: float32, and int32 where they count something."""
    events = record(
        {name: column.astype("i4" if column.dtype.kind in "iu" else "f4") for name, column in table.items()},
        len(next(iter(table.values()))),
    )
    with create_writer(path, schema_of(events)) as writer:
        writer.write(events)
    return path


def _repeated(table: Table) -> Table:
    return {name: np.resize(column, max(APPLIED, len(column))) for name, column in table.items()}


def without_morph(problem: Problem, halves: Halves, seed: int) -> dict[str, Any]:
    """What the samples are before: source against target, and one half of the target against the other."""
    names, size = (*problem.columns, *problem.conditions), halves.judged
    target, other, source = (
        matrix(x, names, size) for x in (halves.target_test, halves.target_train, halves.source_test)
    )
    weights = _of_condition(problem, source, target)
    return {
        "events": size,
        "before": auc_and_error(target, source, seed, weights),
        "floor": auc_and_error(target, other, seed),
        "ks_before": distances(names, target, source, weights),
        "ks_floor": distances(names, target, other),
    }


def _of_condition(problem: Problem, source: FloatArray, target: FloatArray) -> FloatArray | None:
    """Weights that give the source the target's condition, which no map changes; None where both follow one law."""
    if not problem.spectra_differ:
        return None
    place = len(problem.columns)
    return matching_weights(source[:, place], target[:, place])


def recipe_of(problem: Problem, method: str, folder: Path, budget: float | None = None) -> MorphRecipe:
    """The recipe by which a method is trained on ``source.root`` and ``target.root`` of a folder."""
    variant = VARIANTS[method]
    return MorphRecipe.model_validate(
        {
            "task": "morph",
            "name": "benchmark",
            "source": {"files": [str(folder / "source.root")]},
            "target": {"files": [str(folder / "target.root")]},
            "columns": list(problem.columns),
            "representation": {"kind": "table", "conditions": list(problem.conditions)},
            "method": variant.method,
            "options": {variant.method: variant.options},
            "training": training_of(variant.method, budget),
        }
    )


def with_morph(
    problem: Problem, samples: Samples, halves: Halves, method: str, seed: int, budget: float | None
) -> dict[str, Any]:
    """What a method makes of the samples."""
    names, size = (*problem.columns, *problem.conditions), halves.judged
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        write(halves.source_train, folder / "source.root")
        write(halves.target_train, folder / "target.root")
        given = open_events(write(_repeated(halves.source_test), folder / "given.root"))
        begun = time.process_time()
        model = train_morph(
            recipe_of(problem, method, folder, budget),
            folder / "run",
            budget=budget,
            max_time=LIMIT,
            seed=seed,
            threads=1,
        )
        fitted = time.process_time() - begun
        summary = morph_to_file(model, given, folder / "morphed.root", seed=seed, policy="morph", threads=1)
        events = ak.concatenate(list(open_events(folder / "morphed.root").batches()))
        morphed = {name: ak.to_numpy(events[name]) for name in events.fields}
    source, target, after = (matrix(x, names, size) for x in (halves.source_test, halves.target_test, morphed))
    if model.moves:
        weights = _of_condition(problem, source, target)
    else:
        weights = np.asarray(morphed[WEIGHT][:size] / morphed[WEIGHT][:size].mean())
    columns = len(problem.columns)
    unit = widths(source, target)[:columns]
    found: dict[str, Any] = {
        "events": size,
        "after": auc_and_error(target, after, seed, weights),
        "ks": distances(names, target, after, weights),
        "effective": effective(weights, size),
        "fit_seconds": fitted,
        "events_per_second": summary.events_per_second,
        "steps": sum(model.provenance["training"]["steps"].values()),
    }
    if model.moves:
        found["movement"], found["movement_rms"] = movement(source[:, :columns], after[:, :columns], unit)
        found["movement_latent"] = float(np.mean(morphed[DISTANCE][:size]))
        if samples.best is not None:
            best = samples.best(source[:, :columns], unit)
            found["best"], found["best_rms"] = movement(source[:, :columns], best, unit)
    return found


def measure(cell: MorphCell, places: Places, budget: float | None) -> dict[str, Any]:
    """What is written of a cell."""
    problem = PROBLEMS[cell.problem]
    samples = problem.make(cell.seed, places)
    halves = Halves.of(samples)
    if cell.method == NOTHING:
        return without_morph(problem, halves, cell.seed)
    return with_morph(problem, samples, halves, cell.method, cell.seed, budget)


if __name__ == "__main__":
    absent = sorted(f"{name} ({one.method})" for name, one in VARIANTS.items() if not one.there)
    run(__doc__, cells, measure, print_tables, seeds=1, missing=absent)
