"""From what a user types to files: ``FILE[:TREE]``, globs, several, ``@files.txt``."""

from __future__ import annotations

import glob
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from hepgen.errors import InputFileError, suggest
from hepgen.events.failures import reading

_WITH_TREE = re.compile(r"^(?P<path>.*\.(?:root|h5|hdf5|hdf))(?::(?P<tree>[^:]+))?$", re.IGNORECASE)
_ROOT_MAGIC = b"root"
_HDF5_MAGIC = b"\x89HDF\r\n\x1a\n"


@dataclass(frozen=True)
class Input:
    """One file, and the tree that was asked for with it (None where none was)."""

    path: str
    tree: str | None


def locate(inputs: str | Path | Sequence[str | Path]) -> list[Input]:
    """Expand inputs to files, in the order given; a glob gives its matches in alphabetical order.

    Raises:
        InputFileError: if a glob matches nothing, or a file or a list of files does not exist.

    Example:
        >>> locate("tests/data/muons.root:Events")
        [Input(path='tests/data/muons.root', tree='Events')]
    """
    given = [inputs] if isinstance(inputs, str | Path) else list(inputs)
    found = [one for text in given for one in _expand(str(text))]
    if not found:
        raise InputFileError("no input file was given", hint="name at least one file")
    return found


def _expand(text: str) -> list[Input]:
    if text.startswith("@"):
        return _listed(Path(text[1:]))
    path, tree = split_tree(text)
    if any(sign in path for sign in "*?[") and not Path(path).exists():
        matches = sorted(glob.glob(path, recursive=True))  # noqa: PTH207 (an absolute pattern is no Path.glob)
        if not matches:
            raise InputFileError("no file matches", where=path, hint="check the pattern")
        return [Input(match, tree) for match in matches]
    if not Path(path).exists():
        folder = Path(path).parent
        names = [entry.name for entry in folder.iterdir()] if folder.is_dir() else []
        raise InputFileError("no such file", where=path, hint=suggest(Path(path).name, names) or "check the path")
    return [Input(path, tree)]


def _listed(listing: Path) -> list[Input]:
    with reading(listing):
        lines = [line.partition("#")[0].strip() for line in listing.read_text(encoding="utf-8").splitlines()]
    found: list[Input] = []
    for line in filter(None, lines):
        beside = listing.parent / line
        found += _expand(line if Path(split_tree(line)[0]).exists() or Path(line).is_absolute() else str(beside))
    return found


def split_tree(text: str) -> tuple[str, str | None]:
    """Split ``FILE:TREE``; a colon inside the name of a file that exists belongs to the file.

    Example:
        >>> split_tree("run:3.root:dir/events"), split_tree("showers.hdf5")
        (('run:3.root', 'dir/events'), ('showers.hdf5', None))
    """
    if Path(text).exists():
        return text, None
    match = _WITH_TREE.match(text)
    if match:
        return match["path"], match["tree"]
    path, colon, tree = text.rpartition(":")
    return (path, tree) if colon and path and tree and "/" not in tree[:1] else (text, None)


def sniff(path: str) -> str:
    """The kind of a file by its first bytes: ``root`` or ``hdf5``.

    Raises:
        InputFileError: if the file is missing, empty, truncated or of another kind.
    """
    with reading(path):
        size = Path(path).stat().st_size
        if Path(path).is_dir():
            raise InputFileError("this is a folder", where=path, hint="name the files in it, for instance with a glob")
        with Path(path).open("rb") as file:
            head = file.read(64)
    if size == 0:
        raise InputFileError("the file is empty", where=path, hint="0 bytes: was it written to the end?")
    if head.startswith(_ROOT_MAGIC):
        _check_root_length(path, head, size)
        return "root"
    if head.startswith(_HDF5_MAGIC):
        return "hdf5"
    raise InputFileError("neither a ROOT nor an HDF5 file", where=path, hint=f"it begins with {head[:8]!r}")


def _check_root_length(path: str, head: bytes, size: int) -> None:
    """A ROOT file says in its header where it ends."""
    large = len(head) >= 8 and int.from_bytes(head[4:8], "big") >= 1_000_000
    end = int.from_bytes(head[12:20] if large else head[12:16], "big")
    if len(head) < 20 or end > size:
        raise InputFileError(
            f"the file is truncated: it should have {end} bytes and has {size}", where=path, hint="copy it again"
        )
