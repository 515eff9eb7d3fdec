"""Questions before the scores: do the samples belong together, and what does the reader have to know?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import numpy as np

from hepgen.errors import InputFileError
from hepgen.evaluation.domain import Domain, Pool
from hepgen.evaluation.metrics import kolmogorov_distance
from hepgen.evaluation.protocols import PUBLISHED_EVENTS, Protocol
from hepgen.evaluation.report_parts import Problem, SampleSanity
from hepgen.evaluation.samples import Sanity
from hepgen.evaluation.splits import ConditionBin
from hepgen.events.source import EventSource

MIN_REFERENCE = 100
MIN_GENERATED = 50


def check_columns(source: EventSource, domain: Domain, reference: EventSource, which: str) -> None:
    """Refuse a sample that lacks a column, or has it in another unit or shape than the reference.

    Raises:
        InputFileError: naming the column.
    """
    for name in domain.columns:
        column, wanted = source.schema[name], reference.schema[name]
        for what, here, there in (("unit", column.unit, wanted.unit), ("shape", column.shape, wanted.shape)):
            if here and there and here != there:
                raise InputFileError(
                    f"column '{name}' of the {which} sample has the {what} {here}, the reference has {there}",
                    where=f"tree '{source.schema.tree}'",
                    hint="compare samples of the same kind",
                )


def check_sizes(reference: Pool, generated: Pool) -> None:
    """Refuse samples that are too small for any statement.

    Raises:
        InputFileError: with fewer than 100 usable reference or 50 usable generated events.
    """
    for pool, least, name in ((reference, MIN_REFERENCE, "reference"), (generated, MIN_GENERATED, "generated")):
        if len(pool) < least:
            raise InputFileError(
                f"the {name} sample has {len(pool)} usable events, an evaluation needs {least}", hint="give more events"
            )


def sanity_table(samples: dict[str, Sanity]) -> dict[str, dict[str, Any]]:
    """``SampleSanity`` of both samples as JSON-able dictionaries; event numbers list the first 20."""
    table = {}
    for name, found in samples.items():
        problems = {words: Problem(count, where) for words, (count, where) in found.problems.items()}
        table[name] = asdict(SampleSanity(found.events, found.left_out, found.duplicates, problems))
    return table


def sanity_notes(samples: dict[str, Sanity]) -> list[str]:
    """Sentences on what is wrong in either sample."""
    notes = []
    for name, found in samples.items():
        for words, (count, _) in found.problems.items():
            notes.append(f"{name}: {count} of {found.events} events: {words}.")
        if found.left_out:
            notes.append(f"{name}: {found.left_out} events are left out of every score.")
        if found.duplicates:
            notes.append(f"{name}: {found.duplicates} events are exact copies of another one.")
    return notes


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
