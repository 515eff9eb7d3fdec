"""Which events train, which validate and which test: a pure rule of the entry, stored with the run."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import awkward as ak
import numpy as np

from hepgen.errors import ConfigError, InputFileError, suggest
from hepgen.events.select import matches_file
from hepgen.events.source import Array, EventSource, NumberedBatch, SourceBase, as_numbered, record

PARTS = ("train", "validation", "test")
METHODS = ("fraction", "file", "hash", "parity", "kfold")


@dataclass(frozen=True)
class SplitRule:
    """A rule that gives every event its part, whatever is read before or after it.

    Attributes:
        method: ``fraction`` and ``hash`` by a hash of the entry or of ``column``; ``parity`` trains on even and tests on
            odd numbers; ``kfold`` tests on one fold; ``file`` by the file that the event lies in.
        validation: share of the validation part; of what does not test, for ``parity`` and ``kfold``.
        test: share of the test part, for ``fraction`` and ``hash``.
        column: an integer column such as ``event`` that is hashed in place of the entry, so that an event stays in its
            part when files are merged or skimmed.
        folds: number of folds.
        fold: the fold that tests.
        files: part to globs of file names, for ``file``; a file that none matches trains.
        salt: another salt gives another split.
        file_parts: part of each file, filled in by `for_files`.

    Example:
        >>> rule = SplitRule("fraction", validation=0.1, test=0.2)
        >>> np.bincount(rule.part(np.arange(100_000))) / 100_000
        array([0.7, 0.1, 0.2])
    """

    method: str = "fraction"
    validation: float = 0.1
    test: float = 0.0
    column: str | None = None
    folds: int = 5
    fold: int = 0
    files: Mapping[str, Sequence[str]] = field(default_factory=dict)
    salt: int = 0
    file_parts: tuple[int, ...] | None = None

    def __post_init__(self) -> None:
        if self.method not in METHODS:
            raise ConfigError(f"no split method '{self.method}'", hint=suggest(self.method, METHODS))
        if min(self.validation, self.test) < 0 or self.validation + self.test >= 1:
            raise ConfigError("the validation and test shares must leave some events to train on")
        if self.method == "hash" and self.column is None:
            raise ConfigError("the split method 'hash' needs a column", hint="name one, or take 'fraction'")
        if self.method == "kfold" and not 0 <= self.fold < self.folds:
            raise ConfigError(f"fold {self.fold} of {self.folds}", hint="folds are counted from 0")
        for part in self.files:
            if part not in PARTS:
                raise ConfigError(f"no part '{part}'", hint=suggest(part, PARTS) or f"one of {', '.join(PARTS)}")

    def for_files(self, names: Sequence[str]) -> SplitRule:
        """The rule for these files, in their order.

        Raises:
            InputFileError: if a glob of the rule matches none of them.
        """
        if self.method != "file" or self.file_parts is not None:
            return self
        parts = [0] * len(names)
        for part, patterns in self.files.items():
            for pattern in patterns:
                found = [index for index, name in enumerate(names) if matches_file(name, pattern)]
                if not found:
                    raise InputFileError(f"'{pattern}' of the split matches no file", hint=suggest(pattern, names))
                for index in found:
                    parts[index] = PARTS.index(part)
        return SplitRule(**{**vars(self), "file_parts": tuple(parts)})

    def part(self, entry: Array, file_index: Array | None = None, values: Array | None = None) -> Array:
        """Part of each event, (n,) uint8: 0 train, 1 validation, 2 test.

        Args:
            entry: (n,) int64 entry numbers.
            file_index: (n,) index of the file, for ``file``.
            values: (n,) values of ``column`` where the rule has one.
        """
        if self.method == "file":
            if file_index is None or self.file_parts is None:
                raise ConfigError("a split by file needs the files", hint="use it on events that were read from files")
            return np.asarray(self.file_parts, dtype=np.uint8)[file_index]
        key = np.asarray(entry if values is None else values)
        if key.dtype.kind not in "iub":
            raise InputFileError(f"the split column '{self.column}' holds {key.dtype}, not whole numbers")
        share = uniform_hash(key, self.salt)
        part: Array = np.zeros(len(key), dtype=np.uint8)
        if self.method in {"fraction", "hash"}:
            part[share < self.validation + self.test] = 2
            part[share < self.validation] = 1
            return part
        part[uniform_hash(key, self.salt + 1) < self.validation] = 1
        part[_tested(key, share, self)] = 2
        return part

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        state = asdict(self)
        state["files"] = {part: list(patterns) for part, patterns in self.files.items()}
        state["file_parts"] = None if self.file_parts is None else list(self.file_parts)
        return state

    @classmethod
    def from_dict(cls, state: Mapping[str, Any]) -> SplitRule:
        parts = state.get("file_parts")
        return cls(**{**state, "file_parts": None if parts is None else tuple(parts)})


def _tested(key: Array, share: Array, rule: SplitRule) -> Array:
    if rule.method == "parity":
        return (key & 1).astype(bool)
    found: Array = np.floor(share * rule.folds).astype(np.int64) == rule.fold
    return found


def uniform_hash(key: Array, salt: int = 0) -> Array:
    """Integers to numbers in [0, 1) that look random: SplitMix64 (Steele, Lea and Flood, OOPSLA 2014).

    Example:
        >>> uniform_hash(np.array([1, 2])) == uniform_hash(np.array([1, 2], dtype=np.uint32))
        array([ True,  True])
    """
    with np.errstate(over="ignore"):
        start = np.uint64((salt * 0xD1342543DE82EF95 + 0x9E3779B97F4A7C15) % 2**64)
        mixed = np.asarray(key).astype(np.int64 if key.dtype.kind != "u" else np.uint64).astype(np.uint64)
        mixed = mixed * np.uint64(0x9E3779B97F4A7C15) + start
        mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        mixed ^= mixed >> np.uint64(31)
    shares: Array = (mixed >> np.uint64(11)).astype(np.float64) / 2.0**53
    return shares


class SplitSource(SourceBase):
    """One part of a source; made by `split_source`."""

    def __init__(self, source: EventSource, rule: SplitRule, parts: Sequence[int]) -> None:
        self._source = as_numbered(source)
        self.rule = rule.for_files(self._source.files)
        self._parts = tuple(parts)
        self._column = self._source.schema[rule.column].name if rule.column is not None else None
        self.schema = self._source.schema
        self.files = self._source.files
        self.copied = self._source.copied
        self.skipped = self._source.skipped
        self.starts = self._source.starts

    def numbered_batches(self, columns: Sequence[str] | None = None) -> Iterator[NumberedBatch]:
        wanted = list(self.schema.names if columns is None else columns)
        further = [self._column] if self._column is not None and self._column not in wanted else []
        for batch in self._source.numbered_batches([*wanted, *further]):
            values = None if self._column is None else ak.to_numpy(batch.events[self._column])
            kept = batch.keep(np.isin(self.rule.part(batch.entry, batch.file, values), self._parts))
            if len(kept):
                yield kept.with_events(record({name: kept.events[name] for name in wanted}, len(kept)))


def split_source(source: EventSource, rule: SplitRule, part: str | Sequence[str]) -> SplitSource:
    """The events of one part (``train``, ``validation``, ``test``), or of several.

    The rule sees the entry in the input files, so the split is the same before and after a cut.

    Raises:
        ConfigError: for an unknown part.
        InputFileError: for an unknown column.
    """
    names = [part] if isinstance(part, str) else list(part)
    for name in names:
        if name not in PARTS:
            raise ConfigError(f"no part '{name}'", hint=suggest(name, PARTS) or f"one of {', '.join(PARTS)}")
    return SplitSource(source, rule, [PARTS.index(name) for name in names])
