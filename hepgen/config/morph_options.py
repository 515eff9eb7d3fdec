"""Options of the morphing methods, which `hepgen.config.methods` registers."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from hepgen.config.families import Activation, CouplingOptions, VelocityOptions
from hepgen.config.part import Part


class QuantileOptions(Part):
    """Each column moved by itself: its quantiles in the source onto those in the target."""

    knots: int = Field(200, ge=2)
    """Largest number of quantiles that are stored, one for every 20 events of a bin; between them the map is linear."""
    bins: int = Field(10, ge=1)
    """Number of bins of equal content of the first condition, each with a map of its own, interpolated between centres."""


Ratio = Literal["joint", "conditional", "parametrised"]


class ClassifierOptions(Part):
    """Weights by networks that tell the samples apart (DCTR, arXiv 1907.08209)."""

    hidden: list[int] = Field([128, 128, 128], min_length=1)
    """Widths of the hidden layers."""
    activation: Activation = "silu"
    """Activation function."""
    dropout: float = Field(0.0, ge=0, lt=1)
    """Probability of dropout, in training only; it fades with the learning rate."""
    ensemble: int = Field(1, ge=1)
    """Number of networks, trained side by side from different starts; their log ratios are averaged."""
    bound: float = Field(10.0, gt=0)
    """Log ratios lie within this distance of 0, smoothly: where weights of both signs cancel, no ratio grows without end."""
    ratio: Ratio = "joint"
    """joint: of features and conditions, the source's conditions become the target's too; conditional: of features at
    their condition, the conditions stay as they are; parametrised: the source knows no condition, and is reweighted to
    the one that is asked for (arXiv 1907.08209)."""
    linear: bool = False
    """Log ratios are linear in the conditions, as the representation gives them, at fixed features. So that they go on
    beyond what the training saw, a table has to give the conditions as they are: `columns: {NAME: {scale: affine}}`."""


class BoostedOptions(Part):
    """Weights by boosted trees: of hep_ml (arXiv 1608.05806), or scikit-learn's."""

    engine: Literal["sklearn", "hep_ml"] = "sklearn"
    """sklearn: histogram trees on the log loss, stopped where a tenth of the events that is kept aside shows no gain;
    hep_ml: trees on the symmetrised chi2 (GBReweighter), all of them kept; it wants `pip install 'hepgen[hep_ml]'`."""
    trees: int | None = Field(None, ge=1)
    """Number of trees, at most; not set: 500 (sklearn), 40 (hep_ml)."""
    learning_rate: float | None = Field(None, gt=0, le=1)
    """Share of a tree's values that is taken; not set: 0.1 (sklearn), 0.2 (hep_ml)."""
    depth: int = Field(3, ge=1, le=12)
    """Largest depth of a tree."""
    min_leaf: int = Field(200, ge=1)
    """Fewest events of a leaf."""
    regularisation: float | None = Field(None, ge=0)
    """sklearn: L2 penalty of a leaf's value; hep_ml: events that are added to either sample in each leaf; not set: 50
    (sklearn), 5 (hep_ml)."""
    patience: int = Field(20, ge=1)
    """sklearn: trees without a gain after which the training stops."""


class FlowOptions(CouplingOptions):
    """A coupling flow of some ten thousand events: larger ones learn them by heart."""

    layers: int = Field(6, ge=1)
    """Number of coupling layers."""
    hidden: list[int] = Field([64, 64], min_length=1)
    """Widths of the hidden layers of each coupling network."""
    dropout: float = Field(0.1, ge=0, lt=1)
    """Probability of dropout in the coupling networks, in training only; it fades with the learning rate."""


class BaseOptions(FlowOptions):
    """The density of a sample."""


class TopOptions(FlowOptions):
    """The map from sample to sample."""


class SharpTopOptions(TopOptions):
    """The map where no likelihood averages over dropout: a distance would take its noise for width."""

    dropout: float = Field(0.0, ge=0, lt=1)
    """Probability of dropout in the coupling networks, in training only; it fades with the learning rate."""


class MapOptions(Part):
    """An invertible map between two samples."""

    top: TopOptions = Field(default_factory=TopOptions)
    """Sizes of the map."""
    condition: Literal["same", "delta", "concatenated"] = "same"
    """What the map sees: the condition of an event, which it keeps; or the difference of the condition that is wanted and
    the one that it has; or both of them."""
    identity: bool = True
    """Whether the map starts as the identity, or near it at random."""
    penalty: Literal["none", "l1", "l2"] = "l1"
    """How far events move is penalised: the sum over features of the distance (l1), of its square (l2), or not."""
    penalty_weight: float = Field(0.02, ge=0)
    """Weight of the penalty, in units of the loss for each unit of the standardised features."""
    penalty_fades: bool = True
    """Whether the penalty fades with the learning rate and is gone when that has fallen to half, so that it chooses the map
    and what follows, without it, undoes what it has distorted."""


