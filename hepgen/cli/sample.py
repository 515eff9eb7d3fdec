"""``hepgen sample``: events from a surrogate."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from hepgen.cli.console import output
from hepgen.cli.options import Common, Count, DropUnwritable, FileFormat, OutputFile, own, refuse_two_on_stdout
from hepgen.cli.quantities import format_duration, format_size


def sample(
    model: Annotated[Path, typer.Argument(metavar="MODEL", help="Run folder, or bundle such as models/photons.")],
    common: Common,
    out: OutputFile,
    number: Annotated[
        int | None, own("--number", "Events to generate, e.g. 1e6.", "-n", parser=Count, metavar="N")
    ] = None,
    conditions: Annotated[
        list[str] | None,
        own("--conditions", "One event per row of this file, in its order.", env=False, metavar="FILE[:TREE]"),
    ] = None,
    per_condition: Annotated[
        int, own("--per-condition", "Events per row of --conditions.", parser=Count, metavar="K")
    ] = 1,
    keep: Annotated[
        list[str] | None, own("--keep", "Copy this column of --conditions.", env=False, metavar="COLUMN")
    ] = None,
    set_condition: Annotated[
        list[str] | None,
        own("--set-condition", "A value, LOW:HIGH or log:LOW:HIGH.", env=False, metavar="NAME=VALUE"),
    ] = None,
    file_format: FileFormat = None,
    extrapolate: Annotated[bool, own("--extrapolate", "Allow conditions outside the training range.")] = False,
    hits: Annotated[bool, own("--hits", "Write the voxels above zero as hits with positions, too.")] = False,
    sumw: Annotated[float | None, own("--sumw", "Sum of the event weights, if not the input's.")] = None,
    solver_steps: Annotated[
        int | None, own("--solver-steps", "Steps of flows, if not the recipe's: fewer are faster.", parser=Count)
    ] = None,
    drop_unwritable: DropUnwritable = False,
    as_json: Annotated[bool, own("--json", "Print the summary as JSON.")] = False,
) -> None:
    """Generate events and write them as the training file was.

    Example: hepgen sample models/photons -n 1e5 -o showers.root --seed 7
    """
    from hepgen.cli.spool import spooled
    from hepgen.events.reader import open_events
    from hepgen.sampling.conditions import unseen_values
    from hepgen.sampling.run import sample_to_file
    from hepgen.surrogate.surrogate import Surrogate
    from hepgen.training.device import pick_device

    sink = output()
    refuse_two_on_stdout(out, as_json, "hepgen sample")
    surrogate = Surrogate.load(model, device=pick_device(common.device), message=sink.warn)
    given = open_events(conditions, memory=common.batch_memory) if conditions else None
    for words in unseen_values(surrogate, set_condition or ()):
        sink.warn(words)
    display = sink.progress(unit="events")
    with spooled(out, file_format) as path:
        summary = sample_to_file(
            surrogate,
            path,
            number,
            format=file_format,
            force=common.force,
            drop_unwritable=drop_unwritable,
            threads=common.cores,
            progress=display,
            seed=common.seed,
            conditions=given,
            per_condition=per_condition,
            set_conditions=set_condition or (),
            keep=keep or (),
            extrapolate=extrapolate,
            hits=hits,
            sumw=sumw,
            solver_steps=solver_steps,
        )
        sink.close_display()
    for note in summary.notes:
        sink.say(f"note: {note}")
    cost = f"{summary.events_per_second:.4g} events/s, {1e3 * summary.cpu_seconds_per_event:.3g} ms CPU per event"
    memory = f"peak memory {format_size(summary.peak_memory)}"
    sink.say(f"{summary.events} events in {format_duration(summary.seconds)}: {cost}, {memory}")
    sink.say(f"wrote {'stdout' if out == '-' else out}")
    if as_json:
        sink.json(summary.to_dict())
