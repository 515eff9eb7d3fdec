"""What `hepgen morph` takes from file to file, beside uproot reading and writing the same events, each in a process of its own.

The source is named again and again until there are enough events. Wall time says something on a quiet machine only; the
processor time of an event, which other work changes less, is printed beside it. `hepgen morph` says itself what memory it took,
and its rate without the start of the program.

    python benchmarks/morph_speed.py runs/morph dijets_qcd.root --events 1.8e6 --threads 2
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import uproot

from hepgen.events.reader import open_events


@dataclass(frozen=True)
class Usage:
    """What a process took: seconds of wall and of processor time."""

    wall: float
    cpu: float

    def row(self, name: str, events: int) -> str:
        """One line."""
        rate, each = events / self.wall, 1e6 * self.cpu / events
        return f"{name:<28} {rate:10,.0f} events/s wall {each:8.2f} us CPU/event"


def usage_of(command: list[str]) -> Usage:
    """Run a command and say what it took.

    Raises:
        subprocess.CalledProcessError: if it fails.
    """
    begun = time.perf_counter()
    process = subprocess.Popen(command)
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, command)
    return Usage(time.perf_counter() - begun, used.ru_utime + used.ru_stime)


def copy(source: str, tree: str, copies: int, out: str) -> None:
    """The columns of a tree read and written by uproot alone, with hepgen's compression."""
    with uproot.recreate(out, compression=uproot.ZSTD(5)) as file:
        written = None
        for batch in uproot.iterate([{source: tree}] * copies, library="np"):
            if written is None:
                written = file.mktree(tree, {name: column.dtype for name, column in batch.items()})
            written.extend(batch)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model")
    parser.add_argument("source", help="a file of columns of one number an event")
    parser.add_argument("--events", type=float, default=1.8e6, help="at least so many")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--copy", help=argparse.SUPPRESS)  # OUT: what the process of the reference does
    arguments = parser.parse_args()
    events = open_events(arguments.source)
    copies = -(-int(arguments.events) // events.num_events)
    if arguments.copy:
        copy(arguments.source, events.schema.tree, copies, arguments.copy)
        return
    total = copies * events.num_events
    print(
        f"{total} events, {len(events.schema.columns)} columns, {arguments.threads} threads, start of the program included"
    )
    with tempfile.TemporaryDirectory() as scratch:
        out = str(Path(scratch) / "out.root")
        candidates = {
            "uproot, reading and writing": [
                sys.executable, __file__, arguments.model, arguments.source, "--events", str(total), "--copy", out,
            ],
            "hepgen morph": [
                sys.executable, "-m", "hepgen.cli", "morph", arguments.model, *[arguments.source] * copies,
                "-o", out, "--force", "--seed", "1", "--threads", str(arguments.threads),
            ],
        }  # fmt: skip
        for _ in range(arguments.repeats):
            for name, command in candidates.items():
                print(usage_of(command).row(name, total), flush=True)


if __name__ == "__main__":
    main()
