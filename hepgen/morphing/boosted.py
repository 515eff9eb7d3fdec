"""Weights by gradient-boosted trees: scikit-learn's on the log loss, or hep_ml's reweighter (arXiv 1608.05806)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from hepgen.classifiers.base import LabelledEvents
from hepgen.classifiers.forest import Forest, Tree
from hepgen.classifiers.trees import BoostedTrees, TreeOptions
from hepgen.errors import InputFileError
from hepgen.generators.base import StageBatch
from hepgen.morphing.base import Reweighting, optional

if TYPE_CHECKING:
    from hepgen.config.morph_options import BoostedOptions

_WATCHED = 0.1  # of the events stop the training of scikit-learn's trees
_SKLEARN = {"trees": 500, "learning_rate": 0.1, "regularisation": 50.0}
_HEP_ML = {"trees": 40, "learning_rate": 0.2, "regularisation": 5.0}

Sample = tuple[NDArray[np.float32], NDArray[np.float64]]


class BoostedWeights(Reweighting):
    """The log ratio of two samples as a sum of trees, which see the conditions as features.

    The trees are grown by a library and stored as arrays, which give what the library predicts.

    Example:
        >>> from hepgen.config.morph_options import BoostedOptions
        >>> weights = BoostedWeights(1, 0, BoostedOptions(trees=1, learning_rate=1.0, depth=1, min_leaf=5, regularisation=0))
        >>> x = torch.cat([torch.zeros(300, 1), torch.ones(100, 1)])
        >>> weights.fit(StageBatch(x, x[:, :0]), StageBatch(1 - x, x[:, :0]), np.random.default_rng(0))
        >>> weights.log_ratio(torch.tensor([[0.0], [1.0]]), torch.empty(2, 0)).sign().tolist()
        [-1.0, 1.0]
    """

    method: ClassVar[str] = "boosted"

    def __init__(self, features: int, conditions: int, options: BoostedOptions) -> None:
        super().__init__(features, conditions)
        self.options = options
        self.forest = Forest.of([])

    def require(self) -> None:
        if self.options.engine == "hep_ml":
            _library()

    @property
    def moves_masses(self) -> bool:
        return self.options.engine == "hep_ml"  # its leaves are not bounded where weights are negative

    def load(self, tensors: Mapping[str, Tensor]) -> None:
        self.forest = Forest(**{name: tensors[f"forest.{name}"] for name in Forest.NAMES})

    def fit(self, source: StageBatch, target: StageBatch, random: np.random.Generator) -> None:
        """Grow the trees.

        Raises:
            InputFileError: if a sample has fewer events than two leaves need, or weights that do not add up to more than 0,
                or negative ones where hep_ml grows the trees.
        """
        sides = []
        for name, side in (("source", source), ("target", target)):
            features, weight = _arrays(side)
            if len(weight) < 2 * self.options.min_leaf or weight.sum() <= 0:
                raise InputFileError(
                    f"the {name} has {len(weight)} events, whose weights add up to {weight.sum():.4g}: too little for trees "
                    f"whose leaves hold {self.options.min_leaf}",
                    where="options.boosted.min_leaf",
                    hint="take more events, or smaller leaves",
                )
            sides.append((features, weight))
        grow = self._by_histograms if self.options.engine == "sklearn" else self._by_hep_ml
        self.forest = grow(sides[0], sides[1], random)

    def log_ratio(self, x: Tensor, condition: Tensor) -> Tensor:
        ratio: Tensor = self.forest(torch.cat([x, condition], 1))
        return ratio

    def _by_histograms(self, source: Sample, target: Sample, random: np.random.Generator) -> Forest:
        parts: list[list[LabelledEvents]] = [[], []]
        for label, (features, weight) in enumerate((source, target)):
            order = random.permutation(len(weight))
            watched = int(len(weight) * _WATCHED)
            for part, rows in zip(parts, (order[watched:], order[:watched]), strict=True):
                part.append(LabelledEvents(features[rows], np.full(len(rows), float(label)), weight[rows]))
        train, watch = (_balanced(part) for part in parts)
        options = TreeOptions(
            rounds=int(self._set("trees", _SKLEARN)),
            learning_rate=self._set("learning_rate", _SKLEARN),
            leaves=2**self.options.depth,
            min_leaf=self.options.min_leaf,
            patience=self.options.patience,
            depth=self.options.depth,
            l2=self._set("regularisation", _SKLEARN),
        )
        trees = BoostedTrees(options)
        trees.fit(train, watch, int(random.integers(2**31)))
        return trees.forest()

    def _by_hep_ml(self, source: Sample, target: Sample, random: np.random.Generator) -> Forest:
        if min(source[1].min(), target[1].min()) < 0:
            raise InputFileError(
                "hep_ml's trees do not hold where weights are negative: leaf after leaf their ratios grow",
                where="options.boosted.engine",
                hint="take the engine 'sklearn', or the method 'classifier'",
            )
        rate = self._set("learning_rate", _HEP_ML)
        reweighter = _library().GBReweighter(
            n_estimators=int(self._set("trees", _HEP_ML)),
            learning_rate=rate,
            max_depth=self.options.depth,
            min_samples_leaf=self.options.min_leaf,
            loss_regularization=self._set("regularisation", _HEP_ML),
            gb_args={"random_state": int(random.integers(2**31))},
        )
        reweighter.fit(source[0], target[0], original_weight=source[1], target_weight=target[1])
        trees = []
        for grown, values in reweighter.gb.estimators:
            nodes = grown.tree_
            trees.append(Tree(nodes.feature, nodes.threshold, nodes.children_left, nodes.children_right, rate * values))
        # Its weights have any sum (hep_ml issues 36 and 83); a ratio of densities has the mean 1 over the source.
        ratio = np.exp(reweighter.gb.decision_function(source[0]))
        return Forest.of(trees, float(reweighter.gb.initial_step - np.log(np.average(ratio, weights=source[1]))))

    def _set(self, name: str, defaults: Mapping[str, float]) -> float:
        given = getattr(self.options, name)
        return defaults[name] if given is None else float(given)


def _library() -> Any:
    return optional("hep_ml.reweight", "hep_ml", "options.boosted.engine", "take the engine 'sklearn'")


def _arrays(side: StageBatch) -> Sample:
    """Features and conditions side by side, float32, and weights, float64."""
    features = torch.cat([side.x, side.condition], 1).float().cpu().numpy()
    weight = np.ones(len(features)) if side.weight is None else side.weight.double().cpu().numpy()
    return features, weight


def _balanced(samples: list[LabelledEvents]) -> LabelledEvents:
    """Source and target in one, of the same sum of weights: else the log odds would hold the ratio of their sizes."""
    half = sum(map(len, samples)) / 2
    return LabelledEvents(
        np.concatenate([one.features for one in samples]),
        np.concatenate([one.labels for one in samples]),
        np.concatenate([one.weights * (half / one.weights.sum()) for one in samples]),
    )
