"""The one exception family of hepgen; each member carries the exit code of the command that meets it.

The table of exit codes stands in ``docs/exit-codes.md``. Only these exceptions are shown to a user in three lines;
anything else is a bug of ours, exits with 1 and asks for a report.
"""

from __future__ import annotations

import difflib
import errno
from collections.abc import Iterable
from pathlib import Path

#: Failures of a file system that are a matter of the path that was given: another try meets them again.
_REFUSED = {
    errno.EACCES: "choose another path, or change its permissions",
    errno.EPERM: "choose another path, or change its permissions",
    errno.ENOENT: "make the folder first",
    errno.ENOTDIR: "a part of the path is a file: choose another path",
    errno.EISDIR: "there is a folder of this name: choose another path",
    errno.ENAMETOOLONG: "choose a shorter name",
    errno.ELOOP: "choose another path",
}
#: Failures of reading that are no fault of the file: a server that does not answer, a lost mount.
_UNAVAILABLE = {
    *(errno.EIO, errno.ESTALE, errno.EAGAIN, errno.ETIMEDOUT, errno.EMFILE, errno.ENFILE),
    *(errno.ENETDOWN, errno.ENETUNREACH, errno.ECONNRESET, errno.ENOTCONN, errno.EHOSTDOWN, errno.EHOSTUNREACH),
}


class HepgenError(Exception):
    """What was wrong, where, and what to do about it.

    Args:
        what: one sentence that says what is wrong.
        where: file, tree, branch, row or recipe key.
        hint: what the user can do.

    Example:
        >>> str(InputFileError("no tree 'events'", where="run3.root", hint="did you mean 'Events'?"))
        "no tree 'events' (run3.root): did you mean 'Events'?"
    """

    exit_code = 1

    def __init__(self, what: str, *, where: str = "", hint: str = "") -> None:
        super().__init__(what)
        self.what = what
        self.where = where
        self.hint = hint

    def __str__(self) -> str:
        place = f" ({self.where})" if self.where else ""
        advice = f": {self.hint}" if self.hint else ""
        return f"{self.what}{place}{advice}"


class UsageError(HepgenError):
    """A command line or a recipe that cannot be carried out."""

    exit_code = 2


class ConfigError(UsageError):
    """A recipe, a ``--set`` or a binning file that says something it may not say."""


class InputFileError(HepgenError):
    """Input data that cannot be read, or whose content is not what it should be."""

    exit_code = 3


class RowError(InputFileError):
    """An event that is not what it should be, known by its row; who reads the events names the file and the entry.

    Args:
        what: what is wrong with it.
        row: number of the row among those that were looked at.
        hint: what the user can do.
    """

    def __init__(self, what: str, row: int, *, hint: str = "") -> None:
        super().__init__(what, where=f"row {row} of those read together", hint=hint)
        self.row = row


class InputUnavailableError(InputFileError):
    """Input that cannot be read for a reason that may pass: a server that does not answer, a lost mount."""

    exit_code = 75


class ConditionRangeError(InputFileError):
    """Conditions outside the range in which the surrogate was trained."""


class ModelError(HepgenError):
    """A surrogate or a checkpoint that is missing, damaged or of another kind."""

    exit_code = 4


class TrainingError(HepgenError):
    """A training that cannot go on, for instance because its loss is not finite."""

    exit_code = 4


class QualityGateError(HepgenError):
    """A ``--require`` of ``hepgen evaluate`` that does not hold."""

    exit_code = 5


class OutputError(HepgenError):
    """Output that cannot be written for a reason that may pass: a full disk, a lost file system."""

    exit_code = 75


class Interrupted(HepgenError):
    """A run that stopped on a signal or a time limit after it had saved its state: run the same command again."""

    exit_code = 85


def error_of_writing(error: OSError, path: str | Path) -> UsageError | OutputError:
    """What it means that a file cannot be written: a path that will never do, or a state that may pass.

    Example:
        >>> error_of_writing(PermissionError(errno.EACCES, "Permission denied"), "/out.root").exit_code
        2
        >>> error_of_writing(OSError(errno.ENOSPC, "No space left on device"), "/out.root").exit_code
        75
    """
    what, number = f"cannot be written: {error.strerror or error}", error.errno or 0
    if number in _REFUSED:
        return UsageError(what, where=str(path), hint=_REFUSED[number])
    full = {errno.ENOSPC: "the disk is full: ", errno.EDQUOT: "the quota is used up: "}.get(number)
    again = "run the same command again"
    hint = f"{full}free some space and {again}" if full else f"check the file system and {again}"
    return OutputError(what, where=str(path), hint=hint)


def error_of_reading(error: OSError, where: str) -> InputFileError | None:
    """What it means that a file cannot be read, None where the file itself may be at fault."""
    if isinstance(error, FileNotFoundError):
        return InputFileError("no such file", where=where, hint="check the path")
    if isinstance(error, PermissionError):
        return InputFileError("the file may not be read", where=where, hint="check its permissions")
    if error.errno in _UNAVAILABLE:
        what = f"the file cannot be read for now: {error.strerror or error}"
        return InputUnavailableError(what, where=where, hint="run the same command later")
    return None


def suggest(name: str, known: Iterable[str]) -> str:
    """A "did you mean" for a name that is not known, or an empty string.

    Example:
        >>> suggest("incident_enrgy", ["incident_energy", "voxel_energy"])
        "did you mean 'incident_energy'?"
    """
    close = difflib.get_close_matches(name, list(known), n=1, cutoff=0.6)
    return f"did you mean '{close[0]}'?" if close else ""


def near_names(names: Iterable[str], others: Iterable[str]) -> dict[str, str]:
    """The name of another list that is most like each, capitals aside; without those that have none, or stand there too.

    Example:
        >>> near_names(["jet1_pt", "met", "x"], ["Jet1_pT", "met", "lepton_eta"])
        {'jet1_pt': 'Jet1_pT'}
    """
    folded = {other.lower(): other for other in others}
    found = {}
    for name in names:
        close = difflib.get_close_matches(name.lower(), folded, n=1, cutoff=0.6)
        if close and name not in folded.values():
            found[name] = folded[close[0]]
    return found


def suggest_or_list(name: str, known: Iterable[str], most: int = 12) -> str:
    """A "did you mean" for a name that is not known, or else what there is.

    Example:
        >>> suggest_or_list("energy", ["met", "m_bb"])
        'there are: met, m_bb'
        >>> suggest_or_list("energy", [f"x{i}" for i in range(30)], most=2)
        'there are: x0, x1 and 28 more'
    """
    names = list(known)
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return suggest(name, names) or (f"there are: {', '.join(names[:most])}{more}" if names else "there are none")


def leaving_out(column: str) -> str:
    """How to leave a column out, in words that hold for every kind of recipe.

    Example:
        >>> leaving_out("met")
        "leave it out of the recipe's columns: ['*', '!met']"
    """
    return f"leave it out of the recipe's columns: ['*', '!{column}']"
