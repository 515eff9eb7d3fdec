"""A recipe as every command reads it: its expressions are parsed at once, whatever the command does with them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from hepgen.config.decorrelate import DecorrelateRecipe
from hepgen.config.load import AnyRecipe, load_recipe
from hepgen.config.morph import MorphRecipe
from hepgen.errors import ConfigError

_EXAMPLE = "write for instance: jet_pt > 300 and abs(jet_eta) < 2"


def read_recipe(path: Path, sets: Sequence[str] = (), *, data: Sequence[str] = ()) -> AnyRecipe:
    """`hepgen.config.load.load_recipe`, and the syntax of its cuts, helpers and derived columns.

    Raises:
        ConfigError: with the key, the expression, and where in it the fault is.
    """
    recipe = load_recipe(path, sets, data=data)
    texts = _expressions(recipe)
    if texts:
        from hepgen.events.expressions import Expression

        for key, text in texts.items():
            try:
                Expression.parse(text)
            except ConfigError as error:
                marks = error.where.rpartition("\n")[2]
                where = f"{key}: {text}\n{' ' * len(f'{key}: ')}{marks}"
                raise ConfigError(error.what, where=where, hint=error.hint or _EXAMPLE) from None
    return recipe


def _expressions(recipe: AnyRecipe) -> dict[str, str]:
    """Every expression of a recipe by its key, cuts first."""
    if not isinstance(recipe, MorphRecipe):
        cut = {} if recipe.data.cut is None else {"data.cut": recipe.data.cut}
        if isinstance(recipe, DecorrelateRecipe):
            return {**cut, **{f"data.define.{name}": text for name, text in recipe.data.define.items()}}
        own = recipe.data
        return {**cut, **{own.key_of(name): text for name, text in own.computed.items()}}
    sides = {"source": recipe.source, "target": recipe.target}
    found = {f"{which}.cut": side.cut for which, side in sides.items() if side.cut is not None}
    found |= {f"{which}.define.{name}": text for which, side in sides.items() for name, text in side.define.items()}
    return {**found, **{f"derived.{name}": text for name, text in recipe.derived.items()}}
