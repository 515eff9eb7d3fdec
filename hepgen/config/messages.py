"""What pydantic finds wrong with a recipe, in the words of someone who writes one."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from hepgen.config.representation import KINDS
from hepgen.errors import ConfigError, suggest

_WANTED: dict[str, str] = {
    "int": "a whole number",
    "float": "a number",
    "bool": "true or false",
    "string": "text",
    "list": "a list",
    "dict": "a mapping",
    "model": "a mapping of keys",
    "finite_number": "a finite number",
    "model_attributes": "a mapping of keys",
}
# what pydantic appends to the path of a key that may be of several types
_BRANCHES = {"str", "dict[str,any]"}
_BOUNDS: dict[str, str] = {
    "greater_than": "above {gt:g}",
    "greater_than_equal": "at least {ge:g}",
    "less_than": "below {lt:g}",
    "less_than_equal": "at most {le:g}",
    "too_short": "a list of at least {min_length}",
    "string_too_short": "not empty",
}
_REQUIRED: dict[str, str] = {
    "name": "name the surrogate, such as name: photons",
    "representation": "say what the events are: representation: {kind: table}, or {kind: calorimeter, binning: FILE}",
    "discriminants": "name the scores to decorrelate, such as discriminants: [score]",
    "protected": "name what the scores must not follow, such as protected: [m_jj]",
    "representation.binning": "name the XML (of the CaloChallenge schema) or YAML of the voxels: binning: FILE",
}


def explain(error: ValidationError, places: Mapping[tuple[str, ...], str], default: str) -> ConfigError:
    """One ConfigError for all that is wrong: the first in full, the others by their keys.

    Args:
        error: what pydantic found.
        places: where a key stands (file and line, or a ``--set``), by its path.
        default: where, if no place is known.
    """
    found = [_describe(details) for details in error.errors(include_url=False)]
    path, what, hint = found[0]
    others = list(dict.fromkeys(".".join(other) or "the recipe" for other, _, _ in found[1:] if other != path))
    if others:
        hint = f"{hint}; wrong as well: {', '.join(others)}" if hint else f"wrong as well: {', '.join(others)}"
    return ConfigError(what, where=_place(path, places, default), hint=hint)


def _place(path: tuple[str, ...], places: Mapping[tuple[str, ...], str], default: str) -> str:
    """Where a key stands, or else the closest key above it."""
    for depth in range(len(path), 0, -1):
        if path[:depth] in places:
            return places[path[:depth]]
    return default


def _path(location: tuple[int | str, ...]) -> tuple[str, ...]:
    """The key path of a location, without the tag that pydantic puts behind ``representation``."""
    path = tuple(str(key) for key in location if key not in _BRANCHES)
    tagged = len(path) > 1 and path[0] == "representation" and path[1] in KINDS
    return path[:1] + path[2:] if tagged else path


def _describe(details: ErrorDetails) -> tuple[tuple[str, ...], str, str]:
    """Key path, what is wrong, hint."""
    path, kind, context = _path(details["loc"]), details["type"], details.get("ctx", {})
    if kind == "unknown_key":
        path = (*path, context["key"])
    name = f"'{'.'.join(path)}'"
    describe = _SPECIAL.get(kind)
    if describe is not None:
        return path, *describe(name, details["input"], context)
    wanted = _BOUNDS[kind].format(**context) if kind in _BOUNDS else _WANTED.get(kind.rsplit("_", 1)[0])
    if wanted is None:
        wanted = _WANTED.get(kind)
    if wanted is None:
        return path, f"{name}: {details['msg'].lower()}", ""
    hint = _REQUIRED.get(".".join(path), "") if kind == "too_short" else ""
    return path, f"{name} is {_shown(details['input'])}, it must be {wanted}", hint


def _shown(value: Any) -> str:
    text = "empty" if value is None else repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def _unknown_key(name: str, value: Any, context: Mapping[str, Any]) -> tuple[str, str]:
    del value
    return f"unknown key {name}", str(context["hint"])


def _missing(name: str, value: Any, context: Mapping[str, Any]) -> tuple[str, str]:
    del value, context
    return f"{name} is missing", _REQUIRED.get(name.strip("'"), "every recipe must say it")


def _one_of(name: str, value: Any, context: Mapping[str, Any]) -> tuple[str, str]:
    allowed = str(context.get("expected", context.get("expected_tags", ""))).replace(" or ", ", ").replace("'", "")
    names = allowed.split(", ")
    if name == "'schema_version'":
        return f"{name} is {_shown(value)}, this hepgen reads 1", "the recipe is of another version of hepgen"
    if name == "'representation'" and isinstance(value, dict):
        name, value = "'representation.kind'", value.get("kind")
    near = suggest(str(value), names)
    return f"{name} is {_shown(value)}, it must be one of: {', '.join(names)}", near


def _no_tag(name: str, value: Any, context: Mapping[str, Any]) -> tuple[str, str]:
    del value, context
    return f"{name} does not say its kind", f"add kind: {' or kind: '.join(KINDS)}"


def _unknown_family(name: str, value: Any, context: Mapping[str, Any]) -> tuple[str, str]:
    return f"{name} is {_shown(value)}, which is no generator family", str(context["hint"])


def _unknown_method(name: str, value: Any, context: Mapping[str, Any]) -> tuple[str, str]:
    return f"{name} is {_shown(value)}, which is no morphing method", str(context["hint"])


def _own_words(name: str, value: Any, context: Mapping[str, Any]) -> tuple[str, str]:
    del value
    own = str(context["error"])
    return (f"{name}: {own}" if name != "''" else own), ""


_SPECIAL: dict[str, Callable[[str, Any, Mapping[str, Any]], tuple[str, str]]] = {
    "unknown_key": _unknown_key,
    "missing": _missing,
    "literal_error": _one_of,
    "union_tag_invalid": _one_of,
    "union_tag_not_found": _no_tag,
    "unknown_family": _unknown_family,
    "unknown_method": _unknown_method,
    "value_error": _own_words,
}
