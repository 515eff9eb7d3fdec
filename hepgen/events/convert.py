"""Convert event files: batches of one layout are written in another as they come, in bounded memory."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import awkward as ak
import numpy as np

import hepgen
from hepgen.errors import InputFileError, ModelError, UsageError, suggest
from hepgen.events.candidates import jets_of_candidates
from hepgen.events.conversion import Conversion, to_root
from hepgen.events.copied import CopiedColumn
from hepgen.events.hdf5 import Grid
from hepgen.events.images import to_images
from hepgen.events.jetnet import DEFAULT_PARTICLES, class_cut, from_jetnet, jet_classes, to_jetnet
from hepgen.events.jets import find_jets
from hepgen.events.reader import FileSource
from hepgen.events.records import read_run_records
from hepgen.events.schema import Schema
from hepgen.events.select import select_events
from hepgen.events.showers import regular_grid, to_calochallenge, to_par04
from hepgen.events.source import NumberedBatch, SourceBase, naming_entries, numbered_pieces, record
from hepgen.events.writer import create_writer
from hepgen.physics.binning import Binning

#: The format of each target; that of images goes by the ending of the file.
TARGETS = {
    "jetnet": "hdf5", "calochallenge": "hdf5", "par04": "hdf5", "ttree": "ttree", "rntuple": "rntuple", "images": "",
}  # fmt: skip
_SUFFIXES = {"hdf5": (".h5", ".hdf5", ".hdf"), "ttree": (".root",), "rntuple": (".root",)}
_SUFFIXES[""] = (".root", *_SUFFIXES["hdf5"])
#: Options that only some targets know.
_KNOWN_BY = {
    "--particles": ("jetnet",),
    "--binning": ("calochallenge", "par04", "images"),
    "--unit": ("jetnet", "calochallenge", "par04", "images"),
}
Watch = Callable[[int, int], None]


@dataclass(frozen=True)
class ConvertSummary:
    """What a conversion did.

    Attributes:
        path, target: of the output.
        events: number written.
        seconds, events_per_second: wall time of reading, converting and writing.
        dropped: what the output does not hold, one phrase each.
        notes: what else there is to know, one sentence each.
        warnings: what may not be what was meant.
    """

    path: str
    target: str
    events: int
    seconds: float
    events_per_second: float
    dropped: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        return {name: list(one) if isinstance(one, tuple) else one for name, one in asdict(self).items()}


def plan_conversion(
    schema: Schema,
    target: str,
    *,
    particles: int | None = None,
    grid: Grid | None = None,
    binning: Binning | None = None,
    format: str = "",
    unit: str = "",
) -> Conversion:
    """How events of a schema become those of a target.

    Args:
        schema: of the input.
        target: ``jetnet``, ``calochallenge``, ``par04``, ``ttree``, ``rntuple`` or ``images``.
        particles: of JetNet, 30 where None.
        grid: cells (z, phi, r) of showers, for Par04.
        binning: pixels of images.
        format: of images, ``ttree`` or ``hdf5``.
        unit: of energies, where the file does not say it.

    Raises:
        UsageError: for an unknown target or unit.
        InputFileError: if the target cannot hold such events; it says what the target needs and what there is.

    Example:
        >>> from hepgen.events.reader import open_events
        >>> plan_conversion(open_events("tests/data/photons.hdf5").schema, "ttree").schema.names
        ('event', 'incident_energy', 'voxel_energy')
    """
    if target == "jetnet":
        return to_jetnet(schema, particles=DEFAULT_PARTICLES if particles is None else particles, unit=unit)
    if target == "calochallenge":
        return to_calochallenge(schema, unit=unit)
    if target == "par04":
        return to_par04(schema, grid, unit=unit)
    if target == "images":
        return to_images(schema, binning, format or "ttree", unit)
    _format(target)
    jets = find_jets(schema)
    return from_jetnet(schema, target) if jets is not None and jets.features else to_root(schema, target)


def convert_file(
    source: FileSource,
    path: str | Path,
    target: str,
    *,
    cut: str | None = None,
    objects: str = "",
    particles: int | None = None,
    binning: Binning | None = None,
    unit: str = "",
    force: bool = False,
    drop_unwritable: bool = False,
    watch: Watch | None = None,
) -> ConvertSummary:
    """Write the events of files in another layout; the file appears whole or not at all.

    Args:
        source: the input.
        path: the output, whose ending must fit the target.
        target, particles, unit: see `plan_conversion`.
        cut: an expression that chooses events.
        objects: a collection of NanoAOD's jets: one row of each jet with its candidates.
        binning: of showers, or the pixels of images.
        force: replace an existing file.
        drop_unwritable: leave out columns that the format cannot hold instead of refusing them.
        watch: called with the number of events that are done, and that of all; it may raise to stop.

    Raises:
        UsageError: for an output that exists or has another ending, or an option that the target does not know.
        ConfigError: for a cut that is none.
        InputFileError: if the target cannot hold the events, or one of them is broken; with its file and entry.
        OutputError: if the file system refuses.
    """
    _check_options(Path(path), target, {"--particles": particles, "--binning": binning, "--unit": unit})
    format = TARGETS[target] or ("ttree" if Path(path).suffix.lower() == ".root" else "hdf5")
    rows = jets_of_candidates(source, objects) if objects else source
    conversion = plan_conversion(
        rows.schema, target, particles=particles, grid=_grid(source, binning, target), unit=unit,
        binning=binning, format=format,
    )  # fmt: skip
    begun = time.perf_counter()
    chosen = select_events(_Watched(rows, conversion, watch), cut=cut)
    copied = chosen.copied if conversion.copies else ()
    lost: Counter[str] = Counter()
    classes: Counter[str] = Counter()
    metadata = {"version": hepgen.__version__, "converted_from": list(source.files), "cut": cut or ""}
    writer = create_writer(
        path,
        conversion.schema,
        format=format,
        copied=copied,
        force=force,
        drop_unwritable=drop_unwritable,
        keep_nonfinite=True,
        metadata=metadata,
    )
    with writer:
        for batch in chosen.numbered_batches([*_columns(conversion), *(one.name for one in copied)]):
            with naming_entries(chosen, batch):
                converted = conversion.apply(batch)
            with _naming_files(source):
                writer.write(_with_copied(converted.events, batch.events, copied))
            lost += converted.lost
            if conversion.label:
                classes += jet_classes(np.asarray(batch.events[conversion.label]), conversion.label)
        if cut is None:
            for file in source.files:
                for made in read_run_records(file):
                    writer.add_run_record(asdict(made))
    seconds = time.perf_counter() - begun
    events = writer.num_events
    return ConvertSummary(
        str(path),
        target,
        events,
        seconds,
        events / max(seconds, 1e-9),
        _dropped(source, conversion, lost),
        (*conversion.notes, *writer.notes),
        _warnings(conversion, classes),
    )


def _format(target: str) -> str:
    if target not in TARGETS:
        raise UsageError(f"no target '{target}'", hint=suggest(target, TARGETS) or f"one of {', '.join(TARGETS)}")
    return TARGETS[target]


def _check_options(path: Path, target: str, options: dict[str, Any]) -> None:
    known = _SUFFIXES[_format(target)]
    if path.suffix.lower() not in known:
        raise UsageError(
            f"a file of {target} ends in {' or '.join(known[:2])}", where=str(path), hint="name another output"
        )
    for name, value in options.items():
        if value and target not in _KNOWN_BY[name]:
            raise UsageError(
                f"{name} means nothing to {target}",
                where="hepgen convert",
                hint=f"it is for {', '.join(_KNOWN_BY[name])}",
            )


def _grid(source: FileSource, binning: Binning | None, target: str) -> Grid | None:
    """The grid of the showers, by the binning or the file.

    Raises:
        InputFileError: if the two differ, or the binning has no regular grid and Par04 is to have one.
    """
    told = source.grid
    if binning is None or target == "images":
        return told
    grid = regular_grid(binning)
    if grid is None and target == "par04":
        shapes = ", ".join(dict.fromkeys(" x ".join(map(str, layer.shape)) for layer in binning.layers))
        raise InputFileError(
            "the layers of the binning differ, and Par04 has one grid of r and phi for all",
            where=f"bins of alpha and r: {shapes}",
            hint="choose another --to",
        )
    if told is not None and grid != told:
        raise InputFileError(
            f"the binning has {grid or 'no'} cells in z, phi and r, the file {told}",
            where=source.files[0],
            hint="leave --binning out",
        )
    return grid


class _Watched(SourceBase):
    """The input in batches of the size of the work, each with a look at who wants to stop, whatever a cut leaves of it."""

    def __init__(self, source: SourceBase, conversion: Conversion, watch: Watch | None) -> None:
        self._source, self._watch = source, watch
        self._calculates = conversion.schema.format == "hdf5" or bool(source.schema.convention)
        self.schema, self.files = source.schema, source.files
        self.starts, self.copied, self.skipped = source.starts, source.copied, source.skipped
        self._counted = source.num_events

    def numbered_batches(self, columns: Sequence[str] | None = None) -> Iterator[NumberedBatch]:
        whole, done = self._source, 0
        for batch in numbered_pieces(whole, columns) if self._calculates else whole.numbered_batches(columns):
            yield batch
            if self._watch is not None:
                self._watch(done := done + len(batch), whole.num_events)


def _with_copied(events: ak.Array, read: ak.Array, copied: Sequence[CopiedColumn]) -> ak.Array:
    """Converted events with the columns that come along as they were read."""
    if not copied:
        return events
    found = {name: events[name] for name in events.fields}
    return record(found | {one.name: read[one.name] for one in copied}, len(events))


def _columns(conversion: Conversion) -> list[str]:
    return list(dict.fromkeys([*conversion.columns, *filter(None, [conversion.label])]))


@contextmanager
def _naming_files(source: FileSource) -> Iterator[None]:
    """Values that the writer refuses are the input's: an error of the input, with its files."""
    try:
        yield
    except ModelError as error:
        raise InputFileError(error.what, where=", ".join(source.files[:3]), hint=error.hint) from None


def _dropped(source: FileSource, conversion: Conversion, lost: Counter[str]) -> tuple[str, ...]:
    found = [f"{', '.join(conversion.dropped)}: {conversion.why}"] if conversion.dropped else []
    found += [f"{number} {words}" for words, number in sorted(lost.items()) if number]
    if not conversion.copies:
        found += [f"{one.name}, which is no number: {one.stored_as or one.type}" for one in source.copied]
    found += [f"{name}, which cannot be read: {reason}" for name, reason in source.skipped.items()]
    return tuple(found)


def _warnings(conversion: Conversion, classes: Counter[str]) -> tuple[str, ...]:
    if len(classes) < 2:
        return ()
    listed = ", ".join(f"{name} ({number})" for name, number in classes.most_common(6))
    cut = class_cut(conversion.label, classes.most_common(1)[0][0])
    mixed = f"the file mixes jets of {len(classes)} classes by '{conversion.label}': {listed}"
    return (f'{mixed}; JetNet keeps one class a file, such as --cut "{cut}"',)
