"""Read files of jets with coffea's NanoEvents, and compare each jet with the sum of its constituents.

    pip install coffea
    python examples/jets/nanoevents.py top_test.root generated.root

Branches become arrays of records by their names, as in any analysis with coffea: nothing here knows that the second file was
generated. Printed are the number of jets, mean and width of their mass, how far the sum of the constituents is from it, and
the mean pt of the hardest constituent.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import awkward as ak
from coffea.nanoevents import BaseSchema, NanoEventsFactory
from coffea.nanoevents.methods import vector


def read(path: Path, tree: str) -> ak.Array:
    """Jets, with their constituents as Lorentz vectors under ``part``."""
    events = NanoEventsFactory.from_root({str(path): tree}, schemaclass=BaseSchema, mode="eager").events()
    four = {name: events[f"part_{name}"] for name in ("pt", "eta", "phi", "energy")}
    part = ak.zip(four, with_name="PtEtaPhiELorentzVector", behavior=vector.behavior)
    return ak.zip({"mass": events.jet_mass, "part": part}, depth_limit=1)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", nargs="+", type=Path)
    parser.add_argument("--tree", default="jets")
    arguments = parser.parse_args()
    print(f"{'file':24}{'jets':>8}{'mass':>9}{'width':>8}{'|sum - jet|':>13}{'hardest':>9}")
    for path in arguments.files:
        jets = read(path, arguments.tree)
        total = jets.part.sum(axis=1)
        apart = ak.max(abs(total.mass - jets.mass))
        hardest = ak.mean(ak.max(jets.part.pt, axis=1))
        numbers = f"{ak.mean(jets.mass):9.2f}{ak.std(jets.mass):8.2f}{apart:13.4f}{hardest:9.2f}"
        print(f"{path.name:24}{len(jets):8}{numbers}")


if __name__ == "__main__":
    main()