class FlowsForFlowsOptions(MapOptions):
    """A flow between the samples, trained under flows of the samples (arXiv 2211.02487, 2309.06472)."""

    variant: Literal["two_way", "unidirectional", "base_transfer"] = "two_way"
    """Trained in both directions; in one, under a density of the source alone; or no map but two densities end to end."""
    base: BaseOptions = Field(default_factory=BaseOptions)
    """Sizes of the densities."""


class SinkhornOptions(MapOptions):
    """An invertible map trained by a transport distance between batches (CURTAINs, arXiv 2203.09470)."""

    top: SharpTopOptions = Field(default_factory=SharpTopOptions)
    """Sizes of the map."""
    penalty: Literal["none", "l1", "l2"] = "none"
    """How far events move is penalised: the sum over features of the distance (l1), of its square (l2), or not."""
    penalty_weight: float = Field(0.01, ge=0)
    """Weight of the penalty, in units of the loss for each unit of the standardised features."""
    two_way: bool = True
    """Whether the target moved back is compared with the source too, which takes twice the time."""
    blur: float = Field(0.1, gt=0)
    """Length, in standardised features, below which differences are blurred: the root of the entropy."""
    condition_scale: float = Field(2.0, ge=0)
    """What a difference of the conditions counts, against one of the features, where batches are compared."""


class MatchingMorphOptions(VelocityOptions):
    """Flow matching between two samples, minibatch optimal transport (arXiv 2302.00482)."""

    layers: int = Field(3, ge=1)
    """Number of residual blocks."""
    coupling: Literal["optimal_transport", "independent"] = "optimal_transport"
    """Pairs of a batch: of least movement, or at random, which takes negative weights as they are."""
    pairing: int | None = Field(None, ge=2)
    """Events of a batch that are paired at a time, which takes more than the square; not set: 64, 256 with conditions."""
    condition_cost: float = Field(100.0, ge=0)
    """Cost of a difference of the conditions in a pair, against the mean square difference of the features."""
    change_condition: bool = False
    """Whether events may be asked for another condition on their way out; pairs of all conditions are then learned."""
    inverse: bool = False
    """Jets with their constituents: whether a second network learns the way back, for `hepgen morph --inverse`, which takes
    twice the time. Other events need none: the flow leads back."""
    bridge: float = Field(0.0, ge=0)
    """Width of the noise around a path halfway, times 2; 0: straight paths."""
    solver: Literal["euler", "midpoint", "heun", "adams"] = "adams"
    """Solver of the flow; a step takes one network evaluation (euler, adams) or two (midpoint, heun)."""
    steps: int = Field(5, ge=1)
    """Number of steps of the solver; may be changed after the training."""


class OptimalTransportOptions(Part):
    """Exact optimal transport of at most so many events, and the movement of its neighbours for any other event. The fit wants
    `pip install 'hepgen[pot]'`."""

    events: int = Field(4000, ge=2)
    """Number of events of each sample that are used; time and memory grow faster than its square."""
    neighbours: int = Field(8, ge=1)
    """Number of events of the source whose movement an event takes part in."""
    condition_cost: float = Field(100.0, ge=0)
    """Cost of a difference of the conditions, against the mean square difference of the features."""


class NoisingOptions(VelocityOptions):
    """A flow from noise to the target (Drapes, arXiv 2312.10130), begun at noise or at events that are partly noise."""

    layers: int = Field(3, ge=1)
    """Number of residual blocks."""
    start: float = Field(1.0, gt=0, le=1)
    """Share of the way to noise that an event goes before it comes back; 1: pure noise, nothing of the event is left."""
    solver: Literal["euler", "midpoint", "heun", "adams"] = "adams"
    """Solver of the flow; a step takes one network evaluation (euler, adams) or two (midpoint, heun)."""
    steps: int = Field(6, ge=1)
    """Number of steps of the solver from noise to events, fewer from what is partly noise; may be changed later."""


class TradeOptions(FlowOptions):
    """A density that is carried to other values of a condition, knowing how it changes with it (TRADE, arXiv 2410.19492)."""

    derivative: str = Field(min_length=1)
    """d/dc log q(x|c), q the density at the condition c without its norm: an expression of the columns and of the condition by
    their names, such as "-energy" where q is exp(-c energy)."""
    dropout: float = Field(0.0, ge=0, lt=1)
    """Probability of dropout in the coupling networks, in training only; it fades with the learning rate."""
    values: int = Field(8, ge=1)
    """Values of the condition at a time at which the derivative is learned; the events of a batch are divided among them."""
    residual_weight: float = Field(1.0, gt=0)
    """Weight of what is missing of the derivative, in units of the log likelihood of the samples."""
    delta: float = Field(0.1, gt=0)
    """From where on what is missing counts linearly, and not by its square: steep log densities miss much."""
