"""Time per jet of Pythia 8 with FastJet, beside that of hepgen sampling the same kind of jets: one process, in turns.

Pythia makes what the files of jets were made of: 13 TeV, pT-hat of 550 to 1000 GeV, anti-kT of radius 0.8 on visible
particles below |eta| 3, the two leading jets with 550 < pt < 1050 GeV and |eta| < 2 (tops: hadronic, mass above 120 GeV),
constituents above 0.5 GeV. Events are clustered by FastJet's own code as Pythia brings it along (fjcore), so that no loop in
Python over particles is in the time; reading the constituents of a jet out of the event is not in it either. Before anything
is timed, its jets are held against those of the file: mean pt, mass and multiplicity have to agree within the errors.

hepgen samples blocks of jets with all constituents in memory by the library's call, with the solver's steps as trained and with
those of ``--steps``; the last row writes a ROOT file as ``hepgen sample`` does. Models without the condition ``jet_pdgid`` are
timed for the type that they make. Means of their jets stand beside those of the file: how good they are, ``hepgen evaluate``
says.

    pip install pythia8mc==8.317.2
    python benchmarks/pythia_jets.py DATA/jets --model runs/top --types top --steps 10 5
"""

from __future__ import annotations

import argparse
import math
import tempfile
import time
from collections.abc import Callable, Sequence
from functools import partial
from importlib.metadata import version
from pathlib import Path

import awkward as ak
import numpy as np
import torch
import uproot
from numpy.typing import NDArray
from timing import medians, row

from hepgen.sampling.run import sample_events, sample_to_file
from hepgen.surrogate.surrogate import Surrogate

try:
    import pythia8mc
except ImportError as missing:
    raise SystemExit("Pythia 8 is not installed: pip install pythia8mc==8.317.2") from missing

CODES = {"gluon": 21, "quark": 1, "top": 6}
PROCESSES = {
    "gluon": ("HardQCD:gg2gg = on",),
    "quark": ("HardQCD:qq2qq = on",),
    "top": ("Top:gg2ttbar = on", "Top:qqbar2ttbar = on", "24:onMode = off", "24:onIfAny = 1 2 3 4 5"),
}
COMMON = ("Beams:eCM = 13000", "Print:quiet = on", "PhaseSpace:pTHatMin = 550", "PhaseSpace:pTHatMax = 1000")
ANTI_KT, RADIUS, LEAST_PT, VISIBLE_ETA, VISIBLE, OWN_MASS = -1, 0.8, 500.0, 3.0, 2, 2
LEAST_MASS = {"top": 120.0}
SOFTEST = 0.5
COMPARED = ("pt", "mass", "multiplicity")
MOST_APART, LARGEST_ERROR = 4.0, 0.03  # standard errors; of a mean, relative


class PythiaJets:
    """Events of one process, and the jets of each."""

    def __init__(self, kind: str, seed: int) -> None:
        self.pythia = pythia8mc.Pythia("", False)
        for line in (*COMMON, "Random:setSeed = on", f"Random:seed = {seed}", *PROCESSES[kind]):
            self.pythia.readString(line)
        if not self.pythia.init():
            raise SystemExit("Pythia does not begin: see what it says above")
        self.least_mass = LEAST_MASS.get(kind, 0.0)
        self.finder = pythia8mc.SlowJet(ANTI_KT, RADIUS, LEAST_PT, VISIBLE_ETA, VISIBLE, OWN_MASS)

    def event(self) -> list[int]:
        """Simulate an event and cluster it: the numbers of the jets that are kept."""
        if not self.pythia.next() or not self.finder.analyze(self.pythia.event):
            return []
        leading = range(min(2, self.finder.sizeJet()))
        return [
            jet
            for jet in leading
            if 550 < self.finder.pT(jet) < 1050
            and abs(self.finder.p(jet).eta()) < 2
            and self.finder.m(jet) >= self.least_mass
        ]

    def make(self, number: int) -> None:
        """So many jets or one more."""
        while number > 0:
            number -= len(self.event())

    def features(self, number: int) -> NDArray[np.float64]:
        """pt, mass and multiplicity of jets by their constituents, (jets, 3)."""
        found: list[tuple[float, float, float]] = []
        while len(found) < number:
            for jet in self.event():
                particles = [self.pythia.event[index] for index in self.finder.constituents(jet)]
                momenta = np.array([(p.e(), p.px(), p.py(), p.pz()) for p in particles if p.pT() > SOFTEST])
                e, x, y, z = momenta.sum(axis=0)
                found.append((math.hypot(x, y), math.sqrt(max(e**2 - x**2 - y**2 - z**2, 0.0)), len(momenta)))
        return np.array(found[:number])


def features_of(events: ak.Array) -> NDArray[np.float64]:
    """pt, mass and multiplicity of the jets of a file or of a model, (jets, 3)."""
    return np.stack(
        [ak.to_numpy(events.jet_pt), ak.to_numpy(events.jet_mass), ak.to_numpy(ak.num(events.part_pt))], axis=1
    ).astype(np.float64)


