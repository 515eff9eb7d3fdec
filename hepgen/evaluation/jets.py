"""Jets with constituents as the evaluation sees them."""

from __future__ import annotations

from collections.abc import Callable
from copy import copy
from functools import cached_property

import awkward as ak
import numpy as np

from hepgen.classifiers.multiclass import NetworkPosterior
from hepgen.classifiers.sets import SetClassifier, SetNetwork, SetOptions, SetShape
from hepgen.classifiers.trees import TreeClassifier, TreeOptions
from hepgen.errors import InputFileError, suggest_or_list
from hepgen.evaluation.domain import Array, ClassifierTest, Compared, Events, FloatArray, PlainDomain, Pool
from hepgen.evaluation.histograms import Axis, Observable, axis_for
from hepgen.evaluation.jet_features import (
    HARDEST,
    block_slice,
    blocks_of,
    jet_observables,
    log_polynomials,
    polynomials,
    raw_jets,
    raw_width,
    set_features,
)
from hepgen.evaluation.jet_layouts import CommonJets, known_roles
from hepgen.evaluation.jet_reading import jets_of_width
from hepgen.evaluation.jet_scores import add_jet_scores
from hepgen.evaluation.sanity import weights_of
from hepgen.evaluation.scores import ScoreBook
from hepgen.evaluation.within_values import discrete_conditions, within_values
from hepgen.events.constituents import Jets
from hepgen.events.jets import unit_of_pt
from hepgen.events.schema import Schema

_UNUSABLE = (
    "constituents that are not finite",
    "jets that are not finite",
    "jets of no pt",
    "jets of negative pt",
)


