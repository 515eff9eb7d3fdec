"""What is wrong with single events, in words: problems of one kind in many observables together, each with what follows."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from hepgen.evaluation.sanity import HABITUAL, HARMLESS

LEFT_OUT = "unusable"
BROKEN = "broken"
USUAL = "no defect: true events do it"
ALLOWED = "no defect"

_FEW = 3  # problems of one kind that are listed one by one
_NAMED = 3
_LISTED = 10
_OF_OBSERVABLE = re.compile(r"(?P<name>\S+) (?:has |is )?(?P<what>[^,]+)(?:, .*)?", re.DOTALL)


@dataclass(frozen=True)
class Finding:
    """A problem of some events of a sample, or one kind of problem in many observables.

    Attributes:
        words: what it is.
        least, most: number of events that have it; they differ where it is of many observables.
        events: numbers of the first of them.
        follows: ``LEFT_OUT``, ``BROKEN``, ``USUAL`` or ``ALLOWED``.
    """

    words: str
    least: int
    most: int
    events: tuple[int, ...]
    follows: str

    @property
    def count(self) -> str:
        """``20``, or ``3 to 20``."""
        return str(self.most) if self.least == self.most else f"{self.least} to {self.most}"

    def listed(self, length: int = _LISTED) -> str:
        """The numbers of the first events."""
        return ", ".join(map(str, self.events[:length])) + (
            ", ..." if max(self.most, len(self.events)) > length else ""
        )


def findings(sanity: Mapping[str, Mapping[str, Any]], sample: str) -> list[Finding]:
    """What is wrong in a sample, by `SampleSanity` as dictionaries: what is left out first, then what is broken.

    Example:
        >>> problems = {f"x{i} is not finite": {"count": 2, "events": [3, 9]} for i in range(5)}
        >>> [one] = findings({"generated": {"events": 10, "problems": problems}}, "generated")
        >>> one.words, one.count, one.listed()
        ('not finite in 5 observables (x0, x1, x2, ...)', '2', '3, 9')
    """
    usual = _usual(sanity)
    groups: dict[tuple[str, str], list[tuple[str, Finding]]] = {}
    for words, one in sanity.get(sample, {}).get("problems", {}).items():
        for count, follows in _shares(words, one, usual):
            match = _OF_OBSERVABLE.fullmatch(words)
            name, what = (match["name"], match["what"]) if match else ("", words)
            single = Finding(words, count, count, tuple(one["events"]), follows)
            groups.setdefault((what, follows), []).append((name, single))
    found = []
    for (what, _), members in groups.items():
        found += [one for _, one in members] if len(members) <= _FEW else [_together(what, members)]
    order = (LEFT_OUT, BROKEN, USUAL, ALLOWED)
    return sorted(found, key=lambda one: (order.index(one.follows), -one.most))


def sanity_sentences(sanity: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """Sentences on what is wrong in either sample, by `SampleSanity` as dictionaries."""
    notes = []
    for name, found in sanity.items():
        for one in findings(sanity, name):
            normal = "; the reference has it as well, so that it counts as no defect" if one.follows == USUAL else ""
            notes.append(f"{name}: {one.count} of {found['events']} events: {one.words} ({one.listed(5)}){normal}.")
        if found["left_out"]:
            notes.append(f"{name}: {found['left_out']} events are left out of every score.")
    return notes


def _usual(sanity: Mapping[str, Mapping[str, Any]]) -> set[str]:
    """Problems of more than one event of the reference in a thousand."""
    found = sanity.get("reference", {})
    return {
        words for words, one in found.get("problems", {}).items() if one["count"] > HABITUAL * found.get("events", 0)
    }


def _shares(words: str, one: Mapping[str, Any], usual: set[str]) -> list[tuple[int, str]]:
    """How many events with a problem are left out, and how many are not and what that means."""
    out = one.get("left_out", 0)
    follows = ALLOWED if words in HARMLESS else USUAL if words in usual else BROKEN
    return [(count, what) for count, what in ((out, LEFT_OUT), (one["count"] - out, follows)) if count]


def _together(what: str, members: list[tuple[str, Finding]]) -> Finding:
    named = ", ".join(name for name, _ in members[:_NAMED])
    events = sorted({number for _, one in members for number in one.events})
    counts = [one.most for _, one in members]
    words = f"{what} in {len(members)} observables ({named}, ...)"
    return Finding(words, min(counts), max(counts), tuple(events), members[0][1].follows)