def compared(
    name: str, made: NDArray[np.float64], true: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Print means beside those of the file: how far they are apart in standard errors, and these, relative."""
    error = np.sqrt(made.var(axis=0) / len(made) + true.var(axis=0) / len(true))
    means, wanted = made.mean(axis=0), true.mean(axis=0)
    words = [
        f"{what} {m:.1f} ({m / w - 1:+.1%} +- {e / w:.1%})"
        for what, m, w, e in zip(COMPARED, means, wanted, error, strict=True)
    ]
    print(f"  {name:<28} {', '.join(words)}")
    return np.abs(means - wanted) / error, error / wanted


def conditions_for(surrogate: Surrogate, kind: str) -> tuple[str, ...] | None:
    """What to set so that a model makes jets of a type; None if it makes others."""
    if "jet_pdgid" in surrogate.representation.condition_names:
        return (f"jet_pdgid={CODES[kind]}",)
    made = ak.concatenate(list(sample_events(surrogate, 10, seed=1)))
    return () if (ak.to_numpy(made.jet_pdgid) == CODES[kind]).all() else None


def rows_of(
    surrogate: Surrogate, name: str, settings: Sequence[str], steps: Sequence[int], jets: int, folder: Path
) -> dict[str, Callable[[], object]]:
    """Samplings of a model that are timed, by what they are called."""

    def of(chosen: Surrogate) -> Callable[[], object]:
        return lambda: list(sample_events(chosen, jets, seed=2, set_conditions=settings))

    def to_file() -> object:
        return sample_to_file(surrogate, folder / "jets.root", jets, seed=2, set_conditions=settings, force=True)

    options = surrogate.generators["constituents"].options
    if hasattr(options, "steps"):
        every = [surrogate.with_solver_steps(one) for one in (*sorted(steps, reverse=True), options.steps)]
        rows = {f"{name}, {one.generators['constituents'].evaluations} evaluations": of(one) for one in every}
    elif steps:
        raise SystemExit(f"{name} takes no steps: leave out --steps")
    else:
        rows = {name: of(surrogate)}
    return {**rows, f"{name}, to a ROOT file": to_file}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, help="folder of gluon_test.root, quark_test.root, top_test.root")
    parser.add_argument("--model", type=Path, action="append", default=[], help="a run folder or a bundle")
    parser.add_argument("--types", nargs="+", choices=list(CODES), default=list(CODES))
    parser.add_argument("--steps", type=int, nargs="+", default=[], help="of the solver, beside those of the training")
    parser.add_argument("--jets", type=int, default=500, help="in each round, and in a block of hepgen")
    parser.add_argument("--check", type=int, default=1000, help="jets of Pythia that are compared with the file")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--threads", type=int, default=1, help="of hepgen; Pythia takes one")
    parser.add_argument("--clock", choices=["wall", "cpu"], default="cpu", help="cpu: leaves out other work")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    clock = time.process_time if arguments.clock == "cpu" else time.perf_counter
    models = {str(path): Surrogate.load(path) for path in arguments.model}
    for surrogate in models.values():
        surrogate.recipe = {**surrogate.recipe, "sampling": {"block_size": arguments.jets}}
    print(f"pythia8mc {version('pythia8mc')}, torch {torch.__version__}, {arguments.threads} thread(s) of hepgen")
    for kind in arguments.types:
        with uproot.open(arguments.data / f"{kind}_test.root") as file:
            true = features_of(file["jets"].arrays(["jet_pt", "jet_mass", "part_pt"]))
        pythia = PythiaJets(kind, seed=1)
        print(f"{kind}: {arguments.jets} jets a round, {arguments.repeats} rounds, {arguments.clock} time")
        apart, error = compared("Pythia 8 + FastJet", pythia.features(arguments.check), true)
        if (error > LARGEST_ERROR).any():
            raise SystemExit("too few jets to compare: take more with --check")
        if (apart > MOST_APART).any():
            raise SystemExit(f"these are not the jets of the file: {apart.max():.1f} standard errors apart")
        candidates: dict[str, Callable[[], object]] = {"Pythia 8 + FastJet": partial(pythia.make, arguments.jets)}
        with tempfile.TemporaryDirectory() as folder:
            for name, surrogate in models.items():
                settings = conditions_for(surrogate, kind)
                if settings is None:
                    print(f"  {name} makes jets of another type")
                    continue
                made = sample_events(surrogate, arguments.jets, seed=3, set_conditions=settings)
                compared(name, features_of(ak.concatenate(list(made))), true)
                candidates |= rows_of(surrogate, name, settings, arguments.steps, arguments.jets, Path(folder))
            seconds = medians(candidates, arguments.repeats, clock)
        for name, one in seconds.items():
            print("  " + row(name, one, arguments.jets, seconds["Pythia 8 + FastJet"]))


if __name__ == "__main__":
    main()
