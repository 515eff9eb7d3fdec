"""From a YAML file and the ``--set`` of a command line to a recipe, with paths made absolute."""

from __future__ import annotations

from collections.abc import Sequence
from copy import deepcopy
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from hepgen.config.decorrelate import DecorrelateRecipe
from hepgen.config.messages import explain
from hepgen.config.morph import MorphRecipe
from hepgen.config.recipe import Recipe
from hepgen.config.yaml import format_yaml, key_lines, parse_yaml
from hepgen.errors import ConfigError, suggest

KeyPath = tuple[str, ...]
AnyRecipe = Recipe | MorphRecipe | DecorrelateRecipe
"""A recipe of any task."""
TASKS: dict[str, type[AnyRecipe]] = {"generate": Recipe, "morph": MorphRecipe, "decorrelate": DecorrelateRecipe}
_PATHS = {("data", "files"), ("source", "files"), ("target", "files"), ("representation", "binning")}


def load_recipe(path: str | Path, sets: Sequence[str] = (), *, data: Sequence[str] = ()) -> AnyRecipe:
    """Read a recipe of any task, apply ``--set`` and ``--data``, and check it.

    Paths in the file are relative to the file, those of ``sets`` and ``data`` to the current directory.

    Args:
        path: the YAML file.
        sets: ``a.b=c``, the value in YAML.
        data: files that take the place of ``data.files``.

    Raises:
        ConfigError: with the key path, what is wrong, and what is allowed.
    """
    path = Path(path)
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"cannot read the recipe: {error.strerror}", where=str(path)) from error
    except UnicodeDecodeError as error:
        raise ConfigError("this is not a text file", where=str(path), hint="a recipe is YAML in UTF-8") from error
    raw = parse_yaml(text, where=str(path))
    if not isinstance(raw, dict):
        raise ConfigError(
            "this is not a recipe", where=str(path), hint="`hepgen inspect FILE --config` prints one for a data file"
        )
    lines = {key: f"{path}, line {line}" for key, line in key_lines(text).items()}
    raw = apply_sets(resolve_paths(raw, path.absolute().parent), sets)
    if data and raw.get("task") == "morph":
        raise ConfigError(
            "a recipe with task: morph has no data.files to replace", where="--data",
            hint="say --set source.files=[FILE] and --set target.files=[FILE]",
        )  # fmt: skip
    if data:
        raw["data"] = {**(raw.get("data") or {}), "files": [_absolute(entry, Path.cwd()) for entry in data]}
    places = {**lines, **{split_set(entry)[0]: f"--set {entry}" for entry in sets}}
    return parse_recipe(raw, places, default=str(path))


def parse_recipe(raw: dict[str, Any], places: dict[KeyPath, str] | None = None, default: str = "") -> AnyRecipe:
    """Check plain values against the models of the recipe's task.

    Args:
        raw: plain values, as YAML or JSON gives them.
        places: where a key stands, by its path, for the error message.
        default: where, if no place is known.

    Raises:
        ConfigError: with the key path, what is wrong, and what is allowed.
    """
    task = raw.get("task", "generate")
    if task not in TASKS:
        place = (places or {}).get(("task",), default)
        raise ConfigError(
            f"no task '{task}'", where=place, hint=suggest(str(task), TASKS) or f"known: {', '.join(TASKS)}"
        )
    try:
        return TASKS[task].model_validate(raw)
    except ValidationError as error:
        raise explain(error, places or {}, default) from error


def split_set(entry: str) -> tuple[KeyPath, Any]:
    """The key path and the value of one ``--set``.

    Raises:
        ConfigError: if it is not of the form KEY=VALUE.

    Example:
        >>> split_set("training.learning_rate=1e-4")
        (('training', 'learning_rate'), 0.0001)
    """
    key, equals, value = entry.partition("=")
    path = tuple(part.strip() for part in key.split("."))
    if not equals or not all(path):
        raise ConfigError(
            f"'{entry}' sets nothing", where="--set", hint="write KEY=VALUE, such as --set training.batch_size=1024"
        )
    return path, parse_yaml(value, where=f"--set {entry}")


