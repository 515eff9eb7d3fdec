"""``hepgen evaluate --weight``: the columns of event weights, which need not be the same in both samples, nor in both."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from hepgen.errors import InputFileError, UsageError, suggest_or_list
from hepgen.events.schema import Schema
from hepgen.events.select import WEIGHT, select_events, weighted
from hepgen.events.source import EventSource

_SAMPLES = {"reference": "reference", "generated": "generated sample"}


@dataclass(frozen=True)
class Samples:
    """What is compared: the two samples, those of other generators by name, and the training events."""

    reference: EventSource
    generated: EventSource
    others: Mapping[str, EventSource]
    training: EventSource | None


@dataclass(frozen=True)
class WeightColumns:
    """Where the event weights are.

    Attributes:
        reference, generated: column of each sample; empty where its events have weight 1.
    """

    reference: str
    generated: str

    @property
    def names(self) -> set[str]:
        """Of all columns of weights."""
        return {self.reference, self.generated, WEIGHT} - {""}

    @classmethod
    def of(cls, text: str, reference: Schema, generated: Schema) -> WeightColumns:
        """From ``COLUMN``, of both samples or of one, or ``COLUMN,COLUMN``, of the reference and of the generated sample.

        Raises:
            UsageError: for more than two names, or none.
            InputFileError: if no sample has the column, or the one that is meant has not, or it holds no weights.

        Example:
            >>> from hepgen.events.schema import Column
            >>> true, made = Schema((Column("w", "float32"),)), Schema((Column("v", "float32"),))
            >>> WeightColumns.of("w", true, made), WeightColumns.of("w,v", true, made)
            (WeightColumns(reference='w', generated=''), WeightColumns(reference='w', generated='v'))
        """
        names = [name.strip() for name in text.split(",")]
        if len(names) > 2 or not any(names):
            raise UsageError(
                f"cannot read '{text}'", where="--weight", hint="write COLUMN or REFERENCE_COLUMN,GENERATED_COLUMN"
            )
        schemas = {"reference": reference, "generated": generated}
        if len(names) == 1:
            found = {which: text.strip() if text.strip() in schema else "" for which, schema in schemas.items()}
            if not any(found.values()):
                known = [*_numbers(reference), *_numbers(generated)]
                raise InputFileError(
                    f"no sample has a column '{names[0]}'",
                    where="--weight",
                    hint=suggest_or_list(names[0], list(dict.fromkeys(known))),
                )
        else:
            found = dict(zip(schemas, names, strict=True))
        for which, name in found.items():
            if name and name not in _numbers(schemas[which]):
                what = "is no number per event in" if name in schemas[which] else "is not in"
                raise InputFileError(
                    f"column '{name}' {what} the {_SAMPLES[which]}",
                    where="--weight",
                    hint=suggest_or_list(name, _numbers(schemas[which])),
                )
        return cls(**found)

    def weigh(self, samples: Samples) -> tuple[Samples, list[str]]:
        """All samples with the column ``_weight``, and a sentence on where it is from.

        Training events are weighted as the reference, those of other generators as the generated ones, and where there is
        no such column their weights are 1.
        """
        names = dict.fromkeys(samples.others, self.generated)
        further = dict(samples.others)
        if samples.training is not None:
            names["training sample"], further["training sample"] = self.reference, samples.training
        found = {name: _weighted(source, names[name]) for name, source in further.items()}
        words = [f"of the reference {_place(self.reference)}", f"of the generated sample {_place(self.generated)}"]
        words += [
            f"of the {name} {_place(names[name] if names[name] in source.schema else '')}"
            for name, source in further.items()
        ]
        weighed = Samples(
            _weighted(samples.reference, self.reference),
            _weighted(samples.generated, self.generated),
            {name: found[name] for name in samples.others},
            found.get("training sample"),
        )
        return weighed, [f"Event weights: {', '.join(words)}."]

    def options(self, options: Mapping[str, Any]) -> dict[str, Any]:
        """Options of an evaluation that takes these weights and does not judge them."""
        changed = {**options, "weight": WEIGHT}
        if options.get("columns") is not None:
            changed["columns"] = [name for name in options["columns"] if name not in self.names]
        return changed


def _weighted(source: EventSource, name: str) -> EventSource:
    """With the column ``_weight``: of a column where there is one of that name, else 1."""
    column = name if name in source.schema else None
    if column == WEIGHT:
        return source
    if WEIGHT in source.schema:
        source = select_events(source, columns=[one for one in source.schema.names if one != WEIGHT])
    return weighted(source, column, refuse=False)


def _place(name: str) -> str:
    return f"from column '{name}'" if name else "1"


def _numbers(schema: Schema) -> list[str]:
    """The columns with one number an event."""
    return [
        column.name
        for column in schema
        if not column.jagged and not column.shape and np.dtype(column.dtype).kind in "biuf"
    ]
