"""``evaluate``: two samples in, a report out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol as Interface

from hepgen.errors import UsageError
from hepgen.evaluation.checks import (
    check_columns,
    check_kinds,
)
from hepgen.evaluation.comparison import Comparison, say_nothing
from hepgen.evaluation.domains import domain_of_kind
from hepgen.evaluation.jet_layouts import common_jets
from hepgen.evaluation.protocols import Protocol, choose_protocol
from hepgen.evaluation.report import Report
from hepgen.events.jets import JetColumns
from hepgen.events.source import EventSource
from hepgen.physics.binning import Binning


class Watcher(Interface):
    """Somebody who is told what the evaluation does."""

    def message(self, text: str) -> None: ...


def evaluate(
    reference: EventSource,
    generated: EventSource,
    *,
    kind: str,
    binning: Binning | None = None,
    energy: str | None = "incident_energy",
    voxels: str = "voxel_energy",
    conditions: Sequence[str] = (),
    columns: Sequence[str] | None = None,
    weight: str | None = None,
    threshold: float | None = None,
    protocol: str = "fast",
    quick: bool = False,
    max_events: int | None = None,
    seed: int = 0,
    training: EventSource | None = None,
    also: Mapping[str, EventSource] | None = None,
    memory: int = 1 << 30,
    laws: Mapping[str, str] | None = None,
    jets: JetColumns | None = None,
    energy_unit: str | None = None,
    device: str = "cpu",
    settings: Protocol | None = None,
    progress: Watcher | None = None,
    notes: Sequence[str] = (),
) -> Report:
    """Compare a generated sample with a reference, every score beside the value that two true samples give.

    The reference is divided at random into halves A and B, several times; scores compare as many generated events as B has with A,
    floors compare B with A. Errors come from parts that share no event (``Score.from_splits``). Where events are broken,
    every score is given without them as well (``Score.without``).

    Args:
        reference: true events, not used in the training.
        generated: events of the surrogate.
        kind: ``calorimeter``, ``jets`` or ``table``.
        binning: of a calorimeter.
        energy, voxels: columns of a calorimeter; without ``energy`` the sum of the voxels stands for it.
        conditions: further conditions of a calorimeter, all conditions of a table; of jets their pt where there is none.
        columns: of a table that are judged; all scalar ones where None.
        weight: column of event weights, in both samples.
        threshold: in the unit of the energies; voxels below it are set to 0 in both samples; None sets none.
        protocol: ``fast`` or ``calochallenge``.
        quick: smaller networks, fewer splits.
        max_events: events a side of the classifiers.
        seed: of every random choice; the same samples and seed give the same report.
        training: the training events, for copies of them and the memorisation scores.
        also: samples of other generators by name: one training of all gives each its log-posterior (``logpost.NAME``).
        memory: bytes that the pools of raw events may take.
        laws: columns of a table that must agree with another column, such as a mass with what the momenta give.
        energy_unit: of a calorimeter, where the file does not say it; MeV where nothing does.
        jets: columns of jets and their constituents, found by their names where None.
        device: where the networks of the classifiers run.
        settings: sizes and repeats in detail, instead of ``protocol``, ``quick`` and ``max_events``.
        progress: is told what is going on.
        notes: sentences on the samples that the report begins its own with.

    Raises:
        UsageError: for an unknown kind, a calorimeter without a binning, jets whose columns are not found, or a threshold
            where there are no voxels.
        ConfigError: for an unknown protocol.
        InputFileError: if a column is missing, a unit or the kind of events differs, or a sample is too small or empty.
    """
    tell = progress.message if progress is not None else say_nothing
    check_kinds(reference, generated, kind)
    if threshold is not None and kind != "calorimeter":
        raise UsageError(f"a threshold is one of voxels, events of the kind '{kind}' have none", hint="leave it out")
    work = settings or choose_protocol(protocol, quick=quick, max_events=max_events)
    samples = {"reference": reference, "generated": generated}
    if training is not None:
        samples["training"] = training
    generators = dict(also or {})
    further = (*conditions, *((weight,) if weight else ()))
    common = common_jets(samples | generators, jets, further) if kind == "jets" else None
    domain = domain_of_kind(
        kind,
        reference.schema,
        work,
        laws=laws,
        common=common,
        binning=binning,
        energy=energy,
        voxels=voxels,
        conditions=conditions,
        columns=columns,
        weight=weight,
        threshold=threshold,
        energy_unit=energy_unit,
        device=device,
    )
    for which, source in (samples | generators).items():
        check_columns(source, domain, reference, which)
    notes = (*notes, *(common.notes if common is not None else ()))
    found = Comparison(domain, work, seed, memory, tell, notes)
    return found.run(reference, generated, training, generators, quick, max_events)
