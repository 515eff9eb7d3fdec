"""``hepgen decorrelate``: scores that do not follow protected columns, beside those of a file."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from hepgen.cli.console import output
from hepgen.cli.options import (
    Common,
    DropUnwritable,
    FileFormat,
    OutputFile,
    own,
    refuse_two_on_stdout,
    warn_of_input,
)
from hepgen.cli.quantities import format_duration, format_size


def decorrelate(
    model: Annotated[
        Path, typer.Argument(metavar="MODEL", help="Run folder, or bundle, of a recipe with task: decorrelate.")
    ],
    source: Annotated[
        list[str], typer.Argument(metavar="FILE[:TREE]...", help="Events with scores; globs and @list.txt, too.")
    ],
    common: Common,
    out: OutputFile,
    cut: Annotated[
        str | None, own("--cut", "Read and write only these events, such as 'm_jj > 2700'.", env=False, metavar="EXPR")
    ] = None,
    outside: Annotated[
        Literal["refuse", "missing", "nearest"],
        own(
            "--outside",
            "Protected values beyond the training: an error, no score (NaN), or that of the nearest value. All are flagged.",
        ),
    ] = "nearest",
    file_format: FileFormat = None,
    drop_unwritable: DropUnwritable = False,
    as_json: Annotated[bool, own("--json", "Print the summary as JSON.")] = False,
) -> None:
    """Write decorrelated scores beside those of a file; all columns stay as they are.

    Example: hepgen decorrelate runs/flat scored.root -o flat.root
    """
    from hepgen.cli.spool import spooled
    from hepgen.events.reader import open_events
    from hepgen.events.select import select_events
    from hepgen.morphing.decorrelate import OUTSIDE, decorrelate_to_file
    from hepgen.morphing.decorrelator import DecorrelationModel
    from hepgen.training.device import pick_device

    sink = output()
    refuse_two_on_stdout(out, as_json, "hepgen decorrelate")
    loaded = DecorrelationModel.load(model, device=pick_device(common.device))
    events = open_events(source, memory=common.batch_memory)
    chosen = events if cut is None else select_events(events, cut=cut)
    display = sink.progress(unit="events")
    with spooled(out, file_format) as path:
        summary = decorrelate_to_file(
            loaded,
            chosen,
            path,
            policy=outside,
            format=file_format,
            force=common.force,
            drop_unwritable=drop_unwritable,
            threads=common.cores,
            progress=display,
        )
        sink.close_display()
    for note in summary.notes:
        sink.say(f"note: {note}")
    warn_of_input(sink, events, summary.events, cut)
    if summary.outside:
        share = 100 * summary.outside / summary.events
        what = "without a score" if outside == "missing" else "taken at the nearest values of the training"
        tell = sink.warn if share > 1 else sink.say
        tell(
            f"{summary.outside} events ({share:.3g} %) have protected values beyond the training: {what}, flagged in {OUTSIDE}"
        )
    if missing := summary.missing:
        sink.warn(f"{missing} events have a decorrelated score that is not a number")
    rate = f"{summary.events_per_second:.4g} events/s, peak memory {format_size(summary.peak_memory)}"
    sink.say(f"{summary.events} events in {format_duration(summary.seconds)}: {rate}")
    sink.say(f"wrote {', '.join(summary.columns)} to {'stdout' if out == '-' else out}")
    if as_json:
        sink.json(summary.to_dict())
