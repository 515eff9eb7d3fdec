"""The result of an evaluation: scores beside their floors, sanity, notes, and what the plots need."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from typing import Any

from hepgen.evaluation.headlines import is_headline
from hepgen.evaluation.histograms import HistogramPair
from hepgen.evaluation.report_parts import Curve, GlobalTest, ShowerImage, WeightSpectrum
from hepgen.evaluation.scores import NOT_AVAILABLE, Score

SCHEMA_VERSION = 2


@dataclass(frozen=True)
class Report:
    """Everything that an evaluation found.

    Attributes:
        kind: ``calorimeter``, ``jets`` or ``table``.
        protocol: ``fast`` or ``calochallenge``, with ``(quick)`` where less work was done.
        provenance: files with their sizes and hashes, the model, versions and the machine; empty where nobody said it.
        n: numbers of events: ``reference``, ``generated``, ``shared`` (generated ones that are, bit for bit, events of the
            reference), ``side`` (of one-dimensional scores), ``classifier_side``.
        seed: the seed of every random choice.
        scores: every score by its name.
        sanity: what is wrong in either sample, by its name: ``reference`` or ``generated``.
        notes: sentences for the reader.
        histograms: all events of both samples.
        curves: profiles.
        images: average showers.
        weights: what single events weigh, by each classifier.
        tests: what ``global.p`` is made of.
    """

    kind: str
    protocol: str
    n: dict[str, int]
    seed: int
    scores: dict[str, Score]
    sanity: dict[str, Any]
    notes: tuple[str, ...] = ()
    provenance: dict[str, Any] = field(default_factory=dict)
    histograms: tuple[HistogramPair, ...] = field(default=(), compare=False)
    curves: tuple[Curve, ...] = field(default=(), compare=False)
    images: tuple[ShowerImage, ...] = field(default=(), compare=False)
    weights: tuple[WeightSpectrum, ...] = ()
    tests: tuple[GlobalTest, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        scores = {}
        for name, score in self.scores.items():
            entry = asdict(score)
            for name_of, given in (("comment", score.comment), ("infinite_z", score.infinite_z)):
                if not given:
                    del entry[name_of]
            scores[name] = entry
        return {
            "schema_version": SCHEMA_VERSION,
            "kind": self.kind,
            "protocol": self.protocol,
            "provenance": self.provenance,
            "n": self.n,
            "seed": self.seed,
            "scores": scores,
            "sanity": self.sanity,
            "notes": list(self.notes),
            "weights": [asdict(one) for one in self.weights],
            "tests": [asdict(one) for one in self.tests],
        }

    def to_json(self) -> str:
        """JSON text; the same samples and seed give the same text."""
        return json.dumps(self.to_dict(), indent=1, allow_nan=False) + "\n"

    @classmethod
    def from_json(cls, text: str) -> Report:
        """The inverse of ``to_json``, without what is only drawn."""
        state = json.loads(text)
        scores = {name: Score(**entry) for name, entry in state["scores"].items()}
        keys = ("kind", "protocol", "provenance", "n", "seed", "sanity")
        weights = tuple(WeightSpectrum.from_dict(one) for one in state["weights"])
        tests = tuple(GlobalTest(**entry) for entry in state["tests"])
        found = {key: state[key] for key in keys}
        return cls(**found, scores=scores, notes=tuple(state["notes"]), weights=weights, tests=tests)

    def table(self, *, everything: bool = False) -> list[tuple[str, ...]]:
        """Rows as text, in the columns of ``header``; per-observable and per-bin scores only if asked for."""
        rows: list[tuple[str, ...]] = []
        broken = self.has_broken
        for name, score in self.scores.items():
            if not everything and not is_headline(name):
                continue
            value = NOT_AVAILABLE if score.value is None else score.text()
            floor = "-" if score.floor is None else f"{score.floor:.4g}"
            without = ("-" if score.without is None else f"{score.without:.4g}",) if broken else ()
            rows.append((name, value, *without, floor, score.z_text(), str(score.n), score.comment))
        return rows

    @property
    def has_broken(self) -> bool:
        """Whether scores are given without broken events as well."""
        return any(score.without is not None for score in self.scores.values())

    def header(self) -> tuple[str, ...]:
        """What the columns of ``table`` hold."""
        return ("score", "generated", *(("without broken",) if self.has_broken else ()), "floor", "z", "n", "remark")
