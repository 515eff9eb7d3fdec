"""``hepgen inspect``: what is in a file."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from hepgen.cli.console import Output, output
from hepgen.cli.options import Common, own
from hepgen.errors import InputFileError, ModelError, UsageError

if TYPE_CHECKING:
    from hepgen.events.reader import FileSource
    from hepgen.events.schema import Column
    from hepgen.events.summary import ColumnSummary, Description
    from hepgen.physics.binning import Binning


def inspect(
    files: Annotated[
        list[str],
        typer.Argument(metavar="FILE[:TREE]...|MODEL", help="Event files, globs and @list.txt, too; or a model."),
    ],
    common: Common,
    binning: Annotated[Path | None, own("--binning", "Binning of the voxels.", metavar="XML|YAML")] = None,
    as_json: Annotated[bool, own("--json", "Print JSON instead of tables.")] = False,
    config: Annotated[bool, own("--config", "Print a recipe for hepgen train instead of tables.", env=False)] = False,
    morph_to: Annotated[
        list[str] | None,
        own("--morph-to", "With --config: a recipe that moves FILE onto this one.", env=False, metavar="FILE[:TREE]"),
    ] = None,
    decorrelate: Annotated[
        list[str] | None,
        own("--decorrelate", "With --config: a recipe for this score; may be repeated.", env=False, metavar="SCORE"),
    ] = None,
    protect: Annotated[
        list[str] | None,
        own("--protect", "What the score shall not follow; may be repeated.", env=False, metavar="COLUMN"),
    ] = None,
) -> None:
    """Say what is in a file: trees, events, columns, ranges; or what a model is, and how good.

    Example: hepgen inspect showers.hdf5 --binning binning.xml --config > recipe.yaml
    """
    from hepgen.events.jet_doubts import jet_doubts
    from hepgen.events.locate import locate
    from hepgen.events.reader import list_trees
    from hepgen.events.showers import find_showers
    from hepgen.events.summary import describe
    from hepgen.representations.geometry import check_voxels, read_binning

    sink = output()
    check_proposals(config, {"--morph-to": morph_to, "--decorrelate": decorrelate, "--protect": protect})
    if len(files) == 1 and (folder := bundle_folder(files[0])) is not None:
        if config or binning is not None:
            raise UsageError("--config and --binning are for files of events, this is a model", where=files[0])
        print_model(sink, files[0], folder, as_json)
        return
    geometry = read_binning(binning) if binning is not None else None
    first = locate(files)[0]
    trees = list_trees(first.path)
    sources = open_trees(files, [name for name, _, _ in trees], common.batch_memory, every=not config)
    for source in sources:
        check_voxels(source.schema, geometry, first.path, find_showers(source.schema, geometry)[0])
    display = sink.progress(unit="events")
    described = [describe(source, lambda done, total: display.update("reading", done, total)) for source in sources]
    sink.close_display()
    for words in (words for source in sources for words in jet_doubts(source)):
        sink.warn(words)
    if config and morph_to:
        from hepgen.cli.propose_morph import propose_morph
        from hepgen.events.reader import open_events

        target = describe(open_events(morph_to, memory=common.batch_memory))
        place = str(binning) if binning else None
        sink.data(propose_morph(files, morph_to, described[0], target, place, geometry))
    elif config and decorrelate and protect:
        from hepgen.cli.propose_decorrelate import propose_decorrelate

        sink.data(propose_decorrelate(files, described[0], decorrelate, protect))
    elif config:
        from hepgen.cli.propose import propose_recipe

        chosen = described[0].schema.tree if len(trees) > 1 and first.tree is None else None
        sink.data(propose_recipe(files, described[0], str(binning) if binning else None, chosen, geometry))
    elif as_json:
        found = {one.schema.tree: one.result() for one in described}
        listed = [{"name": name, "kind": kind, "entries": n, **found.get(name, {})} for name, kind, n in trees]
        missed = [one for name, one in found.items() if name not in {tree for tree, _, _ in trees}]
        layout = None if geometry is None else {"voxels": geometry.num_voxels, **geometry.to_dict()}
        sink.json({"files": files, "trees": [*listed, *missed], "binning": layout})
    else:
        if len(trees) > 1:
            rows = [[name, kind, str(entries)] for name, kind, entries in trees]
            sink.table(f"trees of {first.path}", ["tree", "kind", "entries"], rows)
        for one in described:
            print_columns(sink, one)
        print_binning(sink, geometry)


def check_proposals(config: bool, given: Mapping[str, list[str] | None]) -> None:
    """What the options ask for is one recipe.

    Raises:
        UsageError: if it is none, or two.
    """
    named = [option for option, values in given.items() if values]
    if named and not config:
        raise UsageError(f"{named[0]} is for the recipe that --config prints", where=named[0], hint="add --config")
    if "--morph-to" in named and len(named) > 1:
        raise UsageError(f"{named[1]} is for another recipe", where="--morph-to", hint="print one recipe at a time")
    if len(named) == 1 and named != ["--morph-to"]:
        other = next(option for option in ("--decorrelate", "--protect") if option not in named)
        raise UsageError(
            "a decorrelation needs a score and what it shall not follow", where=named[0], hint=f"add {other} COLUMN"
        )


def bundle_folder(text: str) -> Path | None:
    """The bundle in a run folder, or that is this folder itself; None where this is no model.

    Raises:
        ModelError: for the folder of a run that has not ended.
    """
    from hepgen.surrogate.bundle import bundle_in

    folder = bundle_in(text)
    if folder is None and (Path(text) / "config.yaml").is_file():
        raise ModelError(
            "there is no finished model in this folder", where=text, hint="go on with 'hepgen train ... --resume'"
        )
    return folder


def print_model(sink: Output, name: str, folder: Path, as_json: bool) -> None:
    """The card of a model; as JSON all that is known of it."""
    from hepgen.surrogate.bundle import read_bundle

    bundle = read_bundle(folder)
    if not as_json:
        sink.data(bundle.card)
        return
    sink.json(
        {
            "model": name,
            "model_sha256": bundle.model_sha256,
            "config": bundle.config,
            "validity": bundle.validity,
            "provenance": bundle.provenance,
        }
    )


def open_trees(files: list[str], trees: list[str], memory: int, *, every: bool) -> list[FileSource]:
    """The events of the files; of every tree, where a file has several, none is named, and none stands out.

    Raises:
        InputFileError: if a file cannot be read, or a tree must be named and ``every`` is false.
    """
    from hepgen.events.locate import locate
    from hepgen.events.reader import open_events

    try:
        return [open_events(files, memory=memory)]
    except InputFileError:
        found = locate(files)
        if not every or len(trees) < 2 or len(found) > 1 or found[0].tree is not None:
            raise
    return [open_events(found[0].path, tree=tree, memory=memory) for tree in trees]


def print_columns(sink: Output, described: Description) -> None:
    """One line per column."""
    schema = described.schema
    convention = f", convention {schema.convention}" if schema.convention else ""
    sink.table(
        f"'{schema.tree}': {described.events} events, {schema.format}{convention}",
        ["column", "type", "unit", "range", "non-finite"],
        [
            [one.column.name, type_text(one.column, one.lengths), one.column.unit, range_text(one), str(one.non_finite)]
            for one in described.columns
        ],
    )
    for one in described.copied[: None if sink.verbose else 5]:
        sink.say(
            f"column '{one.name}' ({one.stored_as or one.type}) is no number: a morph copies it, no model learns it"
        )
    if len(described.copied) > 5 and not sink.verbose:
        sink.say(f"{len(described.copied)} columns are no numbers in all; -v lists them")
    for name, reason in list(described.skipped.items())[: None if sink.verbose else 5]:
        sink.say(f"column '{name}' cannot be read: {reason}")
    if len(described.skipped) > 5 and not sink.verbose:
        sink.say(f"{len(described.skipped)} columns cannot be read in all; -v lists them")


def type_text(column: Column, lengths: list[int]) -> str:
    """The type of a column as a reader of ROOT would put it.

    Example:
        >>> from hepgen.events.schema import Column
        >>> type_text(Column("voxel_energy", "float32", (368,)), [])
        'float32[368]'
        >>> type_text(Column("Muon_pt", "float32", jagged=True), [0, 5])
        'float32[0 to 5]'
    """
    fixed = "".join(f"[{size}]" for size in column.shape)
    if not column.jagged:
        return f"{column.dtype}{fixed}"
    return f"{column.dtype}[{lengths[0]} to {lengths[1]}]{fixed}" if lengths else f"{column.dtype}[]{fixed}"


def range_text(summary: ColumnSummary) -> str:
    """``low .. high``, integers in full, or a dash where no finite number was seen.

    Example:
        >>> from hepgen.events.schema import Column
        >>> from hepgen.events.summary import ColumnSummary
        >>> range_text(ColumnSummary(Column("pt", "float32"), low=0.5, high=1234.5678))
        '0.5 .. 1234.6'
        >>> range_text(ColumnSummary(Column("event", "uint64"), low=1, high=657442930))
        '1 .. 657442930'
    """
    if summary.low > summary.high:
        return "-"
    return " .. ".join(str(x) if isinstance(x, int) else f"{x:.5g}" for x in (summary.low, summary.high))


def print_binning(sink: Output, geometry: Binning | None) -> None:
    """One line per layer."""
    from hepgen.physics.binning import Layer, PixelLayer

    if geometry is None:
        return
    kinds = {"alpha": ("r", Layer), "x": ("y", PixelLayer)}
    for first, (second, kind) in kinds.items():
        rows = []
        for layer in geometry.layers:
            if isinstance(layer, kind):
                edges = layer.r_edges if isinstance(layer, Layer) else layer.y_edges
                counts = (layer.id, *layer.shape, layer.num_voxels)
                rows.append([*map(str, counts), f"{edges[0]:g}", f"{edges[-1]:g}"])
        unit = f" / {geometry.length_unit}" if geometry.length_unit else ""
        if rows:
            sink.table(
                f"binning{' ' * bool(geometry.particle)}{geometry.particle}: {geometry.num_voxels} voxels in {len(geometry.layers)} layers",
                ["layer", f"{first} bins", f"{second} bins", "voxels", f"{second} from", f"{second} to{unit}"],
                rows,
            )
