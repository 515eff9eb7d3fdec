"""How many true events are generated ones worth, of a model that is trained on few? (arXiv 2008.06545)

First the toy of that paper: 100 points of two Gaussians at -4 and 4, a double Gaussian fitted to them. Then a table
recipe, trained on the first 1,000 events of a file; the truth is what is left of that file and all of another.

    python benchmarks/amplification.py --train ttbar_train.root --test ttbar_test.root --epochs 120 --threads 1
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

import awkward as ak
import numpy as np

from hepgen.evaluation.amplification import add_amplification
from hepgen.evaluation.columns import TableDomain
from hepgen.evaluation.domain import FloatArray, Pool
from hepgen.evaluation.histograms import Observable
from hepgen.evaluation.plots import draw
from hepgen.evaluation.report_parts import Curve
from hepgen.evaluation.samples import read_pool
from hepgen.evaluation.scores import ScoreBook
from hepgen.events.reader import open_events
from hepgen.events.writer import create_writer

RECIPE = Path(__file__).parents[1] / "configs" / "ttbar.yaml"
# batches of the recipe's size would be two for 1,000 events
STEPS = ("training.batch_size=128", "training.validate_every=50")
TOY_POINTS, TOY_REPEATS = 100, 40


def pool(values: FloatArray) -> Pool:
    """Values of one observable as a sample."""
    nothing = np.empty((len(values), 0))
    return Pool(len(values), values[:, None], nothing, np.ones(len(values)), nothing, np.arange(len(values)))


def camel_back(events: int, rng: np.random.Generator) -> FloatArray:
    return rng.choice([-4.0, 4.0], size=events) + rng.normal(size=events)


def fit_and_sample(points: FloatArray, events: int, rng: np.random.Generator) -> FloatArray:
    """Events of a double Gaussian with the share, mean and width of the points on either side of 0."""
    low, high = points[points < 0], points[points >= 0]
    parts = [rng.normal(side.mean(), side.std(ddof=1), size=events) for side in (low, high)]
    return np.where(rng.uniform(size=events) < len(high) / len(points), parts[1], parts[0])


def toy(seed: int) -> None:
    """Amplification by the mean qMSE over many samples of training points, as the paper has it."""
    rng = np.random.default_rng(seed)
    found: list[tuple[float, float]] = []
    for _ in range(TOY_REPEATS):
        points, book = camel_back(TOY_POINTS, rng), ScoreBook()
        made, truth = fit_and_sample(points, 100_000, rng), camel_back(200_000, rng)
        add_amplification(book, pool(truth), pool(made), [Observable("x", "x")], pool(points))
        found.append(book.pair("amplification"))
    inverse = 1.0 / np.array(found)
    means, errors = inverse.mean(axis=0), inverse.std(axis=0, ddof=1) / np.sqrt(TOY_REPEATS)
    for name, mean, error in zip(("fitted double Gaussian", "the points themselves"), means, errors, strict=True):
        print(f"camel back, {TOY_POINTS} points, {name}: amplification {1 / mean:.2f} +- {error / mean**2:.2f}")


def split(train: Path, test: Path, count: int, folder: Path) -> tuple[Path, Path]:
    """Files of the first ``count`` events of ``train``, and of all others of both."""
    source, held_out = open_events(train), open_events(test)
    first, others = (ak.concatenate(list(one.batches())) for one in (source, held_out))
    paths = folder / "training.root", folder / "truth.root"
    for path, parts in zip(paths, ([first[:count]], [first[count:], others]), strict=True):
        with create_writer(path, source.schema) as writer:
            for part in parts:
                writer.write(part)
    return paths


def hepgen(*words: str) -> None:
    subprocess.run([sys.executable, "-m", "hepgen.cli", *words], check=True)


def show(title: str, book: ScoreBook, curve: Curve | None, notes: list[str]) -> None:
    print(f"\n{title}")
    for name, score in book.scores().items():
        floor = "-" if score.floor is None else f"{score.floor:.4g}"
        print(f"  {name:<34} {score.text():<28} floor {floor:<12} n {score.n} {score.comment}")
    if curve is not None:
        print("  events   truth                  generated")
        true, true_error = curve.reference, curve.reference_error
        for row in zip(curve.x, true, true_error, curve.generated, curve.generated_error, strict=True):
            print("  {:<8.0f} {:.3g} +- {:.1g}  {:.3g} +- {:.1g}".format(*row))
    for note in notes:
        print(f"  {note}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--train", type=Path, required=True)
    parser.add_argument("--test", type=Path, required=True)
    parser.add_argument("--recipe", type=Path, default=RECIPE)
    parser.add_argument("--training-events", type=int, default=1000)
    parser.add_argument("--events", type=int, default=100_000)
    parser.add_argument("--epochs", type=int, default=120, help="fixed, so that both trainings are one")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--keep", type=Path, help="folder that keeps the runs, samples and pictures")
    arguments = parser.parse_args()
    toy(arguments.seed)
    with tempfile.TemporaryDirectory() as scratch:
        folder = arguments.keep or Path(scratch)
        folder.mkdir(parents=True, exist_ok=True)
        training, truth = split(arguments.train, arguments.test, arguments.training_events, folder)
        domain = TableDomain(open_events(truth).schema)
        keys = (*STEPS, f"training.epochs={arguments.epochs}")
        common = ["--threads", str(arguments.threads), "--seed", str(arguments.seed)]
        for calibrate in ("false", "true"):
            place = folder / f"calibrate-{calibrate}"
            place.mkdir()
            run, generated = str(place / "run"), place / "generated.root"
            changes = [word for key in (*keys, f"training.calibrate={calibrate}") for word in ("--set", key)]
            hepgen("train", str(arguments.recipe), "--data", str(training), "-o", run, *changes, *common)
            hepgen("sample", run, "-n", str(arguments.events), "-o", str(generated), *common)
            rng = np.random.default_rng(arguments.seed)
            true, made, trained = (
                read_pool(open_events(path), domain, rng, rows=arguments.events, raw_rows=0)[0]
                for path in (truth, generated, training)
            )
            book = ScoreBook()
            curve, notes = add_amplification(book, true, made, domain.observables, trained)
            show(f"{arguments.recipe.stem}, training.calibrate={calibrate}", book, curve, notes)
            if curve is not None:
                draw(curve, place)


if __name__ == "__main__":
    main()
