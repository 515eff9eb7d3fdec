"""``hepgen morph``: one sample moved onto another, or weighted."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

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
from hepgen.errors import UsageError

if TYPE_CHECKING:
    from hepgen.morphing.model import MorphModel
    from hepgen.morphing.wanted import Wanted


def morph(
    model: Annotated[Path, typer.Argument(metavar="MODEL", help="Run folder, or bundle, of a recipe with task: morph.")],
    source: Annotated[
        list[str], typer.Argument(metavar="SOURCE[:TREE]...", help="Events to move; globs and @list.txt, too.")
    ],
    common: Common,
    out: OutputFile,
    inverse: Annotated[bool, own("--inverse", "From the target to the source.")] = False,
    to_condition: Annotated[
        list[str] | None,
        own("--to-condition", "Give events this condition: a value, LOW:HIGH or log:LOW:HIGH.", env=False,
            metavar="NAME=VALUE"),
    ] = None,
    to_condition_from: Annotated[
        list[str] | None,
        own("--to-condition-from", "Give events conditions drawn from this file.", env=False, metavar="FILE[:TREE]"),
    ] = None,
    cut: Annotated[
        str | None, own("--cut", "Read and write only these events, such as 'm_jj > 2700'.", env=False, metavar="EXPR")
    ] = None,
    outside: Annotated[
        Literal["refuse", "keep", "morph"],
        own("--outside", "Events beyond the training: an error, left as they are, or moved (weighted). All are flagged."),
    ] = "keep",
    old_values: Annotated[bool, own("--old-values", "Write the values before, too, as NAME_before.")] = False,
    file_format: FileFormat = None,
    drop_unwritable: DropUnwritable = False,
    as_json: Annotated[bool, own("--json", "Print the summary as JSON.")] = False,
) -> None:  # fmt: skip
    """Move events of one sample onto another, or weight them; all other columns stay as they are.

    Example: hepgen morph runs/qcd qcd.root -o moved.root --seed 7
    """
    from hepgen.cli.spool import spooled
    from hepgen.events.reader import open_events
    from hepgen.events.select import select_events
    from hepgen.morphing.apply import morph_to_file
    from hepgen.morphing.model import MorphModel
    from hepgen.training.device import pick_device

    sink = output()
    refuse_two_on_stdout(out, as_json, "hepgen morph")
    if to_condition and to_condition_from:
        raise UsageError("--to-condition and --to-condition-from exclude each other", where="hepgen morph")
    loaded = MorphModel.load(model, device=pick_device(common.device))
    events = open_events(source, memory=common.batch_memory)
    chosen = events if cut is None else select_events(events, cut=cut)
    wanted = _wanted(loaded, to_condition or (), to_condition_from, common.batch_memory, outside == "morph")
    display = sink.progress(unit="events")
    with spooled(out, file_format) as path:
        summary = morph_to_file(
            loaded,
            chosen,
            path,
            format=file_format,
            force=common.force,
            drop_unwritable=drop_unwritable,
            threads=common.cores,
            progress=display,
            inverse=inverse,
            wanted=wanted,
            policy=outside,
            old_values=old_values,
            seed=common.seed,
        )
        sink.close_display()
    for note in summary.notes:
        sink.say(f"note: {note}")
    warn_of_input(sink, events, summary.events, cut)
    if summary.outside:
        share = 100 * summary.outside / summary.events
        verb = "moved" if loaded.moves else "weighted"
        what = "left as they are" if outside == "keep" else f"{verb} as well as may be"
        tell = sink.warn if share > 1 else sink.say
        tell(f"{summary.outside} events ({share:.3g} %) lie outside of the training: {what}, flagged in morph_outside")
    unable = f"events could not be {'moved' if loaded.moves else 'weighted'} and are as they were"
    if outside == "morph" and (missing := summary.unmoved - summary.failed):
        sink.warn(f"{missing} {unable}: values are missing or not finite, or lists are empty")
    if summary.failed:
        sink.warn(f"{summary.failed} {unable}: '{loaded.method.method}' found no finite values for them")
    if loaded.moves:
        sink.say(f"mean distance {summary.distance:.3g}, in widths of the features; each event's in morph_distance")
    else:
        sink.say(f"morph_weight holds the weights: worth {summary.effective:.0f} of {summary.events} events")
    rate = f"{summary.events_per_second:.4g} events/s, peak memory {format_size(summary.peak_memory)}"
    sink.say(f"{summary.events} events in {format_duration(summary.seconds)}: {rate}")
    sink.say(f"wrote {'stdout' if out == '-' else out}")
    if as_json:
        sink.json(summary.to_dict())


def _wanted(
    model: MorphModel, settings: list[str] | tuple[str, ...], files: list[str] | None, memory: int, extrapolate: bool
) -> Wanted | None:
    """What ``--to-condition`` and ``--to-condition-from`` ask for."""
    from hepgen.events.reader import open_events
    from hepgen.morphing.wanted import DrawnFromFile, SetConditions
    from hepgen.sampling.conditions import parse_law

    if files:
        return DrawnFromFile(open_events(files, memory=memory), model, extrapolate=extrapolate)
    if settings:
        return SetConditions([parse_law(text, "--to-condition") for text in settings], model, extrapolate=extrapolate)
    return None
