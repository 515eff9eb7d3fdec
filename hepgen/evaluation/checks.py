"""Questions before the scores: do the samples belong together, and what does the reader have to know?"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from hepgen.errors import InputFileError, near_names
from hepgen.evaluation.domain import Domain, FloatArray, Pool
from hepgen.evaluation.metrics import effective_events, kolmogorov_distance
from hepgen.evaluation.protocols import PUBLISHED_EVENTS, PUBLISHED_SIDE, Protocol
from hepgen.evaluation.quantity_names import is_azimuth
from hepgen.evaluation.sanity import AZIMUTHS, EMPTY
from hepgen.evaluation.splits import ConditionBin
from hepgen.events.jets import find_jets
from hepgen.events.showers import holds_showers
from hepgen.events.source import EventSource, NumberedSource

MIN_EVENTS = 100
_FEW = 0.05
_EVENTS = {"jets": "jets", "table": "a table"}
_SAME_SCALE = 0.04  # in the decimal logarithm
_ROUNDING = 1e-3  # of an angle at the end of its circle


def check_columns(source: EventSource, domain: Domain, reference: EventSource, which: str) -> None:
    """Refuse a sample that lacks a column, or has it in another unit or shape than the reference.

    Raises:
        InputFileError: naming the column.
    """
    arrays_may_differ = domain.kind == "jets"  # the hardest constituents of both are compared
    for name in domain.for_file(source.schema).columns:
        if arrays_may_differ and name not in domain.columns:
            continue
        column, wanted = source.schema[name], reference.schema[name]
        for what, here, there in (("unit", column.unit, wanted.unit), ("shape", column.shape, wanted.shape)):
            if here and there and here != there and not (what == "shape" and arrays_may_differ):
                raise InputFileError(
                    f"column '{name}' of the {which} sample has the {what} {here}, the reference has {there}",
                    where=f"tree '{source.schema.tree}'",
                    hint="compare samples of the same kind",
                )


def check_kinds(reference: EventSource, generated: EventSource, kind: str = "") -> None:
    """Refuse samples that have nothing to do with each other.

    Args:
        reference, generated: the samples.
        kind: what they are compared as; ``jets`` need no names in common.

    Raises:
        InputFileError: if they hold events of different kinds, or have no column in common.
    """
    kinds = [_kind(source) for source in (reference, generated)]
    true, made = (source.schema.names for source in (reference, generated))
    if kinds[0] != kinds[1] or (kind != "jets" and not set(true) & set(made)):
        names = [", ".join(listed[:4]) for listed in (true, made)]
        near = [f"'{name}' for '{other}'" for name, other in near_names(true, made).items()][:6]
        alike = (
            f"; alike are {', '.join(near)}: rename them in one of the files" if near and kinds[0] == kinds[1] else ""
        )
        raise InputFileError(
            f"the reference holds {kinds[0]} ({names[0]}, ...), the generated sample {kinds[1]} ({names[1]}, ...)",
            where=_place(generated),
            hint=f"compare samples of the same kind with the same columns{alike}",
        )


def _kind(source: EventSource) -> str:
    """By what a file holds, not by its format: showers of HDF5 are the same events in ROOT."""
    if holds_showers(source.schema):
        return "calorimeter showers"
    return "jets" if find_jets(source.schema) is not None else "a table of events"


def _place(source: EventSource) -> str:
    """The first file of a source, or its tree."""
    files = source.files if isinstance(source, NumberedSource) else ()
    return files[0] if files else f"tree '{source.schema.tree}'"


def check_pool(pool: Pool, source: EventSource, name: str) -> None:
    """Refuse a sample that is too small for any statement, by its events or by their weights.

    Raises:
        InputFileError: with fewer than 100 usable events, or without weights.
    """
    where = _place(source)
    if len(pool) < MIN_EVENTS:
        raise InputFileError(
            f"the {name} sample has {len(pool)} usable events, an evaluation needs {MIN_EVENTS}",
            where=where,
            hint="give more events",
        )
    if not pool.weights.any() or pool.weights.sum() <= 0:
        what = "are all 0" if not pool.weights.any() else f"have the sum {pool.weights.sum():.4g}"
        raise InputFileError(
            f"the weights of the {name} sample {what}", where=where, hint="weights must have a sum above 0"
        )
    worth = effective_events(pool.weights)
    if worth < MIN_EVENTS / 2:
        raise InputFileError(
            f"by their weights the {len(pool)} events of the {name} sample are worth {worth:.3g}",
            where=where,
            hint=f"an evaluation needs {MIN_EVENTS // 2}: (sum of weights)^2 / (sum of squared weights)",
        )


def check_content(reference: Pool, generated: Pool, source: EventSource) -> None:
    """Refuse samples that are empty: nine in ten events of either, or half of the generated one if the reference is not.

    Raises:
        InputFileError: saying how many.
    """
    shares = [float(np.mean(pool.problems.get(EMPTY, False))) for pool in (reference, generated)]
    usual = 0.9 if shares[0] > _FEW else 0.5
    for name, share, limit in (("reference", shares[0], 0.9), ("generated sample", shares[1], usual)):
        if share > limit:
            raise InputFileError(
                f"{100 * share:.0f} % of the events of the {name}: {EMPTY}",
                where=_place(source) if name != "reference" else "the reference",
                hint="energies are in MeV where file and recipe say nothing else, as is the threshold; which unit has the file?",
            )


def check_scales(domain: Domain, reference: Pool, generated: Pool, source: EventSource) -> None:
    """Refuse a generated sample in which a quantity is a thousand times as large as in the reference, or as small.

    Raises:
        InputFileError: naming the quantity.
    """
    names = [*domain.condition_names, *(one.name for one in domain.observables)]
    values = [np.concatenate([pool.conditions, pool.observables], axis=1) for pool in (reference, generated)]
    for index, name in enumerate(names):
        logs = [np.log10(_sizes(sample[:, index])) for sample in values]
        if min(map(len, logs)) < MIN_EVENTS:
            continue
        true, made = (float(one.mean()) for one in logs)
        error = np.sqrt(sum(float(one.var()) / len(one) for one in logs))
        if abs(abs(made - true) - 3) < _SAME_SCALE + 3 * error:
            raise InputFileError(
                f"'{name}' is typically {10**made:.4g} in the generated sample and {10**true:.4g} in the reference",
                where=_place(source),
                hint="a factor of 1000 looks like MeV and GeV: bring both to one unit",
            )


def check_angles(domain: Domain, reference: Pool, generated: Pool, source: EventSource) -> None:
    """Refuse samples of which one has azimuths in degrees and the other in radians, and jets with degrees.

    Raises:
        InputFileError: naming the quantity.
    """
    words = "an azimuth from -180 to 180 or from 0 to 360 looks like degrees: bring it to radians in both samples"
    names = [*domain.condition_names, *(one.name for one in domain.observables)]
    values = [np.concatenate([pool.conditions, pool.observables], axis=1) for pool in (reference, generated)]
    for index, name in enumerate(names):
        if not is_azimuth(name):
            continue
        true, made = (_circle(sample[:, index]) for sample in values)
        if {true, made} == {"degrees", "radians"}:
            raise InputFileError(
                f"'{name}' is in {made} in the generated sample and in {true} in the reference",
                where=_place(source),
                hint=words,
            )
    for which, pool in (("reference", reference), ("generated sample", generated)):
        share = float(np.mean(pool.problems.get(AZIMUTHS, False)))
        if share > 0.5:
            raise InputFileError(
                f"{100 * share:.0f} % of the jets of the {which}: {AZIMUTHS}",
                where=_place(source) if which != "reference" else "the reference",
                hint=words,
            )


def _circle(values: FloatArray) -> str:
    """``degrees`` or ``radians``, empty where the values do not say it: they must fill more than a quarter of a circle.

    Example:
        >>> [_circle(np.linspace(-end, end, 500)) for end in (3.14, 6.28, 180.0, 360.0, 0.5, 30.0, 1e3)]
        ['radians', 'radians', 'degrees', 'degrees', '', '', '']
    """
    sizes = _sizes(values)
    if len(sizes) < MIN_EVENTS:
        return ""
    far = float(np.quantile(sizes, 0.99))
    for unit, whole in (("radians", 2 * np.pi), ("degrees", 360.0)):
        if whole / 4 < far < whole * (1 + _ROUNDING):
            return unit
    return ""


def _sizes(values: FloatArray) -> FloatArray:
    """The absolute values of what is not 0."""
    return np.asarray(np.abs(values[np.isfinite(values) & (values != 0)]))


def condition_notes(
    reference: Pool, generated: Pool, names: tuple[str, ...], bins: Sequence[ConditionBin]
) -> list[str]:
    """Sentences on conditions that differ between the samples: every score feels that."""
    notes = []
    size = min(len(reference), len(generated))
    for column, name in enumerate(names):
        true, made = reference.conditions[:, column], generated.conditions[:, column]
        distance = kolmogorov_distance(true, made, reference.weights, generated.weights)
        if distance > 3.0 / np.sqrt(size):
            notes.append(
                f"The samples differ in their condition '{name}' (KS {distance:.3f}): scores over all conditions feel"
                " it, those per condition do not."
            )
        mine = [one for one in bins if one.column == column]
        if mine:
            outside = ~np.any([one.rows(generated.conditions) for one in mine], axis=0)
            if outside.any():
                notes.append(f"{int(outside.sum())} generated events have a value of '{name}' not in the reference.")
    return notes


def protocol_notes(kind: str, protocol: Protocol) -> list[str]:
    """What the protocol of the CaloChallenge means for events that are no showers."""
    if not protocol.official or kind == "calorimeter":
        return []
    words = (
        f"Protocol '{protocol.name}' is one of showers. For {_EVENTS[kind]} the classifiers stay those of 'fast', on all"
        f" events; fpd_extrapolated and kpd_median, from {PUBLISHED_SIDE} events a side on, are what it adds."
    )
    return [words]


def size_notes(kind: str, protocol: Protocol, quick: bool, side: int, asked: int | None) -> list[str]:
    """Sentences on how far the sizes allow a comparison with other numbers."""
    notes = [f"Classifier scores are made with {side} events a side, 60 % of them for training."]
    if asked is not None and side < asked:
        notes.append(f"{asked} events a side were asked for; the samples, halved, or the memory allow {side}.")
    if kind == "calorimeter":
        if side * 0.6 < PUBLISHED_EVENTS:
            notes.append(
                f"Not comparable with the published CaloChallenge tables: their classifiers were trained on 60,000 to"
                f" 80,000 showers a class, these on {int(side * 0.6)}; fewer events give a lower AUC."
            )
        if not protocol.official:
            notes.append("Protocol 'fast': the AUC is not that of the CaloChallenge's network.")
    if quick:
        notes.append("Quick evaluation: small networks and few events; take the default for figures to quote.")
    return notes