class JetDomain(PlainDomain):
    """Jets, one an event.

    Args:
        schema: of the reference.
        common: where the jets are, and what those of other files have in common with them; of jets that are longer than
            its width the hardest constituents are judged.
        conditions: scalar columns, or ``jet_pt``, ``jet_eta``, ``jet_phi``, ``jet_mass`` of the jets as the file gives
            them; the jets' pt where None and known. Types of jets (``jet_pdgid``) are a condition like others.
        weight: column of event weights.
        hardest: constituents that energy-flow polynomials are made of.
        trees, sets: options of the classifiers.
        matches: groups of jets behind coverage and MMD.

    Raises:
        InputFileError: if a condition is no scalar column and nothing that is known of the jets.
    """

    kind = "jets"
    spectrum = None
    distance_scale = "maximum"
    nearest_scale = "deviation"

    def __init__(
        self,
        schema: Schema,
        common: CommonJets,
        *,
        conditions: tuple[str, ...] | None = None,
        weight: str | None = None,
        hardest: int = 30,
        trees: TreeOptions | None = None,
        sets: SetOptions | None = None,
        matches: int = 3,
    ) -> None:
        self.common = common
        self.jets = columns = common.reference
        self.width = common.width
        self.hardest = hardest
        self.trees = trees or TreeOptions()
        self.sets = sets or SetOptions()
        self.matches = matches
        has_pt = "jet_pt" in common.roles
        self.unit = unit_of_pt(schema, columns) if has_pt else ""
        known = [role for role in common.roles if role in known_roles(columns)]
        if conditions is None:
            conditions = (columns.jet_pt or "jet_pt",) if has_pt and (columns.jet_pt or columns.features) else ()
        scalars = [column.name for column in schema if not column.jagged and not column.shape]
        for name in conditions:
            if name not in scalars and name not in known:
                hint = suggest_or_list(name, [*known, *scalars])
                raise InputFileError(f"no scalar column '{name}'", where=f"tree '{schema.tree}'", hint=hint)
        self.condition_names = conditions
        self.weight = weight
        named = {getattr(columns, role): role for role in known}
        self._roles = {
            name: named.get(name, name)
            for name in conditions
            if name in named or (name in known and name not in scalars)
        }
        self._of_file = tuple(name for name in conditions if name not in self._roles)
        self._further = (*self._of_file, *((weight,) if weight else ()))
        self.columns = tuple(dict.fromkeys((*columns.names, *self._further)))

    def for_file(self, schema: Schema) -> JetDomain:
        """The same with the columns that hold the jets of another file.

        Raises:
            UsageError: if it has no jets.
            InputFileError: if it lacks a condition or the weight.
        """
        columns = self.common.columns_of(schema)
        for name in self._further:
            schema[name]
        if columns == self.jets:
            return self
        found = copy(self)
        found.jets = columns
        found.columns = tuple(dict.fromkeys((*columns.names, *self._further)))
        return found

    @property
    def raw_bytes(self) -> int:
        """Memory of the raw values of a jet."""
        return 4 * raw_width(self.width)

    @cached_property
    def observables(self) -> tuple[Observable, ...]:
        """Of the sum of the constituents, of the shape, and the hardest constituents."""
        shares = [Observable(f"ptrel.{rank}", f"pt of constituent {rank} / pt of the jet") for rank in HARDEST]
        return (
            Observable("pt", "pt of the constituents' sum", self.unit),
            Observable("eta", "eta of the constituents' sum"),
            Observable("mass", "mass of the constituents' sum", self.unit),
            Observable("mass_rel", "mass of massless constituents / pt of the jet"),
            Observable("multiplicity", "number of constituents", integer=True),
            Observable("tau21", "tau2 / tau1"),
            Observable("tau32", "tau3 / tau2"),
            Observable("d2", "D2"),
            *shares,
        )

    def read(self, batch: ak.Array) -> Events:
        """Raw values, see `hepgen.evaluation.jet_features`, and conditions of a batch.

        Raises:
            InputFileError: if columns of a jet differ in length, with the row.
        """
        jets = self.common.share(jets_of_width(batch, self.jets, self.width, self.common.most))
        conditions = np.zeros((len(jets), len(self.condition_names)))
        for index, name in enumerate(self.condition_names):
            conditions[:, index] = self._condition(batch, jets, name)
        finite = np.asarray(np.isfinite(conditions).all(axis=1))
        bad = np.any([jets.problems[name] for name in _UNUSABLE], axis=0)
        weights, wrong = weights_of(batch, self.weight)
        bad |= ~np.isfinite(weights)
        problems = {**jets.problems, "conditions that are not finite": ~finite, **wrong}
        with np.errstate(invalid="ignore", over="ignore"):
            raw = raw_jets(jets)
        return Events(raw, conditions, weights, finite & ~bad, problems)

    def _condition(self, batch: ak.Array, jets: Jets, name: str) -> FloatArray:
        if name in self._roles:
            return np.asarray(getattr(jets.jet, self._roles[name].removeprefix("jet_")))
        return np.asarray(ak.to_numpy(batch[name]), dtype=np.float64)

    def observe(self, raw: Array, conditions: FloatArray) -> FloatArray:
        """Columns in the order of ``observables``."""
        return jet_observables(raw)

    def distance_features(self, raw: Array, conditions: FloatArray) -> FloatArray:
        """The 36 energy-flow polynomials of FPD and KPD (arXiv:2211.10295)."""
        return polynomials(raw, self.hardest)

    def nearest_features(self, raw: Array, conditions: FloatArray) -> Array:
        """ptrel, etarel and phirel of the hardest constituents."""
        jets = blocks_of(raw, self.hardest)
        return np.concatenate([jets.ptrel, jets.etarel, jets.phirel], axis=1)

    def axes(self, pool: Pool) -> tuple[list[Axis], None]:
        """Axes by the reference."""
        return [axis_for(x, column) for x, column in zip(self.observables, pool.observables.T, strict=True)], None

    def add_own(self, book: ScoreBook, compared: Compared) -> None:
        """W1M, W1P, W1EFP, coverage and MMD."""
        samples = compared.reference, compared.generated, compared.raw_splits, compared.parts
        add_jet_scores(book, *samples, hardest=self.hardest, repeats=self.matches)

    def tests(self, reference: Array, conditions: FloatArray) -> tuple[ClassifierTest, ...]:
        """Boosted trees on high-level features, and a network on the set of constituents.

        Where a condition has a few values, as the type of jets has, trees see the features relative to those of the
        reference at the same value, too. The control exchanges the directions of constituents among jets.
        """
        part, present = block_slice("etarel", self.width), block_slice("ptrel", self.width)
        words = "etarel of each constituent permuted among jets of equal condition"
        return (
            ClassifierTest(
                "high",
                "high-level features",
                self._high(reference, conditions),
                self._trees,
                words,
                part,
                None,
                present,
            ),
            ClassifierTest("set", "constituents", set_features, self._set, words, part, self._posterior, present),
        )

    def _high(self, reference: Array, conditions: FloatArray) -> Callable[[Array, FloatArray], FloatArray]:
        discrete = discrete_conditions(conditions)
        if not discrete:
            return self.high_features
        known = self.high_features(reference, conditions)[:, : -conditions.shape[1]]
        within = [within_values(known, conditions, column) for column in discrete]

        def features(raw: Array, given: FloatArray) -> FloatArray:
            plain = self.high_features(raw, given)
            relative = [one(plain[:, : -given.shape[1]], given) for one in within]
            return np.concatenate([plain, *relative], axis=1)

        return features

    def _trees(self) -> TreeClassifier:
        return TreeClassifier(self.trees)

    def _shape(self) -> SetShape:
        return SetShape(particles=self.width, per_particle=3, columns=len(self.condition_names))

    def _set(self) -> SetClassifier:
        return SetClassifier(self._shape(), self.sets)

    def _posterior(self) -> NetworkPosterior:
        return NetworkPosterior(SetNetwork(self._shape(), self.sets))

    def high_features(self, raw: Array, conditions: FloatArray) -> FloatArray:
        """Observables, logarithms of prime polynomials, and conditions."""
        return np.concatenate([self.observe(raw, conditions), log_polynomials(raw, self.hardest), conditions], axis=1)
