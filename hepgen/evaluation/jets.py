"""Jets with constituents as the evaluation sees them."""

from __future__ import annotations

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
from hepgen.evaluation.jet_reading import jets_of_width
from hepgen.evaluation.jet_scores import add_jet_scores
from hepgen.evaluation.sanity import weights_of
from hepgen.evaluation.scores import ScoreBook
from hepgen.events.constituents import Jets
from hepgen.events.jets import JetColumns, unit_of_pt
from hepgen.events.schema import Schema

_OF_JETS = ("jet_pt", "jet_eta", "jet_phi", "jet_mass")
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
        columns: where the jets are.
        width: constituents of the raw values, see `hepgen.evaluation.jet_reading.common_width`; of longer jets the hardest are judged.
        conditions: scalar columns, or ``jet_pt``, ``jet_eta``, ``jet_phi``, ``jet_mass`` of the jets as the file gives
            them; the jets' pt where None and known. Types of jets (``jet_pdgid``) are a condition like others.
        weight: column of event weights.
        max_constituents: of a jet; softer ones do not count, as in files that hold no more.
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
        columns: JetColumns,
        *,
        width: int,
        conditions: tuple[str, ...] | None = None,
        weight: str | None = None,
        max_constituents: int | None = None,
        hardest: int = 30,
        trees: TreeOptions | None = None,
        sets: SetOptions | None = None,
        matches: int = 3,
    ) -> None:
        self.jets = columns
        self.width = width
        self.max_constituents = max_constituents
        self.hardest = hardest
        self.trees = trees or TreeOptions()
        self.sets = sets or SetOptions()
        self.matches = matches
        self.unit = unit_of_pt(schema, columns)
        known = [role for role in _OF_JETS if columns.features and role != "jet_phi"]
        known += [
            role for role in _OF_JETS if not columns.features and (getattr(columns, role) or not columns.relative)
        ]
        if conditions is None:
            conditions = (columns.jet_pt or "jet_pt",) if columns.jet_pt or columns.features else ()
        scalars = [column.name for column in schema if not column.jagged and not column.shape]
        for name in conditions:
            if name not in scalars and name not in known:
                hint = suggest_or_list(name, [*known, *scalars])
                raise InputFileError(f"no scalar column '{name}'", where=f"tree '{schema.tree}'", hint=hint)
        self.condition_names = conditions
        self.weight = weight
        self._of_file = tuple(name for name in conditions if name in scalars)
        further = (*self._of_file, *((weight,) if weight else ()))
        self.columns = tuple(dict.fromkeys((*columns.names, *further)))

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
        jets = jets_of_width(batch, self.jets, self.width, self.max_constituents)
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
        if name in self._of_file:
            return np.asarray(ak.to_numpy(batch[name]), dtype=np.float64)
        return np.asarray(getattr(jets.jet, name.removeprefix("jet_")))

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

        The control exchanges the directions of constituents among jets.
        """
        part, present = block_slice("etarel", self.width), block_slice("ptrel", self.width)
        words = "etarel of each constituent permuted among jets of equal condition"
        return (
            ClassifierTest("high", "high-level features", self.high_features, self._trees, words, part, None, present),
            ClassifierTest("set", "constituents", set_features, self._set, words, part, self._posterior, present),
        )

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
