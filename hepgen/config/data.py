"""The parts of a recipe that say which events to learn from, and which of them to judge by."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import BeforeValidator, Field, model_validator

from hepgen.config.part import Part


def _as_list(value: object) -> object:
    return [value] if isinstance(value, str) else value


Names = Annotated[list[str], BeforeValidator(_as_list)]
"""A list of strings; a single string stands for a list of one."""


class DataRecipe(Part):
    """The events: files, columns, cuts and weights."""

    files: Names = []
    """Input files: FILE[:TREE], globs, or @list.txt; relative paths are relative to the recipe. --data replaces them."""
    tree: str | None = None
    """Name of the tree, ntuple or HDF5 group, folders included; not needed where the file has only one."""
    columns: Names = Field(["*"], min_length=1)
    """Columns to learn; globs such as Jet_*; a leading ! takes columns away."""
    cut: str | None = None
    """Events to keep, such as "jet_pt > 300 and abs(jet_eta) < 2", in the units of the file."""
    weight: str | None = None
    """Column of event weights; negative weights are allowed."""
    file_weights: dict[str, float] | None = None
    """Factor on the weights of a file, such as a cross-section per event, by a glob of the file's name."""
    objects: str | None = None
    """Object mode: each element of <objects>_* becomes one row, such as Muon; of a cloud: jets of NanoAOD, such as FatJet."""
    given: Names = []
    """Object mode: columns of the event, or of another object, that each element is conditioned on."""
    derived: dict[str, str] = {}
    """Columns that are expressions of others: left out of the training, computed anew on output."""
    define: dict[str, str] = {}
    """Helpers of the derived columns and of the cut, by name: expressions that are neither learned nor written."""

    @property
    def computed(self) -> dict[str, str]:
        """All expressions by name, in the order in which they can use each other: helpers, then derived columns."""
        return {**self.define, **self.derived}

    def key_of(self, name: str) -> str:
        """Where in a recipe one of these expressions stands."""
        return f"data.{'derived' if name in self.derived else 'define'}.{name}"

    @model_validator(mode="after")
    def _goes_together(self) -> Self:
        if both := sorted(self.define.keys() & self.derived.keys()):
            raise ValueError(f"'{both[0]}' is both a helper in 'define' and a column in 'derived'")
        if self.given and self.objects is None:
            raise ValueError("'given' columns need object mode: set 'objects', such as objects: Muon")
        return self


class SplitRecipe(Part):
    """Which events train, which validate during the training, and which only ever test."""

    method: Literal["fraction", "file", "hash", "parity", "kfold"] = "fraction"
    """How events are divided: a fraction drawn per entry, whole files, or the hash, parity or fold of a number."""
    validation: float = Field(0.1, ge=0, lt=1)
    """Fraction of events for validation (fraction and hash)."""
    test: float = Field(0.0, ge=0, lt=1)
    """Fraction of events that the training never sees (fraction and hash)."""
    column: str | None = None
    """Integer column, such as the event number, that hash, parity and kfold divide by; the entry number if not set."""
    folds: int = Field(5, ge=2)
    """Number of folds (kfold)."""
    fold: int = Field(0, ge=0)
    """The fold that is kept for testing (kfold)."""
    files: dict[Literal["train", "validation", "test"], Names] = {}
    """Globs of file names per part (file)."""
    salt: int = Field(0, ge=0)
    """Changes which events fall where (fraction and hash)."""

    @model_validator(mode="after")
    def _parts_add_up(self) -> Self:
        if self.validation + self.test >= 1:
            raise ValueError(f"validation {self.validation:g} and test {self.test:g} leave nothing to train on")
        if self.fold >= self.folds:
            raise ValueError(f"fold {self.fold} of {self.folds} does not exist: folds count from 0")
        if self.method == "file" and "train" not in self.files:
            raise ValueError("method file needs files, such as files: {train: ['run1_*.root'], test: ['run2_*.root']}")
        return self
