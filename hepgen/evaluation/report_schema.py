"""The JSON Schema of ``report.json``, made from the data classes of a report and the words of their docstrings.

It lies beside this module as ``report.schema.json`` and ships with the package. After a change of ``Report`` or of what
it holds, write the file anew with ``python -m hepgen.evaluation.report_schema``; a test compares the two.
"""

from __future__ import annotations

import inspect
import json
import re
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any, get_args, get_type_hints

from pydantic import TypeAdapter

from hepgen.evaluation.report import SCHEMA_VERSION, Report
from hepgen.evaluation.report_parts import SampleSanity

SCHEMA_FILE = Path(__file__).with_name("report.schema.json")
SCHEMA_ID = "https://github.com/hepgen/hepgen/blob/main/hepgen/evaluation/report.schema.json"

_SHAPES = {"sanity": dict[str, SampleSanity]}  # in a report these are dictionaries already
_LEFT_OUT = {"Score": {"comment", "infinite_z"}, "Problem": {"left_out"}}  # where they are empty


def report_schema() -> dict[str, Any]:
    """The schema, as JSON-able dictionaries.

    Raises:
        KeyError: if the docstring of a data class says nothing of one of its fields.
    """
    words = attribute_words(Report)
    hints = {**get_type_hints(Report), **_SHAPES}
    properties: dict[str, Any] = {
        "schema_version": {
            "const": SCHEMA_VERSION,
            "description": "version of this format; it changes with its meaning.",
        }
    }
    parts: dict[str, Any] = {}
    classes: dict[str, type] = {}
    # what is only drawn takes no part in the comparison of reports, nor in their JSON
    for name in [field.name for field in fields(Report) if field.compare]:
        found = TypeAdapter(hints[name]).json_schema()
        parts |= found.pop("$defs", {})
        classes |= _data_classes(hints[name])
        properties[name] = {**found, "description": words[name]}
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": SCHEMA_ID,
        "title": "Report of hepgen evaluate",
        "description": _plain(inspect.getdoc(Report) or "").partition("\n")[0],
        **_strict(properties, set()),
        "$defs": {name: _part(classes[name], parts[name]) for name in sorted(parts)},
    }


def schema_text() -> str:
    """The content of ``report.schema.json``."""
    return json.dumps(report_schema(), indent=2) + "\n"


def attribute_words(kind: type) -> dict[str, str]:
    """What the section ``Attributes:`` of a docstring says of each of them.

    Example:
        >>> attribute_words(SampleSanity)["left_out"]
        'number of events that no score could take.'
    """
    section = (inspect.getdoc(kind) or "").partition("Attributes:\n")[2]
    section = re.split(r"\n\s*\n|\n(?=\S)", section, maxsplit=1)[0]
    found: dict[str, str] = {}
    for entry in re.split(r"\n(?= {4}\S)", section):
        names, _, text = entry.partition(":")
        found |= dict.fromkeys((name.strip() for name in names.split(",")), _plain(" ".join(text.split())))
    return found


def _data_classes(hint: Any) -> dict[str, type]:
    """The data classes that a type is made of, by name."""
    inner = get_type_hints(hint).values() if is_dataclass(hint) else get_args(hint)
    found = {hint.__name__: hint} if isinstance(hint, type) and is_dataclass(hint) else {}
    return found | {name: kind for one in inner for name, kind in _data_classes(one).items()}


def _part(kind: type, found: dict[str, Any]) -> dict[str, Any]:
    """The schema of a data class within the report, with a description of every field."""
    words = attribute_words(kind)
    properties = {
        name: {key: value for key, value in entry.items() if key not in {"title", "default"}}
        for name, entry in found["properties"].items()
    }
    for name, entry in properties.items():
        entry["description"] = words[name]
    head = {"description": _plain(inspect.getdoc(kind) or "").partition("\n")[0]}
    return {**head, **_strict(properties, _LEFT_OUT.get(kind.__name__, set()))}


def _strict(properties: dict[str, Any], optional: set[str]) -> dict[str, Any]:
    """An object with these fields and no others."""
    required = [name for name in properties if name not in optional]
    return {"type": "object", "additionalProperties": False, "required": required, "properties": properties}


def _plain(text: str) -> str:
    return text.replace("``", "`")


if __name__ == "__main__":
    SCHEMA_FILE.write_text(schema_text(), encoding="utf-8")
