"""Turn a run into a bundle of ``models/``: float16 weights, judged as such, with the scores in its card.

The bundle is written first and sampled from, so that the scores are those of what is shipped.

    python benchmarks/ship_model.py runs/photons models/photons --reference photons_test.hdf5 --threshold 1
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path
from typing import Any

import torch

from hepgen.config.load import load_recipe
from hepgen.evaluation.domains import kind_of
from hepgen.evaluation.run import evaluate
from hepgen.events.reader import open_events
from hepgen.runs.data import open_data
from hepgen.sampling.run import sample_to_file
from hepgen.surrogate.surrogate import Surrogate


class Told:
    """Prints what the evaluation does."""

    def message(self, text: str) -> None:
        print("  " + text, flush=True)


def without_places(value: Any) -> Any:
    """The same content with file names for absolute paths, and without the machine it was made on."""
    if isinstance(value, dict):
        hidden = {"hostname", "argv", "sessions", "batch"}
        return {key: without_places(item) for key, item in value.items() if key not in hidden}
    if isinstance(value, list):
        return [without_places(item) for item in value]
    return Path(value).name if isinstance(value, str) and value.startswith("/") else value


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path)
    parser.add_argument("target", type=Path)
    parser.add_argument("--reference", type=Path, nargs="+", required=True)
    parser.add_argument("--events", type=float, help="events to judge; as many as the reference has where left out")
    parser.add_argument("--threshold", type=float)
    parser.add_argument("--solver-steps", type=int, help="of flows, in the place of the recipe's")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--threads", type=int, default=2)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    trained = Surrogate.load(arguments.run)
    if arguments.solver_steps is not None:
        trained = trained.with_solver_steps(arguments.solver_steps)
    trained.recipe, trained.provenance = without_places(trained.recipe), without_places(trained.provenance)
    trained.save(arguments.target, dtype="float16")
    shipped = Surrogate.load(arguments.target)
    reference = open_events(arguments.reference)
    training = open_data(load_recipe(arguments.run / "config.yaml"), hashes=False).train
    calorimeter = shipped.representation.kind == "calorimeter"
    with tempfile.TemporaryDirectory() as scratch:
        generated = Path(scratch) / "generated.root"
        count = arguments.events or reference.num_events
        sample_to_file(shipped, generated, count, seed=arguments.seed, threads=arguments.threads)
        report = evaluate(
            reference,
            open_events(generated, tree=shipped.schema.tree),
            kind=kind_of(shipped.representation.kind),
            binning=getattr(shipped.representation, "binning", None),
            conditions=() if calorimeter else shipped.representation.condition_names,
            threshold=arguments.threshold,
            training=training,
            seed=arguments.seed,
            progress=Told(),
        )
    scores = report.to_dict()["scores"]
    summed_up = {row[0]: scores[row[0]] for row in report.table()}
    shipped.save(arguments.target, scores=summed_up, dtype="float16")
    for name, score in summed_up.items():
        print(f"{name:<24} {score['value']:.4f}  floor {score['floor']}  n {score['n']}")
    size = sum(path.stat().st_size for path in arguments.target.iterdir())
    print(f"{arguments.target}: {size / 1e6:.1f} MB")


if __name__ == "__main__":
    main()
