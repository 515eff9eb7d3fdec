"""Write docs/recipes.md from the models of hepgen.config, so that the page cannot fall behind: python docs/make_recipes.py."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any, get_args

from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from hepgen.config.data import DataRecipe, SplitRecipe
from hepgen.config.decorrelate import BackgroundRecipe, DecorrelateRecipe, DecorrelationOptions
from hepgen.config.families import FAMILIES
from hepgen.config.methods import METHODS
from hepgen.config.morph import MorphRecipe, SideRecipe, WeightsRecipe
from hepgen.config.part import Part
from hepgen.config.recipe import Recipe, SamplingRecipe, StageRecipe, TrainingRecipe
from hepgen.config.representation import CalorimeterRecipe, CloudRecipe, ColumnOptions, TableRecipe

PAGE = Path(__file__).with_name("recipes.md")

HEAD = """# Recipes

<!-- written by docs/make_recipes.py from the models in hepgen/config; change those -->

A recipe is a YAML file that says everything that decides what a training learns. `hepgen inspect FILE --config` prints
one for a data file, [configs](../configs) holds ready ones, and `hepgen config show RECIPE.yaml` prints one with every
default written out, as a run stores it. `hepgen config schema` gives a JSON schema, which editors use to complete keys.

```yaml
schema_version: 1
name: ttbar
data:
  files: [ttbar_train.root]
  cut: met > 20 and abs(lepton_eta) < 2.4
  derived:
    lepton_pz: lepton_pt * sinh(lepton_eta)
representation:
  kind: table
  columns:
    lepton_phi: {kind: cyclic, period: 6.283185307179586, unit: rad}
generator: coupling
```

- An unknown key is an error, with a suggestion and the line on which it stands.
- Relative paths in a recipe are relative to the recipe. Paths on a command line (`--data`, `--set data.files=...`) are
  relative to where you are.
- `--set a.b=VALUE` changes one key; the value is YAML: `--set training.steps=1e4`,
  `--set "options.coupling.hidden=[128, 128]"`, `--set data.cut="met > 20"`, `--set training.patience=null`.
- `--set generator=gan` takes that family for every stage, whatever the recipe says for single stages;
  `--set stages.shapes.generator=gan` takes it for one.
- YAML is read as version 1.2 has it: `1e-3` is a number, `no` is a word. A key that stands twice is an error.
- Columns under `derived` are computed from generated ones. Each of those may be nearly right and a mass made of six of them
  visibly wrong: `sampling: {unweight: true}` accepts rows of a table by a fitted chance that gives every column, derived
  ones too, its distribution, at the price of a few draws per row.
