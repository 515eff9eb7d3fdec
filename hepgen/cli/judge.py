"""What ``hepgen evaluate`` compares: the samples as a recipe reads them, without events that a model was trained on."""

from __future__ import annotations

import platform
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import hepgen
from hepgen.cli.console import Output
from hepgen.cli.recipes import read_recipe
from hepgen.config.decorrelate import DecorrelateRecipe
from hepgen.config.load import AnyRecipe, parse_recipe
from hepgen.config.morph import MorphRecipe
from hepgen.config.recipe import Recipe
from hepgen.config.representation import CalorimeterRecipe, CloudRecipe, TableRecipe
from hepgen.errors import UsageError
from hepgen.evaluation.domains import kind_of
from hepgen.evaluation.generators import GENERATED
from hepgen.evaluation.jet_layouts import columns_of_jets
from hepgen.events.jets import PARTICLE_CODE, JetColumns, find_jets
from hepgen.events.locate import locate
from hepgen.events.objects import ExplodedSource, explode
from hepgen.events.reader import open_events
from hepgen.events.schema import Schema, is_identity
from hepgen.events.select import select_events
from hepgen.events.showers import find_showers
from hepgen.events.source import EventSource
from hepgen.events.split import SplitRule, split_source
from hepgen.morphing.model import MorphModel
from hepgen.physics.binning import Binning
from hepgen.representations.geometry import check_voxels, read_binning
from hepgen.surrogate.bundle import task_of
from hepgen.surrogate.provenance import describe_input
from hepgen.surrogate.surrogate import Surrogate


def generating(recipe: AnyRecipe) -> Recipe:
    """The recipe by which events are read: of a morph that of its target, of a decorrelation that of its background."""
    if isinstance(recipe, DecorrelateRecipe):
        return recipe.opened()
    return recipe.side("target") if isinstance(recipe, MorphRecipe) else recipe


LAW = "_law."
"""Before the name of a column: what the recipe's definition of it gives."""


_OF_FILES = ("path", "size", "sha256", "sha256_ends")


