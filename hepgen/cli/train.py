"""``hepgen train``: a surrogate from a recipe."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated

import typer

from hepgen.cli.console import output
from hepgen.cli.options import Common, Duration, own
from hepgen.cli.quantities import format_duration, format_size
from hepgen.errors import UsageError


def train(
    recipe: Annotated[Path, typer.Argument(metavar="RECIPE.yaml", help="What to learn, and how.")],
    common: Common,
    run: Annotated[
        Path | None, own("--output", "Run folder; the surrogate ends up in RUN/model.", "-o", env=False, metavar="RUN")
    ] = None,
    data: Annotated[
        list[str] | None,
        own("--data", "Files in the place of the recipe's; may be repeated.", env=False, metavar="FILE[:TREE]"),
    ] = None,
    settings: Annotated[
        list[str] | None,
        own("--set", "Set a key of the recipe, such as generator=gan; may be repeated.", env=False, metavar="A.B=C"),
    ] = None,
    budget: Annotated[
        float | None, own("--budget", "Training time, such as 30m.", parser=Duration, metavar="TIME")
    ] = None,
    max_time: Annotated[
        float | None,
        own(
            "--max-time", "Save and stop after this time (exit 85); --resume goes on.", parser=Duration, metavar="TIME"
        ),
    ] = None,
    resume: Annotated[bool, own("--resume", "Go on with RUN; begin where nothing is.")] = False,
    dry_run: Annotated[
        bool, own("--dry-run", "Check the inputs, say what would be done, and stop.", env=False)
    ] = False,
    as_json: Annotated[bool, own("--json", "Print the summary, or the plan of --dry-run, as JSON.")] = False,
) -> None:
    """Train a surrogate.

    Example: hepgen train recipe.yaml -o run --budget 30m
    """
    if run is None and not dry_run:
        raise UsageError("no run folder is named", where="hepgen train", hint="say -o RUN")
    if resume and common.force:
        raise UsageError(
            "--resume goes on with a run, --force replaces it", where="hepgen train", hint="give one of them"
        )
    from hepgen.cli.recipes import read_recipe

    sink = output()
    loaded = read_recipe(recipe, settings or (), data=data or ())
    if dry_run:
        from hepgen.cli.plan import print_plan, training_plan

        plan = training_plan(loaded, memory=common.memory, budget=budget)
        if as_json:
            sink.json(plan)
        else:
            print_plan(sink, plan)
        return
    from hepgen.runs.train import train_run
    from hepgen.surrogate.provenance import peak_memory

    display = sink.progress()
    begun = time.perf_counter()
    surrogate = train_run(
        loaded,
        str(run),
        budget=budget,
        max_time=max_time,
        resume=resume,
        force=common.force,
        seed=common.seed,
        device=common.device,
        threads=common.cores,
        memory=common.memory,
        progress=display,
    )
    sink.close_display()
    seconds, memory = time.perf_counter() - begun, peak_memory()
    if as_json:
        sink.json(
            {
                "run": str(run),
                "model": str(Path(str(run)) / "model"),
                "model_sha256": surrogate.model_sha256,
                "seed": str(surrogate.provenance["seed"]),
                "steps": surrogate.provenance["training"].get("steps", {}),
                "seconds": seconds,
                "cpu_seconds": time.process_time(),
                "peak_memory": memory,
            }
        )
    sink.say(f"trained in {format_duration(seconds)}, peak memory {format_size(memory)}: {run}")
    sink.say(f"next: hepgen sample {run} -n 1e5 -o events.root")