- Energies are in MeV for calorimeters, where neither the file nor `energy_unit` says otherwise; tables keep the units of their file.
"""

SECTIONS: tuple[tuple[str, str, type[Part]], ...] = (
    ("The recipe", "", Recipe),
    ("data", "", DataRecipe),
    ("split", "The rule is stored with the run: no event is judged by a model that was trained on it.", SplitRecipe),
    ("representation, kind: calorimeter", "Stages: `energies`, then `shapes`.", CalorimeterRecipe),
    (
        "representation, kind: table",
        "Stages: `discrete` (columns with a few values, and which values are absent), then `columns`, the rest.",
        TableRecipe,
    ),
    (
        "representation, kind: particle_cloud",
        "Stages: `jet` (`jet_discrete` before it, where a number of a jet has few values), then `constituents`.",
        CloudRecipe,
    ),
    ("representation.columns.NAME", "For `kind: table` and the numbers of `kind: particle_cloud`.", ColumnOptions),
    ("stages.NAME", "", StageRecipe),
    ("training", "", TrainingRecipe),
    ("sampling", "", SamplingRecipe),
)
MORPH: tuple[tuple[str, str, type[Part]], ...] = (
    (
        "The recipe of a morph",
        "`split`, `representation` and `training` are those above. What it does: [morphing.md](morphing.md).",
        MorphRecipe,
    ),
    ("source, target", "", SideRecipe),
    ("weights", "", WeightsRecipe),
)

DECORRELATE: tuple[tuple[str, str, type[Part]], ...] = (
    (
        "The recipe of a decorrelation",
        "`split` and `training` are those above. What it does: [decorrelation.md](decorrelation.md).",
        DecorrelateRecipe,
    ),
    ("data of a decorrelation", "", BackgroundRecipe),
    ("options of a decorrelation", "", DecorrelationOptions),
)


def kind_of(annotation: Any) -> str:
    """A type as a reader of YAML would say it."""
    if isinstance(annotation, type) and issubclass(annotation, Part):
        return "mapping"
    text = str(annotation) if get_args(annotation) else getattr(annotation, "__name__", str(annotation))
    text = re.sub(r"typing\.|hepgen\.config\.\w+\.|Annotated\[(list\[str\]).*", r"\1", text)
    text = re.sub(r"^Optional\[(.*)\]$", r"\1", text)
    literal = re.fullmatch(r"(?:list\[)?Literal\[(.*?)\]\]?", text)
    if literal:
        values = ", ".join(f"`{value}`" for value in literal[1].replace("'", "").split(", "))
        return f"list of {values}" if text.startswith("list") else values
    text = text.replace(" | None", "").replace("dict[str, Any]", "mapping")
    text = re.sub(r"dict\[(.*)\]", "mapping", text)
    text = re.sub(r"list\[(\w+)\]", r"list of \1s", text).replace("list of strs", "list of text")
    for python, plain in (("str", "text"), ("ints?", "whole number"), ("floats?", "number"), ("bool", "true or false")):
        text = re.sub(
            rf"(list of )?\b{python}\b", lambda found, plain=plain: f"list of {plain}s" if found[1] else plain, text
        )
    return "mapping" if "Recipe" in text or "Options" in text else text.replace(" | ", " or ")


def default_of(field: FieldInfo) -> str:
    if field.default is PydanticUndefined:
        return "required"
    if field.default is None or isinstance(field.default, Part):
        return ""
    return f"`{json.dumps(field.default)}`"


def bounds_of(field: FieldInfo) -> str:
    signs = {"gt": ">", "ge": ">=", "lt": "<", "le": "<="}
    found = [
        f"{sign} {getattr(rule, key):g}" for rule in field.metadata for key, sign in signs.items() if hasattr(rule, key)
    ]
    return f" {', '.join(found)}" if found else ""


def table(model: type[Part]) -> str:
    """The keys of one model as a Markdown table."""
    rows = ["| key | value | default | meaning |", "| --- | --- | --- | --- |"]
    for name, field in model.model_fields.items():
        meaning = (
            (field.description or "")
            .replace("\n", " ")
            .replace("|", "\\|")
            .replace("<objects>_*", "`objects`_\\*")
            .replace("Jet_*", "`Jet_*`")
            .replace("``", "`")
        )
        rows.append(f"| `{name}` | {kind_of(field.annotation)}{bounds_of(field)} | {default_of(field)} | {meaning} |")
    return "\n".join(rows)


def summary(model: type[Part]) -> str:
    """The first paragraph of a model's docstring."""
    return (model.__doc__ or "").split("\n\n")[0].strip().replace("``", "`")


def page() -> str:
    parts = [HEAD]
    for title, text, model in SECTIONS:
        parts.append(f"## {title}\n\n{summary(model)} {text}".rstrip() + f"\n\n{table(model)}\n")
    parts += [
        f"## options.{name}\n\n{summary(family.options)}\n\n{table(family.options)}\n"
        for name, family in FAMILIES.items()
    ]
    parts += [
        f"## {title}\n\n{summary(model)} {text}".rstrip() + f"\n\n{table(model)}\n" for title, text, model in MORPH
    ]
    parts += [
        f"## method: {name}\n\n{summary(method.options)}\n\n{table(method.options)}\n"
        for name, method in METHODS.items()
    ]
    parts += [
        f"## {title}\n\n{summary(model)} {text}".rstrip() + f"\n\n{table(model)}\n"
        for title, text, model in DECORRELATE
    ]
    return "\n".join(parts)


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
