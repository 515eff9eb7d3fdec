"""Reading against bare ``uproot.iterate``, and what writing ROOT costs on top of generating.

python benchmarks/files.py --read events.root:events --read muons.root:events --model models/photons
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
from pathlib import Path

import awkward as ak
import numpy as np
import torch
import uproot
from timing import medians, row

from hepgen.events.reader import open_events
from hepgen.sampling.run import sample_events, sample_to_file
from hepgen.surrogate.surrogate import Surrogate


def read_ours(path: str, tree: str, names: list[str]) -> int:
    return sum(len(batch) for batch in open_events(path, tree=tree).batches(names))


def read_bare(path: str, tree: str, names: list[str]) -> int:
    return sum(len(batch) for batch in uproot.iterate({path: tree}, filter_name=names, step_size="32 MB"))


def enlarge(path: str, tree: str, names: list[str], target: Path, size: int) -> None:
    """The same columns again and again, until the file is worth timing."""
    events = uproot.open({path: tree}).arrays(names)
    copies = max(1, size // max(1, events.nbytes))
    with uproot.recreate(target, compression=uproot.ZSTD(5)) as file:
        types = {name: events[name].type.content for name in names}
        written = file.mktree(tree, types, counter_name=lambda counted: f"count_{counted}")
        for _ in range(copies):
            written.extend({name: events[name] for name in names})


def reading(specification: str, repeats: int, size: int, scratch: Path) -> None:
    path, _, tree = specification.rpartition(":")
    names = [column.name for column in open_events(path, tree=tree).schema if not column.stored_as.startswith("std::")]
    larger = scratch / "larger.root"
    enlarge(path, tree, names, larger, size)
    seconds = medians(
        {
            "uproot.iterate": lambda: read_bare(str(larger), tree, names),
            "hepgen": lambda: read_ours(str(larger), tree, names),
        },
        repeats,
    )
    events = read_ours(str(larger), tree, names)
    print(
        f"reading {specification}, {len(names)} columns, enlarged to {larger.stat().st_size / 1e6:.0f} MB, {events} events"
    )
    for name, one in seconds.items():
        print("  " + row(name, one, events, seconds["uproot.iterate"]))


def writing(model: Path, events: int, repeats: int, scratch: Path) -> None:
    surrogate = Surrogate.load(model)
    path = scratch / "generated.root"

    def generate() -> int:
        return sum(len(batch) for batch in sample_events(surrogate, events, seed=1))

    def generate_and_write() -> None:
        sample_to_file(surrogate, path, events, seed=1, force=True)

    seconds = medians({"generating": generate, "generating and writing ROOT": generate_and_write}, repeats)
    ratio = statistics.median(
        b / a for a, b in zip(seconds["generating"], seconds["generating and writing ROOT"], strict=True)
    )
    print(f"writing {events} events of {model} to ROOT: {path.stat().st_size / 1e6:.0f} MB")
    for name, one in seconds.items():
        print("  " + row(name, one, events, seconds["generating"]))
    print(f"  writing costs {ratio - 1:+.1%} on top of generating")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--read", action="append", default=[], metavar="FILE:TREE")
    parser.add_argument("--model", type=Path)
    parser.add_argument("--events", type=int, default=20_000)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--size", type=float, default=2e8, help="bytes in memory to which a file is enlarged")
    parser.add_argument("--threads", type=int, default=2)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    print(f"uproot {uproot.__version__}, awkward {ak.__version__}, numpy {np.__version__}")
    with tempfile.TemporaryDirectory() as scratch:
        for specification in arguments.read:
            reading(specification, arguments.repeats, int(arguments.size), Path(scratch))
        if arguments.model is not None:
            writing(arguments.model, arguments.events, arguments.repeats, Path(scratch))


if __name__ == "__main__":
    main()
