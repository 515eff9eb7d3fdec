"""``hepgen config``: what a recipe may say."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from hepgen.cli.console import output
from hepgen.cli.options import Common, own, with_common

if TYPE_CHECKING:
    from hepgen.config.families import Family
    from hepgen.config.methods import MorphMethod
    from hepgen.config.part import Part

app = typer.Typer(
    help="What a recipe may say, and what one says in full.",
    no_args_is_help=True,
    rich_markup_mode=None,
)


def schema(
    common: Common,
    task: Annotated[
        Literal["generate", "morph", "decorrelate"], own("--task", "Task of the recipe.", env=False)
    ] = "generate",
) -> None:
    """Print the JSON schema of a recipe: every key with its type, default, unit and meaning."""
    from hepgen.config.load import schema as recipe_schema

    del common
    output().data(json.dumps(recipe_schema(task), indent=2))


def show(
    recipe: Annotated[Path, typer.Argument(metavar="RECIPE.yaml", help="Recipe, or the config.yaml of a run folder.")],
    common: Common,
    settings: Annotated[
        list[str] | None, own("--set", "Set a key, such as training.batch_size=1024.", env=False, metavar="A.B=C")
    ] = None,
    data: Annotated[
        list[str] | None, own("--data", "Files in the place of the recipe's.", env=False, metavar="FILE[:TREE]")
    ] = None,
    as_json: Annotated[bool, own("--json", "Print JSON instead of YAML.")] = False,
) -> None:
    """Print a recipe as a run would store it: --set applied, defaults and options written out, paths absolute."""
    from hepgen.cli.recipes import read_recipe
    from hepgen.config.load import dump_recipe

    del common
    resolved = read_recipe(recipe, settings or (), data=data or ())
    if as_json:
        output().json(resolved.resolved().model_dump(mode="json"))
    else:
        output().data(dump_recipe(resolved))


def families(common: Common, as_json: Annotated[bool, own("--json", "Print JSON instead of a table.")] = False) -> None:
    """List the families of generators, what each is good for, and its options with their defaults."""
    from hepgen.config.families import FAMILIES

    del common
    _list(FAMILIES, as_json)


def methods(common: Common, as_json: Annotated[bool, own("--json", "Print JSON instead of a table.")] = False) -> None:
    """List the methods of morphing, what each is good for, and its options with their defaults."""
    from hepgen.config.methods import METHODS

    del common
    _list(METHODS, as_json)


def _list(known: Mapping[str, Family | MorphMethod], as_json: bool) -> None:
    sink = output()
    options = {name: _defaults(one.options) for name, one in known.items()}
    if as_json:
        sink.json({name: {"description": known[name].description, "options": options[name]} for name in known})
        return
    for name, one in known.items():
        sink.data(f"{name}: {one.description}")
        for option, value in options[name].items():
            meaning = " ".join((one.options.model_fields[option].description or "").split())
            given = "(required)" if one.options.model_fields[option].is_required() else json.dumps(value)
            sink.data(f"  {option} = {given}: {meaning}")


def _defaults(options: type[Part]) -> dict[str, Any]:
    """Every option with its default, in their order; None where there is none."""
    known: dict[str, Any] = options.model_construct().model_dump(mode="json")
    return {name: known.get(name) for name in options.model_fields}


for _command in (schema, show, families, methods):
    app.command()(with_common(_command))
