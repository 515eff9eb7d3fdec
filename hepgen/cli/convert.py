"""``hepgen convert``: event files in another layout."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from hepgen.cli.console import output
from hepgen.cli.options import Common, Count, own
from hepgen.cli.quantities import format_duration


def convert(
    source: Annotated[str, typer.Argument(metavar="IN[:TREE]", help="Event file; a glob or @list.txt, too.")],
    target: Annotated[Path, typer.Argument(metavar="OUT", help="OUT.root, or OUT.h5, OUT.hdf5.")],
    common: Common,
    to: Annotated[
        Literal["jetnet", "calochallenge", "par04", "ttree", "rntuple", "images"],
        own("--to", "Layout of the output.", env=False),
    ],
    particles: Annotated[
        int | None,
        own("--particles", "Places for constituents in JetNet.", parser=Count, metavar="N", show_default="30"),
    ] = None,
    cut: Annotated[
        str | None, own("--cut", 'Events to keep, e.g. "abs(jet_pdgid) == 6".', env=False, metavar="EXPRESSION")
    ] = None,
    objects: Annotated[
        str | None,
        own(
            "--objects",
            "One row of each jet of a NanoAOD collection, with its candidates.",
            metavar="FatJet",
            env=False,
        ),
    ] = None,
    binning: Annotated[
        Path | None,
        own("--binning", "Binning of the voxels, for par04 and calochallenge; pixels of images.", metavar="XML|YAML"),
    ] = None,
    unit: Annotated[
        Literal["eV", "keV", "MeV", "GeV", "TeV"] | None,
        own("--unit", "Unit of energies, where the file does not say it."),
    ] = None,
    drop_unwritable: Annotated[
        bool, own("--drop-unwritable", "Leave out columns that the format cannot hold.")
    ] = False,
    as_json: Annotated[bool, own("--json", "Print the summary as JSON.")] = False,
) -> None:
    """Write the events of a file in another layout.

    Example: hepgen convert top.root top.hdf5 --to jetnet --particles 150
    """
    from hepgen.events.convert import convert_file
    from hepgen.events.reader import open_events
    from hepgen.events.showers import regular_grid
    from hepgen.representations.geometry import check_voxels, read_binning
    from hepgen.training.signals import StopFlag

    sink = output()
    geometry = read_binning(binning) if binning is not None else None
    grid = regular_grid(geometry) if geometry is not None else None
    events = open_events(source, memory=common.batch_memory, grid=grid)
    if to != "images":
        check_voxels(events.schema, geometry, source)
    display = sink.progress(unit="events")
    with StopFlag() as stop:

        def watch(done: int, total: int) -> None:
            display.update("convert", done, total)
            stop.leave()

        summary = convert_file(
            events,
            target,
            to,
            cut=cut,
            objects=objects or "",
            particles=particles,
            binning=geometry,
            unit=unit or "",
            force=common.force,
            drop_unwritable=drop_unwritable,
            watch=watch,
        )
    sink.close_display()
    for words in summary.dropped:
        sink.say(f"dropped: {words}")
    for words in summary.notes:
        sink.say(f"note: {words}")
    for words in summary.warnings:
        sink.warn(words)
    sink.say(f"{summary.events} events in {format_duration(summary.seconds)}: {summary.events_per_second:.4g} events/s")
    sink.say(f"wrote {target}")
    if as_json:
        sink.json(summary.to_dict())