@dataclass(frozen=True)
class Judge:
    """How samples are read, and by what they are judged.

    Attributes:
        recipe: of the model, or None: then the convention of the reference decides.
        binning: of a calorimeter.
        rule: which events of the inputs trained the model.
        inputs: the files that the model was trained on, as the provenance describes them.
        model: its name, folder, recipe and seed, where there is one.
    """

    recipe: Recipe | None = None
    binning: Binning | None = None
    rule: SplitRule | None = None
    inputs: tuple[dict[str, Any], ...] = field(default=())
    model: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def of(cls, model: Path | None, recipe: Path | None, binning: Path | None, sink: Output) -> Judge:
        """From ``--model``, ``--recipe`` or ``--binning``.

        Raises:
            UsageError: if both a model and a recipe are given.
        """
        if model is not None and recipe is not None:
            raise UsageError(
                "--model and --recipe exclude each other", where="hepgen evaluate", hint="give one of them"
            )
        given = read_binning(binning) if binning is not None else None
        if model is not None:
            return cls._of_model(model, given, sink)
        if recipe is None:
            return cls(None, given)
        loaded = generating(read_recipe(recipe))
        own = loaded.representation
        if given is None and isinstance(own, CalorimeterRecipe):
            given = (
                read_binning(own.binning, own.particle)
                if isinstance(own.binning, str)
                else Binning.from_dict(own.binning)
            )
        return cls(loaded, given)

    @classmethod
    def _of_model(cls, folder: Path, given: Binning | None, sink: Output) -> Judge:
        """From a surrogate, or from a morph: of that the target is judged by, and held out."""
        if task_of(folder) == "morph":
            morph = MorphModel.load(folder)
            representation, provenance, facts, recipe = (
                morph.representation, morph.provenance, morph.facts, morph.recipe
            )  # fmt: skip
            inputs = tuple(one for one in provenance["inputs"] if one["side"] == "target")
        else:
            surrogate = Surrogate.load(folder, message=sink.warn)
            representation, provenance, facts, recipe = (
                surrogate.representation, surrogate.provenance, surrogate.data, surrogate.recipe
            )  # fmt: skip
            inputs = tuple(provenance.get("inputs", ()))
        layout = given or getattr(representation, "binning", None)
        rule = SplitRule.from_dict(facts["split"]) if "split" in facts else None
        parsed = generating(parse_recipe(recipe))
        about = {key: provenance.get(key) for key in ("seed", "recipe_sha256", "versions")}
        return cls(parsed, layout, rule, inputs, {"name": parsed.name, "folder": str(folder), **about})

    def open(self, inputs: str | Sequence[str], memory: int) -> EventSource:
        """A sample with the recipe's cut and derived columns, those of the file beside their definition; one row per object in object mode."""
        data = self.recipe.data if self.recipe is not None else None
        tree = data.tree if data is not None else None
        source: EventSource = open_events(inputs, tree=tree, memory=memory)
        own = self.recipe.representation if self.recipe is not None else None
        named = own.voxels if isinstance(own, CalorimeterRecipe) else find_showers(source.schema, self.binning)[0]
        check_voxels(source.schema, self.binning, str(inputs), named)
        if data is None:
            return source
        missing = {name: text for name, text in data.computed.items() if name not in source.schema}
        laws = {f"{LAW}{name}": text for name, text in data.derived.items() if name in source.schema}
        if data.cut is not None or missing or laws:
            source = select_events(source, cut=data.cut, derived=missing | laws)
        return source if data.objects is None else explode(source, data.objects, data.given)

    def held_out(self, reference: EventSource, files: str, sink: Output) -> EventSource:
        """The reference without the events that trained the model.

        Raises:
            UsageError: if only some of the training files are given, or nothing is left.
        """
        paths = [found.path for found in locate(files)]
        trained = [path for path in paths if any(_is_same(path, one) for one in self.inputs)]
        if not trained:
            return reference
        if self.rule is None or len(paths) != len(self.inputs) or len(trained) != len(paths):
            raise UsageError(
                "the model was trained on events of this file", where=trained[0],
                hint="give events that it has not seen, or all of its training files in their order",
            )  # fmt: skip
        for part in ("test", "validation"):
            left = split_source(reference, self.rule, part)
            if left.num_events:
                objects = isinstance(reference, ExplodedSource)
                kept = f"the {left.num_events} objects of its {part}" if objects else f"its {left.num_events} {part}"
                sink.warn(f"the model was trained on this file: only {kept} events are judged")
                return left
        raise UsageError(
            "the model was trained on every event of this file", where=paths[0], hint="give events that it has not seen"
        )

    def training(self, given: str | None, memory: int) -> EventSource | None:
        """The training events: those given, or those of the model, where its files are still there unchanged."""
        if given is not None:
            return self.open(given, memory)
        if self.rule is None or not self.inputs or not all(_is_same(str(one["path"]), one) for one in self.inputs):
            return None
        return split_source(self.open([str(one["path"]) for one in self.inputs], memory), self.rule, "train")

    def unshared(self, options: Mapping[str, Any], reference: Schema, generated: Schema) -> dict[str, list[str]]:
        """The columns of a table that only one sample has, of those that are judged without a recipe or by it."""
        if options["kind"] != "table":
            return {}
        both = {"reference": (reference, generated)}
        if self.recipe is None:
            both["generated sample"] = (generated, reference)
        return {
            which: [
                column.name
                for column in _chosen(own, self.recipe)
                if column.name not in other and not column.jagged and not is_identity(column)
            ]
            for which, (own, other) in both.items()
        }

    def provenance(self, files: Mapping[str, str], training: str | None, device: str) -> dict[str, Any]:
        """What was compared, and with what: files with sizes and hashes, the model, versions and the machine.

        Args:
            files: inputs by the name of their sample.
            training: training events that are not the model's.
            device: where classifiers ran.
        """
        named = {**files, **({"training": training} if training is not None else {})}
        described = {
            name: [describe_input(one.path, "", None) for one in locate(inputs)] for name, inputs in named.items()
        }
        return {
            "files": {
                name: [{key: one[key] for key in _OF_FILES if key in one} for one in found]
                for name, found in described.items()
            },
            "model": self.model or None,
            "versions": {"hepgen": hepgen.__version__, "python": platform.python_version()},
            "machine": {"platform": platform.platform(), "device": device},
        }

    def _kind(self, reference: Schema) -> str:
        """What the recipe is of, or what the columns of the reference look like."""
        if self.recipe is not None:
            return kind_of(self.recipe.representation.kind)
        if reference.convention in {"calochallenge", "par04"} or self.binning is not None:
            return "calorimeter"
        return "jets" if find_jets(reference) is not None else "table"

    def options(self, reference: Schema, generated: Schema, kind: str | None = None) -> dict[str, Any]:
        """Keywords of ``hepgen.evaluation.run.evaluate``: kind, binning, columns, conditions, weight, threshold.

        Args:
            reference, generated: columns of both samples.
            kind: of the events, where the user says it.

        Raises:
            UsageError: if these are showers and their binning is not known, or not of the kind that the recipe is of.
        """
        own = self.recipe.representation if self.recipe is not None else None
        found = self._kind(reference)
        if kind is not None and kind != found and "calorimeter" in {kind, found} and self.recipe is not None:
            raise UsageError(f"the recipe is of a {found}, not of the kind '{kind}'", where="--kind")
        if (kind or found) == "jets":
            roles = own.roles if isinstance(own, CloudRecipe) else {}
            named = (find_jets(reference) or JetColumns()).with_roles(**roles)
            jets = named if roles else columns_of_jets(reference)
            return {"kind": "jets", "jets": jets, "conditions": self._conditions_of_jets(jets, reference, generated)}
        if isinstance(own, CalorimeterRecipe):
            return {
                "kind": "calorimeter", "binning": self.binning, "energy": own.energy, "voxels": own.voxels,
                "conditions": own.conditions, "threshold": own.threshold or None, "energy_unit": own.energy_unit,
            }  # fmt: skip
        if (kind or found) == "calorimeter":
            if self.binning is None:
                raise UsageError("showers are judged on their binning", hint="give --model, --recipe or --binning")
            voxels, energy = find_showers(reference, self.binning)
            return {"kind": "calorimeter", "binning": self.binning, "voxels": voxels, "energy": energy}
        data = self.recipe.data if self.recipe is not None else None
        conditions = [
            *(own.conditions if isinstance(own, TableRecipe) else ()),
            *(data.given if data is not None else ()),
        ]
        columns = [
            column.name
            for column in _chosen(reference, self.recipe)
            if not column.name.startswith(LAW)
            and column.name in generated
            and not column.jagged
            and not is_identity(column)
        ]
        return {
            "kind": "table", "columns": columns, "conditions": list(dict.fromkeys(conditions)),
            "weight": data.weight if data is not None else None,
            "laws": {
                name.removeprefix(LAW): name for name in reference.names if name.startswith(LAW) and name in generated
            },
        }  # fmt: skip

    def _conditions_of_jets(self, jets: JetColumns, reference: Schema, generated: Schema) -> list[str]:
        """The numbers of a jet that its recipe is conditioned on, without one its type, beside its pt, which always is one.

        Example:
            >>> from hepgen.events.schema import Column
            >>> schema = Schema((Column("jet_type", "int32"), Column("jet_pt", "float32")))
            >>> recipe = Recipe.model_validate({
            ...     "name": "jets", "data": {"files": ["a.root"]}, "generator": "matching",
            ...     "representation": {"kind": "particle_cloud", "conditions": ["jet_type", "multiplicity"]},
            ... })
            >>> Judge(recipe)._conditions_of_jets(JetColumns(jet_pt="jet_pt"), schema, schema)
            ['jet_pt', 'jet_type']
            >>> typed = Schema((Column("jet_pt", "float32"), Column("jet_pdgid", "int32")))
            >>> Judge(None)._conditions_of_jets(JetColumns(jet_pt="jet_pt"), typed, typed)
            ['jet_pt', 'jet_pdgid']
        """
        both = [one.name for one in reference if not (one.jagged or one.shape) and one.name in generated]
        own = self.recipe.representation if self.recipe is not None else None
        wanted = own.conditions if isinstance(own, CloudRecipe) else []
        if self.recipe is None:
            wanted = [name for name in both if PARTICLE_CODE.search(name)]
        named = [name for name in wanted if name in both and not generated[name].jagged]
        return list(dict.fromkeys([*filter(None, [jets.jet_pt]), *named])) if named else []


