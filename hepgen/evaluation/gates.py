"""Quality gates: ``auc_high<0.75`` on the command line, an exit code in the batch system."""

from __future__ import annotations

import math
import operator
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from hepgen.errors import ConfigError, QualityGateError, suggest
from hepgen.evaluation.report import Report

_OPERATORS: dict[str, Callable[[float, float], bool]] = {
    "<=": operator.le,
    ">=": operator.ge,
    "<": operator.lt,
    ">": operator.gt,
}
_GATE = re.compile(r"^\s*(?P<name>[^<>\s]+?)\s*(?P<sign><=|>=|<|>)\s*(?P<limit>\S+)\s*$")


@dataclass(frozen=True)
class Gate:
    """A score, a comparison and a limit.

    Example:
        >>> Gate.parse("auc_high < 0.75")
        Gate(name='auc_high', sign='<', limit=0.75)
    """

    name: str
    sign: str
    limit: float

    @classmethod
    def parse(cls, text: str) -> Gate:
        """Read ``NAME<LIMIT`` (also ``>``, ``<=``, ``>=``).

        Raises:
            ConfigError: if the text is something else.
        """
        match = _GATE.match(text)
        hint = 'write for instance "auc_high<0.75"; the comparisons are <, <=, > and >='
        if match is None:
            raise ConfigError(f"cannot read the requirement '{text}'", hint=hint)
        try:
            limit = float(match["limit"])
        except ValueError as error:
            raise ConfigError(
                f"'{match['limit']}' is not a number", where=f"requirement '{text}'", hint=hint
            ) from error
        if not math.isfinite(limit):
            raise ConfigError("a limit must be finite", where=f"requirement '{text}'")
        return cls(match["name"], match["sign"], limit)

    def holds(self, value: float) -> bool:
        return _OPERATORS[self.sign](value, self.limit)


def parse_gates(texts: Sequence[str]) -> tuple[Gate, ...]:
    """All requirements; call it before a long evaluation, so that a slip of the pen costs no time."""
    return tuple(Gate.parse(text) for text in texts)


def check_gates(report: Report, texts: Sequence[str]) -> None:
    """Check requirements against a report.

    Raises:
        ConfigError: if a requirement cannot be read, or names a score that the report does not have.
        QualityGateError: if at least one does not hold; every failing one is listed with its value and error.
    """
    failures, missing = [], []
    for gate in parse_gates(texts):
        score = report.scores.get(gate.name)
        if score is None:
            missing.append(gate.name)
        elif score.value is None:
            failures.append(f"{gate.name} is {score.text()}, required {gate.sign} {gate.limit:g}")
        elif not gate.holds(score.value):
            by = abs(score.value - gate.limit)
            failures.append(f"{gate.name} = {score.text()}, required {gate.sign} {gate.limit:g}, off by {by:.2g}")
    if missing and not failures:
        known = suggest(missing[0], report.scores)
        raise ConfigError(f"no score '{missing[0]}' in the report", hint=known or "see the names in report.json")
    failures += [f"{name} is not in the report" for name in missing]
    if failures:
        number = "1 requirement does" if len(failures) == 1 else f"{len(failures)} requirements do"
        raise QualityGateError(f"{number} not hold: {'; '.join(failures)}")
