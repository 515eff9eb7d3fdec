"""``hepgen train``: a surrogate from a recipe."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from hepgen.cli.console import output
from hepgen.cli.options import Common, Duration, own
from hepgen.cli.quantities import format_duration, format_size
from hepgen.errors import UsageError

if TYPE_CHECKING:
    from hepgen.morphing.decorrelator import DecorrelationModel
    from hepgen.morphing.model import MorphModel
    from hepgen.surrogate.surrogate import Surrogate


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
    closure: Annotated[
        bool, own("--closure", "A recipe with task: morph: learn from one half of the source to the other.", env=False)
    ] = False,
    resume: Annotated[bool, own("--resume", "Go on with RUN; begin where nothing is.")] = False,
    dry_run: Annotated[
        bool, own("--dry-run", "Check the inputs, say what would be done, and stop.", env=False)
    ] = False,
    as_json: Annotated[bool, own("--json", "Print the summary, or the plan of --dry-run, as JSON.")] = False,
) -> None:
    """Train a surrogate, a map between two samples, or a decorrelation of scores.

    Example: hepgen train recipe.yaml -o run --budget 30m
    """
    if run is None and not dry_run:
        raise UsageError("no run folder is named", where="hepgen train", hint="say -o RUN")
    if resume and common.force:
        raise UsageError(
            "--resume goes on with a run, --force replaces it", where="hepgen train", hint="give one of them"
        )
    from hepgen.cli.recipes import read_recipe
    from hepgen.config.decorrelate import DecorrelateRecipe
    from hepgen.config.morph import MorphRecipe

    sink = output()
    loaded = read_recipe(recipe, [*(settings or ()), *(["closure=true"] if closure else [])], data=data or ())
    if dry_run:
        from hepgen.cli.plan import plan_of, print_plan

        plan = plan_of(loaded, memory=common.memory, budget=budget)
        if as_json:
            sink.json(plan)
        else:
            print_plan(sink, plan)
        return
    from hepgen.surrogate.provenance import peak_memory

    display = sink.progress()
    begun = time.perf_counter()
    options: dict[str, Any] = {
        "budget": budget, "max_time": max_time, "resume": resume, "force": common.force, "seed": common.seed,
        "device": common.device, "threads": common.cores, "memory": common.memory, "progress": display,
    }  # fmt: skip
    trained: DecorrelationModel | MorphModel | Surrogate
    if isinstance(loaded, DecorrelateRecipe):
        from hepgen.runs.decorrelate import train_decorrelation

        trained = train_decorrelation(loaded, str(run), **options)
        following = f"hepgen decorrelate {run} {loaded.data.files[0]} -o decorrelated.root"
    elif isinstance(loaded, MorphRecipe):
        from hepgen.runs.morph import train_morph

        trained = train_morph(loaded, str(run), **options)
        following = f"hepgen morph {run} {loaded.source.files[0]} -o morphed.root"
    else:
        from hepgen.runs.train import train_run

        trained = train_run(loaded, str(run), **options)
        following = f"hepgen sample {run} -n 1e5 -o events.root"
    sink.close_display()
    judged = getattr(trained, "held_out", None)
    seconds, memory = time.perf_counter() - begun, peak_memory()
    if as_json:
        sink.json(
            {
                "run": str(run),
                "model": str(Path(str(run)) / "model"),
                "model_sha256": trained.model_sha256,
                "seed": str(trained.provenance["seed"]),
                "steps": trained.provenance["training"].get("steps", {}),
                "seconds": seconds,
                "cpu_seconds": time.process_time(),
                "peak_memory": memory,
                **({} if judged is None else {"held_out": {**judged.to_dict(), "warning": judged.warning}}),
            }
        )
    sink.say(f"trained in {format_duration(seconds)}, peak memory {format_size(memory)}: {run}")
    if judged is not None and judged.warning:
        sink.warn(judged.warning)
    closed = getattr(trained, "facts", {}).get("closure", {"holds": True})
    if not closed["holds"]:
        sink.warn("the closure test does not hold: the method moves events for no reason that lies in the samples")
    sink.say(f"next: {following}")
