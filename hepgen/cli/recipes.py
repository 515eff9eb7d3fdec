"""A recipe as every command reads it: its expressions are parsed at once, whatever the command does with them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from hepgen.config.load import load_recipe
from hepgen.config.recipe import Recipe
from hepgen.errors import ConfigError

_EXAMPLE = "write for instance: jet_pt > 300 and abs(jet_eta) < 2"


def read_recipe(path: Path, sets: Sequence[str] = (), *, data: Sequence[str] = ()) -> Recipe:
    """`hepgen.config.load.load_recipe`, and the syntax of ``data.cut``, ``data.define`` and ``data.derived``.

    Raises:
        ConfigError: with the key, the expression, and where in it the fault is.
    """
    recipe = load_recipe(path, sets, data=data)
    own = recipe.data
    texts = {own.key_of(name): text for name, text in own.computed.items()}
    if own.cut is not None:
        texts = {"data.cut": own.cut, **texts}
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
