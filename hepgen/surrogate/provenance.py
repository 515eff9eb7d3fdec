"""Where a surrogate comes from: versions, command, inputs, machine. Read once, written beside what it describes."""

from __future__ import annotations

import hashlib
import os
import platform
import resource
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterable, Mapping
from importlib import metadata
from pathlib import Path
from typing import Any

import hepgen

_WHOLE = 64 << 20
_PIECE = 1 << 20
_JOB_VARIABLES = ("SLURM_JOB_ID", "SLURM_ARRAY_TASK_ID", "SLURM_PROCID", "CONDOR_JOB_ID", "_CONDOR_JOB_AD", "PBS_JOBID")


def describe_run(recipe_sha256: str, inputs: Iterable[Mapping[str, Any]], seed: int) -> dict[str, Any]:
    """What ``provenance.json`` holds at the beginning of a run."""
    return {
        "versions": {
            "hepgen": hepgen.__version__,
            "python": platform.python_version(),
            **{name: _version(name) for name in ("torch", "uproot", "awkward", "numpy", "h5py")},
        },
        "git": _git(Path(hepgen.__file__).parent),
        "argv": list(sys.argv),
        "recipe_sha256": recipe_sha256,
        "inputs": [dict(one) for one in inputs],
        "seed": str(seed),
        "hostname": socket.gethostname(),
        "platform": platform.platform(),
        "job": {name: os.environ[name] for name in _JOB_VARIABLES if name in os.environ},
    }


def describe_input(path: str, tree: str, entries: int | None) -> dict[str, Any]:
    """One input file: absolute path without ``..``, size, a hash, tree and entries; a URL stays as it is.

    Files up to 64 MiB are hashed whole (``sha256``), larger ones by their size, first and last MiB (``sha256_ends``).
    """
    file = Path(path)
    if not file.is_file():
        return {"path": path, "tree": tree, "entries": entries}
    size = file.stat().st_size
    digest = hashlib.sha256()
    with file.open("rb") as handle:
        if size <= _WHOLE:
            while piece := handle.read(_PIECE):
                digest.update(piece)
        else:
            digest.update(str(size).encode() + handle.read(_PIECE))
            handle.seek(-_PIECE, os.SEEK_END)
            digest.update(handle.read(_PIECE))
    key = "sha256" if size <= _WHOLE else "sha256_ends"
    name = os.path.normpath(file.absolute())  # links stay: their target may be a place of this machine only
    return {"path": name, "size": size, key: digest.hexdigest(), "tree": tree, "entries": entries}


def peak_memory() -> int:
    """Largest resident memory of this process so far, in bytes."""
    used = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return used if sys.platform == "darwin" else used * 1024


def _version(name: str) -> str:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return ""


def _git(folder: Path) -> dict[str, Any] | None:
    """Commit of the working tree that hepgen runs from, if it is one."""
    program = shutil.which("git")
    if program is None or not (folder.parent / ".git").exists():
        return None

    def ask(*words: str) -> str:
        answer = subprocess.run(
            [program, "-C", str(folder), *words], capture_output=True, text=True, check=False, timeout=10
        )
        return answer.stdout.strip()

    commit = ask("rev-parse", "HEAD")
    return {"commit": commit, "dirty": bool(ask("status", "--porcelain", "--", str(folder)))} if commit else None