def named_files(texts: Sequence[str]) -> dict[str, str]:
    """The files of ``--also``, by the name of their generator.

    Raises:
        UsageError: for a text without a name, and for a name that stands twice or is taken.

    Example:
        >>> named_files(["flow=a.root", "gan=b.root"])
        {'flow': 'a.root', 'gan': 'b.root'}
    """
    found: dict[str, str] = {}
    for text in texts:
        name, sign, file = text.partition("=")
        if not (sign and file and re.fullmatch(r"\w[\w.-]*", name)):
            raise UsageError(
                f"cannot read '{text}'", where="--also", hint="write NAME=FILE, such as --also gan=gan.root"
            )
        if name in found or name == GENERATED:
            raise UsageError(
                f"the name '{name}' is taken", where="--also", hint="give every generator a name of its own"
            )
        found[name] = file
    return found


def _chosen(reference: Schema, recipe: Recipe | None) -> Schema:
    """The columns that a recipe learns or derives; all without one."""
    if recipe is None:
        return reference
    data = recipe.data
    if data.objects is not None:
        chosen = {name for name in reference.names if name not in data.given}
    else:
        chosen = {*reference.select(data.columns).names, *data.derived} - {data.weight, *data.define}
    return reference.replace(column for column in reference if column.name in chosen)


def _is_same(path: str, known: dict[str, Any]) -> bool:
    """Whether a file is one that the provenance describes: by its content where it has a hash, else by its path."""
    file = Path(path)
    if not file.is_file():
        return False
    if "size" not in known:
        return file.resolve() == Path(str(known["path"])).resolve()
    if file.stat().st_size != known["size"]:
        return False
    found = describe_input(path, "", None)
    return all(found[key] == known[key] for key in ("sha256", "sha256_ends") if key in found and key in known)
