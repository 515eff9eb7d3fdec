"""Templates of the background from side-bands, and what a classifier of template against data finds with them.

Dijets with 0 to 500 injected events of a resonance of 3.5 TeV. A template is learned from the side-bands of m_jj, carried to
the masses of the signal region, and told from the data there (CURTAINs, arXiv 2305.04646; Drapes, arXiv 2312.10130). The
figure is the significance improvement eff_S / sqrt(eff_B) of that classifier on events that nobody has seen, its largest
value among cuts that at least 25 background events survive; beside it that of a classifier with labels (supervised), of one
with true background in the place of the template (idealised), and of the side-bands as they are.

    python benchmarks/template.py -o template.jsonl --data DATA --list
    python benchmarks/template.py -o template.jsonl --data DATA --cells '*/250/*'
    python benchmarks/template.py -o template.jsonl --table

Four tenths of the background are data, three tenths the true background of the reference classifiers, three tenths test. Of
the signal so many events are injected into the data; one half of the others trains the supervised classifier, one tests.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import awkward as ak
import numpy as np
from morph_cells import LIMIT, Line, run
from morph_methods import training_of
from morph_problems import SIX, Places, Table, read_columns, rows
from morph_scores import auc_and_error
from morph_toys import FloatArray
from morphing import matrix, write

from hepgen.classifiers.base import FOLDS, LabelledEvents, rotation, stratified_folds
from hepgen.classifiers.trees import TreeClassifier
from hepgen.config.load import parse_recipe
from hepgen.config.methods import METHODS
from hepgen.config.morph import MorphRecipe
from hepgen.config.recipe import Recipe
from hepgen.events.reader import open_events
from hepgen.morphing.apply import morph_to_file
from hepgen.morphing.wanted import DrawnFromFile
from hepgen.runs.morph import train_morph
from hepgen.runs.train import train_run
from hepgen.sampling.run import sample_to_file

MASS, FEATURES = SIX[0], SIX[1:]
LOW, HIGH = (2900.0, 3300.0), (3700.0, 4600.0)
INJECTED = (0, 50, 100, 250, 500)
SURVIVE = 25
SUPERVISED, IDEALISED, SIDE_BANDS = "supervised", "idealised", "side-bands"


@dataclass(frozen=True)
class Template:
    """How events of the side-bands become a template.

    Attributes:
        method: of a morph of the side-bands onto themselves that is asked for other masses; or, with ``generate``, the family
            of a generator conditioned on the mass.
        options: that differ from the defaults.
        generate: whether events are generated, not moved.
    """

    method: str
    options: dict[str, Any] = field(default_factory=dict)
    generate: bool = False

    @property
    def there(self) -> bool:
        """Whether this version has the method."""
        return self.generate or self.method in METHODS


_FINE = {"solver": "midpoint", "steps": 10}
TEMPLATES = {
    "quantile": Template("quantile"),
    "flows for flows, delta": Template("flows_for_flows", {"condition": "delta"}),
    "flows for flows, concatenated": Template("flows_for_flows", {"condition": "concatenated"}),
    "sinkhorn, delta": Template("sinkhorn", {"condition": "delta"}),
    "matching": Template("matching", {"change_condition": True, "solver": "midpoint", "steps": 4}),
    "partly noised": Template("noising", {"start": 0.5, **_FINE}),
    "from noise": Template("noising", _FINE),
    "coupling flow": Template("coupling", {"layers": 6, "hidden": [64, 64], "dropout": 0.1}, generate=True),
}


@dataclass(frozen=True)
class TemplateCell:
    """One measurement."""

    template: str
    injected: int
    seed: int

    @property
    def name(self) -> str:
        return f"{self.template}/{self.injected}/{self.seed}"


def cells(seeds: int) -> Iterator[TemplateCell]:
    """Every cell; the supervised classifier has no data to look into, so that it is there once a seed."""
    for seed in range(seeds):
        yield TemplateCell(SUPERVISED, 0, seed)
        for injected in INJECTED:
            for name in (IDEALISED, SIDE_BANDS, *(name for name, one in TEMPLATES.items() if one.there)):
                yield TemplateCell(name, injected, seed)


@dataclass(frozen=True)
class Study:
    """The events of a cell.

    Attributes:
        data: of the signal region, with injected signal.
        side_bands: of the data, with the signal that falls there.
        background, signal: of the signal region, with their labels known, for the reference classifiers.
        test_background, test_signal: of the signal region, that nothing is trained on.
    """

    data: Table
    side_bands: Table
    background: Table
    signal: Table
    test_background: Table
    test_signal: Table

    @classmethod
    def of(cls, background: Table, signal: Table, injected: int, rng: np.random.Generator) -> Study:
        """Divide both at random; the same division for any number of injected events but for these."""
        count = len(background[MASS])
        data, known, test = np.split(rng.permutation(count), [4 * count // 10, 7 * count // 10])
        order = rng.permutation(len(signal[MASS]))
        inside, rest = order[:injected], order[injected:]
        taken, tested = np.array_split(rest, 2)
        mixed = {name: np.concatenate([background[name][data], signal[name][inside]]) for name in background}
        order = rng.permutation(len(mixed[MASS]))
        mixed = rows(mixed, order)
        return cls(
            rows(mixed, in_region(mixed)),
            rows(mixed, in_side_bands(mixed)),
            *(
                rows(part, in_region(part))
                for part in (
                    rows(background, known), rows(signal, taken), rows(background, test), rows(signal, tested),
                )
            ),
        )  # fmt: skip


def in_region(table: Table) -> np.ndarray:
    return np.asarray((table[MASS] >= LOW[1]) & (table[MASS] < HIGH[0]))


def in_side_bands(table: Table) -> np.ndarray:
    mass = table[MASS]
    return np.asarray(((mass >= LOW[0]) & (mass < LOW[1])) | ((mass >= HIGH[0]) & (mass < HIGH[1])))


def features(table: Table) -> FloatArray:
    """(events, features), without the mass."""
    return matrix(table, FEATURES, len(table[MASS]))


def scores(
    signal_like: FloatArray, background_like: FloatArray, tested: Sequence[FloatArray], seed: int
) -> list[FloatArray]:
    """Mean probability of being like the first sample, by five trees trained on four fifths each; classes are balanced."""
    labels = np.concatenate([np.ones(len(signal_like)), np.zeros(len(background_like))])
    weights = np.where(labels == 1, 1.0, len(signal_like) / len(background_like))
    events = LabelledEvents(np.concatenate([signal_like, background_like]), labels, weights)
    divided = stratified_folds(labels, FOLDS, np.random.default_rng(seed))
    found = [np.zeros((FOLDS, len(one))) for one in tested]
    for number in range(FOLDS):
        train, watch, held = rotation(divided, number)
        classifier = TreeClassifier()
        classifier.fit(events.take(np.concatenate([train, held])), events.take(watch), seed + number)
        for one, unseen in zip(found, tested, strict=True):
            one[number] = classifier.predict(unseen)
    return [one.mean(axis=0) for one in found]


def significance_improvement(signal: FloatArray, background: FloatArray, survive: int = SURVIVE) -> dict[str, float]:
    """The largest eff_S / sqrt(eff_B) of cuts on a score that so many background events survive, and its error.

    The error is that of counting at that cut; that it is the best of many cuts is not in it.

    Args:
        signal, background: scores of events, the larger the more like signal.
        survive: background events that are left at least.

    Example:
        >>> found = significance_improvement(np.array([0.9, 0.9, 0.1, 0.9]), np.linspace(0, 1, 100), 4)
        >>> found["cut"] <= 0.9, round(found["eff_s"], 2), round(found["sic"], 2)
        (True, 0.75, 2.26)
    """
    cuts = np.unique(background)
    left = len(background) - np.searchsorted(np.sort(background), cuts)
    kept = len(signal) - np.searchsorted(np.sort(signal), cuts)
    allowed = left >= survive
    cuts, left, kept = cuts[allowed], left[allowed], kept[allowed]
    eff_b, eff_s = left / len(background), kept / len(signal)
    improvement = eff_s / np.sqrt(eff_b)
    best = int(np.argmax(improvement))
    relative = (1 - eff_s[best]) / max(kept[best], 1) + (1 - eff_b[best]) / (4 * left[best])
    return {
        "sic": float(improvement[best]),
        "sic_error": float(improvement[best] * np.sqrt(relative)),
        "eff_s": float(eff_s[best]),
        "eff_b": float(eff_b[best]),
        "survivors": float(left[best]),
        "cut": float(cuts[best]),
    }


def recipe_of(template: Template, folder: Path, budget: float | None = None) -> MorphRecipe | Recipe:
    """How a template is learned from ``side_bands.root`` of a folder."""
    files = {"files": [str(folder / "side_bands.root")]}
    common = {
        "name": "template",
        "representation": {"kind": "table", "conditions": [MASS]},
        "options": {template.method: template.options},
        "training": training_of(template.method, budget),
    }
    if template.generate:
        return parse_recipe({**common, "data": {**files, "columns": list(SIX)}, "generator": template.method})
    return parse_recipe(
        {
            **common,
            "task": "morph",
            "source": files,
            "target": files,
            "columns": list(FEATURES),
            "method": template.method,
        }
    )


def made(template: Template, study: Study, seed: int, budget: float | None) -> tuple[Table, float]:
    """A template in the signal region, as many events as the side-bands have, and the seconds of its training.

    The masses are those of the data there: the classifier does not see them.
    """
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        side_bands = open_events(write(study.side_bands, folder / "side_bands.root"))
        recipe, begun = recipe_of(template, folder, budget), time.process_time()
        options: dict[str, Any] = {"budget": budget, "max_time": LIMIT, "seed": seed, "threads": 1}
        out = folder / "template.root"
        if isinstance(recipe, MorphRecipe):
            model = train_morph(recipe, folder / "run", **options)
            seconds = time.process_time() - begun
            masses = open_events(write(study.data, folder / "data.root"))
            morph_to_file(
                model, side_bands, out, wanted=DrawnFromFile(masses, model), policy="morph", seed=seed, threads=1
            )
        else:
            surrogate = train_run(recipe, folder / "run", **options)
            seconds = time.process_time() - begun
            drawn = np.random.default_rng(seed).choice(study.data[MASS], len(study.side_bands[MASS]))
            masses = open_events(write({MASS: drawn}, folder / "masses.root"))
            sample_to_file(surrogate, out, None, conditions=masses, seed=seed, threads=1)
        events = ak.concatenate(list(open_events(out).batches(list(SIX))))
        return {name: ak.to_numpy(events[name]).astype(np.float64) for name in SIX}, seconds


def measure(cell: TemplateCell, places: Places, budget: float | None) -> dict[str, Any]:
    """What is written of a cell."""
    folder = places.needed() / "events"
    background, signal = (read_columns(folder / f"dijets_{name}.root", SIX) for name in ("qcd", "signal"))
    study = Study.of(background, signal, cell.injected, np.random.default_rng(cell.seed))
    found: dict[str, Any] = {"data": len(study.data[MASS]), "side_band_events": len(study.side_bands[MASS])}
    template = study.background
    if cell.template == SIDE_BANDS:
        template = study.side_bands
    elif cell.template in TEMPLATES:
        template, found["fit_seconds"] = made(TEMPLATES[cell.template], study, cell.seed, budget)
    signal_like = study.signal if cell.template == SUPERVISED else study.data
    tested = [features(one) for one in (study.test_signal, study.test_background)]
    found |= significance_improvement(*scores(features(signal_like), features(template), tested, cell.seed))
    # How true the template is: against background that nothing has seen; for the true background this is the floor.
    size = min(len(template[MASS]), len(study.test_background[MASS]))
    found["template_auc"] = auc_and_error(tested[1][:size], features(template)[:size], cell.seed)
    return found


def print_table(lines: Sequence[Line]) -> None:
    """Significance improvements: mean over seeds and their spread; last the AUC of template against true background."""
    print("| template | " + " | ".join(f"{injected} injected" for injected in INJECTED) + " | AUC of the template |")
    print("| --- " * (len(INJECTED) + 2) + "|")
    for name in dict.fromkeys(line["template"] for line in lines):
        here = [line for line in lines if line["template"] == name]
        row = [_over_seeds([line["sic"] for line in here if line["injected"] == injected]) for injected in INJECTED]
        if name == SUPERVISED:
            row = row[:1] * len(INJECTED)
        print(f"| {name} | {' | '.join(row)} | {_over_seeds([line['template_auc'][0] for line in here], 3)} |")


def _over_seeds(values: Sequence[float], digits: int = 2) -> str:
    if not values:
        return ""
    spread = f" +- {np.std(values, ddof=1):.{digits}f}" if len(values) > 1 else ""
    return f"{np.mean(values):.{digits}f}{spread}"


if __name__ == "__main__":
    absent = sorted(f"{name} ({one.method})" for name, one in TEMPLATES.items() if not one.there)
    run(__doc__, cells, measure, print_table, seeds=5, missing=absent)
