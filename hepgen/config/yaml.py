"""YAML as people mean it: 1e-3 is a number, no is a word, 12:30 is text, and a key stands once.

PyYAML reads YAML 1.1, where ``1e-3`` is a string, ``no`` is false, and the last of two equal keys wins in silence;
this module reads the core of YAML 1.2, and never builds anything but plain values.
"""

from __future__ import annotations

import re
from typing import Any

import yaml

from hepgen.errors import ConfigError

_CORE = (
    ("tag:yaml.org,2002:bool", r"true|True|TRUE|false|False|FALSE", "tTfF"),
    ("tag:yaml.org,2002:null", r"~|null|Null|NULL|", ["~", "n", "N", ""]),
    ("tag:yaml.org,2002:int", r"[-+]?(?:0|[1-9][0-9]*)|0x[0-9a-fA-F]+", "-+0123456789"),
    (
        "tag:yaml.org,2002:float",
        r"[-+]?(?:\.[0-9]+|[0-9]+\.[0-9]*)(?:[eE][-+]?[0-9]+)?|[-+]?[0-9]+[eE][-+]?[0-9]+|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)",
        "-+0123456789.",
    ),
    ("tag:yaml.org,2002:merge", r"<<", "<"),
)


class _Loader(yaml.SafeLoader):
    yaml_implicit_resolvers: dict[str, Any] = {}

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen: set[str] = set()
        for key, _ in node.value:
            if isinstance(key, yaml.ScalarNode) and key.value in seen:
                raise yaml.constructor.ConstructorError(
                    None, None, f"the key '{key.value}' stands twice", key.start_mark
                )
            seen.add(str(key.value))
        return super().construct_mapping(node, deep)


class _Dumper(yaml.SafeDumper):
    """Quotes what either version of YAML would take for something else than text."""

    def ignore_aliases(self, data: Any) -> bool:
        del data
        return True


for _tag, _pattern, _first in _CORE:
    _Loader.add_implicit_resolver(_tag, re.compile(f"^(?:{_pattern})$"), list(_first))
    _Dumper.add_implicit_resolver(_tag, re.compile(f"^(?:{_pattern})$"), list(_first))


def parse_yaml(text: str, where: str = "") -> Any:
    """Parse YAML text into plain values.

    Raises:
        ConfigError: if it is not YAML, with line and column.

    Example:
        >>> parse_yaml("{learning_rate: 1e-3, name: no, files: [a.root]}")
        {'learning_rate': 0.001, 'name': 'no', 'files': ['a.root']}
    """
    try:
        return yaml.load(text, Loader=_Loader)
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        mark = getattr(error, "problem_mark", None)
        place = f"line {mark.line + 1}, column {mark.column + 1}" if mark else ""
        problem = getattr(error, "problem", None) or str(error)
        hint = "YAML indents with spaces, not with tabs" if "\\t" in problem else ""
        raise ConfigError(
            f"this is not YAML: {problem}", where=", ".join(filter(None, (where, place))), hint=hint
        ) from error


def format_yaml(value: Any) -> str:
    """Plain values as YAML, keys in their order.

    Example:
        >>> format_yaml({"name": "no", "steps": "1e4"})
        "name: 'no'\\nsteps: '1e4'\\n"
    """
    return yaml.dump(value, Dumper=_Dumper, sort_keys=False, width=110)


def key_lines(text: str) -> dict[tuple[str, ...], int]:
    """The line on which each key of a YAML text stands, by its path.

    Example:
        >>> key_lines("data:\\n  files: [a]\\nname: x\\n")
        {('data',): 1, ('data', 'files'): 2, ('data', 'files', '0'): 2, ('name',): 3}
    """
    lines: dict[tuple[str, ...], int] = {}

    def walk(node: yaml.Node | None, path: tuple[str, ...]) -> None:
        if isinstance(node, yaml.MappingNode):
            for key, value in node.value:
                here = (*path, str(key.value))
                lines[here] = key.start_mark.line + 1
                walk(value, here)
        elif isinstance(node, yaml.SequenceNode):
            for index, value in enumerate(node.value):
                lines[*path, str(index)] = value.start_mark.line + 1
                walk(value, (*path, str(index)))

    walk(yaml.compose(text, Loader=_Loader), ())
    return lines