def apply_sets(raw: dict[str, Any], sets: Sequence[str]) -> dict[str, Any]:
    """A copy of a raw recipe with the values of ``--set`` in their places.

    ``generator=NAME`` is meant for every stage: it takes away what the recipe says for single stages, unless one of
    the same ``sets`` says it.

    Raises:
        ConfigError: if a path leads through something that is not a mapping.

    Example:
        >>> apply_sets({"stages": {"shapes": {"generator": "coupling"}}}, ["generator=gan"])
        {'stages': {'shapes': {}}, 'generator': 'gan'}
    """
    raw = deepcopy(raw)
    parsed = [split_set(entry) for entry in sets]
    if any(path == ("generator",) for path, _ in parsed) and isinstance(raw.get("stages"), dict):
        for stage in raw["stages"].values():
            if isinstance(stage, dict):
                stage.pop("generator", None)
    for entry, (path, value) in zip(sets, parsed, strict=True):
        holder: Any = raw
        for depth, key in enumerate(path[:-1]):
            step = _index(holder, key)
            if isinstance(holder, dict) and holder.get(step) is None:
                holder[step] = {}
            holder = holder[step]
            if not isinstance(holder, dict | list):
                raise ConfigError(
                    f"'{'.'.join(path[: depth + 1])}' is a value, not a mapping",
                    where=f"--set {entry}",
                    hint=f"set it as a whole: --set {'.'.join(path[: depth + 1])}=VALUE",
                )
        holder[_index(holder, path[-1])] = _resolve_set(path, value, Path.cwd())
    return raw


def _index(holder: dict[str, Any] | list[Any], key: str) -> Any:
    if isinstance(holder, dict):
        return key
    if not key.isdecimal() or int(key) >= len(holder):
        raise ConfigError(
            f"the list has no entry '{key}'", where="--set", hint=f"its entries count from 0 to {len(holder) - 1}"
        )
    return int(key)


def resolve_paths(raw: dict[str, Any], base: Path) -> dict[str, Any]:
    """A copy of a raw recipe with its relative paths (data files, binning) made absolute against a directory."""
    raw = deepcopy(raw)
    for part, key in _PATHS:
        holder = raw.get(part)
        if isinstance(holder, dict) and key in holder:
            holder[key] = _resolve_set((part, key), holder[key], base)
    return raw


def _resolve_set(path: KeyPath, value: Any, base: Path) -> Any:
    """Make the paths in a value of the recipe absolute, if the key holds paths; leave what is not text to the check."""
    if path[:2] not in _PATHS:
        return value
    if isinstance(value, str):
        return _absolute(value, base)
    if isinstance(value, list):
        return [_absolute(entry, base) if isinstance(entry, str) else entry for entry in value]
    return value


def _absolute(entry: str, base: Path) -> str:
    """One input made absolute: FILE, FILE:TREE, a glob, @LIST; URLs stay.

    Example:
        >>> _absolute("@run3.txt", Path("/data")), _absolute("root://eos/a.root", Path("/data"))
        ('@/data/run3.txt', 'root://eos/a.root')
    """
    if "://" in entry:
        return entry
    mark, name = ("@", entry[1:]) if entry.startswith("@") else ("", entry)
    return mark + str(base / Path(name).expanduser())


def dump_recipe(recipe: AnyRecipe) -> str:
    """The resolved recipe as YAML; loading it gives the same recipe, whatever the defaults are by then."""
    return format_yaml(recipe.resolved().model_dump(mode="json"))


def schema(task: str = "generate") -> dict[str, Any]:
    """The JSON schema of the recipes of a task, with units and defaults, for editors and ``hepgen config schema``."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **TASKS[task].model_json_schema(),
        "title": f"hepgen recipe, task {task}",
    }
