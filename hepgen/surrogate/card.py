"""The model card: what a surrogate is for, what it was trained on, where it is valid, how good it is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from hepgen.representations.base import ConditionRange


def format_range(one: ConditionRange) -> str:
    """The validity range of a condition in words.

    Example:
        >>> format_range(ConditionRange("incident_energy", 256.0, 512.0, "MeV", (256.0, 512.0)))
        '256, 512 MeV'
        >>> format_range(ConditionRange("eta", -1.0, 1.0))
        '-1 to 1'
    """
    unit = f" {one.unit}" if one.unit else ""
    if one.values is not None and len(one.values) <= 16:
        return ", ".join(f"{value:g}" for value in one.values) + unit
    return f"{one.low:g} to {one.high:g}{unit}"


def write_card(
    recipe: Mapping[str, Any],
    parts: Sequence[Mapping[str, Any]],
    validity: Sequence[ConditionRange],
    columns: Sequence[str],
    provenance: Mapping[str, Any],
    scores: Mapping[str, Mapping[str, Any]] | None = None,
) -> str:
    """Markdown of the card.

    Args:
        parts: stage, family, features and conditions of each network.
        columns: names of the generated columns.
        scores: ``{name: {value, error, floor, z, n}}`` as ``hepgen evaluate`` gives them.
    """
    training = provenance.get("training", {})
    lines = [
        f"# {recipe['name']}",
        "",
        f"A hepgen surrogate ({recipe['representation']['kind']}). `hepgen sample MODEL -n N -o OUT.root` generates events.",
        "",
        "## Output",
        "",
        ", ".join(f"`{name}`" for name in columns),
        "",
        "## Validity",
        "",
    ]
    lines += [f"- `{one.name}`: {format_range(one)}" for one in validity] or ["There are no conditions."]
    lines += [
        "",
        "Outside this range `hepgen sample` refuses, unless it is told `--extrapolate`.",
        "A surrogate that was trained on N events holds the information of about N, however many it generates.",
        "",
        "## Training",
        "",
    ]
    if "events" in training:
        lines.append(f"- {training['events']} training events, {training.get('validation_events', 0)} for validation")
    for part in parts:
        steps = training.get("steps", {}).get(part["stage"])
        tail = f", {steps} steps" if steps is not None else ""
        lines.append(
            f"- stage `{part['stage']}`: {part['family']}, {part['features']} features given {part['conditions']}{tail}"
        )
    lines += [f"- input `{one['path']}`" for one in provenance.get("inputs", ())]
    lines += ["", "## Scores", ""]
    if scores:
        lines += ["| score | value | error | true against true | n |", "|---|---|---|---|---|"]
        lines += [
            f"| {name} | {_number(one, 'value')} | {_number(one, 'error')} | {_number(one, 'floor')} | {one.get('n', '')} |"
            for name, one in scores.items()
        ]
    else:
        lines.append("Not measured yet: `hepgen evaluate REFERENCE GENERATED` measures them.")
    return "\n".join(lines) + "\n"


def _number(score: Mapping[str, Any], key: str) -> str:
    value = score.get(key)
    return f"{value:.4g}" if isinstance(value, int | float) else ""
