"""How much work an evaluation does: protocols and their quick variant."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from hepgen.classifiers.network import CALOCHALLENGE, NetworkOptions
from hepgen.classifiers.sets import SetOptions
from hepgen.classifiers.trees import TreeOptions
from hepgen.errors import ConfigError, suggest

PUBLISHED_EVENTS = 60_000
"""Training events a class behind the published CaloChallenge tables (60,000, for data set 1 80,000)."""

PUBLISHED_SIDE = 10_000
"""Events a side that ``fpd_extrapolated`` and ``kpd_median`` need, the smallest of the batches that they draw."""

FEWEST = 50
"""Events a side that classifiers need."""


@dataclass(frozen=True)
class Protocol:
    """Sizes and repeats.

    Attributes:
        name: ``fast`` or ``calochallenge``.
        official: whether definitions follow the CaloChallenge to the letter.
        network: of the tests on showers.
        trees: of tests on tables and on high-level features.
        sets: of the test on constituents of jets.
        matches: groups of a hundred jets whose energy mover's distances are calculated.
        splits: random divisions of the reference into halves behind every score that is cheap.
        dear_splits: of these, those behind kernel and energy distance and the nearest-neighbour scores, which take every
            pair of events; classifiers, ``fpd_intercept``, memorisation and the energy mover's distance take the first.
        parts: parts that share no event behind the error of every score, of the halves or of what classifiers judge.
        folds: trainings behind each AUC and each of its floors, each judging a fifth of the events; five judge all.
        max_events: events a side of the classifiers; None takes all.
        neighbours: events a side of the nearest-neighbour scores.
        nearest: events of each kind whose nearest training event is looked for.
        pool_events: events of a sample that one-dimensional scores take at most.
        plots: observables that are drawn at most.
    """

    name: str
    official: bool = False
    network: NetworkOptions = field(default_factory=NetworkOptions)
    trees: TreeOptions = field(default_factory=TreeOptions)
    sets: SetOptions = field(default_factory=SetOptions)
    splits: int = 10
    dear_splits: int = 10
    parts: int = 10
    folds: int = 5
    max_events: int | None = 10_000
    neighbours: int = 3_000
    nearest: int = 2_000
    matches: int = 5
    pool_events: int = 100_000
    plots: int = 24


PROTOCOLS = {
    "fast": Protocol("fast"),
    "calochallenge": Protocol("calochallenge", official=True, network=CALOCHALLENGE, max_events=None),
}

_QUICK_NETWORK = NetworkOptions(hidden=(256, 256, 256), epochs=15, learning_rate=5e-4, patience=3)


def choose_protocol(name: str, *, quick: bool = False, max_events: int | None = None) -> Protocol:
    """A protocol by name.

    Args:
        name: ``fast`` or ``calochallenge``.
        quick: smaller networks and fewer events; the networks of ``calochallenge`` stay what they are.
        max_events: events a side of the classifiers, instead of the protocol's.

    Raises:
        ConfigError: for an unknown name, or fewer than 50 events a side.
    """
    if max_events is not None and max_events < FEWEST:
        raise ConfigError(f"classifiers of {max_events} events a side say nothing", hint=f"give {FEWEST} or more")
    if name not in PROTOCOLS:
        raise ConfigError(f"no protocol '{name}'", hint=suggest(name, PROTOCOLS) or f"has {', '.join(PROTOCOLS)}")
    chosen = PROTOCOLS[name]
    if quick:
        small = replace(
            chosen,
            dear_splits=1,
            folds=2,
            neighbours=1_500,
            nearest=500,
            plots=12,
            matches=1,
            trees=replace(chosen.trees, rounds=100),
        )
        chosen = small if chosen.official else replace(small, network=_QUICK_NETWORK, max_events=4_000)
    return replace(chosen, max_events=max_events) if max_events is not None else chosen
