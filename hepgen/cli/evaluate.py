"""``hepgen evaluate``: a generated sample against a reference."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from hepgen.cli.console import Output, output
from hepgen.cli.options import Common, Count, own
from hepgen.errors import UsageError, near_names

if TYPE_CHECKING:
    from hepgen.events.source import EventSource


def evaluate(
    reference: Annotated[str, typer.Argument(metavar="REFERENCE", help="True events that no model was trained on.")],
    generated: Annotated[str, typer.Argument(metavar="GENERATED", help="Generated events.")],
    common: Common,
    model: Annotated[
        Path | None, own("--model", "Model that made the events: kind, binning, training events.", metavar="MODEL")
    ] = None,
    recipe: Annotated[Path | None, own("--recipe", "Recipe in the place of a model.", metavar="RECIPE.yaml")] = None,
    kind: Annotated[
        Literal["calorimeter", "jets", "table"] | None,
        own("--kind", "What the events are, if the files do not say it."),
    ] = None,
    binning: Annotated[Path | None, own("--binning", "Binning of the voxels.", metavar="XML|YAML")] = None,
    report: Annotated[
        Path | None, own("--output", "Folder for report.html, report.json and plots.", "-o", env=False, metavar="DIR")
    ] = None,
    quick: Annotated[bool, own("--quick", "Small classifiers and few repeats.")] = False,
    protocol: Annotated[
        Literal["fast", "calochallenge"], own("--protocol", "Whose definitions the classifiers follow.")
    ] = "fast",
    require: Annotated[
        list[str] | None,
        own(
            "--require",
            'Exit with 5 unless this holds, e.g. "auc_high<0.75"; may be repeated.',
            env=False,
            metavar="SCORE<LIMIT",
        ),
    ] = None,
    training: Annotated[
        str | None,
        own("--training", "Training events, for memorisation and amplification, if not the model's.", metavar="FILE"),
    ] = None,
    also: Annotated[
        list[str] | None,
        own(
            "--also",
            "Events of another generator, for log-posteriors; may be repeated.",
            env=False,
            metavar="NAME=FILE",
        ),
    ] = None,
    max_events: Annotated[
        int | None, own("--max-events", "Events a side of the classifiers.", parser=Count, metavar="N")
    ] = None,
    weight: Annotated[
        str | None,
        own(
            "--weight",
            "Column of event weights; of both samples, or 1 where there is none. Two names: of each its own.",
            metavar="COLUMN[,COLUMN]",
        ),
    ] = None,
    threshold: Annotated[
        float | None, own("--threshold", "Set voxels below this to 0 in both samples, in MeV.", metavar="MEV")
    ] = None,
    as_json: Annotated[bool, own("--json", "Print the report as JSON.")] = False,
) -> None:
    """Judge generated events against true ones.

    Example: hepgen evaluate test.hdf5 generated.root --model run -o report --require "auc_high<0.75"
    """
    from hepgen.evaluation.gates import check_gates, parse_gates

    sink = output()
    gates = parse_gates(require or ())
    if report is not None and (report / "report.json").exists() and not common.force:
        raise UsageError(
            "there is a report already", where=str(report), hint="replace it with --force, or name another folder"
        )
    from torch import set_num_threads

    from hepgen.cli.judge import Judge, named_files
    from hepgen.cli.requirements import check_names, domain_of
    from hepgen.cli.weights import Samples, WeightColumns
    from hepgen.evaluation.columns import MAX_ELEMENTS, too_large
    from hepgen.evaluation.generators import GENERATED
    from hepgen.evaluation.protocols import choose_protocol
    from hepgen.evaluation.run import evaluate as compare
    from hepgen.evaluation.summary import summary
    from hepgen.evaluation.write import write_report
    from hepgen.training.device import pick_device
    from hepgen.training.seeds import fresh_seed

    set_num_threads(common.cores)
    device = pick_device(common.device)
    seed = common.seed
    if seed is None:
        seed = fresh_seed()
        sink.say(f"seed {seed}")
    judge = Judge.of(model, recipe, binning, sink)
    true, made = judge.open(reference, common.batch_memory), judge.open(generated, common.batch_memory)
    true = judge.held_out(true, reference, sink)
    further = named_files(also or ())
    others = {name: judge.open(file, common.batch_memory) for name, file in further.items()}
    options = of_shared_types(judge.options(true.schema, made.schema, kind), true, made, sink)
    if weight is None and (own_weight := options.get("weight")) and own_weight not in made.schema:
        weight = own_weight  # the generator learned the weighted events: its own have none
    weighting = WeightColumns.of(weight, true.schema, made.schema) if weight is not None else None
    for which, columns in judge.unshared(options, true.schema, made.schema).items():
        if alone := [name for name in columns if weighting is None or name not in weighting.names]:
            own, other = (true, made) if which == "reference" else (made, true)
            near = near_names(alone, [name for name in other.schema.names if name not in own.schema])
            alike = (
                "; alike there: " + ", ".join(f"'{other}' for '{name}'" for name, other in near.items()) if near else ""
            )
            sink.warn(f"columns of the {which} alone are not judged: {', '.join(alone)}{alike}")
    if options["kind"] == "table" and (arrays := too_large(true.schema, options["columns"])):
        sink.warn(
            f"arrays of more than {MAX_ELEMENTS} numbers are not judged: {', '.join(arrays)}; images are with --binning"
        )
    if threshold is not None:
        options["threshold"] = threshold
    trained = None if quick and training is None else judge.training(training, common.batch_memory)
    samples, notes = Samples(true, made, others, trained), list[str]()
    if weighting is not None:
        samples, notes = weighting.weigh(samples)
        options = weighting.options(options)
    if gates:
        check_names(
            gates,
            domain_of(options, samples.reference.schema),
            published=protocol == "calochallenge",
            training=trained is not None,
            generators=(GENERATED, *others) if others else (),
        )
    found = compare(
        samples.reference,
        samples.generated,
        **options,
        protocol=protocol,
        quick=quick,
        max_events=max_events,
        seed=seed,
        training=samples.training,
        also=samples.others,
        memory=common.memory,
        device=device,
        progress=sink.progress(),
        notes=notes,
    )
    files = {"reference": reference, GENERATED: generated, **further}
    found = replace(found, provenance=judge.provenance(files, training, device))
    if report is not None:
        plots = choose_protocol(protocol, quick=quick).plots
        write_report(found, report, plots=plots, title=f"{Path(generated).name} against {Path(reference).name}")
        sink.say(f"wrote {report / 'report.html'}")
    if as_json:
        sink.json(found.to_dict())
    else:
        title = f"{generated} against {reference}: {found.kind}, protocol {found.protocol}"
        sink.table(title, found.header(), found.table(everything=common.verbose))
        for sentence in (*summary(found), *found.notes):
            sink.say(sentence)
    check_gates(found, require or ())


def of_shared_types(
    options: dict[str, Any], reference: EventSource, generated: EventSource, sink: Output
) -> dict[str, Any]:
    """The options without types of jets of which the samples have none in common, as after a morph of quark to gluon jets."""
    import numpy as np

    from hepgen.events.jets import PARTICLE_CODE

    types = [name for name in options.get("conditions", ()) if options["kind"] == "jets" and PARTICLE_CODE.search(name)]
    for name in types:
        true, made = (
            {code for batch in one.batches([name]) for code in np.unique(batch[name]).tolist()}
            for one in (reference, generated)
        )
        if true.isdisjoint(made):
            words = " and ".join(", ".join(f"{code:g}" for code in sorted(codes)[:6]) for codes in (true, made))
            sink.warn(
                f"'{name}' has no value in common in the two samples ({words}): jets are judged whatever their type"
            )
            options = {**options, "conditions": [one for one in options["conditions"] if one != name]}
    return options
